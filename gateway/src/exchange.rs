//! Owns the hand-over of a command and the wait for its outcome.
//! Knows nothing of HTTP. Invariant: a command that was handed over has an outcome, even if nobody
//! waits for it any more; the one that waits is told so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{Command, Engine};
use pipeline::{Ingress, Lane, SubmitError};
use tokio::sync::oneshot;

use crate::error::ErrorCode;
use crate::replies::{Answered, Waiter};

/// The way in for all commands.
#[derive(Debug)]
pub struct Exchange {
    ingress: Ingress<Engine, Waiter>,
    timeout: Duration,
    draining: AtomicBool,
}

impl Exchange {
    #[must_use]
    pub fn new(ingress: Ingress<Engine, Waiter>, timeout: Duration) -> Self {
        Self { ingress, timeout, draining: AtomicBool::new(false) }
    }

    /// Refuses everything from now on; what was handed over is still answered.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Longest wait for an outcome.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Hands a command over and waits until it is matched and durable.
    ///
    /// # Errors
    /// `OVERLOADED`, `NO_SPACE`, `SYNC_DELAYED`, `SERVICE_UNAVAILABLE`: nothing was handed over.
    /// `OUTCOME_UNKNOWN`: it was, and its outcome will be found in the views.
    pub async fn submit(&self, command: Command) -> Result<Answered, ErrorCode> {
        self.within_timeout(self.see_through(command)).await
    }

    /// Hands a command over and waits for its outcome as long as that takes.
    ///
    /// # Errors
    /// As [`Self::submit`]; `OUTCOME_UNKNOWN` only when the exchange ends.
    pub async fn see_through(&self, command: Command) -> Result<Answered, ErrorCode> {
        let lane = match command {
            // What was announced goes before new load, and leaves room for operators.
            Command::CancelOrder { .. }
            | Command::MassCancel { .. }
            | Command::PlaceReserved { .. }
            | Command::AbandonReserved { .. } => Lane::Cancel,
            Command::NewOrder(_) | Command::AmendOrder(_) | Command::ReserveOrder(_) => Lane::Order,
            _ => Lane::Control,
        };
        // What ends something that is under way is done while the rest is drained.
        let ends =
            matches!(command, Command::PlaceReserved { .. } | Command::AbandonReserved { .. });
        if self.is_draining() && !ends {
            return Err(ErrorCode::ServiceUnavailable);
        }
        self.wait_for(|waiter| self.ingress.try_submit(command, Some(waiter), lane)).await
    }

    /// How long the oldest command that waits for the disk has done so.
    #[must_use]
    pub fn sync_age(&self) -> Duration {
        self.ingress.sync_age()
    }

    /// Asks the core for the hash of its state.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn state_hash(&self) -> Result<Answered, ErrorCode> {
        if self.is_draining() {
            return Err(ErrorCode::ServiceUnavailable);
        }
        self.within_timeout(self.wait_for(|waiter| self.ingress.try_state_hash(waiter))).await
    }

    async fn within_timeout(
        &self,
        outcome: impl Future<Output = Result<Answered, ErrorCode>>,
    ) -> Result<Answered, ErrorCode> {
        let outcome = tokio::time::timeout(self.timeout, outcome).await;
        outcome.unwrap_or(Err(ErrorCode::OutcomeUnknown))
    }

    async fn wait_for(
        &self,
        hand_over: impl FnOnce(Waiter) -> Result<u64, SubmitError>,
    ) -> Result<Answered, ErrorCode> {
        let (sender, receiver) = oneshot::channel();
        hand_over(Waiter(sender)).map_err(|error| match error {
            SubmitError::RingFull | SubmitError::RepliesExhausted => ErrorCode::Overloaded,
            SubmitError::NoSpace => ErrorCode::NoSpace,
            SubmitError::SyncDelayed => ErrorCode::SyncDelayed,
            SubmitError::Closed => ErrorCode::ServiceUnavailable,
        })?;
        receiver.await.map_err(|_| ErrorCode::OutcomeUnknown)
    }
}
