//! Owns how orders come to their money: lent in advance, or reserved for each order.
//! Knows nothing of single orders or movements. Invariant: a data directory keeps to one of the two
//! for ever, because trades of one kind would be settled wrongly as the other.

use std::path::Path;
use std::sync::Arc;

use settlement::funding::{self, FUNDING_FILE, Funding};
use settlement::releases::{RELEASES_FILE, ReleaseParts, Releases};
use settlement::{Board, RetryPolicy};
use wallet::client::WalletClient;
use wallet::ledger::types::CreditTo;

use super::directory::ListedNames;
use super::funded_orders::FundedOrders;
use super::source::EventLogSource;
use super::trading::TradingAccounts;
use super::{MoneyError, Venue};
use crate::config::FundingMode;

/// Ways to the wallet: what settles is not held up by what places orders.
pub(super) struct Clients {
    pub(super) background: Arc<dyn WalletClient>,
    pub(super) orders: Arc<dyn WalletClient>,
}

/// What brings money to orders.
#[derive(Debug)]
pub enum Funds {
    /// Trading accounts hold what wallets have lent.
    Prefunded(Funding),
    /// Each order has a reservation at the wallet.
    PerOrder { orders: FundedOrders, releases: Releases },
}

/// Where a settlement takes its payments from and puts its proceeds.
#[must_use]
pub fn credit_to(mode: FundingMode) -> CreditTo {
    match mode {
        FundingMode::Prefunded => CreditTo::Reserved,
        FundingMode::PerOrder => CreditTo::Available,
    }
}

impl Funds {
    /// Takes up what was under way when the exchange ended.
    pub(super) async fn start(
        mode: FundingMode,
        venue: &Venue,
        directory: &Path,
        Clients { background: client, orders }: Clients,
        board: Arc<Board>,
        retry: RetryPolicy,
    ) -> Result<Self, MoneyError> {
        match mode {
            FundingMode::Prefunded => {
                check_cursor(venue.views.has_credits(), directory, FUNDING_FILE)?;
                let trading = Arc::new(TradingAccounts::new(venue.clone()));
                let funding = Funding::start(directory, client, trading, board, retry)?;
                Ok(Self::Prefunded(funding))
            }
            FundingMode::PerOrder => {
                let announced = venue.views.orders(|orders| orders.has_announced()).value;
                check_cursor(announced, directory, RELEASES_FILE)?;
                let orders = FundedOrders::new(venue.clone(), orders);
                let releases = Releases::start(directory, venue.last_event, |from| {
                    let source = Box::new(EventLogSource::open(venue, from)?);
                    let directory = Arc::new(ListedNames(Arc::clone(&venue.views)));
                    Ok(ReleaseParts { source, directory, client, board, retry })
                })?;
                orders.give_up_waiting().await;
                Ok(Self::PerOrder { orders, releases })
            }
        }
    }

    /// Fails if the data directory has kept to the other way so far.
    pub(super) fn check_mode(
        mode: FundingMode,
        venue: &Venue,
        directory: &Path,
    ) -> Result<(), MoneyError> {
        let other = match mode {
            FundingMode::Prefunded => venue.views.orders(|orders| orders.has_announced()).value,
            // What was lent may not have been credited yet.
            FundingMode::PerOrder => {
                venue.views.has_credits() || funding::saved_cursor(directory)? > 0
            }
        };
        if other { Err(MoneyError::OtherFunding(mode)) } else { Ok(()) }
    }

    /// The placing of orders that have reservations of their own.
    #[must_use]
    pub fn orders(&self) -> Option<&FundedOrders> {
        match self {
            Self::Prefunded(_) => None,
            Self::PerOrder { orders, .. } => Some(orders),
        }
    }

    /// The funding of trading accounts.
    #[must_use]
    pub fn funding(&self) -> Option<&Funding> {
        match self {
            Self::Prefunded(funding) => Some(funding),
            Self::PerOrder { .. } => None,
        }
    }

    /// The giving back of what orders did not need.
    #[must_use]
    pub fn releases(&self) -> Option<&Releases> {
        match self {
            Self::Prefunded(_) => None,
            Self::PerOrder { releases, .. } => Some(releases),
        }
    }

    pub(super) async fn stop(&self) {
        match self {
            Self::Prefunded(funding) => funding.stop().await,
            Self::PerOrder { orders, releases } => {
                orders.stop().await;
                releases.stop().await;
            }
        }
    }
}

/// Where money was moved there is a cursor.
fn check_cursor(moved: bool, directory: &Path, file: &str) -> Result<(), MoneyError> {
    let path = directory.join(file);
    if moved && !path.exists() { Err(MoneyError::CursorLost(path)) } else { Ok(()) }
}
