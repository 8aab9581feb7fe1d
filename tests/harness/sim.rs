//! Owns the simulation: a pipeline on one thread, over a disk that loses its power, with a clock
//! that steps and clients that repeat what was not answered; a seed in, a verdict out. Knows
//! nothing of processes. Invariant: a seed gives the same trace in every run.
//!
//! Simulated are the stores and syncs of both logs, sector by sector. Names, sizes and control
//! files are real, on a file system in memory, and taken to be as durable as their syncs say.

mod clients;
mod disk;
mod life;

use std::path::{Path, PathBuf};

use journal::SyncPolicy;
use journal::limits::SEGMENT_BYTES_MIN;
use pipeline::{Options, SnapshotPolicy};

use crate::drive::Script;
use crate::oracle::judge;
use crate::random::Random;
use clients::Clients;
use disk::Disk;
use life::{End, Life};

/// Lives of one directory: the last one ends in order.
const LIVES: u64 = 5;
/// How often the lives before the last are halved at most, see [`World::until`].
const HALVINGS_MAX: u64 = 3;
/// Where a simulated directory lies: in memory, if there is such a place.
const MEMORY: &str = "/dev/shm";

/// What one seed came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that clients and recoveries saw, folded.
    pub trace: u64,
    /// Inputs applied by live machines.
    pub commands: u64,
    pub kills: u64,
    pub power_cuts: u64,
    /// Of both, those in the middle of a store or sync.
    pub deaths_in_calls: u64,
    /// Sectors that a power cut took back.
    pub sectors_lost: u64,
    /// Answers that were lost where the policy allows it.
    pub answers_lost: u64,
    pub snapshots: u64,
    /// Recoveries that began with one.
    pub from_snapshot: u64,
}

impl Outcome {
    /// Takes something into the trace (FNV-1a over words).
    fn fold(&mut self, word: u64) {
        let start = if self.trace == 0 { 0xcbf2_9ce4_8422_2325 } else { self.trace };
        self.trace = (start ^ word).wrapping_mul(0x100_0000_01b3);
    }
}

/// What a seed decides once for all lives of its directory.
struct World<S> {
    seed: u64,
    random: Random,
    options: Options,
    /// Commands of the clients, over all lives.
    commands: u64,
    /// How often the lives before the last are halved.
    halvings: u64,
    disk: Disk,
    clients: Clients,
    outcome: Outcome,
    machine: std::marker::PhantomData<S>,
}

/// Runs one seed.
///
/// # Errors
/// The first thing that is wrong.
///
/// # Panics
/// If the product does, or the file system of the test fails.
pub fn run<S: Script>(seed: u64, commands: u64) -> Result<Outcome, String> {
    let memory = Path::new(MEMORY);
    let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let root = root.map_err(|error| error.to_string())?;
    let mut random = Random::new(seed);
    let halvings = random.below(HALVINGS_MAX + 1);
    let options = options(root.path().join("data"), &mut random);
    let mut world = World::<S> {
        seed,
        random,
        disk: Disk::new(&options.data_dir),
        options,
        commands,
        halvings,
        clients: Clients::default(),
        outcome: Outcome::default(),
        machine: std::marker::PhantomData,
    };
    for life in 1..=LIVES {
        world.live(life)?;
    }
    let verdict = judge::<S>(&world.options.data_dir, seed, &world.clients.heard)?;
    if verdict.commands != commands || verdict.lost > 0 {
        return Err(format!("{verdict:?}, expected {commands} commands"));
    }
    world.outcome.fold(verdict.last_sequence);
    Ok(world.outcome)
}

fn options(data_dir: PathBuf, random: &mut Random) -> Options {
    let slots = 1 << (6 + random.below(5));
    let mut options = Options {
        input_slots: slots,
        output_slots: 1 << (1 + random.below(11)),
        producers: 1,
        replies_max: slots,
        ..Options::new(data_dir)
    };
    for batch in [
        &mut options.core_batch_max,
        &mut options.journaler_batch_max,
        &mut options.publisher_batch_max,
    ] {
        *batch = 1 << random.below(9);
    }
    options.journal.segment_bytes = SEGMENT_BYTES_MIN;
    options.journal.allow_fs = true;
    // Whole blocks now and then: they fill segments with zeros.
    options.journal.pad = (!random.chance(10)).then_some(64);
    options.journal.sync = match random.below(10) {
        0..6 => SyncPolicy::Group,
        6..8 => SyncPolicy::Interval { ms: 5 },
        _ => SyncPolicy::Os,
    };
    options
}

impl<S: Script> World<S> {
    /// One life: recovery, load, an end.
    fn live(&mut self, number: u64) -> Result<(), String> {
        let is_last = number == LIVES;
        let recovered = self.recover()?;
        let recovered = match self.random.chance(32) {
            true => self.snapshot(recovered)?,
            false => recovered,
        };
        let end = match (is_last, self.random.below(100)) {
            (true, _) => End::InOrder,
            (_, 0..62) => End::PowerCut,
            (_, 62..93) => End::Killed,
            _ => End::InOrder,
        };
        let until = self.until(number);
        let life = Life::begin(recovered, &self.options, &self.disk, &mut self.random, self.seed)?;
        // Half of the deaths come in the middle of something.
        let dies_in = self.random.below(1_000) * u64::from(self.random.chance(50));
        self.disk.dies_in(if end == End::InOrder { 0 } else { dies_in });
        let synced =
            life.live(&mut self.clients, until, end, &mut self.random, &mut self.outcome)?;
        self.disk.dies_in(0);
        if end == End::PowerCut {
            self.outcome.power_cuts += 1;
            self.outcome.sectors_lost += self.disk.lose_power(&mut self.random);
            self.clients.durable = synced;
        } else {
            self.outcome.kills += u64::from(end == End::Killed);
            self.disk.settle();
            self.clients.durable = u64::MAX;
        }
        Ok(())
    }

    /// The command before which a life ends. Each is as long as all before it together, and the
    /// last one at least: then all recoveries together replay less than there is in the end.
    const fn until(&self, number: u64) -> u64 {
        if number == LIVES {
            self.commands
        } else {
            self.commands >> (LIVES - number + self.halvings)
        }
    }

    /// Recovers, and holds what is there against what was answered and what was synced.
    fn recover(&mut self) -> Result<pipeline::Recovered<S>, String> {
        let bare = || pipeline::Instance::bare(S::fresh());
        let recovered = pipeline::recover(&self.options, bare).map_err(|e| e.to_string())?;
        let last = recovered.report.last_sequence;
        self.outcome.from_snapshot += u64::from(recovered.report.snapshot > 0);
        let lost = self.clients.forget_behind(last, self.options.journal.sync)?;
        self.outcome.answers_lost += lost;
        let hash = recovered.instance.machine.state_hash();
        self.clients.note_state(last, hash)?;
        self.outcome.fold(last);
        self.outcome.fold(u64::from_le_bytes(hash[..8].try_into().expect("eight bytes")));
        Ok(recovered)
    }

    fn snapshot(
        &mut self,
        recovered: pipeline::Recovered<S>,
    ) -> Result<pipeline::Recovered<S>, String> {
        let retention = journal::Retention::Archive;
        let policy = SnapshotPolicy { retention, ..SnapshotPolicy::ON_DEMAND };
        let fresh = pipeline::Instance::bare(S::fresh());
        pipeline::take_snapshot(recovered, &self.options, &policy, fresh)
            .map_err(|error| error.to_string())?;
        self.outcome.snapshots += 1;
        self.recover()
    }
}
