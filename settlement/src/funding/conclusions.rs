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
use crate::owed::{Owed, Readiness};

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
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

/// All that are owed.
#[derive(Debug)]
pub(super) struct Conclusions(Owed<Conclusion>);

impl Conclusions {
    pub(super) fn new(stored: Vec<Conclusion>) -> Self {
        Self(Owed::new(stored))
    }

    pub(super) fn add(&mut self, conclusion: Conclusion) {
        self.0.add(conclusion);
    }

    pub(super) fn store(&self) -> Vec<Conclusion> {
        self.0.store()
    }

    /// When one of them may be told, if there is any.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.0.next_look().map(|first| first.max(Instant::now() + CONCLUDE_EVERY))
    }

    /// Those that may be told now, as far as settlement has come.
    pub(super) fn due(&mut self, board: &Board) -> Vec<Conclusion> {
        let settled = board.settled_through();
        let later = Instant::now() + FUNDING_WAIT;
        self.0.due(usize::MAX, |conclusion| {
            let Conclusion { user, asset, granted, after, .. } = *conclusion;
            if after > settled {
                return Readiness::NotYet;
            }
            // The cursor has passed dead letters, but their money has not moved.
            if granted && board.concerned_by_dead_letter(Uuid::from_u128(user), asset) {
                return Readiness::Until(later);
            }
            Readiness::Ready
        })
    }

    /// The wallet was told. Whether it has taken note.
    pub(super) fn told<T>(
        &mut self,
        told: Conclusion,
        result: &Result<T, WalletError>,
        retry: RetryPolicy,
    ) -> bool {
        let Err(error) = result else { return self.0.done(&told) };
        let tries = self.0.failed(&told, retry);
        // Said less and less often: it may last.
        if tries.is_power_of_two() {
            let transaction = told.transaction();
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
