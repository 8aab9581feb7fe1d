//! Orders that show a part of themselves: what the public sees, what their owner sees, and the
//! money.

use serde_json::{Value, json};

use crate::harness::{Exchange, and, levels, limit, rows};

fn iceberg(side: &str, quantity: &str, price: &str, display: &str) -> Value {
    and(limit(side, quantity, price), json!({"display_quantity": display}))
}

#[tokio::test]
async fn the_book_shows_a_part_and_the_owner_sees_all() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    let placed = exchange.placed("seller", iceberg("SELL", "1.5", "100", "0.4")).await;
    let shown = ["status", "quantity", "display_quantity"].map(|f| placed[f].as_str().unwrap());
    assert_eq!(shown, ["OPEN", "1.5", "0.4"]);
    let id = placed["id"].as_str().unwrap();
    assert_eq!(exchange.balances("seller").await, rows(&[("BTC", "0", "1.5")]));
    assert_eq!(exchange.depth().await.1, levels(&[("100", "0.4", 1)]));
    exchange.limit("buyer", "BUY", "0.1", "100").await;
    assert_eq!(exchange.depth().await.1, levels(&[("100", "0.3", 1)]));
    exchange.limit("buyer", "BUY", "0.3", "100").await;
    assert_eq!(exchange.depth().await.1, levels(&[("100", "0.4", 1)]), "the next part");
    let part = exchange.own_order("seller", id).await;
    assert_eq!(
        (&part["status"], &part["filled_quantity"]),
        (&json!("PARTIALLY_FILLED"), &json!("0.4"))
    );
    let path = format!("/api/v1/orders/{id}");
    let less = exchange.patch("seller", &path, json!({"quantity": "0.9"})).await.expect(200);
    assert_eq!((less.text("quantity"), less.text("display_quantity")), ("0.9", "0.4"));
    assert_eq!(exchange.depth().await.1, levels(&[("100", "0.4", 1)]), "the reserve went first");
    exchange.patch("seller", &path, json!({"quantity": "0.6"})).await.expect(200);
    assert_eq!(exchange.depth().await.1, levels(&[("100", "0.2", 1)]));
    // Sold 0.4 for 40 as the maker.
    let sold = rows(&[("BTC", "0.9", "0.2"), ("USDT", "39.96", "0")]);
    assert_eq!(exchange.balances("seller").await, sold);
    let exchange = exchange.restarted(directory.path(), &["seller", "buyer"]).await;
    let small = exchange.patch("seller", &path, json!({"quantity": "0.3"})).await;
    assert_eq!(small.refused(400, "INVALID_QUANTITY").body["details"]["field"], "display_quantity");
    exchange.delete("seller", &path).await.expect(200);
    assert_eq!(exchange.depth().await.1, []);
    let back = rows(&[("BTC", "1.1", "0"), ("USDT", "39.96", "0")]);
    assert_eq!(exchange.balances("seller").await, back);
}

#[tokio::test]
async fn a_part_that_is_gone_queues_again_behind_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    exchange.credit("other", "BTC", "1").await.expect(201);
    let hidden = exchange.placed("seller", iceberg("SELL", "1", "100", "0.4")).await;
    let plain = exchange.limit("other", "SELL", "0.5", "100").await;
    assert_eq!(exchange.depth().await.1, levels(&[("100", "0.9", 2)]));
    let body = and(limit("BUY", "0.6", "100"), json!({"response_type": "FULL"}));
    let taken = exchange.placed("buyer", body).await;
    let quantities = taken["trades"].as_array().unwrap().iter().map(|t| t["quantity"].clone());
    assert_eq!(quantities.collect::<Vec<_>>(), [json!("0.4"), json!("0.2")]);
    assert_eq!(exchange.own_order("other", &plain).await["filled_quantity"], "0.2");
    let id = hidden["id"].as_str().unwrap();
    assert_eq!(exchange.own_order("seller", id).await["filled_quantity"], "0.4");
    assert_eq!(exchange.depth().await.1, levels(&[("100", "0.7", 2)]));
    let all = exchange.placed("buyer", limit("BUY", "0.9", "100")).await;
    assert_eq!((&all["status"], exchange.depth().await.1), (&json!("FILLED"), vec![]));
    exchange.restarted(directory.path(), &["seller", "buyer", "other"]).await;
}

#[tokio::test]
async fn a_stop_may_hide_what_it_will_rest() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    exchange.fund_traders().await;
    exchange.trade_at("100").await;
    let body = json!({"type": "STOP", "stop_price": "98"});
    let body = and(iceberg("SELL", "1.5", "99", "0.5"), body);
    exchange.placed("seller", body).await;
    assert_eq!(exchange.depth().await.1, []);
    exchange.trade_at("98").await;
    assert_eq!(exchange.depth().await.1, levels(&[("99", "0.5", 1)]));
    exchange.restarted(directory.path(), &["seller"]).await;
}

#[tokio::test]
async fn misshapen_icebergs_are_refused_and_not_journaled() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = exchange.sequence();
    let market = json!({"symbol": "BTC/USDT", "side": "SELL", "type": "MARKET", "quantity": "1"});
    let good = iceberg("SELL", "1", "100", "0.5");
    for (body, text) in [
        (
            and(good.clone(), json!({"display_quantity": "1.000001"})),
            "display_quantity is larger than quantity",
        ),
        (
            and(good.clone(), json!({"display_quantity": "0.009999"})),
            "display_quantity is less than 1/100 of quantity",
        ),
        (
            and(good.clone(), json!({"display_quantity": "0"})),
            "display_quantity must be greater than 0",
        ),
        (
            and(good.clone(), json!({"display_quantity": "-1"})),
            "display_quantity must be greater than 0",
        ),
        (and(good.clone(), json!({"display_quantity": "x"})), "invalid display_quantity format"),
        (and(good.clone(), json!({"display_quantity": 1})), "invalid display_quantity format"),
        (
            and(good.clone(), json!({"display_quantity": "0.0000001"})),
            "display_quantity must be a multiple of 0.000001",
        ),
        (
            and(good.clone(), json!({"time_in_force": "IOC"})),
            "display_quantity cannot be combined with IOC or FOK",
        ),
        (
            and(market, json!({"display_quantity": "1"})),
            "display_quantity is not allowed for market orders",
        ),
    ] {
        let refused = exchange.place("seller", body).await.refused(400, "INVALID_QUANTITY");
        assert_eq!(refused.body["details"]["field"], "display_quantity");
        assert_eq!(refused.text("error"), text);
    }
    assert_eq!(exchange.sequence(), before);
    for display in ["1", "0.01"] {
        exchange.placed("seller", iceberg("SELL", "1", "100", display)).await;
        exchange.delete("seller", "/api/v1/orders").await.expect(200);
    }
}
