//! Owns what is known of the calls that passed by. Knows nothing of what became of them.
//! Invariant: a call is under way until its future has ended or was dropped.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use uuid::Uuid;
use wallet::client::SettleRequest;

/// What passed by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The trades of each call, in the order in which the calls began.
    pub(crate) calls: Vec<Vec<Uuid>>,
    pub(crate) in_flight: usize,
    pub(crate) most_in_flight: usize,
    /// Trades under way right now, and whether one was in two calls at once.
    under_way: BTreeSet<Uuid>,
    pub(crate) doubled: bool,
}

impl Seen {
    /// How often a trade was sent.
    pub(crate) fn times(&self, trade: Uuid) -> usize {
        self.calls.iter().flatten().filter(|sent| **sent == trade).count()
    }
}

/// Counts a call until it ends, or is given up.
pub(super) struct InFlight<'a>(&'a Mutex<Seen>, Vec<Uuid>);

impl<'a> InFlight<'a> {
    pub(super) fn new(all: &'a Mutex<Seen>, requests: &[SettleRequest]) -> Self {
        let trades: Vec<_> = requests.iter().map(|request| request.trade_id).collect();
        let mut seen = all.lock();
        seen.in_flight += 1;
        seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
        seen.calls.push(trades.clone());
        for trade in &trades {
            let is_alone = seen.under_way.insert(*trade);
            seen.doubled |= !is_alone;
        }
        Self(all, trades)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut seen = self.0.lock();
        seen.in_flight -= 1;
        for trade in &self.1 {
            seen.under_way.remove(trade);
        }
    }
}
