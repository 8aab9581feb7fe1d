//! Kill switches: what they close, what they keep out, who may throw them.

use axum::http::Method;
use engine::{Command, KillSwitchScope};
use gateway::limits::KILLED_ACCOUNTS_PAGE_MAX;
use gateway::replies::Answer::Registered;
use gateway::replies::Answered;
use serde_json::{Value, json};

use crate::harness::{Answer, Exchange, and, limit, rows};
use crate::stops::order;

impl Exchange {
    async fn switch(&self, path: &str, on: bool) -> Answer {
        self.admin(Method::PUT, path, Some(json!({ "on": on }))).await
    }

    async fn switched_on(&self) -> Value {
        self.admin(Method::GET, "/kill-switches", None).await.expect(200).body
    }
}

/// Two orders of the buyer in each of two symbols, and one of the seller.
async fn with_orders(directory: &std::path::Path) -> Exchange {
    let exchange = Exchange::start_in(directory, "").await.unwrap();
    exchange.fund().await;
    exchange.limit("buyer", "BUY", "0.1", "50000").await;
    let stop = json!({"stop_price": "50000", "price": "50000"});
    exchange.placed("buyer", order("BUY", "STOP", "0.1", stop)).await;
    let eth = json!({"symbol": "ETH/USDT"});
    exchange.placed("buyer", and(limit("BUY", "1", "2000"), eth.clone())).await;
    exchange.limit("seller", "SELL", "1", "60000").await;
    exchange
}

#[tokio::test]
async fn each_switch_closes_what_is_in_its_scope() {
    let user = gateway::ids::user("buyer").unwrap();
    for (path, of, closed, buyer, seller) in [
        ("/kill-switch", json!({}), 4, ("75150", "0"), ("1.5", "0")),
        (
            "/symbols/BTC-USDT/kill-switch",
            json!({"symbol": "BTC/USDT"}),
            3,
            ("73146", "2004"),
            ("1.5", "0"),
        ),
        ("/accounts/buyer/kill-switch", json!({"user": user}), 3, ("75150", "0"), ("0.5", "1")),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let exchange = with_orders(directory.path()).await;
        assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "63126", "12024")]));
        let on = exchange.switch(path, true).await.expect(200);
        assert_eq!(on.body, and(of.clone(), json!({"on": true, "closed": closed})));
        assert_eq!(on.headers["x-seq"], exchange.sequence().to_string().as_str());
        assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", buyer.0, buyer.1)]));
        assert_eq!(exchange.balances("seller").await, rows(&[("BTC", seller.0, seller.1)]));
        let listed = exchange.get("buyer", "/api/v1/orders").await.expect(200).body;
        let reasons = listed.as_array().unwrap().iter().filter_map(|o| o.get("status_reason"));
        assert!(reasons.clone().count() >= 2 && reasons.clone().all(|r| r == "KILL_SWITCH"));
        let refused = exchange.place("buyer", limit("BUY", "0.1", "50000")).await;
        let refused = refused.refused(400, "KILL_SWITCH");
        assert_eq!(refused.body["details"]["retryable"], true);
        let again = exchange.switch(path, true).await.expect(200);
        assert_eq!(again.body["closed"], 0, "as good as setting it");
        let exchange = exchange.restarted(directory.path(), &["buyer", "seller"]).await;
        exchange.place("buyer", limit("BUY", "0.1", "50000")).await.refused(400, "KILL_SWITCH");
        let off = exchange.switch(path, false).await.expect(200);
        assert_eq!(off.body, and(of, json!({"on": false, "closed": 0})));
        exchange.limit("buyer", "BUY", "0.1", "50000").await;
    }
}

#[tokio::test]
async fn a_switch_keeps_out_changes_and_lets_cancels_through() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = with_orders(directory.path()).await;
    exchange.switch("/symbols/ETH-USDT/kill-switch", true).await.expect(200);
    let listed = exchange.get("buyer", "/api/v1/orders?symbol=BTC-USDT").await.expect(200).body;
    let path = format!("/api/v1/orders/{}", listed[1]["id"].as_str().unwrap());
    exchange.patch("buyer", &path, json!({"quantity": "0.05"})).await.expect(200);
    let eth = json!({"symbol": "ETH-USDT"});
    exchange.place("buyer", and(limit("BUY", "1", "2000"), eth)).await.refused(400, "KILL_SWITCH");
    exchange.delete("buyer", &path).await.expect(200);
}

#[tokio::test]
async fn what_is_on_is_listed() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = with_orders(directory.path()).await;
    let none = json!({"venue": false, "symbols": [], "accounts_total": 0, "accounts": []});
    assert_eq!(exchange.switched_on().await, none);
    let user = gateway::ids::user("seller").unwrap();
    for path in ["/kill-switch", "/symbols/ETH_USDT/kill-switch", "/accounts/seller/kill-switch"] {
        exchange.switch(path, true).await.expect(200);
    }
    let all = json!({
        "venue": true, "symbols": ["ETH/USDT"], "accounts_total": 1, "accounts": [user],
    });
    assert_eq!(exchange.switched_on().await, all);
    let exchange = exchange.restarted(directory.path(), &["seller"]).await;
    assert_eq!(exchange.switched_on().await, all);
    for path in ["/kill-switch", "/symbols/ETH-USDT/kill-switch", "/accounts/seller/kill-switch"] {
        exchange.switch(path, false).await.expect(200);
    }
    assert_eq!(exchange.switched_on().await, none);
}

#[tokio::test]
async fn a_list_of_accounts_is_bounded() {
    let exchange = Exchange::start().await;
    let exchange_of = &exchange.app.state().exchange;
    for number in 1..=KILLED_ACCOUNTS_PAGE_MAX + 1 {
        let uuid = number as u128;
        let register = Command::RegisterAccount { uuid, stp_group: 0 };
        let Ok(Answered { answer: Registered(account), .. }) = exchange_of.submit(register).await
        else {
            panic!("account {number}")
        };
        let (scope, on) = (KillSwitchScope::Account, true);
        let switch = Command::SetKillSwitch { scope, id: account.0, on };
        exchange_of.submit(switch).await.unwrap();
        if number >= KILLED_ACCOUNTS_PAGE_MAX {
            let listed = exchange.switched_on().await;
            assert_eq!(listed["accounts_total"], number);
            let shown = listed["accounts"].as_array().unwrap().len();
            assert_eq!(shown, KILLED_ACCOUNTS_PAGE_MAX, "at the bound and one past it");
        }
    }
}

#[tokio::test]
async fn misshapen_switches_change_nothing() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = exchange.sequence();
    for body in [json!({}), json!({"on": "true"}), json!({"on": 1}), json!({"on": null})] {
        let refused = exchange.admin(Method::PUT, "/kill-switch", Some(body)).await;
        assert_eq!(refused.refused(400, "VALIDATION_ERROR").body["details"]["field"], "on");
    }
    let body = json!({"on": true, "why": "x"});
    exchange.admin(Method::PUT, "/kill-switch", Some(body)).await.refused(400, "UNKNOWN_FIELD");
    exchange.switch("/symbols/XRP-USDT/kill-switch", true).await.refused(404, "SYMBOL_NOT_FOUND");
    exchange.switch("/symbols/BTCUSDT/kill-switch", true).await.refused(400, "INVALID_SYMBOL");
    exchange.switch("/accounts/nobody/kill-switch", true).await.refused(404, "USER_NOT_FOUND");
    exchange.switch("/accounts/a%20b/kill-switch", true).await.refused(400, "INVALID_USER");
    assert_eq!(exchange.sequence(), before);
}
