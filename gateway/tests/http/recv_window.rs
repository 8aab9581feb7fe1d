//! Orders that say how long they may take to be sequenced. The clock moves only when a test says
//! so, and so do the stages.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use engine::{Engine, EngineOptions, StateMachine};
use futures_util::stream;
use pipeline::{Clock, ManualClock};
use serde_json::{Value, json};

use crate::harness::{Answer, and, limit, request};
use crate::overload::{HALF, ORDER_SLOTS, Standing, an_order};
use crate::per_order;

const NOON_NS: u64 = 1_800_000_000_000_000_000;
const WINDOW_NS: u64 = 1_000_000_000;
const BY_KEY: &str = "/api/v1/orders/by-client-id/k1";

struct Slow {
    standing: Standing,
    clock: Arc<ManualClock>,
}

impl Slow {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOON_NS));
        let standing = Standing::at(Arc::clone(&clock) as Arc<dyn Clock>).await;
        Self { standing, clock }
    }

    fn pass(&self, ns: u64) {
        pass(&self.clock, ns);
    }

    /// The answer to an order whose body is complete so long after its head.
    async fn place_in(&mut self, ns: u64, order: &Value) -> Answer {
        let text = order.to_string();
        let (first, rest) = text.split_at(text.len() / 2);
        let (first, rest) = (first.to_owned(), rest.to_owned());
        let clock = Arc::clone(&self.clock);
        let parts = stream::unfold(Some((first, Some(rest))), move |left| {
            let clock = Arc::clone(&clock);
            async move {
                let (part, rest) = left?;
                if rest.is_none() {
                    pass(&clock, ns);
                }
                Some((Ok::<_, Infallible>(part), rest.map(|rest| (rest, None))))
            }
        });
        let mut head = self.request(order);
        *head.body_mut() = Body::from_stream(parts);
        self.standing.answered_to(head).await
    }

    fn request(&self, order: &Value) -> Request<Body> {
        request(Method::POST, "/api/v1/orders", Some(&self.standing.tokens[0]), Some(order))
    }

    async fn by_key(&self) -> Answer {
        self.standing.send(Method::GET, BY_KEY, None).await
    }
}

fn pass(clock: &ManualClock, ns: u64) {
    clock.set_wall_ns(clock.wall_ns() + ns);
}

fn keyed() -> Value {
    and(limit("BUY", "0.01", "50000"), json!({"client_order_id": "k1"}))
}

/// A second.
fn windowed() -> Value {
    and(keyed(), json!({"recv_window_ms": "1000"}))
}

#[tokio::test]
async fn an_order_that_comes_too_late_is_refused_and_its_id_is_free() {
    let mut slow = Slow::new().await;
    let late = slow.place_in(WINDOW_NS + 1, &windowed()).await.refused(400, "RECV_WINDOW");
    assert_eq!(late.body["details"], json!({"retryable": true}), "it was no order");
    slow.by_key().await.refused(404, "ORDER_NOT_FOUND");
    let listed = slow.standing.send(Method::GET, "/api/v1/orders", None).await.expect(200);
    assert_eq!(listed.body, json!([]));

    let other = and(windowed(), json!({"quantity": "0.02"}));
    let placed = slow.place_in(WINDOW_NS, &other).await.expect(201);
    assert_eq!((placed.text("status"), placed.is_replayed()), ("OPEN", false));
}

#[tokio::test]
async fn a_repeat_has_a_window_of_its_own() {
    let mut slow = Slow::new().await;
    let first = slow.place_in(WINDOW_NS, &windowed()).await.expect(201);
    for again in [windowed(), and(keyed(), json!({"recv_window_ms": "60000"})), keyed()] {
        slow.pass(WINDOW_NS);
        let again = slow.standing.answered(&again).await.expect(201);
        assert!(again.is_replayed());
        assert_eq!(again.text("id"), first.text("id"));
    }
    // What is said of the repeat is not said of the order.
    slow.place_in(WINDOW_NS + 1, &windowed()).await.refused(400, "RECV_WINDOW");
    let shown = slow.by_key().await.expect(200);
    assert_eq!((shown.text("id"), shown.text("status")), (first.text("id"), "OPEN"));
}

/// A command is sequenced when it is handed over. How long the stages then take does not count.
#[tokio::test]
async fn an_order_that_is_handed_over_in_time_is_in_time() {
    let mut slow = Slow::new().await;
    let waiting = tokio::spawn(crate::harness::answer(
        slow.standing.router.clone(),
        slow.request(&windowed()),
    ));
    let (mut depth, before) = (0, slow.standing.stages.ingress().depth().0);
    while depth == before || depth == 0 {
        tokio::task::yield_now().await;
        depth = slow.standing.stages.ingress().depth().0;
    }
    slow.pass(WINDOW_NS * 3_600);
    slow.standing.stages.step_all();
    assert_eq!(waiting.await.unwrap().expect(201).text("status"), "OPEN");
}

#[tokio::test]
async fn a_replay_refuses_the_same_orders() {
    let mut slow = Slow::new().await;
    slow.place_in(WINDOW_NS + 1, &windowed()).await.refused(400, "RECV_WINDOW");
    slow.place_in(WINDOW_NS, &windowed()).await.expect(201);
    slow.place_in(WINDOW_NS + 1, &windowed()).await.refused(400, "RECV_WINDOW");
    let Standing { stages, directory, .. } = slow.standing;
    let machine = stages.shutdown().machine;
    let engine = Engine::new(EngineOptions::default());
    let replayed = pipeline::replay(directory.path(), engine).unwrap().machine;
    assert_eq!(replayed.state_hash(), machine.state_hash());
    assert_eq!(replayed.live_orders(), 1);
}

/// The engine's clock never goes back; one that was set back is behind it for a while.
#[tokio::test]
async fn behind_engine_time_an_order_is_late_by_as_much() {
    let mut slow = Slow::new().await;
    slow.clock.set_wall_ns(NOON_NS - WINDOW_NS - 1);
    slow.place_in(0, &windowed()).await.refused(400, "RECV_WINDOW");
    slow.pass(1);
    slow.place_in(0, &windowed()).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn it_is_new_load_like_any_other_order() {
    let slow = Slow::new().await;
    let order = and(limit("BUY", "0.01", "50000"), json!({"recv_window_ms": "1000"}));
    let place = || slow.standing.send(Method::POST, "/api/v1/orders", Some(order.clone()));
    for _ in 0..HALF {
        place().await.refused(504, "OUTCOME_UNKNOWN");
    }
    place().await.refused(429, "FAIR_SHARE_EXCEEDED");
    slow.standing.is_past_its_share(0).await;
    for _ in HALF..ORDER_SLOTS {
        slow.standing.hand_over(an_order());
    }
    place().await.refused(503, "OVERLOADED");
}

#[tokio::test]
async fn a_window_has_bounds() {
    let mut slow = Slow::new().await;
    let with = |window: Value| and(keyed(), json!({"recv_window_ms": window}));
    for good in ["1", "60000"] {
        slow.standing.answered(&with(json!(good))).await.expect(201);
    }
    slow.standing.answered(&with(Value::Null)).await.expect(201);
    let before = slow.standing.stages.cursors().depth();
    for bad in [json!("0"), json!("60001"), json!("x"), json!("-1"), json!(""), json!("1.5")] {
        let refused = slow.standing.send(Method::POST, "/api/v1/orders", Some(with(bad))).await;
        let refused = refused.refused(400, "VALIDATION_ERROR");
        assert_eq!(refused.body["details"]["field"], "recv_window_ms");
    }
    for bad in [json!(0), json!(60_001), json!(-1), json!(1_000), json!(true)] {
        let refused = slow.standing.send(Method::POST, "/api/v1/orders", Some(with(bad))).await;
        refused.refused(400, "VALIDATION_ERROR");
    }
    assert_eq!(slow.standing.stages.cursors().depth(), before, "nothing was handed over");
}

#[tokio::test]
async fn it_is_not_offered_where_the_wallet_funds_each_order() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = per_order::start_in(directory.path()).await;
    let before = exchange.sequence();
    let refused = exchange.place("buyer", windowed()).await.refused(400, "UNSUPPORTED");
    assert_eq!(refused.body["details"]["field"], "recv_window_ms");
    assert_eq!(exchange.sequence(), before, "not even an account was opened");
    tokio::time::timeout(Duration::from_secs(60), exchange.app.shutdown()).await.unwrap().unwrap();
}
