//! Owns the composition: pipeline, views, listing, listeners, and their end in reverse.
//! Knows nothing of the command line. Invariant: a listener opens only when everything behind it is
//! recovered and listed, and the pipeline ends only when no request can reach it any more.

use std::net::SocketAddr;
use std::sync::Arc;

use engine::{Command, Engine, RejectReason};
use pipeline::{Clock, PipelineError, Running, Stopped, SystemClock};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use wallet::bank::Teller;

use crate::auth::{Authenticator, Scope};
use crate::config::Config;
use crate::convert;
use crate::error::ErrorCode;
use crate::exchange::Exchange;
use crate::exit_status;
use crate::expiry;
use crate::genesis::GenesisError;
use crate::ids;
use crate::limits::WALLET_TOKEN_TTL;
use crate::metrics::{Metrics, Sources};
use crate::money::{Money, MoneyError, Venue};
use crate::replies::{Answer, Waiter};
use crate::router;
use crate::server::{ListenError, Server};
use crate::state::{AppState, RequestBounds};
use crate::token_key::TokenKeyError;
use crate::wallet_server;

mod start;

pub(crate) use start::take_snapshot;
use start::{Recovered, recover};

/// Why the exchange does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    #[error(transparent)]
    TokenKey(#[from] TokenKeyError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error("the exchange's token for the wallet cannot be signed")]
    Sign,
    #[error("listing the configured products: {command:?} was refused: {reason:?}")]
    Refused { command: Box<Command>, reason: RejectReason },
    #[error("listing the configured products: {}", .0.text())]
    Submit(ErrorCode),
    #[error("no random bytes from the system: {0}")]
    Random(getrandom::Error),
    #[error("the start was interrupted")]
    Interrupted(#[from] JoinError),
}

impl AppError {
    /// Status with which the process should exit.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Pipeline(error) => error.exit_code(),
            Self::Money(error) => error.exit_code(),
            Self::Genesis(_)
            | Self::TokenKey(_)
            | Self::Listen(_)
            | Self::Refused { .. }
            | Self::Sign
            | Self::Random(_) => exit_status::CONFIGURATION,
            Self::Submit(_) | Self::Interrupted(_) => exit_status::HALT,
        }
    }
}

/// A running exchange.
#[derive(Debug)]
pub struct App {
    public_address: SocketAddr,
    admin_address: SocketAddr,
    wallet_address: Option<SocketAddr>,
    state: AppState,
    money: Money,
    stop: watch::Sender<bool>,
    /// The listeners, and what keeps time.
    tasks: Vec<JoinHandle<()>>,
    running: Running<Engine, Waiter>,
}

impl App {
    /// Recovers, lists what is configured, opens the listeners. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`AppError`]; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (recovery, at) = (config.clone(), Arc::clone(&clock));
        let Recovered { views, tally, running, bank, secret, snapshots, commands, last_event } =
            tokio::task::spawn_blocking(move || recover(&recovery, at)).await??;
        let exchange = Exchange::new(running.ingress(), config.server.request_timeout);
        let exchange = Arc::new(exchange);
        list(&exchange, commands).await?;
        let authenticator = Arc::new(Authenticator::new(&secret, config.auth.clone()));
        let token = wallet_token(&authenticator, &*clock)?;
        let venue = Venue {
            exchange: Arc::clone(&exchange),
            views: Arc::clone(&views),
            cursors: running.cursors(),
            sync: config.journal.sync,
            data_dir: config.data_dir.clone(),
            clock: Arc::clone(&clock),
            last_event,
        };
        let money = Money::start(&config, venue, bank, token).await?;
        let (body_bytes, rates) = (config.server.body_bytes_max, config.limits.rates);
        let bounds = Arc::new(RequestBounds::new(body_bytes, rates, Arc::clone(&clock)));
        let handles = Arc::new(money.state());
        let metrics = Metrics::of_exchange(Sources {
            tally,
            views: Arc::clone(&views),
            exchange: Arc::clone(&exchange),
            cursors: running.cursors(),
            counters: running.counters(),
            input_slots: config.pipeline.input_slots as u64,
            money: Arc::clone(&handles),
            clock: Arc::clone(&clock),
        });
        let metrics = Arc::new(metrics);
        let state = AppState {
            exchange,
            views,
            authenticator,
            clock,
            bounds,
            money: handles,
            metrics,
            snapshots: Some(snapshots),
        };
        watch_limits(&state);
        let Listening { servers, public_address, admin_address, wallet_address } =
            listen(&config, &state, money.teller()).await?;
        warn_beyond_loopback([public_address, admin_address].into_iter().chain(wallet_address));
        let stop = watch::Sender::new(false);
        let servers = servers.into_iter().map(|s| tokio::spawn(s.serve(stop.subscribe())));
        let mut tasks: Vec<_> = servers.collect();
        let AppState { exchange, views, clock, .. } = state.clone();
        tasks.push(tokio::spawn(expiry::keep_time(exchange, views, clock, stop.subscribe())));
        state.metrics.limits.log();
        let wallet = wallet_address.map(tracing::field::display);
        tracing::info!(%public_address, %admin_address, wallet_address = wallet, "ready");
        Ok(Self {
            public_address,
            admin_address,
            wallet_address,
            state,
            money,
            stop,
            tasks,
            running,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn public_address(&self) -> SocketAddr {
        self.public_address
    }

    /// Where operators connect.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Where the wallet is served, if it is in this process.
    #[must_use]
    pub fn wallet_address(&self) -> Option<SocketAddr> {
        self.wallet_address
    }

    /// What the handlers see.
    #[must_use]
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Refuses new commands, finishes what is in flight, closes the logs.
    pub async fn shutdown(self) -> Result<Stopped<Engine>, AppError> {
        tracing::info!("draining");
        self.state.exchange.drain();
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await?;
        }
        // What follows the exchange ends before it.
        self.money.stop().await;
        let running = self.running;
        Ok(tokio::task::spawn_blocking(move || running.shutdown()).await?)
    }
}

/// Listeners that are bound and serve nothing yet.
struct Listening {
    servers: Vec<Server>,
    public_address: SocketAddr,
    admin_address: SocketAddr,
    wallet_address: Option<SocketAddr>,
}

async fn listen(
    config: &Config,
    state: &AppState,
    teller: Option<Teller>,
) -> Result<Listening, ListenError> {
    let (server, at) = (&config.server, &config.server.listen);
    let public = Server::bind(*at, router::public(state.clone()), server).await?;
    let at = &config.server.admin_listen;
    let admin = Server::bind(*at, router::operators(state.clone()), server).await?;
    for (name, server) in [("public", &public), ("admin", &admin)] {
        let connections = server.usage();
        state.metrics.limits.watch(name, move || vec![connections()]);
    }
    let (public_address, admin_address) = (public.address(), admin.address());
    let mut servers = vec![public, admin];
    let mut wallet_address = None;
    if let Some(teller) = teller {
        let door = wallet_server::Door::of(state);
        let server = wallet_server::bind(config, teller, door, &state.metrics, false).await?;
        wallet_address = Some(server.address());
        servers.push(server);
    }
    Ok(Listening { servers, public_address, admin_address, wallet_address })
}

/// What has a bound and is no part of the exchange itself.
fn watch_limits(state: &AppState) {
    let limits = &state.metrics.limits;
    if let Some(desk) = state.snapshots.clone() {
        limits.watch("exchange", move || vec![desk.usage()]);
    }
    let bounds = Arc::clone(&state.bounds);
    limits.watch("public", move || bounds.rates.usage().into_iter().collect());
}

fn warn_beyond_loopback(addresses: impl Iterator<Item = SocketAddr>) {
    for address in addresses.filter(|address| !address.ip().is_loopback()) {
        tracing::warn!(%address, "listening beyond this machine without TLS");
    }
}

/// What the exchange shows to a wallet in another process that checks tokens with the same key.
fn wallet_token(authenticator: &Authenticator, clock: &dyn Clock) -> Result<String, AppError> {
    let exchange = ids::user("matchring.exchange").ok_or(AppError::Sign)?;
    let now_s = clock.wall_ns() / convert::NS_PER_S;
    let scopes = [Scope::Wallet, Scope::Admin];
    authenticator.sign(exchange, &scopes, now_s, WALLET_TOKEN_TTL).ok_or(AppError::Sign)
}

async fn list(exchange: &Exchange, commands: Vec<Command>) -> Result<(), AppError> {
    for command in commands {
        let answered = exchange.submit(command).await.map_err(AppError::Submit)?;
        match answered.answer {
            Answer::Rejected(reason) => {
                return Err(AppError::Refused { command: Box::new(command), reason });
            }
            _ => tracing::info!(sequence = answered.sequence, ?command, "listed"),
        }
    }
    Ok(())
}
