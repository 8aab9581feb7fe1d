//! Owns a running ledger: recovery, pipeline, views, the assets that are configured.
//! Knows nothing of HTTP. Invariant: what is configured is what the ledger has, or nothing opens.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use engine::{Amount, AssetCode, AssetId};
use pipeline::{
    Clock, Instance, Outlet, PipelineError, Running, SnapshotPolicy, SnapshotTaken, Stopped,
};

use crate::ledger::{Command, Ledger, RejectReason};
use crate::views::{ViewFeed, Views};

mod answer;
mod teller;

pub use answer::{Answer, Answered, Waiter};
use teller::Shared;
pub use teller::{HandOverError, Teller};

/// An asset that the ledger is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetTerms {
    pub id: AssetId,
    pub code: AssetCode,
    pub scale: u8,
    /// What one movement that a user asks for may be worth, units.
    pub amount_min: Amount,
    pub amount_max: Amount,
}

/// What a bank is opened with.
#[derive(Clone, Debug)]
pub struct BankOptions {
    pub pipeline: pipeline::Options,
    pub assets: Vec<AssetTerms>,
    /// Longest wait for the outcome of a command.
    pub timeout: Duration,
    /// Whether money that comes in is lent to trading, and recalled from there.
    pub fund: bool,
    /// Answer queries only.
    pub read_only: bool,
    /// When snapshots of the ledger are taken; `None`: never.
    pub snapshots: Option<SnapshotPolicy>,
}

/// Why a bank does not open.
#[derive(Debug, thiserror::Error)]
pub enum BankError {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("wallet: asset {code} was added with other terms before: {what}")]
    AssetDiffers { code: AssetCode, what: &'static str },
    #[error("wallet: adding {code}: {reason:?}")]
    Refused { code: AssetCode, reason: RejectReason },
    #[error("wallet: adding the configured assets: {0}")]
    Submit(HandOverError),
}

/// A fresh ledger with the views that are shown what it does.
fn watched_ledger() -> (Instance<Ledger>, Arc<Views>) {
    let views = Arc::new(Views::default());
    let outlets: Vec<Box<dyn Outlet<Ledger>>> = vec![Box::new(ViewFeed(Arc::clone(&views)))];
    (Instance { machine: Ledger::default(), outlets }, views)
}

/// Takes a snapshot of a ledger that is not running. Blocks while it replays.
///
/// # Errors
/// See [`PipelineError`]; somebody else may have the directory.
pub fn take_snapshot(
    options: &pipeline::Options,
    policy: &SnapshotPolicy,
) -> Result<SnapshotTaken, PipelineError> {
    let fresh = || watched_ledger().0;
    let recovered = pipeline::recover(options, fresh)?;
    pipeline::take_snapshot(recovered, options, policy, fresh())
}

/// A ledger with its pipeline.
#[derive(Debug)]
pub struct Bank {
    running: Running<Ledger, Waiter>,
    teller: Teller,
}

impl Bank {
    /// Recovers the ledger and starts it. Blocks while it replays: not for an async thread.
    ///
    /// # Errors
    /// See [`PipelineError`].
    pub fn open(options: &BankOptions, clock: Arc<dyn Clock>) -> Result<Self, BankError> {
        let mut views = Arc::default();
        let recovered = pipeline::recover(&options.pipeline, || {
            let instance;
            (instance, views) = watched_ledger();
            instance
        })?;
        check_assets(&options.assets, &views)?;
        let mut running = pipeline::start(recovered, &options.pipeline, clock)?;
        let take = |policy| running.take_snapshots(policy, || watched_ledger().0);
        let snapshots = options.snapshots.map(take).transpose()?;
        let shared = Shared {
            ingress: running.ingress(),
            views,
            cursors: running.cursors(),
            counters: running.counters(),
            sync: options.pipeline.journal.sync,
            timeout: options.timeout,
            fund: options.fund,
            read_only: AtomicBool::new(options.read_only),
            data_dir: options.pipeline.data_dir.clone(),
            snapshots,
        };
        Ok(Self { running, teller: Teller::new(shared) })
    }

    /// Adds the configured assets that the ledger does not know yet.
    ///
    /// # Errors
    /// [`BankError`].
    pub async fn add_assets(&self, assets: &[AssetTerms]) -> Result<(), BankError> {
        for terms in assets {
            let AssetTerms { id: asset, code, scale, amount_min, amount_max } = *terms;
            if self.teller.views().asset(asset).is_some() {
                continue;
            }
            let command = Command::AddAsset { asset, code, scale, amount_min, amount_max };
            let answered = self.teller.set_up(command).await.map_err(BankError::Submit)?;
            match answered.answer {
                Answer::Rejected(reason) => return Err(BankError::Refused { code, reason }),
                _ => tracing::info!(%code, scale, "asset added to the wallet"),
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// Refuses new commands, finishes the accepted ones, closes the logs. Blocks.
    #[must_use]
    pub fn close(self) -> Stopped<Ledger> {
        self.running.shutdown()
    }
}

/// What is configured must be what the ledger has: money may not change its name or its scale.
fn check_assets(assets: &[AssetTerms], views: &Views) -> Result<(), BankError> {
    for terms in assets {
        let known = views.asset(terms.id).or_else(|| views.asset_by_code(terms.code));
        let Some(known) = known else { continue };
        let code = terms.code;
        let differs = |what| Err(BankError::AssetDiffers { code, what });
        if (known.id, known.code) != (terms.id, terms.code) {
            return differs("id or code");
        }
        if known.scale != terms.scale {
            return differs("decimal places");
        }
    }
    Ok(())
}
