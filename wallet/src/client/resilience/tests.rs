//! Tries, pauses, deadlines and what counts for the breaker, on a stopped clock.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::client::metrics::BreakerState;
use crate::client::options::WalletClientOptions;

const S: Duration = Duration::from_secs(1);

fn resilience(options: &WalletClientOptions) -> Resilience {
    Resilience::new(&options.checked().unwrap())
}

fn defaults() -> WalletClientOptions {
    WalletClientOptions { circuit_breaker_enabled: false, ..WalletClientOptions::default() }
}

/// A call whose deadline is taken from the clock that the test stopped.
fn call_within(time: Duration) -> Call {
    let deadline = Instant::now() + time;
    let context = CallContext { deadline, trace_id: 1, max_retries: None };
    Call { method: Method::Reserve, context, timeout: 5 * S }
}

/// Tries that fail like this one after the other, then succeed; and when each began.
#[derive(Debug)]
struct Script {
    failures: Vec<WalletError>,
    begun: Mutex<Vec<Instant>>,
}

impl Script {
    fn new(failures: impl IntoIterator<Item = WalletError>) -> Self {
        Self { failures: failures.into_iter().collect(), begun: Mutex::new(Vec::new()) }
    }

    async fn attempt(&self) -> Result<u32, TryFailure> {
        let number = self.begun.lock().len();
        self.begun.lock().push(Instant::now());
        match self.failures.get(number) {
            Some(error) => Err(error.clone().into()),
            None => Ok(7),
        }
    }

    fn tries(&self) -> usize {
        self.begun.lock().len()
    }

    fn pauses(&self) -> Vec<Duration> {
        self.begun.lock().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

fn broken() -> WalletError {
    WalletError::InvalidResponse("500".to_owned())
}

#[tokio::test(start_paused = true)]
async fn three_retries_follow_the_first_try_at_most() {
    for (failures, tries, result) in
        [(0, 1, Ok(7)), (1, 2, Ok(7)), (3, 4, Ok(7)), (4, 4, Err(broken()))]
    {
        let (resilience, script) = (resilience(&defaults()), Script::new(vec![broken(); failures]));
        let outcome = resilience.run(call_within(60 * S), || script.attempt()).await;
        assert_eq!((outcome, script.tries()), (result, tries));
        let retries = resilience.metrics().snapshot().method(Method::Reserve).retries;
        assert_eq!(retries, tries as u64 - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_the_longest_with_jitter() {
    let options = WalletClientOptions { max_retries: 8, ..defaults() };
    let mut shortest = [Duration::MAX; 8];
    let mut longest = [Duration::ZERO; 8];
    for _ in 0..200 {
        let script = Script::new(vec![broken(); 8]);
        resilience(&options).run(call_within(60 * S), || script.attempt()).await.unwrap();
        for (index, pause) in script.pauses().into_iter().enumerate() {
            shortest[index] = shortest[index].min(pause);
            longest[index] = longest[index].max(pause);
        }
    }
    // The runtime's timer counts whole milliseconds.
    let slack = Duration::from_millis(2);
    for (index, step_ms) in [100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000].into_iter().enumerate()
    {
        let step = Duration::from_millis(step_ms);
        assert!(shortest[index] >= step / 2, "{index}: {:?}", shortest[index]);
        assert!(longest[index] <= step + slack, "{index}: {:?}", longest[index]);
        assert!(longest[index] - shortest[index] > step / 4, "{index}: there is jitter");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_not_tried_again() {
    for error in [
        WalletError::InsufficientBalance,
        WalletError::UserNotFound,
        WalletError::ReservationNotFound,
        WalletError::InvalidRequest("x".to_owned()),
        WalletError::Conflict("x".to_owned()),
    ] {
        let (resilience, script) = (resilience(&defaults()), Script::new([error.clone()]));
        let outcome = resilience.run(call_within(60 * S), || script.attempt()).await;
        assert_eq!((outcome, script.tries()), (Err(error), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_executed_or_is_unknown_is_tried_again() {
    for error in [
        WalletError::WalletServiceDown,
        WalletError::ReadOnly,
        WalletError::RateLimited { retry_after: None },
        WalletError::Timeout,
        broken(),
    ] {
        let (resilience, script) = (resilience(&defaults()), Script::new([error]));
        let outcome = resilience.run(call_within(60 * S), || script.attempt()).await;
        assert_eq!((outcome, script.tries()), (Ok(7), 2));
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_may_ask_for_one_try_and_not_for_endless_ones() {
    let (resilience, script) = (resilience(&defaults()), Script::new(vec![broken(); 50]));
    let mut call = call_within(60 * S);
    call.context.max_retries = Some(0);
    assert!(resilience.run(call, || script.attempt()).await.is_err());
    assert_eq!(script.tries(), 1);
    call.context.max_retries = Some(u32::MAX);
    assert!(resilience.run(call, || script.attempt()).await.is_err());
    assert_eq!(script.tries(), 1 + 1 + RETRIES_MAX as usize);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_call_waits_as_the_wallet_wishes() {
    let limited = |retry_after| WalletError::RateLimited { retry_after };
    let (layers, script) = (resilience(&defaults()), Script::new([limited(Some(3 * S))]));
    assert_eq!(layers.run(call_within(60 * S), || script.attempt()).await, Ok(7));
    assert!((3 * S..4 * S).contains(&script.pauses()[0]), "{:?}", script.pauses());

    let script = Script::new([limited(Some(Duration::ZERO))]);
    assert_eq!(layers.run(call_within(60 * S), || script.attempt()).await, Ok(7));
    assert!(script.pauses()[0] >= Duration::from_millis(50), "never less than its own pause");

    let script = Script::new([limited(Some(3 * S))]);
    let outcome = layers.run(call_within(2 * S), || script.attempt()).await;
    assert_eq!((outcome, script.tries()), (Err(limited(Some(3 * S))), 1), "beyond the deadline");
}

#[tokio::test(start_paused = true)]
async fn d17_deadline_stops_the_call() {
    let layers = resilience(&defaults());
    let begun = Instant::now();
    let never = || std::future::pending::<Result<u32, TryFailure>>();
    assert_eq!(layers.run(call_within(2 * S), never).await, Err(WalletError::Timeout));
    assert_eq!(begun.elapsed(), 2 * S, "a try that hangs");

    let begun = Instant::now();
    let call = Call { timeout: S, ..call_within(3 * S) };
    assert_eq!(layers.run(call, never).await, Err(WalletError::Timeout));
    assert!(begun.elapsed() <= 3 * S, "tries and pauses together: {:?}", begun.elapsed());

    let script = Script::new(vec![broken(); 4]);
    let begun = Instant::now();
    let outcome = layers.run(call_within(Duration::from_millis(120)), || script.attempt()).await;
    assert_eq!(outcome, Err(broken()), "a pause that would end too late is not begun");
    assert!(begun.elapsed() < Duration::from_millis(120));

    let script = Script::new([]);
    let outcome = layers.run(call_within(Duration::ZERO), || script.attempt()).await;
    assert_eq!(
        (outcome, script.tries()),
        (Err(WalletError::Timeout), 0),
        "too late from the start"
    );
}

#[tokio::test(start_paused = true)]
async fn a_try_that_may_have_had_its_effect_is_not_forgotten() {
    let down = || WalletError::WalletServiceDown;
    let limited = || WalletError::RateLimited { retry_after: Some(90 * S) };
    for (tries, error) in [
        (vec![WalletError::Timeout, down(), down(), down()], WalletError::Timeout),
        (vec![down(), broken(), WalletError::Timeout, down()], WalletError::Timeout),
        (vec![broken(), limited()], broken()),
        (vec![down(), down(), down(), down()], down()),
        // The same key was decided on, so nothing is unknown any more.
        (vec![broken(), WalletError::InsufficientBalance], WalletError::InsufficientBalance),
    ] {
        let (layers, script) = (resilience(&defaults()), Script::new(tries.clone()));
        let outcome = layers.run(call_within(60 * S), || script.attempt()).await;
        assert_eq!((outcome, script.tries()), (Err(error), tries.len()), "{tries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_stops() {
    let resilience = resilience(&defaults());
    let never = || std::future::pending::<Result<u32, TryFailure>>();
    let dropped = timeout(S, resilience.run(call_within(60 * S), never)).await;
    assert!(dropped.is_err());
    assert_eq!(resilience.metrics().snapshot().in_flight, 0);
    resilience.close().await;
    let refused = resilience.run(call_within(S), || async { Ok(1) }).await;
    assert_eq!(refused, Err(WalletError::Closed));
}

#[tokio::test(start_paused = true)]
async fn d03_refusals_never_open_the_breaker() {
    let layers = resilience(&WalletClientOptions::default());
    for round in 0..100 {
        for error in [
            WalletError::InsufficientBalance,
            WalletError::UserNotFound,
            WalletError::ReservationNotFound,
            WalletError::InvalidRequest("x".to_owned()),
            WalletError::Conflict("x".to_owned()),
        ] {
            let script = Script::new([error.clone()]);
            let outcome = layers.run(call_within(S), || script.attempt()).await;
            assert_eq!(outcome, Err(error), "round {round}");
        }
    }
    assert_eq!(layers.metrics().snapshot().breaker_state, BreakerState::Closed);
    assert_eq!(layers.metrics().snapshot().breaker_openings, 0);
}

#[tokio::test(start_paused = true)]
async fn d16_breaker_counts_tries() {
    let layers = resilience(&WalletClientOptions::default());
    let script = Script::new(vec![broken(); 9]);
    let outcome = layers.run(call_within(60 * S), || script.attempt()).await;
    // The third try is the third sample: one call is enough, and its last try is not sent.
    assert_eq!((outcome, script.tries()), (Err(broken()), 3));
    assert_eq!(layers.metrics().snapshot().breaker_state, BreakerState::Open);
    let begun = Instant::now();
    let outcome = layers.run(call_within(60 * S), || script.attempt()).await;
    assert_eq!((outcome, script.tries()), (Err(WalletError::CircuitOpen), 3));
    assert_eq!(begun.elapsed(), Duration::ZERO, "refused at once, and not tried again");
}

#[tokio::test(start_paused = true)]
async fn unknown_outcomes_and_absence_open_the_breaker() {
    for (error, opens) in [
        (WalletError::Timeout, true),
        (broken(), true),
        (WalletError::WalletServiceDown, true),
        (WalletError::ReadOnly, false),
        (WalletError::RateLimited { retry_after: None }, false),
    ] {
        let layers = resilience(&WalletClientOptions::default());
        for _ in 0..3 {
            let script = Script::new([error.clone()]);
            let mut call = call_within(S);
            call.context.max_retries = Some(0);
            assert_eq!(layers.run(call, || script.attempt()).await, Err(error.clone()));
        }
        let is_open = layers.metrics().snapshot().breaker_state == BreakerState::Open;
        assert_eq!(is_open, opens, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn probes_beyond_the_allowed_are_refused_at_once() {
    let layers = Arc::new(resilience(&WalletClientOptions::default()));
    let script = Script::new(vec![broken(); 3]);
    assert!(layers.run(call_within(60 * S), || script.attempt()).await.is_err());
    tokio::time::advance(30 * S).await;
    let (begun, refused) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let answer = Arc::new(tokio::sync::Semaphore::new(0));
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (layers, begun) = (Arc::clone(&layers), Arc::clone(&begun));
            let (refused, answer) = (Arc::clone(&refused), Arc::clone(&answer));
            tokio::spawn(async move {
                let attempt = || async {
                    begun.fetch_add(1, Ordering::SeqCst);
                    let _ = answer.acquire().await;
                    Ok(())
                };
                if layers.run(call_within(60 * S), attempt).await == Err(WalletError::CircuitOpen) {
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while begun.load(Ordering::SeqCst) + refused.load(Ordering::SeqCst) < 10 {
        tokio::task::yield_now().await;
    }
    assert_eq!((begun.load(Ordering::SeqCst), refused.load(Ordering::SeqCst)), (3, 7));
    answer.add_permits(10);
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(layers.metrics().snapshot().breaker_state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_bounds_tries_and_says_so() {
    let options = WalletClientOptions { rate_limit_enabled: true, rate_limit_rps: 2, ..defaults() };
    let layers = resilience(&options);
    let begun = Instant::now();
    let script = Script::new(vec![broken(); 3]);
    assert_eq!(layers.run(call_within(60 * S), || script.attempt()).await, Ok(7));
    assert!(begun.elapsed() >= S, "four tries at two a second: {:?}", begun.elapsed());
    let script = Script::new([]);
    let outcome = layers.run(call_within(Duration::from_millis(10)), || script.attempt()).await;
    assert!(matches!(outcome, Err(WalletError::RateLimited { retry_after: Some(_) })));
    assert_eq!(script.tries(), 0);
}

#[tokio::test(start_paused = true)]
async fn d18_error_class_survives_wrapping() {
    for error in [
        WalletError::InsufficientBalance,
        WalletError::Conflict("x".to_owned()),
        WalletError::WalletServiceDown,
        WalletError::Timeout,
        broken(),
    ] {
        let script = Script::new(vec![error.clone(); 4]);
        let outcome = resilience(&defaults()).run(call_within(60 * S), || script.attempt()).await;
        let through_the_layers = outcome.unwrap_err();
        assert_eq!(through_the_layers, error);
        assert_eq!(through_the_layers.outcome(), error.outcome());
        // And as the source of another error, whatever that one says.
        let boxed: Box<dyn std::error::Error> = Box::new(std::io::Error::other(error.clone()));
        let source = boxed.downcast_ref::<std::io::Error>().and_then(|outer| outer.get_ref());
        let inner = source.and_then(|inner| inner.downcast_ref::<WalletError>());
        assert_eq!(inner.map(WalletError::outcome), Some(error.outcome()));
    }
}
