//! Owns the way of money between wallets and trading accounts.
//! Knows nothing of orders. Invariant: what a wallet lends is credited to trading exactly once; what
//! a wallet asks back leaves trading before it leaves the wallet, and a refusal leaves both as they
//! were. Whatever fails is done again from the cursor, and every step is idempotent by its key.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bincode::{Decode, Encode};
use engine::{Amount, AssetCode, codec};
use futures_util::StreamExt;
use futures_util::stream;
use journal::{JournalError, StateFile};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;
use wallet::client::{CallContext, FundingEvent, WalletClient, WalletError};
use wallet::ledger::types::FundingDirection;

use crate::board::Board;
use crate::desk::create;
use crate::limits::{
    CALL_TIMEOUT_DEFAULT, FUNDING_WAIT, FUNDING_WAIT_MIN, FUNDING_WINDOW, SAVE_EVERY,
};
use crate::options::RetryPolicy;

mod conclusions;
mod movements;

use conclusions::{Conclusion, Conclusions};
use movements::{Answered, carry_out};

/// File of the cursor in the directory of settlement.
pub const FUNDING_FILE: &str = "funding.state";

/// Version of its body.
const FORMAT: u16 = 1;

/// Namespace of the ids under which trading knows a movement.
const MOVEMENTS: Uuid = Uuid::from_u128(0x5b0e_11c6_3c0f_5d5e_8f7a_6d61_7463_6805);

/// What became of a movement in the trading account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Now or before; `sequence` is that of a command at or behind the movement.
    Done {
        sequence: u64,
    },
    /// It never will be.
    Refused(String),
    /// It may have been: ask again.
    Unknown(String),
}

/// The trading accounts. Every movement is known by its id, and is made once.
#[async_trait]
pub trait Trading: Send + Sync {
    async fn credit(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: Amount) -> Moved;

    async fn debit(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: Amount) -> Moved;
}

/// The id under which trading knows the movement of a transaction.
#[must_use]
pub fn movement_id(event: &FundingEvent) -> Uuid {
    let mut name = [0; 33];
    name[..16].copy_from_slice(event.transaction_id.as_bytes());
    name[16..32].copy_from_slice(event.user_id.as_bytes());
    name[32] = event.direction.code();
    Uuid::new_v5(&MOVEMENTS, &name)
}

/// Both in one file: what trading has answered is never asked of it again, and what the wallet is
/// to be told is not forgotten.
#[derive(Encode, Decode)]
struct Stored {
    format: u16,
    cursor: u64,
    conclusions: Vec<Conclusion>,
}

/// Why funding does not start.
#[derive(Debug, thiserror::Error)]
pub enum FundingError {
    #[error("funding: {0}")]
    File(#[from] JournalError),
    #[error("funding: {0}: not written by this program")]
    Unreadable(PathBuf),
}

/// Running funding.
#[derive(Debug)]
pub struct Funding {
    cursor: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Funding {
    /// Takes over the cursor, and carries out everything behind it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`FundingError`]; nothing is left running.
    pub fn start(
        directory: &Path,
        client: Arc<dyn WalletClient>,
        trading: Arc<dyn Trading>,
        board: Arc<Board>,
        retry: RetryPolicy,
    ) -> Result<Self, FundingError> {
        create(directory)?;
        let path = directory.join(FUNDING_FILE);
        let (file, body) = StateFile::open(&path)?;
        let (cursor, conclusions) = match body {
            Some(body) => read(&path, &body)?,
            None => (0, Vec::new()),
        };
        let (progress, shown) = watch::channel(cursor);
        let (stop, stopped) = watch::channel(false);
        let worker = Worker {
            client,
            trading,
            board,
            retry,
            file: Some(file),
            cursor,
            conclusions: Conclusions::new(conclusions),
            unsaved: false,
            saved_at: Instant::now(),
            progress,
        };
        let task = tokio::sync::Mutex::new(Some(tokio::spawn(worker.run(stopped))));
        Ok(Self { cursor: shown, stop, task })
    }

    /// Trading has answered the wallet's events up to this one.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        *self.cursor.borrow()
    }

    /// Ends at once; what is under way is done again, without effect, after the next start.
    /// Whoever asks again waits, too.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take() {
            // A panic has been reported by the runtime; there is nothing left to wait for.
            let _ = task.await;
        }
    }
}

fn read(path: &Path, body: &[u8]) -> Result<(u64, Vec<Conclusion>), FundingError> {
    let unreadable = || FundingError::Unreadable(path.to_owned());
    let stored: Stored = codec::read_whole(body).map_err(|_| unreadable())?;
    if stored.format != FORMAT {
        return Err(unreadable());
    }
    Ok((stored.cursor, stored.conclusions))
}

/// A page of events, as soon as trading has answered all of them.
type Reading = Pin<Box<dyn Future<Output = Result<Vec<Answered>, WalletError>> + Send>>;

struct Worker {
    client: Arc<dyn WalletClient>,
    trading: Arc<dyn Trading>,
    board: Arc<Board>,
    retry: RetryPolicy,
    file: Option<StateFile>,
    /// Trading has answered the events up to this one.
    cursor: u64,
    conclusions: Conclusions,
    unsaved: bool,
    saved_at: Instant,
    progress: watch::Sender<u64>,
}

impl Worker {
    /// Works until `stopped` says so, or nobody is left who could say it. A save is never given up
    /// half way: whoever starts next must find the file at rest.
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut failures = 0;
        let mut reading = self.reading(Duration::ZERO);
        while self.file.is_some() {
            tokio::select! {
                answered = &mut reading => {
                    let pause = self.take_note(answered, &mut failures);
                    reading = self.reading(pause);
                }
                () = tokio::time::sleep_until(self.next_look()) => {}
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
            tokio::select! {
                () = self.conclude() => {}
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
            if self.unsaved && self.saved_at.elapsed() >= SAVE_EVERY {
                self.save().await;
            }
        }
        if self.unsaved {
            self.save().await;
        }
    }

    fn next_look(&self) -> Instant {
        if self.conclusions.is_empty() {
            Instant::now() + SAVE_EVERY
        } else {
            self.conclusions.next_look().min(Instant::now() + SAVE_EVERY)
        }
    }

    /// The next page, after a pause.
    fn reading(&self, pause: Duration) -> Reading {
        let (client, trading) = (Arc::clone(&self.client), Arc::clone(&self.trading));
        let (after, retry) = (self.cursor, self.retry);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            let soonest = Instant::now() + FUNDING_WAIT_MIN;
            let timeout = FUNDING_WAIT + CALL_TIMEOUT_DEFAULT;
            let context = CallContext::within(timeout);
            let events = client.funding_events(context, after, FUNDING_WINDOW, FUNDING_WAIT);
            // The client keeps to the deadline; this is for one that does not.
            let page = tokio::time::timeout(timeout * 2, events).await;
            let page = page.unwrap_or(Err(WalletError::Timeout))?;
            if page.is_empty() {
                tokio::time::sleep_until(soonest).await;
            }
            Ok(carry_out(&*trading, page, retry).await)
        })
    }

    /// What follows from a page of answers; returns the pause before the next one.
    fn take_note(
        &mut self,
        answered: Result<Vec<Answered>, WalletError>,
        failures: &mut u32,
    ) -> Duration {
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => {
                *failures = failures.saturating_add(1);
                if *failures == 1 {
                    tracing::warn!(%error, "the wallet's funding events cannot be read");
                }
                return self.retry.pause(*failures);
            }
        };
        *failures = 0;
        for (event, answer) in answered {
            let FundingEvent { cursor, transaction_id, direction, user_id, asset, .. } = event;
            match (direction, answer) {
                (FundingDirection::Fund, Ok(_)) => {}
                (FundingDirection::Recall, Ok(after)) => {
                    let granted = Conclusion::granted(transaction_id, user_id, asset, after);
                    self.conclusions.add(granted);
                }
                (_, Err(reason)) => {
                    if direction == FundingDirection::Fund {
                        tracing::error!(
                            transaction = %transaction_id, reason,
                            "trading refused a deposit: it is available in the wallet again"
                        );
                    }
                    let refused = Conclusion::refused(transaction_id, user_id, asset);
                    self.conclusions.add(refused);
                }
            }
            self.cursor = self.cursor.max(cursor);
            self.unsaved = true;
        }
        self.progress.send_replace(self.cursor);
        Duration::ZERO
    }

    /// Tells the wallet what trading has decided, as far as settlement has come.
    async fn conclude(&mut self) {
        let due = self.conclusions.due(&self.board);
        let client = &self.client;
        let tell = |conclusion: Conclusion| async move {
            let context = CallContext::within(CALL_TIMEOUT_DEFAULT);
            let (transaction, granted) = (conclusion.transaction(), conclusion.is_granted());
            let told = client.conclude_funding(context, transaction, granted);
            let told = tokio::time::timeout(CALL_TIMEOUT_DEFAULT * 2, told).await;
            (conclusion, told.unwrap_or(Err(WalletError::Timeout)))
        };
        let told = stream::iter(due).map(tell).buffer_unordered(FUNDING_WINDOW);
        for (conclusion, result) in told.collect::<Vec<_>>().await {
            self.unsaved |= self.conclusions.told(conclusion, &result, self.retry);
        }
    }

    async fn save(&mut self) {
        let Some(mut file) = self.file.take() else { return };
        let conclusions = self.conclusions.store();
        let mut body = Vec::new();
        codec::append(&Stored { format: FORMAT, cursor: self.cursor, conclusions }, &mut body);
        let saved = tokio::task::spawn_blocking(move || {
            let saved = file.save(&body);
            (file, saved)
        });
        self.saved_at = Instant::now();
        match saved.await {
            Ok((file, Ok(()))) => {
                self.file = Some(file);
                self.unsaved = false;
            }
            Ok((_, Err(error @ JournalError::Locked { .. }))) => {
                tracing::error!(%error, "funding ends: somebody else has taken it over");
            }
            // What was done will be done again, without effect.
            Ok((file, Err(error))) => {
                tracing::error!(%error, "the funding cursor is not saved");
                self.file = Some(file);
            }
            Err(error) => tracing::error!(%error, "funding ends: its cursor cannot be saved"),
        }
    }
}
