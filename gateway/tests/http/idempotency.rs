//! Asking again gives the first answer, word for word.

use axum::http::Method;
use futures_util::future::join_all;
use gateway::auth::Scope;
use serde_json::{Value, json};

use crate::harness::{Answer, Exchange, limit};
use crate::sockets::say;

fn keyed(side: &str, quantity: &str, price: &str, key: &str) -> Value {
    let mut order = limit(side, quantity, price);
    order["client_order_id"] = json!(key);
    order
}

fn without_request_id(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    body.as_object_mut().unwrap().remove("request_id");
    body
}

#[tokio::test]
async fn a_repeated_order_gets_its_first_answer() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let order = keyed("SELL", "1.5", "49900", "k1");
    let first = exchange.place("seller", order.clone()).await.expect(201);
    assert!(!first.is_replayed());
    exchange.limit("buyer", "BUY", "1", "50000").await;
    let amend = json!({"quantity": "1.2"});
    let path = format!("/api/v1/orders/{}", first.text("id"));
    exchange.patch("seller", &path, amend).await.expect(200);

    let again = exchange.place("seller", order.clone()).await.expect(201);
    assert!(again.is_replayed());
    assert_eq!(without_request_id(&again), without_request_id(&first));
    let now = exchange.get("seller", &path).await.expect(200);
    assert_eq!((now.text("status"), now.text("quantity")), ("PARTIALLY_FILLED", "1.2"));

    for other in [
        keyed("SELL", "1.4", "49900", "k1"),
        keyed("SELL", "1.5", "49901", "k1"),
        keyed("BUY", "1.5", "49900", "k1"),
    ] {
        let refused = exchange.place("seller", other).await;
        refused.refused(409, "DUPLICATE_CLIENT_ORDER_ID");
    }
    exchange.delete("seller", &path).await.expect(200);
    let closed = exchange.place("seller", order).await.expect(201);
    assert_eq!(without_request_id(&closed), without_request_id(&first));
    exchange.place("buyer", keyed("BUY", "0.1", "40000", "k1")).await.refused(400, "PRICE_BAND");
}

#[tokio::test]
async fn a_repeat_may_ask_for_another_form_of_the_answer() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    exchange.limit("seller", "SELL", "1.5", "49900").await;
    let mut order = keyed("BUY", "0.5", "50000", "k1");
    order["response_type"] = json!("FULL");
    let first = exchange.place("buyer", order.clone()).await.expect(201);
    let again = exchange.place("buyer", order.clone()).await.expect(201);
    assert_eq!(again.body["trades"], first.body["trades"]);
    assert_eq!(again.body["trades"].as_array().unwrap().len(), 1);
    order["response_type"] = json!("ACK");
    let ack = exchange.place("buyer", order).await.expect(201);
    assert_eq!((ack.text("status"), ack.is_replayed()), ("PENDING", true));
}

#[tokio::test]
async fn a_repeated_refusal_is_the_same_refusal() {
    let exchange = Exchange::start().await;
    exchange.credit("buyer", "USDT", "1").await.expect(201);
    let order = keyed("BUY", "1", "50000", "k1");
    let first = exchange.place("buyer", order.clone()).await.refused(400, "INSUFFICIENT_BALANCE");
    exchange.credit("buyer", "USDT", "75150").await.expect(201);
    let again = exchange.place("buyer", order).await.refused(400, "INSUFFICIENT_BALANCE");
    assert!(again.is_replayed());
    assert_eq!(without_request_id(&again), without_request_id(&first));
    exchange.place("buyer", keyed("BUY", "1", "50000", "k2")).await.expect(201);
}

#[tokio::test]
async fn a_misshapen_order_does_not_use_its_key_up() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    exchange
        .place("buyer", keyed("BUY", "0", "50000", "k1"))
        .await
        .refused(400, "INVALID_QUANTITY");
    let placed = exchange.place("buyer", keyed("BUY", "1", "50000", "k1")).await.expect(201);
    assert!(!placed.is_replayed());
}

#[tokio::test]
async fn orders_without_a_key_are_all_different() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let first = exchange.limit("buyer", "BUY", "0.1", "50000").await;
    assert_ne!(exchange.limit("buyer", "BUY", "0.1", "50000").await, first);
}

#[tokio::test]
async fn parallel_repeats_make_one_order() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let order = keyed("BUY", "0.1", "50000", "k1");
    let answers = join_all((0..100).map(|_| exchange.place("buyer", order.clone()))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect(201)).collect();
    let fresh = answers.iter().filter(|answer| !answer.is_replayed()).count();
    assert_eq!(fresh, 1);
    let first = without_request_id(&answers[0]);
    assert!(answers.iter().all(|answer| without_request_id(answer) == first));
}

/// The same, each over a connection of its own.
#[tokio::test]
async fn repeats_over_a_hundred_connections_make_one_order() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let (server, token) =
        (exchange.app.public_address(), exchange.token("buyer", &[Scope::Read, Scope::Trade]));
    let order = keyed("BUY", "0.1", "50000", "k1").to_string();
    let request = format!(
        "POST /api/v1/orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{order}",
        order.len()
    );
    let answers = join_all((0..100).map(|_| say(server, &request))).await;
    let bodies = answers.iter().map(|answer| {
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 201"), "{answer}");
        let mut body: Value = serde_json::from_str(body).unwrap();
        body.as_object_mut().unwrap().remove("request_id");
        body
    });
    let bodies: Vec<_> = bodies.collect();
    let fresh = answers.iter().filter(|a| !a.contains("idempotency-replayed: true")).count();
    assert_eq!(fresh, 1);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let cancelled = exchange.delete("buyer", "/api/v1/orders").await.expect(200);
    assert_eq!(cancelled.body["cancelled"], 1);
}

#[tokio::test]
async fn a_credit_happens_once() {
    let exchange = Exchange::start().await;
    let credit = |user: &str, amount: &str| {
        let body =
            json!({"user": user, "asset": "USDT", "amount": amount, "reference": "deposit-1"});
        exchange.admin(Method::POST, "/credits", Some(body))
    };
    let first = credit("alice", "100.50").await.expect(201);
    assert_eq!((first.text("amount"), first.text("available")), ("100.5", "100.5"));
    assert_eq!(first.text("user"), gateway::ids::user("alice").unwrap().to_string());
    exchange.credit("alice", "USDT", "1").await.expect(201);
    let again = credit("alice", "100.5").await.expect(201);
    assert!(again.is_replayed() && !first.is_replayed());
    assert_eq!(again.body, first.body);
    for answer in [&first, &again] {
        assert_eq!(answer.headers["x-seq"], first.body["seq"].to_string().as_str());
    }
    credit("alice", "100.51").await.refused(422, "IDEMPOTENCY_MISMATCH");
    credit("bob", "100.5").await.refused(422, "IDEMPOTENCY_MISMATCH");
    let user = first.text("user").to_owned();
    assert_eq!(credit(&user, "100.5").await.expect(201).body, first.body);
    assert_eq!(exchange.balances("alice").await[0].1, "101.5");
}
