//! Owns what the stages count. Knows nothing of how it is shown.
//! Invariant: each counter has one writing stage, so counting costs a load and a store; only the
//! refusals, which end a request anyway, are counted by several threads.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

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
#[derive(Debug, Default)]
pub struct JournalerCounters {
    /// Groups stored, and the commands in them.
    pub groups: Counter,
    pub records: Counter,
    /// Groups among those that have no commands: each ends a busy time under the group policy.
    pub idle_groups: Counter,
    /// Most records in one group.
    pub group_records_max: Counter,
    /// Bytes stored, with headers and padding.
    pub stored_bytes: Counter,
    /// Syncs that returned, their time together and the longest one, nanoseconds.
    pub syncs: Counter,
    pub sync_ns_total: Counter,
    pub sync_ns_max: Counter,
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

/// Everything that one pipeline counts since its start; each writer has its own cache lines.
#[derive(Debug, Default)]
pub struct Counters {
    pub journaler: CachePadded<JournalerCounters>,
    pub core: CachePadded<CoreCounters>,
    pub publisher: CachePadded<PublisherCounters>,
    pub ingress: CachePadded<IngressCounters>,
    pub snapshots: CachePadded<SnapshotCounters>,
    pub scrub: CachePadded<ScrubCounters>,
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
