//! Snapshots as an operator asks for them, and starts that begin with one.

use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Exchange, limit, remove_snapshots};
use crate::money::PATIENCE;
use crate::scrape::Scrape;
use crate::sockets::ask;

/// As after a kill: nothing is taken at the end.
const NOT_AT_THE_END: &str = "[snapshot]\nat_shutdown = false\n";

async fn start(directory: &Path) -> Exchange {
    Exchange::start_in(directory, NOT_AT_THE_END).await.unwrap()
}

async fn taken(exchange: &Exchange) -> Value {
    let answer = exchange.admin(Method::POST, "/snapshot", None).await.expect(200);
    assert_eq!(answer.body["status"], "TAKEN");
    answer.body
}

async fn scraped(exchange: &Exchange) -> Scrape {
    let answer = ask(exchange.app.admin_address(), "/metrics").await;
    Scrape::read(answer.split_once("\r\n\r\n").unwrap().1)
}

#[tokio::test]
async fn a_snapshot_on_request_holds_the_state_that_the_core_has() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start(directory.path()).await;
    exchange.fund().await;
    exchange.limit("seller", "SELL", "1.5", "50000").await;
    exchange.limit("buyer", "BUY", "1", "50000").await;
    let hash = exchange.admin(Method::GET, "/state-hash", None).await.expect(200);
    let body = taken(&exchange).await;
    assert_eq!(body["exchange"]["state_hash"], hash.body["state_hash"]);
    assert!(body["exchange"]["sequence"].as_u64() >= hash.body["sequence"].as_u64());
    assert!(body["wallet"]["sequence"].as_u64() > Some(0));
    let page = scraped(&exchange).await;
    for pipeline in ["exchange", "wallet"] {
        let value = |name: &str| page.number(&format!("{name}{{pipeline=\"{pipeline}\"}}"));
        let told = |field: &str| body[pipeline][field].as_u64().unwrap();
        assert_eq!(value("snapshot_sequence"), told("sequence"));
        assert_eq!(value("snapshot_bytes"), told("bytes"));
        assert_eq!(value("snapshots_total"), 1);
        assert_eq!(value("snapshot_failures_total"), 0);
    }
    exchange.app.shutdown().await.unwrap();
    assert_eq!(remove_snapshots(directory.path()), 2);
}

#[tokio::test]
async fn what_came_behind_a_snapshot_is_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = start(directory.path()).await;
    exchange.fund().await;
    let mut order = limit("SELL", "1", "50000");
    order["client_order_id"] = json!("before");
    let first = exchange.place("seller", order.clone()).await.expect(201);
    taken(&exchange).await;
    exchange.limit("buyer", "BUY", "0.75", "50000").await;
    let mut late = limit("SELL", "0.25", "51000");
    late["client_order_id"] = json!("behind");
    let second = exchange.place("seller", late.clone()).await.expect(201);
    let shown = async |exchange: &Exchange| {
        let id = first.text("id");
        let own = exchange.own_order("seller", id).await;
        let trades = format!("/api/v1/orders/{id}/trades");
        let trades = exchange.get("seller", &trades).await.expect(200).body;
        // Settlement goes on meanwhile, so what it says of a trade is left out.
        let trades: Vec<_> = trades.as_array().unwrap().iter().map(|t| t["id"].clone()).collect();
        (own["filled_quantity"].clone(), trades, exchange.balances("buyer").await)
    };
    let before = shown(&exchange).await;
    exchange.app.shutdown().await.unwrap();

    for removed in [0, 2] {
        if removed > 0 {
            assert_eq!(remove_snapshots(directory.path()), removed);
        }
        let exchange = start(directory.path()).await;
        assert_eq!(shown(&exchange).await, before);
        for (request, answer) in [(&order, &first), (&late, &second)] {
            let again = exchange.place("seller", request.clone()).await.expect(201);
            assert!(again.is_replayed(), "keys from before and behind the snapshot are known");
            assert_eq!(again.text("id"), answer.text("id"));
        }
        assert!(exchange.credit("seller", "BTC", "1.5").await.expect(201).is_replayed());
        exchange.app.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn snapshots_come_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let often = "[snapshot]\nevery_commands = 5\nmin_interval_s = 0\n";
    let exchange = Exchange::start_in(directory.path(), often).await.unwrap();
    exchange.fund().await;
    let wait = async {
        loop {
            exchange.limit("buyer", "BUY", "0.001", "40000").await;
            let page = scraped(&exchange).await;
            if page.number("snapshots_total{pipeline=\"exchange\"}") >= 3 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("three snapshots");
    exchange.app.shutdown().await.unwrap();
    let kept = remove_snapshots(directory.path());
    assert!((3..=4).contains(&kept), "two of the exchange, one or two of the wallet: {kept}");
}
