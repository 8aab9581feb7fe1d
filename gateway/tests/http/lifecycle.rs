//! An order from its first to its last state, and the money beside it.

use axum::http::Method;
use serde_json::json;

use crate::harness::{Exchange, limit, rows};

#[tokio::test]
async fn the_seventy_five_thousand_example() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let sell = exchange.place("seller", limit("SELL", "1.5", "49900")).await.expect(201);
    assert_eq!((sell.text("status"), sell.text("filled_quantity")), ("OPEN", "0"));
    assert_eq!(exchange.balances("seller").await, rows(&[("BTC", "0", "1.5")]));

    let mut order = limit("BUY", "1.5", "50000.00");
    order["response_type"] = json!("FULL");
    let buy = exchange.place("buyer", order).await.expect(201);
    let placed = &buy.body["order"];
    assert_eq!(placed["status"], "FILLED");
    assert_eq!(placed["price"], "50000");
    assert_eq!(placed["average_price"], "49900");
    assert_eq!(placed["filled_quantity"], "1.5");
    assert_eq!(placed["status_reason"], "FILLED");
    assert_eq!(placed["created_at"], placed["filled_at"]);
    let trade = &buy.body["trades"][0];
    assert_eq!((&trade["price"], &trade["fee"]), (&json!("49900"), &json!("149.7")));
    assert_eq!(trade["is_buyer_maker"], false);

    let expected = rows(&[("BTC", "1.5", "0"), ("USDT", "150.3", "0")]);
    assert_eq!(exchange.balances("buyer").await, expected);
    let expected = rows(&[("BTC", "0", "0"), ("USDT", "74775.15", "0")]);
    assert_eq!(exchange.balances("seller").await, expected);
    let sell = exchange.get("seller", &format!("/api/v1/orders/{}", sell.text("id"))).await;
    assert_eq!(sell.expect(200).text("status"), "FILLED");
}

#[tokio::test]
async fn an_acknowledged_order_reads_as_accepted() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let mut order = limit("BUY", "1.5", "50000.00");
    order["response_type"] = json!("ACK");
    order["time_in_force"] = json!("GTC");
    let ack = exchange.place("buyer", order).await.expect(201);
    assert_eq!(ack.headers["x-seq"], exchange.sequence().to_string().as_str());
    let mut fields: Vec<_> = ack.body.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    let expected = [
        "created_at",
        "filled_quantity",
        "id",
        "price",
        "quantity",
        "side",
        "status",
        "symbol",
        "type",
    ];
    assert_eq!(fields, expected);
    let shown = ["status", "quantity", "filled_quantity"].map(|field| ack.text(field));
    assert_eq!(shown, ["PENDING", "1.5", "0"]);
}

#[tokio::test]
async fn a_refused_order_is_kept() {
    let exchange = Exchange::start().await;
    exchange.credit("buyer", "USDT", "75149.99999999").await.expect(201);
    let mut order = limit("BUY", "1.5", "50000");
    order["client_order_id"] = json!("poor");
    let refused = exchange.place("buyer", order).await.refused(400, "INSUFFICIENT_BALANCE");
    assert_eq!(refused.body["details"]["retryable"], true);
    let id = refused.body["details"]["order_id"].as_str().unwrap();
    for path in [format!("/api/v1/orders/{id}"), "/api/v1/orders/by-client-id/poor".to_owned()] {
        let kept = exchange.get("buyer", &path).await.expect(200);
        assert_eq!((kept.text("id"), kept.text("status")), (id, "REJECTED"));
        assert_eq!(kept.text("status_reason"), "INSUFFICIENT_BALANCE");
    }
    let path = format!("/api/v1/orders/{id}");
    exchange.delete("buyer", &path).await.refused(409, "ORDER_NOT_CANCELLABLE");
    let amend = json!({"quantity": "1"});
    exchange.patch("buyer", &path, amend).await.refused(409, "ORDER_NOT_AMENDABLE");

    exchange.credit("buyer", "USDT", "0.00000001").await.expect(201);
    exchange.place("buyer", limit("BUY", "1.5", "50000")).await.expect(201);
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "0", "75150")]));
}

#[tokio::test]
async fn market_orders_by_quantity_and_by_budget() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    exchange.credit("buyer", "USDT", "20000").await.expect(201);
    let market = |more: serde_json::Value| {
        let mut order = json!({"symbol": "BTC/USDT", "side": "BUY", "type": "MARKET"});
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        exchange.place("buyer", order)
    };
    market(json!({"quantity": "1"})).await.refused(400, "NO_LIQUIDITY");
    exchange.limit("seller", "SELL", "1.5", "49900").await;
    let budget = market(json!({"quote_quantity": "1000"})).await.expect(201);
    let shown = ["status", "quantity", "filled_quantity", "quote_quantity", "time_in_force"];
    let shown = shown.map(|field| budget.text(field));
    assert_eq!(shown, ["FILLED", "0.02", "0.02", "1000", "IOC"]);
    assert_eq!(budget.text("status_reason"), "BUDGET_SPENT");
    assert!(budget.body.get("price").is_none());
    let rest = market(json!({"quantity": "1.4", "time_in_force": "GTC"})).await.expect(201);
    assert_eq!((rest.text("status"), rest.text("filled_quantity")), ("FILLED", "1.4"));
    let over = market(json!({"quantity": "0.1"})).await.expect(201);
    assert_eq!((over.text("status"), over.text("filled_quantity")), ("CANCELLED", "0.08"));
    assert_eq!(over.text("status_reason"), "NO_LIQUIDITY");
    assert_eq!(over.text("average_price"), "49900");
}

#[tokio::test]
async fn cancel_gives_the_hold_back_once() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let id = exchange.limit("buyer", "BUY", "1.5", "50000").await;
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "0", "75150")]));
    let path = format!("/api/v1/orders/{id}");
    let cancelled = exchange.delete("buyer", &path).await.expect(200);
    assert_eq!(cancelled.text("status"), "CANCELLED");
    assert_eq!(cancelled.text("status_reason"), "USER_CANCEL");
    assert_eq!(cancelled.text("cancelled_at"), cancelled.text("updated_at"));
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "75150", "0")]));
    let before = exchange.sequence();
    exchange.delete("buyer", &path).await.refused(409, "ORDER_NOT_CANCELLABLE");
    assert_eq!(exchange.sequence(), before);
}

#[tokio::test]
async fn orders_of_others_do_not_exist() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let id = exchange.limit("buyer", "BUY", "1", "50000").await;
    let before = exchange.sequence();
    let (head, tail) = id.split_at(8);
    let other_time = format!("{:08x}{tail}", u32::from_str_radix(head, 16).unwrap() ^ 1);
    for (user, id) in [
        ("seller", id.as_str()),
        ("nobody", &id),
        ("buyer", &other_time),
        ("buyer", "00000000-0000-0000-0000-000000000000"),
        ("buyer", "7"),
        ("buyer", "a%2Fb"),
    ] {
        let path = format!("/api/v1/orders/{id}");
        exchange.get(user, &path).await.refused(404, "ORDER_NOT_FOUND");
        exchange.delete(user, &path).await.refused(404, "ORDER_NOT_FOUND");
        let amend = json!({"quantity": "0.5"});
        exchange.patch(user, &path, amend).await.refused(404, "ORDER_NOT_FOUND");
    }
    let path = "/api/v1/orders/by-client-id/nothing";
    exchange.get("buyer", path).await.refused(404, "ORDER_NOT_FOUND");
    assert_eq!(exchange.sequence(), before);
}

#[tokio::test]
async fn amending_moves_price_quantity_and_hold() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let id = exchange.limit("buyer", "BUY", "1", "50000").await;
    let path = format!("/api/v1/orders/{id}");
    let amended = exchange.patch("buyer", &path, json!({"quantity": "0.5"})).await.expect(200);
    assert_eq!((amended.text("quantity"), amended.text("status")), ("0.5", "OPEN"));
    let expected = rows(&[("USDT", "50100", "25050")]);
    assert_eq!(exchange.balances("buyer").await, expected);
    let moved = exchange.patch("buyer", &path, json!({"price": "49000.50"})).await.expect(200);
    assert_eq!((moved.text("price"), moved.text("quantity")), ("49000.5", "0.5"));

    let before = exchange.sequence();
    let misshapen = [
        (json!({}), "VALIDATION_ERROR"),
        (json!({"price": "0"}), "INVALID_PRICE"),
        (json!({"quantity": "x"}), "INVALID_QUANTITY"),
        (json!({"side": "SELL"}), "UNKNOWN_FIELD"),
    ];
    for (body, code) in misshapen {
        exchange.patch("buyer", &path, body).await.refused(400, code);
    }
    assert_eq!(exchange.sequence(), before);
    let same = json!({"price": "49000.5"});
    exchange.patch("buyer", &path, same).await.refused(400, "NO_CHANGE");
    let dear = json!({"quantity": "90"});
    exchange.patch("buyer", &path, dear).await.refused(400, "INSUFFICIENT_BALANCE");
    let order = exchange.get("buyer", &path).await.expect(200);
    assert_eq!(order.text("quantity"), "0.5", "a refused amend changes nothing");
}

#[tokio::test]
async fn cancel_all_takes_one_symbol_or_all() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let first = exchange.limit("buyer", "BUY", "0.1", "50000").await;
    let second = exchange.limit("buyer", "BUY", "0.1", "49000").await;
    let mut eth = limit("BUY", "1", "2000");
    eth["symbol"] = json!("ETH-USDT");
    exchange.place("buyer", eth).await.expect(201);
    let unlisted = "/api/v1/orders?symbol=XRP-USDT";
    exchange.delete("buyer", unlisted).await.refused(404, "SYMBOL_NOT_FOUND");
    let some = exchange.delete("buyer", "/api/v1/orders?symbol=BTC-USDT").await.expect(200);
    assert_eq!(some.body["cancelled"], 2);
    let orders = some.body["orders"].as_array().unwrap();
    let ids: Vec<_> = orders.iter().map(|order| order["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [first, second]);
    assert!(orders.iter().all(|order| order["status_reason"] == "MASS_CANCEL"));
    let rest = exchange.delete("buyer", "/api/v1/orders").await.expect(200);
    assert_eq!(rest.body["cancelled"], 1);
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "75150", "0")]));
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let mut ids = Vec::new();
    for price in ["100", "101", "102", "103"] {
        ids.push(exchange.limit("buyer", "BUY", "0.1", price).await);
    }
    let path = format!("/api/v1/orders/{}", ids[0]);
    let cancelled = exchange.delete("buyer", &path).await.expect(200);
    let list = async |query: &str| -> Vec<usize> {
        let answer = exchange.get("buyer", &format!("/api/v1/orders?{query}")).await.expect(200);
        assert!(answer.headers.contains_key("x-seq"));
        let rows = answer.body.as_array().unwrap().clone();
        let place = |id: &str| ids.iter().position(|known| known == id).unwrap();
        rows.iter().map(|row| place(row["id"].as_str().unwrap())).collect()
    };
    assert_eq!(list("").await, [3, 2, 1, 0]);
    assert_eq!(list("order_by=created_at:asc").await, [0, 1, 2, 3]);
    assert_eq!(list("order_by=updated_at").await, [0, 3, 2, 1]);
    assert_eq!(list("order_by=updated_at_asc").await, [1, 2, 3, 0]);
    assert_eq!(list("limit=2&offset=1").await, [2, 1]);
    assert_eq!(list("status=OPEN&limit=2").await, [3, 2]);
    assert_eq!(list("status=CANCELLED").await, [0]);
    assert_eq!(list("status=PENDING").await, [0; 0]);
    assert_eq!(list("symbol=ETH-USDT").await, [0; 0]);
    assert_eq!(list(&format!("min_seq={}", cancelled.body["seq"])).await.len(), 4);
}

#[tokio::test]
async fn halted_symbols_and_suspended_accounts_do_not_trade() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let id = exchange.limit("buyer", "BUY", "0.1", "50000").await;
    let set = |path: &'static str, status: &str| {
        exchange.admin(Method::POST, path, Some(json!({ "status": status })))
    };
    let symbol = "/symbols/BTC-USDT/status";
    let halted = set(symbol, "HALTED").await.expect(200);
    assert_eq!(halted.body, json!({"symbol": "BTC/USDT", "status": "HALTED"}));
    set(symbol, "HALTED").await.expect(200);
    set(symbol, "AUCTION").await.refused(400, "VALIDATION_ERROR");
    set("/symbols/XRP-USDT/status", "HALTED").await.refused(404, "SYMBOL_NOT_FOUND");
    exchange.place("buyer", limit("BUY", "0.1", "50000")).await.refused(400, "TRADING_HALTED");
    let symbols = exchange.get("buyer", "/api/v1/symbols").await.expect(200);
    assert_eq!(symbols.body[0]["status"], "HALTED");
    set(symbol, "CANCEL_ONLY").await.expect(200);
    exchange.place("buyer", limit("BUY", "0.1", "50000")).await.refused(400, "CANCEL_ONLY");
    set(symbol, "TRADING").await.expect(200);

    let account = "/accounts/buyer/status";
    set(account, "SUSPENDED").await.expect(200);
    exchange.place("buyer", limit("BUY", "0.1", "50000")).await.refused(403, "ACCOUNT_SUSPENDED");
    exchange.delete("buyer", &format!("/api/v1/orders/{id}")).await.expect(200);
    set(account, "ACTIVE").await.expect(200);
    exchange.limit("buyer", "BUY", "0.1", "50000").await;
    set("/accounts/nobody/status", "ACTIVE").await.refused(404, "USER_NOT_FOUND");
}
