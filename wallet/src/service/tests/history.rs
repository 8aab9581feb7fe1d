//! Balances now and in the past: deposit, withdrawal and transfer with all questions and repeats.

use serde_json::{Value, json};

use super::harness::{Answer, SECOND_NS, START_NS, Service, money, operator, user};
use crate::service::answers::time;

struct Walk {
    service: Service,
    source: String,
    destination: String,
    times: [u64; 3],
    requests: Vec<(String, Value, Answer)>,
}

/// Deposit 100 at the first time, withdraw 50 at the second, transfer 25 at the third.
async fn walk() -> Walk {
    let service = Service::start().await;
    let source = service.open("alice", "USDT").await;
    let destination = service.open("bob", "USDT").await;
    let transfer =
        json!({"destinationWalletId": destination, "amount": "25.00", "referenceId": "t-3"});
    let mut requests = Vec::new();
    let mut times = [0; 3];
    for (index, (what, body)) in [
        ("deposit", money("100.00", "t-1")),
        ("withdraw", money("50.00", "t-2")),
        ("transfer", transfer),
    ]
    .into_iter()
    .enumerate()
    {
        times[index] = service.clock.advance(SECOND_NS);
        let path = format!("/api/v1/wallets/{source}/{what}");
        let answer = service.post(operator(), &path, &body).await.expect(200);
        requests.push((path, body, answer));
    }
    Walk { service, source, destination, times, requests }
}

impl Walk {
    async fn past(&self, wallet: &str, query: &str) -> Answer {
        let path = format!("/api/v1/wallets/{wallet}/balance/historical?{query}");
        self.service.get(operator(), &path).await
    }

    async fn at(&self, wallet: &str, ns: u64) -> String {
        let answer = self.past(wallet, &format!("timestamp={}", time(ns))).await.expect(200);
        assert_eq!(answer.text("timestamp"), time(ns));
        answer.text("balance").to_owned()
    }
}

#[tokio::test]
async fn every_moment_of_source_and_destination_is_right() {
    let walk = walk().await;
    let [t1, t2, t3] = walk.times;
    for (ns, source, destination) in [
        (START_NS, "0", "0"),
        (START_NS - SECOND_NS, "0", "0"),
        (t1 - 1, "0", "0"),
        (t1, "100", "0"),
        (t2 - 1, "100", "0"),
        (t2, "50", "0"),
        (t3 - 1, "50", "0"),
        (t3, "25", "25"),
    ] {
        assert_eq!(walk.at(&walk.source, ns).await, source, "at {ns}");
        assert_eq!(walk.at(&walk.destination, ns).await, destination, "at {ns}");
    }
    for (request, source) in walk.requests.iter().zip(["100", "50", "25"]) {
        let sequence = request.2.body["seq"].as_u64().unwrap();
        let query = |sequence| format!("asOfSeq={sequence}");
        let answer = walk.past(&walk.source, &query(sequence)).await.expect(200);
        assert_eq!((answer.text("balance"), &answer.body["sinceSeq"]), (source, &json!(sequence)));
        let before = walk.past(&walk.source, &query(sequence - 1)).await.expect(200);
        assert_ne!(before.text("balance"), source);
    }
    walk.service.assert_sums().await;
}

#[tokio::test]
async fn all_three_repeated_change_nothing() {
    let walk = walk().await;
    for (path, body, first) in &walk.requests {
        let again = walk.service.post(operator(), path, body).await.repeats(first);
        let id = first.text("transactionId");
        assert_eq!(again.header("location"), Some(&*format!("/api/v1/transactions/{id}")));
        assert_eq!(first.text("status"), "COMPLETED");
        assert_eq!(first.text("walletId"), walk.source);
    }
    let balances = walk.requests.iter().map(|(_, _, first)| first.text("newBalance"));
    assert_eq!(balances.collect::<Vec<_>>(), ["100", "50", "25"]);
    assert_eq!(walk.service.balance(&walk.source).await, ["25", "25", "0"]);
    assert_eq!(walk.service.balance(&walk.destination).await, ["25", "25", "0"]);
    walk.service.assert_sums().await;
}

#[tokio::test]
async fn d09_destination_history_is_right() {
    let walk = walk().await;
    let path = format!("/api/v1/wallets/{}/transactions", walk.destination);
    let list = walk.service.get(user("bob"), &path).await.expect(200);
    let [transfer] = &list.body.as_array().unwrap()[..] else { panic!("{}", list.body) };
    assert_eq!(transfer["transactionId"], walk.requests[2].2.body["transactionId"]);
    assert_eq!((&transfer["type"], &transfer["amount"]), (&json!("TRANSFER"), &json!("25")));
    assert_eq!(transfer["createdAt"], time(walk.times[2]));
    assert_eq!(transfer["entries"][0]["credit"]["walletId"], walk.destination);
    assert_eq!(transfer["entries"][0]["credit"]["balance"], "25");
}

#[tokio::test]
async fn questions_without_an_answer_are_refused() {
    let walk = walk().await;
    let future = format!("timestamp={}", time(walk.times[2] + 1));
    let next = format!("asOfSeq={}", walk.service.sequence() + 1);
    for query in [
        &*future,
        &next,
        "",
        "timestamp=2024-01-01T00:00:00&asOfSeq=1",
        "timestamp=yesterday",
        "timestamp=2024-01-01",
        "asOfSeq=-1",
        "timestamp=2024-01-01T00:00:00&more=1",
    ] {
        walk.past(&walk.source, query).await.refused(400, "VALIDATION_ERROR");
    }
    let now = format!("asOfSeq={}", walk.service.sequence());
    walk.past(&walk.source, &now).await.expect(200);
    let zoneless = walk.past(&walk.source, "timestamp=2024-01-01T00:00:01").await.expect(200);
    assert_eq!(zoneless.text("balance"), "100");
    let alias = format!("/api/v1/wallets/{}/balance/history?asOfSeq=1", walk.source);
    assert_eq!(walk.service.get(operator(), &alias).await.expect(200).text("balance"), "0");
}

#[tokio::test]
async fn d09_balance_route_exists() {
    let walk = walk().await;
    let path = format!("/api/v1/wallets/{}/balance", walk.source);
    let answer = walk.service.get(user("alice"), &path).await.expect(200);
    let sequence = walk.service.sequence();
    assert_eq!(
        answer.body,
        json!({
            "walletId": walk.source, "currency": "USDT", "balance": "25", "available": "25",
            "reserved": "0", "seq": sequence,
        })
    );
    assert_eq!(answer.header("x-ledger-seq"), Some(&*sequence.to_string()));
}

#[tokio::test]
async fn d27_stale_read_says_so() {
    let walk = walk().await;
    let sequence = walk.requests[2].2.body["seq"].as_u64().unwrap();
    let read = async |sequence: u64| {
        let path = format!("/api/v1/wallets/{}/balance?min_seq={sequence}", walk.source);
        walk.service.get(operator(), &path).await
    };
    let answer = read(sequence).await.expect(200);
    assert_eq!(answer.text("balance"), "25");
    let refused = read(walk.service.sequence() + 1).await.refused(503, "SEQUENCE_NOT_REACHED");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let shown = walk.service.sequence().to_string();
    assert_eq!(refused.header("x-ledger-seq"), Some(&*shown), "what could have been read");
}

#[tokio::test]
async fn transactions_are_listed_in_pages_newest_first() {
    let walk = walk().await;
    let ids: Vec<_> =
        walk.requests.iter().map(|(_, _, answer)| answer.text("transactionId")).collect();
    let page = async |query: &str| {
        let path = format!("/api/v1/wallets/{}/transactions?{query}", walk.source);
        walk.service.get(user("alice"), &path).await
    };
    let listed = |answer: &Answer| {
        let list = answer.body.as_array().unwrap().iter();
        list.map(|item| item["transactionId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = page("limit=2").await.expect(200);
    assert_eq!(listed(&first), [ids[2], ids[1]]);
    assert_eq!(first.header("x-next-cursor"), Some(ids[1]));
    let second = page(&format!("limit=2&before={}", ids[1])).await.expect(200);
    assert_eq!((listed(&second), second.header("x-next-cursor")), (vec![ids[0].to_owned()], None));
    assert_eq!(listed(&page("").await.expect(200)).len(), 3);
    assert_eq!(listed(&page("limit=100").await.expect(200)).len(), 3);
    for bad in ["limit=0", "limit=101", "limit=x", "before=x", "more=1", "limit=1&limit=2"] {
        page(bad).await.refused(400, "VALIDATION_ERROR");
    }
    let other = format!("before={}", walk.source);
    page(&other).await.refused(404, "TRANSACTION_NOT_FOUND");
}
