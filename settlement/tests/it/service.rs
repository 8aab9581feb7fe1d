//! The settlement of one trade, test by test: what is sent, what an answer means, what is counted.

use rust_decimal::Decimal;
use settlement::{
    Class, SettlementStatus, TradeError, Verdict, amounts, judge, order_key, parse_symbol, validate,
};
use std::time::Duration;

use engine::{OrderId, TradeId};
use settlement::RetryPolicy;
use uuid::Uuid;
use wallet::client::{SettleRequest, WalletError};
use wallet::ledger::types::CreditTo;

use crate::harness::{Bench, Fate, code, status, trade_id, until, user};

/// 0.1 BTC at 50,000 with fees of 5 and 2.5.
fn request() -> SettleRequest {
    const ONE: u128 = 100_000_000;
    SettleRequest {
        trade_id: trade_id(1),
        buyer_id: user(1),
        seller_id: user(2),
        buyer_order_id: order_key(OrderId(1)),
        seller_order_id: order_key(OrderId(2)),
        base: code("BTC"),
        quote: code("USDT"),
        base_amount: ONE / 10,
        quote_amount: 5_000 * ONE,
        price: Decimal::from(50_000),
        buyer_fee: 500_000_000,
        seller_fee: 250_000_000,
        credit_to: CreditTo::Reserved,
    }
}

#[tokio::test(start_paused = true)]
async fn settle_success() {
    let bench = Bench::rich(2).await;
    bench.market.trade(1, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
    let known = desk.board().trade(TradeId(1));
    assert_eq!((known.status.name(), known.retries), ("SETTLED", 0));
}

/// A trade that names nobody must not exist; settlement stops rather than skip it.
#[tokio::test(start_paused = true)]
async fn settle_invalid_trade() {
    let bench = Bench::rich(2).await;
    bench.market.trade(1, 2);
    bench.market.trade(0, 2);
    bench.market.trade(1, 2);
    let desk = bench.start();
    let halted = until(&desk, |status| status.halted.is_some()).await.halted;
    assert_eq!(halted.unwrap(), "trade 2: invalid trade: no buyer");
    desk.stop().await;
    assert!(bench.peek().trade < TradeId(2), "it is never passed");
}

#[tokio::test(start_paused = true)]
async fn settle_wallet_failure() {
    let bench = Bench::rich(2).await;
    bench.line.always(Fate::Fail(WalletError::UserNotFound));
    bench.market.trade(1, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    let known = desk.board().trade(TradeId(1));
    assert_eq!(known.status, SettlementStatus::Failed);
    assert_eq!((known.retries, known.failure_reason.as_deref()), (1, Some("user not found")));
    assert_eq!((known.settlement_id, known.settled_at_ns), (None, None));
}

#[tokio::test(start_paused = true)]
async fn settle_network_error_then_recovery() {
    let bench = Bench::rich(2).await;
    let mut first = true;
    bench.line.fate(move |_| match std::mem::take(&mut first) {
        true => Fate::Fail(WalletError::InvalidResponse("connection reset".to_owned())),
        false => Fate::Pass,
    });
    bench.market.trade(1, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
    assert_eq!(desk.board().counts().failed_tries, 1);
}

#[tokio::test(start_paused = true)]
async fn settle_max_retries() {
    let bench = Bench::rich(2).await.with(|options| options.retry.attempts = 5);
    bench.line.always(Fate::Fail(WalletError::Timeout));
    bench.market.trade(1, 2);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 1).await;
    assert_eq!(bench.line.seen().times(trade_id(1)), 5);
}

#[test]
fn parse_the_symbol() {
    let pair = Ok((code("BTC"), code("USDT")));
    for text in ["BTC/USDT", "BTC-USDT", "BTC_USDT"] {
        assert_eq!(parse_symbol(text), pair, "{text}");
    }
    for text in ["BTCUSDT", "/BTCUSDT", "BTCUSDT/", "", "BTC/USDT/EUR", "BTC/-USDT"] {
        assert_eq!(parse_symbol(text), Err(TradeError::SymbolParsing(text.to_owned())), "{text}");
    }
}

#[test]
fn calculate_amounts() {
    let amounts = amounts(&request()).unwrap();
    assert_eq!((amounts.buyer_pays, amounts.seller_receives), (500_500_000_000, 499_750_000_000));
    assert_eq!((amounts.fees, amounts.base), (750_000_000, 10_000_000));
    assert_eq!(amounts.buyer_pays, amounts.seller_receives + amounts.fees.unsigned_abs());
}

#[tokio::test(start_paused = true)]
async fn metrics() {
    let bench = Bench::rich(2).await;
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    bench.line.refuse(trade_id(2), Some(WalletError::Timeout));
    bench.market.trades(10, 2);
    bench.market.other();
    let desk = bench.start();
    let seen = until(&desk, |status| status.dead_letters == 2 && status.cursor == 11).await;
    let counts = seen.counts;
    assert_eq!((counts.submitted, counts.settled, counts.dead_lettered), (10, 8, 2));
    // One refusal, three timeouts; the first call had all ten trades.
    assert_eq!((counts.failed_tries, counts.calls, counts.waits), (4, 3, 0));
    assert_eq!((seen.head, seen.window, seen.in_flight), (11, 0, 0));
    assert!(seen.oldest_dead_letter_ns.is_some() && seen.oldest_unsettled_ns.is_none());
}

#[test]
fn error_classification() {
    let text = || "x".to_owned();
    for error in [WalletError::Timeout, WalletError::InvalidResponse(text())] {
        assert_eq!(judge(&error), Verdict::Retry, "{error}");
    }
    for error in [WalletError::WalletServiceDown, WalletError::CircuitOpen, WalletError::ReadOnly] {
        assert_eq!(judge(&error), Verdict::Wait, "{error}");
    }
    for error in [WalletError::UserNotFound, WalletError::InvalidRequest(text())] {
        assert_eq!(judge(&error), Verdict::Dead(Class::Terminal), "{error}");
    }
    assert_eq!(judge(&WalletError::InsufficientBalance), Verdict::Short);
    assert_eq!(judge(&WalletError::Conflict(text())), Verdict::Dead(Class::Impossible));
}

#[test]
fn validate_the_trade() {
    let good = request();
    assert_eq!(validate(&good), Ok(()));
    for bad in [
        SettleRequest { trade_id: Uuid::nil(), ..good },
        SettleRequest { buyer_id: Uuid::nil(), ..good },
        SettleRequest { base_amount: 0, ..good },
        SettleRequest { base: engine::AssetCode::default(), ..good },
        SettleRequest { seller_fee: i128::MAX, ..good },
        SettleRequest { buyer_fee: -good.quote_amount.cast_signed() - 1, ..good },
    ] {
        assert!(matches!(validate(&bad), Err(TradeError::InvalidTrade(_))), "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_concurrent_settlements() {
    let bench = Bench::rich(10).await.with(|options| options.batch = 1);
    bench.market.trades(10, 10);
    let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    bench.line.always(Fate::Hold(std::sync::Arc::clone(&permits)));
    let desk = bench.start();
    until(&desk, |status| status.in_flight == 10).await;
    permits.add_permits(10);
    bench.drained(&desk).await;
    bench.assert_all_settled(10).await;
    assert_eq!(bench.line.seen().most_in_flight, 10);
}

/// The wallet has settled and the file cannot be written: the next start asks again and is told
/// what was done.
#[tokio::test(start_paused = true)]
async fn database_failure_after_wallet_success() {
    let bench = Bench::rich(2).await;
    let desk = bench.start();
    let state = bench.directory.path().join("settlement/settlement.state");
    let kept = std::fs::read(&state).unwrap();
    std::fs::write(&state, b"no state file any more").unwrap();
    bench.market.trades(2, 2);
    until(&desk, |status| status.halted.is_some()).await;
    assert_eq!(desk.board().counts().settled, 2);
    desk.stop().await;
    assert!(bench.try_start().is_err(), "a damaged file is not taken for an empty one");
    std::fs::write(&state, kept).unwrap();
    let desk = bench.start();
    bench.drained(&desk).await;
    bench.assert_all_settled(2).await;
}

#[tokio::test(start_paused = true)]
async fn the_retry_policy_is_set_at_run_time() {
    let bench = Bench::rich(2).await;
    bench.line.always(Fate::Fail(WalletError::Timeout));
    let desk = bench.start();
    let second = Duration::from_secs(1);
    let retry = RetryPolicy { attempts: 2, wait: second, wait_max: second };
    desk.set_retry(retry).await.unwrap();
    bench.market.trade(1, 2);
    let begun = tokio::time::Instant::now();
    until(&desk, |status| status.dead_letters == 1).await;
    assert!(begun.elapsed() >= second / 2, "half of the pause at least");
    assert_eq!(bench.line.seen().times(trade_id(1)), 2);
    for bad in [
        RetryPolicy { attempts: 0, ..retry },
        RetryPolicy { wait: Duration::ZERO, ..retry },
        RetryPolicy { wait: second * 2, ..retry },
    ] {
        assert!(desk.set_retry(bad).await.is_err(), "{bad:?}");
    }
    assert_eq!(status(&desk.board(), TradeId(1)), SettlementStatus::Pending);
}
