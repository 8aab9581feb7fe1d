//! Owns the running of releases: reading, telling the wallet, saving.
//! Knows nothing of what an order was. Invariant: the cursor and what is owed behind it are in one
//! file, and no more is read than may be owed.

use std::sync::Arc;

use engine::{Amount, codec};
use futures_util::StreamExt;
use futures_util::stream;
use journal::fail_point;
use tokio::sync::watch;
use tokio::time::Instant;
use wallet::client::limits::BATCH_MAX;
use wallet::client::{CallContext, CallOutcome, Released, WalletError};
use wallet::ledger::types::ReleaseReason;

use super::{Ends, FORMAT, Release, ReleaseParts, ReleasesStatus, Stored};
use crate::limits::{
    CALL_TIMEOUT_DEFAULT, POLL_EVERY, READ_MAX, RELEASE_CALLS_MAX, RELEASES_OWED_MAX, SAVE_EVERY,
};
use crate::owed::{Owed, Readiness};
use crate::saved::Saved;
use crate::source::{SourceError, SourcedEvent};

pub(super) struct Worker {
    parts: ReleaseParts,
    saved: Saved,
    cursor: u64,
    owed: Owed<Release>,
    ends: Ends,
    released: u64,
    page: Vec<SourcedEvent>,
    /// Nothing more may be told before then, unless settlement comes further than this.
    look_at: Instant,
    looked_through: u64,
    status: watch::Sender<ReleasesStatus>,
}

impl Worker {
    /// Goes on from a cursor and what was owed there.
    pub(super) fn new(
        parts: ReleaseParts,
        saved: Saved,
        cursor: u64,
        owed: Vec<Release>,
        status: watch::Sender<ReleasesStatus>,
    ) -> Self {
        let (owed, ends, page) = (Owed::new(owed), Ends::default(), Vec::new());
        let (look_at, looked_through, released) = (Instant::now(), 0, 0);
        let mut worker = Self {
            parts,
            saved,
            cursor,
            owed,
            ends,
            released,
            page,
            look_at,
            looked_through,
            status,
        };
        worker.show();
        worker
    }

    /// Works until `stopped` says so, or nobody is left who could say it.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        while self.saved.is_ours() {
            let read = match self.read() {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "releases end: their events cannot be read");
                    self.halt(error.to_string());
                    break;
                }
            };
            // Calls have deadlines: they are not given up half way.
            self.tell().await;
            self.show();
            if self.saved.is_due() {
                self.save().await;
            }
            let pause = if read { Instant::now() } else { Instant::now() + POLL_EVERY };
            tokio::select! {
                () = tokio::time::sleep_until(pause) => {}
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
            if *stopped.borrow() {
                break;
            }
        }
        if self.saved.is_behind() {
            self.save().await;
        }
        if !self.saved.is_ours() {
            self.halt("the cursor is somebody else's, or cannot be saved".to_owned());
        }
    }

    fn halt(&self, reason: String) {
        self.status.send_modify(|status| status.halted = Some(reason));
    }

    /// Takes events from the log while there is room for what they may ask for. Whether there may
    /// be more at once.
    fn read(&mut self) -> Result<bool, SourceError> {
        let room = RELEASES_OWED_MAX.saturating_sub(self.owed.len()).min(READ_MAX);
        if room == 0 {
            return Ok(false);
        }
        self.page.clear();
        self.parts.source.read(room, &mut self.page)?;
        for event in &self.page {
            if let Some(release) = self.ends.read(event, &*self.parts.directory)? {
                self.owed.add(release);
                self.look_at = Instant::now();
            }
            self.cursor = event.event_sequence;
            self.saved.changed();
        }
        Ok(self.page.len() == room)
    }

    /// Tells the wallet everything that it may be told now.
    async fn tell(&mut self) {
        let settled = self.parts.board.settled_through();
        if settled == self.looked_through && Instant::now() < self.look_at {
            return;
        }
        let due = self.owed.due(BATCH_MAX * RELEASE_CALLS_MAX, |release| {
            // The wallet would say the same, but for an order that has not traded.
            let waits = release.captured > 0 && release.after > settled;
            if waits { Readiness::NotYet } else { Readiness::Ready }
        });
        if due.is_empty() {
            self.looked_through = settled;
            let now = Instant::now();
            self.look_at = self.owed.next_look_after(now).unwrap_or(now + SAVE_EVERY);
            return;
        }
        let shares = self.parts.board.discarded_shares();
        let shares = &shares;
        let client = &self.parts.client;
        let call = |batch: Vec<Release>| {
            let client = Arc::clone(client);
            async move {
                let request = |release: &Release| release.request(release.share(shares));
                let requests: Vec<_> = batch.iter().map(request).collect();
                let context = CallContext::within(CALL_TIMEOUT_DEFAULT).once();
                fail_point::hit("release-before-call");
                let told = client.release_batch(context, &requests);
                // The client keeps to the deadline; this is for one that does not.
                let told = tokio::time::timeout(CALL_TIMEOUT_DEFAULT * 2, told).await;
                fail_point::hit("release-called");
                (batch, told.unwrap_or(Err(WalletError::Timeout)))
            }
        };
        let batches: Vec<_> = due.chunks(BATCH_MAX).map(<[Release]>::to_vec).collect();
        let told: Vec<_> =
            stream::iter(batches).map(call).buffer_unordered(RELEASE_CALLS_MAX).collect().await;
        for (batch, results) in told {
            let results = match results {
                Ok(results) if results.len() == batch.len() => results,
                Ok(_) => vec![Err(WalletError::Timeout); batch.len()],
                Err(error) => vec![Err(error); batch.len()],
            };
            for (release, result) in batch.iter().zip(results) {
                self.conclude(release, release.share(shares), result);
            }
        }
    }

    /// What follows from the wallet's answer to one release.
    fn conclude(
        &mut self,
        release: &Release,
        share: Amount,
        result: Result<Released, WalletError>,
    ) {
        let Release { order, returned, reason, .. } = *release;
        match result {
            Ok(Released { released }) if released == returned + share => {}
            Ok(Released { released }) => {
                tracing::error!(%order, released, returned, "the wallet gave back another amount");
            }
            // It never came to a reservation, and never will: the wallet remembers the release.
            Err(WalletError::ReservationNotFound)
                if reason == ReleaseReason::OrderCreationFailed => {}
            Err(error) => return self.again(release, &error),
        }
        self.owed.done(release);
        self.released += 1;
        self.saved.changed();
        fail_point::hit("release-noted");
    }

    /// Said less and less often: it may last.
    fn again(&mut self, release: &Release, error: &WalletError) {
        let tries = self.owed.failed(release, self.parts.retry);
        if !tries.is_power_of_two() {
            return;
        }
        let order = release.order;
        match (error, error.outcome()) {
            // The trades that take from the reservation are dead letters, or on their way.
            (WalletError::CapturePending, _) => {
                tracing::info!(%order, tries, "a release waits for its captures");
            }
            (_, CallOutcome::Refused) => tracing::error!(
                %order, tries, %error, "the wallet refuses a release: somebody must look at it"
            ),
            _ => tracing::warn!(%order, tries, %error, "a release is not taken note of"),
        }
    }

    fn show(&mut self) {
        let (cursor, owed, released) = (self.cursor, self.owed.len(), self.released);
        self.status.send_replace(ReleasesStatus { cursor, owed, released, halted: None });
    }

    async fn save(&mut self) {
        let owed = self.owed.store();
        let mut body = Vec::new();
        codec::append(&Stored { format: FORMAT, cursor: self.cursor, owed }, &mut body);
        self.saved.save(body).await;
    }
}
