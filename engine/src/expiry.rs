//! Owns the end of orders by time: GTD orders at their moment, DAY orders with the session.
//! Knows nothing of clocks: time is what the commands say. Invariant: no order trades at or after
//! its moment, whatever the book, and orders of one command expire by moment, then by id.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::command::NewOrder;
use crate::engine::{Checked, Engine, Events};
use crate::event::{CloseReason, Event};
use crate::limits::STALE_EXPIRIES_MAX;
use crate::order::Order;
use crate::order_index::OrderIndex;
use crate::order_slab::OrderSlab;
use crate::reject::RejectReason;
use crate::types::{InstrumentId, OrderId, TimeInForce};

/// Live orders that end by time, soonest first. An order that ends before its moment leaves its
/// entry behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expiries {
    entries: BinaryHeap<Reverse<(u64, OrderId)>>,
    /// Entries whose orders still live.
    live: usize,
}

impl Expiries {
    pub(crate) fn add(&mut self, expire_at_ns: u64, order_id: OrderId) {
        self.entries.push(Reverse((expire_at_ns, order_id)));
        self.live += 1;
    }

    /// An order with an entry has closed. Entries left behind are dropped once they are more than
    /// those of live orders, so that each is paid for by one order that closed.
    pub(crate) fn forget_one(&mut self, index: &OrderIndex, orders: &OrderSlab) {
        self.live -= 1;
        if self.entries.len() > 2 * self.live + STALE_EXPIRIES_MAX {
            self.entries.retain(|Reverse((_, id))| index.get(orders, *id).is_some());
        }
    }

    fn is_due(&self, now_ns: u64) -> bool {
        self.entries.peek().is_some_and(|Reverse((at_ns, _))| *at_ns <= now_ns)
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }
}

impl Engine {
    /// Closes the orders whose time has come.
    #[inline]
    pub(crate) fn expire(&mut self, events: &mut Events) {
        if self.expiries.is_due(self.now_ns) {
            self.expire_due(events);
        }
    }

    #[cold]
    fn expire_due(&mut self, events: &mut Events) {
        while self.expiries.is_due(self.now_ns) {
            let Some(Reverse((_, id))) = self.expiries.entries.pop() else { return };
            if let Some(handle) = self.order_index.get(&self.orders, id) {
                self.close(handle, CloseReason::Expired, events);
            }
        }
    }

    /// Closes every live DAY order of an instrument, and every announced one.
    pub(crate) fn end_session(
        &mut self,
        instrument: InstrumentId,
        events: &mut Events,
    ) -> Checked<()> {
        let slot = self.slot_of(instrument).ok_or(RejectReason::UnknownSymbol)?;
        let of_day = |order: &Order| order.time_in_force == TimeInForce::Day;
        let live = self.close_all_in(slot, of_day, CloseReason::SessionEnd, events);
        let of_session = |order: &NewOrder| {
            order.instrument == instrument && order.time_in_force == TimeInForce::Day
        };
        let waiting = self.close_intents(of_session, CloseReason::SessionEnd, events);
        let closed = u32::try_from(live + waiting).unwrap_or(u32::MAX);
        events.push(Event::SessionEnded { instrument, closed });
        Ok(())
    }
}
