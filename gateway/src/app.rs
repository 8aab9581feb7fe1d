//! Owns the composition: recovery, pipeline, views, listing, listeners, and their end in reverse.
//! Knows nothing of the command line. Invariant: a listener opens only when everything behind it is
//! recovered and listed, and the pipeline ends only when no request can reach it any more.

use std::net::SocketAddr;
use std::sync::Arc;

use engine::{Command, Engine, EngineOptions, HashSecret, RejectReason};
use pipeline::{Outlet, PipelineError, Running, Stopped, SystemClock};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use crate::auth::Authenticator;
use crate::config::Config;
use crate::error::ErrorCode;
use crate::exchange::Exchange;
use crate::exit_status;
use crate::genesis::{self, GenesisError};
use crate::limits::{EXPECTED_CLIENT_IDS, EXPECTED_ORDERS};
use crate::replies::{Answer, Waiter};
use crate::router;
use crate::server::{ListenError, Server};
use crate::state::{AppState, RequestBounds};
use crate::token_key::{self, TokenKeyError};
use crate::views::{ViewFeed, Views};

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
            Self::Genesis(_)
            | Self::TokenKey(_)
            | Self::Listen(_)
            | Self::Refused { .. }
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
    state: AppState,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    running: Running<Engine, Waiter>,
}

impl App {
    /// Recovers, lists what is configured, opens the listeners. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`AppError`]; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let recovery = config.clone();
        let (views, running, secret, commands) =
            tokio::task::spawn_blocking(move || recover(&recovery)).await??;
        let exchange = Exchange::new(running.ingress(), config.server.request_timeout);
        let state = AppState {
            exchange: Arc::new(exchange),
            views,
            authenticator: Arc::new(Authenticator::new(&secret, config.auth.clone())),
            clock: Arc::new(SystemClock::new()),
            bounds: Arc::new(RequestBounds { body_bytes: config.server.body_bytes_max }),
        };
        list(&state.exchange, commands).await?;
        let (server, at) = (&config.server, &config.server.listen);
        let public = Server::bind(*at, router::public(state.clone()), server).await?;
        let at = &config.server.admin_listen;
        let admin = Server::bind(*at, router::operators(state.clone()), server).await?;
        let (public_address, admin_address) = (public.address(), admin.address());
        for address in [public_address, admin_address] {
            if !address.ip().is_loopback() {
                tracing::warn!(%address, "listening beyond this machine without TLS");
            }
        }
        let stop = watch::Sender::new(false);
        let servers = [public, admin].map(|s| tokio::spawn(s.serve(stop.subscribe()))).into();
        tracing::info!(%public_address, %admin_address, "ready");
        Ok(Self { public_address, admin_address, state, stop, servers, running })
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
        for server in self.servers {
            server.await?;
        }
        let running = self.running;
        Ok(tokio::task::spawn_blocking(move || running.shutdown()).await?)
    }
}

type Recovered = (Arc<Views>, Running<Engine, Waiter>, [u8; 32], Vec<Command>);

fn recover(config: &Config) -> Result<Recovered, AppError> {
    let views = Arc::new(Views::default());
    let mut outlets: Vec<Box<dyn Outlet<Engine>>> = vec![Box::new(ViewFeed(Arc::clone(&views)))];
    let options = config.pipeline_options();
    let engine = Engine::new(EngineOptions {
        hash_secret: secret()?,
        expected_orders: EXPECTED_ORDERS,
        expected_client_ids: EXPECTED_CLIENT_IDS,
    });
    let recovered = pipeline::recover(&options, engine, &mut outlets)?;
    let secret = token_key::load_or_create(&config.data_dir)?;
    let commands = genesis::plan(&config.products, &views.products())?;
    let running = pipeline::start(recovered, &options, outlets, Arc::new(SystemClock::new()))?;
    Ok((views, running, secret, commands))
}

/// Keys that clients choose are hashed with a secret of this process, so nobody can make them
/// collide; it changes no answer.
fn secret() -> Result<HashSecret, AppError> {
    let mut words = [0; 2];
    for word in &mut words {
        *word = getrandom::u64().map_err(AppError::Random)?;
    }
    Ok(HashSecret(words))
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
