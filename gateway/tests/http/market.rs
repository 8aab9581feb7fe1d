//! What anybody may see without a token.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Exchange, limit, request};

async fn get(exchange: &Exchange, path: &str) -> Answer {
    exchange.send(request(Method::GET, path, None, None)).await
}

#[tokio::test]
async fn the_book_adds_up() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    for (quantity, price) in [("0.1", "50000"), ("0.2", "50000"), ("0.3", "49900")] {
        exchange.limit("buyer", "BUY", quantity, price).await;
    }
    let id = exchange.limit("seller", "SELL", "0.5", "51000").await;
    exchange.limit("seller", "SELL", "0.05", "50000").await;
    let expected_bids = json!([
        {"price": "50000", "volume": "0.25", "count": 2},
        {"price": "49900", "volume": "0.3", "count": 1},
    ]);
    for path in ["BTC-USDT", "BTC_USDT", "BTC%2FUSDT"] {
        let book = get(&exchange, &format!("/api/v1/orderbook/{path}")).await.expect(200);
        assert_eq!(book.text("symbol"), "BTC/USDT");
        assert_eq!(book.body["bids"], expected_bids);
        assert_eq!(book.body["asks"], json!([{"price": "51000", "volume": "0.5", "count": 1}]));
        assert_eq!(book.body["seq"], exchange.sequence());
    }
    let top = get(&exchange, "/api/v1/orderbook/BTC-USDT?depth=1").await.expect(200);
    assert_eq!(top.body["bids"].as_array().unwrap().len(), 1);
    exchange.delete("seller", &format!("/api/v1/orders/{id}")).await.expect(200);
    let book = get(&exchange, "/api/v1/orderbook/BTC-USDT").await.expect(200);
    assert_eq!(book.body["asks"], json!([]));
    get(&exchange, "/api/v1/orderbook/XRP-USDT").await.refused(404, "SYMBOL_NOT_FOUND");
    get(&exchange, "/api/v1/orderbook/BTCUSDT").await.refused(400, "INVALID_SYMBOL");
}

#[tokio::test]
async fn public_trades_hide_the_parties() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    exchange.limit("seller", "SELL", "0.5", "50000").await;
    exchange.limit("buyer", "BUY", "0.1", "50000").await;
    exchange.place("buyer", limit("BUY", "0.2", "50000")).await.expect(201);
    let trades = get(&exchange, "/api/v1/trades/BTC-USDT/recent").await.expect(200);
    let rows = trades.body.as_array().unwrap();
    let quantities: Vec<_> = rows.iter().map(|row| row["quantity"].clone()).collect();
    assert_eq!(quantities, [json!("0.2"), json!("0.1")], "newest first");
    let mut fields: Vec<_> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let expected = ["executed_at", "id", "is_buyer_maker", "price", "quantity", "symbol"];
    assert_eq!(fields, expected);
    let one = get(&exchange, "/api/v1/trades/BTC-USDT/recent?limit=1").await.expect(200);
    assert_eq!(one.body, Value::Array(vec![rows[0].clone()]));
}

#[tokio::test]
async fn symbols_say_how_to_trade() {
    let exchange = Exchange::start().await;
    let symbols = get(&exchange, "/api/v1/symbols").await.expect(200);
    let btc = json!({
        "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT",
        "tick_size": "0.01", "lot_size": "0.000001",
        "min_quantity": "0.000001", "max_quantity": "100", "max_price": "10000000",
        "min_notional": "0", "maker_fee": "0.001", "taker_fee": "0.002", "status": "TRADING",
    });
    assert_eq!(symbols.body[0], btc);
    assert_eq!(symbols.body[1]["symbol"], "ETH/USDT");
}
