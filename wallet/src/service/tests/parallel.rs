//! Many callers at once: nothing is lost, nothing happens twice, everything is told in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use pipeline::EventLogReader;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::harness::{Answer, Service, money, operator, user, user_id};
use crate::ledger::{Event, Ledger};

/// Sends all requests at once.
async fn at_once(service: &Arc<Service>, requests: Vec<(String, Value)>) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for (path, body) in requests {
        let service = Arc::clone(service);
        tasks.spawn(async move { service.post(operator(), &path, &body).await });
    }
    tasks.join_all().await
}

/// One of the answers is the first, all others repeat it.
#[track_caller]
fn assert_one_effect(answers: &[Answer]) {
    let (repeats, first): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.is_replayed());
    let [first] = first[..] else { panic!("{} had an effect", first.len()) };
    repeats.into_iter().for_each(|repeat| drop(repeat.clone().repeats(first)));
    assert_eq!(first.status, 200, "{}", first.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d09_parallel_deposits_sum() {
    let service = Arc::new(Service::start().await);
    let wallet = service.open("alice", "USDT").await;
    let path = format!("/api/v1/wallets/{wallet}/deposit");
    let deposit = |number: u32| (path.clone(), money("0.01000001", &format!("d-{number}")));
    let answers = at_once(&service, (0..1_000).map(deposit).collect()).await;
    let balances: BTreeSet<_> = answers.iter().map(|answer| answer.text("newBalance")).collect();
    assert_eq!(balances.len(), 1_000, "each saw a balance of its own");
    assert!(answers.iter().all(|answer| answer.status == 200 && !answer.is_replayed()));
    assert_eq!(service.balance(&wallet).await[0], "10.00001");
    service.assert_sums().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_both_ways_at_once_conserve() {
    let service = Arc::new(Service::start().await);
    let wallets =
        [service.funded("alice", "USDT", "10").await, service.funded("bob", "USDT", "10").await];
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let service = Arc::clone(&service);
        let [from, to] = if task % 2 == 0 { [0, 1] } else { [1, 0] };
        let (path, to) =
            (format!("/api/v1/wallets/{}/transfer", wallets[from]), wallets[to].clone());
        tasks.spawn(async move {
            let mut moved = 0;
            for number in 0..10 {
                let reference = format!("t-{task}-{number}");
                let body = json!({"toWalletId": to, "amount": "1", "referenceId": reference});
                let answer = service.post(operator(), &path, &body).await;
                match answer.status.as_u16() {
                    200 => moved += 1,
                    _ => drop(answer.refused(400, "INSUFFICIENT_FUNDS")),
                }
            }
            if task % 2 == 0 { moved } else { -moved }
        });
    }
    // Meanwhile the ledger adds up, or says that it cannot tell.
    for _ in 0..50 {
        let ledger = service.get(operator(), "/api/v1/ledger").await;
        match ledger.status.as_u16() {
            200 => assert_eq!(ledger.body["zeroSum"], true, "{}", ledger.body),
            _ => drop(ledger.refused(503, "SERVICE_UNAVAILABLE")),
        }
    }
    let moved: i32 = tasks.join_all().await.into_iter().sum();
    assert_eq!(service.balance(&wallets[0]).await[0], (10 - moved).to_string());
    assert_eq!(service.balance(&wallets[1]).await[0], (10 + moved).to_string());
    service.assert_sums().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_equal_requests_have_one_effect() {
    let service = Arc::new(Service::start().await);
    let wallet = service.open("buyer", "USDT").await;
    service.funded("seller", "BTC", "1").await;
    let deposit = (format!("/api/v1/wallets/{wallet}/deposit"), money("5005", "d"));
    assert_one_effect(&at_once(&service, vec![deposit; 100]).await);
    for (name, asset, amount) in [("buyer", "USDT", "5005"), ("seller", "BTC", "1")] {
        let reserve = json!({
            "user_id": user_id(name), "asset": asset, "amount": amount,
            "order_id": user(&format!("order-of-{name}")).user, "reason": "ORDER_PLACEMENT",
        });
        let reserve = ("/api/wallets/reserve".to_owned(), reserve);
        assert_one_effect(&at_once(&service, vec![reserve; 100]).await);
    }
    let settle = json!({
        "trade_id": user_id("trade"), "buyer_id": user_id("buyer"), "seller_id": user_id("seller"),
        "buyer_order_id": user_id("order-of-buyer"), "seller_order_id": user_id("order-of-seller"),
        "base_currency": "BTC", "quote_currency": "USDT", "base_amount": "0.1",
        "quote_amount": "5000", "price": "50000", "buyer_fee": "5", "seller_fee": "2.5",
    });
    let settle = ("/api/wallets/settle".to_owned(), settle);
    assert_one_effect(&at_once(&service, vec![settle; 100]).await);
    assert_eq!(service.balance(&wallet).await[0], "0");
    let seller = service.get(operator(), "/api/wallets/balance/seller/USDT").await.expect(200);
    assert_eq!(seller.text("total_balance"), "4997.5");
    let ledger = service.get(operator(), "/api/v1/ledger").await.expect(200);
    assert_eq!(ledger.body["assets"][1]["fees"], "7.5");
    service.assert_sums().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d09_every_operation_emits_in_order_once() {
    let service = Arc::new(Service::start().await);
    let alice = service.funded("alice", "USDT", "1000").await;
    let bob = service.open("bob", "USDT").await;
    let mut requests = Vec::new();
    for number in 0..50 {
        let path = |what: &str| format!("/api/v1/wallets/{alice}/{what}");
        requests.push((path("deposit"), money("1", &format!("d-{number}"))));
        requests.push((path("withdraw"), money("1", &format!("w-{number}"))));
        let reference = format!("t-{number}");
        let transfer = json!({"toWalletId": bob, "amount": "1", "referenceId": reference});
        requests.push((path("transfer"), transfer));
    }
    requests.extend(requests.clone());
    let answers = at_once(&service, requests).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let frozen = format!("/api/v1/wallets/{bob}/freeze");
    service.post(operator(), &frozen, &json!({})).await.expect(200);
    let mut log = EventLogReader::<Ledger>::open(service.directory.path(), 1).unwrap();
    let (mut transactions, mut wallets, mut statuses, mut last) = (Vec::new(), 0, 0, (0, 0));
    while let Some(logged) = log.next_event().unwrap() {
        let id = (logged.input_sequence, logged.index + 1);
        assert!(id > last, "{id:?} after {last:?}");
        last = id;
        match logged.event {
            Event::Committed(head) => transactions.push(head.transaction.0),
            Event::WalletOpened { .. } => wallets += 1,
            Event::WalletStatusChanged { .. } => statuses += 1,
            _ => {}
        }
    }
    assert_eq!(transactions, (1..=151).collect::<Vec<_>>(), "one for each that was not repeated");
    assert_eq!((wallets, statuses), (2, 1));
    assert_eq!(service.balance(&alice).await[0], "950");
    assert_eq!(service.balance(&bob).await[0], "50");
}
