//! Owns the read models of the ledger: everything a query is answered from, built from released
//! events. Knows nothing of HTTP. Invariant: the publisher's thread alone writes, one command at a
//! time and in order; a reader holds the lock only while it copies, never across an await.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{AssetCode, AssetId, Frame, RestoreError, Usage};
use parking_lot::RwLock;
use pipeline::Outlet;
use tokio::sync::watch;

pub mod history;
mod model;
mod saved;
mod shown;
mod tally;
mod transactions;

pub use history::{Moment, Past, Until};
pub use shown::{AssetView, Settled, SettlementView, WalletView};
pub use tally::{Moved, Tally};
pub use transactions::{Kept, TransactionView};

use crate::client::FundingEvent;
use crate::ledger::types::{TransactionId, UserId, WalletId};
use crate::ledger::{Command, Event, Ledger, ReservationState};
use crate::limits::HISTORY_ENTRIES_MAX;
use model::Model;
pub(crate) use model::funding_event;

/// A copy out of the model, and the sequence whose state it shows.
#[derive(Clone, Debug)]
pub struct Read<T> {
    pub sequence: u64,
    pub value: T,
}

/// Shared by the publisher, which writes, and the handlers, which read.
#[derive(Debug)]
pub struct Views {
    model: RwLock<Model>,
    /// Balances of the past that the model keeps at most.
    history: usize,
    reflected: AtomicU64,
    /// The same for those who wait, moved once per batch.
    progress: watch::Sender<u64>,
}

impl Default for Views {
    fn default() -> Self {
        Self::new(HISTORY_ENTRIES_MAX)
    }
}

impl Views {
    /// Keeps at most `history` balances of the past.
    #[must_use]
    pub fn new(history: usize) -> Self {
        Self {
            model: RwLock::new(Model::new(history)),
            history,
            reflected: AtomicU64::new(0),
            progress: watch::Sender::new(0),
        }
    }

    /// The sequence that everything here shows at least.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.reflected.load(Ordering::Acquire)
    }

    /// Waits until everything here shows `sequence`. The caller bounds the wait.
    pub async fn reach(&self, sequence: u64) {
        let mut progress = self.progress.subscribe();
        // The sender lives as long as `self`, so the channel cannot close.
        let _ = progress.wait_for(|reached| *reached >= sequence).await;
    }

    fn read<T>(&self, copy: impl FnOnce(&Model) -> T) -> Read<T> {
        let model = self.model.read();
        Read { sequence: model.sequence.max(self.sequence()), value: copy(&model) }
    }

    #[must_use]
    pub fn asset(&self, id: AssetId) -> Option<AssetView> {
        self.model.read().asset(id)
    }

    #[must_use]
    pub fn asset_by_code(&self, code: AssetCode) -> Option<AssetView> {
        self.model.read().asset_by_code(code)
    }

    /// All assets in ascending id.
    #[must_use]
    pub fn assets(&self) -> Vec<AssetView> {
        self.model.read().assets()
    }

    #[must_use]
    pub fn wallet(&self, id: WalletId) -> Read<Option<WalletView>> {
        self.read(|model| model.wallet(id).copied())
    }

    #[must_use]
    pub fn wallet_of(&self, user: UserId, asset: AssetId) -> Read<Option<WalletView>> {
        self.read(|model| model.wallet_of(user, asset).copied())
    }

    /// Whether the user has any wallet.
    #[must_use]
    pub fn knows(&self, user: UserId) -> bool {
        self.model.read().wallets_of(user).next().is_some()
    }

    /// The user's wallets in ascending asset id.
    #[must_use]
    pub fn wallets_of(&self, user: UserId) -> Read<Vec<WalletView>> {
        self.read(|model| model.wallets_of(user).copied().collect())
    }

    /// Up to `max` wallets behind `after`, in ascending id.
    #[must_use]
    pub fn wallets_after(&self, after: WalletId, max: usize) -> Read<Vec<WalletView>> {
        self.read(|model| model.wallets_after(after).take(max).copied().collect())
    }

    /// What a wallet had at a moment; `None` if there is no such wallet.
    #[must_use]
    pub fn past(&self, wallet: WalletId, until: Until) -> Read<Option<Past>> {
        self.read(|model| model.past(wallet, until))
    }

    /// A transaction in full.
    #[must_use]
    pub fn transaction(&self, id: TransactionId) -> Read<Kept> {
        self.read(|model| model.transaction(id))
    }

    /// The wallet's newest transactions before `before` (all if `None`), newest first.
    #[must_use]
    pub fn transactions_of(
        &self,
        wallet: WalletId,
        before: Option<TransactionId>,
        max: usize,
    ) -> Read<Vec<TransactionView>> {
        self.read(|model| model.transactions_of(wallet, before, max))
    }

    /// How a trade was settled.
    #[must_use]
    pub fn settlement(&self, trade: u128) -> Settled {
        self.model.read().settlement(trade)
    }

    /// The reservation that an order has, and the wallet's owner.
    #[must_use]
    pub fn reservation_of_order(&self, order: u128) -> Option<(ReservationState, WalletView)> {
        self.model.read().reservation_of_order(order)
    }

    #[must_use]
    pub fn reservation(&self, id: TransactionId) -> Option<(ReservationState, WalletView)> {
        self.model.read().reservation(id)
    }

    /// How full everything is that is kept for queries.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        self.model.read().usage()
    }

    /// What was counted since the journal began.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.model.read().tally.clone()
    }

    /// When the transaction with this number began, for its id.
    #[must_use]
    pub fn begun_ns(&self, id: TransactionId) -> Option<u64> {
        self.model.read().begun_ns(id)
    }

    /// Funding events of commands behind `after`, oldest first: whole commands, `max` events or
    /// those of one command; none behind `until`, and [`None`] if `after` is too far back.
    #[must_use]
    pub fn funding(&self, after: u64, until: u64, max: usize) -> Option<Vec<FundingEvent>> {
        self.model.read().funding(after, until, max)
    }
}

/// The publisher's end.
#[derive(Debug)]
pub struct ViewFeed(pub Arc<Views>);

impl Outlet<Ledger> for ViewFeed {
    fn section(&self) -> Option<&'static str> {
        Some("views")
    }

    fn publish(&mut self, frame: &Frame<Command>, events: &[Event]) {
        if !events.is_empty() {
            self.0.model.write().apply(frame, events);
        }
        self.0.reflected.store(frame.sequence, Ordering::Release);
    }

    fn batch_end(&mut self, acked: u64) {
        self.0.progress.send_replace(acked);
    }

    fn save(&self, out: &mut Vec<u8>) {
        self.0.save(out);
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.0.restore(bytes)
    }
}
