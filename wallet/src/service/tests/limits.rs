//! What comes too fast or too much at once is refused, and nobody else notices.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use axum::http::Method;
use tokio::task::JoinHandle;

use super::harness::{SECOND_NS, Service, Setup, operator, request, user};
use crate::rates::RateOptions;
use crate::service::limits::REPORTS_DEFAULT;

async fn limited(rates: RateOptions) -> (Service, String) {
    let setup = Setup { rates, stands_still: true, ..Setup::default() };
    let service = Service::start_with(setup).await;
    let wallet = service.funded("alice", "USDT", "100").await;
    (service, format!("/api/v1/wallets/{wallet}/balance"))
}

#[tokio::test]
async fn a_caller_past_the_rate_is_told_when_to_come_again() {
    let rates = RateOptions { per_second: 0, per_second_per_caller: 3 };
    let (service, path) = limited(rates).await;
    for _ in 0..3 {
        service.get(user("alice"), &path).await.expect(200);
    }
    let refused = service.get(user("alice"), &path).await.refused(429, "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), Some("1"));
    service.get(user("bob"), &path).await.refused(404, "WALLET_NOT_FOUND");
    for _ in 0..100 {
        service.get(operator(), &path).await.expect(200);
    }
    service.clock.advance(SECOND_NS / 3 - 1);
    service.get(user("alice"), &path).await.refused(429, "RATE_LIMITED");
    service.clock.advance(1);
    service.get(user("alice"), &path).await.expect(200);
    service.get(user("alice"), &path).await.refused(429, "RATE_LIMITED");
}

#[tokio::test]
async fn all_callers_together_leave_the_exchange_and_probes_alone() {
    let rates = RateOptions { per_second: 4, per_second_per_caller: 3 };
    let (service, path) = limited(rates).await;
    let mut passed = 0;
    for caller in ["alice", "alice", "alice", "alice", "bob", "bob"] {
        let answer = service.get(user(caller), &path).await;
        passed += usize::from(answer.status.as_u16() != 429);
    }
    assert_eq!(passed, 4, "three of one, and one more of all");
    for _ in 0..4 {
        service.send(None, request(Method::GET, &path, None)).await.refused(401, "UNAUTHORIZED");
    }
    service.send(None, request(Method::GET, &path, None)).await.refused(429, "RATE_LIMITED");
    service.get(operator(), &path).await.expect(200);
    for probe in ["/health", "/ready"] {
        service.send(None, request(Method::GET, probe, None)).await.expect(200);
    }
}

/// A report that is not done before its sender is dropped.
fn endless(service: &Service) -> (Sender<()>, JoinHandle<()>) {
    let (done, wait) = channel::<()>();
    let state = service.state.clone();
    let report = async move {
        let made = state.report(move |_| Ok(wait.recv().is_err())).await;
        assert!(made.unwrap());
    };
    (done, tokio::spawn(report))
}

#[tokio::test]
async fn blocked_reports_starve_neither_balances_nor_movements() {
    let service = Service::start().await;
    let wallet = service.funded("alice", "USDT", "100").await;
    let blocked: Vec<_> = (0..REPORTS_DEFAULT).map(|_| endless(&service)).collect();
    while service.state.reports().free() > 0 {
        tokio::task::yield_now().await;
    }
    let of = |what: &str| format!("/api/v1/wallets/{wallet}/{what}");
    let reports = [
        of("transactions"),
        of("balance/historical?asOfSeq=1"),
        of("balance/history?asOfSeq=1"),
        "/api/v1/ledger".to_owned(),
    ];
    for path in &reports {
        let refused = service.get(operator(), path).await.refused(503, "OVERLOADED");
        assert_eq!(refused.header("retry-after"), Some("1"), "{path}");
    }
    service.get(user("alice"), &of("balance")).await.expect(200);
    service.deposit(&wallet, "1", "while-blocked").await.expect(200);
    let transaction = service.deposit(&wallet, "1", "and-shown").await.expect(200);
    let path = format!("/api/v1/transactions/{}", transaction.text("transactionId"));
    service.get(operator(), &path).await.expect(200);
    for (done, report) in blocked {
        drop(done);
        report.await.unwrap();
    }
    for path in &reports {
        service.get(operator(), path).await.expect(200);
    }
}

#[tokio::test]
async fn a_report_waits_for_its_turn_if_it_comes_in_time() {
    let setup = Setup { report_wait: Duration::from_secs(20), ..Setup::default() };
    let service = Service::start_with(setup).await;
    let wallet = service.funded("alice", "USDT", "100").await;
    let blocked: Vec<_> = (0..REPORTS_DEFAULT).map(|_| endless(&service)).collect();
    while service.state.reports().free() > 0 {
        tokio::task::yield_now().await;
    }
    let path = format!("/api/v1/wallets/{wallet}/transactions");
    let (answer, ()) = tokio::join!(service.get(operator(), &path), async {
        for (done, report) in blocked {
            drop(done);
            report.await.unwrap();
        }
    });
    answer.expect(200);
}
