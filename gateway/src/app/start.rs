//! Owns what comes before anything is listened to: the machine and the views from the disk, and
//! the pipeline that goes on with them.
//! Knows nothing of listeners. Invariant: whatever is refused here, nothing was started.

use std::sync::Arc;

use engine::{Command, Engine, EngineOptions, HashSecret};
use pipeline::{Clock, Instance, Outlet, Running, SnapshotDesk, SnapshotTaken};
use wallet::bank::Bank;

use super::AppError;
use crate::config::{Config, WalletBackend};
use crate::genesis::{self, Plan};
use crate::limits::{EXPECTED_CLIENT_IDS, EXPECTED_ORDERS, SECRET_BYTES};
use crate::metrics::{Tally, TallyFeed};
use crate::money::{self, MoneyError};
use crate::replay_progress;
use crate::replies::Waiter;
use crate::token_key;
use crate::views::{ViewFeed, Views};

/// What a start finds on disk.
pub(super) struct Recovered {
    pub(super) views: Arc<Views>,
    pub(super) tally: Arc<Tally>,
    pub(super) running: Running<Engine, Waiter>,
    pub(super) bank: Option<Bank>,
    pub(super) secret: [u8; SECRET_BYTES],
    pub(super) snapshots: SnapshotDesk,
    pub(super) commands: Vec<Command>,
    pub(super) last_event: u64,
}

/// Recovers both machines, checks the configuration against them and starts their pipelines.
pub(super) fn recover(config: &Config, clock: Arc<dyn Clock>) -> Result<Recovered, AppError> {
    let options = options(config)?;
    let hash_secret = secret()?;
    let (mut views, mut tally) = (Arc::default(), Arc::default());
    let recovered = pipeline::recover(&options, || {
        let instance;
        (instance, views, tally) = watched_engine(hash_secret);
        instance
    })?;
    let last_event = recovered.report.last_event_sequence;
    let secret = token_key::load_or_create(&config.data_dir)?;
    let Plan { commands, overruled } = genesis::plan(&config.products, &views.products())?;
    for (symbol, keys) in overruled {
        tracing::warn!(symbol, ?keys, "the journal's limits hold, not the configuration's");
    }
    let bank = match config.wallet.backend {
        WalletBackend::Embedded => {
            let opened = money::open_bank(config, Arc::clone(&clock));
            Some(opened.map_err(MoneyError::Bank)?)
        }
        WalletBackend::Http => None,
    };
    let mut running = pipeline::start(recovered, &options, clock)?;
    let snapshots =
        running.take_snapshots(config.snapshots, move || watched_engine(hash_secret).0)?;
    Ok(Recovered { snapshots, views, tally, running, bank, secret, commands, last_event })
}

/// Takes a snapshot of an exchange that is not running.
///
/// # Errors
/// As a start; the exchange may be running after all.
pub(crate) fn take_snapshot(config: &Config) -> Result<SnapshotTaken, AppError> {
    let options = options(config)?;
    let hash_secret = secret()?;
    let fresh = || watched_engine(hash_secret).0;
    let recovered = pipeline::recover(&options, fresh)?;
    Ok(pipeline::take_snapshot(recovered, &options, &config.snapshots, fresh())?)
}

/// What the exchange is opened with.
fn options(config: &Config) -> Result<pipeline::Options, AppError> {
    Ok(pipeline::Options {
        witness_sequence: money::witness(config)?,
        progress: Some(replay_progress::shown("exchange")),
        ..config.pipeline_options()
    })
}

/// A fresh engine with what is shown what it does.
fn watched_engine(hash_secret: HashSecret) -> (Instance<Engine>, Arc<Views>, Arc<Tally>) {
    let machine = Engine::new(EngineOptions {
        hash_secret,
        expected_orders: EXPECTED_ORDERS,
        expected_client_ids: EXPECTED_CLIENT_IDS,
        ..EngineOptions::default()
    });
    let (views, tally) = (Arc::new(Views::default()), Arc::new(Tally::default()));
    let outlets: Vec<Box<dyn Outlet<Engine>>> =
        vec![Box::new(ViewFeed(Arc::clone(&views))), Box::new(TallyFeed(Arc::clone(&tally)))];
    (Instance { machine, outlets }, views, tally)
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
