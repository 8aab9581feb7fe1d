//! Owns `bench engine`: the whole engine, one thread, a tape in memory: idempotency, checks, holds,
//! matching with fees, events written and read. Knows nothing of rings and disks. It answers for
//! its result: trades, volume, notional, the hashes of all trades and of the final books must equal
//! the slow books' in the same run.

mod memory;

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use engine::{
    Command, Engine, EngineConfig, EngineOptions, Event, EventBuffer, Frame, HashSecret,
    StateMachine,
};
use hdrhistogram::Histogram;
use serde::Serialize;

use self::memory::Memory;
use crate::report;
use crate::tape::figures::{Figures, TapeArgs};
use crate::tape::format::Tape;
use crate::tape::judge;
use crate::timer::Timer;
use crate::workload::{Terms, Totals, Workload};

/// What the exchange reserves memory for at its start.
const EXPECTED_ORDERS: usize = 1 << 24;
const EXPECTED_CLIENT_IDS: usize = 1 << 20;
/// Any numbers: an exchange draws them at its start.
const SECRET: [u64; 2] = [0x8CB9_2BA7_2F3D_8DD7, 0xA0B4_28DB_9F1C_6E33];
/// Events that one command may make before their buffer grows.
const EVENTS: usize = 1_024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    on: TapeArgs,
    /// Accounts, which the owners of the tape share.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    accounts: u32,
    /// Client order ids of the past that the engine remembers from the start. All that it ever
    /// remembers, as an exchange does that runs for long: every new one drops another.
    #[arg(long, default_value_t = EngineConfig::default().client_id_capacity)]
    remembered: u32,
    /// Orders without client order ids: nothing is checked for having been there before.
    #[arg(long, conflicts_with = "remembered")]
    no_client_order_ids: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    #[serde(flatten)]
    figures: Figures,
    accounts: u32,
    /// Whether every order has one, and how many of the past are remembered at the start.
    client_order_ids: bool,
    remembered: u32,
    /// Of the measured commands.
    events: u64,
    /// What the heap holds for each of many resting orders; its parts are in `memory`.
    bytes_per_resting_order: f64,
    memory: Memory,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (tape, verdict) = judge::read(&args.on.tape)?;
    let client_order_ids = !args.no_client_order_ids;
    let remembered = if client_order_ids { args.remembered } else { 0 };
    let terms = Terms { accounts: args.accounts, client_order_ids, remembered };
    let workload = Workload::new(&tape, 1, &terms);
    let mut passes = Vec::new();
    let mut events = 0;
    for _ in 0..args.on.passes.max(1) {
        let mut pass = Pass::prefilled(&tape, &workload)?;
        passes.push(pass.timed());
        pass.check(&workload)?;
        events = pass.totals.events - pass.events_before;
    }
    let timer = Timer::new();
    let mut pass = Pass::prefilled(&tape, &workload)?;
    let latencies = pass.latencies(&timer)?;
    pass.check(&workload)?;
    drop(pass);
    drop(workload);
    let memory = Memory::measured()?;
    let report = Report {
        bench: "engine",
        figures: Figures::new(&args.on, &tape, &verdict, passes, &timer, &latencies),
        accounts: args.accounts,
        client_order_ids,
        remembered,
        events,
        bytes_per_resting_order: memory.bytes_per_resting_order(),
        memory,
    };
    report::print(&report, args.on.json)
}

/// An engine, and what it has made so far.
struct Pass<'a> {
    engine: Engine,
    events: EventBuffer<Event>,
    totals: Totals,
    events_before: u64,
    /// Those that are measured.
    frames: &'a [Frame<Command>],
}

impl<'a> Pass<'a> {
    /// Sets the stage and builds the books.
    fn prefilled(tape: &Tape, workload: &'a Workload) -> Result<Self> {
        let (stage, frames) = workload.frames.split_at(workload.setup + tape.prefill);
        let mut pass = Self {
            engine: Engine::new(EngineOptions {
                expected_orders: EXPECTED_ORDERS,
                expected_client_ids: EXPECTED_CLIENT_IDS,
                hash_secret: HashSecret(SECRET),
                ..EngineOptions::default()
            }),
            events: EventBuffer::with_capacity(EVENTS),
            totals: Totals::new(tape.instruments),
            events_before: 0,
            frames,
        };
        stage.iter().for_each(|frame| pass.step(frame));
        ensure!(pass.totals.rejects == 0, "the stage was not set");
        pass.events_before = pass.totals.events;
        Ok(pass)
    }

    /// Applies one command, then reads what it made.
    #[inline]
    fn step(&mut self, frame: &Frame<Command>) {
        self.events.clear();
        self.engine.apply(frame, &mut self.events);
        self.totals.add(self.events.as_slice());
    }

    fn timed(&mut self) -> u64 {
        let start = Instant::now();
        for (at, frame) in self.frames.iter().enumerate() {
            // As the core does with what waits in its ring.
            if let Some(next) = self.frames.get(at + 1) {
                self.engine.prefetch(&next.command);
            }
            self.step(frame);
        }
        report::rate(self.frames.len(), start.elapsed())
    }

    fn latencies(&mut self, timer: &Timer) -> Result<Histogram<u64>> {
        let mut histogram = report::histogram()?;
        for frame in self.frames {
            timer.record(&mut histogram, || self.step(black_box(frame)));
        }
        Ok(histogram)
    }

    fn check(&self, workload: &Workload) -> Result<()> {
        self.engine.assert_invariants();
        ensure!(self.totals.rejects == 0, "{} commands were refused", self.totals.rejects);
        workload.expected.check(&self.totals.summaries(&self.engine))
    }
}
