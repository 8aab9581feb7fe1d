//! What operators do with dead letters, while the worker works and over restarts.

use std::sync::Arc;
use std::time::Duration;

use engine::TradeId;
use settlement::{Class, Desk, DeskError, SettlementStatus};
use tokio::sync::Semaphore;
use uuid::Uuid;
use wallet::client::WalletError;

use crate::harness::{Bench, Fate, ids, let_pass, status, trade_id, until};

const OPERATOR: Uuid = Uuid::from_u128(0x0be8);
const CORRECTION: Uuid = Uuid::from_u128(0xc0);

/// Two trades, of which the first was refused.
async fn refused() -> (Bench, Desk) {
    let bench = Bench::rich(2).await;
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    bench.market.trades(2, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    (bench, desk)
}

/// Five requeues by two operators while the worker works: one call at a time, one effect.
#[tokio::test(start_paused = true)]
async fn five_requeues_by_two_operators_have_one_effect() {
    let (bench, desk) = refused().await;
    bench.line.refuse(trade_id(1), None);
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    bench.market.trades(500, 2);
    let desk = Arc::new(desk);
    let operators: Vec<_> = [2, 3]
        .into_iter()
        .map(|times| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                for _ in 0..times {
                    desk.requeue(TradeId(1)).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for operator in operators {
        operator.await.unwrap();
    }
    permits.add_permits(1_000);
    until(&desk, |status| status.dead_letters == 0 && status.window == 0).await;
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
    let seen = bench.line.seen();
    assert_eq!((seen.times(trade_id(1)), seen.doubled), (2, false));
    assert_eq!(desk.requeue(TradeId(1)).await, Err(DeskError::NoSuchLetter));
}

#[tokio::test(start_paused = true)]
async fn a_whole_class_is_requeued() {
    let bench = Bench::rich(2).await;
    let errors = [
        WalletError::UserNotFound,
        WalletError::Conflict("otherwise".to_owned()),
        WalletError::InvalidRequest("malformed".to_owned()),
    ];
    for (number, error) in (1..).zip(errors) {
        bench.line.refuse(trade_id(number), Some(error));
    }
    bench.market.trades(3, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    let classes: Vec<_> = desk.board().progress().letters.iter().map(|l| l.class).collect();
    assert_eq!(classes, [Class::Terminal, Class::Impossible, Class::Terminal]);
    (1..=3).for_each(|number| bench.line.refuse(trade_id(number), None));
    assert_eq!(desk.requeue_class(Class::Terminal).await, Ok(2));
    until(&desk, |status| status.dead_letters == 1).await;
    assert_eq!(desk.requeue_class(Class::Terminal).await, Ok(0));
    assert_eq!(desk.requeue_class(Class::Impossible).await, Ok(1));
    until(&desk, |status| status.dead_letters == 0).await;
    bench.assert_all_settled(2).await;
}

/// What is found out at a later try changes the class, and wakes somebody up where it must.
#[tokio::test(start_paused = true)]
async fn a_letter_changes_its_class() {
    let (bench, desk) = refused().await;
    let class = |desk: &Desk| desk.board().progress().letters.get(TradeId(1)).unwrap().class;
    assert_eq!(class(&desk), Class::Terminal);
    bench.line.refuse(trade_id(1), Some(WalletError::Timeout));
    desk.requeue(TradeId(1)).await.unwrap();
    until(&desk, |status| status.counts.failed_tries == 2).await;
    assert_eq!(class(&desk), Class::Unknown);
    assert_eq!(status(&desk.board(), TradeId(1)), SettlementStatus::Pending);
    bench.line.refuse(trade_id(1), Some(WalletError::Conflict("otherwise".to_owned())));
    until(&desk, |status| status.counts.failed_tries == 3).await;
    let raised = [(TradeId(1), Class::Terminal), (TradeId(1), Class::Impossible)];
    assert_eq!(bench.alarms.raised(), raised);
    assert_eq!(desk.board().counts().dead_lettered, 1, "it is one letter");
    let letter = desk.board().progress().letters.get(TradeId(1)).cloned().unwrap();
    assert_eq!((letter.attempts, letter.history.len(), letter.next_retry_ns), (3, 3, None));
}

/// Pauses double; a wallet that is away is no try.
#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_tried_for_ever_less_and_less_often() {
    let bench = Bench::rich(1).await;
    bench.line.always(Fate::Fail(WalletError::Timeout));
    bench.market.trade(1, 1);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 1).await;
    for (tries, pause) in (4..).zip([30, 60, 120]) {
        let begun = tokio::time::Instant::now();
        until(&desk, |status| status.counts.failed_tries == tries).await;
        let waited = begun.elapsed().as_secs_f64();
        assert!((waited - f64::from(pause)).abs() < 1.0, "{waited} instead of {pause}");
    }
    bench.line.always(Fate::Fail(WalletError::WalletServiceDown));
    let_pass(Duration::from_secs(600)).await;
    assert_eq!(desk.board().progress().letters.get(TradeId(1)).unwrap().attempts, 4);
    bench.line.always(Fate::Pass);
    until(&desk, |status| status.dead_letters == 0).await;
    bench.assert_all_settled(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_discarded_for_good() {
    let (bench, desk) = refused().await;
    assert_eq!(
        desk.discard(TradeId(2), OPERATOR, "moved", CORRECTION).await,
        Err(DeskError::NoSuchLetter)
    );
    desk.discard(TradeId(1), OPERATOR, "moved by hand", CORRECTION).await.unwrap();
    // What was answered is in the file already.
    let letters = bench.peek().letters;
    let discarded = letters.discarded_of(TradeId(1)).cloned().unwrap();
    assert_eq!(discarded.trade_id, trade_id(1).as_u128());
    assert_eq!((discarded.operator, discarded.correction), (0x0be8, 0xc0));
    assert!(letters.is_empty());
    let known = desk.board().trade(TradeId(1));
    assert_eq!(known.status, SettlementStatus::Failed, "it was never settled");
    assert_eq!(known.failure_reason.unwrap(), "discarded: moved by hand");
    bench.line.refuse(trade_id(1), None);
    desk.stop().await;
    let desk = bench.start();
    let_pass(Duration::from_secs(100)).await;
    assert_eq!(desk.requeue(TradeId(1)).await, Err(DeskError::NoSuchLetter));
    bench.assert_settled_but(2, &[TradeId(1)]).await;
}

/// The letter lies ahead of the cursor, so its trade is read again after a restart.
#[tokio::test(start_paused = true)]
async fn what_was_discarded_ahead_of_the_cursor_stays_discarded() {
    let bench = Bench::rich(2).await.with(|options| options.batch = 1);
    bench.line.refuse(trade_id(2), Some(WalletError::UserNotFound));
    let stuck = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&stuck);
    bench.line.fate(move |requests| match requests[0].trade_id == trade_id(1) {
        true => Fate::Hold(Arc::clone(&held)),
        false => Fate::Pass,
    });
    bench.market.trades(2, 2);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 1).await;
    desk.discard(TradeId(2), OPERATOR, "moved by hand", CORRECTION).await.unwrap();
    assert_eq!(bench.peek().cursor, 0, "the oldest trade is not settled");
    desk.stop().await;
    bench.line.refuse(trade_id(2), None);
    stuck.add_permits(10);
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_settled_but(2, &[TradeId(2)]).await;
    assert_eq!(bench.line.seen().times(trade_id(2)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_letter_under_way_is_not_discarded() {
    let (bench, desk) = refused().await;
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    desk.requeue(TradeId(1)).await.unwrap();
    until(&desk, |status| status.in_flight == 1).await;
    let refused = desk.discard(TradeId(1), OPERATOR, "moved", CORRECTION).await;
    assert_eq!(refused, Err(DeskError::BeingTried));
    permits.add_permits(1);
    until(&desk, |status| status.in_flight == 0).await;
    desk.discard(TradeId(1), OPERATOR, "moved", CORRECTION).await.unwrap();
    assert_eq!(bench.line.seen().calls, [ids([1, 2]), ids([1])]);
}
