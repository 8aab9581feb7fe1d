//! What is malformed or makes no sense is refused before the ledger is asked: its sequence stands.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use super::harness::{Answer, START_NS, Service, money, operator, request, send, user};
use crate::ids;
use crate::ledger::types::TransactionId;

struct Desk {
    service: Service,
    alice: String,
    bob: String,
    bitcoin: String,
    before: u64,
}

impl Desk {
    async fn open() -> Self {
        let service = Service::start().await;
        let alice = service.funded("alice", "USDT", "100").await;
        let bob = service.open("bob", "USDT").await;
        let bitcoin = service.open("bob", "BTC").await;
        let before = service.sequence();
        Self { service, alice, bob, bitcoin, before }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.service.post(operator(), path, body).await
    }

    fn path(&self, what: &str) -> String {
        format!("/api/v1/wallets/{}/{what}", self.alice)
    }

    /// The next command has the very next sequence.
    async fn assert_untouched(&self) {
        assert_eq!(self.service.balance(&self.alice).await, ["100", "100", "0"]);
        let next = self.service.deposit(&self.bob, "1", "the-next-command").await.expect(200);
        assert_eq!(next.body["seq"], self.before + 1);
    }
}

#[tokio::test]
async fn amounts_are_exact_text_in_range() {
    let desk = Desk::open().await;
    let amounts = [
        json!("0"),
        json!("-1"),
        json!("1e999"),
        json!("0.000000001"),
        json!("NaN"),
        json!(" 1"),
        json!(""),
        json!("1,5"),
        json!("\u{0661}"),
        json!("0.009"),
        json!("1000000.01"),
        json!("99999999999999999999999999999999999999"),
        json!(1),
        json!(1.5),
    ];
    for amount in amounts {
        let body = json!({"amount": amount, "referenceId": "r"});
        for what in ["deposit", "withdraw"] {
            let refused = desk.post(&desk.path(what), &body).await.refused(400, "INVALID_AMOUNT");
            assert_eq!(refused.body["details"]["field"], "amount");
        }
        let transfer = json!({"toWalletId": desk.bob, "amount": amount, "referenceId": "r"});
        desk.post(&desk.path("transfer"), &transfer).await.refused(400, "INVALID_AMOUNT");
        let item = json!({"type": "DEPOSIT", "walletId": desk.alice, "amount": amount});
        let batch = json!({"items": [item], "referenceId": "r"});
        let refused = desk.post("/api/v1/transactions/batch", &batch).await;
        let refused = refused.refused(400, "INVALID_AMOUNT");
        assert_eq!(refused.body["details"]["item"], 0);
    }
    for amount in ["0", "-1", "0.000000001", "NaN"] {
        let body = json!({"amount": amount, "direction": "DEBIT", "referenceId": "r"});
        desk.post(&desk.path("adjust"), &body).await.refused(400, "INVALID_AMOUNT");
    }
    desk.assert_untouched().await;
}

#[tokio::test]
async fn fields_of_movements_are_checked() {
    let desk = Desk::open().await;
    let long = "x".repeat(101);
    let wordy = "x".repeat(501);
    for body in [
        json!({"amount": "1"}),
        json!({"referenceId": "r"}),
        json!({"amount": "1", "referenceId": ""}),
        json!({"amount": "1", "referenceId": "a b"}),
        json!({"amount": "1", "referenceId": "a/b"}),
        json!({"amount": "1", "referenceId": long}),
        json!({"amount": "1", "referenceId": 1}),
        json!({"amount": "1", "referenceId": "r", "description": wordy}),
        json!({"amount": "1", "referenceId": "r", "description": 1}),
        json!({"amount": "1", "referenceId": "r", "more": 1}),
        json!({"amount": null, "referenceId": "r"}),
        json!({"amount": {}, "referenceId": "r"}),
    ] {
        for what in ["deposit", "withdraw"] {
            desk.post(&desk.path(what), &body).await.refused(400, "VALIDATION_ERROR");
        }
    }
    let [bob, alice] = [&desk.bob, &desk.alice];
    let two = json!({"toWalletId": bob, "destinationWalletId": alice});
    for mut body in [json!({}), json!({"toWalletId": "x"}), two] {
        (body["amount"], body["referenceId"]) = (json!("1"), json!("r"));
        desk.post(&desk.path("transfer"), &body).await.refused(400, "VALIDATION_ERROR");
    }
    for (to, status, code) in [
        (desk.alice.clone(), 400, "INVALID_TRANSFER"),
        (desk.bitcoin.clone(), 400, "INVALID_TRANSFER"),
        (desk.bob.replace("-83", "-84"), 404, "WALLET_NOT_FOUND"),
    ] {
        let body = json!({"amount": "1", "referenceId": "r", "toWalletId": to});
        desk.post(&desk.path("transfer"), &body).await.refused(status, code);
    }
    for body in [
        json!({"amount": "1", "referenceId": "r", "direction": "SIDEWAYS"}),
        json!({"amount": "1", "referenceId": "r"}),
    ] {
        desk.post(&desk.path("adjust"), &body).await.refused(400, "VALIDATION_ERROR");
    }
    for query in ["dryRun=maybe", "dryRun=1", "dry_run=true"] {
        let path = desk.path(&format!("deposit?{query}"));
        desk.post(&path, &money("1", "r")).await.refused(400, "VALIDATION_ERROR");
    }
    desk.assert_untouched().await;
}

#[tokio::test]
async fn batches_are_bounded_and_their_items_checked() {
    let desk = Desk::open().await;
    let item = json!({"type": "DEPOSIT", "walletId": desk.alice, "amount": "1"});
    let path = "/api/v1/transactions/batch";
    for items in [json!([]), json!(vec![item.clone(); 9]), json!({}), json!("x")] {
        let body = json!({"items": items, "referenceId": "r"});
        desk.post(path, &body).await.refused(400, "VALIDATION_ERROR");
    }
    for (key, value) in [
        ("type", json!("RESERVE")),
        ("walletId", json!("x")),
        ("toWalletId", json!(desk.bob)),
        ("more", json!(1)),
    ] {
        let mut item = item.clone();
        item[key] = value;
        let body = json!({"items": [item], "referenceId": "r"});
        desk.post(path, &body).await.refused(400, "VALIDATION_ERROR");
    }
    let item = json!({"type": "TRANSFER", "walletId": desk.alice, "amount": "1"});
    let body = json!({"items": [item], "referenceId": "r"});
    desk.post(path, &body).await.refused(400, "VALIDATION_ERROR");
    desk.assert_untouched().await;
}

#[tokio::test]
async fn users_and_currencies_are_checked() {
    let desk = Desk::open().await;
    for (body, status, code) in [
        (json!({}), 400, "VALIDATION_ERROR"),
        (json!({"userId": ""}), 400, "VALIDATION_ERROR"),
        (json!({"userId": "a b"}), 400, "VALIDATION_ERROR"),
        (json!({"userId": 1}), 400, "VALIDATION_ERROR"),
        (json!({"userId": "00000000-0000-0000-0000-000000000000"}), 400, "VALIDATION_ERROR"),
        (json!({"userId": "carol", "more": 1}), 400, "VALIDATION_ERROR"),
        (json!({"userId": "carol", "currency": "EUR"}), 404, "ASSET_NOT_FOUND"),
        (json!({"userId": "carol", "currency": "usdt"}), 404, "ASSET_NOT_FOUND"),
    ] {
        desk.post("/api/v1/wallets", &body).await.refused(status, code);
    }
    desk.assert_untouched().await;
}

fn reserve() -> Value {
    json!({
        "user_id": user("alice").user, "asset": "USDT", "amount": "1",
        "order_id": user("order").user, "reason": "ORDER_PLACEMENT",
    })
}

fn settle() -> Value {
    json!({
        "trade_id": user("trade").user, "buyer_id": user("alice").user,
        "seller_id": user("bob").user, "buyer_order_id": user("o1").user,
        "seller_order_id": user("o2").user, "base_currency": "BTC", "quote_currency": "USDT",
        "base_amount": "1.5", "quote_amount": "74850", "price": "49900", "buyer_fee": "0",
        "seller_fee": "0",
    })
}

fn nil() -> Value {
    json!(uuid::Uuid::nil())
}

/// Sends a good body with one field changed at a time, alone and in a batch.
async fn check(desk: &Desk, what: &str, good: &Value, changes: &[(&str, Value, u16, &str)]) {
    for (key, value, status, code) in changes {
        let mut body = good.clone();
        body[key] = value.clone();
        let path = format!("/api/wallets/{what}");
        desk.post(&path, &body).await.refused(*status, code);
        let batch = json!({"items": [body]});
        let answer = desk.post(&format!("{path}/batch"), &batch).await;
        if answer.status == 200 {
            assert_eq!(answer.body["results"][0]["code"], *code, "{key}");
        } else {
            answer.refused(400, "VALIDATION_ERROR");
        }
    }
}

#[tokio::test]
async fn reserves_and_releases_are_checked() {
    let desk = Desk::open().await;
    let wrong = "VALIDATION_ERROR";
    check(
        &desk,
        "reserve",
        &reserve(),
        &[
            ("amount", json!("0"), 400, "INVALID_AMOUNT"),
            ("amount", json!("-1"), 400, "INVALID_AMOUNT"),
            ("amount", json!("0.000000001"), 400, "INVALID_AMOUNT"),
            ("amount", json!(1), 400, wrong),
            ("asset", json!("EUR"), 404, "ASSET_NOT_FOUND"),
            ("asset", json!(null), 400, wrong),
            ("currency", json!("BTC"), 400, wrong),
            ("order_id", nil(), 400, wrong),
            ("user_id", nil(), 400, wrong),
            ("user_id", json!("alice"), 400, wrong),
            ("reason", json!("BECAUSE"), 400, wrong),
            ("more", json!(1), 400, wrong),
        ],
    )
    .await;
    let release = json!({"order_id": user("order").user, "reason": "ORDER_FILLED"});
    check(
        &desk,
        "release",
        &release,
        &[
            ("order_id", json!(null), 400, wrong),
            ("order_id", nil(), 400, wrong),
            ("reservation_id", json!(user("x").user), 404, "RESERVATION_NOT_FOUND"),
            ("asset", json!("EUR"), 404, "ASSET_NOT_FOUND"),
            ("captured_total", json!("1"), 400, wrong),
            ("reason", json!("BECAUSE"), 400, wrong),
            ("more", json!(1), 400, wrong),
        ],
    )
    .await;
    let release =
        json!({"order_id": user("order").user, "reason": "ORDER_FILLED", "asset": "USDT"});
    check(&desk, "release", &release, &[("captured_total", json!("-1"), 400, "INVALID_AMOUNT")])
        .await;
    for items in [json!([]), json!(vec![reserve(); 65])] {
        let body = json!({"items": items});
        desk.post("/api/wallets/reserve/batch", &body).await.refused(400, wrong);
    }
    desk.assert_untouched().await;
}

#[tokio::test]
async fn settlements_are_checked() {
    let desk = Desk::open().await;
    let wrong = "VALIDATION_ERROR";
    check(
        &desk,
        "settle",
        &settle(),
        &[
            ("quote_amount", json!("74850.01"), 400, "INVALID_AMOUNT"),
            ("quote_amount", json!("0"), 400, "INVALID_AMOUNT"),
            ("base_amount", json!("0"), 400, "INVALID_AMOUNT"),
            ("base_amount", json!("-1.5"), 400, "INVALID_AMOUNT"),
            ("price", json!("0"), 400, "INVALID_AMOUNT"),
            ("price", json!("4.99e4"), 400, "INVALID_AMOUNT"),
            ("buyer_fee", json!("0.000000001"), 400, "INVALID_AMOUNT"),
            ("base_currency", json!("USDT"), 400, wrong),
            ("quote_currency", json!("EUR"), 404, "ASSET_NOT_FOUND"),
            ("buyer_fee", json!("-74850.01"), 400, "INVALID_AMOUNT"),
            ("seller_fee", json!("74850.01"), 400, "INVALID_AMOUNT"),
            ("buyer_order_id", nil(), 400, wrong),
            ("seller_order_id", nil(), 400, wrong),
            ("trade_id", nil(), 400, wrong),
            ("buyer_id", nil(), 400, wrong),
            ("seller_id", nil(), 400, wrong),
            ("credit_to", json!("NOWHERE"), 400, wrong),
            ("more", json!(1), 400, wrong),
        ],
    )
    .await;
    desk.assert_untouched().await;
}

#[tokio::test]
async fn bodies_are_bounded_json() {
    let desk = Desk::open().await;
    let post = async |content_type: &str, body: String| {
        let request = Request::post(desk.path("deposit")).header(header::HOST, "wallet");
        let request = request.header(header::CONTENT_TYPE, content_type);
        send(&desk.service.router, Some(operator()), request.body(Body::from(body)).unwrap()).await
    };
    let json = "application/json";
    for bad in ["", "x", "{", "[]", "null", r#"{"amount":1e999,"referenceId":"r"}"#] {
        post(json, bad.to_owned()).await.refused(400, "INVALID_JSON");
    }
    let twice = r#"{"amount":"1","amount":"2","referenceId":"r"}"#;
    post(json, twice.to_owned()).await.refused(400, "VALIDATION_ERROR");
    post("text/plain", "{}".to_owned()).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let padded = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
    post(json, padded(16 * 1024)).await.refused(400, "VALIDATION_ERROR");
    post(json, padded(16 * 1024 + 1)).await.refused(413, "PAYLOAD_TOO_LARGE");
    let batch = async |bytes| {
        let request = Request::post("/api/wallets/settle/batch").header(header::HOST, "wallet");
        let request = request.header(header::CONTENT_TYPE, json);
        let request = request.body(Body::from(padded(bytes))).unwrap();
        send(&desk.service.router, Some(operator()), request).await
    };
    batch(64 * 1024).await.refused(400, "VALIDATION_ERROR");
    batch(64 * 1024 + 1).await.refused(413, "PAYLOAD_TOO_LARGE");
    desk.assert_untouched().await;
}

/// The largest request of a batch takes no more than its share of the batch's bound.
#[test]
fn a_full_batch_fits() {
    let mut body = settle();
    for field in ["base_amount", "quote_amount", "price", "buyer_fee", "seller_fee"] {
        body[field] = json!("9".repeat(engine::decimal::TEXT_MAX));
    }
    for field in ["base_currency", "quote_currency"] {
        body[field] = json!("A".repeat(engine::AssetCode::BYTES_MAX));
    }
    body["credit_to"] = json!("AVAILABLE");
    let bytes = serde_json::to_string_pretty(&body).unwrap().len();
    assert!(bytes < crate::service::limits::TRADING_BODY_BYTES, "{bytes}");
}

#[tokio::test]
async fn questions_about_funding_are_bounded() {
    let desk = Desk::open().await;
    let path = "/api/wallets/funding-events";
    for query in [
        "",
        "after=0&limit=0&wait_ms=0",
        "after=0&limit=1001&wait_ms=0",
        "after=0&limit=1&wait_ms=30001",
        "after=-1&limit=1&wait_ms=0",
        "after=0&limit=1&wait_ms=0&more=1",
    ] {
        let answer = desk.service.get(operator(), &format!("{path}?{query}")).await;
        answer.refused(400, "VALIDATION_ERROR");
    }
    let answer =
        desk.service.get(operator(), &format!("{path}?after=0&limit=1000&wait_ms=0")).await;
    assert_eq!(answer.expect(200).body, json!({"events": []}));
    let never = ids::transaction(TransactionId(99), START_NS).to_string();
    for id in [user("x").user.to_string(), never.clone()] {
        let path = format!("/api/wallets/funding/{id}/conclude");
        desk.post(&path, &json!({"granted": true})).await.refused(404, "TRANSACTION_NOT_FOUND");
        let path = format!("/api/v1/transactions/{id}/reverse");
        desk.post(&path, &json!({})).await.refused(404, "TRANSACTION_NOT_FOUND");
    }
    let release = json!({"reservation_id": never, "reason": "ORDER_FILLED"});
    let answer = desk.post("/api/wallets/release", &release).await;
    answer.refused(404, "RESERVATION_NOT_FOUND");
    let freeze = request(
        Method::POST,
        "/api/wallets/assets/EUR/withdrawals",
        Some(&json!({"frozen": true})),
    );
    desk.service.send(Some(operator()), freeze).await.refused(404, "ASSET_NOT_FOUND");
    desk.assert_untouched().await;
}
