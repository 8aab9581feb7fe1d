//! Owns the first answers to credits. Knows nothing of references, nor of money that moves because
//! of an order.
//! Invariant: bounded; the oldest answer is forgotten first, and the engine still applies no credit
//! twice for as long as it knows the reference: 30 days of journal time, or less if its table fills
//! up.

use std::collections::{HashMap, VecDeque};

use bincode::{Decode, Encode};
use engine::codec::append as put;
use engine::{Amount, Event, RestoreError, SnapshotReader, TransferId, TransferKind, Usage};

use crate::limits::TRANSFERS_MAX;

/// What the first answer said beyond the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AppliedTransfer {
    /// Available balance right afterwards, units of the asset.
    pub available: Amount,
    pub sequence: u64,
}

/// The latest transfers.
#[derive(Debug, Default)]
pub struct Transfers {
    by_id: HashMap<TransferId, AppliedTransfer>,
    /// The oldest in front. An id is there twice if the engine had forgotten it in between.
    applied: VecDeque<(TransferId, AppliedTransfer)>,
    has_credits: bool,
}

impl Transfers {
    #[must_use]
    pub fn get(&self, id: TransferId) -> Option<AppliedTransfer> {
        self.by_id.get(&id).copied()
    }

    /// Whether money has ever been credited.
    #[must_use]
    pub fn has_credits(&self) -> bool {
        self.has_credits
    }

    pub(super) fn usage(&self) -> Usage {
        Usage::new("transfers", self.applied.len(), TRANSFERS_MAX)
    }

    pub(super) fn apply(&mut self, sequence: u64, event: &Event) {
        let Event::TransferApplied { transfer_id, kind, available, .. } = event else { return };
        if !matches!(kind, TransferKind::Credit | TransferKind::Debit) {
            return;
        }
        self.has_credits |= *kind == TransferKind::Credit;
        self.add(*transfer_id, AppliedTransfer { available: *available, sequence });
    }

    fn add(&mut self, id: TransferId, transfer: AppliedTransfer) {
        self.by_id.insert(id, transfer);
        self.applied.push_back((id, transfer));
        if self.applied.len() > TRANSFERS_MAX
            && let Some((oldest, transfer)) = self.applied.pop_front()
            && self.get(oldest) == Some(transfer)
        {
            self.by_id.remove(&oldest);
        }
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let Self { by_id: _, applied, has_credits } = self;
        put(&(has_credits, applied), out);
    }

    pub(super) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut transfers =
            Self { has_credits: from.read("whether there are credits")?, ..Self::default() };
        for (id, transfer) in from.list("transfers", TRANSFERS_MAX)? {
            transfers.add(id, transfer);
        }
        Ok(transfers)
    }
}

#[cfg(test)]
mod tests {
    use engine::{AccountId, AssetId};

    use super::*;

    #[test]
    fn the_oldest_answer_goes_first() {
        let mut transfers = Transfers::default();
        let applied = |id: usize| Event::TransferApplied {
            transfer_id: TransferId(id as u128),
            kind: TransferKind::Credit,
            account: AccountId(1),
            asset: AssetId(1),
            amount: 1,
            available: 1,
        };
        for id in 1..=TRANSFERS_MAX {
            transfers.apply(1, &applied(id));
        }
        assert!(transfers.get(TransferId(1)).is_some(), "at the bound");
        transfers.apply(2, &applied(TRANSFERS_MAX + 1));
        assert_eq!(transfers.get(TransferId(1)), None, "one past it");
        assert!(transfers.get(TransferId(2)).is_some());
    }

    #[test]
    fn no_more_answers_are_restored_than_are_kept() {
        let mut transfers = Transfers::default();
        for id in 1..=TRANSFERS_MAX as u64 {
            transfers.add(TransferId(id.into()), AppliedTransfer { available: 1, sequence: id });
        }
        let restored = |transfers: &Transfers| {
            let mut bytes = Vec::new();
            transfers.save(&mut bytes);
            Transfers::restored(&mut SnapshotReader::new(&bytes)).map(|t| t.applied)
        };
        assert_eq!(restored(&transfers).as_ref(), Ok(&transfers.applied), "at the bound");
        let one_more = transfers.applied[0];
        transfers.applied.push_back(one_more);
        assert!(restored(&transfers).is_err(), "one past it");
    }

    #[test]
    fn an_id_that_comes_again_keeps_its_newer_answer() {
        let mut transfers = Transfers::default();
        let answer = |sequence| AppliedTransfer { available: 1, sequence };
        transfers.add(TransferId(1), answer(1));
        transfers.add(TransferId(1), answer(2));
        for id in 3..=TRANSFERS_MAX as u64 {
            transfers.add(TransferId(id.into()), answer(id));
        }
        assert_eq!(transfers.get(TransferId(1)), Some(answer(2)), "at the bound");
        transfers.add(TransferId(1_000_001), answer(1_000_001));
        assert_eq!(transfers.get(TransferId(1)), Some(answer(2)), "the older one is forgotten");
        transfers.add(TransferId(1_000_002), answer(1_000_002));
        assert_eq!(transfers.get(TransferId(1)), None);
    }

    #[test]
    fn what_orders_move_is_no_answer_to_a_transfer() {
        let mut transfers = Transfers::default();
        for kind in [
            TransferKind::FundedOrder,
            TransferKind::Proceeds,
            TransferKind::FundsReturned,
            TransferKind::Debit,
        ] {
            let transfer_id = TransferId(kind.code().into());
            let (account, asset, amount) = (AccountId(1), AssetId(1), 1);
            let event =
                Event::TransferApplied { transfer_id, kind, account, asset, amount, available: 0 };
            transfers.apply(1, &event);
            let kept = transfers.get(transfer_id).is_some();
            assert_eq!(kept, kind == TransferKind::Debit, "{kind:?}");
        }
    }
}
