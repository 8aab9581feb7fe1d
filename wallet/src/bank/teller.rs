//! Owns the hand-over of commands to a running ledger, and the wait for what comes of them.
//! Knows nothing of HTTP, nor of how the ledger was opened. Invariant: a command that was handed
//! over has an outcome, even if nobody waits for it any more; the one that waits is told so.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::Usage;
use journal::SyncPolicy;
use pipeline::{
    Counters, Cursors, EventLogReader, Ingress, Lane, PipelineError, SnapshotDesk, SubmitError,
};
use tokio::sync::oneshot;

use super::answer::{Answered, Waiter};
use crate::client::FundingEvent;
use crate::ledger::types::TransactionStatus;
use crate::ledger::{Command, Ledger, Outcome};
use crate::limits::FUNDING_EVENTS_PAGE_MAX;
use crate::views::{Kept, Views, funding_event};

/// How often a waiting reader looks whether what it sees is lasting by now.
const LASTING_POLL: Duration = Duration::from_millis(5);

/// Why a command has no outcome here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// Nothing was handed over: try again later.
    #[error("overloaded")]
    Overloaded,
    /// Nothing was handed over: the disk is full.
    #[error("no space")]
    NoSpace,
    /// Nothing was handed over: what was accepted waits too long for the disk.
    #[error("sync delayed")]
    SyncDelayed,
    /// Nothing was handed over: the bank closes.
    #[error("closed")]
    Closed,
    /// Nothing was handed over: only queries are answered.
    #[error("read-only")]
    ReadOnly,
    /// It was handed over and goes its way.
    #[error("outcome unknown")]
    OutcomeUnknown,
}

/// Handle to a running ledger; clones are cheap.
#[derive(Clone, Debug)]
pub struct Teller {
    shared: Arc<Shared>,
}

/// What all handles to one ledger have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ingress: Ingress<Ledger, Waiter>,
    pub(super) views: Arc<Views>,
    pub(super) cursors: Arc<Cursors>,
    pub(super) counters: Arc<Counters>,
    pub(super) sync: SyncPolicy,
    pub(super) timeout: Duration,
    pub(super) fund: bool,
    pub(super) read_only: AtomicBool,
    pub(super) data_dir: PathBuf,
    pub(super) snapshots: Option<SnapshotDesk>,
}

impl Teller {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Hands over a command that the configuration asks for, also where clients may only query.
    pub(super) async fn set_up(&self, command: Command) -> Result<Answered, HandOverError> {
        let submit = |waiter| self.shared.ingress.try_submit(command, Some(waiter), Lane::Control);
        wait(self.send(submit)?, self.shared.timeout).await
    }

    #[must_use]
    pub fn views(&self) -> &Views {
        &self.shared.views
    }

    #[must_use]
    pub fn cursors(&self) -> &Cursors {
        &self.shared.cursors
    }

    /// What the ledger's pipeline counts.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// How full everything of the ledger is that has a bound.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        let Shared { ingress, views, snapshots, .. } = &*self.shared;
        let own = ingress.usage().into_iter().chain(views.usage());
        own.chain(snapshots.as_ref().map(SnapshotDesk::usage)).collect()
    }

    /// Commands in flight, and how many there may be.
    #[must_use]
    pub fn depth(&self) -> (u64, u64) {
        self.shared.ingress.depth()
    }

    /// How long the oldest command that waits for the disk has done so.
    #[must_use]
    pub fn sync_age(&self) -> Duration {
        self.shared.ingress.sync_age()
    }

    /// Where a snapshot of the ledger may be asked for, if any are taken.
    #[must_use]
    pub fn snapshots(&self) -> Option<&SnapshotDesk> {
        self.shared.snapshots.as_ref()
    }

    /// Whether money that comes in is lent to trading.
    #[must_use]
    pub fn funds_trading(&self) -> bool {
        self.shared.fund
    }

    /// Longest wait for an outcome.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.shared.read_only.load(Ordering::Acquire)
    }

    /// Stops, or allows again, every command.
    pub fn set_read_only(&self, read_only: bool) {
        self.shared.read_only.store(read_only, Ordering::Release);
    }

    /// Up to where others may act on what happened here and keep what they did.
    #[must_use]
    pub fn lasting(&self) -> u64 {
        self.shared.cursors.lasting(self.shared.sync)
    }

    /// Waits until others may act on what happened up to here: an answer is given as early as the
    /// configuration promises, which may be before a power cut can no longer take it back.
    pub async fn lasts(&self, sequence: u64) {
        while self.lasting() < sequence {
            tokio::time::sleep(LASTING_POLL).await;
        }
    }

    /// Hands a command over; the answer comes once it is applied and durable.
    ///
    /// # Errors
    /// Nothing was handed over.
    pub fn hand_over(
        &self,
        command: Command,
    ) -> Result<oneshot::Receiver<Answered>, HandOverError> {
        if self.is_read_only() {
            return Err(HandOverError::ReadOnly);
        }
        self.send(|waiter| self.shared.ingress.try_submit(command, Some(waiter), lane(&command)))
    }

    fn send(
        &self,
        submit: impl FnOnce(Waiter) -> Result<u64, SubmitError>,
    ) -> Result<oneshot::Receiver<Answered>, HandOverError> {
        let (sender, receiver) = oneshot::channel();
        submit(Waiter(sender)).map_err(|error| match error {
            SubmitError::RingFull | SubmitError::RepliesExhausted => HandOverError::Overloaded,
            SubmitError::NoSpace => HandOverError::NoSpace,
            SubmitError::SyncDelayed => HandOverError::SyncDelayed,
            SubmitError::Closed => HandOverError::Closed,
        })?;
        Ok(receiver)
    }

    /// Hands a command over and waits for its answer, at most `timeout`.
    ///
    /// # Errors
    /// [`HandOverError`].
    pub async fn submit_within(
        &self,
        command: Command,
        timeout: Duration,
    ) -> Result<Answered, HandOverError> {
        let receiver = self.hand_over(command)?;
        wait(receiver, timeout).await
    }

    /// As [`Self::submit_within`], with the bank's own timeout.
    ///
    /// # Errors
    /// [`HandOverError`].
    pub async fn submit(&self, command: Command) -> Result<Answered, HandOverError> {
        self.submit_within(command, self.shared.timeout).await
    }

    /// The hash of the whole state.
    ///
    /// # Errors
    /// [`HandOverError`].
    pub async fn state_hash(&self) -> Result<Answered, HandOverError> {
        let receiver = self.send(|waiter| self.shared.ingress.try_state_hash(waiter))?;
        wait(receiver, self.shared.timeout).await
    }

    /// Funding events of commands behind `after` that may be acted on, oldest first; waits up to
    /// `wait` for the first.
    ///
    /// # Errors
    /// Events that are not at hand any more could not be read from the log.
    pub async fn funding_events(
        &self,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<FundingEvent>, PipelineError> {
        let max = max.clamp(1, FUNDING_EVENTS_PAGE_MAX);
        let end = tokio::time::Instant::now() + wait;
        loop {
            let seen = self.views().sequence();
            let until = self.lasting();
            let page = match self.views().funding(after, until, max) {
                Some(page) => page,
                None => self.funding_from_log(after, until, max).await?,
            };
            if !page.is_empty() || tokio::time::Instant::now() >= end {
                return Ok(page);
            }
            // Something new, or what is there becomes lasting: the latter rings no bell.
            let news = tokio::time::timeout(LASTING_POLL, self.views().reach(seen + 1));
            let _ = tokio::time::timeout_at(end, news).await;
        }
    }

    /// The same from the event log, read from its beginning: slow, but nothing is forgotten there.
    async fn funding_from_log(
        &self,
        after: u64,
        until: u64,
        max: usize,
    ) -> Result<Vec<FundingEvent>, PipelineError> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || {
            let mut log = EventLogReader::<Ledger>::open(&shared.data_dir, 1)?;
            let mut page = Vec::<FundingEvent>::new();
            while let Some(logged) = log.next_event()? {
                let sequence = logged.input_sequence;
                let begins = page.last().is_none_or(|last| last.cursor != sequence);
                if sequence > until || begins && page.len() >= max {
                    break;
                }
                let code = |asset| shared.views.asset(asset).map(|asset| asset.code);
                if sequence > after {
                    page.extend(funding_event(sequence, &logged.event, code));
                }
            }
            Ok(page)
        });
        // The runtime ends: there is nobody to answer.
        read.await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    /// What a transaction that waits for trading has come to, once it has ended, or when `timeout`
    /// is over.
    pub async fn concluded(&self, pending: Outcome, timeout: Duration) -> Outcome {
        let views = self.views();
        let look = async {
            loop {
                let read = views.transaction(pending.transaction);
                match read.value {
                    Kept::Whole(kept) if kept.outcome.status != TransactionStatus::Pending => {
                        return kept.outcome;
                    }
                    _ => views.reach(read.sequence + 1).await,
                }
            }
        };
        tokio::time::timeout(timeout, look).await.unwrap_or(pending)
    }
}

async fn wait(
    receiver: oneshot::Receiver<Answered>,
    timeout: Duration,
) -> Result<Answered, HandOverError> {
    match tokio::time::timeout(timeout, receiver).await {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(_)) | Err(_) => Err(HandOverError::OutcomeUnknown),
    }
}

/// What ends something may use more of the ring than what begins something.
fn lane(command: &Command) -> Lane {
    match command {
        Command::Post(_) | Command::OpenWallet { .. } | Command::Reserve(_) => Lane::Order,
        Command::Settle(_) | Command::Release(_) => Lane::Cancel,
        _ => Lane::Control,
    }
}
