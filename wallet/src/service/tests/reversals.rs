//! Reversing transactions.

use serde_json::json;

use super::harness::{Answer, Service, money, operator, user};

async fn reverse(service: &Service, answer: &Answer) -> Answer {
    let path = format!("/api/v1/transactions/{}/reverse", answer.text("transactionId"));
    service.post(operator(), &path, &json!({})).await
}

#[tokio::test]
async fn a_transaction_is_reversed_once() {
    let service = Service::start().await;
    let alice = service.funded("alice", "USDT", "100").await;
    let bob = service.open("bob", "USDT").await;
    let transfer = format!("/api/v1/wallets/{alice}/transfer");
    let body = json!({"toWalletId": bob, "amount": "40", "referenceId": "t"});
    let first = service.post(user("alice"), &transfer, &body).await.expect(200);
    let reversal = reverse(&service, &first).await.expect(200);
    assert_eq!(service.balance(&alice).await[0], "100");
    assert_eq!(service.balance(&bob).await[0], "0");
    reverse(&service, &first).await.refused(409, "ALREADY_REVERSED");
    reverse(&service, &reversal).await.refused(409, "NOT_REVERSIBLE");
    let shown = service.get(operator(), first.header("location").unwrap()).await.expect(200);
    assert_eq!(shown.text("status"), "REVERSED");
    assert_eq!(shown.body["linkedTransactionId"], reversal.body["transactionId"]);
    let shown = service.get(operator(), reversal.header("location").unwrap()).await.expect(200);
    assert_eq!((shown.text("type"), shown.text("status")), ("REVERSAL", "COMPLETED"));
    assert_eq!(shown.body["linkedTransactionId"], first.body["transactionId"]);
    let again = service.post(user("alice"), &transfer, &body).await.repeats(&first);
    assert_eq!(again.text("status"), "COMPLETED", "the request itself was carried out");
    service.assert_sums().await;
}

#[tokio::test]
async fn nothing_is_taken_that_is_gone() {
    let service = Service::start().await;
    let alice = service.open("alice", "USDT").await;
    let deposit = service.deposit(&alice, "100", "d").await.expect(200);
    let withdraw = format!("/api/v1/wallets/{alice}/withdraw");
    let withdrawal = service.post(user("alice"), &withdraw, &money("1", "w")).await.expect(200);
    reverse(&service, &deposit).await.refused(400, "INSUFFICIENT_FUNDS");
    reverse(&service, &withdrawal).await.expect(200);
    assert_eq!(reverse(&service, &deposit).await.expect(200).text("newBalance"), "0");
    let failed = service.post(user("alice"), &withdraw, &money("1", "w-2")).await;
    let failed = failed.refused(400, "INSUFFICIENT_FUNDS");
    let id = failed.body["details"]["transactionId"].as_str().unwrap();
    let path = format!("/api/v1/transactions/{id}/reverse");
    service.post(operator(), &path, &json!({})).await.refused(409, "NOT_REVERSIBLE");
    let path = format!("/api/v1/transactions/{alice}/reverse");
    service.post(operator(), &path, &json!({})).await.refused(404, "TRANSACTION_NOT_FOUND");
    service.assert_sums().await;
}
