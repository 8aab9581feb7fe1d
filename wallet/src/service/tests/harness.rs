//! Owns a ledger with the service in front of it, and requests against its router.
//! Invariant: the ledger is closed before its directory is removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::{Extension, Router};
use engine::{AssetCode, AssetId};
use pipeline::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

use crate::bank::{AssetTerms, Bank, BankOptions, Teller};
use crate::ids;
use crate::rates::RateOptions;
use crate::service::{Caller, ServiceOptions, ServiceState, router};

/// 2024-01-01T00:00:00Z, where all tests begin.
pub(super) const START_NS: u64 = 1_704_067_200_000_000_000;
pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// A clock whose stamps stand still until they are set.
#[derive(Debug)]
pub(super) struct TestClock {
    wall_ns: AtomicU64,
    machine: Option<SystemClock>,
}

impl TestClock {
    /// Moves the stamps on and returns the new one.
    pub(super) fn advance(&self, by_ns: u64) -> u64 {
        self.wall_ns.fetch_add(by_ns, Ordering::SeqCst) + by_ns
    }
}

impl Clock for TestClock {
    fn wall_ns(&self) -> u64 {
        self.wall_ns.load(Ordering::SeqCst)
    }

    fn monotonic_ns(&self) -> u64 {
        self.machine.as_ref().map_or_else(|| self.wall_ns(), Clock::monotonic_ns)
    }
}

/// How a service is started.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) fund: bool,
    pub(super) timeout: Duration,
    pub(super) replies_max: usize,
    pub(super) rates: RateOptions,
    pub(super) report_wait: Duration,
    /// Whether time as such stands still, too, until it is set.
    pub(super) stands_still: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            fund: false,
            timeout: Duration::from_secs(20),
            replies_max: 2_048,
            rates: RateOptions::default(),
            report_wait: Duration::from_millis(50),
            stands_still: false,
        }
    }
}

/// A ledger with the service in front of it: BTC and USDT with eight decimal places, and movements
/// of 0.01 to 1,000,000.
pub(super) struct Service {
    pub(super) clock: Arc<TestClock>,
    pub(super) state: ServiceState,
    pub(super) router: Router,
    pub(super) teller: Teller,
    pub(super) directory: TempDir,
    bank: Option<Bank>,
    options: BankOptions,
    setup: Setup,
}

/// One answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

pub(super) fn operator() -> Caller {
    Caller { user: Uuid::from_u128(0x0FF1CE), may_write: true, is_operator: true }
}

/// A caller who may change what is their own.
pub(super) fn user(name: &str) -> Caller {
    let user = Uuid::from_u128(ids::user(name).unwrap().0);
    Caller { user, may_write: true, is_operator: false }
}

pub(super) fn user_id(name: &str) -> String {
    user(name).user.to_string()
}

impl Service {
    pub(super) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub(super) async fn start_with(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut pipeline = pipeline::Options::new(directory.path());
        pipeline.journal.allow_fs = true;
        pipeline.journal.segment_bytes = 4 << 20;
        (pipeline.input_slots, pipeline.output_slots) = (4_096, 16_384);
        let terms = |(id, code)| AssetTerms {
            id: AssetId(id),
            code: AssetCode::new(code).unwrap(),
            scale: 8,
            amount_min: 1_000_000,
            amount_max: 100_000_000_000_000,
        };
        let assets: Vec<_> = [(1, "BTC"), (2, "USDT")].map(terms).into();
        let Setup { fund, timeout, replies_max, stands_still, .. } = setup;
        pipeline.replies_max = replies_max;
        let machine = (!stands_still).then(SystemClock::new);
        let wall_ns = AtomicU64::new(START_NS);
        let clock = Arc::new(TestClock { wall_ns, machine });
        let options = |timeout| BankOptions {
            pipeline: pipeline.clone(),
            assets: assets.clone(),
            timeout,
            fund,
            read_only: false,
            snapshots: None,
        };
        let bank = Bank::open(&options(Duration::from_secs(20)), Arc::clone(&clock) as _).unwrap();
        bank.add_assets(&assets).await.unwrap();
        drop(bank.close());
        Self::over(directory, options(timeout), clock, setup)
    }

    fn over(directory: TempDir, options: BankOptions, clock: Arc<TestClock>, setup: Setup) -> Self {
        let bank = Bank::open(&options, Arc::clone(&clock) as _).unwrap();
        let teller = bank.teller();
        let service_options = ServiceOptions {
            default_currency: AssetCode::new("USDT"),
            min_seq_wait: Duration::from_millis(50),
            rates: setup.rates,
            report_wait: setup.report_wait,
            ..ServiceOptions::default()
        };
        let state = ServiceState::new(bank.teller(), service_options, Arc::clone(&clock) as _);
        let router = router(state.clone());
        Self { clock, state, router, teller, directory, bank: Some(bank), options, setup }
    }

    /// The same ledger in a service that has just started.
    pub(super) fn restarted(mut self) -> Self {
        self.close();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        Self::over(directory, self.options.clone(), Arc::clone(&self.clock), self.setup)
    }

    pub(super) fn close(&mut self) {
        if let Some(bank) = self.bank.take() {
            drop(bank.close());
        }
    }

    pub(super) fn sequence(&self) -> u64 {
        self.teller.views().sequence()
    }

    pub(super) async fn get(&self, caller: Caller, path: &str) -> Answer {
        self.send(Some(caller), request(Method::GET, path, None)).await
    }

    pub(super) async fn post(&self, caller: Caller, path: &str, body: &Value) -> Answer {
        self.send(Some(caller), request(Method::POST, path, Some(body))).await
    }

    pub(super) async fn send(&self, caller: Option<Caller>, request: Request<Body>) -> Answer {
        send(&self.router, caller, request).await
    }

    /// Opens a user's wallet and returns its id.
    pub(super) async fn open(&self, name: &str, currency: &str) -> String {
        let body = json!({"userId": name, "currency": currency});
        let answer = self.post(operator(), "/api/v1/wallets", &body).await.expect(201);
        answer.text("walletId").to_owned()
    }

    /// Opens a user's wallet and brings money in.
    pub(super) async fn funded(&self, name: &str, currency: &str, amount: &str) -> String {
        let wallet = self.open(name, currency).await;
        let reference = format!("funds-{name}-{currency}");
        self.deposit(&wallet, amount, &reference).await.expect(200);
        wallet
    }

    pub(super) async fn deposit(&self, wallet: &str, amount: &str, reference: &str) -> Answer {
        let path = format!("/api/v1/wallets/{wallet}/deposit");
        self.post(operator(), &path, &money(amount, reference)).await
    }

    /// Total, available and reserved.
    pub(super) async fn balance(&self, wallet: &str) -> [String; 3] {
        let path = format!("/api/v1/wallets/{wallet}/balance");
        let answer = self.get(operator(), &path).await.expect(200);
        ["balance", "available", "reserved"].map(|field| answer.text(field).to_owned())
    }

    /// Everything adds up to zero.
    pub(super) async fn assert_sums(&self) {
        let ledger = self.get(operator(), "/api/v1/ledger").await.expect(200);
        assert_eq!(ledger.body["zeroSum"], true, "{}", ledger.body);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.close();
    }
}

pub(super) fn money(amount: &str, reference: &str) -> Value {
    json!({"amount": amount, "referenceId": reference})
}

pub(super) fn request(method: Method, path: &str, body: Option<&Value>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "wallet");
    match body {
        None => request.body(Body::empty()).unwrap(),
        Some(body) => {
            let request = request.header(header::CONTENT_TYPE, "application/json");
            request.body(Body::from(body.to_string())).unwrap()
        }
    }
}

pub(super) async fn send(
    router: &Router,
    caller: Option<Caller>,
    request: Request<Body>,
) -> Answer {
    let router = match caller {
        Some(caller) => router.clone().layer(Extension(caller)),
        None => router.clone(),
    };
    let response = router.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer { status: head.status, headers: head.headers, body }
}

impl Answer {
    pub(super) fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.body))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn is_replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }

    /// The body but for what differs between two requests: of a refusal, its own id.
    pub(super) fn lasting(&self) -> Value {
        let mut body = self.body.clone();
        if let Some(body) = body.as_object_mut() {
            body.remove("request_id");
        }
        body
    }

    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) -> Self {
        let refused = self.expect(status);
        assert_eq!(refused.text("code"), code, "{}", refused.body);
        assert!(!refused.text("error").is_empty() && refused.body["details"].is_object());
        assert_eq!(refused.header("x-request-id"), Some(refused.text("request_id")));
        refused
    }

    /// The same answer as before, marked as such.
    #[track_caller]
    pub(super) fn repeats(self, first: &Self) -> Self {
        assert_eq!(self.status, first.status, "{}", self.body);
        assert_eq!(self.lasting(), first.lasting());
        assert!(self.is_replayed() && !first.is_replayed(), "{:?}", self.headers);
        assert_eq!(self.header("location"), first.header("location"));
        self
    }
}
