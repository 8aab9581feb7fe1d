//! Owns the record of every transaction, its movements, and the keys that requests are known by.
//! Knows nothing of balances. Invariant: nothing here is ever forgotten or edited, but for the
//! status of a transaction that ends or is reversed.

use std::collections::BTreeMap;

use engine::Amount;

use super::books::Leg;
use super::event::Outcome;
use super::reject::RejectReason;
use super::segmented_list::SegmentedList;
use super::types::{TransactionId, TransactionKind, TransactionStatus, UsedUp, UserId, WalletId};

/// Names a request, whoever repeats it: the first 128 bits of a BLAKE3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub u128);

impl Key {
    /// The request of a caller under a reference.
    #[must_use]
    pub fn reference(caller: UserId, reference: &[u8]) -> Self {
        Self::of(1, &[&caller.0.to_le_bytes(), reference])
    }

    /// The reservation of an asset for an order.
    #[must_use]
    pub fn reservation(order: u128, asset: engine::AssetId) -> Self {
        Self::of(2, &[&order.to_le_bytes(), &asset.0.to_le_bytes()])
    }

    /// The settlement of a trade.
    #[must_use]
    pub fn settlement(trade: u128) -> Self {
        Self::of(3, &[&trade.to_le_bytes()])
    }

    /// The reversal of a transaction.
    #[must_use]
    pub fn reversal(transaction: TransactionId) -> Self {
        Self::of(4, &[&transaction.0.to_le_bytes()])
    }

    fn of(kind: u8, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[kind]);
        for part in parts {
            hasher.update(part);
        }
        let hash = hasher.finalize();
        let (head, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        Self(u128::from_le_bytes(*head))
    }
}

/// Whether a transaction moved money between a wallet and its trading account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Funding {
    #[default]
    None,
    /// What it brought was lent to trading.
    Funded,
    /// It waits, or waited, for trading to give money back.
    Recalled,
    /// Trading did not want what was lent: it is available again.
    Undone,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    pub reason: Option<RejectReason>,
    pub funding: Funding,
    /// Of the command that began it.
    pub sequence: u64,
    pub timestamp_ns: u64,
    /// Two requests with one key and one fingerprint are the same request.
    pub fingerprint: u64,
    /// The wallet that it is about.
    pub wallet: WalletId,
    pub amount: Amount,
    /// Of that wallet afterwards, available and reserved together, and the available part.
    pub new_balance: Amount,
    pub available: Amount,
    pub first_leg: usize,
    pub legs: u8,
    /// The transaction that it reverses, or that reversed it; 0 if none.
    pub link: TransactionId,
    /// Of a settlement.
    pub used_up: UsedUp,
}

impl Transaction {
    /// What it came to, for whoever asks again.
    #[must_use]
    pub fn again(&self, id: TransactionId) -> Outcome {
        Outcome {
            transaction: id,
            kind: self.kind,
            status: self.status,
            reason: self.reason,
            wallet: self.wallet,
            amount: self.amount,
            new_balance: self.new_balance,
            available: self.available,
            sequence: self.sequence,
            timestamp_ns: self.timestamp_ns,
            used_up: self.used_up,
        }
    }
}

/// All transactions.
#[derive(Clone, Debug, Default)]
pub struct Transactions {
    list: SegmentedList<Transaction>,
    legs: SegmentedList<Leg>,
    keys: BTreeMap<Key, TransactionId>,
}

impl Transactions {
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn get(&self, id: TransactionId) -> Option<&Transaction> {
        self.list.get(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }

    pub(super) fn get_mut(&mut self, id: TransactionId) -> Option<&mut Transaction> {
        self.list.get_mut(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }

    #[must_use]
    pub fn find(&self, key: Key) -> Option<TransactionId> {
        self.keys.get(&key).copied()
    }

    /// The movements of a transaction, in order.
    pub fn legs(&self, transaction: &Transaction) -> impl Iterator<Item = Leg> {
        let places = transaction.first_leg..transaction.first_leg + usize::from(transaction.legs);
        places.map(|place| *self.legs.get(place).expect("a transaction's movements are kept"))
    }

    /// Keeps movements; returns the place of the first one.
    pub(super) fn add_legs(&mut self, legs: &[Leg]) -> usize {
        let first = self.legs.len();
        for leg in legs {
            self.legs.push(*leg);
        }
        first
    }

    pub(super) fn add(&mut self, key: Option<Key>, transaction: Transaction) -> TransactionId {
        let id = TransactionId(self.list.push(transaction) as u64 + 1);
        if let Some(key) = key {
            self.add_key(key, id);
        }
        id
    }

    pub(super) fn add_key(&mut self, key: Key, id: TransactionId) {
        let previous = self.keys.insert(key, id);
        assert!(previous.is_none(), "a key is used once");
    }

    /// All transactions in ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (TransactionId, &Transaction)> {
        (1..).map(TransactionId).zip(self.list.iter())
    }

    /// All keys, ascending.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (&Key, &TransactionId)> {
        self.keys.iter()
    }
}
