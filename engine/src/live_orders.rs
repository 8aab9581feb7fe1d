//! Owns the two ends of an order's life: how it gets into everything that lists live orders, and
//! the one way in which any order closes.
//! Knows nothing of why. Invariant: each order closes once, and what it held and did not spend is
//! available again in the same step, or leaves with the funds of a funded order.

use crate::dedup::ClientKey;
use crate::engine::{Checked, Engine, Events};
use crate::event::{CloseReason, Event};
use crate::matching::Taker;
use crate::order::{Order, OrderHandle, QueuedOrder};
use crate::order_details::{OrderDetails, OrderState};
use crate::reject::RejectReason;
use crate::types::{AccountId, OrderId, Quantity};

impl Engine {
    /// A live order of this account; another account's is as unknown as none.
    pub(crate) fn live_order(&self, account: AccountId, id: OrderId) -> Checked<OrderHandle> {
        let handle = self.order_index.get(&self.orders, id).ok_or(RejectReason::UnknownOrder)?;
        let is_owner = self.orders.queued(handle).account == account;
        is_owner.then_some(handle).ok_or(RejectReason::UnknownOrder)
    }

    /// What only some live orders have, as it is now; all zero where an order has none of it.
    pub(crate) fn details_now(&self, handle: OrderHandle) -> OrderDetails {
        let slot = self.orders.get(handle).instrument_slot;
        self.instruments[usize::from(slot)].stops.details_now(&self.orders, handle)
    }

    /// Lists an order that stays: it is in no level and in no queue yet.
    pub(crate) fn enlist(&mut self, taker: &Taker) -> OrderHandle {
        let handle = self.orders.insert(QueuedOrder {
            id: taker.id,
            visible: taker.open,
            account: taker.account,
            ..QueuedOrder::default()
        });
        *self.orders.get_mut(handle) = taker.order;
        self.order_index.insert(&self.orders, handle);
        self.accounts.add_order(&mut self.orders, handle);
        let instrument = &mut self.instruments[usize::from(taker.order.instrument_slot)];
        instrument.orders += 1;
        if let Some(details) = self.orders.details(handle) {
            instrument.icebergs += u32::from(details.display > Quantity(0));
            if details.expire_at_ns > 0 {
                self.expiries.add(details.expire_at_ns, taker.id);
            }
        }
        handle
    }

    /// Closes a live order, wherever it stands.
    pub(crate) fn close(&mut self, handle: OrderHandle, reason: CloseReason, events: &mut Events) {
        let open = self.orders.open(handle);
        let (queued, order) = (*self.orders.queued(handle), *self.orders.get(handle));
        let instrument = &mut self.instruments[usize::from(order.instrument_slot)];
        instrument.orders -= 1;
        match self.orders.state(handle) {
            OrderState::Resting if queued.level.is_none() => {}
            OrderState::Resting => instrument.book.remove(&mut self.orders, handle),
            OrderState::Dormant => instrument.stops.remove_dormant(&mut self.orders, handle),
            OrderState::Triggered => self.unqueue_triggered(handle),
        }
        let details = self.orders.details(handle).copied();
        self.order_index.remove(&self.orders, handle);
        self.accounts.remove_order(&mut self.orders, handle);
        self.orders.remove(handle);
        if let Some(details) = details {
            let is_iceberg = details.display > Quantity(0);
            let instrument = &mut self.instruments[usize::from(order.instrument_slot)];
            instrument.icebergs -= u32::from(is_iceberg);
            if details.expire_at_ns > 0 {
                self.expiries.forget_one(&self.order_index, &self.orders);
            }
        }
        self.settle_close(&queued, &order, open, reason, events);
    }

    /// Closes an order that never got into the slab.
    pub(crate) fn close_taker(&mut self, taker: &Taker, reason: CloseReason, events: &mut Events) {
        let queued = QueuedOrder { id: taker.id, account: taker.account, ..QueuedOrder::default() };
        self.settle_close(&queued, &taker.order, taker.open, reason, events);
    }

    #[inline]
    fn settle_close(
        &mut self,
        queued: &QueuedOrder,
        order: &Order,
        open: Quantity,
        reason: CloseReason,
        events: &mut Events,
    ) {
        debug_assert!(reason != CloseReason::Filled || open == Quantity(0));
        let instrument = &self.instruments[usize::from(order.instrument_slot)];
        let QueuedOrder { id, account, .. } = *queued;
        let hold = order.hold();
        if hold > 0 {
            let slot = instrument.hold_slot(order.side);
            self.assets.at_mut(slot).balance_mut(account).release(hold);
        }
        if order.client_key != ClientKey::NONE {
            self.client_ids.retire(order.client_key.0, self.now_ns);
        }
        self.orders.details_table().remove(order.details);
        events.push(Event::OrderClosed {
            order_id: id,
            account,
            instrument: instrument.spec.instrument,
            reason,
            filled: order.filled,
            open,
            prevented: order.prevented(open),
            released: hold,
        });
        if order.funded {
            self.return_funds(id, account, order, events);
        }
    }
}
