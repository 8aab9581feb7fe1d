//! Owns what is looked at while a run goes on: every second a machine that follows the journal is
//! held against the live one, every ten seconds a row is written down. Knows nothing of which
//! faults there are. Invariant: a look that finds something wrong panics and says what.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use pipeline::Shadow;
use serde::Serialize;
use serde_json::{Value, json};
use tests::app::Memory;
use tests::http_client::{HttpClient, Request};
use tests::trading::desk::{live_hash, text};
use tests::trading::load::Scene;
use tests::trading::pair::Pair;
use tests::trading::truth::{EventLog, Truth};

use super::life::{Lives, Sample};
use super::metrics::Metrics;
use crate::report::{self, Latency};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Labels of the exchange's series.
const EXCHANGE: &str = "{pipeline=\"exchange\"}";
const ROW_EVERY: Duration = Duration::from_secs(10);

/// The state of everything at one time.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    at_s: u64,
    requests: u64,
    requests_per_second: u64,
    /// From due to answered, nanoseconds, while processes were away included.
    latency_ns: Latency,
    orders: usize,
    trades: usize,
    open_orders: u32,
    sequence: u64,
    resident_kib: u64,
    peak_kib: u64,
    anonymous_kib: u64,
    fds: u64,
    threads: u64,
    input_depth: u64,
    settlement_lag: u64,
    snapshot_sequence: u64,
    disk_bytes: u64,
}

pub(super) struct Watch {
    began: Instant,
    next_look: Instant,
    next_row: Instant,
    row_began: Instant,
    taken: Receiver<Duration>,
    row: Histogram<u64>,
    pub(super) all: Histogram<u64>,
    /// Whether this life's books have not been compared.
    books_due: bool,
    shadow: Shadow<Truth>,
    log: EventLog,
    pub(super) lives: Lives,
    /// How often each invariant was looked at.
    pub(super) looks: BTreeMap<&'static str, u64>,
    pub(super) rows: Vec<Row>,
}

impl Watch {
    /// Of a running exchange; memory counts from `warm` on.
    pub(super) fn new(pair: &Pair, taken: Receiver<Duration>, warm: Duration) -> Result<Self> {
        let data_dir = pair.app.data_dir();
        let now = Instant::now();
        Ok(Self {
            began: now,
            next_look: now + LOOK_EVERY,
            next_row: now + ROW_EVERY,
            row_began: now,
            taken,
            row: report::histogram()?,
            all: report::histogram()?,
            books_due: true,
            shadow: Shadow::open(&data_dir, Truth::default())?,
            log: EventLog::open(&data_dir),
            lives: Lives::new(now + warm),
            looks: BTreeMap::new(),
            rows: Vec::new(),
        })
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// A new process was ready so long after it was started.
    pub(super) fn begin_life(&mut self, took: Duration) {
        self.lives.begin(took);
        self.books_due = true;
        // Every trader asks again for what he was told before.
        self.count("I7");
    }

    /// Lets everybody trade for a while, and looks at what must hold. `wallet`: it answers.
    pub(super) fn live(&mut self, scene: &mut Scene<'_>, time: Duration, wallet: bool) {
        let until = Instant::now() + time;
        loop {
            let next = self.next_look.min(until);
            thread::sleep(next.saturating_duration_since(Instant::now()));
            if Instant::now() >= self.next_look {
                self.next_look = Instant::now() + LOOK_EVERY;
                assert!(!scene.venue.is_over(), "a trader failed");
                self.look(scene.pair, wallet);
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    /// Everything that is cheap.
    pub(super) fn look(&mut self, pair: &Pair, wallet: bool) {
        let mut admin = pair.operator();
        let live = live_hash(&mut admin, &pair.parties.operator);
        let reached = self.shadow.advance(live.sequence, |_, _| ());
        assert_eq!(reached.expect("a whole journal"), live.sequence, "acknowledged and not there");
        let truth = self.shadow.machine();
        assert_eq!(truth.hash(), live, "the journal gives another state");
        truth.engine.assert_invariants();
        truth.assert_orders();
        self.log.check(&truth.events);
        self.check_shown(pair);
        check_settlement(pair);
        for invariant in ["I1", "I2", "I3", "I4", "I6", "I9"] {
            self.count(invariant);
        }
        if wallet {
            let ledger = pair.wallet_get("/api/v1/ledger");
            assert_eq!(ledger["zeroSum"], json!(true), "{ledger}");
            self.count("I5");
        }
        if wallet && self.books_due {
            self.check_books(pair);
        }
        let metrics = Metrics::scrape(&mut admin);
        let snapshots = metrics.get("snapshots_total", EXCHANGE);
        let Memory { resident: resident_kib, peak: peak_kib, .. } = pair.app.memory();
        let sequence = live.sequence;
        self.lives.note(Sample { resident_kib, peak_kib, snapshots, sequence });
        if Instant::now() >= self.next_row {
            self.next_row += ROW_EVERY;
            let row = self.row(pair, &metrics);
            self.rows.push(row);
        }
    }

    fn count(&mut self, invariant: &'static str) {
        *self.looks.entry(invariant).or_default() += 1;
    }

    /// Nobody is shown a crossed book or owes anything.
    fn check_shown(&self, pair: &Pair) {
        let mut public = HttpClient::new(pair.app.public());
        let mut get = |path: &str, token: &str| {
            let answer = public.ask(&Request::get(path).with_token(token));
            assert_eq!(answer.status, 200, "{path}: {:?}", answer.json());
            answer.json()
        };
        let scale = tests::trading::drafts::TICK_SCALE;
        for market in pair.parties.markets {
            let book = get(&format!("/api/v1/orderbook/{}?depth=1", market.path), "");
            let best = |side: &str| {
                let price = book[side].get(0).map(|level| text(level, "price"));
                price.map(|price| engine::decimal::parse(price, scale).expect("a price"))
            };
            let crossed = best("bids").zip(best("asks")).is_some_and(|(bid, ask)| bid >= ask);
            assert!(!crossed, "crossed: {book}");
        }
        for identity in &pair.parties.identities {
            let balances = get("/api/v1/balances", &identity.token);
            let owes = |b: &Value| ["available", "held"].iter().any(|f| text(b, f).contains('-'));
            assert!(!balances.as_array().expect("a list").iter().any(owes), "{balances}");
        }
    }

    /// The books of trading and of the wallet contradict each other nowhere. Once in a life: the
    /// comparison holds a second machine, of which the allocator keeps the memory.
    fn check_books(&mut self, pair: &Pair) {
        let run = Request::post("/api/v1/admin/reconciliation/run", "");
        let status = pair.operator().ask(&run.with_token(&pair.parties.operator)).json();
        assert_eq!(status["report"]["breaches"], json!([]), "{status}");
        self.count("I10");
        self.books_due = false;
    }

    /// Takes the latencies that were told of until now.
    pub(super) fn take_latencies(&mut self) {
        for latency in self.taken.try_iter() {
            let ns = report::nanos(latency).max(1);
            self.row.saturating_record(ns);
            self.all.saturating_record(ns);
        }
    }

    fn row(&mut self, pair: &Pair, metrics: &Metrics) -> Row {
        self.take_latencies();
        let truth = self.shadow.machine();
        let memory = pair.app.memory();
        let requests = self.row.len();
        let row = Row {
            at_s: self.began.elapsed().as_secs(),
            requests,
            requests_per_second: report::rate(
                usize::try_from(requests).unwrap_or(usize::MAX),
                self.row_began.elapsed(),
            ),
            latency_ns: Latency::of(&self.row),
            orders: truth.orders.len(),
            trades: truth.trades.len(),
            open_orders: truth.engine.live_orders(),
            sequence: engine::StateMachine::last_sequence(truth),
            resident_kib: memory.resident,
            peak_kib: memory.peak,
            anonymous_kib: memory.anonymous,
            fds: metrics.get("process_open_fds", ""),
            threads: metrics.get("process_threads", ""),
            input_depth: metrics.get("pipeline_input_depth", EXCHANGE),
            settlement_lag: metrics.get("settlement_cursor_lag", ""),
            snapshot_sequence: metrics.get("snapshot_sequence", EXCHANGE),
            disk_bytes: disk_bytes(&pair.app.data_dir()),
        };
        self.row.reset();
        self.row_began = Instant::now();
        row
    }
}

/// Settlement has not given up on anything.
fn check_settlement(pair: &Pair) {
    let status = pair.admin_get("/api/v1/admin/settlements");
    let sound = status["halted"] == json!(null) && status["dead_letters"] == json!(0);
    assert!(sound, "{status}");
}

/// What the files take; one may be retired at any moment.
fn disk_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => disk_bytes(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}
