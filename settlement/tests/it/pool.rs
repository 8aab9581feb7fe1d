//! The pool of calls, test by test: starting, working, filling up, stopping.

use std::sync::Arc;
use std::time::Duration;

use engine::TradeId;
use settlement::{Class, DeskError, StartError};
use tokio::sync::Semaphore;
use uuid::Uuid;
use wallet::client::WalletError;

use crate::harness::{Bench, Fate, let_pass, trade_id, until};

#[tokio::test(start_paused = true)]
async fn start_and_stop() {
    let bench = Bench::rich(2).await;
    for _ in 0..3 {
        let desk = bench.start();
        desk.stop().await;
    }
    assert_eq!(bench.peek().cursor, 0);
    let bench = bench.with(|options| (options.workers, options.window) = (0, 0));
    assert!(matches!(bench.try_start(), Err(StartError::Options(wrong)) if wrong.len() == 2));
}

#[tokio::test(start_paused = true)]
async fn a_single_job() {
    let bench = Bench::rich(2).await;
    let desk = bench.start();
    bench.market.trade(1, 2);
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn twenty_jobs() {
    let bench = Bench::rich(4).await;
    let desk = bench.start();
    for _ in 0..20 {
        bench.market.trades(1, 4);
        tokio::task::yield_now().await;
    }
    bench.drained(&desk).await;
    bench.assert_all_settled(4).await;
    assert_eq!(desk.board().counts().settled, 20);
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_becomes_a_dead_letter() {
    let bench = Bench::rich(2).await;
    bench.line.always(Fate::Fail(WalletError::Timeout));
    bench.market.trade(1, 2);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 1 && status.cursor == 1).await;
    let letter = desk.board().progress().letters.get(TradeId(1)).cloned().unwrap();
    assert_eq!((letter.class, letter.reason.as_str()), (Class::Unknown, "timeout"));
    assert_eq!(letter.next_retry_ns, Some(letter.last_ns + 30_000_000_000));
    assert_eq!(letter.trade.request.trade_id, trade_id(1));
}

/// A full window takes nothing more until there is room.
#[tokio::test(start_paused = true)]
async fn a_full_queue() {
    let bench = Bench::rich(2).await.with(|options| {
        (options.window, options.workers, options.batch) = (5, 2, 1);
    });
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    bench.market.trades(20, 2);
    let desk = bench.start();
    let_pass(Duration::from_millis(100)).await;
    let seen = desk.board().status();
    assert_eq!((seen.window, seen.in_flight, seen.head), (5, 2, 5));
    permits.add_permits(1);
    until(&desk, |status| status.head == 6).await;
    permits.add_permits(100);
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop() {
    let bench = Bench::rich(4).await.with(|options| options.workers = 2);
    bench.market.trades(500, 4);
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    let desk = bench.start();
    until(&desk, |status| status.in_flight == 2).await;
    permits.add_permits(100);
    desk.stop().await;
    assert_eq!(bench.peek().trade, TradeId(500));
    assert_eq!(desk.board().counts().settled, 500);
    assert_eq!(bench.line.seen().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn submit_after_stop() {
    let bench = Bench::rich(2).await;
    let desk = bench.start();
    desk.stop().await;
    bench.market.trade(1, 2);
    assert_eq!(desk.requeue(TradeId(1)).await, Err(DeskError::Stopped));
    assert_eq!(desk.pause(false).await, Err(DeskError::Stopped));
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_succeeds() {
    let bench = Bench::rich(2).await;
    let mut left = 2;
    bench.line.fate(move |_| {
        left -= 1;
        if left >= 0 { Fate::Lose(WalletError::Timeout) } else { Fate::Pass }
    });
    bench.market.trade(1, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
    assert_eq!(desk.board().counts().dead_lettered, 0);
}

/// List, requeue, take out, size.
#[tokio::test(start_paused = true)]
async fn dead_letter_operations() {
    let bench = Bench::rich(2).await;
    for number in 1..=3 {
        bench.line.refuse(trade_id(number), Some(WalletError::UserNotFound));
    }
    bench.market.trades(4, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    let listed: Vec<_> = desk.board().progress().letters.iter().map(|l| l.trade.number.0).collect();
    assert_eq!(listed, [1, 2, 3]);
    bench.line.refuse(trade_id(2), None);
    desk.requeue(TradeId(2)).await.unwrap();
    until(&desk, |status| status.dead_letters == 2).await;
    let id = Uuid::from_u128(9);
    desk.discard(TradeId(3), id, "paid by hand", id).await.unwrap();
    assert_eq!(desk.board().status().dead_letters, 1);
    assert_eq!(desk.requeue(TradeId(3)).await, Err(DeskError::NoSuchLetter));
    bench.assert_settled_but(2, &[TradeId(1), TradeId(3)]).await;
}
