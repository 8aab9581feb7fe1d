//! Owns how transactions, keys and reservations come back.
//! Knows nothing of balances. Invariant: whatever one record names is there, and says so itself.

use engine::Amount;

use super::{Restoration, Restored, place};
use crate::ledger::books::Leg;
use crate::ledger::command::Posting;
use crate::ledger::post::Movement;
use crate::ledger::reject::RejectReason;
use crate::ledger::reservations::Reservation;
use crate::ledger::transactions::{Funding, Key, Transaction};
use crate::ledger::types::{
    Account, TransactionId, TransactionKind, TransactionStatus, UsedUp, WalletId,
};
use crate::limits::{LEGS_MAX, POSTINGS_MAX};

impl Restoration<'_> {
    pub(super) fn transactions(&mut self) -> Restored<()> {
        let most = self.ledger.capacity.transactions;
        let count = self.from.count("number of transactions", most)?;
        let (mut sequence, mut timestamp_ns) = (1, 0);
        for _ in 0..count {
            let mut transaction = self.transaction(count as u64)?;
            let in_turn = (sequence..=self.ledger.last_sequence).contains(&transaction.sequence)
                && (timestamp_ns..=self.ledger.now_ns).contains(&transaction.timestamp_ns);
            self.from.check(in_turn, "order of transactions")?;
            (sequence, timestamp_ns) = (transaction.sequence, transaction.timestamp_ns);
            transaction.first_leg = self.legs(transaction.legs)?;
            let Transaction { kind, status, funding, .. } = transaction;
            let sets_aside = (kind, status, funding)
                == (TransactionKind::Reserve, TransactionStatus::Completed, Funding::None);
            self.reserves += usize::from(sets_aside);
            self.pending += usize::from(status == TransactionStatus::Pending);
            self.ledger.transactions.add(None, transaction);
        }
        Ok(())
    }

    /// One of so many transactions.
    fn transaction(&mut self, count: u64) -> Restored<Transaction> {
        const FIELD: &str = "transaction";
        let (kind, status, reason, funding, sequence, timestamp_ns, fingerprint): (
            TransactionKind,
            TransactionStatus,
            Option<RejectReason>,
            Funding,
            u64,
            u64,
            u64,
        ) = self.from.read(FIELD)?;
        let is_failed = status == TransactionStatus::Failed;
        self.from.check(reason.is_some() == is_failed, "status of a transaction")?;
        let (wallet, amount, new_balance, available, legs, link, used_up): (
            WalletId,
            Amount,
            Amount,
            Amount,
            u8,
            TransactionId,
            UsedUp,
        ) = self.from.read(FIELD)?;
        let is_known = self.ledger.books.wallet(wallet).is_some();
        self.from.check(is_known, "wallet of a transaction")?;
        let is_linked = link != TransactionId(0);
        let needs_link = matches!(kind, TransactionKind::Release | TransactionKind::Reversal);
        self.from.check(link.0 <= count && (is_linked || !needs_link), "link of a transaction")?;
        let waits = status == TransactionStatus::Pending;
        let may_wait = funding == Funding::Recalled && legs == 0;
        let fits = usize::from(legs) <= LEGS_MAX && (may_wait || !waits);
        self.from.check(fits, "number of movements")?;
        Ok(Transaction {
            kind,
            status,
            reason,
            funding,
            sequence,
            timestamp_ns,
            fingerprint,
            wallet,
            amount,
            new_balance,
            available,
            first_leg: 0,
            legs,
            link,
            used_up,
        })
    }

    /// The movements of one transaction; gives the place of the first.
    fn legs(&mut self, count: u8) -> Restored<usize> {
        let first = self.ledger.transactions.add_legs(&[]);
        let mut asked_for = 0;
        for _ in 0..count {
            let (debit, credit, amount, pooled): (Account, Account, Amount, bool) =
                self.from.read("movement")?;
            self.from.check(self.is_movement(debit, credit, amount), "movement")?;
            let is_reserved = |account| matches!(account, Account::Reserved(_));
            let may_pool = !pooled || is_reserved(debit) || is_reserved(credit);
            // What is not of the pool may be asked back, with as much for the pool again.
            asked_for += usize::from(!pooled);
            self.from.check(may_pool && asked_for <= POSTINGS_MAX, "movement of the pool")?;
            let leg = Leg { debit, credit, amount, pooled };
            self.note_movement(&leg);
            self.ledger.transactions.add_legs(&[leg]);
        }
        Ok(first)
    }

    /// By ascending key.
    pub(super) fn keys(&mut self) -> Restored<()> {
        let mut previous = None;
        let most = self.ledger.transactions.len();
        for _ in 0..self.from.count("number of keys", most)? {
            let (key, id): (u128, TransactionId) = self.from.read("key")?;
            let key = Key(key);
            let is_known = self.ledger.transactions.get(id).is_some();
            self.from.check(is_known && previous < Some(key), "key")?;
            self.ledger.transactions.add_key(key, id);
            previous = Some(key);
        }
        Ok(())
    }

    /// By ascending id.
    pub(super) fn reservations(&mut self) -> Restored<()> {
        let mut previous = TransactionId(0);
        let count = self.from.count("number of reservations", self.ledger.capacity.reservations)?;
        for _ in 0..count {
            let (id, order, wallet, original, remaining, released, ended_by): (
                TransactionId,
                u128,
                WalletId,
                Amount,
                Amount,
                Amount,
                TransactionId,
            ) = self.from.read("reservation")?;
            let reservation =
                Reservation { order, wallet, original, remaining, released, ended_by };
            self.from.check(id > previous && self.is_made(id, &reservation), "reservation")?;
            self.from.check(self.is_ended(id, &reservation), "end of a reservation")?;
            let asset = self.ledger.books.asset_of(Account::Reserved(wallet));
            let asset =
                asset.filter(|asset| self.ledger.reservations.find(order, *asset).is_none());
            let asset = asset.ok_or_else(|| self.from.illegal("order of a reservation"))?;
            let held = &mut self.held[place(wallet)];
            let sum = held.checked_add(remaining);
            *held = sum.ok_or_else(|| self.from.illegal("rest of a reservation"))?;
            self.ledger.reservations.add(id, asset, reservation);
            previous = id;
        }
        self.from.check(count == self.reserves, "number of reservations")
    }

    /// Whether a transaction has made it.
    fn is_made(&self, id: TransactionId, reservation: &Reservation) -> bool {
        let Reservation { order, wallet, original, remaining, released, .. } = reservation;
        let fits = |made: &Transaction| {
            made.kind == TransactionKind::Reserve
                && made.status == TransactionStatus::Completed
                && made.funding == Funding::None
                && (made.wallet, made.amount) == (*wallet, *original)
        };
        let spent = remaining.checked_add(*released);
        *order != 0
            && self.ledger.transactions.get(id).is_some_and(fits)
            && spent.is_some_and(|spent| spent <= *original)
    }

    /// Whether it goes on, or a transaction has ended it.
    fn is_ended(&self, id: TransactionId, reservation: &Reservation) -> bool {
        if reservation.is_active() {
            return reservation.released == 0;
        }
        let fits = |end: &Transaction| {
            end.kind == TransactionKind::Release
                && (end.link, end.amount) == (id, reservation.released)
        };
        let end = self.ledger.transactions.get(reservation.ended_by);
        reservation.remaining == 0 && end.is_some_and(fits)
    }

    /// Ascending.
    pub(super) fn burned(&mut self) -> Restored<()> {
        let mut previous = 0;
        let free = self.ledger.capacity.reservations.saturating_sub(self.reserves);
        for _ in 0..self.from.count("number of burned orders", free)? {
            let order: u128 = self.from.read("burned order")?;
            let is_free = order > previous && !self.ledger.reservations.has_any(order);
            self.from.check(is_free, "burned order")?;
            self.ledger.reservations.burn(order);
            previous = order;
        }
        Ok(())
    }

    /// By ascending id.
    pub(super) fn pending(&mut self) -> Restored<()> {
        let mut previous = TransactionId(0);
        let count = self.from.count("number of pending requests", self.ledger.capacity.pending)?;
        self.from.check(count == self.pending, "number of pending requests")?;
        for _ in 0..count {
            let (id, debit, credit, amount): (TransactionId, Account, Account, Amount) =
                self.from.read("pending request")?;
            let posting = Posting { debit, credit, amount };
            let source = Movement::of(&posting).ok().and_then(Movement::source);
            let fits = |waiting: &Transaction| {
                waiting.status == TransactionStatus::Pending && source == Some(waiting.wallet)
            };
            let is_known = self.ledger.transactions.get(id).is_some_and(fits);
            let is_sound = is_known && self.is_movement(debit, credit, amount);
            self.from.check(id > previous && is_sound, "pending request")?;
            let wallet = source.and_then(|source| self.ledger.books.wallet_mut(source));
            wallet.expect("its account exists").pending += 1;
            self.ledger.pending.insert(id, posting);
            previous = id;
        }
        Ok(())
    }
}
