//! Owns how the latest transactions are saved and restored. Knows nothing of balances.
//! Invariant: each transaction stands in the ring that it was added to, at its place.

use engine::codec::append as put;
use engine::{RestoreError, SnapshotReader};

use super::{TransactionId, TransactionView, Transactions};
use crate::ledger::Outcome;
use crate::limits::{
    DESCRIPTION_BYTES_MAX, LEGS_MAX, REFERENCE_BYTES_MAX, REQUESTS_KEPT_MAX, TRADING_KEPT_MAX,
};

/// A byte that is not UTF-8 is shown as a character of so many.
const REPLACED_BYTES: usize = 3;

impl Transactions {
    pub(in crate::views) fn save(&self, out: &mut Vec<u8>) {
        let Self { whole, requests, trading, last } = self;
        put(last, out);
        for ring in [requests, trading] {
            put(&(ring.len() as u64), out);
            ring.iter().for_each(|id| append(&whole[id], out));
        }
    }

    pub(in crate::views) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let last = from.read("last transaction")?;
        let mut transactions = Self { last, ..Self::default() };
        let Self { whole, requests, trading, last } = &mut transactions;
        for (ring, bound) in [(requests, REQUESTS_KEPT_MAX), (trading, TRADING_KEPT_MAX)] {
            for _ in 0..from.count("number of transactions", bound)? {
                let view = read(from)?;
                let id = view.outcome.transaction;
                let is_known = id != TransactionId(0) && id <= *last;
                let is_new = whole.insert(id, view).is_none();
                from.check(is_known && is_new, "transaction")?;
                ring.push_back(id);
            }
        }
        Ok(transactions)
    }
}

fn append(transaction: &TransactionView, out: &mut Vec<u8>) {
    let TransactionView { outcome, caller, reference, description, subject, link, legs } =
        transaction;
    put(&(outcome, caller, subject, link), out);
    put(&(reference, description, legs), out);
}

fn read(from: &mut SnapshotReader<'_>) -> Result<TransactionView, RestoreError> {
    let (outcome, caller, subject, link): (Outcome, _, _, _) = from.read("transaction")?;
    let reference = from.text("reference", REPLACED_BYTES * REFERENCE_BYTES_MAX)?.to_owned();
    let description = from.text("description", REPLACED_BYTES * DESCRIPTION_BYTES_MAX)?.to_owned();
    let legs = from.list("movements", LEGS_MAX)?;
    Ok(TransactionView { outcome, caller, reference, description, subject, link, legs })
}

#[cfg(test)]
mod tests {
    use engine::RestoreFault;

    use super::*;
    use crate::ledger::Posted;
    use crate::ledger::types::{Reference, TransactionKind, TransactionStatus, UserId, WalletId};

    fn view(id: u64) -> TransactionView {
        let outcome = Outcome {
            transaction: TransactionId(id),
            kind: TransactionKind::Batch,
            status: TransactionStatus::Completed,
            reason: None,
            wallet: WalletId(1),
            amount: 1,
            new_balance: 2,
            available: 3,
            sequence: 4,
            timestamp_ns: 5,
            used_up: Default::default(),
        };
        let (reference, description) = ("r".to_owned(), "d".to_owned());
        let (caller, subject, link) = (UserId(1), 6, TransactionId(7));
        TransactionView { outcome, caller, reference, description, subject, link, legs: Vec::new() }
    }

    fn restored(views: &[TransactionView]) -> Result<Transactions, RestoreError> {
        let mut transactions = Transactions { last: TransactionId(9), ..Transactions::default() };
        for view in views {
            transactions.whole.insert(view.outcome.transaction, view.clone());
            transactions.requests.push_back(view.outcome.transaction);
        }
        let mut bytes = Vec::new();
        transactions.save(&mut bytes);
        Transactions::restored(&mut SnapshotReader::new(&bytes))
    }

    #[test]
    fn all_of_a_transaction_comes_back_and_texts_and_movements_are_bounded() {
        let same = |view: TransactionView| {
            let restored = restored(std::slice::from_ref(&view))?;
            assert_eq!(restored.whole[&view.outcome.transaction], view);
            Ok(())
        };
        let worst = Reference::from_bytes(&[0xFF; REFERENCE_BYTES_MAX]).unwrap().to_text();
        let too_many = |most| Err(RestoreFault::TooMany { count: most + 1, most });
        let refusal = |view| same(view).map_err(|error: RestoreError| error.fault);
        assert_eq!(refusal(TransactionView { reference: worst.clone(), ..view(9) }), Ok(()));
        let reference = worst + "x";
        assert_eq!(refusal(TransactionView { reference, ..view(9) }), too_many(300));
        let description = "d".repeat(3 * DESCRIPTION_BYTES_MAX);
        let longer = description.clone() + "x";
        assert_eq!(refusal(TransactionView { description, ..view(9) }), Ok(()));
        let description = longer;
        assert_eq!(refusal(TransactionView { description, ..view(9) }), too_many(1_500));
        let legs = vec![Posted::default(); LEGS_MAX];
        assert_eq!(refusal(TransactionView { legs, ..view(9) }), Ok(()));
        let legs = vec![Posted::default(); LEGS_MAX + 1];
        assert_eq!(refusal(TransactionView { legs, ..view(9) }), too_many(16));
    }

    #[test]
    fn a_transaction_is_one_that_was_made_and_there_once() {
        assert!(restored(&[view(1), view(9)]).is_ok());
        assert!(restored(&[view(1), view(1)]).is_err(), "there twice");
        assert!(restored(&[view(0)]).is_err(), "none");
        assert!(restored(&[view(10)]).is_err(), "one past the last");
    }
}
