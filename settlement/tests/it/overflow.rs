//! A full window: what happens to the trade that finds no place.

use std::time::Duration;

use engine::TradeId;
use settlement::limits::{SPAN_MAX, WINDOW_DEFAULT};
use settlement::{Class, Overflow, SettlementStatus};
use wallet::client::WalletError;

use crate::harness::{Bench, ids, let_pass, status, trade_id, until};

/// 1,001 trades and nobody who settles: 1,000 wait in the window, one in the log.
#[tokio::test(start_paused = true)]
async fn backpressure_loses_nothing_and_buries_nothing() {
    let bench = Bench::rich(10).await.with(|options| options.paused = true);
    bench.market.trades(1_001, 10);
    let desk = bench.start();
    until(&desk, |status| status.window == 1_000).await;
    let_pass(Duration::from_secs(1)).await;
    let seen = desk.board().status();
    assert_eq!((seen.window, seen.dead_letters, seen.cursor), (1_000, 0, 0));
    assert_eq!((seen.counts.submitted, seen.counts.calls), (1_000, 0));
    assert_eq!(seen.oldest_unsettled_ns, Some(0));
    desk.pause(false).await.unwrap();
    bench.drained(&desk).await;
    bench.assert_all_settled(10).await;
    assert_eq!(desk.board().counts().dead_lettered, 0);
}

/// The same where trades overflow into the dead letters: exactly 1,000 and one.
#[tokio::test(start_paused = true)]
async fn overflow_to_the_dead_letters() {
    let bench = Bench::rich(10).await.with(|options| {
        options.paused = true;
        options.overflow = Overflow::DeadLetter;
    });
    bench.market.trades(1_001, 10);
    let desk = bench.start();
    let seen = until(&desk, |status| status.dead_letters == 1).await;
    assert_eq!((seen.window, seen.counts.submitted, WINDOW_DEFAULT), (1_000, 1_001, 1_000));
    let letter = desk.board().progress().letters.iter().next().cloned().unwrap();
    assert_eq!((letter.trade.number, letter.class), (TradeId(1_001), Class::Unknown));
    let_pass(Duration::from_secs(60)).await;
    assert_eq!(desk.board().counts().calls, 0, "paused is paused, for dead letters as well");
    desk.pause(false).await.unwrap();
    until(&desk, |status| status.cursor == 1_001 && status.dead_letters == 0).await;
    bench.assert_all_settled(10).await;
}

/// A letter that lies ahead of the cursor is not taken for a new trade after a restart.
#[tokio::test(start_paused = true)]
async fn an_overflown_trade_is_one_trade_after_a_restart() {
    let bench = Bench::rich(2).await.with(|options| {
        options.paused = true;
        options.window = 1;
        options.overflow = Overflow::DeadLetter;
    });
    bench.market.trades(2, 2);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 1).await;
    desk.stop().await;
    let desk = bench.start();
    until(&desk, |status| status.head == 2).await;
    let seen = desk.board().status();
    assert_eq!((seen.window, seen.dead_letters, seen.counts.submitted), (1, 1, 1));
    desk.pause(false).await.unwrap();
    until(&desk, |status| status.cursor == 2 && status.dead_letters == 0).await;
    bench.assert_all_settled(2).await;
    assert_eq!(desk.board().counts().settled, 2, "each is counted once");
}

/// With no room for dead letters the trade stays and is tried again; others go on, up to the bound
/// on what a restart would do again.
#[tokio::test(start_paused = true)]
async fn without_room_for_dead_letters_settlement_waits() {
    let bench = Bench::rich(10).await.with(|options| options.dead_letters_max = 1);
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    bench.line.refuse(trade_id(2), Some(WalletError::UserNotFound));
    let most = u32::try_from(SPAN_MAX).unwrap() + 10;
    bench.market.trades(most, 10);
    let desk = bench.start();
    // Trade 2 is the oldest that is not done with.
    until(&desk, |status| status.head == SPAN_MAX + 1 && status.window == 1).await;
    let_pass(Duration::from_secs(20)).await;
    let seen = desk.board().status();
    assert_eq!((seen.head, seen.cursor, seen.dead_letters), (SPAN_MAX + 1, 1, 1));
    assert_eq!(status(&desk.board(), TradeId(2)), SettlementStatus::Pending);
    bench.line.refuse(trade_id(2), None);
    bench.drained(&desk).await;
    bench.assert_settled_but(10, &[TradeId(1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_waits_does_not_wait_for_a_quiet_moment() {
    let bench = Bench::rich(10).await.with(|options| {
        (options.workers, options.batch, options.window) = (1, 1, 50);
    });
    bench.line.refuse(trade_id(1), Some(WalletError::Timeout));
    let desk = bench.start();
    bench.market.trades(1, 10);
    until(&desk, |status| status.dead_letters == 1).await;
    let before = bench.line.seen().calls.len();
    desk.pause(true).await.unwrap();
    bench.market.trades(2_000, 10);
    bench.line.refuse(trade_id(1), None);
    desk.requeue(TradeId(1)).await.unwrap();
    desk.pause(false).await.unwrap();
    bench.drained(&desk).await;
    let seen = bench.line.seen();
    let place = seen.calls.iter().rposition(|call| call == &ids([1])).unwrap() - before;
    assert!(place < 2, "the letter was sent after {place} of 2,000 trades");
    bench.assert_all_settled(10).await;
}
