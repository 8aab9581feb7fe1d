//! The same request again is answered like the first time, refusals included; another request
//! under the same name is refused.

use serde_json::json;

use super::harness::{Service, money, operator, user, user_id};
use crate::service::Caller;

#[tokio::test]
async fn d09_duplicate_reference_is_not_500() {
    let service = Service::start().await;
    let wallet = service.open("alice", "USDT").await;
    let first = service.deposit(&wallet, "100", "ref-1").await.expect(200);
    service.deposit(&wallet, "100", "ref-1").await.repeats(&first);
    service.deposit(&wallet, "100.00", "ref-1").await.repeats(&first);
    service.deposit(&wallet, "101", "ref-1").await.refused(409, "DUPLICATE_REFERENCE");
    let withdraw = format!("/api/v1/wallets/{wallet}/withdraw");
    let other_kind = service.post(operator(), &withdraw, &money("100", "ref-1")).await;
    other_kind.refused(409, "DUPLICATE_REFERENCE");
    let described = json!({"amount": "100", "referenceId": "ref-1", "description": "other"});
    let path = format!("/api/v1/wallets/{wallet}/deposit");
    service.post(operator(), &path, &described).await.refused(409, "DUPLICATE_REFERENCE");
    let other_caller = Caller { user: user("bank").user, ..operator() };
    let answer = service.post(other_caller, &path, &money("100", "ref-1")).await.expect(200);
    assert!(!answer.is_replayed(), "a reference is its caller's own");
    assert_eq!(service.balance(&wallet).await[0], "200");
}

#[tokio::test]
async fn a_refusal_is_repeated_even_when_it_could_be_granted_by_now() {
    let service = Service::start().await;
    let wallet = service.open("alice", "USDT").await;
    let withdraw = format!("/api/v1/wallets/{wallet}/withdraw");
    let first = service.post(user("alice"), &withdraw, &money("10", "w")).await;
    let first = first.refused(400, "INSUFFICIENT_FUNDS");
    assert_eq!(first.body["details"]["status"], "FAILED");
    service.deposit(&wallet, "100", "d").await.expect(200);
    let again = service.post(user("alice"), &withdraw, &money("10", "w")).await;
    again.repeats(&first);
    service.post(user("alice"), &withdraw, &money("10", "w-2")).await.expect(200);
    let id = first.body["details"]["transactionId"].as_str().unwrap();
    let path = format!("/api/v1/transactions/{id}");
    let shown = service.get(user("alice"), &path).await.expect(200);
    assert_eq!((shown.text("status"), shown.text("reason")), ("FAILED", "INSUFFICIENT_FUNDS"));
    assert_eq!((shown.text("referenceId"), shown.text("amount")), ("w", "10"));
    assert_eq!(shown.body["entries"], json!([]));
}

#[tokio::test]
async fn malformed_requests_use_no_name_up() {
    let service = Service::start().await;
    let wallet = service.open("alice", "USDT").await;
    service.deposit(&wallet, "0", "ref").await.refused(400, "INVALID_AMOUNT");
    let answer = service.deposit(&wallet, "1", "ref").await.expect(200);
    assert!(!answer.is_replayed());
}

#[tokio::test]
async fn a_batch_is_all_or_nothing() {
    let service = Service::start().await;
    let alice = service.funded("alice", "USDT", "100").await;
    let bob = service.open("bob", "USDT").await;
    let bitcoin = service.open("bob", "BTC").await;
    let batch = |last: &str, reference: &str| {
        json!({
            "items": [
                {"type": "TRANSFER", "walletId": alice, "destinationWalletId": bob, "amount": "60"},
                {"type": "DEPOSIT", "walletId": bitcoin, "amount": "2"},
                {"type": "WITHDRAWAL", "walletId": alice, "amount": last},
            ],
            "referenceId": reference,
        })
    };
    let path = "/api/v1/transactions/batch";
    let refused = service.post(operator(), path, &batch("41", "b-1")).await;
    let refused = refused.refused(400, "INSUFFICIENT_FUNDS");
    assert_eq!(service.balance(&alice).await[0], "100");
    assert_eq!(service.balance(&bitcoin).await[0], "0");
    service.post(operator(), path, &batch("41", "b-1")).await.repeats(&refused);
    let done = service.post(operator(), path, &batch("40", "b-2")).await.expect(200);
    assert_eq!((done.text("newBalance"), done.text("walletId")), ("0", &*alice));
    service.post(operator(), path, &batch("40", "b-2")).await.repeats(&done);
    service.post(operator(), path, &batch("39", "b-2")).await.refused(409, "DUPLICATE_REFERENCE");
    assert_eq!(service.balance(&alice).await[0], "0");
    assert_eq!(service.balance(&bob).await[0], "60");
    assert_eq!(service.balance(&bitcoin).await[0], "2");
    let shown = service.get(operator(), done.header("location").unwrap()).await.expect(200);
    assert_eq!((shown.text("type"), shown.body["entries"].as_array().unwrap().len()), ("BATCH", 3));
    service.assert_sums().await;
}

#[tokio::test]
async fn a_dry_run_tells_and_does_nothing() {
    let service = Service::start().await;
    let alice = service.funded("alice", "USDT", "100").await;
    let bob = service.open("bob", "USDT").await;
    let withdraw = format!("/api/v1/wallets/{alice}/withdraw");
    let dry = format!("{withdraw}?dryRun=true");
    let answer = service.post(user("alice"), &dry, &money("30", "w")).await.expect(200);
    assert_eq!(answer.body, json!({"dryRun": true, "walletId": alice, "newBalance": "70"}));
    let refused = service.post(user("alice"), &dry, &money("101", "w")).await;
    refused.refused(400, "INSUFFICIENT_FUNDS");
    let transfer = format!("/api/v1/wallets/{alice}/transfer?dryRun=true");
    let body = json!({"toWalletId": bob, "amount": "100", "referenceId": "t"});
    let answer = service.post(user("alice"), &transfer, &body).await.expect(200);
    assert_eq!(answer.text("newBalance"), "0");
    assert_eq!(service.balance(&alice).await[0], "100");
    assert_eq!(service.balance(&bob).await[0], "0");
    let real = format!("{withdraw}?dryRun=false");
    let answer = service.post(user("alice"), &real, &money("30", "w")).await.expect(200);
    assert!(!answer.is_replayed(), "asking used no name up");
}

#[tokio::test]
async fn corrections_may_be_of_any_size_and_repeat_like_all_else() {
    let service = Service::start().await;
    let alice = service.open("alice", "USDT").await;
    let path = format!("/api/v1/wallets/{alice}/adjust");
    let credit = json!({
        "amount": "2000000.00000001", "direction": "CREDIT", "referenceId": "a-1",
        "description": "opening balance",
    });
    let first = service.post(operator(), &path, &credit).await.expect(200);
    service.post(operator(), &path, &credit).await.repeats(&first);
    let debit = json!({"amount": "0.00000001", "direction": "DEBIT", "referenceId": "a-2"});
    let answer = service.post(operator(), &path, &debit).await.expect(200);
    assert_eq!(answer.text("newBalance"), "2000000");
    let much = json!({"amount": "2000001", "direction": "DEBIT", "referenceId": "a-3"});
    service.post(operator(), &path, &much).await.refused(400, "INSUFFICIENT_FUNDS");
    let shown = service.get(operator(), first.header("location").unwrap()).await.expect(200);
    assert_eq!((shown.text("type"), shown.text("description")), ("ADJUSTMENT", "opening balance"));
    assert_eq!(shown.text("createdAt"), "2024-01-01T00:00:00Z");
    assert_eq!(shown.text("walletId"), alice);
    assert_eq!(
        service.get(operator(), "/api/v1/users/alice/wallets").await.body[0]["userId"],
        user_id("alice")
    );
}
