//! Reserving, releasing and settling: bodies, codes, repeats, batches, questions.

use serde_json::{Value, json};

use super::harness::{Answer, Service, operator, user_id};

async fn post(service: &Service, what: &str, body: &Value) -> Answer {
    service.post(operator(), &format!("/api/wallets/{what}"), body).await
}

fn reserve(name: &str, asset: &str, amount: &str, order: &str) -> Value {
    json!({
        "user_id": user_id(name), "asset": asset, "amount": amount, "order_id": user_id(order),
        "reason": "ORDER_PLACEMENT",
    })
}

fn release(order: &str) -> Value {
    json!({"order_id": user_id(order), "reason": "ORDER_CANCELLED"})
}

/// The 75,150 example: BUY 1.5 BTC at 49,900, fees 149.70 and 74.85.
fn trade(id: &str) -> Value {
    json!({
        "trade_id": user_id(id), "buyer_id": user_id("buyer"), "seller_id": user_id("seller"),
        "buyer_order_id": user_id("buy"), "seller_order_id": user_id("sell"),
        "base_currency": "BTC", "quote_currency": "USDT", "base_amount": "1.5",
        "quote_amount": "74850", "price": "49900.00", "buyer_fee": "149.7", "seller_fee": "74.85",
    })
}

async fn two_orders() -> Service {
    let service = Service::start().await;
    service.funded("buyer", "USDT", "100000").await;
    service.funded("seller", "BTC", "1.5").await;
    let buy =
        post(&service, "reserve", &reserve("buyer", "USDT", "75150", "buy")).await.expect(200);
    assert_eq!((buy.text("available_balance"), buy.text("reserved_balance")), ("24850", "75150"));
    post(&service, "reserve", &reserve("seller", "BTC", "1.5", "sell")).await.expect(200);
    service
}

async fn balance(service: &Service, name: &str, asset: &str) -> Value {
    let path = format!("/api/wallets/balance/{}/{asset}", user_id(name));
    let answer = service.get(operator(), &path).await.expect(200);
    assert_eq!((answer.text("user_id"), answer.text("currency")), (&*user_id(name), asset));
    json!([
        answer.text("available_balance"),
        answer.text("reserved_balance"),
        answer.text("total_balance")
    ])
}

#[tokio::test]
async fn an_order_is_reserved_settled_and_released() {
    let service = two_orders().await;
    let captured = json!({
        "order_id": user_id("buy"), "reason": "ORDER_FILLED", "captured_total": "74999.7",
    });
    post(&service, "release", &captured).await.refused(409, "CAPTURE_PENDING");
    let settled = post(&service, "settle", &trade("t-1")).await.expect(200);
    assert_eq!(settled.body["success"], true);
    assert_eq!(settled.body["buyer_reservation_released"], false);
    assert_eq!(settled.body["seller_reservation_released"], true);
    assert_eq!(settled.text("settled_at"), "2024-01-01T00:00:00Z");
    post(&service, "settle", &trade("t-1")).await.repeats(&settled);
    let released = post(&service, "release", &captured).await.expect(200);
    assert_eq!(
        released.body,
        json!({"success": true, "released_amount": "150.3", "asset": "USDT"})
    );
    post(&service, "release", &captured).await.repeats(&released);
    assert_eq!(balance(&service, "buyer", "USDT").await, json!(["25000.3", "0", "25000.3"]));
    assert_eq!(balance(&service, "buyer", "BTC").await, json!(["1.5", "0", "1.5"]));
    assert_eq!(balance(&service, "seller", "USDT").await, json!(["74775.15", "0", "74775.15"]));
    let ledger = service.get(operator(), "/api/v1/ledger").await.expect(200);
    assert_eq!(ledger.body["assets"][1]["fees"], "224.55");
    assert_eq!(ledger.body["assets"][1]["external"], "-100000");
    assert_eq!((&ledger.body["zeroSum"], &ledger.body["readOnly"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn the_other_paths_are_the_same() {
    let service = Service::start().await;
    service.funded("buyer", "USDT", "10").await;
    let body = reserve("buyer", "USDT", "4", "buy");
    let first = service.post(operator(), "/api/wallets/reserve", &body).await.expect(200);
    assert_eq!(first.header("api-version"), Some("1"));
    service.post(operator(), "/api/v1/wallets/reserve", &body).await.repeats(&first);
    for prefix in ["/api/wallets", "/api/v1/wallets"] {
        let path = format!("{prefix}/balance/buyer/USDT");
        let answer = service.get(operator(), &path).await.expect(200);
        assert_eq!(answer.text("reserved_balance"), "4");
        let id = first.text("reservation_id");
        let one = service.get(operator(), &format!("{prefix}/reservations/{id}")).await.expect(200);
        let order = user_id("buy");
        let path = format!("{prefix}/reservations?order_id={order}");
        assert_eq!(service.get(operator(), &path).await.expect(200).body, one.body);
        assert_eq!((one.text("status"), one.text("remaining_amount")), ("ACTIVE", "4"));
        assert_eq!((one.text("order_id"), one.text("reservation_id")), (&*order, id));
    }
}

#[tokio::test]
async fn refusals_have_the_words_that_trading_knows() {
    let service = Service::start().await;
    service.funded("buyer", "USDT", "10").await;
    let much = reserve("buyer", "USDT", "11", "o-1");
    let first = post(&service, "reserve", &much).await.refused(400, "INSUFFICIENT_BALANCE");
    post(&service, "reserve", &much).await.repeats(&first);
    let other = reserve("buyer", "USDT", "1", "o-1");
    post(&service, "reserve", &other).await.refused(422, "IDEMPOTENCY_MISMATCH");
    let nobody = reserve("nobody", "USDT", "1", "o-2");
    post(&service, "reserve", &nobody).await.refused(404, "USER_NOT_FOUND");
    post(&service, "release", &release("o-3")).await.refused(404, "RESERVATION_NOT_FOUND");
    let burned = reserve("buyer", "USDT", "1", "o-3");
    post(&service, "reserve", &burned).await.refused(409, "RESERVATION_SPENT");
    post(&service, "settle", &trade("t-1")).await.refused(404, "USER_NOT_FOUND");
    service.funded("seller", "BTC", "10").await;
    post(&service, "settle", &trade("t-1")).await.refused(404, "RESERVATION_NOT_FOUND");
    let mut pooled = trade("t-1");
    pooled["credit_to"] = json!("RESERVED");
    pooled["buyer_id"] = json!(user_id("buyer"));
    post(&service, "settle", &pooled).await.refused(409, "RESERVED_SHORT");
    let absent =
        service.get(operator(), &format!("/api/wallets/settlements/{}", user_id("t-1"))).await;
    absent.refused(404, "SETTLEMENT_NOT_FOUND");
    for path in [
        format!("/api/wallets/reservations/{}", user_id("x")),
        format!("/api/wallets/reservations?order_id={}", user_id("x")),
    ] {
        service.get(operator(), &path).await.refused(404, "RESERVATION_NOT_FOUND");
    }
    let path = format!("/api/wallets/balance/{}/USDT", user_id("nobody"));
    service.get(operator(), &path).await.refused(404, "USER_NOT_FOUND");
    let path = "/api/wallets/balance/buyer/EUR";
    service.get(operator(), path).await.refused(404, "ASSET_NOT_FOUND");
    assert_eq!(balance(&service, "buyer", "BTC").await, json!(["0", "0", "0"]));
    service.assert_sums().await;
}

#[tokio::test]
async fn another_trade_under_the_same_id_is_refused() {
    let service = two_orders().await;
    let first = post(&service, "settle", &trade("t-1")).await.expect(200);
    let mut other = trade("t-1");
    other["buyer_fee"] = json!("149.71");
    post(&service, "settle", &other).await.refused(422, "IDEMPOTENCY_MISMATCH");
    let path = format!("/api/wallets/settlements/{}", user_id("t-1"));
    let found = service.get(operator(), &path).await.expect(200);
    assert_eq!(found.body, first.body);
    service.assert_sums().await;
}

#[tokio::test]
async fn items_of_a_batch_stand_alone_and_follow_their_order() {
    let service = Service::start().await;
    service.funded("buyer", "USDT", "100000").await;
    service.funded("seller", "BTC", "1.5").await;
    let body = json!({"items": [
        reserve("buyer", "USDT", "75150", "buy"),
        reserve("buyer", "USDT", "24851", "poor"),
        reserve("buyer", "EUR", "1", "euro"),
        reserve("seller", "BTC", "1.5", "sell"),
        reserve("buyer", "USDT", "24850", "rest"),
    ]});
    let answer = post(&service, "reserve/batch", &body).await.expect(200);
    let results = answer.body["results"].as_array().unwrap();
    let codes = results.iter().map(|result| result["code"].as_str());
    assert_eq!(
        codes.collect::<Vec<_>>(),
        [None, Some("INSUFFICIENT_BALANCE"), Some("ASSET_NOT_FOUND"), None, None]
    );
    assert_eq!(results[0]["available_balance"], "24850");
    assert_eq!(results[4]["available_balance"], "0");
    assert!(!post(&service, "reserve/batch", &body).await.expect(200).is_replayed(), "one is new");
    let body = json!({"items": [trade("t-1"), trade("t-2"), trade("t-1")]});
    let answer = post(&service, "settle/batch", &body).await.expect(200);
    let results = &answer.body["results"];
    assert_eq!(results[0], results[2]);
    assert_eq!(results[1]["code"], "RESERVATION_SPENT");
    let body = json!({"items": [release("buy"), release("unknown"), release("rest")]});
    let answer = post(&service, "release/batch", &body).await.expect(200);
    assert_eq!(answer.body["results"][0]["released_amount"], "150.3");
    assert_eq!(answer.body["results"][1]["code"], "RESERVATION_NOT_FOUND");
    assert_eq!(answer.body["results"][2]["released_amount"], "24850");
    let body = json!({"items": [release("buy"), release("rest")]});
    let again = post(&service, "release/batch", &body).await.expect(200);
    assert!(again.is_replayed(), "all of them were done before");
    service.assert_sums().await;
}

#[tokio::test]
async fn a_release_names_its_asset_or_learns_it() {
    let service = two_orders().await;
    let mut body = release("buy");
    body["asset"] = json!("BTC");
    post(&service, "release", &body).await.refused(400, "VALIDATION_ERROR");
    body["asset"] = json!("USDT");
    body["currency"] = json!("BTC");
    post(&service, "release", &body).await.refused(400, "VALIDATION_ERROR");
    body["currency"] = json!("USDT");
    body["captured_total"] = json!("0");
    let released = post(&service, "release", &body).await.expect(200);
    assert_eq!(released.text("released_amount"), "75150");
    let path = format!("/api/wallets/reservations?order_id={}", user_id("buy"));
    let shown = service.get(operator(), &path).await.expect(200);
    assert_eq!((shown.text("status"), shown.text("released_amount")), ("RELEASED", "75150"));
    let by_id = json!({"reservation_id": shown.text("reservation_id"), "reason": "ORDER_EXPIRED"});
    let again = post(&service, "release", &by_id).await.expect(200);
    assert!(again.is_replayed() && again.text("released_amount") == "75150");
}
