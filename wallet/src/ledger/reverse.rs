//! Owns undoing a transaction by another one.
//! Knows nothing of why. Invariant: a transaction is reversed once, a reversal never, and nothing
//! is taken that is not there.

use super::books::Leg;
use super::command::Posting;
use super::post::{Legs, lends_twice, push_legs};
use super::reject::RejectReason;
use super::transactions::{Funding, Transaction};
use super::types::{Account, TransactionId, TransactionKind, TransactionStatus, WalletId};
use super::{Checked, Draft, Events, Ledger};

impl Ledger {
    pub(super) fn reverse(&mut self, id: TransactionId, events: &mut Events) -> Checked<()> {
        let original = self.transactions.get(id).ok_or(RejectReason::UnknownTransaction)?;
        if original.status == TransactionStatus::Reversed {
            return Err(RejectReason::AlreadyReversed);
        }
        // A reversal is under way: it waits for trading.
        if original.link != TransactionId(0) && is_reversible(original.kind) {
            self.repeat(original.link, events);
            return Ok(());
        }
        if original.status != TransactionStatus::Completed || !is_reversible(original.kind) {
            return Err(RejectReason::NotReversible);
        }
        self.has_room()?;
        let original = original.clone();
        let reversal = if original.kind == TransactionKind::Settlement {
            self.reverse_settlement(id, &original, events)?
        } else {
            self.reverse_postings(id, &original, events)?
        };
        let pending = self.transactions.get(reversal).map(|t| t.status);
        if pending == Some(TransactionStatus::Pending) {
            self.transactions.get_mut(id).expect("found").link = reversal;
        } else {
            self.end_reversal(id, reversal, true);
        }
        Ok(())
    }

    /// Both sides get back what they gave, to what they can take out. Not where the money is lent
    /// to trading, whose books a reversal here would contradict.
    fn reverse_settlement(
        &mut self,
        id: TransactionId,
        original: &Transaction,
        events: &mut Events,
    ) -> Checked<TransactionId> {
        let mut legs = Legs::new();
        for leg in self.legs_of(original).as_slice().iter().rev() {
            // The trading accounts have moved, too, and would not know.
            if leg.pooled {
                return Err(RejectReason::NotReversible);
            }
            let mut back = leg.reversed();
            // A rebate goes back, too: what is reserved now is for other orders.
            for account in [&mut back.debit, &mut back.credit] {
                if let Account::Reserved(wallet) = *account {
                    *account = Account::Available(wallet);
                }
            }
            legs.push(back);
        }
        self.books.apply(legs.as_slice())?;
        let draft = Draft {
            link: id,
            ..Draft::new(TransactionKind::Reversal, original.wallet, original.amount)
        };
        Ok(self.record(&draft, legs.as_slice(), events))
    }

    fn reverse_postings(
        &mut self,
        id: TransactionId,
        original: &Transaction,
        events: &mut Events,
    ) -> Checked<TransactionId> {
        let mut postings = Vec::new();
        for leg in self.legs_of(original).as_slice().iter().rev() {
            if !leg.pooled {
                let back = leg.reversed();
                let Leg { debit, credit, amount, .. } = back;
                postings.push(Posting { debit, credit, amount });
            }
        }
        for posting in &postings {
            self.may_move(TransactionKind::Reversal, posting)?;
        }
        let draft = Draft {
            link: id,
            ..Draft::new(TransactionKind::Reversal, original.wallet, original.amount)
        };
        let funded = matches!(original.funding, Funding::Funded | Funding::Recalled);
        let funded = funded && !lends_twice(&postings);
        if let [posting] = postings[..]
            && funded
            && let Some(source) = self.short_source(&posting)
        {
            return self.recall_reversal(Draft { wallet: source, ..draft }, posting, events);
        }
        let mut legs = Legs::new();
        for posting in &postings {
            push_legs(&mut legs, posting, funded);
        }
        self.books.apply(legs.as_slice())?;
        let funding = if funded { Funding::Funded } else { Funding::None };
        let reversal = self.record(&Draft { funding, ..draft }, legs.as_slice(), events);
        if funded {
            postings.iter().for_each(|posting| self.lend(reversal, posting, events));
        }
        Ok(reversal)
    }

    /// The wallet that a posting takes from, if it has too little available.
    fn short_source(&self, posting: &Posting) -> Option<WalletId> {
        let Account::Available(source) = posting.debit else { return None };
        let wallet = self.books.wallet(source)?;
        (wallet.available < posting.amount).then_some(source)
    }

    fn legs_of(&self, transaction: &Transaction) -> Legs {
        let mut legs = Legs::new();
        self.transactions.legs(transaction).for_each(|leg| legs.push(leg));
        legs
    }
}

fn is_reversible(kind: TransactionKind) -> bool {
    use TransactionKind::{Adjustment, Batch, Deposit, Settlement, Transfer, Withdrawal};
    matches!(kind, Deposit | Withdrawal | Transfer | Batch | Adjustment | Settlement)
}
