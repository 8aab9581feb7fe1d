//! Owns the order in which ended orders are forgotten. Knows nothing of what an order was.
//! Invariant: bounded over all accounts and for each of them; whoever fills an account's share
//! makes only that account forget.

use std::collections::{BTreeMap, HashMap, VecDeque};

use engine::{AccountId, OrderId};

/// How many ended orders are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistoryBounds {
    pub(super) all: usize,
    pub(super) per_account: usize,
}

/// Ended orders of one kind, the one that ended first in front.
#[derive(Debug)]
pub(super) struct History {
    bounds: HistoryBounds,
    /// Place of the next order to end.
    next: u64,
    places: BTreeMap<u64, (AccountId, OrderId)>,
    /// The places of each account, ascending.
    by_account: HashMap<AccountId, VecDeque<u64>>,
}

impl History {
    pub(super) fn new(bounds: HistoryBounds) -> Self {
        Self { bounds, next: 0, places: BTreeMap::new(), by_account: HashMap::new() }
    }

    /// The one that ended first in front.
    pub(super) fn ids(&self) -> impl Iterator<Item = OrderId> {
        self.places.values().map(|(_, id)| *id)
    }

    pub(super) fn bounds(&self) -> HistoryBounds {
        self.bounds
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Adds an order that has just ended; gives the one that is forgotten for it.
    pub(super) fn push(&mut self, account: AccountId, id: OrderId) -> Option<OrderId> {
        let own = self.by_account.entry(account).or_default();
        own.push_back(self.next);
        self.places.insert(self.next, (account, id));
        self.next += 1;
        if own.len() > self.bounds.per_account {
            let oldest = own.pop_front()?;
            return self.places.remove(&oldest).map(|(_, id)| id);
        }
        if self.places.len() <= self.bounds.all {
            return None;
        }
        let (_, (owner, forgotten)) = self.places.pop_first()?;
        // The oldest of all is the oldest of its owner.
        if let Some(places) = self.by_account.get_mut(&owner) {
            places.pop_front();
            if places.is_empty() {
                self.by_account.remove(&owner);
            }
        }
        Some(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: HistoryBounds = HistoryBounds { all: 5, per_account: 3 };

    #[test]
    fn an_account_past_its_share_forgets_its_own() {
        let mut history = History::new(BOUNDS);
        assert_eq!(history.push(AccountId(1), OrderId(1)), None);
        for id in 2..=4 {
            assert_eq!(history.push(AccountId(2), OrderId(id)), None, "at the bound");
        }
        assert_eq!(history.push(AccountId(2), OrderId(5)), Some(OrderId(2)), "one past it");
        assert_eq!(history.push(AccountId(2), OrderId(6)), Some(OrderId(3)));
        assert_eq!(history.len(), 4);
    }

    #[test]
    fn past_the_bound_of_all_the_oldest_goes_first() {
        let mut history = History::new(BOUNDS);
        for id in 1..=5 {
            let account = AccountId(u32::try_from(id).unwrap());
            assert_eq!(history.push(account, OrderId(id)), None, "at the bound");
        }
        assert_eq!(history.push(AccountId(1), OrderId(6)), Some(OrderId(1)), "one past it");
        assert_eq!(history.push(AccountId(1), OrderId(7)), Some(OrderId(2)));
        assert_eq!((history.len(), history.by_account.len()), (5, 4), "no account without orders");
    }
}
