//! Owns a running pipeline and its end. Knows nothing of what the threads do.
//! Invariant: whatever was accepted is journaled, applied and answered before the threads end.

use std::fmt;
use std::panic;
use std::sync::Arc;
use std::thread::JoinHandle;

use engine::StateMachine;
use journal::DirectoryLock;

use crate::counters::Counters;
use crate::cursor::Cursors;
use crate::error::PipelineError;
use crate::ingress::Ingress;
use crate::instance::Instance;
use crate::options::Options;
use crate::scrubber::Scrubber;
use crate::snapshot_desk::{SnapshotDesk, SnapshotPolicy};
use crate::snapshotter::Snapshots;
use crate::stages::Shared;
use crate::stages::publisher::Published;

/// The stage threads; the core gives its machine back, the publisher its outlets and the last
/// event.
pub(crate) struct Threads<S: StateMachine> {
    pub(crate) journaler: JoinHandle<()>,
    pub(crate) core: JoinHandle<S>,
    pub(crate) publisher: JoinHandle<Published<S>>,
}

/// What a pipeline was started with.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) options: Options,
    /// Number of this start.
    pub(crate) epoch: u64,
}

/// A pipeline with its threads. Dropping it shuts it down, too.
pub struct Running<S: StateMachine, R> {
    ingress: Ingress<S, R>,
    threads: Option<Threads<S>>,
    snapshots: Option<Snapshots<S>>,
    scrubber: Option<Scrubber>,
    shared: Shared,
    origin: Origin,
    /// Given back last, when nobody writes any more.
    _lock: DirectoryLock,
}

/// What is left of a pipeline that was shut down.
#[derive(Debug)]
pub struct Stopped<S> {
    /// The state after the last command.
    pub machine: S,
    /// Where everything ended.
    pub cursors: Arc<Cursors>,
    pub counters: Arc<Counters>,
}

impl<S: StateMachine, R> Running<S, R> {
    pub(crate) fn new(
        ingress: Ingress<S, R>,
        threads: Threads<S>,
        shared: Shared,
        lock: DirectoryLock,
        origin: Origin,
    ) -> Self {
        let (threads, snapshots, scrubber) = (Some(threads), None, None);
        Self { ingress, threads, snapshots, scrubber, shared, origin, _lock: lock }
    }

    /// From here on sealed segments are read again, as often as the options say.
    pub(crate) fn scrub(&mut self) -> Result<(), PipelineError> {
        self.scrubber = Scrubber::start(&self.origin.options, self.shared.clone())?;
        Ok(())
    }

    /// From here on snapshots are taken, of instances that begin as `fresh` makes them: like the
    /// one that recovery was given, seen by nobody else.
    ///
    /// # Errors
    /// The policy is out of its bounds, or the system refuses a thread.
    ///
    /// # Panics
    /// If they are taken already.
    pub fn take_snapshots(
        &mut self,
        policy: SnapshotPolicy,
        fresh: impl Fn() -> Instance<S> + Send + 'static,
    ) -> Result<SnapshotDesk, PipelineError> {
        assert!(self.snapshots.is_none(), "one policy for a pipeline");
        let (origin, shared) = (self.origin.clone(), self.shared.clone());
        let snapshots = Snapshots::start(policy, Box::new(fresh), origin, shared)?;
        Ok(self.snapshots.insert(snapshots).desk())
    }

    /// A handle to submit with.
    #[must_use]
    pub fn ingress(&self) -> Ingress<S, R> {
        self.ingress.clone()
    }

    #[must_use]
    pub fn cursors(&self) -> Arc<Cursors> {
        Arc::clone(&self.shared.cursors)
    }

    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Refuses new commands, finishes the accepted ones, closes both logs and ends the threads, and
    /// takes a last snapshot where the policy says so.
    /// Other handles to submit with may still be around; they answer that the pipeline is closed.
    ///
    /// A failure to write ends the process, as it does while running.
    #[must_use]
    pub fn shutdown(mut self) -> Stopped<S> {
        let machine = self.stop().expect("a pipeline is stopped once");
        let (cursors, counters) = (self.cursors(), self.counters());
        Stopped { machine, cursors, counters }
    }

    fn stop(&mut self) -> Option<S> {
        let Threads { journaler, core, publisher } = self.threads.take()?;
        self.ingress.close();
        let snapshotter = self.snapshots.take().map(Snapshots::stop);
        if let Some(scrubber) = self.scrubber.take() {
            scrubber.stop();
        }
        join(journaler);
        let machine = join(core);
        let (outlets, last_event) = join(publisher);
        let instance = Instance { machine, outlets };
        if let Some(mut snapshotter) = snapshotter {
            snapshotter.take_of_stopped(&instance, last_event);
        }
        let machine = instance.machine;
        tracing::info!(last_sequence = machine.last_sequence(), "pipeline stopped");
        Some(machine)
    }
}

/// A stage that panics has ended the process, so there is no panic to find here; should there be
/// one all the same, it is not swallowed.
pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}

impl<S: StateMachine, R> Drop for Running<S, R> {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

impl<S: StateMachine, R> fmt::Debug for Running<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("cursors", &self.shared.cursors).finish_non_exhaustive()
    }
}
