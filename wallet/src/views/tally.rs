//! Owns what was counted of a ledger since its journal began. Knows nothing of who reads it.
//! Invariant: a function of the events alone, in units and without rounding, so a restart that
//! replays them counts the same again.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use engine::codec::append as put;
use engine::{Amount, AssetId, RestoreError, SnapshotReader};

use crate::ledger::types::{TransactionKind, TransactionStatus};
use crate::ledger::{Committed, Event, RejectReason};
use crate::limits::ASSETS_MAX;

/// Units that were moved because a user asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Moved {
    pub deposited: Amount,
    pub withdrawn: Amount,
    pub transferred: Amount,
}

/// Everything that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub wallets: u64,
    /// Transactions that were begun, those that failed included.
    pub transactions: u64,
    /// Transactions that ended as asked, by kind.
    pub completed: BTreeMap<TransactionKind, u64>,
    /// Requests that changed nothing, by why: also those whose failure is recorded.
    pub refused: BTreeMap<RejectReason, u64>,
    pub moved: BTreeMap<AssetId, Moved>,
}

impl Tally {
    /// `asset` is that of the transaction's wallet, where the event is one of a transaction.
    pub(super) fn count(&mut self, event: &Event, asset: Option<AssetId>) {
        match event {
            Event::WalletOpened { .. } => self.wallets += 1,
            Event::CommandRejected { reason } => *self.refused.entry(*reason).or_default() += 1,
            Event::Committed(head) => self.commit(head, asset),
            _ => {}
        }
    }

    fn commit(&mut self, head: &Committed, asset: Option<AssetId>) {
        // One that had to wait is told of twice: when it began and when it ended.
        self.transactions = self.transactions.max(head.transaction.0);
        if let Some(reason) = head.reason {
            *self.refused.entry(reason).or_default() += 1;
        }
        if head.status != TransactionStatus::Completed {
            return;
        }
        *self.completed.entry(head.kind).or_default() += 1;
        let Some(asset) = asset else { return };
        let moved = self.moved.entry(asset).or_default();
        let sum = match head.kind {
            TransactionKind::Deposit => &mut moved.deposited,
            TransactionKind::Withdrawal => &mut moved.withdrawn,
            TransactionKind::Transfer => &mut moved.transferred,
            _ => return,
        };
        *sum = sum.saturating_add(head.amount);
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let Self { wallets, transactions, completed, refused, moved } = self;
        put(&(wallets, transactions, completed, refused, moved), out);
    }

    pub(super) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let (wallets, transactions) = from.read("what was counted")?;
        let completed = from.map("completed transactions", TransactionKind::ALL.len())?;
        let refused = from.map("refused requests", RejectReason::ALL.len())?;
        let moved = from.map("moved units", ASSETS_MAX)?;
        Ok(Self { wallets, transactions, completed, refused, moved })
    }

    /// Transactions of this kind that ended as asked.
    #[must_use]
    pub fn completed(&self, kind: TransactionKind) -> u64 {
        self.completed.get(&kind).copied().unwrap_or_default()
    }
}
