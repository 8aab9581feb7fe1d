//! Owns the topology: both rings, the three stages and every gate between them, in one function.
//! Knows nothing of what the stages do. Invariant: waits form no cycle. The journaler waits for
//! nobody, the core only for space in the output ring, the publisher only for those two.
//!
//! ```text
//!                        +--> journaler --> data/journal --> durable --+
//!                        |                                             |
//! Ingress --> input ring +--> core --> matched ------------------------+--> released = min of both
//!  (many)                |      |                                      |
//!                        |      +--> output ring (events) --+          |
//!                        |                                  v          v
//!                        +------ stamps, replies ------> publisher ----+--> data/events
//!                                                                      +--> Outlets
//!                                                                      +--> replies
//! ```
//!
//! The three read the input ring side by side, and a slot is used again when all three have read
//! it. Journaler and core read it at once and keep what they need; the publisher reads it when it
//! lets the command out. The ring does not place the publisher behind the other two: it moves a
//! reader's cursor once per batch, so the core, waiting inside a batch for space in the output
//! ring, would wait for a publisher that waits for the end of that batch. It follows `durable` and
//! `matched` instead, which move per group and per command.

use std::sync::Arc;

use disruptor::{BusySpin, build_multi_producer, build_single_producer};
use engine::StateMachine;
use journal::{DirectoryLock, fail_point};

use crate::affinity::{choose, spawn};
use crate::clock::Clock;
use crate::epoch;
use crate::error::PipelineError;
use crate::ingress::Ingress;
use crate::instance::Instance;
use crate::options::Options;
use crate::recovery::Recovered;
use crate::reply::{Reply, ReplySlab};
use crate::runner::{CoreRunner, Input, JournalerRunner, PublisherRunner, live};
use crate::running::{Origin, Running, Threads, join};
use crate::sequencer::Sequencer;
use crate::slot::{Control, Input as SlotInput, InputSlot, NO_REPLY, OutputSlot};
use crate::stages::Shared;
use crate::stages::apply::{self, Core};
use crate::stages::journaler::{self, Journaler};
use crate::stages::publisher::{self, Publisher};
use crate::tables::Tables;

/// Everything wired, nothing running.
pub(crate) struct Graph<S: StateMachine, R> {
    pub(crate) ingress: Ingress<S, R>,
    pub(crate) journaler: JournalerRunner<S::Command>,
    pub(crate) core: CoreRunner<S>,
    pub(crate) publisher: PublisherRunner<S, R>,
    pub(crate) shared: Shared,
    pub(crate) lock: DirectoryLock,
    /// Number of this start, and the snapshot that it began with.
    pub(crate) epoch: u64,
    pub(crate) snapshot: u64,
}

/// Wires the stages behind what recovery found and opens the epoch.
pub(crate) fn build<S: StateMachine, R: Reply<S>>(
    recovered: Recovered<S>,
    options: &Options,
    clock: Arc<dyn Clock>,
) -> Result<Graph<S, R>, PipelineError> {
    options.check()?;
    let Recovered { instance, journal, event_log, lock, report } = recovered;
    let Instance { machine, outlets } = instance;
    let base = machine.last_sequence();
    let sequencer = Sequencer::new(base, machine.last_timestamp_ns());
    let shared = Shared::new(base, options.wait, Tables::new(S::TABLES), clock);
    let replies = Arc::new(ReplySlab::new(options.replies_max));
    let epoch = journal.epoch();
    let start = epoch::begin(epoch, machine.last_timestamp_ns(), &report, &shared, options);
    let mut journaler = Journaler::new(journal, sequencer, shared.clone());
    let mut core = Core::new(machine, sequencer, shared.clone());
    let mut publisher = Publisher::new(
        event_log,
        outlets,
        Arc::clone(&replies),
        sequencer,
        options.publisher_batch_max,
        shared.clone(),
    );
    open_epoch(start, &mut journaler, &mut core, &mut publisher, &shared);
    core.show_tables();

    let (events, ring) =
        build_single_producer(options.output_slots, OutputSlot::empty, BusySpin).new_event_poller();
    let output = ring.build();

    let ring = build_multi_producer(options.input_slots, InputSlot::empty, BusySpin);
    let (journaler_input, ring) = ring.new_event_poller();
    let (core_input, ring) = ring.new_event_poller();
    let (publisher_input, ring) = ring.new_event_poller();
    let ingress = Ingress::new(
        ring.build(),
        options.producers,
        [options.input_slots, options.output_slots],
        shared.cursors.acked() + 1,
        replies,
        shared.clone(),
    );

    Ok(Graph {
        ingress,
        journaler: JournalerRunner {
            stage: journaler,
            input: Input { source: journaler_input, batch_max: options.journaler_batch_max },
        },
        core: CoreRunner {
            stage: core,
            input: Input { source: core_input, batch_max: options.core_batch_max },
            output,
            output_slots: options.output_slots as u64,
            sent: 0,
            shared: shared.clone(),
        },
        publisher: PublisherRunner {
            stage: publisher,
            input: publisher_input,
            output: events,
            shared: shared.clone(),
        },
        shared,
        lock,
        epoch,
        snapshot: report.snapshot,
    })
}

/// The first input of a process, before anybody can submit: synced under every policy, so that
/// whatever this process writes can be told from what another one wrote.
fn open_epoch<S: StateMachine, R: Reply<S>>(
    start: Control,
    journaler: &mut Journaler<S::Command>,
    core: &mut Core<S>,
    publisher: &mut Publisher<S, R>,
    shared: &Shared,
) {
    let slot = InputSlot {
        stamped_ns: shared.clock.wall_ns(),
        reply: NO_REPLY,
        input: SlotInput::Control(start),
    };
    journaler.append(&slot);
    journaler.commit_synced();
    fail_point::hit("epoch-started");
    core.apply(&slot, |result| {
        let mut output = OutputSlot::empty();
        output.set(&result);
        publisher.collect(&output);
    });
    let count = publisher.log_batch();
    publisher.speak(&slot);
    publisher.end_batch(count);
    // It was in no slot.
    journaler.returned();
    core.returned();
    publisher.returned();
    shared.cursors.move_published(shared.cursors.acked());
}

/// Opens a new epoch and starts the three stage threads.
///
/// # Errors
/// An option is out of bounds, or the system refuses a thread.
pub fn start<S: StateMachine, R: Reply<S>>(
    recovered: Recovered<S>,
    options: &Options,
    clock: Arc<dyn Clock>,
) -> Result<Running<S, R>, PipelineError> {
    let [core_at, journaler_at, publisher_at] = choose(options.pin)?;
    let graph = build(recovered, options, clock)?;
    let Graph { ingress, journaler, core, publisher, shared, lock, epoch, snapshot } = graph;
    let spawned = |name: &'static str| move |source| PipelineError::Thread { name, source };

    let bells = Arc::clone(&shared.bells);
    let journaler = spawn("matchring-jrnl", journaler_at, move || {
        live(journaler::STAGE, &bells.journaler, journaler, |runner| runner.stage.close());
    })
    .map_err(spawned("matchring-jrnl"))?;

    let bells = Arc::clone(&shared.bells);
    let core = spawn("matchring-core", core_at, move || {
        live(apply::STAGE, &bells.core, core, CoreRunner::finish)
    });
    let core = match core.map_err(spawned("matchring-core")) {
        Ok(core) => core,
        Err(error) => {
            // The lock goes back only when nobody writes any more.
            ingress.close();
            join(journaler);
            return Err(error);
        }
    };

    let bells = Arc::clone(&shared.bells);
    let publisher = spawn("matchring-publ", publisher_at, move || {
        live(publisher::STAGE, &bells.publisher, publisher, |runner| runner.stage.close())
    });
    let publisher = match publisher.map_err(spawned("matchring-publ")) {
        Ok(publisher) => publisher,
        Err(error) => {
            ingress.close();
            join(journaler);
            drop(join(core));
            return Err(error);
        }
    };

    tracing::info!(first_sequence = shared.cursors.acked() + 1, "pipeline started");
    shared.counters.snapshots.sequence.set(snapshot);
    let threads = Threads { journaler, core, publisher };
    let origin = Origin { options: options.clone(), epoch };
    let mut running = Running::new(ingress, threads, shared, lock, origin);
    running.scrub()?;
    Ok(running)
}
