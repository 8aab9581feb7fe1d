//! Orders that meet their own owner's: what the policy of the incoming one says happens, and the
//! money that goes with it.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Exchange, limit, rows};

fn with_policy(side: &str, quantity: &str, policy: &str) -> Value {
    let mut order = limit(side, quantity, "50000");
    order["stp"] = json!(policy);
    order
}

impl Exchange {
    async fn status(&self, user: &str, order: &str) -> (String, String, String) {
        let shown = self.get(user, &format!("/api/v1/orders/{order}")).await.expect(200);
        let text = |field| shown.body[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("status_reason"), text("filled_quantity"))
    }
}

fn said(status: &str, reason: &str, filled: &str) -> (String, String, String) {
    (status.to_owned(), reason.to_owned(), filled.to_owned())
}

#[tokio::test]
async fn the_incoming_orders_policy_decides() {
    for (policy, maker, taker) in [
        ("NONE", said("PARTIALLY_FILLED", "", "1"), said("FILLED", "FILLED", "1")),
        ("CANCEL_TAKER", said("OPEN", "", "0"), said("CANCELLED", "STP", "0")),
        ("CANCEL_MAKER", said("CANCELLED", "STP", "0"), said("OPEN", "", "0")),
        ("CANCEL_BOTH", said("CANCELLED", "STP", "0"), said("CANCELLED", "STP", "0")),
        ("DECREMENT", said("OPEN", "", "0"), said("CANCELLED", "STP", "0")),
    ] {
        let exchange = Exchange::start().await;
        exchange.credit("buyer", "USDT", "100200").await.expect(201);
        exchange.credit("buyer", "BTC", "1").await.expect(201);
        // The resting one's own policy is nobody's business.
        let resting = exchange.place("buyer", with_policy("BUY", "1.5", "CANCEL_BOTH")).await;
        let resting = resting.expect(201).text("id").to_owned();
        let placed = exchange.place("buyer", with_policy("SELL", "1", policy)).await.expect(201);
        assert_eq!(
            placed.body.get("stp").and_then(Value::as_str),
            Some(policy).filter(|p| *p != "NONE")
        );
        let id = placed.text("id").to_owned();
        assert_eq!(exchange.status("buyer", &resting).await, maker, "{policy}");
        assert_eq!(exchange.status("buyer", &id).await, taker, "{policy}");
        let shown = exchange.get("buyer", &format!("/api/v1/orders/{resting}")).await.body;
        let prevented = shown.get("prevented_quantity").and_then(Value::as_str);
        assert_eq!(prevented, (policy == "DECREMENT").then_some("1"), "{shown}");
        let held = match policy {
            // 0.5 BTC at 50,000 and 0.2 % are still to be bought.
            "DECREMENT" => rows(&[("BTC", "1", "0"), ("USDT", "75150", "25050")]),
            "CANCEL_TAKER" => rows(&[("BTC", "1", "0"), ("USDT", "25050", "75150")]),
            "CANCEL_MAKER" => rows(&[("BTC", "0", "1"), ("USDT", "100200", "0")]),
            "CANCEL_BOTH" => rows(&[("BTC", "1", "0"), ("USDT", "100200", "0")]),
            // Both fees of the one trade are paid: 50 and 100.
            _ => rows(&[("BTC", "1", "0"), ("USDT", "75000", "25050")]),
        };
        assert_eq!(exchange.balances("buyer").await, held, "{policy}");
    }
}

#[tokio::test]
async fn accounts_of_one_group_are_one_owner() {
    let exchange = Exchange::start().await;
    for user in ["buyer", "seller"] {
        let body = json!({"user": user, "stp_group": "7"});
        exchange.admin(Method::POST, "/accounts", Some(body.clone())).await.expect(201);
        exchange.admin(Method::POST, "/accounts", Some(body)).await.refused(409, "ALREADY_EXISTS");
    }
    exchange.fund().await;
    exchange.limit("buyer", "BUY", "1", "50000").await;
    let placed = exchange.place("seller", with_policy("SELL", "1", "CANCEL_TAKER")).await;
    assert_eq!(placed.expect(201).text("status_reason"), "STP");
    exchange.limit("seller", "SELL", "1", "50000").await;
    assert_eq!(exchange.balances("buyer").await[0].1, "1", "without a policy they trade");
    for wrong in [json!("0"), json!("-1"), json!("x"), json!(7)] {
        let body = json!({"user": "third", "stp_group": wrong});
        exchange
            .admin(Method::POST, "/accounts", Some(body))
            .await
            .refused(400, "VALIDATION_ERROR");
    }
}
