//! Owns how an order comes to rest: what it shows, what it keeps in reserve, and whether it may.
//! Knows nothing of money. Invariant: an order in a level shows at least one lot, and whatever is
//! put into a level goes to its tail.

use crate::engine::{Engine, Events};
use crate::event::{CloseReason, Event};
use crate::matching::Taker;
use crate::order::{Order, OrderHandle};
use crate::types::{Quantity, TimeInForce};

impl Engine {
    /// Puts a listed order at the tail of its level, showing what it is to show.
    pub(crate) fn rest(&mut self, handle: OrderHandle, events: &mut Events) {
        let open = self.orders.open(handle);
        let visible = self.show(handle, open);
        let Order { instrument_slot, side, price, .. } = *self.orders.get(handle);
        let instrument = &mut self.instruments[usize::from(instrument_slot)];
        instrument.book.add(&mut self.orders, handle, side, price);
        events.push(Event::OrderRested {
            order_id: self.orders.queued(handle).id,
            instrument: instrument.spec.instrument,
            side,
            price,
            open,
            visible,
        });
    }

    /// Splits what is open of an order in no level into what the book shows and the reserve.
    fn show(&mut self, handle: OrderHandle, open: Quantity) -> Quantity {
        let mut visible = open;
        if let Some(details) = self.orders.details_mut(handle) {
            if details.display > Quantity(0) {
                visible = open.min(details.display);
            }
            details.hidden = Quantity(open.0 - visible.0);
        }
        self.orders.queued_mut(handle).visible = visible;
        visible
    }

    /// Shows the next part of an iceberg's reserve, at the tail of its level.
    #[cold]
    pub(crate) fn refresh(&mut self, handle: OrderHandle, events: &mut Events) {
        let order = self.orders.get(handle);
        let (slot, side, price) = (order.instrument_slot, order.side, order.price);
        let instrument = usize::from(slot);
        self.instruments[instrument].book.remove(&mut self.orders, handle);
        let open = self.orders.open(handle);
        let visible = self.show(handle, open);
        self.instruments[instrument].book.add(&mut self.orders, handle, side, price);
        let order_id = self.orders.queued(handle).id;
        events.push(Event::IcebergRefreshed { order_id, visible });
    }

    /// Why the rest of an order that ran out of makers ends; `None` if it may rest.
    pub(crate) fn remainder_reason(&self, taker: &Taker) -> Option<CloseReason> {
        let order = &taker.order;
        if !order.order_type.has_price() {
            let book = &self.instruments[usize::from(order.instrument_slot)].book;
            let empty = book.best(order.side.opposite()).is_none();
            return Some(if empty { CloseReason::NoLiquidity } else { CloseReason::PriceCollar });
        }
        match order.time_in_force {
            TimeInForce::Ioc => Some(CloseReason::IocRemainder),
            TimeInForce::Fok => unreachable!("a FOK order was checked to fill"),
            TimeInForce::Gtc | TimeInForce::Gtd | TimeInForce::Day => None,
        }
    }
}
