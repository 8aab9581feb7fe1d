//! Two settlements on one cursor: the one that came first is shut out, and both together settle
//! each trade once.

use std::sync::Arc;
use std::time::Duration;

use engine::TradeId;
use settlement::{DeskError, SettlementStatus};
use tokio::sync::Semaphore;
use uuid::Uuid;
use wallet::client::WalletError;

use crate::harness::{Bench, Fate, let_pass, status, trade_id, until};

/// The stale one wakes up with work under way, and finds that it may not write any more.
#[tokio::test(start_paused = true)]
async fn a_stale_settlement_is_shut_out() {
    let bench = Bench::rich(10).await;
    bench.market.trades(200, 10);
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    let stale = bench.start();
    until(&stale, |status| status.in_flight > 0).await;
    let owner = bench.start();
    permits.add_permits(1_000);
    bench.drained(&owner).await;
    let seen = until(&stale, |status| status.halted.is_some()).await;
    assert!(seen.halted.unwrap().contains("settlement.state"), "it says why");
    bench.market.trades(100, 10);
    bench.drained(&owner).await;
    bench.assert_all_settled(10).await;
    stale.stop().await;
    owner.stop().await;
    assert_eq!(bench.peek().cursor, 300, "the owner's cursor stands");
}

/// A stale settlement tells no operator that something was kept that was not.
#[tokio::test(start_paused = true)]
async fn a_stale_settlement_does_not_discard() {
    let bench = Bench::rich(2).await;
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    bench.market.trades(1, 2);
    let stale = bench.start();
    bench.drained(&stale).await;
    let_pass(Duration::from_secs(1)).await;
    let owner = bench.start();
    let id = Uuid::from_u128(1);
    let answer = stale.discard(TradeId(1), id, "moved by hand", id).await;
    assert_eq!(answer, Err(DeskError::Stopped));
    let again = stale.discard(TradeId(1), id, "moved by hand", id);
    let again = tokio::time::timeout(Duration::from_secs(60), again).await;
    assert_ne!(again, Ok(Ok(())), "nor later");
    assert_eq!(status(&owner.board(), TradeId(1)), SettlementStatus::Failed);
    assert_eq!(bench.peek().letters.len(), 1);
}
