//! Owns the read models: everything a query is answered from, built from released events.
//! Knows nothing of HTTP. Invariant: a reader holds a lock only while it copies, never across an
//! await.

mod accounts;
mod balances;
mod feed;
mod history;
mod market;
mod orders;
mod own_trades;
mod products;
mod record;
mod saved;
mod state;
mod switches;
mod transfers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::balances::Balance;
use engine::{AccountId, AssetId, OrderId, TradeId, TransferId, Usage};
use parking_lot::RwLock;
use tokio::sync::watch;
use uuid::Uuid;

pub use accounts::Accounts;
pub use balances::Balances;
pub use feed::ViewFeed;
pub use market::{DepthLevel, Level, Market, PublicTrade};
pub use orders::Orders;
pub use own_trades::{OwnTrade, OwnTrades};
pub use products::{Asset, Instrument, Products};
pub use record::OrderRecord;
pub use state::{Ended, Fill, OrderState};
pub use switches::Switches;
pub use transfers::{AppliedTransfer, Transfers};

use crate::limits::ORDERS_PER_LOCK;

/// A copy out of a model, and the sequence whose state it shows.
#[derive(Clone, Debug)]
pub struct Read<T> {
    pub sequence: u64,
    pub value: T,
}

/// All read models. Shared by the publisher, which writes, and the handlers, which read.
#[derive(Debug)]
pub struct Views {
    orders: RwLock<Orders>,
    balances: RwLock<Balances>,
    market: RwLock<Market>,
    products: RwLock<Arc<Products>>,
    accounts: RwLock<Accounts>,
    transfers: RwLock<Transfers>,
    own_trades: RwLock<OwnTrades>,
    switches: RwLock<Switches>,
    /// Every model shows at least this sequence.
    reflected: AtomicU64,
    /// The same for those who wait, moved once per batch.
    progress: watch::Sender<u64>,
    /// When the next live order ends by time, nanoseconds since the Unix epoch.
    next_moment: watch::Sender<Option<u64>>,
}

impl Default for Views {
    fn default() -> Self {
        Self {
            orders: RwLock::default(),
            balances: RwLock::default(),
            market: RwLock::default(),
            products: RwLock::default(),
            accounts: RwLock::default(),
            transfers: RwLock::default(),
            own_trades: RwLock::default(),
            switches: RwLock::default(),
            reflected: AtomicU64::new(0),
            progress: watch::Sender::new(0),
            next_moment: watch::Sender::new(None),
        }
    }
}

impl Views {
    /// The sequence that every model shows at least.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.reflected.load(Ordering::Acquire)
    }

    /// Waits until every model shows `sequence`. The caller bounds the wait.
    pub async fn reach(&self, sequence: u64) {
        let mut progress = self.progress.subscribe();
        // The sender lives as long as `self`, so the channel cannot close.
        let _ = progress.wait_for(|reached| *reached >= sequence).await;
    }

    /// Follows the moment at which the next live order ends by time, nanoseconds since the Unix
    /// epoch.
    #[must_use]
    pub fn next_moment(&self) -> watch::Receiver<Option<u64>> {
        self.next_moment.subscribe()
    }

    /// Copies out of a model under its lock. A model that no command has touched since is as new as
    /// all the others, hence the larger of the two sequences.
    fn read<M, T>(
        &self,
        model: &RwLock<M>,
        own: impl FnOnce(&M) -> u64,
        copy: impl FnOnce(&M) -> T,
    ) -> Read<T> {
        let reflected = self.sequence();
        let model = model.read();
        Read { sequence: reflected.max(own(&model)), value: copy(&model) }
    }

    /// How full everything is that forgets the oldest.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        let [closed, refused] = self.orders.read().usage();
        vec![
            closed,
            refused,
            self.transfers.read().usage(),
            self.own_trades.read().usage(),
            self.market.read().usage(),
        ]
    }

    #[must_use]
    pub fn products(&self) -> Arc<Products> {
        Arc::clone(&self.products.read())
    }

    #[must_use]
    pub fn account(&self, user: Uuid) -> Option<AccountId> {
        self.accounts.read().find(user)
    }

    #[must_use]
    pub fn user(&self, account: AccountId) -> Option<Uuid> {
        self.accounts.read().user(account)
    }

    #[must_use]
    pub fn transfer(&self, id: TransferId) -> Option<AppliedTransfer> {
        self.transfers.read().get(id)
    }

    /// Whether any trading account was ever credited.
    #[must_use]
    pub fn has_credits(&self) -> bool {
        self.transfers.read().has_credits()
    }

    /// Copies what `copy` picks out of the orders.
    pub fn orders<T>(&self, copy: impl FnOnce(&Orders) -> T) -> Read<T> {
        self.read(&self.orders, Orders::sequence, copy)
    }

    /// Shows the account's orders to `visit`, newest first, until it has enough. The lock is given
    /// back every [`ORDERS_PER_LOCK`] orders, so the sequence is the one shown at least.
    pub fn visit_orders(
        &self,
        account: AccountId,
        mut visit: impl FnMut(&OrderRecord) -> bool,
    ) -> u64 {
        let mut before = OrderId(u64::MAX);
        let mut sequence = None;
        loop {
            let read = self.orders(|orders| {
                let mut page = orders.newest_first(account, before).take(ORDERS_PER_LOCK);
                let mut seen = 0;
                let enough = page.any(|record| {
                    before = record.id;
                    seen += 1;
                    !visit(record)
                });
                enough || seen < ORDERS_PER_LOCK
            });
            let first = *sequence.get_or_insert(read.sequence);
            if read.value {
                return first;
            }
        }
    }

    /// Copies what `copy` picks out of the kill switches.
    pub fn switches<T>(&self, copy: impl FnOnce(&Switches) -> T) -> Read<T> {
        self.read(&self.switches, Switches::sequence, copy)
    }

    #[must_use]
    pub fn balances(&self, account: AccountId) -> Read<Vec<(AssetId, Balance)>> {
        self.read(&self.balances, Balances::sequence, |b| b.of(account).collect())
    }

    /// Newest trades of an order before `before`, newest first, `max` at most.
    #[must_use]
    pub fn own_trades(
        &self,
        order: OrderId,
        before: Option<TradeId>,
        max: usize,
    ) -> Read<Vec<OwnTrade>> {
        let copy = |trades: &OwnTrades| trades.of_order(order, before, max);
        self.read(&self.own_trades, OwnTrades::sequence, copy)
    }

    /// Copies what `copy` picks out of the market data.
    pub fn market<T>(&self, copy: impl FnOnce(&Market) -> T) -> Read<T> {
        self.read(&self.market, Market::sequence, copy)
    }
}

#[cfg(test)]
pub(crate) mod tests;
