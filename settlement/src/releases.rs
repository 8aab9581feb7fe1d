//! Owns giving back what orders with reservations of their own did not need.
//! Knows nothing of matching. Invariant: every end of such an order is told to the wallet until it
//! has taken note, however often either side fails; what was told twice has its effect once.
//!
//! The event log is the outbox: a cursor follows it, and what the wallet has not taken note of is
//! in one file with the cursor. A release says how much the order's trades took, so that it cannot
//! overtake a settlement.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bincode::{Decode, Encode};
use engine::{Amount, AssetCode, CloseReason, Event, OrderId, TransferId, TransferKind, codec};
use journal::{JournalError, StateFile};
use serde::Serialize;
use tokio::sync::watch;
use wallet::client::{ReleaseRequest, WalletClient};
use wallet::ledger::types::ReleaseReason;

use crate::board::Board;
use crate::desk::create;
use crate::follower::Follower;
use crate::options::RetryPolicy;
use crate::saved::Saved;
use crate::source::{Directory, EventSource, SourceError, SourcedEvent};
use crate::trade::order_key;

mod worker;

use worker::Worker;

/// File of the cursor in the directory of settlement.
pub const RELEASES_FILE: &str = "releases.state";

/// Version of its body.
const FORMAT: u16 = 1;

/// Why releases do not start.
#[derive(Debug, thiserror::Error)]
pub enum ReleasesError {
    #[error("releases: {0}")]
    File(#[from] JournalError),
    #[error("releases: {0}: not written by this program")]
    Unreadable(PathBuf),
    #[error("releases: {0}")]
    Source(#[from] SourceError),
    #[error(
        "releases are ahead of the event log, at {cursor} of {head}: what they relied on is lost"
    )]
    CursorAhead { cursor: u64, head: u64 },
}

/// The rest of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
struct Release {
    order: OrderId,
    /// Only after every trade up to this command: they took from the same reservation.
    after: u64,
    asset: AssetCode,
    captured: Amount,
    returned: Amount,
    reason: ReleaseReason,
}

impl Release {
    /// `share` is what discarded trades would have taken: it goes back with the rest.
    fn request(&self, share: Amount) -> ReleaseRequest {
        ReleaseRequest {
            reservation_id: None,
            order_id: Some(order_key(self.order)),
            asset: self.asset,
            reason: self.reason,
            captured_total: Some(self.captured.saturating_sub(share)),
        }
    }

    /// What of `shares` belongs to this order.
    fn share(&self, shares: &BTreeMap<u128, Amount>) -> Amount {
        shares.get(&order_key(self.order).as_u128()).copied().unwrap_or(0)
    }
}

#[derive(Encode, Decode)]
struct Stored {
    format: u16,
    cursor: u64,
    owed: Vec<Release>,
}

/// Reads what is to be released out of events.
#[derive(Debug, Default)]
struct Ends {
    /// How the order ended whose funds come back next.
    last: Option<(OrderId, ReleaseReason)>,
    /// The order whose rest has just left trading: it was placed.
    placed: Option<TransferId>,
}

impl Ends {
    /// The release that an event asks for, if any.
    fn read(
        &mut self,
        event: &SourcedEvent,
        directory: &dyn Directory,
    ) -> Result<Option<Release>, SourceError> {
        match event.event {
            Event::OrderClosed { order_id, reason, .. } => {
                self.last = Some((order_id, reason_of(reason)));
            }
            Event::CommandRejected { target, .. } => {
                self.last = Some((target, ReleaseReason::OrderRejected));
            }
            Event::TransferApplied { transfer_id, kind: TransferKind::FundsReturned, .. } => {
                self.placed = Some(transfer_id);
            }
            Event::FundsReturned { order_id, asset, captured, returned, .. } => {
                let code = directory.asset(asset);
                return Ok(Some(Release {
                    order: order_id,
                    after: event.sequence,
                    asset: code.ok_or_else(|| SourceError(format!("no asset {asset}")))?,
                    captured,
                    returned,
                    reason: self.reason(order_id, captured),
                }));
            }
            _ => {}
        }
        Ok(None)
    }

    /// Only of an order that was never placed may the wallet know nothing.
    fn reason(&self, order: OrderId, captured: Amount) -> ReleaseReason {
        let was_placed = captured > 0 || self.placed == Some(TransferId::of_return(order));
        match self.last.filter(|(ended, _)| *ended == order) {
            Some((_, ReleaseReason::OrderRejected)) => ReleaseReason::OrderRejected,
            _ if !was_placed => ReleaseReason::OrderCreationFailed,
            known => known.map_or(ReleaseReason::OrderCancelled, |(_, reason)| reason),
        }
    }
}

fn reason_of(reason: CloseReason) -> ReleaseReason {
    match reason {
        CloseReason::Filled | CloseReason::BudgetSpent => ReleaseReason::OrderFilled,
        CloseReason::Expired | CloseReason::SessionEnd => ReleaseReason::OrderExpired,
        _ => ReleaseReason::OrderCancelled,
    }
}

/// How releases are doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReleasesStatus {
    /// Every event up to this one was read.
    pub cursor: u64,
    /// Releases that the wallet has not taken note of.
    pub owed: usize,
    /// Those that it has, since the start.
    pub released: u64,
    /// Why nothing is released any more.
    pub halted: Option<String>,
}

/// What the file says that another process may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedReleases {
    /// Every event up to this one was read.
    pub cursor: u64,
    /// Of those, the orders of whose end the wallet may not know.
    pub owed: BTreeSet<OrderId>,
}

/// Looks at the file without taking it over; `None` if there is none.
///
/// # Errors
/// The file is damaged.
pub fn peek(directory: &Path) -> Result<Option<SavedReleases>, ReleasesError> {
    let path = directory.join(RELEASES_FILE);
    let stored = StateFile::peek(&path)?.map(|body| read(&path, &body)).transpose()?;
    Ok(stored.map(|Stored { cursor, owed, .. }| SavedReleases {
        cursor,
        owed: owed.into_iter().map(|release| release.order).collect(),
    }))
}

/// What releases work with.
pub struct ReleaseParts {
    /// Begins with the event that it was asked for.
    pub source: Box<dyn EventSource>,
    pub directory: Arc<dyn Directory>,
    pub client: Arc<dyn WalletClient>,
    pub board: Arc<Board>,
    pub retry: RetryPolicy,
}

impl std::fmt::Debug for ReleaseParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReleaseParts").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Running releases.
#[derive(Debug)]
pub struct Releases {
    status: watch::Receiver<ReleasesStatus>,
    follower: Follower,
}

impl Releases {
    /// Takes over the cursor, and releases everything behind it. `head` is the last event that the
    /// start found; `parts` is given the event from which to read. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ReleasesError`]; nothing is left running.
    pub fn start(
        directory: &Path,
        head: u64,
        parts: impl FnOnce(u64) -> Result<ReleaseParts, SourceError>,
    ) -> Result<Self, ReleasesError> {
        create(directory)?;
        let path = directory.join(RELEASES_FILE);
        let (file, body) = StateFile::open(&path)?;
        let stored = body.map(|body| read(&path, &body)).transpose()?;
        let (cursor, owed) = stored.map_or((0, Vec::new()), |stored| (stored.cursor, stored.owed));
        if cursor > head {
            return Err(ReleasesError::CursorAhead { cursor, head });
        }
        let (shown, status) = watch::channel(ReleasesStatus::default());
        let saved = Saved::new("releases", file);
        let worker = Worker::new(parts(cursor + 1)?, saved, cursor, owed, shown.clone());
        let follower = Follower::spawn(|stopped| async move {
            if let Err(error) = tokio::spawn(worker.run(stopped)).await {
                tracing::error!(%error, "releases ended by themselves");
                shown.send_modify(|status| status.halted = Some(error.to_string()));
            }
        });
        Ok(Self { status, follower })
    }

    #[must_use]
    pub fn status(&self) -> ReleasesStatus {
        self.status.borrow().clone()
    }

    /// Ends after the calls that are under way; what is left comes again after the next start.
    /// Whoever asks again waits, too.
    pub async fn stop(&self) {
        self.follower.stop().await;
    }
}

fn read(path: &Path, body: &[u8]) -> Result<Stored, ReleasesError> {
    let unreadable = || ReleasesError::Unreadable(path.to_owned());
    let stored: Stored = codec::read_whole(body).map_err(|_| unreadable())?;
    if stored.format == FORMAT { Ok(stored) } else { Err(unreadable()) }
}
