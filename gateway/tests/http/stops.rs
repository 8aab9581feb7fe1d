//! Orders that wait for a price: what they hold, when they start, what becomes of them.

use engine::{Command, EngineConfig};
use serde_json::{Value, json};

use crate::harness::{Exchange, and, levels, limit, rows};

/// An order in BTC/USDT without price.
pub(crate) fn order(side: &str, kind: &str, quantity: &str, more: Value) -> Value {
    let body = json!({"symbol": "BTC/USDT", "side": side, "type": kind, "quantity": quantity});
    and(body, more)
}

/// A buyer with 1,000 USDT, a seller with 10 BTC, and a last price of 100.
async fn market_at_100(directory: &std::path::Path) -> Exchange {
    let exchange = Exchange::start_in(directory, "").await.unwrap();
    exchange.credit("buyer", "USDT", "1000").await.expect(201);
    exchange.credit("seller", "BTC", "10").await.expect(201);
    exchange.fund_traders().await;
    exchange.trade_at("100").await;
    exchange
}

#[tokio::test]
async fn a_stop_holds_at_its_cap_and_buys_when_the_price_comes() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let body = order("BUY", "STOP", "1", json!({"stop_price": "102.00"}));
    let placed = exchange.placed("buyer", body).await;
    let shown = ["type", "status", "stop_price", "filled_quantity", "time_in_force"];
    let shown = shown.map(|field| placed[field].as_str().unwrap());
    assert_eq!(shown, ["STOP", "PENDING", "102", "0", "GTC"]);
    assert!(placed.get("price").is_none() && placed.get("triggered_at").is_none(), "{placed}");
    // 5 % above the stop price is 107.1, and 0.2 % of that may be the fee.
    let waiting = rows(&[("USDT", "892.6858", "107.3142")]);
    assert_eq!(exchange.balances("buyer").await, waiting);
    assert_eq!(exchange.depth().await, (vec![], vec![]), "it is in no book");
    let exchange = exchange.restarted(directory.path(), &["buyer"]).await;
    exchange.limit("seller", "SELL", "1", "103").await;
    exchange.trade_at("102").await;
    let done = exchange.own_order("buyer", placed["id"].as_str().unwrap()).await;
    let shown = ["status", "average_price", "stop_price", "status_reason", "filled_quantity"];
    let shown = shown.map(|field| done[field].as_str().unwrap());
    assert_eq!(shown, ["FILLED", "103", "102", "FILLED", "1"]);
    assert_eq!(done["triggered_at"], done["filled_at"]);
    let bought = rows(&[("BTC", "1", "0"), ("USDT", "896.794", "0")]);
    assert_eq!(exchange.balances("buyer").await, bought);
    exchange.restarted(directory.path(), &["buyer", "seller"]).await;
}

#[tokio::test]
async fn a_stop_with_a_price_rests_when_it_has_started() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let body = order("SELL", "STOP", "2", json!({"stop_price": "98", "price": "98.50"}));
    let placed = exchange.placed("seller", body).await;
    let id = placed["id"].as_str().unwrap();
    assert_eq!((&placed["type"], &placed["price"]), (&json!("STOP"), &json!("98.5")));
    assert_eq!(exchange.balances("seller").await, rows(&[("BTC", "8", "2")]));
    for (status, found) in [("PENDING", 1), ("OPEN", 0)] {
        let path = format!("/api/v1/orders?status={status}");
        let listed = exchange.get("seller", &path).await.expect(200).body;
        assert_eq!(listed.as_array().unwrap().len(), found, "{status}");
    }
    exchange.trade_at("98").await;
    let open = exchange.own_order("seller", id).await;
    assert_eq!((&open["status"], &open["stop_price"]), (&json!("OPEN"), &json!("98")));
    assert_eq!(open["triggered_at"], open["updated_at"]);
    assert_eq!(exchange.depth().await.1, levels(&[("98.5", "2", 1)]));
    let path = format!("/api/v1/orders/{id}");
    let moved = exchange.patch("seller", &path, json!({"stop_price": "97"})).await;
    assert_eq!(moved.refused(400, "INVALID_STOP_PRICE").body["details"]["field"], "stop_price");
    let moved = exchange.patch("seller", &path, json!({"price": "99"})).await.expect(200);
    assert_eq!((moved.text("price"), moved.text("stop_price")), ("99", "98"));
    let exchange = exchange.restarted(directory.path(), &["seller"]).await;
    exchange.delete("seller", &path).await.expect(200);
    assert_eq!(exchange.balances("seller").await, rows(&[("BTC", "10", "0")]));
}

#[tokio::test]
async fn take_profits_wait_for_the_better_price() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let sell = order("SELL", "TAKE_PROFIT", "1", json!({"stop_price": "105"}));
    let sell = exchange.placed("seller", sell).await;
    let dear = json!({"stop_price": "95", "price": "96", "time_in_force": "IOC"});
    let buy = exchange.placed("buyer", order("BUY", "TAKE_PROFIT", "1", dear)).await;
    for placed in [&sell, &buy] {
        assert_eq!(
            (&placed["type"], &placed["status"]),
            (&json!("TAKE_PROFIT"), &json!("PENDING"))
        );
    }
    // 96 and 0.2 %.
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "903.808", "96.192")]));
    exchange.trade_at("105").await;
    let done = exchange.own_order("seller", sell["id"].as_str().unwrap()).await;
    assert_eq!(
        (&done["status"], &done["status_reason"]),
        (&json!("CANCELLED"), &json!("NO_LIQUIDITY"))
    );
    exchange.limit("seller", "SELL", "0.4", "95.5").await;
    exchange.trade_at("95").await;
    let done = exchange.own_order("buyer", buy["id"].as_str().unwrap()).await;
    let shown = ["status", "status_reason", "filled_quantity", "time_in_force"];
    let shown = shown.map(|field| done[field].as_str().unwrap());
    assert_eq!(shown, ["CANCELLED", "IOC_REMAINDER", "0.4", "IOC"]);
    // 38.2 and 0.0764.
    let bought = rows(&[("BTC", "0.4", "0"), ("USDT", "961.7236", "0")]);
    assert_eq!(exchange.balances("buyer").await, bought);
    exchange.restarted(directory.path(), &["buyer", "seller"]).await;
}

#[tokio::test]
async fn a_trailing_stop_follows_the_market_one_way() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let amount = order("SELL", "TRAILING_STOP", "1", json!({"trail_amount": "5.00"}));
    let amount = exchange.placed("seller", amount).await;
    assert_eq!((&amount["trail_amount"], &amount["stop_price"]), (&json!("5"), &json!("95")));
    let percent = order("SELL", "TRAILING_STOP", "1", json!({"trail_percent": "7.50"}));
    let percent = exchange.placed("seller", percent).await;
    assert_eq!(
        (&percent["trail_percent"], &percent["stop_price"]),
        (&json!("7.5"), &json!("92.5"))
    );
    assert!(percent.get("trail_amount").is_none() && percent.get("price").is_none());
    assert_eq!(exchange.balances("seller").await, rows(&[("BTC", "8", "2")]));
    exchange.trade_at("109").await;
    let id = amount["id"].as_str().unwrap();
    let shown = exchange.own_order("seller", id).await;
    assert_eq!(shown["stop_price"], "95", "nothing tells when it moves");
    let path = format!("/api/v1/orders/{id}");
    let fixed = exchange.patch("seller", &path, json!({"stop_price": "90"})).await;
    fixed.refused(400, "INVALID_STOP_PRICE");
    exchange.limit("buyer", "BUY", "1", "103").await;
    let exchange = exchange.restarted(directory.path(), &["seller"]).await;
    // 109 less 5; the other one is at 100.82.
    exchange.trade_at("104").await;
    let done = exchange.own_order("seller", id).await;
    let shown =
        ["status", "stop_price", "average_price"].map(|field| done[field].as_str().unwrap());
    assert_eq!(shown, ["FILLED", "104", "103"]);
    let other = exchange.own_order("seller", percent["id"].as_str().unwrap()).await;
    assert_eq!(other["status"], "PENDING");
    // 103 less 0.2 %.
    let sold = rows(&[("BTC", "8", "1"), ("USDT", "102.794", "0")]);
    assert_eq!(exchange.balances("seller").await, sold);
    exchange.restarted(directory.path(), &["seller"]).await;
}

#[tokio::test]
async fn a_trailing_stop_needs_a_price_to_trail_and_room_below_it() {
    let exchange = Exchange::start().await;
    exchange.credit("seller", "BTC", "10").await.expect(201);
    exchange.fund_traders().await;
    let trailing = |by: &str| order("SELL", "TRAILING_STOP", "1", json!({"trail_amount": by}));
    let early = exchange.place("seller", trailing("5")).await;
    let early = early.refused(400, "NO_REFERENCE_PRICE");
    assert_eq!(early.body["details"]["retryable"], true);
    exchange.trade_at("100").await;
    let wide = exchange.place("seller", trailing("100")).await.refused(400, "TRIGGER_OUT_OF_RANGE");
    assert_eq!(wide.body["details"]["retryable"], false);
    exchange.placed("seller", trailing("99.99")).await;
}

#[tokio::test]
async fn a_budget_waits_and_is_spent() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let mut body = order("BUY", "STOP", "1", json!({"stop_price": "101"}));
    body.as_object_mut().unwrap().remove("quantity");
    let placed =
        exchange.placed("buyer", and(body.clone(), json!({"quote_quantity": "200"}))).await;
    assert_eq!((&placed["quote_quantity"], &placed["status"]), (&json!("200"), &json!("PENDING")));
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "800", "200")]));
    let small = exchange.place("buyer", and(body.clone(), json!({"quote_quantity": "0.0001"})));
    small.await.refused(400, "BUDGET_TOO_SMALL");
    let decrement = json!({"quote_quantity": "200", "stp": "DECREMENT"});
    exchange.place("buyer", and(body, decrement)).await.refused(400, "VALIDATION_ERROR");
    let path = format!("/api/v1/orders/{}", placed["id"].as_str().unwrap());
    let more = exchange.patch("buyer", &path, json!({"quantity": "2"})).await;
    more.refused(400, "INVALID_QUANTITY");
    exchange.limit("seller", "SELL", "5", "101").await;
    exchange.trade_at("101").await;
    let done = exchange.get("buyer", &path).await.expect(200);
    assert_eq!((done.text("status"), done.text("status_reason")), ("FILLED", "BUDGET_SPENT"));
    exchange.restarted(directory.path(), &["buyer"]).await;
}

#[tokio::test]
async fn a_moved_stop_moves_its_hold_and_may_start_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let body = order("BUY", "STOP", "1", json!({"stop_price": "102"}));
    let placed = exchange.placed("buyer", body).await;
    let path = format!("/api/v1/orders/{}", placed["id"].as_str().unwrap());
    let before = exchange.sequence();
    for (change, code) in [
        (json!({"price": "102"}), "INVALID_PRICE"),
        (json!({"stop_price": "x"}), "INVALID_STOP_PRICE"),
        (json!({"stop_price": "0"}), "INVALID_STOP_PRICE"),
        (json!({}), "VALIDATION_ERROR"),
    ] {
        exchange.patch("buyer", &path, change).await.refused(400, code);
    }
    assert_eq!(exchange.sequence(), before);
    exchange.patch("buyer", &path, json!({"stop_price": "102.0"})).await.refused(400, "NO_CHANGE");
    let moved = exchange.patch("buyer", &path, json!({"stop_price": "104"})).await.expect(200);
    assert_eq!((moved.text("stop_price"), moved.text("status")), ("104", "PENDING"));
    // 109.2 and 0.2 %.
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "890.5816", "109.4184")]));
    let less = exchange.patch("buyer", &path, json!({"quantity": "0.5"})).await.expect(200);
    assert_eq!((less.text("stop_price"), less.text("quantity")), ("104", "0.5"));
    exchange.limit("seller", "SELL", "0.5", "100").await;
    let met = exchange.patch("buyer", &path, json!({"stop_price": "99"})).await.expect(200);
    assert_eq!((met.text("status"), met.text("stop_price")), ("FILLED", "99"));
    exchange
        .patch("buyer", &path, json!({"stop_price": "98"}))
        .await
        .refused(409, "ORDER_NOT_AMENDABLE");
    // 50 and 0.1.
    let bought = rows(&[("BTC", "0.5", "0"), ("USDT", "949.9", "0")]);
    assert_eq!(exchange.balances("buyer").await, bought);
    exchange.restarted(directory.path(), &["buyer"]).await;
}

#[tokio::test]
async fn one_command_starts_so_many_and_the_rest_waits_its_turn() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let config = EngineConfig { max_triggers_per_command: 1, ..EngineConfig::default() };
    exchange.app.state().exchange.submit(Command::Configure(config)).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let body = order("SELL", "STOP", "1", json!({"stop_price": "98"}));
        ids.push(exchange.placed("seller", body).await["id"].as_str().unwrap().to_owned());
    }
    exchange.trade_at("98").await;
    let statuses = async |exchange: &Exchange| {
        let mut statuses = Vec::new();
        for id in &ids {
            statuses.push(
                exchange.own_order("seller", id).await["status"].as_str().unwrap().to_owned(),
            );
        }
        statuses
    };
    assert_eq!(statuses(&exchange).await, ["CANCELLED", "PENDING", "PENDING", "PENDING"]);
    // Any command starts the next one, and the last of them was elected, too.
    let path = format!("/api/v1/orders/{}", ids[3]);
    exchange
        .patch("seller", &path, json!({"stop_price": "97"}))
        .await
        .refused(409, "ORDER_NOT_AMENDABLE");
    let cancelled = exchange.delete("seller", &path).await.expect(200);
    assert_eq!(cancelled.text("status_reason"), "USER_CANCEL");
    assert_eq!(statuses(&exchange).await, ["CANCELLED"; 4]);
    assert_eq!(exchange.balances("seller").await, rows(&[("BTC", "10", "0")]));
    exchange.restarted(directory.path(), &["seller"]).await;
}

#[tokio::test]
async fn a_cascade_ends_within_one_command() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    for price in ["101", "102", "103"] {
        exchange.limit("seller", "SELL", "1", price).await;
    }
    let mut ids = Vec::new();
    for price in ["101", "102"] {
        let body = order("BUY", "STOP", "1", json!({"stop_price": price}));
        ids.push(exchange.placed("buyer", body).await["id"].as_str().unwrap().to_owned());
    }
    let before = exchange.sequence();
    let first = exchange.placed("buyer", limit("BUY", "1", "101")).await;
    assert_eq!((&first["status"], exchange.sequence()), (&json!("FILLED"), before + 1));
    for (id, price) in ids.iter().zip(["102", "103"]) {
        let done = exchange.own_order("buyer", id).await;
        assert_eq!((&done["status"], &done["average_price"]), (&json!("FILLED"), &json!(price)));
        assert_eq!(done["triggered_at"], first["created_at"]);
    }
    // 306 and 0.612.
    let bought = rows(&[("BTC", "3", "0"), ("USDT", "693.388", "0")]);
    assert_eq!(exchange.balances("buyer").await, bought);
    exchange.restarted(directory.path(), &["buyer", "seller"]).await;
}

/// What an order has left meets the stop that its own trade has started.
#[tokio::test]
async fn a_first_answer_shows_every_fill_of_its_command() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let body = order("SELL", "STOP", "1", json!({"stop_price": "99"}));
    exchange.placed("seller", body).await;
    exchange.limit("seller", "SELL", "0.5", "99").await;
    let body =
        and(limit("BUY", "2", "99"), json!({"response_type": "FULL", "client_order_id": "k"}));
    let placed = exchange.placed("buyer", body.clone()).await;
    assert_eq!(placed["order"]["filled_quantity"], "1.5");
    assert_eq!(placed["order"]["status"], "PARTIALLY_FILLED");
    let fills = placed["trades"].as_array().unwrap().iter();
    let fills: Vec<_> = fills.map(|t| (t["fee"].clone(), t["is_buyer_maker"].clone())).collect();
    assert_eq!(fills, [(json!("0.099"), json!(false)), (json!("0.099"), json!(true))]);
    // 148.5 and 0.198 are paid, 49.5 and 0.099 held.
    let left = rows(&[("BTC", "1.5", "0"), ("USDT", "801.703", "49.599")]);
    assert_eq!(exchange.balances("buyer").await, left);
    let exchange = exchange.restarted(directory.path(), &["buyer"]).await;
    let again = exchange.place("buyer", body).await.expect(201);
    assert!(again.is_replayed());
    assert_eq!(again.body["trades"], placed["trades"]);
}

#[tokio::test]
async fn what_cannot_be_done_at_the_start_ends_there() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let terms = json!({"stop_price": "102", "price": "103"});
    let mut ids = Vec::new();
    for more in [json!({"post_only": true}), json!({"time_in_force": "FOK"})] {
        let body = order("BUY", "STOP", "1", and(terms.clone(), more));
        ids.push(exchange.placed("buyer", body).await["id"].as_str().unwrap().to_owned());
    }
    let far = order("BUY", "STOP", "1", json!({"stop_price": "102", "price": "112.21"}));
    exchange.place("buyer", far).await.refused(400, "PRICE_BAND");
    exchange.limit("seller", "SELL", "0.5", "103").await;
    exchange.trade_at("102").await;
    for (id, reason) in ids.iter().zip(["POST_ONLY_WOULD_CROSS", "FOK_UNFILLABLE"]) {
        let done = exchange.own_order("buyer", id).await;
        assert_eq!(
            (&done["status"], &done["status_reason"]),
            (&json!("CANCELLED"), &json!(reason))
        );
        assert_eq!(done["triggered_at"], done["cancelled_at"]);
    }
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "1000", "0")]));
    exchange.restarted(directory.path(), &["buyer"]).await;
}

/// More of the body, code, field, text.
type Row = (Value, &'static str, &'static str, &'static str);

fn misshapen() -> Vec<(&'static str, Row)> {
    const STOP: &str = "INVALID_STOP_PRICE";
    const ZERO: &str = "stop price must be greater than 0 for stop orders";
    const NOT_POST: &str = "post-only is not allowed for market orders";
    let stop = "stop_price";
    vec![
        ("STOP", (json!({}), STOP, stop, ZERO)),
        ("TAKE_PROFIT", (json!({}), STOP, stop, ZERO)),
        ("STOP", (json!({"stop_price": "0.00"}), STOP, stop, ZERO)),
        ("STOP", (json!({"stop_price": "-1"}), STOP, stop, ZERO)),
        ("STOP", (json!({"stop_price": "abc"}), STOP, stop, "invalid stop price format")),
        ("STOP", (json!({"stop_price": 5}), STOP, stop, "invalid stop price format")),
        (
            "STOP",
            (json!({"stop_price": "1.001"}), STOP, stop, "stop price must be a multiple of 0.01"),
        ),
        ("STOP", (json!({"stop_price": "10000000.01"}), STOP, stop, "stop price is too large")),
        ("STOP", (json!({"stop_price": "9", "price": "x"}), "INVALID_PRICE", "price", "")),
        ("STOP", (json!({"stop_price": "9", "trail_amount": "1"}), STOP, "trail_amount", "")),
        ("STOP", (json!({"stop_price": "9", "trail_percent": "1"}), STOP, "trail_percent", "")),
        (
            "STOP",
            (
                json!({"stop_price": "9", "post_only": true}),
                "VALIDATION_ERROR",
                "post_only",
                NOT_POST,
            ),
        ),
        ("MARKET", (json!({"stop_price": "9"}), STOP, stop, "")),
        ("MARKET", (json!({"trail_amount": "9"}), STOP, "trail_amount", "")),
        ("LIMIT", (json!({"price": "9", "stop_price": "9"}), STOP, stop, "")),
        ("LIMIT", (json!({"price": "9", "trail_percent": "9"}), STOP, "trail_percent", "")),
    ]
}

fn misshapen_trailing() -> Vec<(&'static str, Row)> {
    const STOP: &str = "INVALID_STOP_PRICE";
    const ONE: &str = "exactly one of trail_amount and trail_percent is required";
    let stop = "stop_price";
    vec![
        ("TRAILING_STOP", (json!({}), STOP, "trail_amount", ONE)),
        (
            "TRAILING_STOP",
            (json!({"trail_amount": "1", "trail_percent": "1"}), STOP, "trail_amount", ONE),
        ),
        (
            "TRAILING_STOP",
            (
                json!({"trail_amount": "0"}),
                STOP,
                "trail_amount",
                "trail amount must be greater than 0",
            ),
        ),
        ("TRAILING_STOP", (json!({"trail_amount": "1.001"}), STOP, "trail_amount", "")),
        (
            "TRAILING_STOP",
            (json!({"trail_amount": true}), STOP, "trail_amount", "invalid trail amount format"),
        ),
        (
            "TRAILING_STOP",
            (
                json!({"trail_percent": "1e1"}),
                STOP,
                "trail_percent",
                "invalid trail percent format",
            ),
        ),
        (
            "TRAILING_STOP",
            (
                json!({"trail_percent": "0"}),
                STOP,
                "trail_percent",
                "trail percent must be from 0.01 to 99.99",
            ),
        ),
        ("TRAILING_STOP", (json!({"trail_percent": "100"}), STOP, "trail_percent", "")),
        ("TRAILING_STOP", (json!({"trail_percent": "0.001"}), STOP, "trail_percent", "")),
        (
            "TRAILING_STOP",
            (json!({"trail_amount": "1", "price": "9"}), "INVALID_PRICE", "price", ""),
        ),
        ("TRAILING_STOP", (json!({"trail_amount": "1", "stop_price": "9"}), STOP, stop, "")),
    ]
}

#[tokio::test]
async fn misshapen_stops_are_refused_and_not_journaled() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = market_at_100(directory.path()).await;
    let before = exchange.sequence();
    for (kind, (more, code, field, text)) in misshapen().into_iter().chain(misshapen_trailing()) {
        let refused = exchange.place("buyer", order("BUY", kind, "1", more.clone())).await;
        let refused = refused.refused(400, code);
        assert_eq!(refused.body["details"]["field"], field, "{kind} {more}");
        assert!(text.is_empty() || refused.text("error") == text, "{kind} {more}: {refused:?}");
    }
    for more in [json!({"price": "9"}), json!({"side": "SELL"})] {
        let body = json!({"quote_quantity": "5", "stop_price": "9", "quantity": null});
        let body = and(order("BUY", "STOP", "1", body), more);
        exchange.place("buyer", body).await.refused(400, "INVALID_QUANTITY");
    }
    assert_eq!(exchange.sequence(), before, "nothing reached the journal");
}
