//! Clients that ask too fast are refused, and comparisons of the books take no more than their
//! place. The clock of the rates moves only when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::http::Method;
use gateway::auth::Scope;
use gateway::router;
use gateway::state::RequestBounds;
use pipeline::Clock;
use wallet::rates::RateOptions;

use crate::harness::{Answer, Exchange, answer, request};

#[derive(Debug, Default)]
struct Standing(AtomicU64);

impl Clock for Standing {
    fn wall_ns(&self) -> u64 {
        self.monotonic_ns()
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The routers of an exchange with other rates.
struct Limited {
    exchange: Exchange,
    clock: Arc<Standing>,
    public: Router,
    admin: Router,
}

impl Limited {
    async fn start(per_second: u32, per_second_per_caller: u32) -> Self {
        let exchange = Exchange::start().await;
        exchange.fund().await;
        let clock = Arc::new(Standing::default());
        let rates = RateOptions { per_second, per_second_per_caller };
        let mut state = exchange.app.state().clone();
        state.bounds = Arc::new(RequestBounds::new(1_024, rates, Arc::clone(&clock) as _));
        let (public, admin) = (router::public(state.clone()), router::operators(state));
        Self { exchange, clock, public, admin }
    }

    async fn get(&self, token: Option<&str>, path: &str) -> Answer {
        answer(self.public.clone(), request(Method::GET, path, token, None)).await
    }
}

#[tokio::test]
async fn a_client_past_its_rate_is_refused_and_others_are_not() {
    let limited = Limited::start(0, 3).await;
    let [buyer, seller] = ["buyer", "seller"].map(|user| limited.exchange.trader(user));
    for _ in 0..3 {
        limited.get(Some(&buyer), "/api/v1/balances").await.expect(200);
    }
    let refused = limited.get(Some(&buyer), "/api/v1/balances").await;
    let refused = refused.refused(429, "RATE_LIMITED");
    assert_eq!(refused.headers["retry-after"], "1");
    limited.get(Some(&buyer), "/nowhere").await.refused(429, "RATE_LIMITED");
    limited.get(Some(&seller), "/api/v1/balances").await.expect(200);
    limited.get(None, "/api/v1/symbols").await.expect(200);
    limited.get(Some("garbage"), "/api/v1/balances").await.refused(401, "UNAUTHORIZED");
    limited.clock.0.fetch_add(333_333_332, Ordering::SeqCst);
    limited.get(Some(&buyer), "/api/v1/balances").await.refused(429, "RATE_LIMITED");
    limited.clock.0.fetch_add(1, Ordering::SeqCst);
    limited.get(Some(&buyer), "/api/v1/balances").await.expect(200);
}

#[tokio::test]
async fn clients_without_a_token_cannot_crowd_out_the_others() {
    let limited = Limited::start(5, 0).await;
    for _ in 0..5 {
        limited.get(None, "/api/v1/symbols").await.expect(200);
    }
    limited.get(None, "/api/v1/symbols").await.refused(429, "RATE_LIMITED");
    limited.get(Some("garbage"), "/api/v1/balances").await.refused(429, "RATE_LIMITED");
    let buyer = limited.exchange.trader("buyer");
    for _ in 0..5 {
        limited.get(Some(&buyer), "/api/v1/balances").await.expect(200);
    }
    limited.get(Some(&buyer), "/api/v1/balances").await.refused(429, "RATE_LIMITED");
    for probe in ["/health", "/ready"] {
        limited.get(None, probe).await.expect(200);
    }
    let operator = limited.exchange.token("operator", &[Scope::Admin, Scope::Read]);
    limited.get(Some(&operator), "/api/v1/balances").await.expect(200);
    let request = request(Method::GET, "/api/v1/admin/settlements", Some(&operator), None);
    answer(limited.admin.clone(), request).await.expect(200);
}

#[tokio::test]
async fn a_comparison_of_the_books_takes_one_place() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let state = exchange.app.state().clone();
    let running = state.bounds.reconciliations.try_acquire().unwrap();
    let refused = exchange.admin(Method::POST, "/reconciliation/run", None).await;
    let refused = refused.refused(503, "OVERLOADED");
    assert_eq!(refused.headers["retry-after"], "1");
    exchange.get("buyer", "/api/v1/balances").await.expect(200);
    exchange.limit("buyer", "BUY", "0.1", "50000").await;
    exchange.admin(Method::GET, "/reconciliation", None).await.expect(200);
    drop(running);
    exchange.admin(Method::POST, "/reconciliation/run", None).await.expect(200);
    assert_eq!(state.bounds.reconciliations.available_permits(), 1);
}
