//! A wallet that is away, silent, slow or confused: nothing is lost, nothing happens twice, and
//! nobody has to help.

use std::sync::Arc;
use std::time::Duration;

use engine::TradeId;
use settlement::{Class, SettlementStatus};
use tokio::sync::Semaphore;
use wallet::client::metrics::Method;
use wallet::client::{Fault, WalletError};

use crate::harness::{Bench, Fate, let_pass, status, trade_id, until, user};

/// Nobody listens for a minute while trading goes on.
#[tokio::test(start_paused = true)]
async fn a_wallet_that_is_away_costs_nothing_but_time() {
    let bench = Bench::rich(10).await.with(|options| options.window = 200);
    bench.line.always(Fate::Fail(WalletError::WalletServiceDown));
    let desk = bench.start();
    for _ in 0..60 {
        bench.market.trades(100, 10);
        let_pass(Duration::from_secs(1)).await;
        let seen = desk.board().status();
        assert!(seen.window <= 200, "the window is bounded: {seen:?}");
        assert_eq!((seen.dead_letters, seen.cursor), (0, 0));
    }
    let counts = desk.board().counts();
    assert_eq!((counts.failed_tries, counts.dead_lettered), (0, 0), "that was no try of a trade");
    // Waits double up to five seconds; ten callers who fail together are one failure.
    assert!((20..=200).contains(&counts.calls), "{counts:?}");
    assert_eq!(status(&desk.board(), TradeId(1)), SettlementStatus::Pending);
    bench.line.always(Fate::Pass);
    bench.drained(&desk).await;
    bench.assert_all_settled(10).await;
    assert_eq!(desk.board().counts().dead_lettered, 0);
    assert!(bench.alarms.raised().is_empty());
}

/// Callers that fail together make the wait longer once, not once each.
#[tokio::test(start_paused = true)]
async fn the_wait_after_one_failure_is_the_first_step() {
    let bench = Bench::rich(10).await.with(|options| options.batch = 1);
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    bench.mock().fail(Some(Method::SettleBatch), Fault::Down, 10);
    bench.market.trades(10, 10);
    let desk = bench.start();
    until(&desk, |status| status.in_flight == 10).await;
    let begun = tokio::time::Instant::now();
    permits.add_permits(100);
    bench.drained(&desk).await;
    assert!(begun.elapsed() <= Duration::from_millis(200), "{:?}", begun.elapsed());
    bench.assert_all_settled(10).await;
}

/// The wallet takes requests and never answers, and the client does not keep to its deadline.
#[tokio::test(start_paused = true)]
async fn a_wallet_that_never_answers_ties_up_a_bounded_number_of_calls() {
    let bench = Bench::rich(10).await.with(|options| options.window = 64);
    bench.line.always(Fate::Hang);
    bench.market.trades(200, 10);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters > 0).await;
    assert!(bench.line.seen().most_in_flight <= 10);
    assert!(bench.line.seen().times(trade_id(1)) == 3);
    assert!(bench.alarms.raised().is_empty());
    bench.line.always(Fate::Pass);
    until(&desk, |status| status.dead_letters == 0 && status.cursor == 200).await;
    bench.assert_all_settled(10).await;
    assert!(!bench.line.seen().doubled, "no trade was in two calls at once");
}

/// The effect is there, the answer is lost: the same key finds it again.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_one_effect_and_one_settlement() {
    let bench = Bench::rich(10).await;
    let mut known = std::collections::BTreeSet::new();
    bench.line.fate(move |requests| {
        let new = requests.iter().filter(|request| known.insert(request.trade_id)).count();
        if new > 0 { Fate::Lose(WalletError::Timeout) } else { Fate::Pass }
    });
    bench.market.trades(500, 10);
    let desk = bench.start();
    until(&desk, |status| status.cursor == 500 && status.dead_letters == 0).await;
    bench.assert_all_settled(10).await;
    // What the desk shows is what the wallet made at the first, lost, time.
    let context = crate::harness::context();
    for number in [1, 250, 500] {
        use wallet::client::WalletClient;
        let made = bench.mock().settlement_of_trade(context, trade_id(number)).await.unwrap();
        let shown = desk.board().trade(TradeId(number)).settlement_id;
        assert_eq!(shown, made.map(|settlement| settlement.settlement_id));
    }
}

/// Internal errors, rubbish, duplicates, late answers, too many requests: all of it at once.
#[tokio::test(start_paused = true)]
async fn confusion_settles_every_trade_once_and_fails_none() {
    let bench = Bench::rich(10).await;
    let faults = [
        Fault::ServerError,
        Fault::Garbage,
        Fault::Duplicate,
        Fault::LostReply,
        Fault::RateLimited(None),
        Fault::RateLimited(Some(Duration::from_secs(7))),
        Fault::Timeout,
        Fault::Down,
        Fault::ReadOnly,
    ];
    for round in 0..30 {
        let fault = faults[round % faults.len()];
        bench.mock().fail(Some(Method::SettleBatch), fault, 1 + round % 3);
    }
    bench.market.trades(1_000, 10);
    let desk = bench.start();
    until(&desk, |status| status.cursor == 1_000 && status.dead_letters == 0).await;
    bench.assert_all_settled(10).await;
    assert!(bench.mock().faults_fired() >= 30);
    assert!(bench.alarms.raised().is_empty(), "nothing was refused");
}

/// An answer that comes after the call was given up, and after the trade was settled by another.
#[tokio::test(start_paused = true)]
async fn a_late_answer_changes_nothing() {
    let bench = Bench::rich(2).await.with(|options| options.call_timeout = Duration::from_secs(1));
    let never = Arc::new(Semaphore::new(0));
    let (mut first, late) = (true, Arc::clone(&never));
    bench.line.fate(move |_| match std::mem::take(&mut first) {
        true => Fate::Late(Arc::clone(&late)),
        false => Fate::Pass,
    });
    bench.market.trades(2, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    never.add_permits(1);
    let_pass(Duration::from_secs(5)).await;
    bench.assert_all_settled(2).await;
    assert_eq!(desk.board().counts().settled, 2);
}

/// The wallet's own wish for a pause is kept to, up to a minute.
#[tokio::test(start_paused = true)]
async fn retry_after_is_kept_to() {
    for (asked, kept) in [(7, 7), (60, 60), (3_000, 60)] {
        let bench = Bench::rich(2).await;
        let asked = Some(Duration::from_secs(asked));
        bench.mock().fail(Some(Method::SettleBatch), Fault::RateLimited(asked), 1);
        bench.market.trades(1, 2);
        let begun = tokio::time::Instant::now();
        let desk = bench.start();
        bench.drained(&desk).await;
        let (waited, kept) = (begun.elapsed(), Duration::from_secs(kept));
        assert!(waited >= kept && waited < kept + Duration::from_secs(1), "{waited:?}");
        bench.assert_all_settled(2).await;
    }
}

/// One trade is refused for ever: it is a dead letter, somebody is woken up, the others flow.
#[tokio::test(start_paused = true)]
async fn a_refused_trade_does_not_stop_the_others() {
    let bench = Bench::rich(10).await;
    bench.mock().refuse_user(user(3));
    bench.market.trades(100, 9);
    let desk = bench.start();
    bench.drained(&desk).await;
    let board = desk.board();
    let refused: Vec<TradeId> =
        board.progress().letters.iter().map(|letter| letter.trade.number).collect();
    assert_eq!(refused.len(), 22, "the trades of user 3, on either side");
    assert!(refused.iter().all(|trade| status(&board, *trade) == SettlementStatus::Failed));
    let mut raised = bench.alarms.raised();
    raised.sort_by_key(|(trade, _)| *trade);
    let expected: Vec<_> = refused.iter().map(|trade| (*trade, Class::Terminal)).collect();
    assert_eq!(raised, expected, "each once");
    // Not tried by itself, ever.
    let calls = board.counts().calls;
    let_pass(Duration::from_secs(600)).await;
    assert_eq!(board.counts().calls, calls);
    bench.mock().clear_faults();
    bench.assert_settled_but(10, &refused).await;
}

/// A trade at which every call chokes takes nobody along.
#[tokio::test(start_paused = true)]
async fn one_poisoned_trade_does_not_bury_its_neighbours() {
    let bench = Bench::rich(10).await;
    let poison = trade_id(40);
    bench.line.fate(move |requests| {
        let has_it = requests.iter().any(|request| request.trade_id == poison);
        let choked = WalletError::InvalidResponse("500".to_owned());
        if has_it { Fate::Fail(choked) } else { Fate::Pass }
    });
    bench.market.trades(200, 10);
    let desk = bench.start();
    bench.drained(&desk).await;
    assert_eq!((desk.board().counts().dead_lettered, desk.board().counts().settled), (1, 199));
    bench.assert_settled_but(10, &[TradeId(40)]).await;
    bench.line.always(Fate::Pass);
    until(&desk, |status| status.dead_letters == 0).await;
    bench.assert_all_settled(10).await;
}
