//! The scenarios that quality assurance asks for: happy path, insufficient balance, timeouts,
//! concurrency, shutdown.

use std::time::Duration;

use engine::TradeId;
use settlement::{Class, SettlementStatus};
use wallet::client::metrics::Method;
use wallet::client::{Fault, WalletError};

use crate::harness::{Bench, Fate, RICH, code, let_pass, status, trade_id, until};

#[tokio::test(start_paused = true)]
async fn happy_path() {
    let bench = Bench::rich(2).await;
    let desk = bench.start();
    let trade = bench.market.trade(1, 2);
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
    let known = desk.board().trade(trade);
    assert_eq!(known.status, SettlementStatus::Settled);
    assert!(known.settlement_id.is_some() && known.settled_at_ns.is_some());
    let counts = desk.board().counts();
    assert_eq!((counts.submitted, counts.settled, counts.failed_tries), (1, 1, 0));
    assert_eq!(desk.board().delay_us(0.5), 1);
    assert!(bench.alarms.raised().is_empty());
    desk.stop().await;
    assert_eq!(bench.peek().cursor, 1);
}

#[tokio::test(start_paused = true)]
async fn insufficient_balance_is_failed() {
    let bench = Bench::rich(2).await;
    bench.lend(3, "USDT", 4_999_999).await;
    let desk = bench.start();
    let trade = bench.market.trade(3, 1);
    let other = bench.market.trade(1, 2);
    bench.drained(&desk).await;
    let board = desk.board();
    assert_eq!(status(&board, trade), SettlementStatus::Failed);
    assert_eq!(board.trade(trade).failure_reason.unwrap(), "insufficient balance");
    assert_eq!(status(&board, other), SettlementStatus::Settled);
    assert_eq!(bench.alarms.raised(), [(trade, Class::Impossible)]);
    bench.assert_settled_but(2, &[trade]).await;
}

#[tokio::test(start_paused = true)]
async fn timeout_then_retry_then_success() {
    let bench = Bench::rich(2).await;
    bench.mock().fail(Some(Method::SettleBatch), Fault::Timeout, 2);
    let desk = bench.start();
    let trade = bench.market.trade(1, 2);
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
    let status = desk.board().status();
    assert_eq!((status.dead_letters, status.counts.failed_tries), (0, 2));
    assert_eq!(bench.line.seen().times(trade_id(trade.0)), 3);
}

#[tokio::test(start_paused = true)]
async fn three_timeouts_make_a_dead_letter() {
    let bench = Bench::rich(2).await;
    bench.line.always(Fate::Fail(WalletError::Timeout));
    let desk = bench.start();
    let trade = bench.market.trade(1, 2);
    until(&desk, |status| status.dead_letters == 1).await;
    let board = desk.board();
    assert_eq!(status(&board, trade), SettlementStatus::Pending, "the outcome is not known");
    let letter = board.progress().letters.get(trade).cloned().unwrap();
    assert_eq!((letter.class, letter.attempts), (Class::Unknown, 1));
    assert_eq!(bench.line.seen().times(trade_id(1)), 3);
    assert!(bench.alarms.raised().is_empty(), "nobody is woken up for what retries itself");
    // Nobody has to do anything for it to be settled.
    bench.line.always(Fate::Pass);
    until(&desk, |status| status.dead_letters == 0).await;
    bench.assert_all_settled(2).await;
    assert_eq!(status(&board, trade), SettlementStatus::Settled);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_at_once() {
    let bench = Bench::rich(10).await.with(|options| options.batch = 1);
    bench.market.trades(100, 10);
    let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    bench.line.always(Fate::Hold(std::sync::Arc::clone(&permits)));
    let desk = bench.start();
    until(&desk, |status| status.in_flight == 10).await;
    permits.add_permits(100);
    bench.drained(&desk).await;
    bench.assert_all_settled(10).await;
    let seen = bench.line.seen();
    assert_eq!((seen.most_in_flight, seen.calls.len(), seen.doubled), (10, 100, false));
}

#[tokio::test(start_paused = true)]
async fn shutdown_with_pending_trades_ends_clean() {
    let bench = Bench::rich(10).await.with(|options| options.workers = 1);
    bench.market.trades(300, 10);
    let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    bench.line.always(Fate::Hold(std::sync::Arc::clone(&permits)));
    let desk = bench.start();
    until(&desk, |status| status.window == 300).await;
    permits.add_permits(300);
    desk.stop().await;
    bench.assert_all_settled(10).await;
    let progress = bench.peek();
    assert_eq!((progress.cursor, progress.trade), (300, TradeId(300)));
}

/// The worked example: 5,005 paid, 4,997.5 received, 7.5 earned, however often it is retried.
#[tokio::test(start_paused = true)]
async fn every_unit_is_where_it_belongs() {
    let bench = Bench::rich(2).await;
    bench.line.always(Fate::Lose(WalletError::Timeout));
    let desk = bench.start();
    bench.market.trade(1, 2);
    let_pass(Duration::from_secs(100)).await;
    bench.line.always(Fate::Pass);
    until(&desk, |status| status.counts.settled == 1).await;
    assert_eq!(bench.pool(1, "USDT").await, RICH - 5_000_010);
    assert_eq!(bench.pool(2, "USDT").await, RICH + 4_999_995);
    assert_eq!(bench.pool(1, "BTC").await, RICH + 100);
    assert_eq!(bench.pool(2, "BTC").await, RICH - 100);
    assert_eq!(bench.mock().fees(code("USDT")), 15);
}
