//! Owns the trades between the cursor and the newest one that was read.
//! Knows nothing of calls. Invariant: the cursor is right below the oldest trade here, whatever
//! order the others end in.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Event, TradeId};
use tokio::time::Instant;
use wallet::client::SettleRequest;

use crate::progress::Progress;
use crate::source::SourcedEvent;
use crate::trade::DueTrade;

/// What could still bring the money for a trade when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// An earlier trade, which was not settled yet.
    Behind,
    /// An earlier trade that is a dead letter.
    Owed,
    /// Nothing.
    Final,
}

/// One trade on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) trade: DueTrade,
    /// Tries that failed.
    pub(super) tries: u32,
    /// When it was sent last.
    pub(super) standing: Standing,
    sequence: u64,
}

/// All of them, by the place of their event. Those that are in none of the three sets are flying.
#[derive(Debug)]
pub(super) struct Window {
    jobs: BTreeMap<u64, Job>,
    /// For a worker.
    ready: BTreeSet<u64>,
    /// For their time.
    waiting: BTreeSet<(Instant, u64)>,
    /// To be the oldest: an earlier trade may bring the money.
    parked: BTreeSet<u64>,
    /// Place of the newest event that was read, and the newest trade.
    head: u64,
    newest: TradeId,
    /// The last command of which every event was read.
    whole: u64,
}

impl Window {
    /// Goes on from where progress stands.
    pub(super) fn new(progress: &Progress) -> Self {
        Self {
            jobs: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            parked: BTreeSet::new(),
            head: progress.cursor,
            newest: progress.trade,
            whole: progress.sequence,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Trades from the oldest one here to the newest one that was read.
    pub(super) fn span(&self) -> u64 {
        let oldest = self.jobs.first_key_value().map(|(_, job)| job.trade.number.0);
        oldest.map_or(0, |oldest| self.newest.0 + 1 - oldest)
    }

    pub(super) fn add(&mut self, trade: DueTrade, sequence: u64) {
        let place = trade.event_sequence;
        self.jobs.insert(place, Job { trade, tries: 0, standing: Standing::Behind, sequence });
        self.ready.insert(place);
    }

    /// Takes note that an event was read.
    pub(super) fn read(&mut self, event: &SourcedEvent) {
        self.head = event.event_sequence;
        // There may be more events of the same command.
        self.whole = self.whole.max(event.sequence - 1);
        if let Event::Trade(trade) = &event.event {
            self.newest = trade.trade_id;
        }
    }

    /// Takes note that commands up to this one have no further events.
    pub(super) fn read_through(&mut self, sequence: u64) {
        self.whole = self.whole.max(sequence);
    }

    pub(super) fn get(&self, place: u64) -> Option<&Job> {
        self.jobs.get(&place)
    }

    /// Up to `max` trades whose time has come, oldest first; they are flying from now on. One that
    /// had no outcome before flies alone: whatever its fault is must not befall the others.
    pub(super) fn take(&mut self, max: usize, now: Instant) -> Vec<u64> {
        while let Some((from, place)) = self.waiting.first().copied()
            && from <= now
        {
            self.waiting.pop_first();
            self.ready.insert(place);
        }
        let oldest = self.jobs.first_key_value().map(|(place, _)| *place);
        // What was behind the oldest may be next in line as soon as that is settled.
        let from = match oldest {
            Some(oldest) if self.parked.contains(&oldest) => &mut self.parked,
            _ => &mut self.ready,
        };
        let tries = |place: &u64| self.jobs.get(place).map_or(0, |job| job.tries);
        let taken: Vec<u64> = match from.first().copied() {
            Some(first) if tries(&first) > 0 => vec![first],
            _ => from.iter().copied().filter(|place| tries(place) == 0).take(max).collect(),
        };
        for place in &taken {
            from.remove(place);
            if let Some(job) = self.jobs.get_mut(place) {
                let is_oldest = Some(*place) == oldest;
                job.standing = if is_oldest { Standing::Final } else { Standing::Behind };
            }
        }
        taken
    }

    /// A dead letter may bring the money for this trade, which is the oldest.
    pub(super) fn owe(&mut self, place: u64) {
        if let Some(job) = self.jobs.get_mut(&place) {
            job.standing = Standing::Owed;
        }
    }

    pub(super) fn requests(&self, places: &[u64]) -> Vec<SettleRequest> {
        places.iter().filter_map(|place| self.get(*place)).map(|job| job.trade.request).collect()
    }

    pub(super) fn retry(&mut self, place: u64, tries: u32, from: Instant) {
        if let Some(job) = self.jobs.get_mut(&place) {
            job.tries = tries;
            self.waiting.insert((from, place));
        }
    }

    pub(super) fn park(&mut self, place: u64) {
        self.parked.insert(place);
    }

    pub(super) fn remove(&mut self, place: u64) {
        self.jobs.remove(&place);
    }

    /// Place of the newest event that was read.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn newest(&self) -> TradeId {
        self.newest
    }

    /// Event, command and trade up to which everything is done.
    pub(super) fn reached(&self) -> (u64, u64, TradeId) {
        match self.jobs.first_key_value() {
            Some((place, job)) => {
                let trade = TradeId(job.trade.number.0 - 1);
                (place - 1, job.sequence - 1, trade)
            }
            None => (self.head, self.whole, self.newest),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::due;

    fn window(numbers: std::ops::RangeInclusive<u64>) -> Window {
        let mut window = Window::new(&Progress::default());
        for number in numbers {
            window.add(due(number), number * 10);
            window.newest = TradeId(number);
        }
        window
    }

    #[test]
    fn the_cursor_waits_for_the_oldest() {
        let progress = Progress { cursor: 4, sequence: 41, ..Progress::default() };
        assert_eq!(Window::new(&progress).reached(), (4, 41, TradeId(0)));
        let mut window = window(5..=7);
        let now = Instant::now();
        assert_eq!(window.take(2, now), [5, 6]);
        assert_eq!(window.take(2, now), [7]);
        assert!(window.take(2, now).is_empty(), "all are flying");
        window.remove(6);
        assert_eq!((window.reached(), window.span()), ((4, 49, TradeId(4)), 3));
        window.remove(5);
        assert_eq!((window.reached(), window.span()), ((6, 69, TradeId(6)), 1));
    }

    #[test]
    fn a_parked_trade_flies_when_it_is_the_oldest_and_takes_others_along() {
        let mut window = window(1..=4);
        let now = Instant::now();
        assert_eq!(window.take(9, now), [1, 2, 3, 4]);
        for place in [2, 3, 4] {
            assert_eq!(window.get(place).unwrap().standing, Standing::Behind);
            window.park(place);
        }
        assert!(window.take(9, now).is_empty());
        assert_eq!(window.get(1).unwrap().standing, Standing::Final);
        window.remove(1);
        assert_eq!(window.take(2, now), [2, 3]);
        assert_eq!(window.get(2).unwrap().standing, Standing::Final);
        assert_eq!(window.get(3).unwrap().standing, Standing::Behind);
    }

    #[test]
    fn a_trade_without_outcome_flies_alone_when_its_time_has_come() {
        let mut window = window(1..=5);
        let now = Instant::now();
        assert_eq!(window.take(3, now), [1, 2, 3]);
        let later = now + Duration::from_millis(100);
        window.retry(2, 1, later);
        window.retry(3, 0, later);
        assert_eq!(window.take(9, now), [4, 5], "not yet");
        assert_eq!(window.take(9, later), [2]);
        assert_eq!(window.take(9, later), [3]);
        for (place, tries) in [(3, 0), (4, 1), (5, 0)] {
            window.retry(place, tries, later);
        }
        assert_eq!(window.take(9, later), [3, 5], "nor does it join others");
        assert_eq!(window.take(9, later), [4]);
    }

    #[test]
    fn a_command_is_done_with_when_all_its_events_are() {
        let mut window = Window::new(&Progress::default());
        let event = Event::SessionEnded { instrument: engine::InstrumentId(1), closed: 0 };
        let event = |event_sequence, sequence| SourcedEvent {
            event_sequence,
            sequence,
            timestamp_ns: 0,
            event,
        };
        window.read(&event(1, 8));
        assert_eq!(window.reached(), (1, 7, TradeId(0)), "there may be more of command 8");
        window.read(&event(2, 8));
        window.read_through(9);
        assert_eq!(window.reached(), (2, 9, TradeId(0)));
    }
}
