//! Owns the handle to a running settlement. Knows nothing of how it works.
//! Invariant: after a stop nothing is accepted any more, and every stop waits until the work has
//! ended.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{TradeId, Usage};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;
use wallet::client::WalletClient;
use wallet::ledger::types::CreditTo;

use crate::board::Board;
use crate::dead_letters::{DeadLetter, Discarded, bounded};
use crate::limits::{DISCARDED_MAX, REASON_BYTES_MAX, RECENT_MAX, REQUESTS_MAX};
use crate::options::{RetryPolicy, SettlementOptions};
use crate::outcome::Class;
use crate::progress::{ProgressError, ProgressFile};
use crate::source::{Directory, EventSource};
use crate::worker::{Tools, Worker};

/// The wall clock, nanoseconds since the Unix epoch.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Told of every trade that the wallet refuses, so that somebody is woken up.
pub trait Alarm: Send + Sync {
    fn raise(&self, letter: &DeadLetter);
}

/// Why a request to the desk is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    #[error("settlement has stopped")]
    Stopped,
    #[error("there is no such dead letter")]
    NoSuchLetter,
    #[error("the dead letter is being tried right now")]
    BeingTried,
    #[error("a reason and the correcting transaction are required")]
    ReasonRequired,
}

/// Why a retry policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetRetryError {
    #[error("settlement has stopped")]
    Stopped,
    #[error("settlement: {}", .0.join("; "))]
    Policy(Vec<String>),
}

pub(crate) enum Request {
    Stop { deadline: Duration },
    Pause { paused: bool, reply: oneshot::Sender<()> },
    SetRetry { retry: RetryPolicy, reply: oneshot::Sender<()> },
    Requeue { trade: TradeId, reply: oneshot::Sender<Result<(), DeskError>> },
    RequeueClass { class: Class, reply: oneshot::Sender<usize> },
    Discard { discarded: Discarded, reply: oneshot::Sender<Result<(), DeskError>> },
}

/// Everything that settlement is made of.
pub struct Parts {
    /// Begins with the event that it was asked for.
    pub source: Box<dyn EventSource>,
    pub directory: Arc<dyn Directory>,
    pub client: Arc<dyn WalletClient>,
    pub alarm: Arc<dyn Alarm>,
    pub clock: WallClock,
    pub credit_to: CreditTo,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Why settlement does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("settlement: {}", .0.join("; "))]
    Options(Vec<String>),
    #[error("settlement: {0}")]
    Progress(#[from] ProgressError),
    #[error("settlement: {0}")]
    Source(#[from] crate::source::SourceError),
}

/// File of cursor and dead letters in the directory of settlement.
pub const STATE_FILE: &str = "settlement.state";

/// A running settlement.
#[derive(Debug)]
pub struct Desk {
    board: Arc<Board>,
    requests: mpsc::Sender<Request>,
    done: watch::Receiver<bool>,
    /// Of the window, and of the dead letters.
    bounds: [usize; 2],
    stop_timeout: Duration,
}

impl Desk {
    /// Takes over the cursor, and settles everything behind it. `parts` is given the event from
    /// which to read. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(
        options: SettlementOptions,
        parts: impl FnOnce(u64) -> Result<Parts, crate::source::SourceError>,
    ) -> Result<Self, StartError> {
        options.check().map_err(StartError::Options)?;
        create(&options.directory).map_err(ProgressError::File)?;
        let (file, progress) = ProgressFile::open(&options.directory.join(STATE_FILE))?;
        let Parts { source, directory, client, alarm, clock, credit_to } =
            parts(progress.cursor + 1)?;
        let tools = Tools { source, directory, client, alarm, clock, credit_to };
        let board = Arc::new(Board::new(progress, options.paused));
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let (sender, done) = watch::channel(false);
        let stop_timeout = options.stop_timeout;
        let bounds = [options.window, options.dead_letters_max];
        let worker = Worker::new(options, tools, Arc::clone(&board), file, receiver);
        let (worker, watched) = (tokio::spawn(worker.run(sender)), Arc::clone(&board));
        tokio::spawn(async move {
            if let Err(error) = worker.await {
                tracing::error!(%error, "settlement ended by itself");
                watched.write(|view| view.halted = Some(error.to_string()));
            }
        });
        Ok(Self { board, requests, done, bounds, stop_timeout })
    }

    /// How full everything is that has a bound.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        let (status, [window, letters]) = (self.board.status(), self.bounds);
        let [recent, kept] = self.board.kept();
        let waiting = self.requests.max_capacity() - self.requests.capacity();
        vec![
            Usage::new("window", status.window, window),
            Usage::new("dead_letters", status.dead_letters, letters),
            Usage::new("letters_kept", kept, letters + DISCARDED_MAX),
            Usage::new("recent", recent, RECENT_MAX),
            Usage::new("requests", waiting, REQUESTS_MAX),
        ]
    }

    /// What is known of trades and dead letters.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Stops or resumes calling the wallet: once this has returned, no call is begun, or calls are
    /// begun again.
    ///
    /// # Errors
    /// [`DeskError::Stopped`].
    pub async fn pause(&self, paused: bool) -> Result<(), DeskError> {
        self.ask(|reply| Request::Pause { paused, reply }).await
    }

    /// Changes how trades are tried again, from the next try on.
    ///
    /// # Errors
    /// [`SetRetryError`]; nothing was changed.
    pub async fn set_retry(&self, retry: RetryPolicy) -> Result<(), SetRetryError> {
        retry.check().map_err(SetRetryError::Policy)?;
        let set = self.ask(|reply| Request::SetRetry { retry, reply }).await;
        set.map_err(|_| SetRetryError::Stopped)
    }

    /// Has one dead letter tried at once. Asking again while it is tried changes nothing.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn requeue(&self, trade: TradeId) -> Result<(), DeskError> {
        self.ask(|reply| Request::Requeue { trade, reply }).await?
    }

    /// Has every dead letter of a class tried at once; returns their number.
    ///
    /// # Errors
    /// [`DeskError::Stopped`].
    pub async fn requeue_class(&self, class: Class) -> Result<usize, DeskError> {
        self.ask(|reply| Request::RequeueClass { class, reply }).await
    }

    /// Takes a dead letter out for good: `correction` is the transaction that moved its money. What
    /// is answered is in the file.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn discard(
        &self,
        trade: TradeId,
        operator: Uuid,
        reason: &str,
        correction: Uuid,
    ) -> Result<(), DeskError> {
        if reason.trim().is_empty() || correction.is_nil() {
            return Err(DeskError::ReasonRequired);
        }
        let discarded = Discarded {
            trade,
            trade_id: 0,
            at_ns: 0,
            operator: operator.as_u128(),
            reason: bounded(reason, REASON_BYTES_MAX),
            correction: correction.as_u128(),
            shares: Default::default(),
        };
        self.ask(|reply| Request::Discard { discarded, reply }).await?
    }

    /// Ends after every trade that was read and can be sent, or at the deadline; what is left is
    /// beyond the cursor and comes again after the next start. Whoever asks again waits, too.
    pub async fn stop(&self) {
        let deadline = self.stop_timeout;
        // Has ended already if nobody takes the request.
        let _ = self.requests.send(Request::Stop { deadline }).await;
        let mut done = self.done.clone();
        let _ = done.wait_for(|done| *done).await;
    }

    /// Asks the worker, and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, DeskError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| DeskError::Stopped)?;
        answer.await.map_err(|_| DeskError::Stopped)
    }
}

pub(crate) fn create(directory: &Path) -> Result<(), journal::JournalError> {
    std::fs::create_dir_all(directory).map_err(|source| {
        let path = directory.to_owned();
        journal::JournalError::Io { doing: "create", path, source }
    })
}
