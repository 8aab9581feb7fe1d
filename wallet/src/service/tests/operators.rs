//! Read-only mode, sums, hashes, probes, and answers that do not come in time.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::harness::{Service, Setup, money, operator, request, user};

#[tokio::test]
async fn d27_write_fallback_is_an_error() {
    let service = Service::start().await;
    let wallet = service.funded("alice", "USDT", "100").await;
    let mode = async |read_only: bool| {
        let body = json!({"readOnly": read_only});
        let answer = service.post(operator(), "/api/v1/ledger/read-only", &body).await.expect(200);
        assert_eq!(answer.body, body);
    };
    mode(true).await;
    let sequence = service.sequence();
    let withdraw = format!("/api/v1/wallets/{wallet}/withdraw");
    let reserve = json!({
        "user_id": user("alice").user, "asset": "USDT", "amount": "1",
        "order_id": user("order").user, "reason": "ORDER_PLACEMENT",
    });
    for (path, body) in [
        (&*withdraw, money("1", "w")),
        ("/api/v1/wallets", json!({"userId": "bob"})),
        ("/api/wallets/reserve", reserve.clone()),
        ("/api/wallets/reserve/batch", json!({"items": [reserve]})),
        ("/api/wallets/assets/USDT/withdrawals", json!({"frozen": true})),
    ] {
        let refused = service.post(operator(), path, &body).await;
        let refused = refused.refused(503, "READ_ONLY_MODE_ACTIVE");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(service.balance(&wallet).await, ["100", "100", "0"]);
    service.get(operator(), "/api/v1/ledger/state-hash").await.expect(200);
    let get =
        async |path: &str| service.send(None, request(axum::http::Method::GET, path, None)).await;
    get("/ready").await.refused(503, "READ_ONLY_MODE_ACTIVE");
    assert_eq!(get("/health").await.expect(200).text("status"), "ok");
    assert!(service.sequence() <= sequence + 1, "at most the hash was asked for");
    mode(false).await;
    assert_eq!(get("/ready").await.expect(200).text("status"), "ready");
    let answer = service.post(user("alice"), &withdraw, &money("1", "w")).await.expect(200);
    assert!(!answer.is_replayed(), "nothing was done before");
}

#[tokio::test]
async fn sums_and_hash_are_of_the_ledger() {
    let service = Service::start().await;
    let empty = service.get(operator(), "/api/v1/ledger/state-hash").await.expect(200);
    service.funded("alice", "USDT", "100").await;
    service.funded("bob", "USDT", "50").await;
    let ledger = service.get(operator(), "/api/v1/ledger").await.expect(200);
    assert_eq!(
        ledger.body["assets"],
        json!([
            {"currency": "BTC", "owned": "0", "fees": "0", "external": "0", "zeroSum": true,
             "withdrawalsFrozen": false},
            {"currency": "USDT", "owned": "150", "fees": "0", "external": "-150", "zeroSum": true,
             "withdrawalsFrozen": false},
        ])
    );
    assert_eq!(ledger.body["sequence"], service.sequence());
    let hash = service.get(operator(), "/api/v1/ledger/state-hash").await.expect(200);
    assert_eq!(hash.text("stateHash").len(), 64);
    assert_ne!(hash.text("stateHash"), empty.text("stateHash"));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_an_unknown_outcome() {
    let service = Service::start_with(Setup { timeout: Duration::ZERO, ..Setup::default() }).await;
    let mut names = (0..).map(|number| format!("user-{number}"));
    // The ledger may be quicker than the first look for its answer, but not every time.
    let name = loop {
        let name = names.next().unwrap();
        let answer = service.post(operator(), "/api/v1/wallets", &json!({"userId": name})).await;
        if answer.status != 201 {
            answer.refused(504, "OUTCOME_UNKNOWN");
            break name;
        }
    };
    // It goes its way all the same.
    let wallets = format!("/api/v1/users/{name}/wallets");
    let mut next = service.sequence();
    while service.get(operator(), &wallets).await.status != 200 {
        next += 1;
        service.teller.views().reach(next).await;
    }
}

#[tokio::test]
async fn what_finds_no_room_is_refused_and_may_come_again() {
    let service = Service::start_with(Setup { replies_max: 1, ..Setup::default() }).await;
    let wallet = service.open("alice", "USDT").await;
    let mut missing: Vec<_> = (0..64).map(|number| format!("d-{number}")).collect();
    let mut refused = 0;
    while !missing.is_empty() {
        let deposits = missing.iter().map(|reference| service.deposit(&wallet, "1", reference));
        let answers = join_all(deposits).await;
        let mut left = Vec::new();
        for (reference, answer) in missing.into_iter().zip(answers) {
            if answer.status == 200 {
                assert!(!answer.is_replayed(), "what was refused had no effect");
            } else {
                let answer = answer.refused(503, "OVERLOADED");
                assert_eq!(answer.header("retry-after"), Some("1"));
                refused += 1;
                left.push(reference);
            }
        }
        missing = left;
    }
    assert!(refused > 0, "64 at once find no room for 64 answers");
    assert_eq!(service.balance(&wallet).await[0], "64");
}

#[tokio::test]
async fn a_batch_without_room_is_refused_whole_or_keeps_its_order() {
    let service = Service::start_with(Setup { replies_max: 2, ..Setup::default() }).await;
    service.funded("alice", "USDT", "100").await;
    let reserve = |number: u32| {
        json!({
            "user_id": user("alice").user, "asset": "USDT", "amount": "1",
            "order_id": user(&format!("order-{number}")).user, "reason": "ORDER_PLACEMENT",
        })
    };
    let body = json!({"items": (0..64).map(reserve).collect::<Vec<_>>()});
    let answer = service.post(operator(), "/api/wallets/reserve/batch", &body).await.expect(200);
    let codes: Vec<_> = answer.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["code"].as_str())
        .collect();
    let done = codes.iter().take_while(|code| code.is_none()).count();
    assert!((1..64).contains(&done), "{done}");
    assert!(codes[done..].iter().all(|code| *code == Some("OVERLOADED")), "{codes:?}");
}
