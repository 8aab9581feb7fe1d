//! Owns the ledger's state, the one match over commands, and how a transaction is recorded.
//! Knows no rule itself: each command's rules are in the module named after them. Reads no clock
//! and does no IO. Invariant: `apply` depends on (state, frame) alone; every transaction's
//! movements balance; a key stands for one transaction for ever.

use std::collections::BTreeMap;

use engine::{Amount, EventBuffer, Frame, RestoreError, StateMachine, clamp_timestamp};

pub mod books;
pub mod chain;
pub mod command;
pub mod event;
#[cfg(feature = "faults")]
mod faults;
mod funding;
mod invariants;
mod post;
pub mod reject;
mod reservations;
mod reserve;
mod restore;
mod reverse;
mod segmented_list;
mod settle;
mod snapshot;
mod transactions;
pub mod types;
mod wallets;

use books::{Books, Leg};
pub use command::{Command, Post, Posting, Postings, Release, Reserve, Settle};
pub use event::{Committed, Event, Outcome, Posted, ReservationState};
pub use reject::RejectReason;
pub use reservations::{Reservation, Reservations};
pub use transactions::{Funding, Key, Transaction, Transactions};
use types::{
    Reference, TransactionId, TransactionKind, TransactionStatus, UsedUp, UserId, WalletId,
};

use crate::limits;

/// How much a ledger may hold. Part of what it is: two ledgers with other bounds answer otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub assets: usize,
    pub wallets: usize,
    pub transactions: usize,
    pub reservations: usize,
    pub pending: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            assets: limits::ASSETS_MAX,
            wallets: limits::WALLETS_MAX,
            transactions: limits::TRANSACTIONS_MAX,
            reservations: limits::RESERVATIONS_MAX,
            pending: limits::PENDING_MAX,
        }
    }
}

/// A double-entry ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    capacity: Capacity,
    last_sequence: u64,
    now_ns: u64,
    books: Books,
    transactions: Transactions,
    reservations: Reservations,
    /// Withdrawals and transfers that wait for money from trading.
    pending: BTreeMap<TransactionId, Posting>,
    /// Hash chain over all transactions.
    chain: [u8; 32],
}

/// One part in so many of the transactions is kept for trading.
const TRADING_SHARE: usize = 8;

type Events = EventBuffer<Event>;
type Checked<T> = Result<T, RejectReason>;

/// A transaction about to be recorded.
#[derive(Clone, Copy, Debug)]
struct Draft {
    kind: TransactionKind,
    status: TransactionStatus,
    reason: Option<RejectReason>,
    funding: Funding,
    key: Option<Key>,
    fingerprint: u64,
    wallet: WalletId,
    amount: Amount,
    caller: UserId,
    reference: Reference,
    subject: u128,
    link: TransactionId,
    used_up: UsedUp,
}

impl Draft {
    /// A completed transaction with everything optional absent.
    fn new(kind: TransactionKind, wallet: WalletId, amount: Amount) -> Self {
        Self {
            kind,
            status: TransactionStatus::Completed,
            reason: None,
            funding: Funding::None,
            key: None,
            fingerprint: 0,
            wallet,
            amount,
            caller: UserId(0),
            reference: Reference::EMPTY,
            subject: 0,
            link: TransactionId(0),
            used_up: UsedUp::default(),
        }
    }

    fn failed(self, reason: RejectReason) -> Self {
        Self { status: TransactionStatus::Failed, reason: Some(reason), ..self }
    }
}

impl Ledger {
    /// A ledger with other bounds than the usual ones.
    #[must_use]
    pub fn with_capacity(capacity: Capacity) -> Self {
        Self { capacity, ..Self::default() }
    }

    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    #[must_use]
    pub fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    #[must_use]
    pub fn reservations(&self) -> &Reservations {
        &self.reservations
    }

    /// Transactions that wait for money from trading.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Head of the hash chain over all transactions; zero before the first.
    #[must_use]
    pub fn chain(&self) -> [u8; 32] {
        self.chain
    }

    fn dispatch(&mut self, command: &Command, events: &mut Events) -> Checked<()> {
        match command {
            Command::Tick => Ok(()),
            Command::AddAsset { asset, code, scale, amount_min, amount_max } => {
                self.add_asset(*asset, *code, *scale, (*amount_min, *amount_max), events)
            }
            Command::OpenWallet { user, asset } => self.open_wallet(*user, *asset, events),
            Command::Post(post) => self.post(post, events),
            Command::ConcludeFunding { transaction, granted } => {
                self.conclude_funding(*transaction, *granted, events)
            }
            Command::Reserve(reserve) => self.reserve(reserve, events),
            Command::Release(release) => self.release(release, events),
            Command::Settle(settle) => self.settle(settle, events),
            Command::Reverse { transaction } => self.reverse(*transaction, events),
            Command::SetWalletStatus { wallet, status } => {
                self.set_wallet_status(*wallet, *status, events)
            }
            Command::FreezeWithdrawals { asset, frozen } => {
                self.freeze_withdrawals(*asset, *frozen, events)
            }
        }
    }

    /// `Some` transaction if the same request was answered before.
    fn known(&self, key: Key, fingerprint: u64) -> Checked<Option<TransactionId>> {
        let Some(id) = self.transactions.find(key) else { return Ok(None) };
        let same = self.transactions.get(id).is_some_and(|t| t.fingerprint == fingerprint);
        if same { Ok(Some(id)) } else { Err(RejectReason::IdempotencyMismatch) }
    }

    /// Tells what a transaction came to, whose request has come again.
    fn repeat(&self, id: TransactionId, events: &mut Events) {
        let transaction = self.transactions.get(id).expect("a known transaction exists");
        events.push(Event::Repeated(transaction.again(id)));
    }

    /// As [`Self::has_room`], for what users ask for: the last eighth is kept for what must go on,
    /// trades and the end of what has begun, so that no number of requests stops those.
    fn has_room_for_requests(&self) -> Checked<()> {
        let kept = self.capacity.transactions / TRADING_SHARE;
        let room = self.transactions.len() < self.capacity.transactions - kept;
        if room { Ok(()) } else { Err(RejectReason::CapacityExhausted) }
    }

    fn has_room(&self) -> Checked<()> {
        let room = self.transactions.len() < self.capacity.transactions;
        if room { Ok(()) } else { Err(RejectReason::CapacityExhausted) }
    }

    fn total(&self, wallet: WalletId) -> Amount {
        self.books.wallet(wallet).map_or(0, books::Wallet::total)
    }

    fn available(&self, wallet: WalletId) -> Amount {
        self.books.wallet(wallet).map_or(0, |wallet| wallet.available)
    }

    /// Records a transaction whose movements were made.
    fn record(&mut self, draft: &Draft, legs: &[Leg], events: &mut Events) -> TransactionId {
        let first_leg = self.transactions.add_legs(legs);
        let transaction = Transaction {
            kind: draft.kind,
            status: draft.status,
            reason: draft.reason,
            funding: draft.funding,
            sequence: self.last_sequence,
            timestamp_ns: self.now_ns,
            fingerprint: draft.fingerprint,
            wallet: draft.wallet,
            amount: draft.amount,
            new_balance: self.total(draft.wallet),
            available: self.available(draft.wallet),
            first_leg,
            legs: u8::try_from(legs.len()).expect("bounded"),
            link: draft.link,
            used_up: draft.used_up,
        };
        let id = self.transactions.add(draft.key, transaction);
        self.publish(id, draft, legs, events);
        id
    }

    /// Ends a pending transaction, whose movements were made now.
    fn conclude(&mut self, id: TransactionId, draft: &Draft, legs: &[Leg], events: &mut Events) {
        let first_leg = self.transactions.add_legs(legs);
        let (new_balance, available) = (self.total(draft.wallet), self.available(draft.wallet));
        let transaction = self.transactions.get_mut(id).expect("a pending transaction exists");
        assert_eq!(transaction.status, TransactionStatus::Pending, "a transaction ends once");
        transaction.status = draft.status;
        transaction.reason = draft.reason;
        transaction.new_balance = new_balance;
        transaction.available = available;
        transaction.first_leg = first_leg;
        transaction.legs = u8::try_from(legs.len()).expect("bounded");
        self.publish(id, draft, legs, events);
    }

    /// Tells a transaction and its movements, and adds them to the chain.
    fn publish(&mut self, id: TransactionId, draft: &Draft, legs: &[Leg], events: &mut Events) {
        let mut head = Committed {
            transaction: id,
            kind: draft.kind,
            status: draft.status,
            reason: draft.reason,
            wallet: draft.wallet,
            amount: draft.amount,
            new_balance: self.total(draft.wallet),
            available: self.available(draft.wallet),
            caller: draft.caller,
            reference: draft.reference,
            subject: draft.subject,
            link: draft.link,
            used_up: draft.used_up,
            legs: u8::try_from(legs.len()).expect("bounded"),
            chain: [0; 32],
        };
        let posted = self.posted(id, legs);
        head.chain = chain::next(&self.chain, &head, &posted[..legs.len()]);
        self.chain = head.chain;
        events.push(Event::Committed(head));
        for leg in &posted[..legs.len()] {
            events.push(Event::Posted(*leg));
        }
    }

    /// The movements with the balances that each left behind, worked out backwards from now.
    fn posted(&self, id: TransactionId, legs: &[Leg]) -> [Posted; limits::LEGS_MAX] {
        let mut posted = [Posted::default(); limits::LEGS_MAX];
        for (index, leg) in legs.iter().enumerate() {
            let after = |account| {
                let later = legs[index + 1..].iter();
                later.fold(self.books.balance(account), |balance, later| {
                    let amount = later.amount.cast_signed();
                    balance + if later.debit == account { amount } else { 0 }
                        - if later.credit == account { amount } else { 0 }
                })
            };
            posted[index] = Posted {
                transaction: id,
                leg: u8::try_from(index).expect("bounded"),
                asset: self.books.asset_of(leg.debit).expect("an account has an asset"),
                debit: leg.debit,
                credit: leg.credit,
                amount: leg.amount,
                debit_after: after(leg.debit),
                credit_after: after(leg.credit),
            };
        }
        posted
    }
}

impl StateMachine for Ledger {
    type Command = Command;
    type Event = Event;

    const MACHINE_ID: u32 = 2;

    const TABLES: &'static [&'static str] =
        &["assets", "wallets", "transactions", "reservations", "pending"];

    fn schema_hash() -> [u8; 32] {
        *blake3::hash(b"matchring ledger encoding 1").as_bytes()
    }

    fn apply(&mut self, frame: &Frame<Command>, events: &mut Events) {
        assert_eq!(frame.sequence, self.last_sequence + 1, "a gap in the input");
        self.last_sequence = frame.sequence;
        self.now_ns = clamp_timestamp(self.now_ns, frame.timestamp_ns);
        if let Err(reason) = self.dispatch(&frame.command, events) {
            events.push(Event::CommandRejected { reason });
        }
    }

    fn tables(&self, mut show: impl FnMut(u64, u64)) {
        let Capacity { assets, wallets, transactions, reservations, pending } = self.capacity;
        for (used, max) in [
            (self.books.assets().len(), assets),
            (self.books.wallet_count(), wallets),
            (self.transactions.len(), transactions),
            (self.reservations.len(), reservations),
            (self.pending.len(), pending),
        ] {
            show(used as u64, max as u64);
        }
    }

    fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn last_timestamp_ns(&self) -> u64 {
        self.now_ns
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        snapshot::append(self, out);
    }

    fn restore(self, bytes: &[u8]) -> Result<Self, RestoreError> {
        restore::restored(self, bytes)
    }
}

/// Stands for the body of a request: equal bodies, equal fingerprints.
fn fingerprint(command: &Command) -> u64 {
    use engine::Codec;
    let mut bytes = [0; limits::ENCODED_BYTES_MAX];
    let len = command.encode_into(&mut bytes);
    let hash = blake3::hash(&bytes[..len]);
    let (head, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*head)
}

#[cfg(test)]
pub(crate) mod tests;
