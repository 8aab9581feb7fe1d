//! The states of the breaker and what leads from one to another, on a stopped clock.

use tokio::time::advance;

use super::*;

fn settings() -> BreakerSettings {
    BreakerSettings {
        window: Duration::from_secs(10),
        open_for: Duration::from_secs(30),
        probes: 3,
        calls_min: 3,
        ratio: 0.6,
        consecutive: 0,
    }
}

fn breaker(settings: BreakerSettings) -> Breaker {
    Breaker::new(settings, Arc::new(WalletClientMetrics::default()))
}

fn state(breaker: &Breaker) -> BreakerState {
    let state = breaker.current.lock().phase.state();
    assert_eq!(breaker.metrics.snapshot().breaker_state, state, "the metrics follow");
    state
}

/// Makes calls with these results.
fn calls(breaker: &Breaker, failed: &[bool]) {
    for failed in failed {
        breaker.admit().unwrap().record(*failed);
    }
}

/// A breaker that has just opened.
fn opened() -> Breaker {
    let breaker = breaker(settings());
    calls(&breaker, &[true, true, true]);
    assert_eq!(state(&breaker), BreakerState::Open);
    breaker
}

#[tokio::test(start_paused = true)]
async fn it_opens_at_the_ratio_and_not_below() {
    let below = breaker(settings());
    // 5 of 9: below 0.6 at every failure from the third call on.
    calls(&below, &[false, true, false, true, false, true, false, true, true]);
    assert_eq!(state(&below), BreakerState::Closed);
    let at = breaker(settings());
    calls(&at, &[false, false, true, true, true]);
    assert_eq!(state(&at), BreakerState::Open, "3 of 5");
    assert_eq!(at.admit().unwrap_err(), WalletError::CircuitOpen);
}

#[tokio::test(start_paused = true)]
async fn it_needs_the_minimum_of_calls() {
    let breaker = breaker(settings());
    calls(&breaker, &[true, true]);
    assert_eq!(state(&breaker), BreakerState::Closed);
    calls(&breaker, &[true]);
    assert_eq!(state(&breaker), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn what_leaves_the_window_no_longer_counts() {
    let breaker = breaker(settings());
    calls(&breaker, &[true, true]);
    advance(Duration::from_secs(5)).await;
    calls(&breaker, &[false]);
    advance(Duration::from_secs(5)).await;
    calls(&breaker, &[true]);
    assert_eq!(state(&breaker), BreakerState::Closed, "1 of 2 is left");
    advance(Duration::from_secs(3_600)).await;
    calls(&breaker, &[true, true]);
    assert_eq!(state(&breaker), BreakerState::Closed);
    calls(&breaker, &[true]);
    assert_eq!(state(&breaker), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_a_rule_of_their_own() {
    let breaker = breaker(BreakerSettings { ratio: 1.0, consecutive: 4, ..settings() });
    calls(&breaker, &[false, true, true, true, false, true, true, true]);
    assert_eq!(state(&breaker), BreakerState::Closed);
    calls(&breaker, &[true]);
    assert_eq!(state(&breaker), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn it_stays_open_for_its_time_and_then_lets_the_probes_through() {
    let breaker = opened();
    advance(Duration::from_millis(29_999)).await;
    assert!(breaker.admit().is_err());
    assert_eq!(state(&breaker), BreakerState::Open);
    advance(Duration::from_millis(1)).await;
    let probes: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    assert_eq!(breaker.admit().unwrap_err(), WalletError::CircuitOpen, "the fourth");
    for (number, probe) in probes.into_iter().enumerate() {
        assert_eq!(state(&breaker), BreakerState::HalfOpen, "probe {number}");
        probe.record(false);
    }
    assert_eq!(state(&breaker), BreakerState::Closed);
    calls(&breaker, &[true, true]);
    assert_eq!(state(&breaker), BreakerState::Closed, "it starts counting anew");
}

#[tokio::test(start_paused = true)]
async fn one_failed_probe_opens_it_again_for_the_whole_time() {
    let breaker = opened();
    advance(Duration::from_secs(30)).await;
    let first = breaker.admit().unwrap();
    let second = breaker.admit().unwrap();
    first.record(true);
    assert_eq!(state(&breaker), BreakerState::Open);
    second.record(false);
    assert_eq!(state(&breaker), BreakerState::Open, "a late probe changes nothing");
    advance(Duration::from_millis(29_999)).await;
    assert!(breaker.admit().is_err());
    advance(Duration::from_millis(1)).await;
    assert!(breaker.admit().is_ok());
    assert_eq!(breaker.metrics.snapshot().breaker_openings, 2);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_makes_room_for_another() {
    let breaker = opened();
    advance(Duration::from_secs(30)).await;
    let mut probes: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    assert!(breaker.admit().is_err());
    drop(probes.pop());
    let replacement = breaker.admit().unwrap();
    assert!(breaker.admit().is_err());
    probes.push(replacement);
    probes.into_iter().for_each(|probe| probe.record(false));
    assert_eq!(state(&breaker), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_is_not_taken_for_a_probe() {
    let breaker = breaker(settings());
    let late: Vec<_> = (0..4).map(|_| breaker.admit().unwrap()).collect();
    calls(&breaker, &[true, true, true]);
    advance(Duration::from_secs(30)).await;
    let probe = breaker.admit().unwrap();
    for (number, admission) in late.into_iter().enumerate() {
        // Results of both kinds, and one that is never known.
        match number {
            0 => drop(admission),
            number => admission.record(number == 1),
        }
    }
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    let others = [breaker.admit().unwrap(), breaker.admit().unwrap()];
    assert!(breaker.admit().is_err(), "no place was made by the late ones");
    probe.record(false);
    others.into_iter().for_each(|probe| probe.record(false));
    assert_eq!(state(&breaker), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn successes_alone_never_open_it() {
    let breaker = breaker(BreakerSettings { calls_min: 1, ratio: 0.01, ..settings() });
    calls(&breaker, &[false; 1_000]);
    assert_eq!(state(&breaker), BreakerState::Closed);
    assert_eq!(breaker.metrics.snapshot().breaker_openings, 0);
}
