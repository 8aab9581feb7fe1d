//! The trades of an own order: whose they are, page by page, and how far each is settled.

use axum::http::{Method, StatusCode};
use gateway::config::WalletBackend;
use serde_json::{Value, json};
use settlement::limits::POLL_EVERY;
use wallet::client::CallContext;

use crate::harness::{Answer, Exchange, config};

impl Exchange {
    async fn trades(&self, user: &str, order: &str, query: &str) -> Answer {
        self.get(user, &format!("/api/v1/orders/{order}/trades{query}")).await
    }

    /// Waits until the newest trade of the order has this status.
    async fn until_settlement(&self, user: &str, order: &str, status: &str) -> Value {
        loop {
            let page = self.trades(user, order, "").await.expect(200).body;
            if page[0]["settlement_status"] == status {
                return page;
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// One trade of 0.5 BTC at 50,000; the orders of seller and buyer.
    async fn half(&self) -> (String, String) {
        let sell = self.limit("seller", "SELL", "0.5", "50000").await;
        (sell, self.limit("buyer", "BUY", "0.5", "50000").await)
    }
}

#[tokio::test]
async fn a_trade_is_pending_until_the_wallet_has_settled_it() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let desk = &exchange.app.state().money.desk;
    desk.pause(true).await.unwrap();
    let (sell, buy) = exchange.half().await;
    let trade = exchange.trades("buyer", &buy, "").await.expect(200).body[0].clone();
    let expected = json!({
        "id": trade["id"], "symbol": "BTC/USDT", "price": "50000", "quantity": "0.5",
        "fee": "50", "is_buyer_maker": false, "executed_at": trade["executed_at"],
        "order_id": buy, "side": "BUY", "settlement_status": "PENDING",
        "settlement_id": null, "settled_at": null,
    });
    assert_eq!(trade, expected);
    desk.pause(false).await.unwrap();
    let settled = exchange.until_settlement("buyer", &buy, "SETTLED").await[0].clone();
    let trade_id = trade["id"].as_str().unwrap().parse().unwrap();
    let client = &exchange.app.state().money.client;
    let context = CallContext::within(std::time::Duration::from_secs(20));
    let told = client.settlement_of_trade(context, trade_id).await.unwrap().unwrap();
    assert_eq!(settled["settlement_id"], told.settlement_id.to_string());
    assert!(settled["settled_at"].as_str().unwrap() >= trade["executed_at"].as_str().unwrap());
    let seen = exchange.trades("seller", &sell, "").await.expect(200).body;
    let row = &seen[0];
    let own = (&row["id"], &row["side"], &row["order_id"], &row["fee"]);
    assert_eq!(own, (&trade["id"], &json!("SELL"), &json!(sell), &json!("25")));
    assert_eq!(row["settlement_id"], settled["settlement_id"], "one settlement for both");
}

#[tokio::test]
async fn orders_of_others_have_no_trades_and_bad_pages_are_refused() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let (sell, buy) = exchange.half().await;
    exchange.trades("buyer", &sell, "").await.refused(404, "ORDER_NOT_FOUND");
    exchange.trades("nobody", &buy, "").await.refused(404, "ORDER_NOT_FOUND");
    exchange.trades("buyer", "x", "").await.refused(404, "ORDER_NOT_FOUND");
    for query in ["?limit=0", "?limit=101", "?before=x", "?more=1"] {
        let refused = exchange.trades("buyer", &buy, query).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
    exchange.trades("buyer", &buy, "?limit=100").await.expect(200);
    let path = format!("/api/v1/orders/{buy}/trades");
    let request = crate::harness::request(Method::GET, &path, None, None);
    exchange.send(request).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn pages_show_every_trade_once() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let sell = exchange.limit("seller", "SELL", "0.5", "50000").await;
    for _ in 0..5 {
        exchange.limit("buyer", "BUY", "0.1", "50000").await;
    }
    let whole = exchange.trades("seller", &sell, "").await.expect(200).body;
    let ids = |page: &Value| -> Vec<String> {
        let rows = page.as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = ids(&exchange.trades("seller", &sell, &query).await.expect(200).body);
        let Some(last) = page.last() else { break };
        query = format!("?limit=2&before={last}");
        seen.extend(page);
    }
    assert_eq!((seen.len(), seen), (5, ids(&whole)));
}

#[tokio::test]
async fn settlements_are_shown_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    let (_, buy) = exchange.half().await;
    let before = exchange.until_settlement("buyer", &buy, "SETTLED").await;
    drop(exchange.app.shutdown().await.unwrap());
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    assert_eq!(exchange.trades("buyer", &buy, "").await.expect(200).body, before);
    drop(exchange.app.shutdown().await.unwrap());
}

#[tokio::test]
async fn a_wallet_that_refuses_the_trade_shows_as_failed() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path(), "");
    config.wallet.backend = WalletBackend::Http;
    config.wallet_client.use_mock = true;
    let exchange = Exchange::start_with(config).await.unwrap();
    // The wallet in memory has never heard of these users' money.
    for (user, asset, amount) in [("buyer", 4, 7_515_000_000_000), ("seller", 1, 150_000_000)] {
        exchange.lend(user, asset, amount).await;
    }
    let (_, buy) = exchange.half().await;
    let failed = exchange.until_settlement("buyer", &buy, "FAILED").await;
    assert_eq!(
        (&failed[0]["settlement_id"], &failed[0]["settled_at"]),
        (&Value::Null, &Value::Null)
    );
    drop(exchange.app.shutdown().await.unwrap());
}

impl Exchange {
    /// Money that only the exchange knows of.
    async fn lend(&self, user: &str, asset: u32, amount: u128) {
        use engine::{AssetId, Command, TransferId};
        let state = self.app.state();
        let uuid = gateway::ids::user(user).unwrap();
        let register = Command::RegisterAccount { uuid: uuid.as_u128(), stp_group: 0 };
        state.exchange.submit(register).await.unwrap();
        let account = state.views.account(uuid).unwrap();
        let (transfer_id, asset) = (TransferId(asset.into()), AssetId(asset));
        let credit = Command::Credit { transfer_id, account, asset, amount };
        state.exchange.submit(credit).await.unwrap();
    }
}
