//! Who may do and see what: one's own, or as an operator everything.

use serde_json::{Value, json};

use super::harness::{Service, money, operator, user, user_id};
use crate::service::Caller;

fn onlooker(name: &str) -> Caller {
    Caller { may_write: false, ..user(name) }
}

#[tokio::test]
async fn another_users_wallet_is_not_there() {
    let service = Service::start().await;
    let alice = service.funded("alice", "USDT", "100").await;
    let bob = service.open("bob", "USDT").await;
    for what in ["", "/balance", "/balance/historical?asOfSeq=1", "/transactions"] {
        let path = format!("/api/v1/wallets/{alice}{what}");
        service.get(user("bob"), &path).await.refused(404, "WALLET_NOT_FOUND");
        service.get(onlooker("alice"), &path).await.expect(200);
        service.get(operator(), &path).await.expect(200);
    }
    let withdraw = format!("/api/v1/wallets/{alice}/withdraw");
    let stolen = service.post(user("bob"), &withdraw, &money("1", "w")).await;
    stolen.refused(404, "WALLET_NOT_FOUND");
    let transfer = format!("/api/v1/wallets/{alice}/transfer");
    let body = json!({"toWalletId": bob, "amount": "1", "referenceId": "t"});
    service.post(user("bob"), &transfer, &body).await.refused(404, "WALLET_NOT_FOUND");
    let item = json!({"type": "TRANSFER", "walletId": alice, "toWalletId": bob, "amount": "1"});
    let batch = json!({"items": [item], "referenceId": "b"});
    let stolen = service.post(user("bob"), "/api/v1/transactions/batch", &batch).await;
    stolen.refused(404, "WALLET_NOT_FOUND");
    for path in ["/api/v1/users/alice/wallets", "/api/wallets/balance/alice/USDT"] {
        service.get(user("bob"), path).await.refused(404, "USER_NOT_FOUND");
        service.get(user("alice"), path).await.expect(200);
    }
    let body = json!({"userId": "alice", "currency": "BTC"});
    service.post(user("bob"), "/api/v1/wallets", &body).await.refused(403, "FORBIDDEN");
    assert_eq!(service.balance(&alice).await[0], "100");
}

#[tokio::test]
async fn nobody_makes_money_for_themselves() {
    let service = Service::start().await;
    let alice = service.open("alice", "USDT").await;
    let deposit = format!("/api/v1/wallets/{alice}/deposit");
    service.post(user("alice"), &deposit, &money("1", "d")).await.refused(403, "FORBIDDEN");
    let item = json!({"type": "DEPOSIT", "walletId": alice, "amount": "1"});
    let batch = json!({"items": [item], "referenceId": "b"});
    let made = service.post(user("alice"), "/api/v1/transactions/batch", &batch).await;
    made.refused(403, "FORBIDDEN");
    assert_eq!(service.balance(&alice).await[0], "0");
}

#[tokio::test]
async fn parties_of_a_transfer_see_their_own_side() {
    let service = Service::start().await;
    let alice = service.funded("alice", "USDT", "100").await;
    let bob = service.funded("bob", "USDT", "7").await;
    let body = json!({
        "toWalletId": bob, "amount": "40", "referenceId": "rent-1", "description": "rent",
    });
    let path = format!("/api/v1/wallets/{alice}/transfer");
    let answer = service.post(user("alice"), &path, &body).await.expect(200);
    let path = answer.header("location").unwrap();
    let entry = |debit: Value, credit: Value| {
        let mut entry = json!({"currency": "USDT", "amount": "40"});
        (entry["debit"], entry["credit"]) = (debit, credit);
        json!([entry])
    };
    let account = |wallet: &str| json!({"account": "AVAILABLE", "walletId": wallet});
    let with = |wallet: &str, balance: &str| {
        let mut account = account(wallet);
        account["balance"] = json!(balance);
        account
    };
    let payer = service.get(user("alice"), path).await.expect(200);
    assert_eq!((payer.text("newBalance"), payer.text("referenceId")), ("60", "rent-1"));
    assert_eq!(payer.body["entries"], entry(with(&alice, "60"), account(&bob)));
    let payee = service.get(user("bob"), path).await.expect(200);
    assert_eq!((payee.text("description"), payee.text("walletId")), ("rent", &*alice));
    assert_eq!(
        (&payee.body["newBalance"], &payee.body["referenceId"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(payee.body["entries"], entry(account(&alice), with(&bob, "47")));
    let all = service.get(operator(), path).await.expect(200);
    assert_eq!(all.body["entries"], entry(with(&alice, "60"), with(&bob, "47")));
    service.get(user("carol"), path).await.refused(404, "TRANSACTION_NOT_FOUND");
    let guessed = path.replace("018c", "018d");
    assert_ne!(guessed, path);
    service.get(operator(), &guessed).await.refused(404, "TRANSACTION_NOT_FOUND");
}

#[tokio::test]
async fn parties_of_a_trade_do_not_meet() {
    let service = Service::start().await;
    service.funded("alice", "USDT", "100").await;
    service.funded("bob", "BTC", "1").await;
    for (name, asset, amount) in [("alice", "USDT", "51"), ("bob", "BTC", "1")] {
        let body = json!({
            "user_id": user_id(name), "asset": asset, "amount": amount,
            "order_id": user_id(&format!("order-of-{name}")), "reason": "ORDER_PLACEMENT",
        });
        service.post(operator(), "/api/wallets/reserve", &body).await.expect(200);
    }
    let trade = json!({
        "trade_id": user_id("trade"), "buyer_id": user_id("alice"), "seller_id": user_id("bob"),
        "buyer_order_id": user_id("order-of-alice"), "seller_order_id": user_id("order-of-bob"),
        "base_currency": "BTC", "quote_currency": "USDT", "base_amount": "1",
        "quote_amount": "50", "price": "50", "buyer_fee": "1", "seller_fee": "0",
    });
    let settled = service.post(operator(), "/api/wallets/settle", &trade).await.expect(200);
    let path = format!("/api/v1/transactions/{}", settled.text("settlement_id"));
    let all = service.get(operator(), &path).await.expect(200);
    assert_eq!(all.body["entries"].as_array().unwrap().len(), 3);
    assert_eq!(all.text("subjectId"), user_id("trade"));
    for (name, entries) in [("alice", 3), ("bob", 2)] {
        let own = service.get(user(name), &path).await.expect(200);
        assert_eq!(own.body["entries"].as_array().unwrap().len(), entries, "{}", own.body);
        let path = format!("/api/v1/users/{name}/wallets");
        let wallets = service.get(operator(), &path).await.expect(200);
        let wallets = wallets.body.as_array().unwrap().iter();
        let wallets: Vec<_> = wallets.map(|wallet| wallet["walletId"].clone()).collect();
        for entry in own.body["entries"].as_array().unwrap() {
            for end in ["debit", "credit"] {
                let wallet = &entry[end]["walletId"];
                assert!(wallet.is_null() || wallets.contains(wallet), "{}", own.body);
            }
        }
    }
    service.get(user("carol"), &path).await.refused(404, "TRANSACTION_NOT_FOUND");
    service.assert_sums().await;
}
