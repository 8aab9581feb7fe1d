//! Owns how a movement between a wallet and its trading account ends in the wallet.
//! Knows nothing of the trading account. Invariant: money asked back leaves the pool only after
//! trading has given it up, and whatever is decided is decided once.

use super::books::Leg;
use super::command::Posting;
use super::post::{Legs, push_legs};
use super::reject::RejectReason;
use super::transactions::{Funding, Transaction};
use super::types::{Account, TransactionId, TransactionKind, TransactionStatus};
use super::{Checked, Draft, Events, Ledger};

impl Ledger {
    pub(super) fn conclude_funding(
        &mut self,
        id: TransactionId,
        granted: bool,
        events: &mut Events,
    ) -> Checked<()> {
        let transaction = self.transactions.get(id).ok_or(RejectReason::UnknownTransaction)?;
        let (funding, status) = (transaction.funding, transaction.status);
        match (funding, status, granted) {
            (Funding::Recalled, TransactionStatus::Pending, true) => self.grant(id, events),
            (Funding::Recalled, TransactionStatus::Pending, false) => {
                self.end_recall(id, &[], Some(RejectReason::InsufficientFunds), events);
                Ok(())
            }
            // Told again what was told before.
            (Funding::Recalled | Funding::Funded, TransactionStatus::Completed, true)
            | (Funding::Recalled, TransactionStatus::Failed, false)
            | (Funding::Undone, _, false) => {
                self.repeat(id, events);
                Ok(())
            }
            // Given back by trading although a wallet was frozen meanwhile.
            (Funding::Recalled, TransactionStatus::Failed, true)
                if self.transactions.get(id).is_some_and(|t| t.legs > 0) =>
            {
                self.repeat(id, events);
                Ok(())
            }
            // Also one that was reversed from what else the user had.
            (
                Funding::Funded | Funding::Recalled,
                TransactionStatus::Completed | TransactionStatus::Reversed,
                false,
            ) => self.undo(id, events),
            (Funding::None, ..) => Err(RejectReason::InvalidRequest),
            _ => Err(RejectReason::AlreadyConcluded),
        }
    }

    /// Trading gave the money up: it comes out of the pool and goes where the request wanted it,
    /// or stays available if that is not allowed any more.
    fn grant(&mut self, id: TransactionId, events: &mut Events) -> Checked<()> {
        let posting = *self.pending.get(&id).expect("a pending transaction has its posting");
        let Account::Available(source) = posting.debit else { unreachable!("checked") };
        let kind = self.transactions.get(id).map(|t| t.kind).expect("it exists");
        let mut legs = Legs::new();
        legs.push(Leg {
            debit: Account::Reserved(source),
            credit: posting.debit,
            amount: posting.amount,
            pooled: true,
        });
        let refusal = self.may_move(kind, &posting).err();
        if refusal.is_none() {
            push_legs(&mut legs, &posting, true);
        }
        self.books.apply(legs.as_slice())?;
        self.end_recall(id, legs.as_slice(), refusal, events);
        if refusal.is_none() {
            self.lend(id, &posting, events);
        }
        Ok(())
    }

    fn end_recall(
        &mut self,
        id: TransactionId,
        legs: &[Leg],
        refusal: Option<RejectReason>,
        events: &mut Events,
    ) {
        let posting = self.pending.remove(&id).expect("a pending transaction has its posting");
        let Transaction { kind, wallet, link, .. } = *self.transactions.get(id).expect("it exists");
        self.books.wallet_mut(wallet).expect("it exists").pending -= 1;
        let draft = Draft { link, ..Draft::new(kind, wallet, posting.amount) };
        let draft = refusal.map_or(draft, |reason| draft.failed(reason));
        self.conclude(id, &draft, legs, events);
        if kind == TransactionKind::Reversal {
            self.end_reversal(link, id, refusal.is_none());
        }
    }

    /// Trading did not take what was lent to it: it is available again.
    fn undo(&mut self, id: TransactionId, events: &mut Events) -> Checked<()> {
        let transaction = self.transactions.get(id).ok_or(RejectReason::UnknownTransaction)?;
        let is_loan = |leg: &Leg| leg.pooled && matches!(leg.credit, Account::Reserved(_));
        let mut loans = self.transactions.legs(transaction).filter(is_loan);
        let (first, second) = (loans.next(), loans.next());
        drop(loans);
        // Of several loans in one transaction some may have been taken.
        let (Some(loan), None) = (first, second) else {
            return Err(RejectReason::AlreadyConcluded);
        };
        self.has_room()?;
        let Account::Reserved(wallet) = loan.credit else { unreachable!("filtered") };
        self.books.apply(&[loan.reversed()])?;
        self.transactions.get_mut(id).expect("it exists").funding = Funding::Undone;
        let draft = Draft { link: id, ..Draft::new(TransactionKind::Release, wallet, loan.amount) };
        self.record(&draft, &[loan.reversed()], events);
        Ok(())
    }

    /// Marks or unmarks the transaction that a reversal is about.
    pub(super) fn end_reversal(
        &mut self,
        original: TransactionId,
        reversal: TransactionId,
        reversed: bool,
    ) {
        let original = self.transactions.get_mut(original).expect("a reversal has an original");
        if reversed {
            original.status = TransactionStatus::Reversed;
            original.link = reversal;
        } else {
            original.link = TransactionId(0);
        }
    }

    /// As [`Self::ask_back`] for the one posting of a reversal.
    pub(super) fn recall_reversal(
        &mut self,
        draft: Draft,
        posting: Posting,
        events: &mut Events,
    ) -> Checked<TransactionId> {
        if self.pending.len() >= self.capacity.pending {
            return Err(RejectReason::CapacityExhausted);
        }
        let draft =
            Draft { status: TransactionStatus::Pending, funding: Funding::Recalled, ..draft };
        let id = self.record(&draft, &[], events);
        self.ask_back(id, draft.wallet, posting, events);
        Ok(id)
    }
}
