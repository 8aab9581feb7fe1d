//! The client against a server that answers what it is told to, over real connections.

use std::net::TcpListener;

use engine::AssetCode;
use serde_json::json;
use uuid::Uuid;
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::client::CallOutcome;
use crate::client::contract::served_mock::{ServedMock, answering_bytes};
use crate::client::metrics::BreakerState;
use crate::client::options::Secret;
use crate::client::{ReleaseRequest, ReserveRequest, SettleRequest, WalletBalance, WalletClient};
use crate::ledger::types::{CreditTo, ReleaseReason, ReserveReason};

const MS: fn(i64) -> jiff::SignedDuration = jiff::SignedDuration::from_millis;

fn code(text: &str) -> AssetCode {
    AssetCode::new(text).unwrap()
}

fn assets() -> Assets {
    Assets::new([(code("BTC"), 8), (code("USDT"), 8)]).unwrap()
}

/// Short pauses, no breaker.
fn options(base_url: String) -> WalletClientOptions {
    WalletClientOptions {
        base_url,
        retry_wait_time: MS(1),
        retry_max_wait_time: MS(4),
        circuit_breaker_enabled: false,
        ..WalletClientOptions::default()
    }
}

fn client_with(options: &WalletClientOptions) -> HttpWalletClient {
    HttpWalletClient::new(options, assets()).unwrap()
}

fn client(server: &MockServer) -> HttpWalletClient {
    client_with(&options(server.uri()))
}

fn context() -> CallContext {
    CallContext::within(Duration::from_secs(20))
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn reserve() -> ReserveRequest {
    ReserveRequest {
        user_id: uuid(1),
        asset: code("USDT"),
        amount: 7_515_000_000_000,
        order_id: uuid(2),
        reason: ReserveReason::OrderPlacement,
    }
}

fn reserve_answer() -> Value {
    json!({
        "success": true, "reservation_id": uuid(7), "available_balance": "24850",
        "reserved_balance": "75150",
    })
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn refusal(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": "no", "code": code}))
}

async fn answering(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(template).mount(&server).await;
    server
}

/// Answers the first requests one way and all others another.
async fn answering_first(
    times: u64,
    first: ResponseTemplate,
    then: ResponseTemplate,
) -> MockServer {
    let server = MockServer::start().await;
    let any = || Mock::given(wiremock::matchers::any());
    any().respond_with(first).up_to_n_times(times).mount(&server).await;
    any().respond_with(then).mount(&server).await;
    server
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

#[tokio::test]
async fn http_01_reserve_speaks_the_contract() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/api/wallets/reserve"))
        .and(header("content-type", "application/json"))
        .and(header("authorization", "Bearer hush"))
        .and(header("traceparent", "00-0000000000000000000000000000002a-0000000000000001-01"))
        .and(body_json(json!({
            "user_id": uuid(1), "asset": "USDT", "amount": "75150", "order_id": uuid(2),
            "reason": "ORDER_PLACEMENT",
        })))
        .respond_with(ok(&reserve_answer()))
        .expect(1)
        .mount(&server)
        .await;
    let token = Some(Secret::new("hush"));
    let client = client_with(&WalletClientOptions { token, ..options(server.uri()) });
    let reserved = client.reserve(context().traced(42), &reserve()).await.unwrap();
    assert_eq!(reserved.reservation_id, uuid(7));
    assert_eq!(reserved.balance.available, 2_485_000_000_000);
    assert_eq!(reserved.balance.reserved, 7_515_000_000_000);
    assert!(!format!("{client:?}").contains("hush"));
}

#[tokio::test]
async fn http_02_release_by_order_speaks_the_contract() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/api/wallets/release"))
        .and(body_json(json!({
            "order_id": uuid(2), "asset": "USDT", "reason": "ORDER_FILLED",
            "captured_total": "74999.7",
        })))
        .respond_with(ok(&json!({"success": true, "released_amount": "150.3"})))
        .mount(&server)
        .await;
    let request = ReleaseRequest {
        reservation_id: None,
        order_id: Some(uuid(2)),
        asset: code("USDT"),
        reason: ReleaseReason::OrderFilled,
        captured_total: Some(7_499_970_000_000),
    };
    let released = client(&server).release(context(), &request).await.unwrap();
    assert_eq!(released.released, 15_030_000_000);
    assert!(requests(&server).await[0].headers.get("traceparent").is_none(), "there is no trace");
}

#[tokio::test]
async fn http_03_settle_speaks_the_contract() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/api/wallets/settle"))
        .and(body_json(json!({
            "trade_id": uuid(3), "buyer_id": uuid(1), "seller_id": uuid(4),
            "buyer_order_id": uuid(2), "seller_order_id": uuid(5), "base_currency": "BTC",
            "quote_currency": "USDT", "base_amount": "0.1", "quote_amount": "5000",
            "price": "50000", "buyer_fee": "5", "seller_fee": "2.5", "credit_to": "AVAILABLE",
        })))
        .respond_with(ok(&json!({
            "success": true, "settlement_id": uuid(9), "buyer_reservation_released": true,
            "seller_reservation_released": false, "settled_at": "1970-01-01T00:00:01Z",
        })))
        .mount(&server)
        .await;
    let request = SettleRequest {
        trade_id: uuid(3),
        buyer_id: uuid(1),
        seller_id: uuid(4),
        buyer_order_id: uuid(2),
        seller_order_id: uuid(5),
        base: code("BTC"),
        quote: code("USDT"),
        base_amount: 10_000_000,
        quote_amount: 500_000_000_000,
        price: 50_000.into(),
        buyer_fee: 500_000_000,
        seller_fee: 250_000_000,
        credit_to: CreditTo::Available,
    };
    let settlement = client(&server).settle(context(), &request).await.unwrap();
    assert_eq!((settlement.settlement_id, settlement.settled_at_ns), (uuid(9), 1_000_000_000));
    assert!(settlement.buyer_reservation_released && !settlement.seller_reservation_released);
}

#[tokio::test]
async fn http_04_balance_is_of_the_user_that_was_asked_for() {
    let server = MockServer::start().await;
    let answer = json!({
        "user_id": uuid(1), "currency": "BTC", "available_balance": "1.5",
        "reserved_balance": "0.5", "total_balance": "2",
    });
    Mock::given(method("GET")).respond_with(ok(&answer)).mount(&server).await;
    let client = client(&server);
    let balance = client.get_balance(context(), uuid(1), code("BTC")).await.unwrap();
    assert_eq!(balance, WalletBalance { available: 150_000_000, reserved: 50_000_000 });
    let path = requests(&server).await[0].url.path().to_owned();
    assert_eq!(path, format!("/api/wallets/balance/{}/BTC", uuid(1)));
    let other = client.get_balance(context().once(), uuid(2), code("BTC")).await;
    assert_eq!(other.unwrap_err().outcome(), CallOutcome::Unknown);
}

#[tokio::test]
async fn http_05_insufficient_balance_is_refused_without_a_retry() {
    let server = answering(refusal(400, "INSUFFICIENT_BALANCE")).await;
    let result = client(&server).reserve(context(), &reserve()).await;
    assert_eq!(result, Err(WalletError::InsufficientBalance));
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn http_06_server_errors_are_tried_again_with_the_same_bytes() {
    let server = answering_first(3, ResponseTemplate::new(500), ok(&reserve_answer())).await;
    let client = client(&server);
    client.reserve(context(), &reserve()).await.unwrap();
    let requests = requests(&server).await;
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    let snapshot = client.metrics().snapshot();
    let counted = snapshot.method(Method::Reserve);
    assert_eq!((counted.ended("ok"), counted.retries, counted.duration_count), (1, 3, 1));
    assert_eq!((snapshot.in_flight, snapshot.connections_active), (0, 0));
}

#[tokio::test]
async fn http_07_retries_end() {
    let server = answering(ResponseTemplate::new(503)).await;
    let error = client(&server).reserve(context(), &reserve()).await.unwrap_err();
    assert_eq!(error.outcome(), CallOutcome::Unknown);
    assert_eq!(requests(&server).await.len(), 4, "one try and three after it");
}

#[tokio::test]
async fn http_08_answers_that_cannot_be_read_are_unknown() {
    for body in ["", "not json", "{\"success\":true}", "{\"success\":true,\"reservation_id\":1}"] {
        let server = answering(ResponseTemplate::new(200).set_body_string(body)).await;
        let error = client(&server).reserve(context().once(), &reserve()).await.unwrap_err();
        assert!(matches!(error, WalletError::InvalidResponse(_)), "{body}: {error}");
    }
    let mut inexact = reserve_answer();
    inexact["available_balance"] = json!("0.000000001");
    let server = answering(ok(&inexact)).await;
    let error = client(&server).reserve(context().once(), &reserve()).await.unwrap_err();
    assert_eq!(error.outcome(), CallOutcome::Unknown);
}

#[tokio::test]
async fn http_09_a_wallet_that_is_not_there_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client_with(&options(format!("http://{address}")));
    let result = client.reserve(context(), &reserve()).await;
    assert_eq!(result, Err(WalletError::WalletServiceDown));
    assert_eq!(client.metrics().snapshot().method(Method::Reserve).retries, 3);
}

#[tokio::test]
async fn http_10_an_answer_that_is_too_long_is_not_kept() {
    let mut long = reserve_answer();
    let mut with_padding = |bytes: usize| {
        long["padding"] = json!("");
        let rest = serde_json::to_vec(&long).unwrap().len();
        long["padding"] = json!("x".repeat(bytes - rest));
        assert_eq!(serde_json::to_vec(&long).unwrap().len(), bytes);
        ok(&long)
    };
    let bound = crate::client::limits::ANSWER_BYTES_MAX;
    let server = answering(with_padding(bound)).await;
    client(&server).reserve(context().once(), &reserve()).await.unwrap();
    let server = answering(with_padding(bound + 1)).await;
    let error = client(&server).reserve(context().once(), &reserve()).await.unwrap_err();
    assert_eq!(error, WalletError::InvalidResponse("answer is too long".to_owned()));
}

#[tokio::test]
async fn http_11_too_many_requests_wait_as_long_as_they_are_told() {
    let limited = refusal(429, "RATE_LIMITED").insert_header("retry-after", "30");
    let server = answering(limited).await;
    let result = client(&server).reserve(context(), &reserve()).await;
    let retry_after = Some(Duration::from_secs(30));
    assert_eq!(result, Err(WalletError::RateLimited { retry_after }));
    assert_eq!(requests(&server).await.len(), 1, "30 s are beyond the deadline");
    let limited = refusal(429, "RATE_LIMITED").insert_header("retry-after", "0");
    let server = answering_first(1, limited, ok(&reserve_answer())).await;
    client(&server).reserve(context(), &reserve()).await.unwrap();
    assert_eq!(requests(&server).await.len(), 2);
}

#[tokio::test]
async fn d01_retried_reserve_makes_one_hold() {
    // The first answers are lost on their way back: the wallet has done what it was asked.
    let (url, served) = ServedMock::start(assets(), 2).await;
    let mock = &served.mock;
    mock.set_balance(uuid(1), code("USDT"), 10_000_000_000_000);
    let client = client_with(&options(url));
    let reserved = client.reserve(context(), &reserve()).await.unwrap();
    assert_eq!(mock.calls(Method::Reserve), 3);
    let balance = mock.get_balance(context(), uuid(1), code("USDT")).await.unwrap();
    assert_eq!(balance.reserved, 7_515_000_000_000, "held once");
    let found = mock.reservation_of_order(context(), uuid(2)).await.unwrap().unwrap();
    assert_eq!(found.reservation_id, reserved.reservation_id);
}

#[tokio::test]
async fn d03_three_requests_per_trade() {
    // Whoever has a retry policy of three attempts calls three times with one try each.
    let server = answering(ResponseTemplate::new(500)).await;
    let client = client(&server);
    for attempt in 1..=3 {
        assert!(client.reserve(context().once(), &reserve()).await.is_err());
        assert_eq!(requests(&server).await.len(), attempt);
    }
    let without = client_with(&WalletClientOptions { max_retries: 0, ..options(server.uri()) });
    assert!(without.reserve(context(), &reserve()).await.is_err());
    assert_eq!(requests(&server).await.len(), 4);
}

#[tokio::test]
async fn d15_timeout_is_unknown_not_down() {
    let slow = ok(&reserve_answer()).set_delay(Duration::from_secs(60));
    let server = answering(slow).await;
    let quick = WalletClientOptions { timeout: MS(50), max_retries: 1, ..options(server.uri()) };
    let error = client_with(&quick).reserve(context(), &reserve()).await.unwrap_err();
    assert_eq!((error.clone(), error.outcome()), (WalletError::Timeout, CallOutcome::Unknown));
    assert_eq!(requests(&server).await.len(), 2);

    // Connections that break after the request was read, and answers that are cut short.
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"success\":true"] {
        let client = client_with(&options(answering_bytes(answer).await));
        let error = client.reserve(context().once(), &reserve()).await.unwrap_err();
        assert_eq!(error, WalletError::InvalidResponse("connection broke".to_owned()), "{answer}");
        assert_eq!(error.outcome(), CallOutcome::Unknown);
    }
}

#[tokio::test]
async fn d13_success_false_is_a_refusal_of_the_call() {
    let answer = json!({"success": false, "code": "INSUFFICIENT_BALANCE", "message": "poor"});
    let server = answering(ok(&answer)).await;
    let result = client(&server).reserve(context(), &reserve()).await;
    assert_eq!(result, Err(WalletError::InsufficientBalance));
    assert_eq!(requests(&server).await.len(), 1, "and not tried again");
}

#[tokio::test]
async fn absent_things_are_none_and_unknown_paths_are_not() {
    let server = answering(refusal(404, "RESERVATION_NOT_FOUND")).await;
    assert_eq!(client(&server).reservation_of_order(context(), uuid(2)).await, Ok(None));
    assert_eq!(requests(&server).await[0].url.query(), Some(&*format!("order_id={}", uuid(2))));
    let server = answering(refusal(404, "SETTLEMENT_NOT_FOUND")).await;
    assert_eq!(client(&server).settlement_of_trade(context(), uuid(2)).await, Ok(None));
    let server = answering(ResponseTemplate::new(404)).await;
    let client = client(&server);
    assert!(client.settlement_of_trade(context(), uuid(2)).await.is_err());
    assert!(client.reservation_of_order(context(), uuid(2)).await.is_err());
}

#[tokio::test]
async fn a_batch_whose_answer_does_not_fit_is_unknown() {
    let server = answering(ok(&json!({"results": [reserve_answer()]}))).await;
    let client = client(&server);
    let two = [reserve(), ReserveRequest { order_id: uuid(3), ..reserve() }];
    assert!(client.reserve_batch(context(), &two[..1]).await.unwrap()[0].is_ok());
    let error = client.reserve_batch(context().once(), &two).await.unwrap_err();
    assert_eq!(error.outcome(), CallOutcome::Unknown);
    let sent = requests(&server).await.len();
    let many = vec![reserve(); BATCH_MAX + 1];
    let error = client.reserve_batch(context(), &many).await.unwrap_err();
    assert_eq!(error.outcome(), CallOutcome::Refused);
    assert_eq!(client.reserve_batch(context(), &[]).await, Ok(Vec::new()));
    assert_eq!(requests(&server).await.len(), sent, "neither was sent");
}

#[tokio::test]
async fn funding_events_are_asked_for_within_their_bounds() {
    let server = MockServer::start().await;
    Mock::given(path("/api/wallets/funding-events"))
        .and(query_param("after", "5"))
        .and(query_param("limit", "1000"))
        .and(query_param("wait_ms", "30000"))
        .respond_with(ok(&json!({"events": []})))
        .mount(&server)
        .await;
    let wait = Duration::from_secs(3_600);
    let events = client(&server).funding_events(context(), 5, usize::MAX, wait).await;
    assert_eq!(events, Ok(Vec::new()));
}

#[tokio::test]
async fn an_open_breaker_sends_nothing() {
    let server = answering(ResponseTemplate::new(500)).await;
    let breaking = WalletClientOptions { circuit_breaker_enabled: true, ..options(server.uri()) };
    let client = client_with(&breaking);
    let error = client.reserve(context(), &reserve()).await.unwrap_err();
    assert_eq!(error.outcome(), CallOutcome::Unknown, "three tries were sent");
    assert_eq!(requests(&server).await.len(), 3);
    assert_eq!(client.health_check(context()).await, Err(WalletError::CircuitOpen));
    assert_eq!(requests(&server).await.len(), 3);
    let snapshot = client.metrics().snapshot();
    assert_eq!(snapshot.breaker_state, BreakerState::Open);
    assert_eq!(snapshot.method(Method::HealthCheck).ended("circuit_open"), 1);
}

#[tokio::test]
async fn what_cannot_be_written_is_not_sent() {
    let server = answering(ok(&reserve_answer())).await;
    let client = client(&server);
    let unlisted = ReserveRequest { asset: code("DOGE"), ..reserve() };
    let huge = ReserveRequest { amount: u128::MAX, ..reserve() };
    for request in [unlisted, huge] {
        let error = client.reserve(context(), &request).await.unwrap_err();
        assert!(matches!(error, WalletError::InvalidRequest(_)), "{error}");
    }
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = answering(ok(&reserve_answer())).await;
    let location = format!("{}/api/wallets/reserve", elsewhere.uri());
    let server = answering(ResponseTemplate::new(307).insert_header("location", location)).await;
    let error = client(&server).reserve(context().once(), &reserve()).await.unwrap_err();
    assert_eq!(error, WalletError::InvalidResponse("status 307".to_owned()));
    assert!(requests(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn a_hundred_calls_at_once_all_succeed() {
    let server = answering(ok(&reserve_answer())).await;
    let client = client(&server);
    let request = reserve();
    let calls = (0..100).map(|_| client.reserve(context(), &request));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(requests(&server).await.len(), 100);
    assert_eq!(client.metrics().snapshot().method(Method::Reserve).ended("ok"), 100);
}
