//! Owns how many commands each account has in flight, and how many it may have while the exchange
//! is busy. Knows nothing of rings and HTTP. Invariant: a command counts from before its hand-over
//! until it is answered or refused, whether or not anybody still waits for it; whoever has nothing
//! in flight is not kept.

use std::collections::HashMap;
use std::sync::Arc;

use engine::{AccountId, Usage};
use parking_lot::Mutex;

/// The account has its share of places already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShareExceeded;

/// Commands in flight by account.
#[derive(Debug)]
pub(crate) struct FairShare {
    in_flight: Mutex<HashMap<AccountId, u64>>,
    callers_max: usize,
}

/// One command in flight; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    account: AccountId,
    table: Arc<FairShare>,
}

impl FairShare {
    /// A table of so many callers. There are no more than there are places for their commands.
    pub(crate) fn new(callers_max: usize) -> Arc<Self> {
        Arc::new(Self { in_flight: Mutex::default(), callers_max })
    }

    /// Counts a command of this account. Where `divided` places are to be shared, an account has as
    /// many as every other one with commands in flight, and one part is left for whoever comes
    /// next. `None` if the table is full: there are commands for every place, and none is free.
    ///
    /// # Errors
    /// [`ShareExceeded`]: nothing was counted.
    pub(crate) fn enter(
        self: &Arc<Self>,
        account: AccountId,
        divided: Option<u64>,
    ) -> Result<Option<Place>, ShareExceeded> {
        let mut in_flight = self.in_flight.lock();
        let own = in_flight.get(&account).copied().unwrap_or(0);
        let callers = in_flight.len() as u64 + u64::from(own == 0);
        if divided.is_some_and(|places| own >= share(places, callers)) {
            return Err(ShareExceeded);
        }
        if own == 0 && in_flight.len() >= self.callers_max {
            return Ok(None);
        }
        in_flight.insert(account, own + 1);
        drop(in_flight);
        Ok(Some(Place { account, table: Arc::clone(self) }))
    }

    /// Accounts with commands in flight.
    pub(crate) fn usage(&self) -> Usage {
        Usage::new("callers_in_flight", self.in_flight.lock().len(), self.callers_max)
    }
}

/// Places of each of so many callers: equal parts, one more than there are callers, and none of
/// nothing at all.
fn share(places: u64, callers: u64) -> u64 {
    (places / (callers + 1)).max(1)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut in_flight = self.table.in_flight.lock();
        if let Some(count) = in_flight.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                in_flight.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands that pass until one does not.
    fn fill(table: &Arc<FairShare>, account: u32, divided: Option<u64>) -> Vec<Place> {
        std::iter::from_fn(|| table.enter(AccountId(account), divided).ok().flatten())
            .take(1_000)
            .collect()
    }

    #[test]
    fn each_has_as_much_as_the_others_and_one_part_is_left() {
        let table = FairShare::new(8);
        let hot = fill(&table, 1, Some(60));
        assert_eq!(hot.len(), 30, "nobody else is there, but may come");
        let second = fill(&table, 2, Some(60));
        assert_eq!(second.len(), 20);
        assert_eq!(table.enter(AccountId(1), Some(60)).unwrap_err(), ShareExceeded);
        drop(hot);
        let third = fill(&table, 3, Some(60));
        assert_eq!(third.len(), 20, "who has nothing in flight takes no part");
        assert_eq!(fill(&table, 4, Some(60)).len(), 15);
    }

    #[test]
    fn nothing_is_divided_while_there_is_enough() {
        let table = FairShare::new(8);
        assert_eq!(fill(&table, 1, None).len(), 1_000);
    }

    #[test]
    fn among_many_everybody_has_one_place() {
        let table = FairShare::new(100);
        let all: Vec<_> = (0..100).flat_map(|account| fill(&table, account, Some(10))).collect();
        let firsts = all.iter().filter(|place| place.account.0 > 10).count();
        assert_eq!(firsts, 89);
    }

    #[test]
    fn the_table_is_bounded_and_empty_in_the_end() {
        let table = FairShare::new(3);
        let enter = |account| table.enter(AccountId(account), None).unwrap();
        let kept: Vec<_> = (1..=3).map(enter).collect();
        assert!(kept.iter().all(Option::is_some), "at the bound");
        assert!(enter(4).is_none(), "one past it");
        assert!(enter(1).is_some(), "who is there already is counted");
        assert_eq!((table.usage().used, table.usage().max), (3, 3));
        drop(kept);
        assert_eq!(table.usage().used, 0);
        assert!(enter(4).is_some());
    }
}
