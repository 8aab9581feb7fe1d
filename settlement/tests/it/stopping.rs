//! The end of a settlement: what is finished, what is left, who is told.

use std::sync::Arc;
use std::time::Duration;

use engine::TradeId;
use settlement::{Class, DeskError, SetRetryError};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;
use wallet::client::WalletError;

use crate::harness::{Bench, Fate, let_pass, trade_id, until};

/// A thousand trades pending: what can be sent is settled before the stop is over.
#[tokio::test(start_paused = true)]
async fn stop_with_a_thousand_pending_then_start_again() {
    let bench = Bench::rich(10).await;
    bench.market.trades(1_500, 10);
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    let desk = bench.start();
    until(&desk, |status| status.window == 1_000).await;
    permits.add_permits(10_000);
    desk.stop().await;
    let stopped = bench.peek();
    assert!((1_000..1_500).contains(&stopped.cursor), "{}", stopped.cursor);
    assert_eq!(desk.board().counts().settled, stopped.trade.0, "all that was read");
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(10).await;
    let seen = bench.line.seen();
    assert!((1..=1_500).all(|number| seen.times(trade_id(number)) == 1));
}

/// Nobody is there: a stop does not wait for it, and nothing is lost.
#[tokio::test(start_paused = true)]
async fn stop_while_the_wallet_is_away_leaves_all_at_the_cursor() {
    let bench = Bench::rich(10).await;
    bench.line.always(Fate::Fail(WalletError::WalletServiceDown));
    bench.market.trades(1_000, 10);
    let desk = bench.start();
    until(&desk, |status| status.window == 1_000 && status.counts.waits > 3).await;
    let begun = Instant::now();
    desk.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(bench.peek().cursor, 0);
    bench.line.always(Fate::Pass);
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(10).await;
}

/// Calls that do not end are given up at the deadline.
#[tokio::test(start_paused = true)]
async fn stop_ends_at_its_deadline() {
    let bench = Bench::rich(2).await.with(|options| {
        options.call_timeout = Duration::from_secs(600);
    });
    bench.line.always(Fate::Hang);
    bench.market.trades(10, 2);
    let desk = bench.start();
    until(&desk, |status| status.in_flight == 1).await;
    let begun = Instant::now();
    desk.stop().await;
    let took = begun.elapsed();
    assert!((29..=31).contains(&took.as_secs()), "{took:?}");
    assert_eq!(bench.line.seen().in_flight, 0, "the call was given up");
    bench.line.always(Fate::Pass);
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_after_the_stop_is_told_so() {
    let bench = Bench::rich(2).await;
    let desk = bench.start();
    desk.stop().await;
    let stopped = DeskError::Stopped;
    assert_eq!(desk.requeue(TradeId(1)).await, Err(stopped));
    assert_eq!(desk.requeue_class(Class::Unknown).await, Err(stopped));
    assert_eq!(desk.pause(true).await, Err(stopped));
    assert_eq!(desk.set_retry(Default::default()).await, Err(SetRetryError::Stopped));
    let id = Uuid::from_u128(1);
    assert_eq!(desk.discard(TradeId(1), id, "why", id).await, Err(stopped));
    bench.market.trades(5, 2);
    let_pass(Duration::from_secs(10)).await;
    assert_eq!(bench.line.seen().calls.len(), 0, "nothing is taken up after the stop");
}

/// A desk that is dropped without a word ends, and what was under way is saved.
#[tokio::test(start_paused = true)]
async fn a_dropped_desk_ends() {
    let bench = Bench::rich(2).await;
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    bench.market.trades(10, 2);
    let desk = bench.start();
    until(&desk, |status| status.in_flight == 1).await;
    let board = desk.board();
    drop(desk);
    let_pass(Duration::from_secs(1)).await;
    permits.add_permits(1);
    let saved = || bench.peek().cursor == 10;
    crate::harness::until_true(saved, || format!("{:?}", board.status())).await;
    bench.assert_all_settled(2).await;
    // Nobody reads any more.
    bench.market.trades(1, 2);
    let_pass(Duration::from_secs(1)).await;
    assert_eq!(board.status().head, 10);
}

/// A panic in a client ends settlement; it must not look as if it still worked.
#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_is_reported() {
    let bench = Bench::rich(2).await;
    bench.line.fate(|_| panic!("a bug in a client"));
    bench.market.trades(1, 2);
    let desk = bench.start();
    let seen = until(&desk, |status| status.halted.is_some()).await;
    assert!(seen.halted.unwrap().contains("panic"));
    desk.stop().await;
    assert_eq!(desk.requeue(TradeId(1)).await, Err(DeskError::Stopped));
}
