//! Owns the listener of the wallet: who may come in, and the process that serves nothing else.
//! Knows no path of it. Invariant: nobody without a token of the right scope reaches the ledger,
//! but for the probes of whether it is up.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use pipeline::{Clock, Stopped, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wallet::bank::{Bank, Teller};
use wallet::ledger::Ledger;
use wallet::service::{self, Caller, ServiceOptions, ServiceState};

use crate::app::AppError;
use crate::auth::{Authenticator, Scope};
use crate::config::{Config, LimitsConfig};
use crate::convert::NS_PER_S;
use crate::metrics::Metrics;
use crate::money::{self, MoneyError};
use crate::server::{ListenError, Server};
use crate::state::AppState;
use crate::token_key;

/// Who decides about callers.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    authenticator: Arc<Authenticator>,
    clock: Arc<dyn Clock>,
}

impl Door {
    pub(crate) fn of(state: &AppState) -> Self {
        let (authenticator, clock) = (Arc::clone(&state.authenticator), Arc::clone(&state.clock));
        Self { authenticator, clock }
    }
}

/// The wallet's listener. One that is alone in its process answers scrapes, too; beside an exchange
/// that shows everything.
pub(crate) async fn bind(
    config: &Config,
    teller: Teller,
    door: Door,
    metrics: &Arc<Metrics>,
    is_alone: bool,
) -> Result<Server, ListenError> {
    let clock = Arc::clone(&door.clock);
    let body_bytes = config.server.body_bytes_max;
    let LimitsConfig { rates, reports } = config.limits;
    let options = ServiceOptions { body_bytes, rates, reports, ..ServiceOptions::default() };
    let traffic = Arc::clone(&metrics.wallet);
    let service = ServiceState::new(teller, options, clock).counted_by(traffic);
    let asked = service.clone();
    metrics.limits.watch("wallet", move || asked.usage().collect());
    let own = if is_alone { scrapes(Arc::clone(metrics)) } else { Router::new() };
    let router = service::router_with(service, own).layer(from_fn_with_state(door, let_in));
    let server = Server::bind(config.wallet.listen, router, &config.server).await?;
    let connections = server.usage();
    metrics.limits.watch("wallet", move || vec![connections()]);
    Ok(server)
}

/// Without a token, as scrapers have none.
fn scrapes(metrics: Arc<Metrics>) -> Router<ServiceState> {
    let scrape = move || {
        let metrics = Arc::clone(&metrics);
        async move { metrics.scrape().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR) }
    };
    Router::new().route("/metrics", get(scrape))
}

/// Names the caller to the service; a token that does not verify is as good as none.
async fn let_in(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let now_s = door.clock.wall_ns() / NS_PER_S;
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|text| text.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let caller = token.and_then(|(_, token)| door.authenticator.verify(token.trim(), now_s));
    if let Some(caller) = caller.filter(|c| c.may(Scope::Wallet) || c.may(Scope::Admin)) {
        request.extensions_mut().insert(Caller {
            user: caller.user,
            may_write: caller.may(Scope::Wallet),
            is_operator: caller.may(Scope::Admin),
        });
    }
    next.run(request).await
}

/// A wallet in a process of its own.
#[derive(Debug)]
pub struct WalletApp {
    address: SocketAddr,
    bank: Bank,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl WalletApp {
    /// Recovers the ledger and opens the listener. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`AppError`]; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (recovery, at) = (config.clone(), Arc::clone(&clock));
        let opened = tokio::task::spawn_blocking(move || {
            let bank = money::open_bank(&recovery, at).map_err(MoneyError::Bank)?;
            let secret = token_key::load_or_create(&recovery.data_dir)?;
            Ok::<_, AppError>((bank, secret))
        });
        let (bank, secret) = opened.await??;
        bank.add_assets(&config.wallet.assets).await.map_err(MoneyError::Bank)?;
        let authenticator = Arc::new(Authenticator::new(&secret, config.auth.clone()));
        let metrics = Arc::new(Metrics::of_wallet(bank.teller(), &*clock));
        let door = Door { authenticator, clock };
        let server = bind(&config, bank.teller(), door, &metrics, true).await?;
        let address = server.address();
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "listening beyond this machine without TLS");
        }
        let stop = watch::Sender::new(false);
        let server = tokio::spawn(server.serve(stop.subscribe()));
        metrics.limits.log();
        tracing::info!(wallet_address = %address, "ready");
        Ok(Self { address, bank, stop, server })
    }

    /// Where callers connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes what is in flight and closes the logs.
    ///
    /// # Errors
    /// A task was interrupted.
    pub async fn shutdown(self) -> Result<Stopped<Ledger>, AppError> {
        tracing::info!("draining");
        self.stop.send_replace(true);
        self.server.await?;
        let bank = self.bank;
        Ok(tokio::task::spawn_blocking(move || bank.close()).await?)
    }
}
