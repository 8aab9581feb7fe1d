//! The whole way of money: in through the wallet, into trades, settled, out again, and both books
//! equal at the end.

use std::time::Duration;

use axum::http::Method;
use engine::AssetId;
use serde_json::{Value, json};
use wallet::bank::Answer;
use wallet::ledger::types::{
    Account, Description, Reference, TransactionKind, TransactionStatus, UserId, WalletId,
};
use wallet::ledger::{Command, Outcome, Post, Posting, Postings};

use crate::harness::{Exchange, rows};

const USDT: AssetId = AssetId(4);
const ONE: u128 = 100_000_000;
/// Nothing here takes longer than this; what does hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Exchange {
    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                let body = self.admin(Method::GET, path, None).await.expect(200).body;
                if wanted(&body) {
                    return body;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("it gets there")
    }

    /// Everything traded so far is settled.
    async fn settled(&self, trades: u64) -> Value {
        self.until("/settlements", |body| body["settlements_total"] == trades).await
    }

    async fn wallet_of(&self, user: &str) -> WalletId {
        let user = UserId(gateway::ids::user(user).unwrap().as_u128());
        let teller = self.app.state().money.teller.clone().unwrap();
        match teller.submit(Command::OpenWallet { user, asset: USDT }).await.unwrap().answer {
            Answer::Wallet { wallet, .. } => wallet,
            other => panic!("{other:?}"),
        }
    }

    /// A movement that a user asks for, as the wallet's own interface would.
    async fn ask(&self, kind: TransactionKind, posting: Posting, reference: &str) -> Outcome {
        let teller = self.app.state().money.teller.clone().unwrap();
        let post = Command::Post(Post {
            kind,
            caller: UserId(7),
            reference: Reference::new(reference).unwrap(),
            description: Description::EMPTY,
            postings: Postings::new(&[posting]).unwrap(),
            fund: true,
            dry_run: false,
        });
        match teller.submit(post).await.unwrap().answer {
            Answer::Transaction { outcome, .. } => teller.concluded(outcome, PATIENCE).await,
            other => panic!("{other:?}"),
        }
    }

    async fn withdraw(&self, user: &str, amount: u128, reference: &str) -> Outcome {
        let wallet = self.wallet_of(user).await;
        let (debit, credit) = (Account::Available(wallet), Account::External(USDT));
        self.ask(TransactionKind::Withdrawal, Posting { debit, credit, amount }, reference).await
    }

    pub(crate) async fn reconcile(&self) -> Value {
        let run = self.admin(Method::POST, "/reconciliation/run", None).await;
        run.expect(200).body
    }
}

#[tokio::test]
async fn d07_a_trade_reaches_the_wallet() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    exchange.limit("seller", "SELL", "1.5", "49900").await;
    let body = json!({
        "symbol": "BTC/USDT", "side": "BUY", "type": "LIMIT", "quantity": "1.5",
        "price": "50000", "response_type": "FULL",
    });
    let placed = exchange.place("buyer", body).await.expect(201);
    let trade = placed.body["trades"][0]["id"].as_str().unwrap().to_owned();
    exchange.settled(1).await;
    let path = format!("/settlements/trades/{trade}");
    let status = exchange.admin(Method::GET, &path, None).await.expect(200).body;
    assert_eq!(status["settlement_status"], "SETTLED");
    assert!(status["settlement_id"].is_string() && status["settled_at"].is_string(), "{status}");

    let report = exchange.reconcile().await;
    assert_eq!(report["report"]["breaches"], json!([]), "{report}");
    assert_eq!(report["report"]["trades_matched"], 1);
    let unknown = exchange.admin(Method::GET, "/settlements/trades/nonsense", None).await;
    unknown.refused(404, "TRADE_NOT_FOUND");
}

#[tokio::test]
async fn a_withdrawal_takes_trading_money_first_and_never_what_orders_hold() {
    let exchange = Exchange::start().await;
    exchange.credit("buyer", "USDT", "100").await.expect(201);
    let done = exchange.withdraw("buyer", 40 * ONE, "w-1").await;
    assert_eq!(done.status, TransactionStatus::Completed);
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "60", "0")]));
    exchange.limit("buyer", "BUY", "0.001", "50000").await;
    // 50.10 of the 60 are promised to the order.
    let refused = exchange.withdraw("buyer", 10 * ONE, "w-2").await;
    assert_eq!(refused.status, TransactionStatus::Failed);
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "9.9", "50.1")]));
    let report = exchange.reconcile().await;
    assert_eq!(report["report"]["breaches"], json!([]), "{report}");
}

#[tokio::test]
async fn proceeds_can_be_withdrawn_at_once_and_the_wallet_waits_for_their_settlement() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    exchange.limit("seller", "SELL", "1.5", "50000").await;
    exchange.limit("buyer", "BUY", "1.5", "50000").await;
    let done = exchange.withdraw("seller", 74_000 * ONE, "w-1").await;
    assert_eq!(done.status, TransactionStatus::Completed);
    assert_eq!(exchange.balances("seller").await[1].1, "925");
    let report = exchange.reconcile().await;
    assert_eq!(report["report"]["breaches"], json!([]), "{report}");
}

#[tokio::test]
async fn the_money_side_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    exchange.limit("seller", "SELL", "0.5", "50000").await;
    exchange.limit("buyer", "BUY", "0.5", "50000").await;
    // Not waited for: what is not settled by then is settled afterwards.
    exchange.app.shutdown().await.unwrap();

    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.limit("seller", "SELL", "0.5", "50000").await;
    exchange.limit("buyer", "BUY", "0.5", "50000").await;
    exchange.until("/settlements", |body| body["window"] == 0 && body["lag"] == 0).await;
    let report = exchange.reconcile().await;
    assert_eq!(report["report"]["breaches"], json!([]), "{report}");
    assert_eq!(report["report"]["trades_matched"], 2);
    assert_eq!(report["report"]["unsettled"], 0);
}

#[tokio::test]
async fn dead_letters_are_operators_business() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let letters = exchange.admin(Method::GET, "/settlements/dlq", None).await.expect(200);
    assert_eq!(letters.body, json!({"total": 0, "dead_letters": [], "discarded": []}));
    let id = gateway::ids::Id::trade(engine::TradeId(1), 0).to_string();
    let path = |what: &str| format!("/settlements/dlq/{id}{what}");
    let requeue = exchange.admin(Method::POST, &path("/requeue"), None).await;
    requeue.refused(404, "TRADE_NOT_FOUND");
    let invented = json!({"reason": "x", "correction": uuid::Uuid::from_u128(1)});
    let invented = exchange.admin(Method::DELETE, &path(""), Some(invented)).await;
    invented.refused(409, "REASON_REQUIRED");
    let correction = exchange.credit("buyer", "USDT", "1").await.expect(201);
    let body = json!({"reason": "x", "correction": correction.text("transaction_id")});
    let gone = exchange.admin(Method::DELETE, &path(""), Some(body)).await;
    gone.refused(404, "TRADE_NOT_FOUND");
    let unreasoned = exchange.admin(Method::DELETE, &path(""), Some(json!({"reason": "x"}))).await;
    unreasoned.refused(409, "REASON_REQUIRED");
    let all = json!({"class": "UNKNOWN"});
    let all = exchange.admin(Method::POST, "/settlements/dlq/requeue", Some(all)).await;
    assert_eq!(all.expect(200).body, json!({"requeued": 0}));
    let none = json!({"class": "OTHER"});
    let none = exchange.admin(Method::POST, "/settlements/dlq/requeue", Some(none)).await;
    none.refused(400, "VALIDATION_ERROR");
    let path = "/api/v1/admin/settlements";
    let request = crate::harness::request(Method::GET, path, Some(&exchange.trader("buyer")), None);
    exchange.send(request).await.refused(403, "FORBIDDEN");
}
