//! Owns what others say and hear of snapshots: the policy, the request, the refusal.
//! Knows nothing of how one is taken. Invariant: whoever asks has an answer, or is told at once
//! that there will be none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use engine::Usage;
use journal::limits::{SNAPSHOTS_KEPT_MAX, SNAPSHOTS_KEPT_MIN};
use journal::{JournalError, Retention};

use crate::error::PipelineError;
use crate::limits::SNAPSHOT_REQUESTS_MAX;
use crate::snapshots::SnapshotTaken;

/// When snapshots are taken, and what becomes of what they make superfluous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Commands after which another one is taken; 0: only when somebody asks.
    pub every_commands: u64,
    /// Shortest time between two that nobody has asked for.
    pub min_interval: Duration,
    /// Whether one is taken when the pipeline is shut down, so that the next start has nothing to
    /// replay.
    pub at_shutdown: bool,
    /// Newest ones that are kept, 2 to 64.
    pub kept: usize,
    /// What happens to segments of the journal that come before all of those.
    pub retention: Retention,
}

impl SnapshotPolicy {
    /// Only when somebody asks, and nothing but older snapshots is removed.
    pub const ON_DEMAND: Self = Self {
        every_commands: 0,
        min_interval: Duration::ZERO,
        at_shutdown: false,
        kept: SNAPSHOTS_KEPT_MIN,
        retention: Retention::Keep,
    };

    /// Refuses values outside their bounds.
    ///
    /// # Errors
    /// `Configuration`.
    pub fn check(&self) -> Result<(), PipelineError> {
        if (SNAPSHOTS_KEPT_MIN..=SNAPSHOTS_KEPT_MAX).contains(&self.kept) {
            return Ok(());
        }
        let (min, max) = (SNAPSHOTS_KEPT_MIN, SNAPSHOTS_KEPT_MAX);
        let what = format!("snapshots kept = {}: expected {min} to {max}", self.kept);
        Err(PipelineError::Configuration { what })
    }
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("enough snapshots are asked for already")]
    Busy,
    #[error("the pipeline is shutting down")]
    Closed,
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("a panic while the snapshot was taken")]
    Panicked,
}

impl SnapshotError {
    /// Whether there was no room for it on the disk.
    #[must_use]
    pub const fn is_for_want_of_space(&self) -> bool {
        matches!(self, Self::Pipeline(PipelineError::Journal(JournalError::Full { .. })))
    }
}

/// Where the outcome goes.
pub(crate) type Answer = Sender<Result<SnapshotTaken, SnapshotError>>;

/// Handle to ask for a snapshot with; clones are cheap.
#[derive(Clone, Debug)]
pub struct SnapshotDesk {
    requests: Sender<Answer>,
    /// Whether nobody answers any more.
    stop: Arc<AtomicBool>,
}

impl SnapshotDesk {
    pub(crate) const fn new(requests: Sender<Answer>, stop: Arc<AtomicBool>) -> Self {
        Self { requests, stop }
    }

    /// Snapshots that are asked for and not begun, and how many may be.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::new("snapshot_requests", self.requests.len(), SNAPSHOT_REQUESTS_MAX)
    }

    /// Asks for a snapshot of all that has happened; the answer comes when it is in force.
    ///
    /// # Errors
    /// `Busy` or `Closed`.
    pub fn ask(&self) -> Result<Receiver<Result<SnapshotTaken, SnapshotError>>, SnapshotError> {
        let (answer, outcome) = bounded(1);
        self.requests.try_send(answer).map_err(|error| match error {
            TrySendError::Full(_) => SnapshotError::Busy,
            TrySendError::Disconnected(_) => SnapshotError::Closed,
        })?;
        // Behind the request: it is answered, or this is seen.
        if self.stop.load(Ordering::SeqCst) {
            return Err(SnapshotError::Closed);
        }
        Ok(outcome)
    }
}
