//! Owns `bench soak`: the exchange and its wallet, each a real process, under an open load of
//! traders, payers and hostile requests, while both are killed, stopped and started again.
//!
//! Checked: every answer, and the invariants and gates of `docs/soak.md`. A run that breaks one
//! says how to repeat it. The report is one JSON object, the last line.

mod gates;
mod life;
mod metrics;
mod nemesis;
mod watch;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tests::app::{Settings, binary};
use tests::report::say;
use tests::trading::drafts::MANY;
use tests::trading::habits::{Habits, Pace};
use tests::trading::load::{Evidence, Load};
use tests::trading::pair::{Pair, TRADERS, listing, settings};

use self::gates::{Gate, Gates};
use self::nemesis::Nemesis;
use self::watch::{Row, Watch};
use crate::process::Program;
use crate::report::{self, Latency};

/// Payments: two payers, each so often.
const PAYERS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(200);
/// Longest warm-up; a third of a run that is short.
const WARM_UP: Duration = Duration::from_secs(30);
/// Commands between two snapshots of either process, and the shortest time.
const SNAPSHOT_EVERY: &str = "1000";
const SNAPSHOT_INTERVAL_S: &str = "1";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Length of the load.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(5..))]
    seconds: u64,
    /// What the load and the faults are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time between two faults; shorter if a run of half a minute would not have all kinds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    nemesis_seconds: u64,
    /// Requests a second of all traders together.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(8..=10_000))]
    rate: u64,
    #[command(flatten)]
    program: Program,
    /// The report is written there, too.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    seed: u64,
    seconds: u64,
    /// Offered, requests a second.
    rate: u64,
    build: String,
    passed: bool,
    failures: Vec<String>,
    repeat: String,
    wall_seconds: u64,
    nemeses: BTreeMap<String, u64>,
    gates: Vec<Gate>,
    /// How often each invariant was looked at.
    invariants: BTreeMap<&'static str, u64>,
    outcome: Outcome,
    /// From due to answered, nanoseconds, while processes were away included.
    latency_ns: Option<Latency>,
    rows: Vec<Row>,
}

/// What everybody asked for, and what came of it.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    answered: u64,
    unanswered: u64,
    not_sent: u64,
    orders: usize,
    done_unanswered: u64,
    trades: usize,
    payments: usize,
    payments_done_unanswered: usize,
    refused: BTreeMap<&'static str, u64>,
    starts: u64,
    starts_from_a_snapshot: usize,
    wallet_starts_from_a_snapshot: usize,
}

/// What is known of a run, also of one that failed.
#[derive(Default)]
struct Run {
    struck: BTreeMap<Nemesis, u64>,
    planned: usize,
    watch: Option<Watch>,
    gates: Gates,
    outcome: Outcome,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let program = args.program.path()?;
    binary::take(&program);
    let (began, build) = (Instant::now(), build(&program)?);
    say(&format!("soak: seed {}, {build}", args.seed));
    let panics = collect_panics();
    let mut run = Run::default();
    let ended = panic::catch_unwind(AssertUnwindSafe(|| run.go(args)));
    drop(panic::take_hook());
    let mut failures = panics.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default();
    if let Ok(Err(error)) = &ended {
        failures.push(format!("{error:#}"));
    }
    failures.extend(run.gates.broken());
    let passed = failures.is_empty() && matches!(ended, Ok(Ok(())));
    let report = run.report(args, build, failures, began);
    if let Some(path) = &args.report {
        std::fs::write(path, serde_json::to_string(&report)?)?;
    }
    report::print(&report, true)?;
    if !passed {
        bail!(
            "seed {}, {}\n{}\nrepeat: {}",
            args.seed,
            report.build,
            report.failures.join("\n"),
            report.repeat
        );
    }
    Ok(())
}

/// Names the program: what it calls itself, and a hash of its bytes.
fn build(program: &Path) -> Result<String> {
    let output = std::process::Command::new(program).arg("--version").output()?;
    let version = String::from_utf8(output.stdout)?;
    let hash = blake3::hash(&std::fs::read(program)?).to_hex();
    Ok(format!("{} {}", version.trim(), hash.get(..16).context("a hash")?))
}

/// What every panic says from now on, whichever thread it ends; it is printed as well.
fn collect_panics() -> Arc<Mutex<Vec<String>>> {
    let panics: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, print) = (Arc::clone(&panics), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        if let Ok(mut all) = kept.lock() {
            all.push(info.to_string());
        }
        print(info);
    }));
    panics
}

impl Run {
    fn go(&mut self, args: &Args) -> Result<()> {
        let length = Duration::from_secs(args.seconds);
        let every = Duration::from_secs(args.nemesis_seconds);
        let plan = nemesis::plan(args.seed, length, every);
        self.planned = plan.len();
        let mut pair = Pair::open_with(site(), false, &MANY);
        let (taken, latencies) = channel();
        let warm = WARM_UP.min(length / 3);
        let watch = self.watch.insert(Watch::new(&pair, latencies, warm)?);
        let traders = u32::try_from(TRADERS)?;
        let gap = Duration::from_secs(1) / u32::try_from(args.rate)?;
        let first = Instant::now();
        let pace = |number| Pace::new(first + gap * number, gap * traders, taken.clone());
        let habits = (0..traders).map(|number| Habits::maker(pace(number))).collect();
        let load = Load { seed: args.seed, payers: PAYERS, pause: PAUSE, habits };
        let struck = &mut self.struck;
        let evidence = pair.under(load, |scene| {
            for (time, nemesis) in plan {
                watch.live(scene, time.saturating_sub(watch.elapsed()), true);
                say(&format!("{:>4} s {nemesis}", watch.elapsed().as_secs()));
                nemesis.strike(scene, watch);
                *struck.entry(nemesis).or_default() += 1;
            }
            watch.live(scene, length.saturating_sub(watch.elapsed()), true);
        });
        self.judge(&mut pair, &evidence, args.seconds)
    }

    /// Holds everything against everything, once nobody trades any more.
    fn judge(&mut self, pair: &mut Pair, evidence: &Evidence, seconds: u64) -> Result<()> {
        let watch = self.watch.as_mut().context("a run")?;
        watch.take_latencies();
        pair.wait_until_drained();
        watch.look(pair, true);
        let before = gates::used(pair);
        pair.repeat_everything(evidence);
        pair.wait_until_drained();
        let after = gates::used_again(pair, before);
        self.outcome = Outcome::of(evidence);
        self.outcome.trades = pair.conclude(evidence);
        for invariant in ["I7", "I10"] {
            *watch.looks.entry(invariant).or_default() += 1;
        }
        self.gates.resources(before, after);
        self.gates.lives(&mut watch.lives, seconds);
        self.gates.nemeses(&self.struck, self.planned);
        self.gates.refusals(&self.outcome.refused, self.outcome.answered);
        let (exchange, wallet) = (pair.app.remarks().said(), pair.wallet.remarks().said());
        self.gates.log(&exchange.errors, &wallet.errors);
        let from_one = |bases: &[u64]| bases.iter().filter(|base| **base > 0).count();
        self.outcome.starts = watch.lives.count;
        self.outcome.starts_from_a_snapshot = from_one(&exchange.bases);
        self.outcome.wallet_starts_from_a_snapshot = from_one(&wallet.bases);
        Ok(())
    }

    fn report(self, args: &Args, build: String, failures: Vec<String>, began: Instant) -> Report {
        let Args { seed, seconds, nemesis_seconds, rate, .. } = args;
        let watch = self.watch;
        let latency_ns = watch.as_ref().map(|watch| Latency::of(&watch.all));
        let (invariants, rows) = watch.map(|w| (w.looks, w.rows)).unwrap_or_default();
        let nemeses = self.struck.iter().map(|(kind, count)| (kind.to_string(), *count)).collect();
        Report {
            bench: "soak",
            seed: *seed,
            seconds: *seconds,
            rate: *rate,
            build,
            passed: failures.is_empty(),
            failures,
            repeat: format!(
                "target/release/bench soak --seconds {seconds} --seed {seed} \
                 --nemesis-seconds {nemesis_seconds} --rate {rate}"
            ),
            wall_seconds: began.elapsed().as_secs(),
            nemeses,
            gates: self.gates.into_all(),
            invariants,
            outcome: self.outcome,
            latency_ns,
            rows,
        }
    }
}

/// The settings of both processes: snapshots come often, and connections that nobody uses end soon.
fn site() -> Settings {
    listing(settings(), &MANY)
        .with("snapshot", "every_commands", SNAPSHOT_EVERY)
        .with("snapshot", "min_interval_s", SNAPSHOT_INTERVAL_S)
        .with("wallet_client", "idle_conn_timeout", "\"1s\"")
}

impl Outcome {
    fn of(evidence: &Evidence) -> Self {
        let Evidence { ledgers, payments, tally } = evidence;
        let mut refused: BTreeMap<_, u64> = BTreeMap::new();
        for (code, count) in ledgers.iter().flat_map(|ledger| &ledger.refused) {
            *refused.entry(*code).or_default() += count;
        }
        Self {
            answered: tally.answered,
            unanswered: tally.unknown,
            not_sent: tally.not_sent,
            orders: ledgers.iter().map(|ledger| ledger.orders.len()).sum(),
            done_unanswered: ledgers.iter().map(|ledger| ledger.done_unanswered).sum(),
            payments: payments.len(),
            payments_done_unanswered: payments.iter().filter(|p| p.done_unanswered).count(),
            refused,
            ..Self::default()
        }
    }
}
