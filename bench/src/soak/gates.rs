//! Owns the gates: what a run must have come to in the end, besides that no look found anything
//! wrong. Knows nothing of how a run goes. Invariant: a gate shows what it measured and what was
//! allowed, whether or not it is passed.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tests::http_client::HttpClient;
use tests::trading::pair::Pair;

use super::life::{Growth, Lives};
use super::metrics::Metrics;
use super::nemesis::{KINDS, Nemesis};

const START_MS_MAX: u64 = 5_000;
const GROWTH_KIB_MAX: u64 = 8 << 10;
/// From this length on a run has a life that is long enough to be measured.
const SECONDS_WITH_GROWTH: u64 = 60;
/// Faults that a run must have had, if so many were planned.
const NEMESES_MIN: usize = 6;
/// From so many answers on, each kind of hostile request must have been among them.
const ANSWERS_WITH_ALL_REFUSALS: u64 = 5_000;
/// What hostile requests must be told.
const REFUSALS: [&str; 3] = ["UNAUTHORIZED", "DUPLICATE_CLIENT_ORDER_ID", "PAYLOAD_TOO_LARGE"];
/// Messages of level ERROR that faults may cause: none.
const ERRORS_EXPECTED: [&str; 0] = [];
/// For so long an idle exchange is looked at, and idle threads and connections end within that.
const REST: Duration = Duration::from_secs(2);
const REST_MAX: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

#[derive(Debug, Serialize)]
pub(super) struct Gate {
    name: &'static str,
    measured: String,
    allowed: String,
    passed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Gates(Vec<Gate>);

/// What a process holds that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Used {
    fds: u64,
    threads: u64,
}

/// What an idle exchange holds at least, over a while.
pub(super) fn used(pair: &Pair) -> Used {
    let mut admin = pair.operator();
    let mut least = look(&mut admin);
    let began = Instant::now();
    while began.elapsed() < REST {
        thread::sleep(POLL);
        let now = look(&mut admin);
        least.fds = least.fds.min(now.fds);
        least.threads = least.threads.min(now.threads);
    }
    least
}

/// What an idle exchange holds once that is no more than `before`, or after so long.
pub(super) fn used_again(pair: &Pair, before: Used) -> Used {
    let mut admin = pair.operator();
    let began = Instant::now();
    loop {
        let now = look(&mut admin);
        let more = now.fds > before.fds || now.threads > before.threads;
        if !more || began.elapsed() > REST_MAX {
            return now;
        }
        thread::sleep(POLL);
    }
}

fn look(admin: &mut HttpClient) -> Used {
    let metrics = Metrics::scrape(admin);
    let threads = metrics.get("process_threads", "");
    Used { fds: metrics.get("process_open_fds", ""), threads }
}

impl Gates {
    fn add(&mut self, name: &'static str, passed: bool, measured: String, allowed: String) {
        self.0.push(Gate { name, measured, allowed, passed });
    }

    pub(super) fn resources(&mut self, before: Used, after: Used) {
        for (name, before, after) in
            [("fds", before.fds, after.fds), ("threads", before.threads, after.threads)]
        {
            self.add(name, after <= before, after.to_string(), format!("<= {before}"));
        }
    }

    /// `seconds`: the length of the run; one that is short may have no life of which it is known
    /// how it grew.
    pub(super) fn lives(&mut self, lives: &mut Lives, seconds: u64) {
        let start = lives.longest_start.as_millis();
        let passed = start < START_MS_MAX.into();
        self.add("start_ms", passed, start.to_string(), format!("< {START_MS_MAX}"));
        let growth = lives.growth();
        let within = |growth: &Growth| growth.kib <= GROWTH_KIB_MAX;
        let measured = !growth.is_empty() || seconds < SECONDS_WITH_GROWTH;
        let passed = measured && growth.iter().all(within);
        let allowed = format!("<= {GROWTH_KIB_MAX} each");
        self.add("growth_kib", passed, format!("{growth:?}"), allowed);
    }

    pub(super) fn nemeses(&mut self, struck: &BTreeMap<Nemesis, u64>, planned: usize) {
        let count: u64 = struck.values().sum();
        let all = planned < KINDS.len() || KINDS.iter().all(|kind| struck.contains_key(kind));
        let passed = count == planned as u64 && all;
        let allowed = format!("{planned}, of all kinds from {NEMESES_MIN} on");
        self.add("nemeses", passed, count.to_string(), allowed);
    }

    pub(super) fn refusals(&mut self, refused: &BTreeMap<&'static str, u64>, answered: u64) {
        let all = REFUSALS.iter().all(|code| refused.contains_key(code));
        let passed = all || answered < ANSWERS_WITH_ALL_REFUSALS;
        self.add("refusals", passed, format!("{refused:?}"), format!("{REFUSALS:?}"));
    }

    pub(super) fn log(&mut self, exchange: &[String], wallet: &[String]) {
        let expected = |line: &&String| ERRORS_EXPECTED.iter().any(|known| line.contains(known));
        let unexpected: Vec<_> =
            exchange.iter().chain(wallet).filter(|line| !expected(line)).collect();
        self.add("errors_logged", unexpected.is_empty(), format!("{unexpected:?}"), "none".into());
    }

    /// One line for each gate that is not passed.
    pub(super) fn broken(&self) -> Vec<String> {
        let broken = self.0.iter().filter(|gate| !gate.passed);
        broken.map(|g| format!("{}: {}, allowed {}", g.name, g.measured, g.allowed)).collect()
    }

    pub(super) fn into_all(self) -> Vec<Gate> {
        self.0
    }
}
