//! Requests that a header names: answered once, and then the same again, whatever comes between.

use std::time::Duration;

use axum::http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::harness::{Answer, Service, Setup, operator, request, user};
use crate::client::{CallContext, EmbeddedWallet, WalletClient};
use crate::service::Caller;

impl Service {
    async fn keyed(&self, caller: Caller, path: &str, key: &str, body: &Value) -> Answer {
        let mut request = request(Method::POST, path, Some(body));
        request.headers_mut().insert("idempotency-key", HeaderValue::from_str(key).unwrap());
        self.send(Some(caller), request).await
    }
}

fn amount(amount: &str) -> Value {
    json!({"amount": amount})
}

#[tokio::test]
async fn a_key_stands_for_one_request_even_after_a_restart() {
    let service = Service::start().await;
    let wallet = service.open("alice", "USDT").await;
    let path = format!("/api/v1/wallets/{wallet}/deposit");
    let first = service.keyed(operator(), &path, "key-1", &amount("100")).await.expect(200);
    service.keyed(operator(), &path, "key-1", &amount("100.00")).await.repeats(&first);
    let other = service.keyed(operator(), &path, "key-1", &amount("101")).await;
    other.refused(422, "IDEMPOTENCY_MISMATCH");
    let service = service.restarted();
    service.keyed(operator(), &path, "key-1", &amount("100")).await.repeats(&first);
    let other = service.keyed(operator(), &path, "key-1", &amount("101")).await;
    other.refused(422, "IDEMPOTENCY_MISMATCH");
    assert_eq!(service.balance(&wallet).await[0], "100");
    let id = first.text("transactionId");
    let shown = service.get(operator(), &format!("/api/v1/transactions/{id}")).await.expect(200);
    assert!(shown.text("referenceId").starts_with("idem-"), "{}", shown.body);
}

#[tokio::test]
async fn a_key_is_its_callers_and_its_routes_own() {
    let service = Service::start().await;
    let (alice, bob) =
        (service.funded("alice", "USDT", "100").await, service.funded("bob", "USDT", "100").await);
    let path = |wallet: &str, what: &str| format!("/api/v1/wallets/{wallet}/{what}");
    for (caller, path) in [
        (user("alice"), path(&alice, "withdraw")),
        (user("bob"), path(&bob, "withdraw")),
        (operator(), path(&alice, "withdraw")),
        (operator(), path(&alice, "deposit")),
    ] {
        let answer = service.keyed(caller, &path, "k", &amount("1")).await.expect(200);
        assert!(!answer.is_replayed(), "{path}");
    }
    let elsewhere = service.keyed(operator(), &path(&bob, "deposit"), "k", &amount("1")).await;
    elsewhere.refused(422, "IDEMPOTENCY_MISMATCH");
    let balances = (service.balance(&alice).await, service.balance(&bob).await);
    assert_eq!((&*balances.0[0], &*balances.1[0]), ("99", "99"));
}

#[tokio::test]
async fn refusals_are_repeated_and_malformed_requests_use_no_key_up() {
    let service = Service::start().await;
    let wallet = service.open("alice", "USDT").await;
    let [deposit, withdraw] =
        ["deposit", "withdraw"].map(|what| format!("/api/v1/wallets/{wallet}/{what}"));
    service.keyed(operator(), &withdraw, "k", &amount("0")).await.refused(400, "INVALID_AMOUNT");
    let first = service.keyed(operator(), &withdraw, "k", &amount("1")).await;
    let first = first.refused(400, "INSUFFICIENT_FUNDS");
    service.keyed(operator(), &deposit, "k", &amount("5")).await.expect(200);
    service.keyed(operator(), &withdraw, "k", &amount("1")).await.repeats(&first);
}

#[tokio::test]
async fn a_key_beside_a_reference_must_be_the_same() {
    let service = Service::start().await;
    let wallet = service.open("alice", "USDT").await;
    let path = format!("/api/v1/wallets/{wallet}/deposit");
    let named = json!({"amount": "1", "referenceId": "ref-1"});
    let refused = service.keyed(operator(), &path, "key-1", &named).await;
    refused.refused(422, "IDEMPOTENCY_MISMATCH");
    let first = service.keyed(operator(), &path, "ref-1", &named).await.expect(200);
    service.post(operator(), &path, &named).await.repeats(&first);
    let nameless = service.post(operator(), &path, &amount("1")).await;
    nameless.refused(400, "VALIDATION_ERROR");
    assert_eq!(service.balance(&wallet).await[0], "1");
}

#[tokio::test]
async fn every_movement_takes_a_key_and_the_rest_says_so_if_it_cannot() {
    let service = Service::start().await;
    let alice = service.funded("alice", "USDT", "100").await;
    let bob = service.open("bob", "USDT").await;
    let item = json!({"type": "DEPOSIT", "walletId": alice, "amount": "1"});
    let of = |wallet: &str, what: &str| format!("/api/v1/wallets/{wallet}/{what}");
    for (path, body) in [
        (of(&alice, "deposit"), amount("1")),
        (of(&alice, "withdraw"), amount("1")),
        (of(&alice, "transfer"), json!({"destinationWalletId": bob, "amount": "1"})),
        (of(&alice, "adjust"), json!({"direction": "CREDIT", "amount": "1"})),
        ("/api/v1/transactions/batch".to_owned(), json!({"items": [item]})),
    ] {
        let first = service.keyed(operator(), &path, "k", &body).await.expect(200);
        service.keyed(operator(), &path, "k", &body).await.repeats(&first);
    }
    let done = service.deposit(&alice, "1", "to-reverse").await.expect(200);
    for (path, body) in [
        (format!("/api/v1/transactions/{}/reverse", done.text("transactionId")), json!({})),
        (of(&bob, "freeze"), json!({})),
        (of(&bob, "unfreeze"), json!({})),
        (of(&bob, "close"), json!({})),
        ("/api/v1/ledger/read-only".to_owned(), json!({"readOnly": true})),
        ("/api/v1/wallets/assets/USDT/withdrawals".to_owned(), json!({"frozen": true})),
    ] {
        let refused = service.keyed(operator(), &path, "k", &body).await;
        let refused = refused.refused(400, "VALIDATION_ERROR");
        assert_eq!(refused.body["details"]["field"], "Idempotency-Key", "{path}");
    }
}

#[tokio::test]
async fn a_hundred_at_once_have_one_effect() {
    let service = Service::start().await;
    let wallet = service.open("alice", "USDT").await;
    let path = format!("/api/v1/wallets/{wallet}/deposit");
    let body = amount("1");
    let calls = (0..100).map(|_| service.keyed(operator(), &path, "k", &body));
    let answers = futures_util::future::join_all(calls).await;
    let first = answers.iter().filter(|answer| !answer.is_replayed()).count();
    assert_eq!(first, 1);
    for answer in answers {
        assert_eq!(answer.clone().expect(200).body["newBalance"], "1");
    }
    assert_eq!(service.balance(&wallet).await[0], "1");
}

#[tokio::test]
async fn while_the_first_has_no_outcome_a_repeat_is_told_so() {
    let setup = Setup { fund: true, timeout: Duration::from_millis(300), ..Setup::default() };
    let service = Service::start_with(setup).await;
    let wallet = service.funded("alice", "USDT", "100").await;
    let path = format!("/api/v1/wallets/{wallet}/withdraw");
    let first = service.keyed(user("alice"), &path, "k", &amount("10")).await.expect(202);
    assert_eq!(first.text("status"), "PENDING");
    let repeat = service.keyed(user("alice"), &path, "k", &amount("10")).await;
    repeat.refused(409, "REQUEST_IN_PROGRESS");
    let client = EmbeddedWallet::new(service.teller.clone());
    let transaction = first.text("transactionId").parse().unwrap();
    let context = CallContext::within(Duration::from_secs(20));
    client.conclude_funding(context, transaction, true).await.unwrap();
    let done = service.keyed(user("alice"), &path, "k", &amount("10")).await.expect(200);
    assert!(done.is_replayed());
    assert_eq!(
        (done.text("status"), done.text("transactionId")),
        ("COMPLETED", first.text("transactionId"))
    );
    service
        .keyed(user("alice"), &path, "k", &amount("11"))
        .await
        .refused(422, "IDEMPOTENCY_MISMATCH");
}
