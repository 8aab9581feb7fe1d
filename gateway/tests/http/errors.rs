//! Who may do what, and what is said to everybody else.

use axum::body::Body;
use axum::http::{Method, Request};
use gateway::auth::Scope;
use serde_json::json;

use crate::harness::{Exchange, limit, request};

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
        (Method::POST, "/api/v1/admin/symbols/BTC-USDT/status"),
        (Method::POST, "/api/v1/admin/accounts/x/status"),
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
        (&[Scope::Trade], Method::POST, "/api/v1/admin/credits", Some(&credit)),
        (&[Scope::Trade], Method::POST, "/api/v1/admin/symbols/BTC-USDT/status", Some(&status)),
        (&[Scope::Trade], Method::POST, "/api/v1/admin/accounts/buyer/status", Some(&status)),
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
