//! Owns how pipelines are shown: where their stages are, how full they are, what they have done.
//! Knows nothing of commands. Invariant: reads cursors and counters, writes none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pipeline::{Counter, Counters, Cursors};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use wallet::bank::Teller;

use super::page::Page;
use crate::exchange::Exchange;

/// One pipeline of the process.
#[derive(Debug)]
pub(super) enum Pipeline {
    Exchange {
        exchange: Arc<Exchange>,
        cursors: Arc<Cursors>,
        counters: Arc<Counters>,
        input_slots: u64,
    },
    Wallet(Teller),
}

impl Pipeline {
    pub(super) fn label(&self) -> [(&'static str, &'static str); 1] {
        match self {
            Self::Exchange { .. } => [("pipeline", "exchange")],
            Self::Wallet(_) => [("pipeline", "wallet")],
        }
    }

    pub(super) fn cursors(&self) -> &Cursors {
        match self {
            Self::Exchange { cursors, .. } => cursors,
            Self::Wallet(teller) => teller.cursors(),
        }
    }

    pub(super) fn counters(&self) -> &Counters {
        match self {
            Self::Exchange { counters, .. } => counters,
            Self::Wallet(teller) => teller.counters(),
        }
    }

    fn input_slots(&self) -> u64 {
        match self {
            Self::Exchange { input_slots, .. } => *input_slots,
            Self::Wallet(teller) => teller.depth().1,
        }
    }

    pub(super) fn sync_age(&self) -> Duration {
        match self {
            Self::Exchange { exchange, .. } => exchange.sync_age(),
            Self::Wallet(teller) => teller.sync_age(),
        }
    }
}

type Stage = (&'static str, fn(&Cursors) -> u64);
type Counted = (&'static str, &'static str, fn(&Counters) -> &Counter);

const STAGES: [Stage; 8] = [
    ("published", Cursors::published),
    ("journaled", Cursors::written),
    ("synced", Cursors::synced),
    ("durable", Cursors::durable),
    ("matched", Cursors::matched),
    ("released", Cursors::released),
    ("logged", Cursors::logged),
    ("acknowledged", Cursors::acked),
];

const COUNTED: [Counted; 13] = [
    ("pipeline_commands", "Commands applied.", |c| &c.core.commands),
    ("pipeline_events", "Events released.", |c| &c.publisher.events),
    ("pipeline_replies", "Replies completed.", |c| &c.publisher.replies),
    ("pipeline_event_log_syncs", "Syncs of the event log.", |c| &c.publisher.syncs),
    ("pipeline_output_stalls", "Times that the core waited for its output.", |c| &c.core.stalls),
    ("pipeline_ring_full", "Commands refused for want of a slot.", |c| &c.ingress.ring_full),
    ("pipeline_replies_exhausted", "Commands refused for want of a reply place.", |c| {
        &c.ingress.replies_exhausted
    }),
    ("pipeline_scrub_rounds", "Readings of all sealed segments.", |c| &c.scrub.rounds),
    ("pipeline_scrub_bytes", "Bytes of segments that were read again and are sound.", |c| {
        &c.scrub.bytes
    }),
    ("pipeline_no_space", "Commands refused because the disk is full.", |c| &c.ingress.no_space),
    ("pipeline_sync_delayed", "Commands refused because the disk is late.", |c| {
        &c.ingress.sync_delayed
    }),
    ("snapshots", "Snapshots taken.", |c| &c.snapshots.taken),
    ("snapshot_failures", "Snapshots that came to nothing.", |c| &c.snapshots.failures),
];

/// All pipelines of the process.
#[derive(Debug)]
pub(super) struct Pipelines(pub(super) Vec<Pipeline>);

impl Collector for Pipelines {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.gauges(
            "pipeline_sequence",
            "Sequence of the last command that a stage is done with.",
            self.0.iter().flat_map(|pipeline| {
                STAGES.into_iter().map(|(stage, at)| {
                    let [name] = pipeline.label();
                    ([name, ("stage", stage)], at(pipeline.cursors()))
                })
            }),
        )?;
        page.gauges(
            "pipeline_input_depth",
            "Commands between their hand-over and their reply.",
            self.0.iter().map(|pipeline| (pipeline.label(), pipeline.cursors().depth())),
        )?;
        page.gauges(
            "pipeline_input_slots",
            "Commands that there is room for.",
            self.0.iter().map(|pipeline| (pipeline.label(), pipeline.input_slots())),
        )?;
        page.gauges(
            "pipeline_segments_damaged",
            "Sealed segments that were damaged when they were last read again.",
            self.0.iter().map(|p| (p.label(), p.counters().scrub.damaged.get())),
        )?;
        for (name, help, counter) in COUNTED {
            let counts = self.0.iter().map(|p| (p.label(), counter(p.counters()).get()));
            page.counters(name, help, counts)?;
        }
        self.logs(&mut page)
    }
}
