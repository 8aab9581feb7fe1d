//! Defects of other exchanges' settlements, each by its name, which cannot happen here.

use std::sync::Arc;
use std::time::Duration;

use engine::TradeId;
use settlement::{DeskError, SettlementStatus};
use tokio::sync::Semaphore;
use uuid::Uuid;
use wallet::client::{WalletClient, WalletError};

use crate::harness::{Bench, Fate, context, let_pass, status, trade_id, until, user};

mod answers;

/// One layer of retries: three requests for a trade and round, not four times three.
#[tokio::test(start_paused = true)]
async fn d03_three_requests_per_trade() {
    let bench = Bench::rich(2).await;
    bench.line.always(Fate::Fail(WalletError::Timeout));
    bench.market.trades(5, 2);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 5).await;
    let seen = bench.line.seen();
    assert!((1..=5).all(|number| seen.times(trade_id(number)) == 3), "{:?}", seen.calls);
}

#[tokio::test(start_paused = true)]
async fn d04_unknown_outcome_is_never_failed() {
    for error in [
        WalletError::Timeout,
        WalletError::InvalidResponse("500".to_owned()),
        WalletError::RateLimited { retry_after: None },
        WalletError::CircuitOpen,
        WalletError::WalletServiceDown,
        WalletError::ReadOnly,
        WalletError::Closed,
    ] {
        let bench = Bench::rich(2).await;
        bench.line.always(Fate::Fail(error.clone()));
        bench.market.trades(1, 2);
        let desk = bench.start();
        let_pass(Duration::from_secs(45)).await;
        assert_eq!(status(&desk.board(), TradeId(1)), SettlementStatus::Pending, "{error}");
        assert!(bench.alarms.raised().is_empty());
        bench.line.always(Fate::Pass);
        until(&desk, |status| status.counts.settled == 1).await;
        assert_eq!(status(&desk.board(), TradeId(1)), SettlementStatus::Settled, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn d04_dead_letters_survive_restart() {
    let bench = Bench::rich(2).await;
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    bench.line.refuse(trade_id(2), Some(WalletError::Timeout));
    bench.market.trades(2, 2);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 2).await;
    desk.stop().await;
    let before = desk.board().progress().letters;
    let desk = bench.start();
    let after = desk.board().progress().letters;
    let known = |letter: &settlement::DeadLetter| {
        (letter.trade, letter.class, letter.reason.clone(), letter.first_ns, letter.history.clone())
    };
    assert!(before.iter().map(known).eq(after.iter().map(known)));
    // Once at the start, without waiting for its time.
    bench.line.refuse(trade_id(2), None);
    let begun = tokio::time::Instant::now();
    until(&desk, |status| status.dead_letters == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    bench.assert_settled_but(2, &[TradeId(1)]).await;
}

/// The wallet has settled, the cursor could not be written: settling again pays nothing again.
#[tokio::test(start_paused = true)]
async fn d05_settle_again_pays_once() {
    let bench = Bench::rich(2).await;
    bench.market.trades(50, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    desk.stop().await;
    std::fs::remove_file(bench.directory.path().join("settlement/settlement.state")).unwrap();
    let desk = bench.start();
    bench.drained(&desk).await;
    assert_eq!(desk.board().counts().settled, 50);
    bench.assert_all_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn d06_submit_races_stop_without_panic() {
    let bench = Bench::rich(2).await;
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    bench.market.trades(1, 2);
    let desk = Arc::new(bench.start());
    bench.drained(&desk).await;
    let market = bench.market.clone();
    let trading = tokio::spawn(async move {
        for _ in 0..500 {
            market.trade(1, 2);
            tokio::task::yield_now().await;
        }
    });
    let asking = {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            while desk.requeue(TradeId(1)).await.is_ok() {}
            desk.requeue(TradeId(1)).await
        })
    };
    tokio::task::yield_now().await;
    desk.stop().await;
    assert_eq!(asking.await.unwrap(), Err(DeskError::Stopped));
    trading.await.unwrap();
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_settled_but(2, &[TradeId(1)]).await;
}

#[tokio::test(start_paused = true)]
async fn d06_full_queue_loses_nothing() {
    let bench = Bench::rich(10).await.with(|options| options.window = 10);
    bench.market.trades(5_000, 10);
    let desk = bench.start();
    bench.drained(&desk).await;
    assert_eq!(desk.board().counts().dead_lettered, 0);
    bench.assert_all_settled(10).await;
}

/// The disk fails while trades are settled: settlement halts and says so, and nothing is lost.
#[tokio::test(start_paused = true)]
async fn d11_store_failure_never_loses_a_trade() {
    let bench = Bench::rich(2).await;
    let desk = bench.start();
    let directory = bench.directory.path().join("settlement");
    let away = bench.directory.path().join("away");
    std::fs::rename(&directory, &away).unwrap();
    bench.market.trades(100, 2);
    until(&desk, |status| status.halted.is_some()).await;
    desk.stop().await;
    std::fs::remove_dir_all(&directory).ok();
    std::fs::rename(&away, &directory).unwrap();
    assert_eq!(bench.peek().cursor, 0);
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn d30_dead_letters_cannot_be_dropped() {
    let bench = Bench::rich(2).await;
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    bench.market.trades(1, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    let (operator, correction) = (user(77), user(78));
    for (reason, correction) in [("", correction), ("  ", correction), ("why", Uuid::nil())] {
        let refused = desk.discard(TradeId(1), operator, reason, correction).await;
        assert_eq!(refused, Err(DeskError::ReasonRequired));
    }
    assert_eq!(desk.board().progress().letters.len(), 1);
    desk.discard(TradeId(1), operator, "paid by hand", correction).await.unwrap();
    let letters = bench.peek().letters;
    assert_eq!((letters.len(), letters.discarded().count()), (0, 1), "and it is on record");
}

#[tokio::test(start_paused = true)]
async fn d31_stop_twice_waits() {
    let bench = Bench::rich(2).await;
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    bench.market.trades(1, 2);
    let desk = Arc::new(bench.start());
    until(&desk, |status| status.in_flight == 1).await;
    let stops: Vec<_> = (0..3)
        .map(|_| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.stop().await })
        })
        .collect();
    let_pass(Duration::from_secs(5)).await;
    assert!(stops.iter().all(|stop| !stop.is_finished()), "a call is under way");
    permits.add_permits(1);
    for stop in stops {
        stop.await.unwrap();
    }
    desk.stop().await;
    bench.assert_all_settled(2).await;
    assert_eq!(bench.peek().cursor, 1);
}

#[tokio::test(start_paused = true)]
async fn d32_same_ids_on_replay() {
    let bench = Bench::rich(2).await;
    bench.market.trades(3, 2);
    let ids = async || {
        let mut ids = Vec::new();
        for number in 1..=3 {
            let made = bench.mock().settlement_of_trade(context(), trade_id(number)).await;
            ids.push(made.unwrap().unwrap().settlement_id);
        }
        ids
    };
    let desk = bench.start();
    bench.drained(&desk).await;
    let before = (ids().await, bench.line.seen().calls);
    desk.stop().await;
    std::fs::remove_file(bench.directory.path().join("settlement/settlement.state")).unwrap();
    let desk = bench.start();
    bench.drained(&desk).await;
    let calls = bench.line.seen().calls;
    assert_eq!(calls[before.1.len()..], before.1, "the same keys");
    assert_eq!(ids().await, before.0);
    let shown = |number| desk.board().trade(TradeId(number)).settlement_id.unwrap();
    assert_eq!([1, 2, 3].map(shown).to_vec(), before.0);
}
