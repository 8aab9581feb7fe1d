//! Owns the orders that can be queried: all live ones, and the latest of the closed ones.
//! Knows nothing of balances or books. Invariant: every index names only orders that are kept, and
//! closed orders are forgotten in the order in which they closed.

use std::collections::{BTreeSet, HashMap, VecDeque};

use engine::{AccountId, ClientOrderId, Command, Event, Frame, OrderId};

use crate::limits::CLOSED_ORDERS_MAX;
use crate::views::state::{Ended, OrderRecord};

/// All orders that are kept.
#[derive(Debug)]
pub struct Orders {
    by_id: HashMap<OrderId, OrderRecord>,
    /// Ids ascend with time, so the last one of a set is its newest order.
    by_account: HashMap<AccountId, BTreeSet<OrderId>>,
    by_client_id: HashMap<(AccountId, ClientOrderId), OrderId>,
    /// Closed orders, the one that closed first in front.
    closed: VecDeque<OrderId>,
    closed_max: usize,
    sequence: u64,
}

impl Default for Orders {
    fn default() -> Self {
        Self::with_closed_max(CLOSED_ORDERS_MAX)
    }
}

impl Orders {
    fn with_closed_max(closed_max: usize) -> Self {
        Self {
            by_id: HashMap::new(),
            by_account: HashMap::new(),
            by_client_id: HashMap::new(),
            closed: VecDeque::new(),
            closed_max,
            sequence: 0,
        }
    }

    /// Sequence of the last command that changed anything here.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    #[must_use]
    pub fn get(&self, id: OrderId) -> Option<&OrderRecord> {
        self.by_id.get(&id)
    }

    /// The newest order with this client order id.
    #[must_use]
    pub fn by_client_id(&self, account: AccountId, id: ClientOrderId) -> Option<&OrderRecord> {
        self.get(*self.by_client_id.get(&(account, id))?)
    }

    /// The account's orders below `before`, newest first.
    pub fn newest_first(
        &self,
        account: AccountId,
        before: OrderId,
    ) -> impl Iterator<Item = &OrderRecord> {
        let ids = self.by_account.get(&account);
        ids.into_iter()
            .flat_map(move |ids| ids.range(..before).rev())
            .filter_map(|id| self.get(*id))
    }

    /// Live orders.
    #[must_use]
    pub fn live(&self) -> usize {
        self.by_id.len() - self.closed.len()
    }

    pub(super) fn apply(&mut self, frame: &Frame<Command>, events: &[Event]) {
        self.sequence = frame.sequence;
        let now_ns = frame.timestamp_ns;
        let mut own = OrderId(0);
        if let Command::NewOrder(order) = &frame.command
            && let Some(record) = OrderRecord::placed(frame, order, events)
        {
            own = record.id;
            self.insert(record);
        }
        for event in events {
            match event {
                Event::Trade(trade) => {
                    for id in [trade.maker_order_id, trade.taker_order_id] {
                        self.change(id, own, |record| record.state.fill(trade, now_ns));
                    }
                }
                Event::OrderAmended { order_id, price, quantity, .. } => {
                    self.change(*order_id, own, |record| {
                        record.state.price = *price;
                        record.state.quantity = *quantity;
                        record.state.updated_ns = now_ns;
                    });
                }
                Event::OrderClosed { order_id, reason, .. } => {
                    let ended = Ended::Closed(*reason);
                    let found =
                        self.change(*order_id, own, |record| record.state.end(ended, now_ns));
                    if found {
                        self.close(*order_id);
                    }
                }
                _ => {}
            }
        }
    }

    /// Adds an order with everything that its own command did to it.
    fn insert(&mut self, record: OrderRecord) {
        let id = record.id;
        self.by_account.entry(record.account).or_default().insert(id);
        if !record.client_order_id.is_empty() {
            self.by_client_id.insert((record.account, record.client_order_id), id);
        }
        let ended = record.state.ended.is_some();
        self.by_id.insert(id, record);
        if ended {
            self.close(id);
        }
    }

    /// Changes an order that was there before; `own` is complete already.
    fn change(&mut self, id: OrderId, own: OrderId, change: impl FnOnce(&mut OrderRecord)) -> bool {
        if id == own {
            return false;
        }
        let found = self.by_id.get_mut(&id);
        found.map(change).is_some()
    }

    fn close(&mut self, id: OrderId) {
        self.closed.push_back(id);
        if self.closed.len() > self.closed_max
            && let Some(oldest) = self.closed.pop_front()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: OrderId) {
        let Some(record) = self.by_id.remove(&id) else { return };
        if let Some(ids) = self.by_account.get_mut(&record.account) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_account.remove(&record.account);
            }
        }
        let key = (record.account, record.client_order_id);
        if self.by_client_id.get(&key) == Some(&id) {
            self.by_client_id.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::{InstrumentId, NewOrder, Price, Quantity, RejectReason, Side};

    use super::*;

    fn refused(sequence: u64, client_id: &str) -> (Frame<Command>, [Event; 1]) {
        let mut order =
            NewOrder::limit(AccountId(1), InstrumentId(1), Side::Buy, Quantity(1), Price(1));
        order.client_order_id = ClientOrderId::new(client_id.as_bytes()).unwrap();
        let event = Event::CommandRejected {
            reason: RejectReason::InsufficientBalance,
            account: AccountId(1),
            instrument: InstrumentId(1),
            target: OrderId(0),
        };
        let command = Command::NewOrder(order);
        (Frame { sequence, timestamp_ns: sequence, command }, [event])
    }

    #[test]
    fn closed_orders_are_bounded_and_the_oldest_goes_first() {
        let mut orders = Orders::with_closed_max(2);
        for (sequence, key) in [(1, "a"), (2, "b")] {
            let (frame, events) = refused(sequence, key);
            orders.apply(&frame, &events);
        }
        assert!(orders.get(OrderId(1)).is_some(), "at the bound");
        let (frame, events) = refused(3, "c");
        orders.apply(&frame, &events);
        assert!(orders.get(OrderId(1)).is_none(), "one past it");
        assert!(orders.by_client_id(AccountId(1), ClientOrderId::new(b"a").unwrap()).is_none());
        let newest: Vec<_> =
            orders.newest_first(AccountId(1), OrderId(u64::MAX)).map(|o| o.id.0).collect();
        assert_eq!(newest, [3, 2]);
        assert_eq!((orders.live(), orders.sequence()), (0, 3));
    }

    #[test]
    fn a_conflicting_key_makes_no_order() {
        let (frame, mut events) = refused(1, "a");
        if let Event::CommandRejected { reason, .. } = &mut events[0] {
            *reason = RejectReason::IdempotencyConflict;
        }
        let mut orders = Orders::default();
        orders.apply(&frame, &events);
        assert!(orders.get(OrderId(1)).is_none());
    }
}
