//! Owns what the wallet is still to be told: recalls that trading has answered, loans that it
//! refused. Knows nothing of how it is told. Invariant: a recall is granted only when every trade
//! that may take from the same money, or bring it, is settled, and none is dropped before the
//! wallet has taken note of it.

use bincode::{Decode, Encode};
use engine::AssetCode;
use tokio::time::Instant;
use uuid::Uuid;
use wallet::client::{CallOutcome, WalletError};

use crate::board::Board;
use crate::limits::{CONCLUDE_EVERY, FUNDING_WAIT};
use crate::options::RetryPolicy;

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Conclusion {
    transaction: u128,
    user: u128,
    asset: AssetCode,
    granted: bool,
    /// Only after every trade up to this command: it may have brought the money.
    after: u64,
}

impl Conclusion {
    /// Trading gave the money up with the command `after`, or with one before it.
    pub(super) fn granted(transaction: Uuid, user: Uuid, asset: AssetCode, after: u64) -> Self {
        let (transaction, user) = (transaction.as_u128(), user.as_u128());
        Self { transaction, user, asset, granted: true, after }
    }

    pub(super) fn refused(transaction: Uuid, user: Uuid, asset: AssetCode) -> Self {
        let (transaction, user) = (transaction.as_u128(), user.as_u128());
        Self { transaction, user, asset, granted: false, after: 0 }
    }

    pub(super) fn transaction(&self) -> Uuid {
        Uuid::from_u128(self.transaction)
    }

    pub(super) fn is_granted(&self) -> bool {
        self.granted
    }
}

/// One that waits for its time.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    conclusion: Conclusion,
    from: Instant,
    tries: u32,
}

/// All that are owed.
#[derive(Debug, Default)]
pub(super) struct Conclusions(Vec<Waiting>);

impl Conclusions {
    pub(super) fn new(stored: Vec<Conclusion>) -> Self {
        let mut all = Self::default();
        stored.into_iter().for_each(|conclusion| all.add(conclusion));
        all
    }

    pub(super) fn add(&mut self, conclusion: Conclusion) {
        self.0.push(Waiting { conclusion, from: Instant::now(), tries: 0 });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn store(&self) -> Vec<Conclusion> {
        self.0.iter().map(|waiting| waiting.conclusion).collect()
    }

    /// When one of them may be told.
    pub(super) fn next_look(&self) -> Instant {
        let first = self.0.iter().map(|waiting| waiting.from).min();
        first.unwrap_or_else(Instant::now).max(Instant::now() + CONCLUDE_EVERY)
    }

    /// Those that may be told now, as far as settlement has come.
    pub(super) fn due(&mut self, board: &Board) -> Vec<Conclusion> {
        let now = Instant::now();
        let settled = board.settled_through();
        let mut due = Vec::new();
        for Waiting { conclusion, from, .. } in &mut self.0 {
            let Conclusion { user, asset, granted, after, .. } = *conclusion;
            if *from > now || after > settled {
                continue;
            }
            // The cursor has passed dead letters, but their money has not moved.
            if granted && board.concerned_by_dead_letter(Uuid::from_u128(user), asset) {
                *from = now + FUNDING_WAIT;
                continue;
            }
            due.push(*conclusion);
        }
        due
    }

    /// The wallet was told. Whether it has taken note.
    pub(super) fn told<T>(
        &mut self,
        told: Conclusion,
        result: &Result<T, WalletError>,
        retry: RetryPolicy,
    ) -> bool {
        let Some(place) = self.0.iter().position(|waiting| waiting.conclusion == told) else {
            return false;
        };
        let Err(error) = result else {
            self.0.swap_remove(place);
            return true;
        };
        let waiting = &mut self.0[place];
        waiting.tries = waiting.tries.saturating_add(1);
        waiting.from = Instant::now() + retry.pause(waiting.tries);
        // Said less and less often: it may last.
        if waiting.tries.is_power_of_two() {
            let (transaction, tries) = (told.transaction(), waiting.tries);
            match (error, error.outcome()) {
                // What trading owes the wallet is on its way.
                (WalletError::InsufficientBalance, _) => {
                    tracing::info!(%transaction, tries, "the money of a recall is not there yet");
                }
                (_, CallOutcome::Refused) => tracing::error!(
                    %transaction, tries, %error, granted = told.granted,
                    "the wallet refuses an answer of trading: somebody must look at it"
                ),
                _ => tracing::warn!(%transaction, tries, %error, "a recall is not concluded"),
            }
        }
        false
    }
}
