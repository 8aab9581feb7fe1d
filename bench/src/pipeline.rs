//! Owns `bench pipeline`: the whole path of a command (publish, journal, match with balances, event
//! log, reply) under an open-loop load.
//!
//! Latency runs from the moment a command was due, not from when it was sent, so a stall counts for
//! every command that it delayed (no coordinated omission). The answer is checked: every command is
//! replied to once, the slow book agrees on trades and on the final book, and a replay of the
//! journal gives the state that the live core ended with.

mod bare;
mod snapshots;
mod source;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use engine::{Command, Engine, Event, Frame, StateMachine};
use journal::SyncPolicy;
use pipeline::{Instance, Options, Outlet, SystemClock, WaitMode};
use quanta::Instant;
use serde::Serialize;

use self::bare::Bare;
use self::snapshots::{Beside, Taker};
use self::source::{Recorder, Source, Timed};
use crate::feed::{feed, fresh, wait_until};
use crate::place::Place;
use crate::report::{self, Latency};
use crate::tape::flow::{Flow, preset};
use crate::tape::generator::generate;
use crate::workload::{ONE_EACH, Totals, Workload};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Commands a second; 0 is as many as the ring takes.
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Length of the measured part; at rate 0 it bounds the number of commands at 500,000 a second.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// When a command counts as durable: os, interval, group.
    #[arg(long, default_value = "group")]
    sync: SyncPolicy,
    /// How the stages wait: auto, spin, yield, park.
    #[arg(long, default_value = "auto")]
    wait: String,
    /// Cores of core, journaler and publisher, as positions in the list of allowed ones: 1,2,3.
    #[arg(long, value_delimiter = ',')]
    pin: Vec<usize>,
    /// Core of the load generator, likewise.
    #[arg(long)]
    pin_source: Option<usize>,
    /// Take one snapshot after the other through the second half, and compare the halves.
    #[arg(long)]
    snapshots: bool,
    /// Slots of the input ring, a power of two.
    #[arg(long, default_value_t = pipeline::limits::INPUT_SLOTS_DEFAULT)]
    input_slots: usize,
    /// Slots of the output ring, a power of two.
    #[arg(long, default_value_t = pipeline::limits::OUTPUT_SLOTS_DEFAULT)]
    output_slots: usize,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    sync: String,
    wait: String,
    /// Offered, commands a second; 0 is flat out.
    rate: u64,
    commands: usize,
    ops_per_second: u64,
    /// Processor time of the whole process, load generator included, over the commands.
    cpu_ns_per_command: u64,
    /// From due to replied.
    latency_ns: Latency,
    /// Times that the ring was full and the source had to try again.
    ring_full: u64,
    groups: u64,
    syncs: u64,
    sync_ns_mean: u64,
    events: u64,
    trades: u64,
    volume: u64,
    notional: u64,
    replayed_per_second: u64,
    state_hash: String,
    /// The yardsticks of the same run, and the latency over them.
    bare: Bare,
    p50_to_bare_stages: f64,
    p99_to_bare_stages: f64,
    p50_to_bare_sync: f64,
    p99_to_bare_sync: f64,
    /// Of the second half, where snapshots were taken; the latency above is of the first then.
    beside_snapshots: Option<Beside>,
}

/// Counts what is published.
struct Tally(Arc<Mutex<Totals>>);

impl Outlet<Engine> for Tally {
    fn section(&self) -> Option<&'static str> {
        None
    }

    fn publish(&mut self, _: &Frame<Command>, events: &[Event]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(events);
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (data_dir, temporary) = args.place.folder()?;
    ensure!(!args.snapshots || args.rate > 0, "--snapshots compares two halves at a rate");
    let wait = wait_mode(&args.wait)?;
    let mut options = Options { wait, ..Options::new(&data_dir) };
    (options.input_slots, options.output_slots) = (args.input_slots, args.output_slots);
    options.journal.sync = args.sync;
    options.journal.allow_fs = args.place.allow_fs;
    options.pin = match args.pin.as_slice() {
        [] => None,
        [core, journaler, publisher] => Some([*core, *journaler, *publisher]),
        other => anyhow::bail!("--pin takes three positions, not {}", other.len()),
    };
    let per_second = if args.rate == 0 { 500_000 } else { args.rate };
    let flow = Flow {
        commands: usize::try_from(per_second * args.seconds)?,
        ..preset("small").context("preset")?
    };
    let bare = Bare::measured(temporary.path(), args.rate, per_second * args.seconds)?;
    let report = measure(args, &options, &flow, bare)?;
    report::print(&report, args.json)
}

fn measure(args: &Args, options: &Options, flow: &Flow, bare: Bare) -> Result<Report> {
    let (tape, _) = generate(flow);
    let totals = Arc::new(Mutex::new(Totals::new(tape.instruments)));
    let tally = || -> Box<dyn Outlet<Engine>> { Box::new(Tally(Arc::clone(&totals))) };
    let recovered =
        pipeline::recover(options, || Instance { machine: fresh(), outlets: vec![tally()] })?;
    let clock = Arc::new(SystemClock::new());
    let mut running = pipeline::start::<Engine, Timed>(recovered, options, clock)?;

    let recorder = Recorder::leaked()?;
    let first_sequence = running.cursors().published() + 1;
    let workload = Workload::new(&tape, first_sequence, &ONE_EACH);
    let (stage, measured) = workload.frames.split_at(workload.setup + tape.prefill);
    let source = Source { ingress: running.ingress(), recorder };
    args.pin_source.map(pin).transpose()?;
    feed(&source.ingress, stage, &running.cursors())?;
    let (start, cpu_start) = (Instant::now(), cpu_time());
    let half = start + Duration::from_secs(args.seconds) / 2;
    let fresh_instance = || Instance::bare(fresh());
    let taker = args.snapshots.then(|| Taker::start(&mut running, recorder, half, fresh_instance));
    let taker = taker.transpose()?;
    let ring_full = source.send(measured, args.rate, start)?;
    let taken = taker.map(Taker::stop).transpose()?;
    let last_sequence = first_sequence + workload.frames.len() as u64 - 1;
    wait_until(|| running.cursors().acked() >= last_sequence)?;
    let cpu_ns = cpu_time().saturating_sub(cpu_start).as_nanos();
    let stopped = running.shutdown();

    let recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
    let totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(recorder.replied == measured.len() as u64, "{} replies", recorder.replied);
    ensure!(totals.rejects == 0, "{} commands were refused", totals.rejects);
    let expected = workload.expected.summary();
    workload.expected.check(&totals.summaries(&stopped.machine))?;
    let state_hash = stopped.machine.state_hash();
    let replay_start = Instant::now();
    let replayed = pipeline::replay(&options.data_dir, fresh())?;
    let replay_time = replay_start.elapsed();
    ensure!(replayed.machine.state_hash() == state_hash, "the replayed state differs");

    let latency_ns = Latency::of(&recorder.histogram);
    let journaler = &stopped.counters.journaler;
    let syncs = journaler.sync_ns.count();
    Ok(Report {
        bench: "pipeline",
        sync: args.sync.to_string(),
        wait: args.wait.clone(),
        rate: args.rate,
        commands: measured.len(),
        ops_per_second: report::rate(measured.len(), recorder.last - start),
        cpu_ns_per_command: u64::try_from(cpu_ns)? / measured.len() as u64,
        latency_ns,
        ring_full,
        groups: journaler.group_commands.count() + journaler.idle_groups.get(),
        syncs,
        sync_ns_mean: journaler.sync_ns.sum() / syncs.max(1),
        events: totals.events,
        trades: expected.trades,
        volume: expected.volume,
        notional: expected.notional,
        replayed_per_second: report::rate(workload.frames.len(), replay_time),
        state_hash: report::hex(&state_hash),
        p50_to_bare_stages: report::ratio(latency_ns.p50, bare.stages_ns.p50),
        p99_to_bare_stages: report::ratio(latency_ns.p99, bare.stages_ns.p99),
        p50_to_bare_sync: report::ratio(latency_ns.p50, bare.sync_ns.p50),
        p99_to_bare_sync: report::ratio(latency_ns.p99, bare.sync_ns.p99),
        bare,
        beside_snapshots: taken.map(|taken| Beside::of(&taken, &recorder.beside, latency_ns)),
    })
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn wait_mode(text: &str) -> Result<WaitMode> {
    Ok(match text {
        "auto" => WaitMode::Auto,
        "spin" => WaitMode::Spin,
        "yield" => WaitMode::Yield,
        "park" => WaitMode::Park,
        other => anyhow::bail!("unknown wait mode {other}: auto, spin, yield or park"),
    })
}

fn pin(position: usize) -> Result<()> {
    let allowed = core_affinity::get_core_ids().context("listing the allowed cores")?;
    let core = allowed.get(position).context("fewer cores are allowed")?;
    ensure!(core_affinity::set_for_current(*core), "the core was not granted");
    Ok(())
}
