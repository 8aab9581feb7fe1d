//! The mock's faults and modes; its rules are checked by the contract.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;

use super::*;
use crate::client::limits::BATCH_MAX;
use crate::client::{CallOutcome, WalletClient};
use crate::ledger::types::{CreditTo, FundingDirection, ReleaseReason, ReserveReason};

fn code(text: &str) -> AssetCode {
    AssetCode::new(text).unwrap()
}

fn mock() -> MockWallet {
    MockWallet::new(assets())
}

fn assets() -> Assets {
    Assets::new([(code("BTC"), 8), (code("USDT"), 2)]).unwrap()
}

fn context() -> CallContext {
    let deadline = Instant::now() + Duration::from_secs(60);
    CallContext { deadline, trace_id: 0, max_retries: None }
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn user() -> Uuid {
    uuid(1)
}

fn reserve(order: u128, amount: Amount) -> ReserveRequest {
    let (order_id, reason) = (uuid(order), ReserveReason::OrderPlacement);
    ReserveRequest { user_id: user(), asset: code("USDT"), amount, order_id, reason }
}

fn release(order: u128) -> ReleaseRequest {
    ReleaseRequest {
        reservation_id: None,
        order_id: Some(uuid(order)),
        asset: code("USDT"),
        reason: ReleaseReason::OrderFilled,
        captured_total: None,
    }
}

fn trade(order: u128) -> SettleRequest {
    SettleRequest {
        trade_id: uuid(900),
        buyer_id: user(),
        seller_id: user(),
        buyer_order_id: uuid(order),
        seller_order_id: uuid(order),
        base: code("BTC"),
        quote: code("USDT"),
        base_amount: 100_000_000,
        quote_amount: 5_000,
        price: Decimal::from(50),
        buyer_fee: 10,
        seller_fee: 5,
        credit_to: CreditTo::Available,
    }
}

async fn available(mock: &MockWallet) -> Amount {
    mock.get_balance(context(), user(), code("USDT")).await.unwrap().available
}

#[tokio::test]
async fn mock_01_balances_are_set_and_add_up() {
    let mock = mock();
    let unknown = mock.get_balance(context(), user(), code("USDT")).await;
    assert_eq!(unknown, Err(WalletError::UserNotFound));
    for amount in [1_000, 0, 700] {
        mock.set_balance(user(), code("USDT"), amount);
        assert_eq!(available(&mock).await, amount);
        assert_eq!(mock.total(code("USDT")), 0);
    }
}

#[tokio::test]
async fn mock_02_fees_reach_their_account() {
    let mock = mock();
    mock.set_balance(user(), code("USDT"), 5_010);
    mock.set_balance(user(), code("BTC"), 100_000_000);
    mock.reserve(context(), &reserve(1, 5_010)).await.unwrap();
    let base = ReserveRequest { asset: code("BTC"), amount: 100_000_000, ..reserve(1, 0) };
    mock.reserve(context(), &base).await.unwrap();
    mock.settle(context(), &trade(1)).await.unwrap();
    assert_eq!((mock.fees(code("USDT")), mock.fees(code("BTC"))), (15, 0));
    assert_eq!(available(&mock).await, 4_995);
    assert_eq!((mock.total(code("USDT")), mock.total(code("BTC"))), (0, 0));
}

#[tokio::test]
async fn mock_03_faults_without_effect() {
    let retry_after = Some(Duration::from_secs(3));
    for (fault, error, outcome) in [
        (Fault::Down, WalletError::WalletServiceDown, CallOutcome::NotExecuted),
        (Fault::Timeout, WalletError::Timeout, CallOutcome::Unknown),
        (Fault::ServerError, broken("internal error"), CallOutcome::Unknown),
        (Fault::ReadOnly, WalletError::ReadOnly, CallOutcome::NotExecuted),
        (Fault::Insufficient, WalletError::InsufficientBalance, CallOutcome::Refused),
        (
            Fault::RateLimited(retry_after),
            WalletError::RateLimited { retry_after },
            CallOutcome::NotExecuted,
        ),
    ] {
        let mock = mock();
        mock.set_balance(user(), code("USDT"), 100);
        mock.fail(None, fault, 1);
        let result = mock.reserve(context(), &reserve(1, 10)).await;
        assert_eq!(result, Err(error.clone()));
        assert_eq!(error.outcome(), outcome, "{fault:?}");
        assert_eq!((available(&mock).await, mock.faults_fired()), (100, 1), "{fault:?}");
        mock.reserve(context(), &reserve(1, 10)).await.expect("once was asked for");
    }
}

#[tokio::test]
async fn mock_04_faults_after_the_effect() {
    for fault in [Fault::LostReply, Fault::Garbage] {
        let mock = mock();
        mock.set_balance(user(), code("USDT"), 100);
        mock.fail(Some(Method::Reserve), fault, 1);
        let error = mock.reserve(context(), &reserve(1, 10)).await.unwrap_err();
        assert_eq!(error.outcome(), CallOutcome::Unknown, "{fault:?}");
        assert_eq!(available(&mock).await, 90, "{fault:?}: it has happened");
        let again = mock.reserve(context(), &reserve(1, 10)).await.unwrap();
        assert_eq!(again.balance.reserved, 10, "{fault:?}: and not twice");
    }
}

#[tokio::test]
async fn mock_05_a_duplicate_request_has_one_effect() {
    let mock = mock();
    mock.set_balance(user(), code("USDT"), 100);
    mock.fail(None, Fault::Duplicate, 2);
    let reserved = mock.reserve(context(), &reserve(1, 10)).await.unwrap();
    assert_eq!((reserved.balance.available, mock.faults_fired()), (90, 1));
    let released = mock.release(context(), &release(1)).await.unwrap();
    assert_eq!((released.released, mock.faults_fired()), (10, 2));
    assert_eq!(available(&mock).await, 100);
}

#[tokio::test(start_paused = true)]
async fn mock_06_delay_and_deadline() {
    let mock = mock();
    mock.set_balance(user(), code("USDT"), 100);
    mock.fail(None, Fault::Delay(Duration::from_secs(2)), 2);
    let begun = Instant::now();
    mock.reserve(context(), &reserve(1, 10)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let soon = Instant::now() + Duration::from_secs(1);
    let hurried = CallContext { deadline: soon, ..context() };
    let late = mock.reserve(hurried, &reserve(2, 10)).await;
    assert_eq!(late, Err(WalletError::Timeout));
    assert_eq!(available(&mock).await, 90, "a request that was given up does not arrive");
}

#[tokio::test]
async fn mock_07_faults_are_planned_by_method_and_taken_back() {
    let mock = mock();
    mock.set_balance(user(), code("USDT"), 100);
    mock.fail(Some(Method::Settle), Fault::Down, 1);
    mock.fail(Some(Method::Reserve), Fault::Timeout, 2);
    mock.fail(Some(Method::Reserve), Fault::Down, usize::MAX);
    mock.fail(None, Fault::ReadOnly, 0);
    assert_eq!(available(&mock).await, 100);
    for error in [
        WalletError::Timeout,
        WalletError::Timeout,
        WalletError::WalletServiceDown,
        WalletError::WalletServiceDown,
    ] {
        assert_eq!(mock.reserve(context(), &reserve(1, 10)).await, Err(error));
    }
    mock.clear_faults();
    mock.reserve(context(), &reserve(1, 10)).await.unwrap();
    assert_eq!((mock.faults_fired(), mock.calls(Method::Reserve)), (4, 5));
}

#[tokio::test]
async fn mock_08_a_user_can_be_refused() {
    let mock = mock();
    mock.set_balance(user(), code("USDT"), 100);
    mock.set_balance(uuid(2), code("USDT"), 100);
    mock.refuse_user(user());
    let refused = Err(WalletError::UserNotFound);
    assert_eq!(mock.reserve(context(), &reserve(1, 10)).await, refused);
    let other = ReserveRequest { user_id: uuid(2), ..reserve(2, 10) };
    let batch = mock.reserve_batch(context(), &[reserve(1, 10), other]).await.unwrap();
    assert_eq!(batch[0], refused);
    assert!(batch[1].is_ok(), "others are served");
    let settled = mock.settle_batch(context(), &[trade(1)]).await.unwrap();
    assert_eq!(settled, [Err(WalletError::UserNotFound)]);
    mock.clear_faults();
    mock.reserve(context(), &reserve(1, 10)).await.unwrap();
}

#[tokio::test]
async fn mock_09_permissive_says_yes_to_everything() {
    let mock = MockWallet::permissive(assets());
    let request = reserve(1, 1_000_000_000);
    let first = mock.reserve(context(), &request).await.unwrap();
    let second = mock.reserve(context(), &request).await.unwrap();
    assert_ne!(first.reservation_id, second.reservation_id, "a new id each time");
    let balance = WalletBalance { available: 1_000_000, reserved: request.amount };
    assert_eq!((first.balance, second.balance), (balance, balance), "10,000.00");
    for _ in 0..2 {
        let released = mock.release(context(), &release(77)).await.unwrap();
        assert_eq!(released.released, 10_000, "100.00");
    }
    let settlement = mock.settle(context(), &trade(1)).await.unwrap();
    assert_eq!(mock.settle(context(), &trade(1)).await, Ok(settlement));
    assert_eq!(mock.settlement_of_trade(context(), uuid(900)).await, Ok(Some(settlement)));
    assert_eq!(available(&mock).await, 1_000_000, "no money moves");
    assert_eq!(mock.total(code("USDT")), 0);
    let unlisted = ReserveRequest { asset: code("DOGE"), ..request };
    assert!(mock.reserve(context(), &unlisted).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mock_10_many_callers_at_once_keep_the_books() {
    let mock = Arc::new(mock());
    mock.set_balance(user(), code("USDT"), 100_000);
    let tasks: Vec<_> = (0..8u128)
        .map(|task| {
            let mock = Arc::clone(&mock);
            tokio::spawn(async move {
                for n in 0..100 {
                    let order = 1 + task * 100 + n;
                    mock.reserve(context(), &reserve(order, 10)).await.unwrap();
                    if n % 2 == 0 {
                        mock.release(context(), &release(order)).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let balance = mock.get_balance(context(), user(), code("USDT")).await.unwrap();
    assert_eq!((balance.available, balance.reserved), (96_000, 4_000));
    assert_eq!((mock.calls(Method::Reserve), mock.calls(Method::Release)), (800, 400));
    assert_eq!(mock.total(code("USDT")), 0);
}

#[tokio::test(start_paused = true)]
async fn mock_11_closing_waits_for_what_is_under_way() {
    let mock = Arc::new(mock());
    mock.set_balance(user(), code("USDT"), 100);
    mock.fail(None, Fault::Delay(Duration::from_secs(1)), 1);
    let call = tokio::spawn({
        let mock = Arc::clone(&mock);
        async move { mock.reserve(context(), &reserve(1, 10)).await }
    });
    while mock.faults_fired() == 0 {
        tokio::task::yield_now().await;
    }
    mock.close().await;
    assert!(call.await.unwrap().is_ok(), "it has ended well");
    let refused = mock.reserve(context(), &reserve(2, 10)).await;
    assert_eq!(refused, Err(WalletError::Closed));
}

#[tokio::test]
async fn a_batch_holds_up_to_its_bound() {
    let mock = mock();
    mock.set_balance(user(), code("USDT"), 1_000);
    let requests: Vec<_> = (1..=65).map(|order| reserve(order, 10)).collect();
    assert_eq!(BATCH_MAX, 64);
    let answers = mock.reserve_batch(context(), &requests[..64]).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    let error = mock.reserve_batch(context(), &requests).await.unwrap_err();
    assert_eq!(error.outcome(), CallOutcome::Refused);
    assert_eq!(available(&mock).await, 360);
}

#[tokio::test]
async fn frozen_money_does_not_leave() {
    let mock = mock();
    mock.set_balance(user(), code("USDT"), 100);
    mock.freeze_withdrawals(context(), code("USDT"), true).await.unwrap();
    assert!(mock.recall(user(), code("USDT"), 10).is_err());
    mock.freeze_withdrawals(context(), code("USDT"), false).await.unwrap();
    let id = mock.recall(user(), code("USDT"), 10).unwrap();
    let wait = Duration::from_secs(1);
    let events = mock.funding_events(context(), 0, 10, wait).await.unwrap();
    assert_eq!((events[0].transaction_id, events[0].direction), (id, FundingDirection::Recall));
    let short = mock.conclude_funding(context(), id, true).await;
    assert_eq!(short, Err(WalletError::InsufficientBalance), "nothing is lent");
}
