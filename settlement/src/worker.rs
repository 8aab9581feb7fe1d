//! Owns the settlement of trades: reading, calling, retrying, and moving the cursor.
//! Knows nothing of who watches. Invariant: the cursor passes a trade only when the wallet has
//! settled it or it is a durable dead letter; a crash at any moment repeats calls, never effects.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use engine::{Event, TradeId};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use wallet::client::{Settlement, WalletClient, WalletError};
use wallet::ledger::types::CreditTo;

use crate::board::{Board, Undone};
use crate::dead_letters::nanoseconds;
use crate::desk::{Alarm, Request, WallClock};
use crate::jitter::Jitter;
use crate::limits::{POLL_EVERY, READ_MAX, SPAN_MAX};
use crate::options::{Overflow, SettlementOptions};
use crate::outcome::Class;
use crate::progress::ProgressFile;
use crate::source::{Directory, EventSource, SourcedEvent};
use crate::trade::DueTrade;

mod calls;
mod letters;
mod saving;
mod window;

use calls::Batch;
use saving::{Owed, Saving, ended};
use window::Window;

/// What a worker works with.
pub(crate) struct Tools {
    pub(crate) source: Box<dyn EventSource>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) client: Arc<dyn WalletClient>,
    pub(crate) alarm: Arc<dyn Alarm>,
    pub(crate) clock: WallClock,
    pub(crate) credit_to: CreditTo,
}

type Results = Result<Vec<Result<Settlement, WalletError>>, WalletError>;
type Call = Pin<Box<dyn Future<Output = (Batch, Results)> + Send>>;

pub(crate) struct Worker {
    options: SettlementOptions,
    tools: Tools,
    board: Arc<Board>,
    requests: mpsc::Receiver<Request>,
    window: Window,
    /// Read, but not yet in the window, oldest last.
    backlog: Vec<SourcedEvent>,
    /// There may be more to read at once.
    more: bool,
    calls: FuturesUnordered<Call>,
    jitter: Jitter,
    /// Nobody is there until then, and how long the next wait is.
    wait_until: Option<Instant>,
    wait: Duration,
    /// Dead letters on their way.
    flying: BTreeSet<TradeId>,
    /// There was no room for a dead letter, and it was said.
    no_room: bool,
    paused: bool,
    stopping: Option<Instant>,
    /// Gone while it is being written.
    file: Option<ProgressFile>,
    saving: Option<Saving>,
    saved_at: Instant,
    /// The last save found no space: the next one waits its time, whoever waits for it.
    lacks_space: bool,
    /// The state in the file is older than what is known, and who waits for it.
    unsaved: bool,
    owed: Vec<Owed>,
}

/// Why a worker ends before it is told to.
#[derive(Debug)]
struct Halt(String);

impl Worker {
    pub(crate) fn new(
        options: SettlementOptions,
        tools: Tools,
        board: Arc<Board>,
        file: ProgressFile,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        let wait = options.retry.wait;
        Self {
            window: Window::new(&board.progress()),
            backlog: Vec::new(),
            more: false,
            calls: FuturesUnordered::new(),
            jitter: Jitter::new((tools.clock)()),
            wait_until: None,
            wait,
            flying: BTreeSet::new(),
            no_room: false,
            paused: options.paused,
            stopping: None,
            file: Some(file),
            saving: None,
            saved_at: Instant::now(),
            lacks_space: false,
            unsaved: false,
            owed: Vec::new(),
            options,
            tools,
            board,
            requests,
        }
    }

    /// Settles until it is stopped. `done` is told at the end.
    pub(crate) async fn run(mut self, done: watch::Sender<bool>) {
        self.hurry_letters();
        if let Err(Halt(reason)) = self.work().await {
            tracing::error!(reason, "settlement halted");
            self.board.write(|view| view.halted = Some(reason));
            // What is asked for would not be kept: nobody gets an answer. Calls that are under way
            // are given up, and repeated after the next start.
            self.calls.clear();
            self.owed.clear();
            while !matches!(self.requests.recv().await, Some(Request::Stop { .. }) | None) {}
        }
        if let Err(Halt(reason)) = self.save_now().await {
            tracing::error!(reason, "the settlement cursor could not be saved");
        }
        tracing::info!(cursor = self.board.status().cursor, "settlement stopped");
        done.send_replace(true);
    }

    async fn work(&mut self) -> Result<(), Halt> {
        loop {
            if self.stopping.is_none() {
                self.fill()?;
            }
            self.dispatch();
            self.show();
            self.save_if_due();
            let out_of_time = self.stopping.is_some_and(|until| Instant::now() >= until);
            if self.stopping.is_some() && self.calls.is_empty() || out_of_time {
                return Ok(());
            }
            let (look, stopping) = (self.next_look(), self.stopping.is_some());
            tokio::select! {
                Some((batch, results)) = self.calls.next() => self.complete(batch, results),
                request = self.requests.recv(), if !self.requests.is_closed() || !stopping => {
                    match request {
                        Some(request) => self.answer(request),
                        // Whoever could stop it is gone.
                        None => self.stop_within(self.options.stop_timeout),
                    }
                }
                ended = ended(&mut self.saving) => self.end_save(ended)?,
                () = tokio::task::yield_now(), if self.more && !stopping => {}
                () = tokio::time::sleep_until(look) => {}
            }
        }
    }

    /// When there may be something to do that rings no bell.
    fn next_look(&self) -> Instant {
        let poll = Instant::now() + POLL_EVERY;
        self.stopping.map_or(poll, |until| until.min(poll))
    }

    /// Takes events from the log until the window is full; one page at a time, so that whatever
    /// else there is to do has its turn.
    fn fill(&mut self) -> Result<(), Halt> {
        self.more = false;
        if self.backlog.is_empty() {
            let read = self.tools.source.read(READ_MAX, &mut self.backlog);
            let through = read.map_err(|error| Halt(error.to_string()))?;
            if self.backlog.is_empty() {
                self.window.read_through(through);
                return Ok(());
            }
            self.backlog.reverse();
        }
        while let Some(event) = self.backlog.last().copied() {
            if !self.take_in(&event)? {
                return Ok(());
            }
            self.window.read(&event);
            self.backlog.pop();
        }
        self.more = true;
        Ok(())
    }

    /// Whether the event was taken: into the window if it is a trade.
    fn take_in(&mut self, event: &SourcedEvent) -> Result<bool, Halt> {
        let Event::Trade(trade) = &event.event else { return Ok(true) };
        // From before the last start; the letter lies ahead of the cursor.
        if self.board.read(|view| view.progress.letters.has_taken(trade.trade_id)) {
            return Ok(true);
        }
        let full = self.window.len() >= self.options.window;
        let may_wait = full && self.options.overflow == Overflow::Backpressure;
        if may_wait || self.window.span() >= SPAN_MAX {
            return Ok(false);
        }
        let Tools { directory, credit_to, .. } = &self.tools;
        let due = DueTrade::new(event, trade, &**directory, *credit_to);
        let due = due.map_err(|error| Halt(format!("trade {}: {error}", trade.trade_id)))?;
        if full {
            if !self.bury(&due, Class::Unknown, "the window was full") {
                return Ok(false);
            }
        } else {
            self.window.add(due, event.sequence);
            let undone = Undone { traded_ns: due.traded_ns, tries: 0 };
            self.board.write(|view| view.undone.insert(due.number, undone));
        }
        self.board.count_submitted();
        Ok(true)
    }

    /// Shows how far everything is.
    fn show(&mut self) {
        let (cursor, sequence, trade) = self.window.reached();
        let (in_flight, head, newest) =
            (self.calls.len(), self.window.head(), self.window.newest());
        self.board.write(|view| {
            view.in_flight = in_flight;
            view.head = head;
            view.newest = newest;
            let progress = &mut view.progress;
            progress.sequence = progress.sequence.max(sequence);
            if cursor > progress.cursor {
                progress.cursor = cursor;
                progress.trade = trade;
                self.unsaved = true;
            }
        });
    }

    fn now_ns(&self) -> u64 {
        (self.tools.clock)()
    }

    fn until_ns(&self, pause: Duration) -> u64 {
        self.now_ns().saturating_add(nanoseconds(pause))
    }

    fn stop_within(&mut self, deadline: Duration) {
        let until = Instant::now() + deadline;
        self.stopping = Some(self.stopping.map_or(until, |earlier| earlier.min(until)));
    }

    fn answer(&mut self, request: Request) {
        // Whoever asked may have gone.
        match request {
            Request::Stop { deadline } => self.stop_within(deadline),
            Request::Pause { paused, reply } => {
                self.paused = paused;
                self.board.write(|view| view.paused = paused);
                let _ = reply.send(());
            }
            Request::SetRetry { retry, reply } => {
                self.options.retry = retry;
                self.wait = retry.wait;
                let _ = reply.send(());
            }
            Request::Requeue { trade, reply } => {
                let found = self.requeue(trade);
                let _ = reply.send(found);
            }
            Request::RequeueClass { class, reply } => {
                let count = self.requeue_class(class);
                let _ = reply.send(count);
            }
            Request::Discard { discarded, reply } => self.discard(discarded, reply),
        }
    }
}
