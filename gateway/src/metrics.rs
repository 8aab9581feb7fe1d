//! Owns what a scrape shows, and the counters of the listeners. Knows nothing of who scrapes.
//! Invariant: everything is read from counters at the scrape and nothing is formatted before;
//! there is no secret, no user and no id among the labels, and as many series as there are routes,
//! words of the program and listed products.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use pipeline::{Clock, Counters, Cursors};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use wallet::bank::Teller;
use wallet::traffic::Traffic;

use crate::error::{ApiError, ErrorCode};
use crate::exchange::Exchange;
use crate::money::FundedOrders;
use crate::state::MoneyState;
use crate::views::Views;

mod http;
mod journal;
mod ledger;
mod limits;
mod page;
mod pipelines;
mod process;
mod settlement;
mod tally;
mod trading;

use http::Listeners;
use ledger::LedgerSide;
pub use limits::Limits;
use limits::Shown;
use pipelines::{Pipeline, Pipelines};
use process::Process;
use settlement::MoneySide;
pub use tally::{Tally, TallyFeed};
use trading::Trading;

/// Where everything is read from, in an exchange.
#[derive(Clone, Debug)]
pub struct Sources {
    pub tally: Arc<Tally>,
    pub views: Arc<Views>,
    pub exchange: Arc<Exchange>,
    pub cursors: Arc<Cursors>,
    pub counters: Arc<Counters>,
    pub input_slots: u64,
    pub money: Arc<MoneyState>,
    pub clock: Arc<dyn Clock>,
}

/// What is shown of a process.
pub struct Metrics {
    registry: Registry,
    /// Who has bounds that fill.
    pub limits: Arc<Limits>,
    /// Counters of the listeners.
    pub public: Arc<Traffic>,
    pub admin: Arc<Traffic>,
    pub wallet: Arc<Traffic>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Of an exchange, with its wallet where that is in the same process.
    #[must_use]
    pub fn of_exchange(sources: Sources) -> Self {
        let Sources { tally, views, exchange, cursors, counters, input_slots, money, clock } =
            sources;
        let [public, admin, wallet]: [Arc<Traffic>; 3] = Default::default();
        let teller = money.teller.clone();
        let mut listeners = vec![("public", Arc::clone(&public)), ("admin", Arc::clone(&admin))];
        let mut pipelines = vec![Pipeline::Exchange {
            exchange: Arc::clone(&exchange),
            cursors,
            counters,
            input_slots,
        }];
        if let Some(teller) = teller.clone() {
            listeners.push(("wallet", Arc::clone(&wallet)));
            pipelines.push(Pipeline::Wallet(teller));
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::starting_now(&*clock)));
        registry.register_collector(Box::new(Listeners(listeners)));
        registry.register_collector(Box::new(Pipelines(pipelines)));
        let limits = limits_of(&exchange, &views, &money);
        registry.register_collector(Box::new(Shown(Arc::clone(&limits))));
        registry.register_collector(Box::new(Trading { tally, views, exchange }));
        registry.register_collector(Box::new(MoneySide { money, clock }));
        if let Some(teller) = teller {
            let (traffic, told) = (Arc::clone(&wallet), teller.clone());
            limits.watch("wallet", move || told.usage());
            registry.register_collector(Box::new(LedgerSide { teller, traffic }));
        }
        Self { registry, limits, public, admin, wallet }
    }

    /// Of a wallet in a process of its own.
    #[must_use]
    pub fn of_wallet(teller: Teller, clock: &dyn Clock) -> Self {
        let [public, admin, wallet]: [Arc<Traffic>; 3] = Default::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::starting_now(clock)));
        registry.register_collector(Box::new(Listeners(vec![("wallet", Arc::clone(&wallet))])));
        registry.register_collector(Box::new(Pipelines(vec![Pipeline::Wallet(teller.clone())])));
        let limits = Arc::new(Limits::default());
        let (traffic, told) = (Arc::clone(&wallet), teller.clone());
        limits.watch("wallet", move || told.usage());
        registry.register_collector(Box::new(Shown(Arc::clone(&limits))));
        registry.register_collector(Box::new(LedgerSide { teller, traffic }));
        Self { registry, limits, public, admin, wallet }
    }

    /// The answer to a scrape.
    ///
    /// # Errors
    /// `INTERNAL_ERROR`: a collector failed.
    pub fn scrape(&self) -> Result<Response, ApiError> {
        const OPEN_METRICS: HeaderValue =
            HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        let mut page = String::new();
        text::encode(&mut page, &self.registry).map_err(|_| ErrorCode::InternalError)?;
        Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], page).into_response())
    }
}

/// What has a bound in an exchange, without its listeners and its wallet.
fn limits_of(exchange: &Arc<Exchange>, views: &Arc<Views>, money: &Arc<MoneyState>) -> Arc<Limits> {
    let limits = Arc::new(Limits::default());
    let asked = Arc::clone(exchange);
    limits.watch("exchange", move || asked.usage());
    let asked = Arc::clone(views);
    limits.watch("exchange", move || asked.usage());
    let asked = Arc::clone(money);
    limits.watch("exchange", move || {
        asked.funds.orders().map(FundedOrders::usage).into_iter().collect()
    });
    let asked = Arc::clone(money);
    limits.watch("settlement", move || asked.usage());
    limits
}
