//! Owns what every handler can reach. Knows nothing of how it was made.
//! Invariant: it is cloned for every request, so it holds shared pointers and nothing else.

use std::sync::Arc;

use engine::Usage;
use pipeline::{Clock, SnapshotDesk};
use settlement::Desk;
use settlement::limits::RELEASES_OWED_MAX;
use tokio::sync::{Mutex, Semaphore};
use wallet::bank::Teller;
use wallet::client::WalletClient;
use wallet::rates::{RateOptions, Rates};

use crate::auth::Authenticator;
use crate::convert::NS_PER_S;
use crate::exchange::Exchange;
use crate::limits::RECONCILE_REQUESTS_MAX;
use crate::metrics::Metrics;
use crate::money::{Funds, Reconciliation};
use crate::views::Views;

/// Shared by all requests of all listeners.
#[derive(Clone, Debug)]
pub struct AppState {
    pub exchange: Arc<Exchange>,
    pub views: Arc<Views>,
    pub authenticator: Arc<Authenticator>,
    pub clock: Arc<dyn Clock>,
    pub bounds: Arc<RequestBounds>,
    pub money: Arc<MoneyState>,
    pub metrics: Arc<Metrics>,
    /// Where a snapshot of the exchange may be asked for, if any are taken.
    pub snapshots: Option<SnapshotDesk>,
}

/// What handlers reach of the money side.
#[derive(Debug)]
pub struct MoneyState {
    pub client: Arc<dyn WalletClient>,
    /// What reserves for orders, if it has connections of its own.
    pub orders: Option<Arc<dyn WalletClient>>,
    /// The wallet's ledger, if it is in this process.
    pub teller: Option<Teller>,
    pub desk: Arc<Desk>,
    pub funds: Arc<Funds>,
    pub reconciliation: Arc<Reconciliation>,
}

impl MoneyState {
    /// How full everything of settlement is that has a bound.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        let owed = self
            .funds
            .releases()
            .map(|releases| Usage::new("releases_owed", releases.status().owed, RELEASES_OWED_MAX));
        self.desk.usage().into_iter().chain(owed).collect()
    }
}

/// What requests may cost.
#[derive(Debug)]
pub struct RequestBounds {
    /// Longest body, bytes.
    pub body_bytes: usize,
    /// Of the public listener.
    pub rates: Rates,
    /// Places for comparisons of the books that operators ask for.
    pub reconciliations: Semaphore,
    /// Held while an instrument is changed: each change is made from the present specification.
    pub spec_change: Arc<Mutex<()>>,
}

impl RequestBounds {
    #[must_use]
    pub fn new(body_bytes: usize, rates: RateOptions, clock: Arc<dyn Clock>) -> Self {
        let reconciliations = Semaphore::new(RECONCILE_REQUESTS_MAX);
        let rates = Rates::new(rates, clock);
        Self { body_bytes, rates, reconciliations, spec_change: Arc::default() }
    }
}

impl AppState {
    /// Wall clock, seconds since the Unix epoch.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.clock.wall_ns() / NS_PER_S
    }
}
