//! Owns the vocabulary of the ledger's outputs: everything that it says happened.
//! Knows nothing of who listens. Invariant: every command but Tick emits at least one event, and
//! balances, histories and statuses are projections of this stream.

use bincode::{Decode, Encode};
use engine::{Amount, AssetCode, AssetId, SignedAmount};

use super::reject::RejectReason;
use super::types::{
    Account, FundingDirection, Reference, ReserveReason, Text, TransactionId, TransactionKind,
    TransactionStatus, UsedUp, UserId, WalletId, WalletStatus,
};
use crate::limits::{ENCODED_BYTES_MAX, NOTE_BYTES_MAX};

/// One thing that happened. Its time is its command's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// Nothing was changed and no key was used.
    CommandRejected {
        reason: RejectReason,
    },
    AssetAdded {
        asset: AssetId,
        code: AssetCode,
        scale: u8,
        amount_min: Amount,
        amount_max: Amount,
    },
    WalletOpened {
        wallet: WalletId,
        user: UserId,
        asset: AssetId,
    },
    /// The user had this wallet already.
    WalletExists {
        wallet: WalletId,
    },
    WalletStatusChanged {
        wallet: WalletId,
        status: WalletStatus,
    },
    WithdrawalsFrozen {
        asset: AssetId,
        frozen: bool,
    },
    /// A transaction began, ended or was refused; its movements follow at once, in order.
    Committed(Committed),
    /// One movement of the transaction before it.
    Posted(Posted),
    /// Part `part` (from 0) of the description of the transaction before it.
    Noted {
        transaction: TransactionId,
        part: u8,
        text: Text<NOTE_BYTES_MAX>,
    },
    /// Money is to move between the wallet and its trading account.
    FundingRequested {
        transaction: TransactionId,
        direction: FundingDirection,
        wallet: WalletId,
        user: UserId,
        asset: AssetId,
        amount: Amount,
        /// Engine time at which the transaction began, for its id.
        begun_ns: u64,
    },
    /// A reservation as it is now.
    ReservationChanged(ReservationState),
    /// The same request as before: what it came to then, and nothing happened this time.
    Repeated(Outcome),
    /// What a request that only asks would have come to: the subject's balance afterwards.
    WouldCommit {
        wallet: WalletId,
        new_balance: Amount,
    },
}

/// The head of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Committed {
    pub transaction: TransactionId,
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    /// Why it failed.
    pub reason: Option<RejectReason>,
    /// The wallet that it is about: whose money moves first.
    pub wallet: WalletId,
    /// Units that it is about.
    pub amount: Amount,
    /// Available and reserved of that wallet afterwards, together, and the available part.
    pub new_balance: Amount,
    pub available: Amount,
    /// Who asked, and by what name; the trade, order or transaction it is for.
    pub caller: UserId,
    pub reference: Reference,
    pub subject: u128,
    /// The transaction that this one reverses or concludes, else 0.
    pub link: TransactionId,
    /// Of a settlement.
    pub used_up: UsedUp,
    /// Movements that follow.
    pub legs: u8,
    /// BLAKE3 over the chain before it, this head (with a zero chain) and its movements.
    pub chain: [u8; 32],
}

/// What a transaction came to, as its request was and will be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    pub transaction: TransactionId,
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    pub reason: Option<RejectReason>,
    pub wallet: WalletId,
    pub amount: Amount,
    pub new_balance: Amount,
    pub available: Amount,
    /// Of the command that began it, and its engine time.
    pub sequence: u64,
    pub timestamp_ns: u64,
    pub used_up: UsedUp,
}

impl Committed {
    /// What its request is answered with.
    #[must_use]
    pub fn outcome(&self, sequence: u64, timestamp_ns: u64) -> Outcome {
        Outcome {
            transaction: self.transaction,
            kind: self.kind,
            status: self.status,
            reason: self.reason,
            wallet: self.wallet,
            amount: self.amount,
            new_balance: self.new_balance,
            available: self.available,
            sequence,
            timestamp_ns,
            used_up: self.used_up,
        }
    }
}

/// One movement: `amount` of `asset` from `debit` to `credit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Posted {
    pub transaction: TransactionId,
    pub leg: u8,
    pub asset: AssetId,
    pub debit: Account,
    pub credit: Account,
    pub amount: Amount,
    /// Balances of the two accounts right afterwards.
    pub debit_after: SignedAmount,
    pub credit_after: SignedAmount,
}

/// Money set aside for one order, or for trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReservationState {
    /// The transaction that made it.
    pub reservation: TransactionId,
    pub order: u128,
    pub reason: ReserveReason,
    pub wallet: WalletId,
    pub original: Amount,
    pub remaining: Amount,
    /// What was given back; captured = original - remaining - released.
    pub released: Amount,
    pub ended: bool,
}

impl Default for Event {
    fn default() -> Self {
        Self::WalletExists { wallet: WalletId(0) }
    }
}

engine::wire_value!(Event, ENCODED_BYTES_MAX);
