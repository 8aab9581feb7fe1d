//! Owns `bench replay`: how fast a journal becomes a state again, and how long a start takes with
//! and without a snapshot.
//!
//! A pipeline writes a journal first, with a snapshot some commands before its end. The yardstick
//! of the same run is the engine alone, on the same commands in memory. The answer is checked: each
//! way ends with the state of the live core.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use engine::{Engine, Event, EventBuffer, Frame, StateMachine};
use journal::SyncPolicy;
use pipeline::{Instance, Options, Outcome, Reply, SnapshotPolicy, SnapshotTaken, SystemClock};
use serde::Serialize;

use crate::feed::{feed, fresh};
use crate::place::Place;
use crate::report;
use crate::tape::flow::{Flow, preset};
use crate::tape::generator::generate;
use crate::workload::{ONE_EACH, Workload};

/// Starts of each kind.
const STARTS: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Commands of the journal.
    #[arg(long, default_value_t = 2_000_000)]
    commands: usize,
    /// Commands behind the snapshot.
    #[arg(long, default_value_t = 1_000_000)]
    behind: usize,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    commands: usize,
    /// The engine alone, in memory.
    engine_per_second: u64,
    /// Journal read and applied; nothing compared.
    replay_per_second: u64,
    replay_to_engine: f64,
    /// A start without a snapshot: everything read from the disk, applied, and compared with the
    /// event log.
    start_seconds: f64,
    start_per_second: u64,
    /// A start with one, and the commands behind it.
    snapshot_start_seconds: f64,
    snapshot_start_commands: u64,
    /// The snapshot, taken beside the live pipeline: replay, writing, reading back, restoring.
    snapshot_seconds: f64,
    snapshot_bytes: u64,
    state_hash: String,
}

/// Nobody waits for these commands.
struct Unheard;

impl Reply<Engine> for Unheard {
    fn complete(self, _: &Frame<engine::Command>, _: Outcome<'_, Event>) {}
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.behind < args.commands, "the snapshot must lie within the journal");
    let (data_dir, _temporary) = args.place.folder()?;
    let mut options = Options::new(&data_dir);
    options.journal.sync = SyncPolicy::Os;
    options.journal.allow_fs = args.place.allow_fs;
    let flow = Flow { commands: args.commands, ..preset("small").context("preset")? };
    let (tape, _) = generate(&flow);
    // The first command of all is the pipeline's own.
    let workload = Workload::new(&tape, 2, &ONE_EACH);
    let (state_hash, taken, snapshot_time) = write(&options, &workload, args.behind)?;
    let report = measure(&options, &workload, state_hash, &taken, snapshot_time)?;
    report::print(&report, args.json)
}

/// Writes the journal; gives the hash of the state at its end, and the snapshot.
fn write(
    options: &Options,
    workload: &Workload,
    behind: usize,
) -> Result<([u8; 32], SnapshotTaken, Duration)> {
    let recovered = pipeline::recover(options, || Instance::bare(fresh()))?;
    let mut running =
        pipeline::start::<Engine, Unheard>(recovered, options, Arc::new(SystemClock::new()))?;
    let desk = running.take_snapshots(SnapshotPolicy::ON_DEMAND, || Instance::bare(fresh()))?;
    let ingress = running.ingress();
    let (before, rest) = workload.frames.split_at(workload.frames.len() - behind);
    feed(&ingress, before, &running.cursors())?;
    let begin = Instant::now();
    let taken = desk.ask()?.recv()??;
    let snapshot_time = begin.elapsed();
    feed(&ingress, rest, &running.cursors())?;
    Ok((running.shutdown().machine.state_hash(), taken, snapshot_time))
}

fn measure(
    options: &Options,
    workload: &Workload,
    state_hash: [u8; 32],
    taken: &SnapshotTaken,
    snapshot_time: Duration,
) -> Result<Report> {
    let commands = workload.frames.len();
    let engine_time = engine_alone(workload);
    let begin = Instant::now();
    let replayed = pipeline::replay(&options.data_dir, fresh())?;
    let replay_time = begin.elapsed();
    ensure!(replayed.machine.state_hash() == state_hash, "the replayed state differs");
    let (with, behind) = start(options, taken.sequence, state_hash)?;
    for entry in std::fs::read_dir(options.data_dir.join("journal"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "snp") {
            std::fs::remove_file(path)?;
        }
    }
    let (without, _) = start(options, 0, state_hash)?;
    let (engine_per_second, replay_per_second) =
        (report::rate(commands, engine_time), report::rate(commands, replay_time));
    Ok(Report {
        bench: "replay",
        commands,
        engine_per_second,
        replay_per_second,
        replay_to_engine: report::ratio(replay_per_second, engine_per_second),
        start_seconds: without.as_secs_f64(),
        start_per_second: report::rate(commands, without),
        snapshot_start_seconds: with.as_secs_f64(),
        snapshot_start_commands: behind,
        snapshot_seconds: snapshot_time.as_secs_f64(),
        snapshot_bytes: taken.bytes,
        state_hash: report::hex(&state_hash),
    })
}

/// The yardstick: the same commands without a journal.
fn engine_alone(workload: &Workload) -> Duration {
    let (mut engine, mut events) = (fresh(), EventBuffer::with_capacity(4_096));
    // What a pipeline puts in front of all.
    let first = Frame { sequence: 1, timestamp_ns: 0, command: engine::Command::default() };
    let begin = Instant::now();
    for frame in std::iter::once(&first).chain(&workload.frames) {
        events.clear();
        engine.apply(frame, &mut events);
    }
    begin.elapsed()
}

/// Starts, each up to the moment at which it could take commands; gives the median of their times
/// and what each replayed.
fn start(options: &Options, snapshot: u64, state_hash: [u8; 32]) -> Result<(Duration, u64)> {
    let (mut times, mut commands) = (Vec::new(), 0);
    for _ in 0..STARTS {
        let begin = Instant::now();
        let recovered = pipeline::recover(options, || Instance::bare(fresh()))?;
        times.push(report::nanos(begin.elapsed()));
        ensure!(recovered.report.snapshot == snapshot, "it began elsewhere");
        ensure!(recovered.instance.machine.state_hash() == state_hash, "the state differs");
        commands = recovered.report.commands;
    }
    Ok((Duration::from_nanos(report::median(&times)), commands))
}
