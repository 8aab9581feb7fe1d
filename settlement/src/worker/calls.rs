//! Owns the calls to the wallet: what goes into one, and what its answers mean for the trades.
//! Knows nothing of the log. Invariant: a trade that was sent is settled, a dead letter, or still
//! in the window, whatever the answer is; only a trade for which nothing can bring the money any
//! more is called impossible for being short.

use std::sync::Arc;

use engine::TradeId;
use journal::fail_point;
use tokio::time::Instant;
use wallet::client::{CallContext, SettleRequest, Settlement, WalletError};

use super::window::{Job, Standing};
use super::{Results, Worker};
use crate::limits::RETRY_AFTER_MAX;
use crate::outcome::{Class, Verdict, judge};
use crate::trade::DueTrade;

/// What one call is about.
pub(super) enum Batch {
    /// Event sequences of trades in the window.
    Trades(Vec<u64>),
    Letter {
        trade: TradeId,
        standing: Standing,
        request: SettleRequest,
    },
}

impl Batch {
    fn len(&self) -> usize {
        match self {
            Self::Trades(places) => places.len(),
            Self::Letter { .. } => 1,
        }
    }
}

impl Worker {
    /// Starts calls while there are workers and trades whose time has come.
    pub(super) fn dispatch(&mut self) {
        let now = Instant::now();
        if self.paused || self.wait_until.is_some_and(|until| now < until) {
            return;
        }
        self.wait_until = None;
        while self.calls.len() < self.options.workers {
            let Some(batch) = self.next_batch(now) else { return };
            let requests = match &batch {
                Batch::Trades(places) => self.window.requests(places),
                Batch::Letter { request, .. } => vec![*request],
            };
            let client = Arc::clone(&self.tools.client);
            let timeout = self.options.call_timeout;
            self.board.count_call();
            self.calls.push(Box::pin(async move {
                let context = CallContext::within(timeout).once();
                fail_point::hit("settlement-before-call");
                let call = client.settle_batch(context, &requests);
                // The client keeps to the deadline; this is for one that does not.
                let results = tokio::time::timeout(timeout * 2, call).await;
                fail_point::hit("settlement-called");
                (batch, results.unwrap_or(Err(WalletError::Timeout)))
            }));
        }
    }

    fn next_batch(&mut self, now: Instant) -> Option<Batch> {
        // One letter at a time has its turn however many trades there are, the others after them.
        if self.flying.is_empty()
            && let Some(letter) = self.letter_in_time()
        {
            return Some(letter);
        }
        let places = self.window.take(self.options.batch, now);
        let Some(first) = places.first().copied() else { return self.letter_in_time() };
        if let Some(Job { trade, standing: Standing::Final, .. }) = self.window.get(first)
            && self.board.read(|v| v.progress.letters.may_bring(trade.number, &trade.request))
        {
            self.window.owe(first);
        }
        Some(Batch::Trades(places))
    }

    /// The next letter, unless there is no time left for letters.
    fn letter_in_time(&mut self) -> Option<Batch> {
        if self.stopping.is_some() { None } else { self.take_letter() }
    }

    pub(super) fn complete(&mut self, batch: Batch, results: Results) {
        let results = match results {
            Ok(results) if results.len() == batch.len() => results,
            Ok(_) => {
                let what = "another number of results than requests".to_owned();
                vec![Err(WalletError::InvalidResponse(what)); batch.len()]
            }
            Err(error) => vec![Err(error); batch.len()],
        };
        let mut errors = results.iter().filter_map(|result| result.as_ref().err());
        match errors.find(|error| judge(error) == Verdict::Wait) {
            Some(nobody) => self.wait_for_wallet(nobody),
            None => self.wait = self.options.retry.wait,
        }
        match batch {
            Batch::Trades(places) => {
                for (place, result) in places.into_iter().zip(results) {
                    self.complete_trade(place, result);
                }
            }
            Batch::Letter { trade, standing, .. } => {
                for result in results {
                    self.complete_letter(trade, standing, result);
                }
            }
        }
        fail_point::hit("settlement-noted");
    }

    /// Nothing is sent for a while: longer each time, up to the cap. Calls that were under way
    /// together and failed together are one time.
    fn wait_for_wallet(&mut self, error: &WalletError) {
        let now = Instant::now();
        self.board.count_wait();
        // The wallet's own wish is kept to, not shortened.
        let mut until = match error {
            WalletError::RateLimited { retry_after: Some(asked) } => {
                now + (*asked).min(RETRY_AFTER_MAX)
            }
            _ => now,
        };
        if let Some(earlier) = self.wait_until.filter(|earlier| now < *earlier) {
            until = until.max(earlier);
        } else {
            if self.wait == self.options.retry.wait {
                tracing::warn!(%error, "the wallet does not answer; trades wait in the log");
            }
            until = until.max(now + self.jitter.of(self.wait));
            self.wait = (self.wait * 2).min(self.options.retry.wait_max);
        }
        self.wait_until = Some(until);
    }

    fn complete_trade(&mut self, place: u64, result: Result<Settlement, WalletError>) {
        let job = self.window.get(place).copied();
        let Job { trade, tries, standing, .. } = job.expect("a trade under way is in the window");
        let error = match result {
            Ok(settlement) => {
                self.board.settle(trade.number, trade.traded_ns, settlement);
                return self.finish(place, trade.number);
            }
            Err(error) => error,
        };
        let verdict = judge(&error);
        if verdict != Verdict::Wait {
            self.board.count_failed_try();
        }
        match (verdict, standing) {
            (Verdict::Wait, _) => self.window.retry(place, tries, Instant::now()),
            (Verdict::Retry, _) => self.try_again(place, trade, tries + 1, &error),
            (Verdict::Short, Standing::Behind) => self.window.park(place),
            (Verdict::Short, Standing::Owed) => {
                self.bury_or_keep(place, trade, Class::Unknown, &error);
            }
            (Verdict::Short, Standing::Final) => {
                self.bury_or_keep(place, trade, Class::Impossible, &error);
            }
            (Verdict::Dead(class), _) => self.bury_or_keep(place, trade, class, &error),
        }
    }

    fn try_again(&mut self, place: u64, trade: DueTrade, tries: u32, error: &WalletError) {
        tracing::warn!(
            trade = %trade.request.trade_id, tries, %error,
            "a settlement has no outcome yet"
        );
        self.board.write(|view| {
            if let Some(undone) = view.undone.get_mut(&trade.number) {
                undone.tries = tries;
            }
        });
        if tries >= self.options.retry.attempts {
            return self.bury_or_keep(place, trade, Class::Unknown, error);
        }
        let pause = self.jitter.of(self.options.retry.pause(tries));
        self.window.retry(place, tries, Instant::now() + pause);
    }

    /// Makes a trade a dead letter; where there is no room it stays and is tried again.
    fn bury_or_keep(&mut self, place: u64, trade: DueTrade, class: Class, error: &WalletError) {
        if self.bury(&trade, class, &error.to_string()) {
            self.finish(place, trade.number);
        } else {
            let again = Instant::now() + self.options.retry.wait_max;
            let tries = self.options.retry.attempts.saturating_sub(1);
            self.window.retry(place, tries, again);
        }
    }

    fn finish(&mut self, place: u64, trade: TradeId) {
        self.window.remove(place);
        self.board.write(|view| view.undone.remove(&trade));
    }
}
