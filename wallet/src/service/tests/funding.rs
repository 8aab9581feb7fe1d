//! Money that is lent to trading, asked back, granted, refused, and kept waiting.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Answer, Service, Setup, money, operator, user, user_id};

async fn lending(timeout: Duration) -> (Service, String) {
    let service = Service::start_with(Setup { fund: true, timeout, ..Setup::default() }).await;
    let wallet = service.funded("alice", "USDT", "100").await;
    assert_eq!(service.balance(&wallet).await, ["100", "0", "100"]);
    (service, wallet)
}

async fn events(service: &Service, after: u64, wait_ms: u64) -> Vec<Value> {
    let query = format!("after={after}&limit=10&wait_ms={wait_ms}");
    let path = format!("/api/wallets/funding-events?{query}");
    let answer = service.get(operator(), &path).await.expect(200);
    answer.body["events"].as_array().unwrap().clone()
}

async fn conclude(service: &Service, event: &Value, granted: bool) -> Answer {
    let id = event["transaction_id"].as_str().unwrap();
    let path = format!("/api/wallets/funding/{id}/conclude");
    service.post(operator(), &path, &json!({"granted": granted})).await
}

/// Asks for a withdrawal, and answers the recall that follows.
async fn withdrawn(service: &Service, wallet: &str, amount: &str, granted: bool) -> Answer {
    let path = format!("/api/v1/wallets/{wallet}/withdraw");
    let body = money(amount, &format!("w-{amount}"));
    let after = events(service, 0, 0).await.last().unwrap()["cursor"].as_u64().unwrap();
    let (answer, ()) = tokio::join!(service.post(user("alice"), &path, &body), async {
        let recall = events(service, after, 10_000).await;
        assert_eq!(
            (&recall[0]["direction"], &recall[0]["amount"]),
            (&json!("RECALL"), &json!(amount))
        );
        assert_eq!(recall[0]["user_id"], user_id("alice"));
        let concluded = conclude(service, &recall[0], granted).await.expect(200);
        assert_eq!(concluded.body, json!({"success": true, "completed": granted}));
        conclude(service, &recall[0], granted).await.repeats(&concluded);
        conclude(service, &recall[0], !granted).await.refused(409, "ALREADY_CONCLUDED");
    });
    answer
}

#[tokio::test]
async fn a_withdrawal_waits_for_trading() {
    let (service, wallet) = lending(Duration::from_secs(20)).await;
    let deposit = events(&service, 0, 0).await;
    assert_eq!((deposit[0]["direction"].as_str(), deposit.len()), (Some("FUND"), 1));
    let answer = withdrawn(&service, &wallet, "60", true).await.expect(200);
    assert_eq!((answer.text("status"), answer.text("newBalance")), ("COMPLETED", "40"));
    assert_eq!(service.balance(&wallet).await, ["40", "0", "40"]);
    let path = format!("/api/v1/wallets/{wallet}/withdraw");
    service.post(user("alice"), &path, &money("60", "w-60")).await.repeats(&answer);
    service.assert_sums().await;
}

#[tokio::test]
async fn a_withdrawal_that_trading_refuses_is_refused() {
    let (service, wallet) = lending(Duration::from_secs(20)).await;
    let answer = withdrawn(&service, &wallet, "101", false).await;
    let answer = answer.refused(400, "INSUFFICIENT_FUNDS");
    let path = format!("/api/v1/wallets/{wallet}/withdraw");
    service.post(user("alice"), &path, &money("101", "w-101")).await.repeats(&answer);
    assert_eq!(service.balance(&wallet).await, ["100", "0", "100"]);
}

#[tokio::test]
async fn a_withdrawal_that_trading_does_not_answer_is_pending() {
    let (service, wallet) = lending(Duration::from_millis(500)).await;
    let path = format!("/api/v1/wallets/{wallet}/withdraw");
    let pending = service.post(user("alice"), &path, &money("60", "w")).await.expect(202);
    assert_eq!((pending.text("status"), pending.text("newBalance")), ("PENDING", "100"));
    let location = pending.header("location").unwrap();
    let shown = service.get(user("alice"), location).await.expect(200);
    assert_eq!((shown.text("status"), &shown.body["entries"]), ("PENDING", &json!([])));
    let again = service.post(user("alice"), &path, &money("60", "w")).await.repeats(&pending);
    let recall = events(&service, 0, 0).await.pop().unwrap();
    assert_eq!(recall["transaction_id"], again.body["transactionId"]);
    conclude(&service, &recall, true).await.expect(200);
    let done = service.post(user("alice"), &path, &money("60", "w")).await.expect(200);
    assert!(done.is_replayed());
    assert_eq!((done.text("status"), done.text("newBalance")), ("COMPLETED", "40"));
    assert_eq!(done.text("transactionId"), pending.text("transactionId"));
    assert_eq!(service.get(user("alice"), location).await.text("status"), "COMPLETED");
}

#[tokio::test]
async fn stopped_withdrawals_leave_everything_else_going() {
    let service = Service::start().await;
    let wallet = service.funded("alice", "USDT", "100").await;
    let path = "/api/wallets/assets/USDT/withdrawals";
    let frozen = service.post(operator(), path, &json!({"frozen": true})).await.expect(200);
    assert_eq!(frozen.body, json!({"success": true, "frozen": true}));
    let ledger = service.get(operator(), "/api/v1/ledger").await.expect(200);
    assert_eq!(ledger.body["assets"][1]["withdrawalsFrozen"], true);
    let withdraw = format!("/api/v1/wallets/{wallet}/withdraw");
    let refused = service.post(user("alice"), &withdraw, &money("1", "w")).await;
    refused.refused(403, "WITHDRAWALS_FROZEN");
    service.deposit(&wallet, "1", "d").await.expect(200);
    service.post(operator(), path, &json!({"frozen": false})).await.expect(200);
    service.post(user("alice"), &withdraw, &money("1", "w-2")).await.expect(200);
}
