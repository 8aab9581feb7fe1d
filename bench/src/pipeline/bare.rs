//! Owns the yardsticks of `bench pipeline`: three stages that do nothing, one write with its sync,
//! and writes that nobody syncs. Knows nothing of the pipeline. Invariant: they run on the same
//! machine in the same minutes, the stages at the same rate, with slots of the same size and
//! waiting in the same way as its source.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};
use disruptor::{BusySpin, Polling, Producer, build_single_producer};
use hdrhistogram::Histogram;
use quanta::Instant;
use serde::Serialize;

use super::source::{due, wait_for};
use crate::feed::FULL_PAUSE;
use crate::report::{self, Latency};

/// As many slots as the pipeline's ring has, about as large.
const SLOTS: usize = pipeline::limits::INPUT_SLOTS_DEFAULT;
const PAYLOAD_WORDS: usize = 34;
/// Looks at an empty ring before a stage offers its core to others.
const SPINS: u32 = 200;

/// Commands of the bare stages at most: enough for a p99.9, and a run stays short.
const COMMANDS_MAX: u64 = 2_000_000;

const SYNCS: u64 = 1_000;
const SYNC_BYTES: usize = 4_096;
/// Blocks that the writes take in turn, all of them written before.
const SYNC_BLOCKS: u64 = 64;

/// The writes without a sync: of about the size that a busy event log has.
const WRITES: u64 = 1_024;
const WRITE_BYTES: usize = 256 << 10;

/// What was measured without the pipeline.
#[derive(Debug, Serialize)]
pub(crate) struct Bare {
    /// Three stages of a ring, the third behind the two others, at the same rate.
    stages_per_second: u64,
    pub(crate) stages_ns: Latency,
    /// Four KiB into a file that was written before, and fdatasync.
    pub(crate) sync_ns: Latency,
    /// What one thread stores of 256 MiB, by writes of 256 KiB into reserved space: all that the
    /// two logs of a pipeline under `os` have to store goes this way.
    write_bytes_per_second: u64,
}

impl Bare {
    pub(crate) fn measured(directory: &Path, rate: u64, commands: u64) -> Result<Self> {
        let (stages_per_second, stages) = stages(rate, commands.min(COMMANDS_MAX))?;
        let syncs = syncs(directory)?;
        Ok(Self {
            stages_per_second,
            stages_ns: Latency::of(&stages),
            sync_ns: Latency::of(&syncs),
            write_bytes_per_second: writes(directory)?,
        })
    }
}

#[derive(Clone, Copy)]
struct Slot {
    due: Option<Instant>,
    payload: [u64; PAYLOAD_WORDS],
}

/// What a look at the ring has found.
enum Found {
    Slots,
    Nothing,
    End,
}

/// A look at the ring by one stage. The ring crate keeps its barrier types to itself, so no
/// function can take a stage's end of the ring.
macro_rules! look {
    ($source:ident) => {
        move |body: &mut dyn FnMut(&Slot)| match $source.poll() {
            Ok(mut slots) => {
                (&mut slots).for_each(body);
                Found::Slots
            }
            Err(Polling::NoEvents) => Found::Nothing,
            Err(Polling::Shutdown) => Found::End,
        }
    };
}

/// The life of a stage.
fn live(mut look: impl FnMut(&mut dyn FnMut(&Slot)) -> Found, mut body: impl FnMut(&Slot)) {
    let mut idle = 0;
    loop {
        match look(&mut body) {
            Found::Slots => idle = 0,
            Found::Nothing if idle < SPINS => {
                idle += 1;
                std::hint::spin_loop();
            }
            Found::Nothing => thread::yield_now(),
            Found::End => return,
        }
    }
}

/// Two stages beside each other, and one behind both that notes when a slot has come through.
fn stages(rate: u64, commands: u64) -> Result<(u64, Histogram<u64>)> {
    let empty = || Slot { due: None, payload: [0; PAYLOAD_WORDS] };
    let ring = build_single_producer(SLOTS, empty, BusySpin);
    let (mut first, ring) = ring.new_event_poller();
    let (mut second, ring) = ring.new_event_poller();
    let (mut last, ring) = ring.and_then().new_event_poller();
    let mut producer = ring.build();
    let mut histogram = report::histogram()?;
    let mut through = Instant::now();
    let start = thread::scope(|scope| {
        let read = |slot: &Slot| {
            std::hint::black_box(slot.payload[PAYLOAD_WORDS - 1]);
        };
        scope.spawn(move || live(look!(first), read));
        scope.spawn(move || live(look!(second), read));
        scope.spawn(|| {
            live(look!(last), |slot| {
                through = Instant::now();
                let taken = slot.due.map(|due| through.saturating_duration_since(due));
                histogram.saturating_record(report::nanos(taken.unwrap_or_default()).max(1));
            });
        });
        let start = Instant::now();
        for place in 0..commands {
            let due = due(start, place, rate);
            wait_for(due);
            let slot = Slot { due: Some(due), payload: [place; PAYLOAD_WORDS] };
            while producer.try_publish(|at| *at = slot).is_err() {
                thread::sleep(FULL_PAUSE);
            }
        }
        drop(producer);
        start
    });
    let rate = report::rate(usize::try_from(commands)?, through.saturating_duration_since(start));
    Ok((rate, histogram))
}

/// Writes and syncs one block after the other, all of them written before.
fn syncs(directory: &Path) -> Result<Histogram<u64>> {
    let path = directory.join("yardstick");
    let file = File::create_new(&path).context("making the file of the yardstick")?;
    let mut block = vec![1u8; SYNC_BYTES];
    let at = |place: u64| (place % SYNC_BLOCKS) * SYNC_BYTES as u64;
    for place in 0..SYNC_BLOCKS {
        file.write_all_at(&block, at(place))?;
    }
    file.sync_all()?;
    let mut histogram = report::histogram()?;
    for place in 0..SYNCS {
        block[..8].copy_from_slice(&place.to_le_bytes());
        let start = Instant::now();
        file.write_all_at(&block, at(place))?;
        file.sync_data()?;
        histogram.saturating_record(report::nanos(start.elapsed()).max(1));
    }
    std::fs::remove_file(&path)?;
    Ok(histogram)
}

/// Writes one piece after the other into space that is reserved; gives the bytes a second.
fn writes(directory: &Path) -> Result<u64> {
    let path = directory.join("yardstick");
    let file = File::create_new(&path).context("making the file of the yardstick")?;
    let bytes = WRITES * WRITE_BYTES as u64;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
    let piece = vec![1u8; WRITE_BYTES];
    let start = Instant::now();
    for place in 0..WRITES {
        file.write_all_at(&piece, place * WRITE_BYTES as u64)?;
    }
    let taken = start.elapsed();
    std::fs::remove_file(&path)?;
    Ok(report::rate(usize::try_from(bytes)?, taken))
}
