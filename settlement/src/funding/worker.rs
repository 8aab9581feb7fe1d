//! Owns the running of funding: reading, moving, telling the wallet, saving.
//! Knows nothing of what a movement is. Invariant: the cursor and what is owed to the wallet are in
//! one file, which is behind what was done and never ahead of it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use engine::codec;
use futures_util::StreamExt;
use futures_util::stream;
use journal::fail_point;
use tokio::sync::watch;
use tokio::time::Instant;
use wallet::client::{CallContext, FundingEvent, WalletClient, WalletError};
use wallet::ledger::types::FundingDirection;

use super::conclusions::{Conclusion, Conclusions};
use super::movements::{Answered, carry_out};
use super::{FORMAT, Stored, Trading};
use crate::board::Board;
use crate::limits::{
    CALL_TIMEOUT_DEFAULT, FUNDING_WAIT, FUNDING_WAIT_MIN, FUNDING_WINDOW, SAVE_EVERY,
};
use crate::options::RetryPolicy;
use crate::saved::Saved;

/// A page of events, as soon as trading has answered all of them.
type Reading = Pin<Box<dyn Future<Output = Result<Vec<Answered>, WalletError>> + Send>>;

pub(super) struct Worker {
    client: Arc<dyn WalletClient>,
    trading: Arc<dyn Trading>,
    board: Arc<Board>,
    retry: RetryPolicy,
    saved: Saved,
    /// Trading has answered the events up to this one.
    cursor: u64,
    conclusions: Conclusions,
    progress: watch::Sender<u64>,
}

impl Worker {
    /// Goes on from a cursor and what was owed there.
    pub(super) fn new(
        client: Arc<dyn WalletClient>,
        trading: Arc<dyn Trading>,
        board: Arc<Board>,
        retry: RetryPolicy,
        saved: Saved,
        (cursor, conclusions): (u64, Conclusions),
        progress: watch::Sender<u64>,
    ) -> Self {
        Self { client, trading, board, retry, saved, cursor, conclusions, progress }
    }

    /// Works until `stopped` says so, or nobody is left who could say it. A save is never given up
    /// half way: whoever starts next must find the file at rest.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut failures = 0;
        let mut reading = self.reading(Duration::ZERO);
        while self.saved.is_ours() {
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
            if self.saved.is_due() {
                self.save().await;
            }
        }
        if self.saved.is_behind() {
            self.save().await;
        }
    }

    fn next_look(&self) -> Instant {
        let save = Instant::now() + SAVE_EVERY;
        self.conclusions.next_look().map_or(save, |look| look.min(save))
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
            self.saved.changed();
            fail_point::hit("funding-noted");
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
            fail_point::hit("conclusion-before-call");
            let told = client.conclude_funding(context, transaction, granted);
            let told = tokio::time::timeout(CALL_TIMEOUT_DEFAULT * 2, told).await;
            fail_point::hit("conclusion-called");
            (conclusion, told.unwrap_or(Err(WalletError::Timeout)))
        };
        let told = stream::iter(due).map(tell).buffer_unordered(FUNDING_WINDOW);
        for (conclusion, result) in told.collect::<Vec<_>>().await {
            if self.conclusions.told(conclusion, &result, self.retry) {
                self.saved.changed();
            }
        }
    }

    async fn save(&mut self) {
        let conclusions = self.conclusions.store();
        let mut body = Vec::new();
        codec::append(&Stored { format: FORMAT, cursor: self.cursor, conclusions }, &mut body);
        self.saved.save(body).await;
    }
}
