//! Owns the orders that can be queried: all live ones, the latest closed and the latest refused.
//! Knows nothing of balances or books. Invariant: every index names only orders that are kept, a
//! refused order never makes a closed one be forgotten, and the moments are those of live orders.

mod saved;

use std::collections::{BTreeSet, HashMap};

use engine::{AccountId, ClientOrderId, Command, Event, Frame, OrderId, SelfTradePolicy, Usage};

use crate::limits::{
    CLOSED_ORDERS_MAX, CLOSED_ORDERS_PER_ACCOUNT_MAX, REJECTED_ORDERS_MAX,
    REJECTED_ORDERS_PER_ACCOUNT_MAX,
};
use crate::views::history::{History, HistoryBounds};
use crate::views::record::OrderRecord;
use crate::views::state::Ended;

/// All orders that are kept.
#[derive(Debug)]
pub struct Orders {
    by_id: HashMap<OrderId, OrderRecord>,
    /// Ids ascend with time, so the last one of a set is its newest order.
    by_account: HashMap<AccountId, BTreeSet<OrderId>>,
    by_client_id: HashMap<(AccountId, ClientOrderId), OrderId>,
    closed: History,
    rejected: History,
    has_announced: bool,
    /// When live GTD orders end, nanoseconds since the Unix epoch.
    moments: BTreeSet<(u64, OrderId)>,
    sequence: u64,
}

impl Default for Orders {
    fn default() -> Self {
        let closed =
            HistoryBounds { all: CLOSED_ORDERS_MAX, per_account: CLOSED_ORDERS_PER_ACCOUNT_MAX };
        let rejected = HistoryBounds {
            all: REJECTED_ORDERS_MAX,
            per_account: REJECTED_ORDERS_PER_ACCOUNT_MAX,
        };
        Self::with_bounds(closed, rejected)
    }
}

impl Orders {
    fn with_bounds(closed: HistoryBounds, rejected: HistoryBounds) -> Self {
        Self {
            by_id: HashMap::new(),
            by_account: HashMap::new(),
            by_client_id: HashMap::new(),
            closed: History::new(closed),
            rejected: History::new(rejected),
            has_announced: false,
            moments: BTreeSet::new(),
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

    /// Whether any order has ever waited for its funds.
    #[must_use]
    pub fn has_announced(&self) -> bool {
        self.has_announced
    }

    /// Orders that wait for their funds, ascending.
    #[must_use]
    pub fn waiting(&self) -> Vec<OrderId> {
        let waiting = self.by_id.values().filter(|record| record.waits());
        let mut ids: Vec<_> = waiting.map(|record| record.id).collect();
        ids.sort_unstable();
        ids
    }

    /// When the next live order ends by time, nanoseconds since the Unix epoch.
    pub(super) fn next_moment(&self) -> Option<u64> {
        self.moments.first().map(|(moment_ns, _)| *moment_ns)
    }

    /// Ended orders that are kept: closed, and refused.
    pub(super) fn usage(&self) -> [Usage; 2] {
        [("closed_orders", &self.closed), ("refused_orders", &self.rejected)]
            .map(|(name, history)| Usage::new(name, history.len(), history.bounds().all))
    }

    /// Live orders.
    #[cfg(test)]
    pub(super) fn live(&self) -> usize {
        self.by_id.len() - self.closed.len() - self.rejected.len()
    }

    pub(super) fn apply(&mut self, frame: &Frame<Command>, events: &[Event]) {
        self.sequence = frame.sequence;
        let now_ns = frame.timestamp_ns;
        let own = self.decide(frame, events);
        for event in events {
            match event {
                Event::Trade(trade) => {
                    for id in [trade.maker_order_id, trade.taker_order_id] {
                        self.change(id, own, |record| record.state.fill(trade, now_ns));
                    }
                }
                Event::SelfTradePrevented {
                    mode: SelfTradePolicy::Decrement,
                    maker_order_id,
                    taker_order_id,
                    maker_quantity: quantity,
                    ..
                } => {
                    for id in [maker_order_id, taker_order_id] {
                        self.change(*id, own, |record| record.state.prevent(*quantity, now_ns));
                    }
                }
                Event::OrderAmended { order_id, price, trigger, quantity, .. } => {
                    self.change(*order_id, own, |record| {
                        record.state.price = *price;
                        record.state.quantity = *quantity;
                        record.state.trigger = *trigger;
                        record.state.updated_ns = now_ns;
                    });
                }
                Event::OrderTriggered { order_id, trigger, .. } => {
                    self.change(*order_id, own, |record| record.state.start(*trigger, now_ns));
                }
                Event::OrderClosed { order_id, reason, .. } => {
                    let ended = Ended::Closed(*reason);
                    let account = self.change(*order_id, own, |record| {
                        record.close(frame, *reason);
                        record.account
                    });
                    if let Some(account) = account {
                        self.end(account, *order_id, ended);
                    }
                }
                _ => {}
            }
        }
    }

    /// The order that this command made or decided, with everything that it did to it; 0 if none.
    fn decide(&mut self, frame: &Frame<Command>, events: &[Event]) -> OrderId {
        match &frame.command {
            Command::NewOrder(order)
            | Command::NewOrderBy { order, .. }
            | Command::ReserveOrder(order) => {
                let Some(record) = OrderRecord::placed(frame, order, events) else {
                    return OrderId(0);
                };
                let id = record.id;
                self.has_announced |= record.waits();
                self.insert(record);
                id
            }
            Command::PlaceReserved { order_id: id }
            | Command::AbandonReserved { order_id: id, .. } => {
                let Some(record) = self.by_id.get_mut(id).filter(|record| record.waits()) else {
                    return OrderId(0);
                };
                record.decide(frame, events);
                let (account, ended) = (record.account, record.state.ended);
                match ended {
                    // As if it had never been: whoever asked was told that nothing happened.
                    Some(Ended::Rejected(reason)) if reason.is_undecided() => self.forget(*id),
                    Some(ended) => self.end(account, *id, ended),
                    None => self.note_moment(*id),
                }
                *id
            }
            _ => OrderId(0),
        }
    }

    /// Adds an order with everything that its own command did to it.
    fn insert(&mut self, record: OrderRecord) {
        let (id, account, ended) = (record.id, record.account, record.state.ended);
        self.by_account.entry(account).or_default().insert(id);
        if !record.client_order_id.is_empty() {
            self.by_client_id.insert((account, record.client_order_id), id);
        }
        let waits = record.waits();
        self.by_id.insert(id, record);
        match ended {
            Some(ended) => self.end(account, id, ended),
            None if waits => {}
            None => self.note_moment(id),
        }
    }

    /// Notes when an order that was placed will end by time.
    fn note_moment(&mut self, id: OrderId) {
        let moment_ns = self.get(id).map_or(0, |record| record.expire_at_ns);
        if moment_ns > 0 {
            self.moments.insert((moment_ns, id));
        }
    }

    /// Changes an order that was there before; `own` is complete already.
    fn change<T>(
        &mut self,
        id: OrderId,
        own: OrderId,
        change: impl FnOnce(&mut OrderRecord) -> T,
    ) -> Option<T> {
        if id == own {
            return None;
        }
        self.by_id.get_mut(&id).map(change)
    }

    fn end(&mut self, account: AccountId, id: OrderId, ended: Ended) {
        if !self.moments.is_empty() {
            let moment_ns = self.get(id).map_or(0, |record| record.expire_at_ns);
            self.moments.remove(&(moment_ns, id));
        }
        let history = match ended {
            Ended::Closed(_) => &mut self.closed,
            Ended::Rejected(_) => &mut self.rejected,
        };
        if let Some(forgotten) = history.push(account, id) {
            self.forget(forgotten);
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
mod tests;
