//! Opening, looking at, freezing and closing wallets.

use axum::http::Method;
use serde_json::{Value, json};

use super::harness::{Service, money, operator, request, user, user_id};

#[tokio::test]
async fn a_wallet_is_opened_once_and_shown() {
    let service = Service::start().await;
    let body = json!({"userId": "user123"});
    let first = service.post(user("user123"), "/api/v1/wallets", &body).await.expect(201);
    let id = first.text("walletId").to_owned();
    assert_eq!(first.text("userId"), user_id("user123"));
    assert_eq!((first.text("currency"), first.text("status")), ("USDT", "ACTIVE"));
    assert_eq!((first.text("balance"), first.text("createdAt")), ("0", "2024-01-01T00:00:00Z"));
    let path = format!("/api/v1/wallets/{id}");
    assert_eq!(first.header("location"), Some(&*path));
    let again = json!({"userId": user_id("user123"), "currency": "USDT"});
    service.post(user("user123"), "/api/v1/wallets", &again).await.repeats(&first);
    let shown = service.get(user("user123"), &path).await.expect(200);
    assert_eq!(shown.body, first.body);
    assert_eq!(shown.header("x-ledger-seq"), Some(&*service.sequence().to_string()));
    let other = service.open("user123", "BTC").await;
    let list = service.get(operator(), "/api/v1/users/user123/wallets").await.expect(200);
    let ids = list.body.as_array().unwrap().iter().map(|wallet| wallet["walletId"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), [json!(other), json!(id)]);
}

#[tokio::test]
async fn wallets_that_are_not_there() {
    let service = Service::start().await;
    let id = service.open("alice", "USDT").await;
    for (path, status, code) in [
        ("/api/v1/wallets/x".to_owned(), 400, "VALIDATION_ERROR"),
        (format!("/api/v1/wallets/{}", user_id("alice")), 404, "WALLET_NOT_FOUND"),
        (format!("/api/v1/wallets/{}", id.replace("-83", "-84")), 404, "WALLET_NOT_FOUND"),
        (format!("/api/v1/wallets/{}", id.replace("018c", "018d")), 404, "WALLET_NOT_FOUND"),
        ("/api/v1/users/nobody/wallets".to_owned(), 404, "USER_NOT_FOUND"),
        ("/api/v1/users/a%20b/wallets".to_owned(), 400, "VALIDATION_ERROR"),
        (format!("/api/v1/wallets/{id}?more=1"), 400, "VALIDATION_ERROR"),
        (format!("/api/v1/wallets/{id}?min_seq=x"), 400, "VALIDATION_ERROR"),
    ] {
        service.get(operator(), &path).await.refused(status, code);
    }
}

#[tokio::test]
async fn a_frozen_wallet_lets_nothing_through_until_it_is_thawed() {
    let service = Service::start().await;
    let frozen = service.funded("alice", "USDT", "100").await;
    let other = service.funded("bob", "USDT", "100").await;
    let set = async |what: &str, body: Option<Value>| {
        let path = format!("/api/v1/wallets/{frozen}/{what}");
        service.send(Some(operator()), request(Method::POST, &path, body.as_ref())).await
    };
    let answer = set("freeze", None).await.expect(200);
    assert_eq!((answer.text("status"), answer.text("balance")), ("FROZEN", "100"));
    assert_eq!(set("freeze", Some(json!({}))).await.expect(200).text("status"), "FROZEN");
    set("freeze", Some(json!({"x": 1}))).await.refused(400, "VALIDATION_ERROR");
    let withdraw = format!("/api/v1/wallets/{frozen}/withdraw");
    let first = service.post(user("alice"), &withdraw, &money("1", "w1")).await;
    let first = first.refused(403, "WALLET_FROZEN");
    service.deposit(&frozen, "1", "d1").await.refused(403, "WALLET_FROZEN");
    let into = json!({"toWalletId": frozen, "amount": "1", "referenceId": "t1"});
    let transfer = format!("/api/v1/wallets/{other}/transfer");
    service.post(user("bob"), &transfer, &into).await.refused(403, "WALLET_FROZEN");
    assert_eq!(set("unfreeze", None).await.expect(200).text("status"), "ACTIVE");
    let again = service.post(user("alice"), &withdraw, &money("1", "w1")).await;
    again.repeats(&first);
    service.post(user("alice"), &withdraw, &money("1", "w2")).await.expect(200);
    assert_eq!(service.balance(&frozen).await[0], "99");
    service.assert_sums().await;
}

#[tokio::test]
async fn only_an_empty_wallet_is_closed_and_stays_closed() {
    let service = Service::start().await;
    let id = service.funded("alice", "USDT", "1").await;
    let close = format!("/api/v1/wallets/{id}/close");
    service.post(operator(), &close, &json!({})).await.refused(409, "WALLET_NOT_EMPTY");
    let withdraw = format!("/api/v1/wallets/{id}/withdraw");
    service.post(user("alice"), &withdraw, &money("1", "all")).await.expect(200);
    let closed = service.post(operator(), &close, &json!({})).await.expect(200);
    assert_eq!((closed.text("status"), closed.text("balance")), ("CLOSED", "0"));
    service.post(operator(), &close, &json!({})).await.expect(200);
    service.deposit(&id, "1", "late").await.refused(409, "WALLET_CLOSED");
    let thaw = format!("/api/v1/wallets/{id}/unfreeze");
    service.post(operator(), &thaw, &json!({})).await.refused(409, "WALLET_CLOSED");
}
