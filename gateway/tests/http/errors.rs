//! Who may do what, and what is said to everybody else.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use gateway::auth::Scope;
use gateway::limits::HEADERS_MAX;
use gateway::request::{envelope, panicked};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use crate::harness::{Exchange, answer, limit, request};

/// A log that a test can read.
struct LogLines(Arc<Mutex<Vec<u8>>>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_valid_token_is_401_everywhere() {
    let exchange = Exchange::start().await;
    let before = exchange.sequence();
    let state = exchange.app.state();
    let user = gateway::ids::user("buyer").unwrap();
    let ttl = std::time::Duration::from_secs(60);
    let scopes = [Scope::Read, Scope::Trade, Scope::Admin];
    let expired = state.authenticator.sign(user, &scopes, state.now_s() - 61, ttl).unwrap();
    for (method, path) in [
        (Method::POST, "/api/v1/orders"),
        (Method::GET, "/api/v1/orders"),
        (Method::DELETE, "/api/v1/orders"),
        (Method::GET, "/api/v1/orders/x"),
        (Method::PATCH, "/api/v1/orders/x"),
        (Method::DELETE, "/api/v1/orders/x"),
        (Method::GET, "/api/v1/orders/by-client-id/x"),
        (Method::GET, "/api/v1/balances"),
        (Method::POST, "/api/v1/admin/credits"),
        (Method::GET, "/api/v1/admin/state-hash"),
        (Method::POST, "/api/v1/admin/snapshot"),
        (Method::POST, "/api/v1/admin/symbols/BTC-USDT/status"),
        (Method::POST, "/api/v1/admin/accounts/x/status"),
        (Method::GET, "/api/v1/admin/limits"),
        (Method::POST, "/api/v1/admin/limits"),
        (Method::GET, "/api/v1/admin/kill-switches"),
        (Method::PUT, "/api/v1/admin/kill-switch"),
        (Method::PUT, "/api/v1/admin/symbols/BTC-USDT/kill-switch"),
        (Method::PUT, "/api/v1/admin/accounts/x/kill-switch"),
        (Method::POST, "/api/v1/admin/symbols/BTC-USDT/end-session"),
    ] {
        for token in [None, Some("fake-jwt-token"), Some(""), Some(expired.as_str())] {
            let body = limit("BUY", "1", "50000");
            let request = request(method.clone(), path, token, Some(&body));
            let refused = exchange.send(request).await.refused(401, "UNAUTHORIZED");
            assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        }
    }
    let basic = Request::get("/api/v1/balances").header("authorization", "Basic YTpi");
    exchange.send(basic.body(Body::empty()).unwrap()).await.refused(401, "UNAUTHORIZED");
    assert_eq!(exchange.sequence(), before);
}

#[tokio::test]
async fn a_missing_scope_is_403() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let id = exchange.limit("buyer", "BUY", "1", "50000").await;
    let before = exchange.sequence();
    let order = limit("BUY", "1", "50000");
    let own = format!("/api/v1/orders/{id}");
    let amend = json!({"quantity": "0.5"});
    let credit = json!({"user": "x", "asset": "USDT", "amount": "1", "reference": "r"});
    let status = json!({"status": "HALTED"});
    let (on, limits) = (json!({"on": true}), json!({"symbol": "BTC-USDT", "max_quantity": "1"}));
    for (scopes, method, path, body) in [
        (&[Scope::Read][..], Method::POST, "/api/v1/orders", Some(&order)),
        (&[Scope::Read], Method::POST, "/api/v1/orders", None),
        (&[Scope::Read], Method::PATCH, &own, Some(&amend)),
        (&[Scope::Read], Method::DELETE, &own, None),
        (&[Scope::Read], Method::DELETE, "/api/v1/orders", None),
        (&[Scope::Trade], Method::GET, "/api/v1/orders", None),
        (&[Scope::Trade], Method::GET, &own, None),
        (&[Scope::Trade], Method::GET, "/api/v1/balances", None),
        (&[Scope::Admin], Method::POST, "/api/v1/orders", Some(&order)),
        (&[Scope::Read, Scope::Trade], Method::GET, "/api/v1/admin/state-hash", None),
        (&[Scope::Read, Scope::Trade], Method::POST, "/api/v1/admin/snapshot", None),
        (&[Scope::Trade], Method::POST, "/api/v1/admin/credits", Some(&credit)),
        (&[Scope::Trade], Method::POST, "/api/v1/admin/symbols/BTC-USDT/status", Some(&status)),
        (&[Scope::Trade], Method::POST, "/api/v1/admin/accounts/buyer/status", Some(&status)),
        (&[Scope::Trade], Method::GET, "/api/v1/admin/limits", None),
        (&[Scope::Trade], Method::POST, "/api/v1/admin/limits", Some(&limits)),
        (&[Scope::Read], Method::GET, "/api/v1/admin/kill-switches", None),
        (&[Scope::Trade], Method::PUT, "/api/v1/admin/kill-switch", Some(&on)),
        (&[Scope::Trade], Method::PUT, "/api/v1/admin/symbols/BTC-USDT/kill-switch", Some(&on)),
        (&[Scope::Trade], Method::PUT, "/api/v1/admin/accounts/buyer/kill-switch", Some(&on)),
        (&[Scope::Trade], Method::POST, "/api/v1/admin/symbols/BTC-USDT/end-session", None),
    ] {
        let token = exchange.token("buyer", scopes);
        let request = request(method, path, Some(&token), body);
        exchange.send(request).await.refused(403, "FORBIDDEN");
    }
    assert_eq!(exchange.sequence(), before);
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist() {
    let exchange = Exchange::start().await;
    let admin = exchange.token("operator", &[Scope::Admin]);
    for path in ["/", "/api/v1", "/api/v1/nothing", "/api/v1/admin/state-hash", "/metrics"] {
        let request = request(Method::GET, path, Some(&admin), None);
        exchange.send_public(request).await.refused(404, "NOT_FOUND");
    }
    let refused = exchange.send(request(Method::PUT, "/api/v1/orders", None, None)).await;
    let refused = refused.refused(405, "METHOD_NOT_ALLOWED");
    assert!(refused.headers["allow"].to_str().unwrap().contains("POST"));
}

#[tokio::test]
async fn a_request_keeps_its_id() {
    let exchange = Exchange::start().await;
    let ask = |id: &str| {
        let request = Request::get("/api/v1/nothing").header("x-request-id", id);
        exchange.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(ask("abc-123").await.text("request_id"), "abc-123");
    assert_ne!(ask("a b").await.text("request_id"), "a b");
}

#[tokio::test]
async fn an_unknown_query_parameter_is_refused_everywhere() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let id = exchange.limit("buyer", "BUY", "1", "50000").await;
    let before = exchange.sequence();
    let order = limit("BUY", "0.1", "50000");
    let own = format!("/api/v1/orders/{id}");
    let amend = json!({"quantity": "0.5"});
    let credit = json!({"user": "x", "asset": "USDT", "amount": "1", "reference": "r"});
    let (halted, suspended) = (json!({"status": "HALTED"}), json!({"status": "SUSPENDED"}));
    let (on, limits) = (json!({"on": true}), json!({"symbol": "BTC-USDT", "max_quantity": "1"}));
    let token = exchange.token("buyer", Scope::ALL);
    for (method, path, body) in [
        (Method::POST, "/api/v1/orders", Some(&order)),
        (Method::GET, "/api/v1/orders", None),
        (Method::DELETE, "/api/v1/orders", None),
        (Method::GET, &own, None),
        (Method::PATCH, &own, Some(&amend)),
        (Method::DELETE, &own, None),
        (Method::GET, "/api/v1/orders/by-client-id/x", None),
        (Method::GET, "/api/v1/balances", None),
        (Method::GET, "/api/v1/symbols", None),
        (Method::GET, "/api/v1/orderbook/BTC-USDT", None),
        (Method::GET, "/api/v1/trades/BTC-USDT/recent", None),
        (Method::GET, "/health", None),
        (Method::GET, "/ready", None),
        (Method::POST, "/api/v1/admin/credits", Some(&credit)),
        (Method::GET, "/api/v1/admin/state-hash", None),
        (Method::POST, "/api/v1/admin/snapshot", None),
        (Method::POST, "/api/v1/admin/symbols/BTC-USDT/status", Some(&halted)),
        (Method::POST, "/api/v1/admin/accounts/buyer/status", Some(&suspended)),
        (Method::GET, "/api/v1/admin/limits", None),
        (Method::POST, "/api/v1/admin/limits", Some(&limits)),
        (Method::GET, "/api/v1/admin/kill-switches", None),
        (Method::PUT, "/api/v1/admin/kill-switch", Some(&on)),
        (Method::PUT, "/api/v1/admin/symbols/BTC-USDT/kill-switch", Some(&on)),
        (Method::PUT, "/api/v1/admin/accounts/buyer/kill-switch", Some(&on)),
        (Method::POST, "/api/v1/admin/symbols/BTC-USDT/end-session", None),
    ] {
        let request = request(method, &format!("{path}?colour=1"), Some(&token), body);
        let refused = exchange.send(request).await.refused(400, "VALIDATION_ERROR");
        assert_eq!(refused.body["details"]["field"], "colour", "{path}");
    }
    assert_eq!(exchange.sequence(), before);
}

#[tokio::test]
async fn a_head_past_its_bounds_is_refused_with_a_body() {
    let exchange = Exchange::start().await;
    let ask = |headers: usize| {
        let mut request = Request::get("/health");
        // The host is one of them.
        for number in 1..headers {
            request = request.header(format!("h{number}"), "x");
        }
        exchange.send(request.body(Body::empty()).unwrap())
    };
    ask(HEADERS_MAX).await.expect(200);
    ask(HEADERS_MAX + 1).await.refused(431, "HEADERS_TOO_LARGE");
}

#[tokio::test]
async fn a_panic_is_500_and_its_request_id_is_logged() {
    let exchange = Exchange::start().await;
    let written = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&written);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || LogLines(Arc::clone(&log)))
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    async fn fail() {
        panic!("a secret cause");
    }
    let state = exchange.app.state().clone();
    let router = Router::new()
        .route("/panic", get(fail))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state((state, Arc::default()), envelope));
    let request = Request::get("/panic").header("x-request-id", "abc-123");
    let answer = answer(router, request.body(Body::empty()).unwrap()).await;
    let refused = answer.refused(500, "INTERNAL_ERROR");
    assert!(!refused.body.to_string().contains("secret"));
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("panicked")).unwrap();
    assert!(line.contains("abc-123"), "{line}");
}

#[tokio::test]
async fn draining_takes_no_more_requests() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let get = |path: &'static str| exchange.send(request(Method::GET, path, None, None));
    assert_eq!(get("/ready").await.expect(200).text("status"), "ready");
    let before = exchange.sequence();
    exchange.app.state().exchange.drain();
    let refused = get("/ready").await.refused(503, "SERVICE_UNAVAILABLE");
    assert!(refused.headers.contains_key("retry-after"));
    get("/health").await.expect(200);
    let refused = exchange.place("buyer", limit("BUY", "1", "50000")).await;
    refused.refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(exchange.sequence(), before);
}

#[tokio::test]
async fn a_sequence_that_is_not_reached_is_503() {
    let exchange = Exchange::start().await;
    tokio::time::pause();
    let far = format!("/api/v1/balances?min_seq={}", u64::MAX);
    exchange.get("buyer", &far).await.refused(503, "SEQUENCE_NOT_REACHED");
    let here = format!("/api/v1/balances?min_seq={}", exchange.sequence());
    exchange.get("buyer", &here).await.expect(200);
}
