//! Whatever has the wrong shape is refused with its own code and field, and never journaled.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::harness::{Exchange, limit};

/// The body of a good order with one field set, or removed where the value is null.
fn with(field: &str, value: Value) -> Value {
    let mut body = limit("BUY", "1.5", "50000.00");
    let fields = body.as_object_mut().unwrap();
    if value.is_null() {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), value);
    }
    body
}

fn market(more: Value) -> Value {
    let mut body = json!({"symbol": "BTC/USDT", "side": "BUY", "type": "MARKET"});
    for (field, value) in more.as_object().unwrap() {
        body.as_object_mut().unwrap().insert(field.clone(), value.clone());
    }
    body
}

/// Body, status, code, field, text.
type Row = (Value, u16, &'static str, &'static str, &'static str);

fn field_rows() -> Vec<Row> {
    let long = "x".repeat(101);
    vec![
        (with("symbol", json!(null)), 400, "INVALID_SYMBOL", "symbol", "symbol is required"),
        (with("symbol", json!(7)), 400, "INVALID_SYMBOL", "symbol", "invalid symbol format"),
        (with("symbol", json!("BTCUSDT")), 400, "INVALID_SYMBOL", "symbol", ""),
        (with("symbol", json!("INVALID-XXX")), 404, "SYMBOL_NOT_FOUND", "symbol", ""),
        (with("side", json!(null)), 400, "INVALID_SIDE", "side", "side is required"),
        (with("side", json!("buy")), 400, "INVALID_SIDE", "side", ""),
        (with("side", json!(1)), 400, "INVALID_SIDE", "side", ""),
        (with("type", json!(null)), 400, "INVALID_ORDER_TYPE", "type", "type is required"),
        (with("type", json!("ICEBERG")), 400, "INVALID_ORDER_TYPE", "type", ""),
        (with("type", json!("STOP_LIMIT")), 400, "INVALID_ORDER_TYPE", "type", ""),
        (with("stp", json!("BOTH")), 400, "VALIDATION_ERROR", "stp", ""),
        (with("time_in_force", json!("GTX")), 400, "INVALID_TIME_IN_FORCE", "time_in_force", ""),
        (with("time_in_force", json!(1)), 400, "INVALID_TIME_IN_FORCE", "time_in_force", ""),
        (with("client_order_id", json!("")), 400, "INVALID_CLIENT_ORDER_ID", "client_order_id", ""),
        (
            with("client_order_id", json!(long)),
            400,
            "INVALID_CLIENT_ORDER_ID",
            "client_order_id",
            "",
        ),
        (
            with("client_order_id", json!("\u{e9}")),
            400,
            "INVALID_CLIENT_ORDER_ID",
            "client_order_id",
            "",
        ),
        (with("response_type", json!("LATER")), 400, "VALIDATION_ERROR", "response_type", ""),
        (with("post_only", json!("yes")), 400, "VALIDATION_ERROR", "post_only", ""),
        (with("user_id", json!("x")), 400, "UNKNOWN_FIELD", "user_id", "unknown field"),
    ]
}

fn number_rows() -> Vec<Row> {
    const FORMAT: &str = "invalid quantity format";
    const POSITIVE: &str = "quantity must be greater than 0";
    const PRICE: &str = "price must be greater than 0 for limit orders";
    let mut rows = vec![
        (
            with("quantity", json!(null)),
            400,
            "INVALID_QUANTITY",
            "quantity",
            "quantity is required",
        ),
        (with("quantity", json!("0")), 400, "INVALID_QUANTITY", "quantity", POSITIVE),
        (with("quantity", json!("-1.5")), 400, "INVALID_QUANTITY", "quantity", POSITIVE),
        (with("quantity", json!("0.0000001")), 400, "INVALID_QUANTITY", "quantity", ""),
        (
            with("quantity", json!("200000000")),
            400,
            "INVALID_QUANTITY",
            "quantity",
            "quantity is too large",
        ),
        (with("quantity", json!("99999999999999999999")), 400, "INVALID_QUANTITY", "quantity", ""),
        (with("price", json!(null)), 400, "INVALID_PRICE", "price", PRICE),
        (with("price", json!("0.00")), 400, "INVALID_PRICE", "price", PRICE),
        (with("price", json!("-1")), 400, "INVALID_PRICE", "price", PRICE),
        (with("price", json!("50000.001")), 400, "INVALID_PRICE", "price", ""),
        (with("price", json!("10000000.01")), 400, "INVALID_PRICE", "price", "price is too large"),
        (with("price", json!(50000)), 400, "INVALID_PRICE", "price", "invalid price format"),
        (with("price", json!("5e4")), 400, "INVALID_PRICE", "price", "invalid price format"),
    ];
    for text in ["abc", "1e5", "NaN", "+1", "01", "1_000", " 1", ".5", "\u{661}", ""] {
        rows.push((with("quantity", json!(text)), 400, "INVALID_QUANTITY", "quantity", FORMAT));
    }
    for value in [json!(1.5), json!(1), json!(true), json!([]), json!({})] {
        rows.push((with("quantity", value), 400, "INVALID_QUANTITY", "quantity", FORMAT));
    }
    rows
}

fn combination_rows() -> Vec<Row> {
    let quantity = "INVALID_QUANTITY";
    let mut late_post_only = with("post_only", json!(true));
    late_post_only["time_in_force"] = json!("IOC");
    vec![
        (
            market(json!({"quantity": "1", "price": "50000"})),
            400,
            "INVALID_PRICE",
            "price",
            "market orders cannot have a price",
        ),
        (
            market(json!({"quantity": "1", "post_only": true})),
            400,
            "VALIDATION_ERROR",
            "post_only",
            "post-only is not allowed for market orders",
        ),
        (
            late_post_only,
            400,
            "VALIDATION_ERROR",
            "post_only",
            "post-only cannot be combined with IOC or FOK",
        ),
        (market(json!({})), 400, quantity, "quantity", "quantity is required"),
        (
            market(json!({"quantity": "1", "quote_quantity": "5"})),
            400,
            quantity,
            "quote_quantity",
            "exactly one of quantity and quote_quantity is required",
        ),
        (
            market(json!({"quote_quantity": "5", "side": "SELL"})),
            400,
            quantity,
            "quote_quantity",
            "quote_quantity is only allowed for market buy orders",
        ),
        (market(json!({"quote_quantity": "0"})), 400, quantity, "quote_quantity", ""),
        (market(json!({"quote_quantity": 5})), 400, quantity, "quote_quantity", ""),
        (market(json!({"quote_quantity": "0.000000001"})), 400, quantity, "quote_quantity", ""),
        (
            market(json!({"quote_quantity": "5", "time_in_force": "FOK"})),
            400,
            "INVALID_TIME_IN_FORCE",
            "time_in_force",
            "",
        ),
    ]
}

#[tokio::test]
async fn misshapen_orders_are_refused_and_not_journaled() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = exchange.sequence();
    for rows in [field_rows(), number_rows(), combination_rows()] {
        for (body, status, code, field, text) in rows {
            let refused = exchange.place("buyer", body.clone()).await.refused(status, code);
            assert_eq!(refused.body["details"]["field"], field, "{body}");
            assert!(text.is_empty() || refused.text("error") == text, "{body}: {refused:?}");
        }
    }
    assert_eq!(exchange.sequence(), before, "nothing reached the journal");
    exchange.place("buyer", limit("BUY", "1.5", "50000.00")).await.expect(201);
    assert_eq!(exchange.sequence(), before + 1, "a good one does");
}

#[tokio::test]
async fn other_bodies_are_refused() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = exchange.sequence();
    let token = exchange.trader("buyer");
    let post = |content_type: &str, body: Vec<u8>| {
        let request = Request::post("/api/v1/orders")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", content_type);
        exchange.send(request.body(Body::from(body)).unwrap())
    };
    let good = limit("BUY", "1.5", "50000").to_string().into_bytes();
    let json = "application/json";
    for bad in ["", "{", "[]", "null", "{\"symbol\":}", "{}{}"] {
        post(json, bad.into()).await.refused(400, "INVALID_JSON");
    }
    post(json, vec![0xff, 0xfe]).await.refused(400, "INVALID_JSON");
    let twice = b"{\"side\":\"BUY\",\"side\":\"SELL\"}".to_vec();
    post(json, twice).await.refused(400, "VALIDATION_ERROR");
    post("text/plain", good.clone()).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let mut padded = good.clone();
    padded.resize(16 * 1024 + 1, b' ');
    post(json, padded.clone()).await.refused(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(exchange.sequence(), before);
    padded.pop();
    post("application/json; charset=utf-8", padded).await.expect(201);
}

#[tokio::test]
async fn an_unknown_user_has_no_account() {
    let exchange = Exchange::start().await;
    let before = exchange.sequence();
    let order = limit("BUY", "1.5", "50000");
    exchange.place("nobody", order).await.refused(404, "USER_NOT_FOUND");
    let list = exchange.get("nobody", "/api/v1/orders").await.expect(200);
    assert_eq!(list.body, json!([]));
    assert_eq!(exchange.balances("nobody").await, []);
    let all = exchange.delete("nobody", "/api/v1/orders").await.expect(200);
    assert_eq!(all.body, json!({"cancelled": 0, "orders": []}));
    assert_eq!(exchange.sequence(), before);
}

#[tokio::test]
async fn queries_keep_their_bounds() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = exchange.sequence();
    for (path, field) in [
        ("/api/v1/orders?limit=0", "limit"),
        ("/api/v1/orders?limit=101", "limit"),
        ("/api/v1/orders?limit=x", "limit"),
        ("/api/v1/orders?offset=-1", "offset"),
        ("/api/v1/orders?offset=100001", "offset"),
        ("/api/v1/orders?order_by=price", "order_by"),
        ("/api/v1/orders?order_by=created_at%3B%20drop", "order_by"),
        ("/api/v1/orders?status=open", "status"),
        ("/api/v1/orders?color=red", "color"),
        ("/api/v1/orders?limit=1&limit=2", "limit"),
        ("/api/v1/orderbook/BTC-USDT?depth=0", "depth"),
        ("/api/v1/orderbook/BTC-USDT?depth=101", "depth"),
        ("/api/v1/trades/BTC-USDT/recent?limit=501", "limit"),
        ("/api/v1/balances?asset=BTC", "asset"),
    ] {
        let refused = exchange.get("buyer", path).await.refused(400, "VALIDATION_ERROR");
        assert_eq!(refused.body["details"]["field"], field, "{path}");
    }
    for path in [
        "/api/v1/orders?limit=1",
        "/api/v1/orders?limit=100&offset=100000",
        "/api/v1/orders?order_by=updated_at:asc&status=OPEN&symbol=BTC_USDT",
        "/api/v1/orders?order_by=created_at_desc",
        "/api/v1/orderbook/BTC-USDT?depth=100",
        "/api/v1/trades/BTC-USDT/recent?limit=500",
    ] {
        exchange.get("buyer", path).await.expect(200);
    }
    // A misspelt filter must not cancel everything.
    exchange
        .delete("buyer", "/api/v1/orders?symbl=BTC-USDT")
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(exchange.sequence(), before);
}

#[tokio::test]
async fn misshapen_credits_are_refused_and_not_journaled() {
    let exchange = Exchange::start().await;
    let before = exchange.sequence();
    let credit = |field: &str, value: Value| {
        let mut body = json!({"user": "x", "asset": "USDT", "amount": "1", "reference": "r"});
        body[field] = value;
        exchange.admin(Method::POST, "/credits", Some(body))
    };
    credit("user", json!(null)).await.refused(400, "INVALID_USER");
    credit("user", json!("a b")).await.refused(400, "INVALID_USER");
    credit("asset", json!("EUR")).await.refused(404, "ASSET_NOT_FOUND");
    credit("reference", json!("")).await.refused(400, "INVALID_REFERENCE");
    credit("reference", json!("x".repeat(101))).await.refused(400, "INVALID_REFERENCE");
    credit("memo", json!("x")).await.refused(400, "UNKNOWN_FIELD");
    for (amount, text) in [
        (json!(null), "amount is required"),
        (json!("0"), "amount must be greater than 0"),
        (json!("-1"), "amount must be greater than 0"),
        (json!("x"), "invalid amount format"),
        (json!(1), "invalid amount format"),
        (json!("0.000000001"), "amount has more than 8 decimal places"),
    ] {
        let refused = credit("amount", amount).await.refused(400, "INVALID_AMOUNT");
        assert_eq!(refused.text("error"), text);
    }
    assert_eq!(exchange.sequence(), before);
    credit("reference", json!("x".repeat(100))).await.expect(201);
}
