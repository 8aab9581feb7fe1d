//! Owns the running of the comparison of trading and wallet: when, on what, and what follows.
//! Knows no identity itself. Invariant: it reads journals and asks nothing of the machines that
//! earn money, but for a hash when an operator wants one; it corrects nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::{AssetCode, Engine, StateMachine};
use parking_lot::{Mutex, RwLock};
use pipeline::{PipelineError, Shadow};
use serde::Serialize;
use settlement::Board;
use settlement::follower::Follower;
use settlement::reconcile::{Breach, Reconciler, Report};
use settlement::releases::{self, ReleasesError};
use wallet::bank::{Answer as LedgerAnswer, Teller};
use wallet::client::{CallContext, WalletClient};
use wallet::ledger::Ledger;

use super::{SETTLEMENT_DIR, Venue, fresh_engine};
use crate::limits::PROBE_TIMEOUT;
use crate::replies::Answer;

/// Why the books cannot be compared right now.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconciliationError {
    #[error(transparent)]
    Journal(#[from] PipelineError),
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    #[error("the comparison was interrupted")]
    Interrupted,
}

/// How the comparison is doing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReconciliationStatus {
    pub runs: u64,
    pub breaches: u64,
    /// Assets whose withdrawals were stopped.
    pub frozen: BTreeSet<String>,
    /// What the last run came to; absent before the first one.
    pub report: Option<Report>,
    /// Why the last run came to nothing.
    pub error: Option<String>,
}

/// Both machines once more, and what is known of what they did.
struct Books {
    engine: Shadow<Engine>,
    ledger: Shadow<Ledger>,
    reconciler: Reconciler,
    /// Hash of the live engine at a sequence that the shadow has not reached yet.
    engine_hash: Option<(u64, [u8; 32])>,
}

struct Shared {
    venue: Venue,
    teller: Option<Teller>,
    wallet_dir: PathBuf,
    client: Arc<dyn WalletClient>,
    board: Arc<Board>,
    /// Made at the first run: it costs the memory of a second exchange.
    books: Mutex<Option<Books>>,
    status: RwLock<ReconciliationStatus>,
    /// Breaches that were acted on.
    known: Mutex<Vec<Breach>>,
}

/// The running comparison.
pub struct Reconciliation {
    shared: Arc<Shared>,
    /// None if it compares only on request.
    follower: Option<Follower>,
}

impl std::fmt::Debug for Reconciliation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let runs = self.shared.status.read().runs;
        f.debug_struct("Reconciliation").field("runs", &runs).finish_non_exhaustive()
    }
}

impl Reconciliation {
    /// Compares `every` so often (never by itself if that is zero). Needs a tokio runtime.
    pub(super) fn start(
        venue: Venue,
        teller: Option<Teller>,
        wallet_dir: PathBuf,
        client: Arc<dyn WalletClient>,
        board: Arc<Board>,
        every: Duration,
    ) -> Self {
        let shared = Arc::new(Shared {
            venue,
            teller,
            wallet_dir,
            client,
            board,
            books: Mutex::new(None),
            status: RwLock::default(),
            known: Mutex::default(),
        });
        let worker = Arc::clone(&shared);
        let follower = (!every.is_zero()).then(|| {
            Follower::spawn(|mut stopped| async move {
                while tokio::time::timeout(every, stopped.changed()).await.is_err() {
                    worker.run(false).await;
                }
            })
        });
        Self { shared, follower }
    }

    /// What the last runs came to.
    #[must_use]
    pub fn status(&self) -> ReconciliationStatus {
        self.shared.status.read().clone()
    }

    /// Compares now, the hashes of both machines included, which each of them works out on its own
    /// thread.
    pub async fn run(&self) -> ReconciliationStatus {
        self.shared.run(true).await;
        self.status()
    }

    pub(super) async fn stop(&self) {
        if let Some(follower) = &self.follower {
            follower.stop().await;
        }
    }
}

impl Shared {
    async fn run(self: &Arc<Self>, with_hashes: bool) {
        let hashes = if with_hashes { self.hashes().await } else { Hashes::default() };
        let shared = Arc::clone(self);
        let report = tokio::task::spawn_blocking(move || shared.compare(&hashes)).await;
        let report = report.unwrap_or(Err(ReconciliationError::Interrupted));
        match report {
            Ok(report) => self.conclude(report).await,
            Err(error) => {
                tracing::error!(%error, "the books could not be compared");
                let mut status = self.status.write();
                status.error = Some(error.to_string());
                status.runs += 1;
            }
        }
    }

    /// Hashes of the live machines, each at its own sequence; none where one does not answer.
    async fn hashes(&self) -> Hashes {
        let ledger = match &self.teller {
            None => None,
            Some(teller) => teller.state_hash().await.ok(),
        };
        let ledger = ledger.and_then(|answered| match answered.answer {
            LedgerAnswer::StateHash(hash) => Some((answered.sequence, hash)),
            _ => None,
        });
        let engine = self.venue.exchange.state_hash().await.ok();
        let engine = engine.and_then(|answered| match answered.answer {
            Answer::StateHash(hash) => Some((answered.sequence, hash)),
            _ => None,
        });
        if let Some((sequence, _)) = engine {
            // So that the settled point reaches the hash, if settlement is up to date at all.
            let reached = async {
                while self.board.settled_through() < sequence {
                    tokio::time::sleep(settlement::limits::POLL_EVERY).await;
                }
            };
            let _ = tokio::time::timeout(PROBE_TIMEOUT, reached).await;
        }
        Hashes { engine, ledger }
    }

    /// Brings both shadows up to the settled point and compares them.
    fn compare(&self, hashes: &Hashes) -> Result<Report, ReconciliationError> {
        let mut slot = self.books.lock();
        let books = match &mut *slot {
            Some(books) => books,
            empty => empty.insert(Books {
                engine: Shadow::open(&self.venue.data_dir, fresh_engine())?,
                ledger: Shadow::open(&self.wallet_dir, Ledger::default())?,
                reconciler: Reconciler::default(),
                engine_hash: None,
            }),
        };
        let Books { engine, ledger, reconciler, engine_hash } = books;
        // Before the ledger is read to its end: so all of it is in what is read.
        let progress = self.board.progress();
        let releases = releases::peek(&self.venue.data_dir.join(SETTLEMENT_DIR))?;
        let mut breaches = Vec::new();
        if let Some((sequence, live)) = hashes.ledger {
            ledger.advance(sequence, |frame, events| reconciler.follow_ledger(frame, events))?;
            compare_hash("wallet", ledger.machine(), sequence, live, &mut breaches);
        }
        ledger.advance(u64::MAX, |frame, events| reconciler.follow_ledger(frame, events))?;
        *engine_hash = hashes.engine.or(*engine_hash);
        if let Some((sequence, live)) = engine_hash.filter(|(at, _)| *at <= progress.sequence) {
            engine.advance(sequence, |frame, events| reconciler.follow_engine(frame, events))?;
            compare_hash("exchange", engine.machine(), sequence, live, &mut breaches);
            *engine_hash = None;
        }
        let until = progress.sequence;
        engine.advance(until, |frame, events| reconciler.follow_engine(frame, events))?;
        let (engine, ledger) = (engine.machine(), ledger.machine());
        let mut report = reconciler.check(engine, ledger, &progress, releases.as_ref());
        report.breaches.extend(breaches);
        Ok(report)
    }

    /// Says what was found, and stops withdrawals of the assets that are concerned.
    async fn conclude(&self, report: Report) {
        let Report { sequence, ledger_sequence, balances, .. } = report;
        if report.breaches.is_empty() {
            tracing::debug!(sequence, ledger_sequence, balances, "the books agree");
        }
        for Breach { rule, asset, what } in &report.breaches {
            tracing::error!(rule, asset, what, sequence, "the books do not agree");
        }
        // What was seen before was acted on, and an operator may have decided since.
        let mut known = self.known.lock().clone();
        let new = report.breaches.iter().filter(|breach| !known.contains(*breach));
        let assets: BTreeSet<_> = new.flat_map(|breach| self.assets_of(breach)).collect();
        let mut stopped = BTreeSet::new();
        for code in &assets {
            let context = CallContext::within(PROBE_TIMEOUT);
            match self.client.freeze_withdrawals(context, *code, true).await {
                Ok(()) => drop(stopped.insert(code.to_string())),
                // The next run tries again.
                Err(error) => tracing::error!(%code, %error, "withdrawals could not be stopped"),
            }
        }
        if stopped.len() == assets.len() {
            known = report.breaches.clone();
        }
        *self.known.lock() = known;
        let mut status = self.status.write();
        status.runs += 1;
        status.breaches += report.breaches.len() as u64;
        status.frozen.extend(stopped);
        status.error = None;
        status.report = Some(report);
    }

    /// A breach that is of no asset in particular may be of any.
    fn assets_of(&self, breach: &Breach) -> Vec<AssetCode> {
        match breach.asset.as_deref().and_then(AssetCode::new) {
            Some(code) => vec![code],
            None => self.venue.views.products().assets().iter().map(|asset| asset.code).collect(),
        }
    }
}

/// Where the live machines stood, and the hash of their state there.
#[derive(Clone, Copy, Debug, Default)]
struct Hashes {
    engine: Option<(u64, [u8; 32])>,
    ledger: Option<(u64, [u8; 32])>,
}

fn compare_hash<S: StateMachine>(
    which: &str,
    machine: &S,
    sequence: u64,
    live: [u8; 32],
    breaches: &mut Vec<Breach>,
) {
    // A shadow that was ahead already cannot say anything of the past.
    if machine.last_sequence() == sequence && machine.state_hash() != live {
        let what = format!("the {which} at {sequence} is not what its journal replays to");
        breaches.push(Breach { rule: "REC5", asset: None, what });
    }
}
