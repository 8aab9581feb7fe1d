//! Owns what the stages count. Knows nothing of how it is shown.
//! Invariant: each counter has one writing stage, so counting costs a load and a store; only the
//! refusals, which end a request anyway, are counted by several threads.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

use crate::distribution::Distribution;
use crate::limits::{GROUP_BOUNDS_COMMANDS, SYNC_BOUNDS_BYTES, SYNC_BOUNDS_NS};
use crate::room::Room;

/// A number that only grows. Readers may see it a moment late.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// For the one writing stage.
    pub(crate) fn add(&self, by: u64) {
        self.0.store(self.get() + by, Ordering::Relaxed);
    }

    /// For the one writing stage: keeps the largest value.
    pub(crate) fn raise(&self, to: u64) {
        if to > self.get() {
            self.0.store(to, Ordering::Relaxed);
        }
    }

    /// For the one writing stage: takes over a count kept elsewhere.
    pub(crate) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    /// For counters that many threads write.
    pub(crate) fn add_shared(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

/// Written by the journaler.
#[derive(Debug)]
pub struct JournalerCounters {
    /// Groups stored that have commands, by how many.
    pub group_commands: Distribution<{ GROUP_BOUNDS_COMMANDS.len() }>,
    /// Groups stored that have none: each ends a busy time under the group policy.
    pub idle_groups: Counter,
    /// Bytes stored, with headers and padding.
    pub stored_bytes: Counter,
    /// Syncs of groups that returned and that somebody waited for, by what they took, nanoseconds;
    /// those of a change of segments are not among them.
    pub sync_ns: Distribution<{ SYNC_BOUNDS_NS.len() }>,
    /// The longest one.
    pub sync_ns_max: Counter,
    /// All syncs that returned, by the bytes that had been stored since the one before.
    pub sync_bytes: Distribution<{ SYNC_BOUNDS_BYTES.len() }>,
}

impl Default for JournalerCounters {
    fn default() -> Self {
        Self {
            group_commands: Distribution::new(&GROUP_BOUNDS_COMMANDS),
            idle_groups: Counter::default(),
            stored_bytes: Counter::default(),
            sync_ns: Distribution::new(&SYNC_BOUNDS_NS),
            sync_ns_max: Counter::default(),
            sync_bytes: Distribution::new(&SYNC_BOUNDS_BYTES),
        }
    }
}

/// Written by the core.
#[derive(Debug, Default)]
pub struct CoreCounters {
    pub commands: Counter,
    pub events: Counter,
    /// Slots of the output ring that were filled.
    pub sent: Counter,
    /// Most commands taken from the ring at once.
    pub batch_max: Counter,
    /// Times that the output ring was full and the core stopped taking input.
    pub stalls: Counter,
}

/// Written by the publisher.
#[derive(Debug, Default)]
pub struct PublisherCounters {
    pub batches: Counter,
    pub events: Counter,
    pub replies: Counter,
    /// Most commands released at once.
    pub batch_max: Counter,
    /// Syncs of the event log.
    pub syncs: Counter,
}

/// Written by the threads that submit.
#[derive(Debug, Default)]
pub struct IngressCounters {
    /// Refused because the ring, or the share of the lane, was full.
    pub ring_full: Counter,
    /// Refused because every reply place was taken.
    pub replies_exhausted: Counter,
    /// Refused because the disk was full.
    pub no_space: Counter,
    /// Refused because commands wait too long for the disk.
    pub sync_delayed: Counter,
}

/// Written by whoever takes snapshots.
#[derive(Debug, Default)]
pub struct SnapshotCounters {
    /// Last command in the newest snapshot; 0 if there is none.
    pub sequence: Counter,
    /// Taken since the start, and how many of them came to nothing.
    pub taken: Counter,
    pub failures: Counter,
    /// Length of the newest one, bytes, and what it took, nanoseconds.
    pub bytes: Counter,
    pub ns: Counter,
}

/// Written by whoever reads sealed segments again.
#[derive(Debug, Default)]
pub struct ScrubCounters {
    /// Rounds that came to their end, and bytes of the segments found sound.
    pub rounds: Counter,
    pub bytes: Counter,
    /// Segments that were damaged in the last round.
    pub damaged: Counter,
}

/// What the start of a pipeline found, of one of its logs.
#[derive(Debug, Default)]
pub struct LogCounters {
    /// Groups read.
    pub groups: Counter,
    /// Bytes of the torn tail that was removed.
    pub trimmed_bytes: Counter,
}

/// Written once, by the start of the pipeline.
#[derive(Debug, Default)]
pub struct ReplayCounters {
    pub journal: LogCounters,
    pub events: LogCounters,
    /// Inputs that were replayed, and what that took, nanoseconds.
    pub inputs: Counter,
    pub ns: Counter,
}

/// Everything that one pipeline counts since its start; each writer has its own cache lines.
#[derive(Debug, Default)]
pub struct Counters {
    pub journaler: CachePadded<JournalerCounters>,
    pub core: CachePadded<CoreCounters>,
    pub publisher: CachePadded<PublisherCounters>,
    pub ingress: CachePadded<IngressCounters>,
    pub snapshots: CachePadded<SnapshotCounters>,
    pub scrub: CachePadded<ScrubCounters>,
    pub replay: CachePadded<ReplayCounters>,
    /// Read with every submission and hardly ever written.
    pub room: CachePadded<Room>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_and_keep_the_largest() {
        let counter = Counter::default();
        counter.add(2);
        counter.add_shared(3);
        assert_eq!(counter.get(), 5);
        counter.raise(4);
        assert_eq!(counter.get(), 5);
        counter.raise(9);
        assert_eq!(counter.get(), 9);
    }
}
