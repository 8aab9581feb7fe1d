//! Owns the hand-over of a command, the sharing of places, and the wait for its outcome.
//! Knows nothing of HTTP. Invariant: a command that was handed over has an outcome, even if nobody
//! waits for it any more; the one that waits is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{AccountId, Command, Engine, Usage};
use pipeline::{Ingress, Lane, SubmitError};
use tokio::sync::oneshot;

use crate::error::ErrorCode;
use crate::fair_share::{FairShare, Place, ShareExceeded};
use crate::limits::FAIR_SHARE_FROM_PERCENT;
use crate::replies::{Answered, Waiter};

/// The way in for all commands.
#[derive(Debug)]
pub struct Exchange {
    ingress: Ingress<Engine, Waiter>,
    shares: Arc<FairShare>,
    timeout: Duration,
    draining: AtomicBool,
}

impl Exchange {
    #[must_use]
    pub fn new(ingress: Ingress<Engine, Waiter>, timeout: Duration) -> Self {
        let slots = usize::try_from(ingress.depth().1).unwrap_or(usize::MAX);
        let shares = FairShare::new(slots);
        Self { ingress, shares, timeout, draining: AtomicBool::new(false) }
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
    /// `FAIR_SHARE_EXCEEDED`, `OVERLOADED`, `NO_SPACE`, `SYNC_DELAYED`, `SERVICE_UNAVAILABLE`:
    /// nothing was handed over. `OUTCOME_UNKNOWN`: it was, and its outcome will be found in the
    /// views.
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
            Command::NewOrder(_)
            | Command::NewOrderBy { .. }
            | Command::AmendOrder(_)
            | Command::ReserveOrder(_) => Lane::Order,
            _ => Lane::Control,
        };
        // What ends something that is under way is done while the rest is drained.
        let ends =
            matches!(command, Command::PlaceReserved { .. } | Command::AbandonReserved { .. });
        if self.is_draining() && !ends {
            return Err(ErrorCode::ServiceUnavailable);
        }
        let place = self.place_for(&command, lane)?;
        self.wait_for(place, |waiter| self.ingress.try_submit(command, Some(waiter), lane)).await
    }

    /// How full everything between a request and the engine is, and the engine itself.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        self.ingress.usage().into_iter().chain([self.shares.usage()]).collect()
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
        self.within_timeout(self.wait_for(None, |waiter| self.ingress.try_state_hash(waiter))).await
    }

    async fn within_timeout(
        &self,
        outcome: impl Future<Output = Result<Answered, ErrorCode>>,
    ) -> Result<Answered, ErrorCode> {
        let outcome = tokio::time::timeout(self.timeout, outcome).await;
        outcome.unwrap_or(Err(ErrorCode::OutcomeUnknown))
    }

    /// Counts a command among those of its account. While the ring is half full, an account may
    /// have no more new orders than its share; what takes load away is counted and goes on.
    fn place_for(&self, command: &Command, lane: Lane) -> Result<Option<Place>, ErrorCode> {
        let Some(account) = account_of(command) else { return Ok(None) };
        let (depth, slots) = self.ingress.depth();
        let most = lane.slots(slots);
        let is_busy = (slots * FAIR_SHARE_FROM_PERCENT / 100..most).contains(&depth);
        let divided = (lane == Lane::Order && is_busy).then_some(most);
        self.shares.enter(account, divided).map_err(|ShareExceeded| ErrorCode::FairShareExceeded)
    }

    async fn wait_for(
        &self,
        place: Option<Place>,
        hand_over: impl FnOnce(Waiter) -> Result<u64, SubmitError>,
    ) -> Result<Answered, ErrorCode> {
        let (answer, receiver) = oneshot::channel();
        hand_over(Waiter { answer, place }).map_err(|error| match error {
            SubmitError::RingFull | SubmitError::RepliesExhausted => ErrorCode::Overloaded,
            SubmitError::NoSpace => ErrorCode::NoSpace,
            SubmitError::SyncDelayed => ErrorCode::SyncDelayed,
            SubmitError::Closed => ErrorCode::ServiceUnavailable,
        })?;
        receiver.await.map_err(|_| ErrorCode::OutcomeUnknown)
    }
}

/// Whose command it is, if it is one that users send.
fn account_of(command: &Command) -> Option<AccountId> {
    match command {
        Command::NewOrder(order)
        | Command::NewOrderBy { order, .. }
        | Command::ReserveOrder(order) => Some(order.account),
        Command::AmendOrder(amend) => Some(amend.account),
        Command::CancelOrder { account, .. } | Command::MassCancel { account, .. } => {
            Some(*account)
        }
        _ => None,
    }
}
