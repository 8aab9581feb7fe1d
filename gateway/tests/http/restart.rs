//! What was answered once is still so after a restart, and a changed configuration is checked.

use axum::http::Method;
use serde_json::json;

use crate::harness::{Exchange, limit};

const BTC: &str = "[[instruments]]\nid = 1\nbase = \"BTC\"\nquote = \"USDT\"\n\
    lot = \"0.000001\"\nmax_quantity = \"100\"\nmax_price = \"10000000\"\n";

async fn stop(exchange: Exchange) -> engine::Engine {
    exchange.app.shutdown().await.unwrap().machine
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    let mut order = limit("SELL", "1.5", "49900");
    order["client_order_id"] = json!("k1");
    let first = exchange.place("seller", order.clone()).await.expect(201);
    exchange.limit("buyer", "BUY", "1", "50000").await;
    let token = exchange.trader("seller");
    let paths = [
        "/api/v1/orders".to_owned(),
        format!("/api/v1/orders/{}", first.text("id")),
        "/api/v1/balances".to_owned(),
        "/api/v1/orderbook/BTC-USDT".to_owned(),
        "/api/v1/trades/BTC-USDT/recent".to_owned(),
        "/api/v1/symbols".to_owned(),
    ];
    let shown = async |exchange: &Exchange| {
        let mut bodies = Vec::new();
        for path in &paths {
            let request = crate::harness::request(Method::GET, path, Some(&token), None);
            let text = exchange.send(request).await.expect(200).body.to_string();
            // The sequence moves on by the record that opens the new epoch.
            let (before, after) = (exchange.sequence(), "SEQ");
            bodies.push(text.replace(&format!("\"seq\":{before}"), &format!("\"seq\":{after}")));
        }
        bodies
    };
    let before = shown(&exchange).await;
    let sequence = exchange.sequence();
    stop(exchange).await;

    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    assert_eq!(exchange.sequence(), sequence + 1, "nothing is listed again");
    assert_eq!(shown(&exchange).await, before);
    let again = exchange.place("seller", order).await.expect(201);
    assert!(again.is_replayed());
    assert_eq!((again.text("id"), again.text("status")), (first.text("id"), "OPEN"));
    assert!(exchange.credit("seller", "BTC", "1.5").await.expect(201).is_replayed());
    exchange.delete("seller", &paths[1]).await.expect(200);
}

#[tokio::test]
async fn the_state_hash_is_the_engine_s() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    exchange.limit("buyer", "BUY", "1", "50000").await;
    let answer = exchange.admin(Method::GET, "/state-hash", None).await.expect(200);
    assert_eq!(answer.body["sequence"], exchange.sequence());
    let machine = stop(exchange).await;
    let hash = engine::StateMachine::state_hash(&machine);
    let text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(answer.text("state_hash"), text);
    let fresh = engine::Engine::new(engine::EngineOptions::default());
    let replayed = pipeline::replay(directory.path(), fresh).unwrap();
    assert_eq!(engine::StateMachine::state_hash(&replayed.machine), hash);
}

#[tokio::test]
async fn what_is_listed_keeps_its_limits_and_its_units() {
    let directory = tempfile::tempdir().unwrap();
    let dearer = format!("{BTC}tick = \"0.01\"\ntaker_fee_ppm = 3000\n");
    stop(Exchange::start_in(directory.path(), &dearer).await.unwrap()).await;

    let cheap = format!("{BTC}tick = \"0.01\"\ntaker_fee_ppm = 1000\n");
    let exchange = Exchange::start_in(directory.path(), &cheap).await.unwrap();
    let symbols = exchange.get("x", "/api/v1/symbols").await.expect(200);
    assert_eq!(symbols.body[0]["taker_fee"], "0.003", "limits change by command");
    let body = Some(json!({"status": "HALTED"}));
    exchange.admin(Method::POST, "/symbols/BTC-USDT/status", body).await.expect(200);
    let sequence = exchange.sequence();
    stop(exchange).await;

    let other_tick = format!("{BTC}tick = \"0.1\"\n");
    let Err(error) = Exchange::start_in(directory.path(), &other_tick).await else {
        panic!("another tick was taken");
    };
    assert_eq!(error.exit_code(), 78);
    assert!(error.to_string().contains("BTC/USDT"), "{error}");

    let exchange = Exchange::start_in(directory.path(), &dearer).await.unwrap();
    assert_eq!(exchange.sequence(), sequence + 1, "the refused start wrote nothing");
    let symbols = exchange.get("x", "/api/v1/symbols").await.expect(200);
    assert_eq!(symbols.body[0]["status"], "HALTED", "an operator's halt outlives a restart");
}

#[tokio::test]
async fn a_directory_has_one_exchange() {
    let directory = tempfile::tempdir().unwrap();
    let first = Exchange::start_in(directory.path(), "").await.unwrap();
    let Err(error) = Exchange::start_in(directory.path(), "").await else {
        panic!("two exchanges in one directory");
    };
    assert_eq!(error.exit_code(), 75, "{error}");
    stop(first).await;
}
