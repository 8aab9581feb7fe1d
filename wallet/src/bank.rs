//! Owns a running ledger: recovery, pipeline, views, the assets that are configured, and the
//! hand-over of commands. Knows nothing of HTTP. Invariant: a command that was handed over has an
//! outcome, even if nobody waits for it any more; the one that waits is told so.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{Amount, AssetCode, AssetId, Frame};
use journal::SyncPolicy;
use pipeline::{
    Clock, Counters, Cursors, EventLogReader, Ingress, Instance, Lane, Outlet, PipelineError,
    Reply, Running, Stopped, SubmitError,
};
use tokio::sync::oneshot;

use crate::client::FundingEvent;
use crate::ledger::types::{TransactionStatus, WalletId};
use crate::ledger::{Command, Event, Ledger, Outcome, RejectReason, ReservationState};
use crate::limits::FUNDING_EVENTS_PAGE_MAX;
use crate::views::{Kept, ViewFeed, Views, funding_event};

/// How often a waiting reader looks whether what it sees is lasting by now.
const LASTING_POLL: Duration = Duration::from_millis(5);

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

/// Why a command has no outcome here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// Nothing was handed over: try again later.
    #[error("overloaded")]
    Overloaded,
    /// Nothing was handed over: the disk is full.
    #[error("no space")]
    NoSpace,
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

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A transaction was recorded (also one that failed), now or, if `again`, before.
    Transaction {
        outcome: Outcome,
        again: bool,
    },
    /// Nothing was changed.
    Rejected(RejectReason),
    Wallet {
        wallet: WalletId,
        opened: bool,
    },
    WouldCommit {
        wallet: WalletId,
        new_balance: Amount,
    },
    StateHash([u8; 32]),
    /// Everything else that was done as asked.
    Done,
}

/// An answer and its place in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub sequence: u64,
    pub answer: Answer,
    /// The reservation that the command made or ended, as it is now.
    pub reservation: Option<ReservationState>,
}

/// The publisher's end of a waiting request.
#[derive(Debug)]
pub struct Waiter(oneshot::Sender<Answered>);

impl Reply<Ledger> for Waiter {
    fn complete(self, frame: &Frame<Command>, outcome: pipeline::Outcome<'_, Event>) {
        let (mut answer, mut reservation) = (Answer::Done, None);
        match outcome {
            pipeline::Outcome::StateHash(hash) => answer = Answer::StateHash(hash),
            pipeline::Outcome::Events(events) => {
                for event in events {
                    match *event {
                        Event::ReservationChanged(state) => reservation = Some(state),
                        _ => answer = answer_of(frame, event).unwrap_or(answer),
                    }
                }
            }
        }
        // The request may have timed out or its connection may be gone.
        let _ = self.0.send(Answered { sequence: frame.sequence, answer, reservation });
    }
}

/// What one event says of its command's outcome.
fn answer_of(frame: &Frame<Command>, event: &Event) -> Option<Answer> {
    Some(match *event {
        Event::Committed(head) => {
            let outcome = head.outcome(frame.sequence, frame.timestamp_ns);
            Answer::Transaction { outcome, again: false }
        }
        Event::Repeated(outcome) => Answer::Transaction { outcome, again: true },
        Event::CommandRejected { reason } => Answer::Rejected(reason),
        // Settlements open wallets, too, on their way to something else.
        Event::WalletOpened { wallet, .. } => Answer::Wallet { wallet, opened: true },
        Event::WalletExists { wallet } => Answer::Wallet { wallet, opened: false },
        Event::WouldCommit { wallet, new_balance } => Answer::WouldCommit { wallet, new_balance },
        _ => return None,
    })
}

/// Handle to a running ledger; clones are cheap.
#[derive(Clone, Debug)]
pub struct Teller {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ingress: Ingress<Ledger, Waiter>,
    views: Arc<Views>,
    cursors: Arc<Cursors>,
    counters: Arc<Counters>,
    sync: SyncPolicy,
    timeout: Duration,
    fund: bool,
    read_only: AtomicBool,
    data_dir: PathBuf,
}

impl Teller {
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

    /// Commands in flight, and how many there may be.
    #[must_use]
    pub fn depth(&self) -> (u64, u64) {
        self.shared.ingress.depth()
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

/// A fresh ledger with the views that are shown what it does.
fn watched_ledger() -> (Instance<Ledger>, Arc<Views>) {
    let views = Arc::new(Views::default());
    let outlets: Vec<Box<dyn Outlet<Ledger>>> = vec![Box::new(ViewFeed(Arc::clone(&views)))];
    (Instance { machine: Ledger::default(), outlets }, views)
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
        let running = pipeline::start(recovered, &options.pipeline, clock)?;
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
        };
        Ok(Self { running, teller: Teller { shared: Arc::new(shared) } })
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
            let receiver = self.teller.send(|waiter| {
                self.teller.shared.ingress.try_submit(command, Some(waiter), Lane::Control)
            });
            let receiver = receiver.map_err(BankError::Submit)?;
            let timeout = self.teller.timeout();
            match wait(receiver, timeout).await.map_err(BankError::Submit)?.answer {
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
