//! Owns taking snapshots beside a running pipeline: a second instance, on a thread of its own,
//! that replays what the journal has and says again what the event log holds.
//! Knows nothing of rings; only reads both logs. Invariant: neither core nor publisher ever waits
//! for it, and what goes wrong here costs a snapshot and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use engine::StateMachine;
use journal::{JournalReader, SnapshotMeta, SnapshotStore};

use crate::affinity::{give_way, spawn};
use crate::error::PipelineError;
use crate::event_check::EventCheck;
use crate::instance::Instance;
use crate::limits::{SNAPSHOT_LOOK, SNAPSHOT_REQUESTS_MAX, SNAPSHOT_STOP_EVERY};
use crate::options::journal_dir;
use crate::recovery::Replay;
use crate::running::Origin;
use crate::snapshot_desk::{Answer, SnapshotDesk, SnapshotError, SnapshotPolicy};
use crate::snapshots::{self, Base, SnapshotTaken, Written};
use crate::stages::Shared;

const THREAD: &str = "matchring-snap";
/// What the system is told to take from this thread first.
const NICENESS: i32 = 10;

/// Makes an instance that has seen nothing.
pub(crate) type Fresh<S> = Box<dyn Fn() -> Instance<S> + Send>;

/// The thread, and the way to it.
pub(crate) struct Snapshots<S: StateMachine> {
    desk: SnapshotDesk,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Snapshotter<S>>,
}

impl<S: StateMachine> Snapshots<S> {
    /// Starts the thread.
    ///
    /// # Errors
    /// The policy is out of its bounds, or the system refuses a thread.
    pub(crate) fn start(
        policy: SnapshotPolicy,
        fresh: Fresh<S>,
        origin: Origin,
        shared: Shared,
    ) -> Result<Self, PipelineError> {
        policy.check()?;
        let (requests, received) = bounded(SNAPSHOT_REQUESTS_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let tried_at = shared.counters.snapshots.sequence.get();
        let tried_ns = shared.clock.monotonic_ns();
        let stopped = Arc::clone(&stop);
        let taker =
            Snapshotter { policy, fresh, origin, shared, stop: stopped, tried_at, tried_ns };
        let thread = spawn(THREAD, None, move || taker.live(&received))
            .map_err(|source| PipelineError::Thread { name: THREAD, source })?;
        Ok(Self { desk: SnapshotDesk::new(requests, Arc::clone(&stop)), stop, thread })
    }

    pub(crate) fn desk(&self) -> SnapshotDesk {
        self.desk.clone()
    }

    /// Gives up what is being taken and ends the thread.
    pub(crate) fn stop(self) -> Snapshotter<S> {
        self.stop.store(true, Ordering::SeqCst);
        crate::running::join(self.thread)
    }
}

/// Takes snapshots.
pub(crate) struct Snapshotter<S: StateMachine> {
    policy: SnapshotPolicy,
    fresh: Fresh<S>,
    origin: Origin,
    shared: Shared,
    stop: Arc<AtomicBool>,
    /// Where and when the last one was begun, whatever came of it.
    tried_at: u64,
    tried_ns: u64,
}

impl<S: StateMachine> Snapshotter<S> {
    fn live(mut self, requests: &Receiver<Answer>) -> Self {
        give_way(NICENESS);
        while !self.stops() {
            match requests.recv_timeout(SNAPSHOT_LOOK) {
                Ok(answer) => {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.take());
                }
                Err(RecvTimeoutError::Timeout) if self.is_due() => drop(self.take()),
                Err(_) => {}
            }
        }
        // Whoever asked before the flag was set is here, and whoever asks later sees it.
        while let Ok(answer) = requests.try_recv() {
            let _ = answer.send(Err(SnapshotError::Closed));
        }
        self
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn is_due(&self) -> bool {
        let commands = self.shared.cursors.logged().saturating_sub(self.tried_at);
        let ns = self.shared.clock.monotonic_ns().saturating_sub(self.tried_ns);
        let every = self.policy.every_commands;
        every > 0 && commands >= every && u128::from(ns) >= self.policy.min_interval.as_nanos()
    }

    fn take(&mut self) -> Result<SnapshotTaken, SnapshotError> {
        let begun_ns = self.shared.clock.monotonic_ns();
        (self.tried_at, self.tried_ns) = (self.shared.cursors.logged(), begun_ns);
        // A second instance that breaks is no reason to stop the first.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.take_of_replay(self.tried_at)));
        let outcome = outcome.unwrap_or(Err(SnapshotError::Panicked));
        self.note(&outcome, begun_ns);
        outcome
    }

    /// Replays up to `until` from the newest snapshot on and takes one of that.
    fn take_of_replay(&self, until: u64) -> Result<SnapshotTaken, SnapshotError> {
        let options = &self.origin.options;
        let base = Base::choose(options, || (self.fresh)())?;
        let previous_seq = base.sequence;
        let (instance, event_seq) = self.advance(base, until)?;
        if self.stops() {
            return Err(SnapshotError::Closed);
        }
        let store = self.store()?;
        let meta = self.meta(event_seq, previous_seq);
        let written = snapshots::write(options, &store, &instance, options.configuration, meta)?;
        // Nobody needs the memory of two.
        drop(instance);
        self.put_in_force(&store, written)
    }

    fn store(&self) -> Result<SnapshotStore, SnapshotError> {
        let store = snapshots::store::<S>(&self.origin.options).map_err(PipelineError::from)?;
        Ok(store.expect("a running pipeline has a journal"))
    }

    fn meta(&self, event_seq: u64, previous_seq: u64) -> SnapshotMeta {
        let epoch = self.origin.epoch;
        SnapshotMeta { event_seq, previous_seq, epoch, ..SnapshotMeta::default() }
    }

    fn put_in_force(
        &self,
        store: &SnapshotStore,
        written: Written<'_>,
    ) -> Result<SnapshotTaken, SnapshotError> {
        let options = &self.origin.options;
        let fresh = (self.fresh)();
        Ok(snapshots::put_in_force(options, &self.policy, store, written, fresh)?)
    }

    /// Replays and compares up to `until`; returns the instance there and its last event.
    fn advance(&self, base: Base<S>, until: u64) -> Result<(Instance<S>, u64), SnapshotError> {
        let data_dir = &self.origin.options.data_dir;
        let Base { mut instance, sequence, event_sequence, .. } = base;
        let from = sequence + 1;
        let mut reader = JournalReader::open(&journal_dir(data_dir), S::MACHINE_ID, from)
            .map_err(PipelineError::from)?;
        let mut check =
            EventCheck::<S>::open(data_dir, event_sequence).map_err(PipelineError::from)?;
        let mut replay = Replay::<S>::new();
        while instance.machine.last_sequence() < until {
            let expected = instance.machine.last_sequence() + 1;
            if expected.is_multiple_of(SNAPSHOT_STOP_EVERY) && self.stops() {
                return Err(SnapshotError::Closed);
            }
            let record = reader.next_record().map_err(PipelineError::from)?;
            let record = record.ok_or(PipelineError::Gap { expected, found: 0 })?;
            if let Some((frame, events)) = replay.apply(&mut instance.machine, &record)? {
                for (position, event) in events.iter().enumerate() {
                    check.check(&frame, position, event)?;
                }
                instance.show(&frame, events);
            }
        }
        instance.end_batch();
        Ok((instance, check.compared()))
    }

    /// Takes the last snapshot of a pipeline, of what it has left behind: there is nothing to
    /// replay, and nobody to wait for it.
    pub(crate) fn take_of_stopped(&mut self, instance: &Instance<S>, last_event: u64) {
        let begun_ns = self.shared.clock.monotonic_ns();
        let previous_seq = self.shared.counters.snapshots.sequence.get();
        if !self.policy.at_shutdown || instance.machine.last_sequence() == previous_seq {
            return;
        }
        let meta = self.meta(last_event, previous_seq);
        let take = || {
            let options = &self.origin.options;
            let store = self.store()?;
            let written = snapshots::write(options, &store, instance, options.configuration, meta)?;
            self.put_in_force(&store, written)
        };
        let outcome = take();
        self.note(&outcome, begun_ns);
    }

    fn note(&self, outcome: &Result<SnapshotTaken, SnapshotError>, begun_ns: u64) {
        let counters = &self.shared.counters.snapshots;
        let ns = self.shared.clock.monotonic_ns().saturating_sub(begun_ns);
        match outcome {
            Ok(SnapshotTaken { sequence, bytes, .. }) => {
                counters.taken.add(1);
                counters.sequence.raise(*sequence);
                counters.bytes.set(*bytes);
                counters.ns.set(ns);
                tracing::info!(sequence, bytes, ms = ns / 1_000_000, "snapshot taken");
            }
            Err(SnapshotError::Closed) => {}
            Err(error) => {
                counters.failures.add(1);
                tracing::error!(%error, "no snapshot was taken; the older ones are in force");
            }
        }
    }
}
