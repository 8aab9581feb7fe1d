//! Orders whose funds are reserved at the wallet one by one: what is set aside, what is taken, what
//! comes back, and that both books are equal at the end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use engine::{Command, NewOrder, Price, Quantity, Side, TimeInForce};
use serde_json::{Value, json};
use settlement::order_key;
use wallet::client::{CallContext, ReserveRequest};
use wallet::ledger::types::ReserveReason;

use crate::harness::{Answer, Exchange, and, levels, limit, rows};
use crate::lifetimes::in_ms;
use crate::money::PATIENCE;
use crate::stops::order as stop_order;

const PER_ORDER: &str = "funding = \"per_order\"\n";

/// As the harness configures it, but with orders that are paid from the wallet.
pub(crate) async fn start_in(directory: &Path) -> Exchange {
    Exchange::start_in(directory, PER_ORDER).await.unwrap()
}

impl Exchange {
    /// Every trade is settled, and every end of an order was told to the wallet.
    async fn at_rest(&self, trades: u64) {
        self.until("/settlements", |body| {
            let releases = &body["releases"];
            body["settlements_total"] == trades
                && releases["owed"] == 0
                && releases["cursor"] == body["head"]
        })
        .await;
        let report = self.reconcile().await;
        assert_eq!(report["report"]["breaches"], json!([]), "{report}");
    }

    async fn order(&self, user: &str, body: Value) -> Answer {
        self.place(user, body).await
    }

    /// Asks until the user's money at the wallet is this, and then compares the books: whoever
    /// follows the events may not have read the last one yet.
    async fn comes_to(&self, trades: u64, user: &str, expected: &[(&str, &str, &str)]) {
        let look = async {
            while self.balances(user).await != rows(expected) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, look).await;
        assert!(reached.is_ok(), "{:?}", self.balances(user).await);
        self.at_rest(trades).await;
        assert_eq!(self.balances(user).await, rows(expected));
    }

    /// The id of the user's order that waits, once there is one.
    async fn pending(&self, user: &str) -> String {
        loop {
            let listed = self.get(user, "/api/v1/orders?status=PENDING").await.expect(200);
            if let Some(order) = listed.body.get(0) {
                return order["id"].as_str().unwrap().to_owned();
            }
            tokio::task::yield_now().await;
        }
    }
}

/// With a wallet that takes calls and never answers.
async fn start_without_answers(directory: &Path, silent: &std::net::TcpListener) -> Exchange {
    let wallet = format!(
        "{PER_ORDER}backend = \"http\"\n\
         [wallet_client]\nbase_url = \"http://{}\"\n",
        silent.local_addr().unwrap()
    );
    Exchange::start_in(directory, &wallet).await.unwrap()
}

fn market(side: &str, field: &str, quantity: &str) -> Value {
    json!({"symbol": "BTC/USDT", "side": side, "type": "MARKET", field: quantity})
}

/// The worked example: 75,150 is set aside for 1.5 at 50,000 and its dearest fee, and what the
/// better price leaves comes back at the end.
#[tokio::test]
async fn the_worked_example_ends_in_the_wallet() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "100000").await.expect(201);
    exchange.credit("seller", "BTC", "1.5").await.expect(201);
    exchange.limit("seller", "SELL", "1.5", "49900").await;
    assert_eq!(exchange.balances("seller").await, rows(&[("BTC", "0", "1.5")]));
    let mut body = limit("BUY", "1.5", "50000");
    body["response_type"] = json!("FULL");
    let placed = exchange.order("buyer", body).await.expect(201);
    assert_eq!(placed.body["order"]["status"], "FILLED");
    assert_eq!(placed.body["trades"][0]["fee"], "149.7");
    exchange.at_rest(1).await;
    let buyer = rows(&[("BTC", "1.5", "0"), ("USDT", "25000.3", "0")]);
    assert_eq!(exchange.balances("buyer").await, buyer);
    assert_eq!(exchange.balances("seller").await, rows(&[("USDT", "74775.15", "0")]));
}

#[tokio::test]
async fn d02_every_buy_holds_notional_and_fee() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "100000").await.expect(201);
    exchange.credit("seller", "BTC", "3").await.expect(201);
    exchange.limit("buyer", "BUY", "1", "50000").await;
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "49900", "50100")]));
    exchange.limit("seller", "SELL", "2", "50000").await;
    exchange.at_rest(1).await;
    // 0.5 at no more than 5 % above 50,000, and the taker's fee; then a budget.
    for body in [market("BUY", "quantity", "0.5"), market("BUY", "quote_quantity", "1000")] {
        let placed = exchange.order("buyer", body).await.expect(201);
        assert_eq!(placed.text("status"), "FILLED");
    }
    exchange.at_rest(3).await;
    let short = exchange.order("buyer", market("BUY", "quantity", "0.48")).await;
    let short = short.refused(400, "INSUFFICIENT_BALANCE");
    assert!(short.body["details"]["order_id"].is_string(), "the refused order is kept");
    exchange.at_rest(3).await;
}

#[tokio::test]
async fn d08_cancel_releases_exactly_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "75150").await.expect(201);
    exchange.credit("seller", "BTC", "1.5").await.expect(201);
    let order = exchange.limit("buyer", "BUY", "1.5", "50000").await;
    exchange.limit("seller", "SELL", "0.5", "50000").await;
    let cancelled = exchange.delete("buyer", &format!("/api/v1/orders/{order}")).await.expect(200);
    assert_eq!((cancelled.text("status"), cancelled.text("filled_quantity")), ("CANCELLED", "0.5"));
    exchange.at_rest(1).await;
    // As the maker it paid 25,000 and a fee of 25.
    let buyer = rows(&[("BTC", "0.5", "0"), ("USDT", "50125", "0")]);
    assert_eq!(exchange.balances("buyer").await, buyer);
    assert_eq!(
        exchange.balances("seller").await,
        rows(&[("BTC", "1", "0"), ("USDT", "24950", "0")])
    );
}

/// What comes back with the orders is no answer to a transfer.
#[tokio::test]
async fn cancelling_everything_names_the_orders() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "1000").await.expect(201);
    let orders = [
        exchange.limit("buyer", "BUY", "0.001", "50000").await,
        exchange.limit("buyer", "BUY", "0.002", "50000").await,
    ];
    let cancelled = exchange.delete("buyer", "/api/v1/orders").await.expect(200).body;
    let ids: Vec<_> =
        cancelled["orders"].as_array().unwrap().iter().map(|order| order["id"].clone()).collect();
    assert_eq!((&cancelled["cancelled"], ids), (&json!(2), orders.map(Value::from).to_vec()));
    exchange.at_rest(0).await;
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "1000", "0")]));
}

#[tokio::test]
async fn what_the_wallet_refuses_is_refused_and_stays_so() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    let mut body = limit("BUY", "1", "50000");
    body["client_order_id"] = json!("first");
    let stranger = exchange.order("stranger", body.clone()).await;
    let id = stranger.refused(404, "USER_NOT_FOUND").body["details"]["order_id"].clone();
    let again = exchange.order("stranger", body).await;
    assert!(again.is_replayed());
    assert_eq!(again.refused(404, "USER_NOT_FOUND").body["details"]["order_id"], id);
    let path = format!("/api/v1/orders/{}", id.as_str().unwrap());
    let shown = exchange.get("stranger", &path).await.expect(200);
    assert_eq!((shown.text("status"), shown.text("status_reason")), ("REJECTED", "USER_NOT_FOUND"));
    assert_eq!(exchange.balances("stranger").await, rows(&[]));
    exchange.credit("buyer", "USDT", "50099.99").await.expect(201);
    let short = exchange.order("buyer", limit("BUY", "1", "50000")).await;
    short.refused(400, "INSUFFICIENT_BALANCE");
    exchange.at_rest(0).await;
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "50099.99", "0")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_under_one_key_reserve_once() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Arc::new(start_in(directory.path()).await);
    exchange.credit("buyer", "USDT", "1000000").await.expect(201);
    let mut body = limit("BUY", "1", "50000");
    body["client_order_id"] = json!("once");
    let place = |_| {
        let (exchange, body) = (Arc::clone(&exchange), body.clone());
        tokio::spawn(async move { exchange.order("buyer", body).await.expect(201) })
    };
    let placing: Vec<_> = (0..100).map(place).collect();
    let mut ids = Vec::new();
    for placed in placing {
        ids.push(placed.await.unwrap().text("id").to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    exchange.at_rest(0).await;
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "949900", "50100")]));
}

/// The exchange ended between the announcement and the answer of the wallet.
#[tokio::test]
async fn an_order_that_a_restart_finds_waiting_is_given_up_and_its_money_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "75150").await.expect(201);
    exchange.limit("buyer", "BUY", "0.5", "50000").await;
    let state = exchange.app.state();
    let user_id = gateway::ids::user("buyer").unwrap();
    let account = state.views.account(user_id).unwrap();
    let instrument = state.views.products().by_symbol("BTC/USDT").unwrap().spec.instrument;
    let mut left = Vec::new();
    for _ in 0..2 {
        let order =
            NewOrder::limit(account, instrument, Side::Buy, Quantity(100), Price(5_000_000));
        let answered = state.exchange.submit(Command::ReserveOrder(order)).await.unwrap();
        left.push(engine::OrderId(answered.sequence));
    }
    let asset = engine::AssetCode::new("USDT").unwrap();
    let (order_id, reason) = (order_key(left[0]), ReserveReason::OrderPlacement);
    let request = ReserveRequest { user_id, asset, amount: 501_000_000, order_id, reason };
    let context = CallContext::within(PATIENCE);
    state.money.client.reserve(context, &request).await.unwrap();
    exchange.app.shutdown().await.unwrap();

    let exchange = start_in(directory.path()).await;
    exchange.at_rest(0).await;
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "50100", "25050")]));
    let listed = exchange.get("buyer", "/api/v1/orders").await.expect(200).body;
    assert_eq!(listed.as_array().unwrap().len(), 1, "nobody was told of them: {listed}");
    // A request that was still on its way finds the order's key spent.
    let late = ReserveRequest { order_id: order_key(left[1]), ..request };
    let late = exchange.app.state().money.client.reserve(context, &late).await;
    assert!(late.is_err());
}

#[tokio::test]
async fn a_wallet_that_is_not_there_is_said_and_nothing_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = format!(
        "{PER_ORDER}backend = \"http\"\n\
         [wallet_client]\nbase_url = \"http://{closed}\"\nmax_retries = 0\n"
    );
    let exchange = Exchange::start_in(directory.path(), &client).await.unwrap();
    exchange.order("buyer", limit("BUY", "1", "50000")).await.refused(503, "SERVICE_UNAVAILABLE");
    exchange.get("buyer", "/api/v1/balances").await.expect(503);
    // Nobody has decided: the same request is another try, not the same answer for ever.
    let mut keyed = limit("BUY", "1", "50000");
    keyed["client_order_id"] = json!("again");
    for _ in 0..2 {
        let refused = exchange.order("buyer", keyed.clone()).await.expect(503);
        assert!(!refused.is_replayed() && refused.body["details"].get("order_id").is_none());
    }
    let path = "/api/v1/orders/by-client-id/again";
    exchange.get("buyer", path).await.refused(404, "ORDER_NOT_FOUND");
    let mut codes = Vec::new();
    while codes.len() < 50 && !codes.contains(&"SERVICE_DEGRADED".to_owned()) {
        let refused = exchange.order("buyer", limit("BUY", "1", "50000")).await.expect(503);
        codes.push(refused.code().to_owned());
    }
    assert_eq!(codes.last().map(String::as_str), Some("SERVICE_DEGRADED"));
    let status = exchange.admin(Method::GET, "/settlements", None).await.expect(200).body;
    assert!(status["releases"]["released"] == 0, "{status}");
}

/// The wallet does not answer, and the trader changes his mind.
#[tokio::test]
async fn an_order_that_waits_for_its_funds_can_be_cancelled() {
    let directory = tempfile::tempdir().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let exchange = Arc::new(start_without_answers(directory.path(), &silent).await);
    for all in [false, true] {
        let placing = Arc::clone(&exchange);
        let placing =
            tokio::spawn(async move { placing.order("buyer", limit("BUY", "1", "50000")).await });
        let pending = exchange.pending("buyer").await;
        let path = format!("/api/v1/orders/{pending}");
        let amend = exchange.patch("buyer", &path, json!({"quantity": "2"})).await;
        amend.refused(409, "ORDER_PENDING");
        if all {
            let cancelled = exchange.delete("buyer", "/api/v1/orders").await.expect(200).body;
            assert_eq!(
                (&cancelled["cancelled"], &cancelled["orders"][0]["id"]),
                (&json!(1), &json!(pending))
            );
        } else {
            let cancelled = exchange.delete("buyer", &path).await.expect(200);
            assert_eq!(cancelled.text("status_reason"), "USER_CANCEL");
        }
        let placed = placing.await.unwrap().expect(201);
        assert_eq!((placed.text("id"), placed.text("status")), (&*pending, "CANCELLED"));
    }
}

/// 107.3142 is set aside for a stop at 102: 5 % above it, and the fee of that.
#[tokio::test]
async fn a_stop_waits_with_its_funds_and_gives_back_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "1000").await.expect(201);
    exchange.credit("seller", "BTC", "1").await.expect(201);
    exchange.fund_traders().await;
    exchange.trade_at("100").await;
    let stop = || stop_order("BUY", "STOP", "1", json!({"stop_price": "102"}));
    let given_up = exchange.placed("buyer", stop()).await;
    let waiting = rows(&[("USDT", "892.6858", "107.3142")]);
    assert_eq!(exchange.balances("buyer").await, waiting);
    assert_eq!(given_up["status"], "PENDING");
    let path = format!("/api/v1/orders/{}", given_up["id"].as_str().unwrap());
    exchange.delete("buyer", &path).await.expect(200);
    exchange.comes_to(1, "buyer", &[("USDT", "1000", "0")]).await;

    let placed = exchange.placed("buyer", stop()).await;
    exchange.limit("seller", "SELL", "1", "103").await;
    exchange.trade_at("102").await;
    let done = exchange.own_order("buyer", placed["id"].as_str().unwrap()).await;
    assert_eq!((&done["status"], &done["average_price"]), (&json!("FILLED"), &json!("103")));
    // 103 and 0.206.
    exchange.comes_to(3, "buyer", &[("BTC", "1", "0"), ("USDT", "896.794", "0")]).await;
    exchange.comes_to(3, "seller", &[("USDT", "102.897", "0")]).await;
}

#[tokio::test]
async fn an_order_that_ends_by_time_gives_its_funds_back() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "75150").await.expect(201);
    let ends = json!({"expires_at": in_ms(&exchange, 1_500), "display_quantity": "0.5"});
    let placed = exchange.placed("buyer", and(limit("BUY", "1.5", "50000"), ends)).await;
    assert_eq!(exchange.depth().await.0, levels(&[("50000", "0.5", 1)]));
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "0", "75150")]));
    let ended = exchange.ended("buyer", placed["id"].as_str().unwrap()).await;
    assert_eq!(ended["status_reason"], "EXPIRED");
    exchange.comes_to(0, "buyer", &[("USDT", "75150", "0")]).await;
    let late = json!({"expires_at": "2020-01-01T00:00:00Z"});
    let late = exchange.order("buyer", and(limit("BUY", "1.5", "50000"), late)).await;
    late.refused(400, "INVALID_EXPIRY");
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "75150", "0")]));
}

impl Exchange {
    /// Announces a buy of 0.0001 at 50,000 until `expire_at_ns`, and has its funds reserved.
    async fn announce_and_reserve(&self, expire_at_ns: u64) -> engine::OrderId {
        let state = self.app.state();
        let user_id = gateway::ids::user("buyer").unwrap();
        let account = state.views.account(user_id).unwrap();
        let instrument = state.views.products().by_symbol("BTC/USDT").unwrap().spec.instrument;
        let order = NewOrder {
            time_in_force: TimeInForce::Gtd,
            expire_at_ns,
            ..NewOrder::limit(account, instrument, Side::Buy, Quantity(100), Price(5_000_000))
        };
        let announced = state.exchange.submit(Command::ReserveOrder(order)).await.unwrap();
        let asset = engine::AssetCode::new("USDT").unwrap();
        let reason = ReserveReason::OrderPlacement;
        let order_id = order_key(engine::OrderId(announced.sequence));
        let request = ReserveRequest { user_id, asset, amount: 501_000_000, order_id, reason };
        state.money.client.reserve(CallContext::within(PATIENCE), &request).await.unwrap();
        engine::OrderId(announced.sequence)
    }
}

/// The wallet took longer than the order was meant to live.
#[tokio::test]
async fn an_order_whose_moment_passes_before_it_is_placed_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "100").await.expect(201);
    exchange.limit("buyer", "BUY", "0.0001", "50000").await;
    let clock = Arc::clone(&exchange.app.state().clock);
    let moment_ns = clock.wall_ns() + 1_000_000_000;
    let order_id = exchange.announce_and_reserve(moment_ns).await;
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "89.98", "10.02")]));
    while clock.wall_ns() < moment_ns {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let place = Command::PlaceReserved { order_id };
    exchange.app.state().exchange.submit(place).await.unwrap();
    let listed = exchange.get("buyer", "/api/v1/orders?status=REJECTED").await.expect(200).body;
    assert_eq!(listed[0]["status_reason"], "INVALID_EXPIRY");
    exchange.comes_to(0, "buyer", &[("USDT", "94.99", "5.01")]).await;
}

/// What waits for its funds is in the switch's scope as what is in the book.
#[tokio::test]
async fn a_kill_switch_closes_what_waits_for_its_funds() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "100").await.expect(201);
    exchange.limit("buyer", "BUY", "0.0001", "50000").await;
    let order_id = exchange.announce_and_reserve(u64::MAX).await;
    let on = Some(json!({"on": true}));
    let closed = exchange.admin(Method::PUT, "/accounts/buyer/kill-switch", on).await.expect(200);
    assert_eq!(closed.body["closed"], 2);
    let place = Command::PlaceReserved { order_id };
    exchange.app.state().exchange.submit(place).await.unwrap();
    let listed = exchange.get("buyer", "/api/v1/orders?status=CANCELLED").await.expect(200).body;
    let reasons = listed.as_array().unwrap().iter().map(|order| order["status_reason"].clone());
    assert_eq!(reasons.collect::<Vec<_>>(), ["KILL_SWITCH", "KILL_SWITCH"]);
    exchange.order("buyer", limit("BUY", "0.0001", "50000")).await.refused(400, "KILL_SWITCH");
    exchange.comes_to(0, "buyer", &[("USDT", "100", "0")]).await;
}

/// The same as its trader sees it.
#[tokio::test]
async fn a_kill_switch_answers_whoever_waits_for_the_wallet() {
    let directory = tempfile::tempdir().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let exchange = Arc::new(start_without_answers(directory.path(), &silent).await);
    let placing = Arc::clone(&exchange);
    let stop = stop_order("BUY", "STOP", "1", json!({"stop_price": "102"}));
    let placing = tokio::spawn(async move { placing.order("buyer", stop).await });
    let pending = exchange.pending("buyer").await;
    let on = Some(json!({"on": true}));
    let closed = exchange.admin(Method::PUT, "/symbols/BTC-USDT/kill-switch", on).await.expect(200);
    assert_eq!(closed.body["closed"], 1);
    let placed = placing.await.unwrap().expect(201);
    let shown = ["id", "status", "status_reason"].map(|field| placed.text(field));
    assert_eq!(shown, [pending.as_str(), "CANCELLED", "KILL_SWITCH"]);
}

#[tokio::test]
async fn a_directory_keeps_to_its_way_of_funding() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start_in(directory.path()).await;
    exchange.credit("buyer", "USDT", "100").await.expect(201);
    exchange.limit("buyer", "BUY", "0.001", "50000").await;
    exchange.app.shutdown().await.unwrap();
    let error = Exchange::start_in(directory.path(), "").await.err().unwrap();
    assert_eq!(error.exit_code(), 78);
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.credit("buyer", "USDT", "100").await.expect(201);
    exchange.app.shutdown().await.unwrap();
    let error = Exchange::start_in(directory.path(), PER_ORDER).await.err().unwrap();
    assert!(error.to_string().contains("wallet.funding"), "{error}");
}
