//! Owns what queries are shown of assets, wallets and settled trades.
//! Knows nothing of events. Invariant: a copy of one says everything; nobody has to ask on.

use bincode::{Decode, Encode};
use engine::{Amount, AssetCode, AssetId, SignedAmount};
use uuid::Uuid;

use super::history::Head;
use crate::ids;
use crate::ledger::types::{TransactionId, UsedUp, UserId, WalletId, WalletStatus};

/// An asset as queries see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AssetView {
    pub id: AssetId,
    pub code: AssetCode,
    pub scale: u8,
    pub amount_min: Amount,
    pub amount_max: Amount,
    pub fees: SignedAmount,
    pub external: SignedAmount,
    pub withdrawals_frozen: bool,
}

/// A wallet as queries see it; amounts in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WalletView {
    pub id: WalletId,
    pub user: UserId,
    pub asset: AssetId,
    pub status: WalletStatus,
    pub available: Amount,
    pub reserved: Amount,
    pub opened_ns: u64,
    pub(super) head: Head,
}

impl WalletView {
    #[must_use]
    pub fn total(&self) -> Amount {
        self.available.saturating_add(self.reserved)
    }

    #[must_use]
    pub fn uuid(&self) -> Uuid {
        ids::wallet(self.id, self.opened_ns)
    }
}

/// A settled trade as queries see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SettlementView {
    pub transaction: TransactionId,
    pub settled_ns: u64,
    pub used_up: UsedUp,
}

/// What is known of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Yes(SettlementView),
    No,
    /// Too many trades were settled since the oldest one that is kept.
    Forgotten,
}
