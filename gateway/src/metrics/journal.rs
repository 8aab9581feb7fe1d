//! Owns how the logs of pipelines are shown: what a start found in them, what syncs take and carry,
//! how old the newest snapshot is. Knows nothing of records. Invariant: reads counters, writes
//! none.

use std::fmt;

use pipeline::{Counter, Counters, Distribution};

use super::page::{Page, Sizes};
use super::pipelines::Pipelines;

const NS_PER_S: f64 = 1e9;

/// The same number of the journal and of the event log.
type OfBoth = fn(&Counters) -> [&Counter; 2];

const BY_LOG: [(&str, &str, OfBoth); 4] = [
    (
        "pipeline_log_room",
        "Room of a log: 0 ample, 1 none for another segment, 2 next to none.",
        |c| [&c.room.journal, &c.room.events],
    ),
    ("journal_spare_ready", "Whether the next segment of a log lies ready.", |c| {
        [&c.room.journal_spare, &c.room.events_spare]
    }),
    ("journal_groups_replayed", "Groups that the start read.", |c| {
        [&c.replay.journal.groups, &c.replay.events.groups]
    }),
    ("journal_tail_trim_bytes", "Bytes of the torn tail that the start removed.", |c| {
        [&c.replay.journal.trimmed_bytes, &c.replay.events.trimmed_bytes]
    }),
];

/// A number that is shown; none of them is money.
#[expect(clippy::cast_precision_loss, reason = "what it leaves out, nobody sees")]
fn float(n: u64) -> f64 {
    n as f64
}

/// A count of nanoseconds as seconds.
fn seconds(ns: u64) -> f64 {
    float(ns) / NS_PER_S
}

fn sizes<const N: usize>(distribution: &Distribution<N>, shown: fn(u64) -> f64) -> Sizes {
    let bucket = |(bound, count): (Option<u64>, u64)| (bound.map_or(f64::INFINITY, shown), count);
    let buckets = distribution.buckets().map(bucket).collect();
    Sizes { buckets, sum: shown(distribution.sum()) }
}

/// Inputs replayed per second; 0 if there were none.
fn replay_rate(counters: &Counters) -> f64 {
    let (inputs, ns) = (counters.replay.inputs.get(), counters.replay.ns.get());
    float(inputs) / seconds(ns.max(1))
}

impl Pipelines {
    pub(super) fn logs(&self, page: &mut Page<'_>) -> fmt::Result {
        for (name, help, of) in BY_LOG {
            let samples = self.0.iter().flat_map(|pipeline| {
                let [label] = pipeline.label();
                let both = ["journal", "events"].into_iter().zip(of(pipeline.counters()));
                both.map(move |(log, counter)| ([label, ("log", log)], counter.get()))
            });
            page.gauges(name, help, samples)?;
        }
        page.gauges(
            "journal_replay_rate",
            "Inputs that the start replayed per second.",
            self.0.iter().map(|p| (p.label(), replay_rate(p.counters()))),
        )?;
        self.syncs(page)?;
        self.snapshots(page)
    }

    fn syncs(&self, page: &mut Page<'_>) -> fmt::Result {
        page.sizes_by(
            "journal_group_commands",
            "Commands of the groups that were stored.",
            self.0
                .iter()
                .map(|p| (p.label(), sizes(&p.counters().journaler.group_commands, float))),
        )?;
        page.sizes_by(
            "journal_sync_seconds",
            "Time in syncs of the journal, seconds.",
            self.0.iter().map(|p| (p.label(), sizes(&p.counters().journaler.sync_ns, seconds))),
        )?;
        page.sizes_by(
            "journal_bytes_per_sync",
            "Bytes of the journal that a sync covered.",
            self.0.iter().map(|p| (p.label(), sizes(&p.counters().journaler.sync_bytes, float))),
        )?;
        page.gauges(
            "journal_sync_max_seconds",
            "The longest sync of the journal since the start, seconds.",
            self.0.iter().map(|p| (p.label(), seconds(p.counters().journaler.sync_ns_max.get()))),
        )?;
        page.gauges(
            "journal_sync_age_seconds",
            "How long the oldest command that waits for the disk has done so, seconds.",
            self.0.iter().map(|p| (p.label(), p.sync_age().as_secs_f64())),
        )
    }

    fn snapshots(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauges(
            "snapshot_sequence",
            "Last command in the newest snapshot.",
            self.0.iter().map(|p| (p.label(), p.counters().snapshots.sequence.get())),
        )?;
        page.gauges(
            "snapshot_age_commands",
            "Commands since the newest snapshot.",
            self.0.iter().map(|p| {
                let at = p.counters().snapshots.sequence.get();
                (p.label(), p.cursors().acked().saturating_sub(at))
            }),
        )?;
        page.gauges(
            "snapshot_bytes",
            "Length of the newest snapshot that this process has taken.",
            self.0.iter().map(|p| (p.label(), p.counters().snapshots.bytes.get())),
        )?;
        page.gauges(
            "snapshot_seconds",
            "Time that the newest snapshot took, seconds.",
            self.0.iter().map(|p| (p.label(), seconds(p.counters().snapshots.ns.get()))),
        )
    }
}
