//! Owns what others may see of settlement: progress, statuses of trades, counts.
//! Knows nothing of calls. Invariant: a trade is SETTLED only after the wallet said so, and FAILED
//! only after it refused or an operator took it out; everything between is PENDING.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{Amount, AssetCode, TradeId};
use hdrhistogram::Histogram;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;
use wallet::client::Settlement;
use wallet::durations::{Durations, DurationsSnapshot};

use crate::limits::{DELAY_BOUNDS_US, RECENT_MAX};
use crate::outcome::Class;
use crate::progress::Progress;

/// How far the settlement of one trade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementStatus {
    Pending,
    Settled,
    /// The wallet refused it: a dead letter that waits for an operator, or that one took out.
    Failed,
}

impl SettlementStatus {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Settled => "SETTLED",
            Self::Failed => "FAILED",
        }
    }
}

/// What is known of one trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeStatus {
    pub status: SettlementStatus,
    /// `None` if not settled, or so long ago that only the wallet knows.
    pub settlement_id: Option<Uuid>,
    pub settled_at_ns: Option<u64>,
    /// Tries that failed, and why the last one did.
    pub retries: u32,
    pub failure_reason: Option<String>,
}

/// How settlement is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskStatus {
    pub cursor: u64,
    /// Newest event that was read.
    pub head: u64,
    /// Trades that were read and are not settled, those on their way to the wallet among them.
    pub window: usize,
    pub in_flight: usize,
    pub dead_letters: usize,
    /// Since when the oldest trade in the window waits, nanoseconds since the Unix epoch.
    pub oldest_unsettled_ns: Option<u64>,
    pub oldest_dead_letter_ns: Option<u64>,
    pub paused: bool,
    /// Why nothing more is done until the process starts again.
    pub halted: Option<String>,
    pub counts: Counts,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub submitted: u64,
    pub settled: u64,
    /// Tries that ended in an error.
    pub failed_tries: u64,
    pub dead_lettered: u64,
    pub calls: u64,
    /// Times that nobody was there and the desk waited.
    pub waits: u64,
}

/// The newest settlements.
#[derive(Debug, Default)]
struct Recent {
    by_trade: HashMap<TradeId, Settlement>,
    order: VecDeque<TradeId>,
}

#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) progress: Progress,
    /// Trades behind the cursor that are not settled yet, with the tries of each.
    pub(crate) undone: BTreeMap<TradeId, Undone>,
    /// Newest event and newest trade that were read.
    pub(crate) head: u64,
    pub(crate) newest: TradeId,
    pub(crate) in_flight: usize,
    pub(crate) paused: bool,
    pub(crate) halted: Option<String>,
    recent: Recent,
}

/// A trade in the window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Undone {
    pub(crate) traded_ns: u64,
    pub(crate) tries: u32,
}

/// Shared by the worker, which writes, and whoever asks.
#[derive(Debug)]
pub struct Board {
    view: RwLock<View>,
    submitted: AtomicU64,
    settled: AtomicU64,
    failed_tries: AtomicU64,
    dead_lettered: AtomicU64,
    calls: AtomicU64,
    waits: AtomicU64,
    /// From trade to settlement, microseconds.
    delays: Mutex<Histogram<u64>>,
    delays_by_size: Durations,
}

/// Longest delay that is told apart: an hour, microseconds.
const DELAY_MAX_US: u64 = 3_600_000_000;

impl Board {
    pub(crate) fn new(progress: Progress, paused: bool) -> Self {
        let delays = Histogram::new_with_bounds(1, DELAY_MAX_US, 3);
        let (head, newest) = (progress.cursor, progress.trade);
        Self {
            view: RwLock::new(View { progress, paused, head, newest, ..View::default() }),
            submitted: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            failed_tries: AtomicU64::new(0),
            dead_lettered: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            delays: Mutex::new(delays.expect("the bounds are in order")),
            delays_by_size: Durations::new(&DELAY_BOUNDS_US),
        }
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.view.read())
    }

    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        change(&mut self.view.write())
    }

    pub(crate) fn count(&self, what: impl FnOnce(&Self) -> &AtomicU64, by: u64) {
        what(self).fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn count_submitted(&self) {
        self.count(|board| &board.submitted, 1);
    }

    pub(crate) fn count_failed_try(&self) {
        self.count(|board| &board.failed_tries, 1);
    }

    pub(crate) fn count_dead_letter(&self) {
        self.count(|board| &board.dead_lettered, 1);
    }

    pub(crate) fn count_call(&self) {
        self.count(|board| &board.calls, 1);
    }

    pub(crate) fn count_wait(&self) {
        self.count(|board| &board.waits, 1);
    }

    /// A trade was settled.
    pub(crate) fn settle(&self, trade: TradeId, traded_ns: u64, settlement: Settlement) {
        self.count(|board| &board.settled, 1);
        let delay_us = settlement.settled_at_ns.saturating_sub(traded_ns) / 1_000;
        self.delays_by_size.record(delay_us);
        self.delays.lock().saturating_record(delay_us.clamp(1, DELAY_MAX_US));
        let mut view = self.view.write();
        let recent = &mut view.recent;
        if recent.by_trade.insert(trade, settlement).is_none() {
            recent.order.push_back(trade);
            if recent.order.len() > RECENT_MAX
                && let Some(oldest) = recent.order.pop_front()
            {
                recent.by_trade.remove(&oldest);
            }
        }
    }

    /// Settlements at hand, and letters that are kept, those that were taken out among them.
    pub(crate) fn kept(&self) -> [usize; 2] {
        self.read(|view| {
            let letters = &view.progress.letters;
            [view.recent.order.len(), letters.len() + letters.discarded().count()]
        })
    }

    /// Delay from trade to settlement at a quantile, microseconds.
    #[must_use]
    pub fn delay_us(&self, quantile: f64) -> u64 {
        self.delays.lock().value_at_quantile(quantile)
    }

    /// Delays from trade to settlement by size.
    #[must_use]
    pub fn delays(&self) -> DurationsSnapshot {
        self.delays_by_size.snapshot()
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            submitted: get(&self.submitted),
            settled: get(&self.settled),
            failed_tries: get(&self.failed_tries),
            dead_lettered: get(&self.dead_lettered),
            calls: get(&self.calls),
            waits: get(&self.waits),
        }
    }

    #[must_use]
    pub fn status(&self) -> DeskStatus {
        let counts = self.counts();
        self.read(|view| DeskStatus {
            cursor: view.progress.cursor,
            head: view.head,
            window: view.undone.len(),
            in_flight: view.in_flight,
            dead_letters: view.progress.letters.len(),
            oldest_unsettled_ns: view.undone.first_key_value().map(|(_, u)| u.traded_ns),
            oldest_dead_letter_ns: view.progress.letters.iter().map(|l| l.first_ns).min(),
            paused: view.paused,
            halted: view.halted.clone(),
            counts,
        })
    }

    /// The sequence of the last command whose trades are all settled, or dead letters.
    #[must_use]
    pub fn settled_through(&self) -> u64 {
        self.read(|view| view.progress.sequence)
    }

    /// A copy of progress and dead letters.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.read(|view| view.progress.clone())
    }

    /// What discarded trades would have taken from the reservation of each order, by its key.
    #[must_use]
    pub fn discarded_shares(&self) -> BTreeMap<u128, Amount> {
        self.read(|view| view.progress.letters.discarded_shares())
    }

    /// Whether a dead letter is to move money of this user in this asset.
    #[must_use]
    pub fn concerned_by_dead_letter(&self, user: Uuid, asset: AssetCode) -> bool {
        self.read(|view| view.progress.letters.concern(user, asset))
    }

    /// How far the settlement of a trade is.
    #[must_use]
    pub fn trade(&self, trade: TradeId) -> TradeStatus {
        self.read(|view| view.trade(trade))
    }
}

impl View {
    fn trade(&self, trade: TradeId) -> TradeStatus {
        let pending = |retries, failure_reason| TradeStatus {
            status: SettlementStatus::Pending,
            settlement_id: None,
            settled_at_ns: None,
            retries,
            failure_reason,
        };
        if let Some(letter) = self.progress.letters.get(trade) {
            let status = match letter.class {
                Class::Unknown => SettlementStatus::Pending,
                Class::Terminal | Class::Impossible => SettlementStatus::Failed,
            };
            return TradeStatus { status, ..pending(letter.attempts, Some(letter.reason.clone())) };
        }
        if let Some(discarded) = self.progress.letters.discarded_of(trade) {
            let reason = format!("discarded: {}", discarded.reason);
            return TradeStatus { status: SettlementStatus::Failed, ..pending(0, Some(reason)) };
        }
        if let Some(undone) = self.undone.get(&trade) {
            return pending(undone.tries, None);
        }
        if trade > self.newest {
            return pending(0, None);
        }
        let settlement = self.recent.by_trade.get(&trade);
        TradeStatus {
            status: SettlementStatus::Settled,
            settlement_id: settlement.map(|settlement| settlement.settlement_id),
            settled_at_ns: settlement.map(|settlement| settlement.settled_at_ns),
            retries: 0,
            failure_reason: None,
        }
    }
}
