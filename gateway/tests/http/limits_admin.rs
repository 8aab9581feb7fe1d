//! The limits of a symbol: shown, changed, enforced, and still there after a restart.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Exchange, and, limit, rows};
use crate::stops::order;

impl Exchange {
    async fn set_limits(&self, more: Value) -> Answer {
        let body = and(json!({"symbol": "BTC-USDT"}), more);
        self.admin(Method::POST, "/limits", Some(body)).await
    }

    async fn limits(&self) -> Value {
        self.admin(Method::GET, "/limits?symbol=BTC_USDT", None).await.expect(200).body[0].clone()
    }
}

fn defaults() -> Value {
    json!({
        "symbol": "BTC/USDT",
        "min_quantity": "0.000001", "max_quantity": "100", "max_price": "10000000",
        "min_notional": "0", "max_notional": "0",
        "maker_fee_ppm": "1000", "taker_fee_ppm": "2000",
        "price_band_bps": "1000", "market_collar_bps": "500", "reference_price": "0",
        "max_open_orders": "200", "max_book_orders": "1000000",
        "max_daily_volume": "0", "max_iceberg_parts": "100",
    })
}

fn others() -> Value {
    json!({
        "min_quantity": "0.001", "max_quantity": "99.5", "max_price": "9000000",
        "min_notional": "1.5", "max_notional": "1000000",
        "maker_fee_ppm": "-100", "taker_fee_ppm": "1500",
        "price_band_bps": "0", "market_collar_bps": "300", "reference_price": "50000",
        "max_open_orders": "50", "max_book_orders": "1000",
        "max_daily_volume": "1000", "max_iceberg_parts": "10",
    })
}

#[tokio::test]
async fn only_what_is_given_changes_and_it_stays_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    let all = exchange.admin(Method::GET, "/limits", None).await.expect(200).body;
    assert_eq!((all[0].clone(), &all[1]["symbol"]), (defaults(), &json!("ETH/USDT")));
    assert_eq!(exchange.limits().await, defaults());
    let mut expected = defaults();
    for (name, value) in others().as_object().unwrap() {
        expected[name] = value.clone();
        let set = exchange.set_limits(json!({ name: value })).await.expect(200);
        assert_eq!(set.body, expected, "{name}");
        assert_eq!(set.headers["x-seq"], exchange.sequence().to_string().as_str());
    }
    assert_eq!(exchange.set_limits(others()).await.expect(200).body, expected, "as good as set");
    let exchange = exchange.restarted(directory.path(), &["buyer"]).await;
    assert_eq!(exchange.limits().await, expected, "the configuration does not undo it");
    let symbols = exchange.get("x", "/api/v1/symbols").await.expect(200).body;
    assert_eq!(
        (&symbols[0]["taker_fee"], &symbols[0]["max_quantity"]),
        (&json!("0.0015"), &json!("99.5"))
    );
    assert_eq!(exchange.set_limits(defaults()).await.expect(200).body, defaults());
}

#[tokio::test]
async fn every_limit_is_enforced_and_said() {
    let exchange = Exchange::start().await;
    exchange.credit("buyer", "USDT", "1000000").await.expect(201);
    let buy = |quantity: &str, price: &str| exchange.place("buyer", limit("BUY", quantity, price));
    for (limits, quantity, price, code) in [
        (json!({"min_quantity": "0.5"}), "0.499999", "100", "QTY_BELOW_MIN"),
        (
            json!({"min_quantity": "0.000001", "max_quantity": "2"}),
            "2.000001",
            "100",
            "QTY_ABOVE_MAX",
        ),
        (json!({"min_notional": "50"}), "0.4", "124.99", "NOTIONAL_BELOW_MIN"),
        (json!({"max_notional": "60"}), "0.5", "120.01", "NOTIONAL_ABOVE_MAX"),
        (
            json!({"min_notional": "0", "max_notional": "0", "reference_price": "100"}),
            "0.1",
            "110.01",
            "PRICE_BAND",
        ),
        (json!({"price_band_bps": "0", "max_price": "120"}), "0.1", "120.01", "INVALID_PRICE"),
        (json!({"max_daily_volume": "1.5"}), "1.500001", "100", "DAILY_VOLUME"),
    ] {
        exchange.set_limits(limits).await.expect(200);
        buy(quantity, price).await.refused(400, code);
    }
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "1000000", "0")]));
    let hidden = and(limit("BUY", "1", "100"), json!({"display_quantity": "0.1"}));
    exchange.placed("buyer", hidden.clone()).await;
    exchange.set_limits(json!({"max_iceberg_parts": "9"})).await.expect(200);
    exchange.place("buyer", hidden).await.refused(400, "INVALID_QUANTITY");
    exchange.set_limits(json!({"max_open_orders": "2"})).await.expect(200);
    buy("0.1", "100").await.expect(201);
    let refused = buy("0.1", "100").await.refused(400, "TOO_MANY_OPEN_ORDERS");
    assert_eq!(refused.body["details"]["retryable"], true);
    exchange.set_limits(json!({"max_open_orders": "9", "max_book_orders": "2"})).await.expect(200);
    buy("0.1", "100").await.refused(400, "BOOK_FULL");
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "999889.78", "110.22")]));
}

/// Both sides of a trade count, and so does what an order asks for.
#[tokio::test]
async fn a_day_has_so_much_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    exchange.set_limits(json!({"max_daily_volume": "1"})).await.expect(200);
    exchange.limit("seller", "SELL", "0.6", "100").await;
    exchange.limit("buyer", "BUY", "0.6", "100").await;
    for (user, side) in [("buyer", "BUY"), ("seller", "SELL")] {
        let more = exchange.place(user, limit(side, "0.400001", "100")).await;
        let more = more.refused(400, "DAILY_VOLUME");
        assert_eq!(more.body["details"]["retryable"], true);
    }
    let id = exchange.limit("buyer", "BUY", "0.3", "99").await;
    let path = format!("/api/v1/orders/{id}");
    exchange.patch("buyer", &path, json!({"quantity": "0.5"})).await.refused(400, "DAILY_VOLUME");
    let exchange = exchange.restarted(directory.path(), &["buyer", "seller"]).await;
    let budget = json!({"type": "MARKET", "quote_quantity": "50", "quantity": null});
    exchange.limit("seller", "SELL", "0.4", "100").await;
    let body = and(order("BUY", "MARKET", "1", json!({})), budget);
    exchange.place("buyer", body).await.refused(400, "DAILY_VOLUME");
    exchange.set_limits(json!({"max_daily_volume": "0"})).await.expect(200);
    exchange.limit("buyer", "BUY", "0.4", "100").await;
}

#[tokio::test]
async fn live_orders_keep_what_they_came_in_with() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let id = exchange.limit("buyer", "BUY", "1", "50000").await;
    exchange.set_limits(json!({"taker_fee_ppm": "0", "maker_fee_ppm": "0"})).await.expect(200);
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "25050", "50100")]));
    exchange.limit("seller", "SELL", "1", "50000").await;
    // 0.1 % of 50,000 as the maker that it was; nothing for the one that came later.
    assert_eq!(
        exchange.balances("buyer").await,
        rows(&[("BTC", "1", "0"), ("USDT", "25100", "0")])
    );
    assert_eq!(
        exchange.balances("seller").await,
        rows(&[("BTC", "0.5", "0"), ("USDT", "50000", "0")])
    );
    assert_eq!(exchange.own_order("buyer", &id).await["status"], "FILLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time_all_hold() {
    let exchange = Arc::new(Exchange::start().await);
    let others = others();
    let set = |(name, value): (&String, &Value)| {
        let (exchange, one) = (Arc::clone(&exchange), json!({ name: value }));
        tokio::spawn(async move { exchange.set_limits(one).await.expect(200) })
    };
    let setting: Vec<_> = others.as_object().unwrap().iter().map(set).collect();
    for one in setting {
        one.await.unwrap();
    }
    assert_eq!(exchange.limits().await, and(defaults(), others));
}

#[tokio::test]
async fn misshapen_limits_are_refused_and_not_journaled() {
    let exchange = Exchange::start().await;
    let before = exchange.sequence();
    for (body, field) in [
        (json!({"min_quantity": "x"}), "min_quantity"),
        (json!({"min_quantity": "-1"}), "min_quantity"),
        (json!({"max_quantity": 1}), "max_quantity"),
        (json!({"max_quantity": "0.0000001"}), "max_quantity"),
        (json!({"max_price": "0.001"}), "max_price"),
        (json!({"max_price": "99999999999999999999999"}), "max_price"),
        (json!({"max_daily_volume": "99999999999999999999999"}), "max_daily_volume"),
        (json!({"min_notional": "0.000000001"}), "min_notional"),
        (json!({"maker_fee_ppm": "1.5"}), "maker_fee_ppm"),
        (json!({"taker_fee_ppm": "+1"}), "taker_fee_ppm"),
        (json!({"price_band_bps": "-1"}), "price_band_bps"),
        (json!({"max_open_orders": ""}), "max_open_orders"),
        (json!({"max_book_orders": "4294967296"}), "max_book_orders"),
        (json!({"max_iceberg_parts": true}), "max_iceberg_parts"),
    ] {
        let refused = exchange.set_limits(body).await.refused(400, "INVALID_INSTRUMENT");
        assert_eq!(refused.body["details"]["field"], field);
    }
    for body in [
        json!({"min_quantity": "0"}),
        json!({"min_quantity": "101"}),
        json!({"min_notional": "2", "max_notional": "1"}),
        json!({"taker_fee_ppm": "100001"}),
        json!({"maker_fee_ppm": "-2001"}),
        json!({"price_band_bps": "10000"}),
        json!({"market_collar_bps": "0"}),
        json!({"max_open_orders": "0"}),
        json!({"max_iceberg_parts": "0"}),
    ] {
        exchange.set_limits(body).await.refused(400, "INVALID_INSTRUMENT");
    }
    exchange.set_limits(json!({"tick": "1"})).await.refused(400, "UNKNOWN_FIELD");
    exchange.set_limits(json!({"symbol": "XRP-USDT"})).await.refused(404, "SYMBOL_NOT_FOUND");
    exchange.set_limits(json!({"symbol": null})).await.refused(400, "INVALID_SYMBOL");
    assert_eq!(exchange.limits().await, defaults());
    assert_eq!(exchange.sequence(), before);
}
