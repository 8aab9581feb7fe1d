//! Owns what may be asked of an engine about its books: depth and orders, by instrument.
//! Changes nothing. Invariant: every answer has a defined order.

use crate::engine::Engine;
use crate::order::OrderHandle;
use crate::types::{AccountId, InstrumentId, OrderId, Price, Quantity, Side};

/// An order in a level of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    pub order_id: OrderId,
    pub price: Price,
    /// Quantity still to be traded, the hidden part of an iceberg included.
    pub open: Quantity,
    pub visible: Quantity,
}

/// An order that waits for its trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DormantOrder {
    pub order_id: OrderId,
    /// Of a trailing stop the present one.
    pub trigger: Price,
    /// 0 for an order that trades at a cap.
    pub price: Price,
    /// 0 for an order by budget.
    pub open: Quantity,
}

impl Engine {
    /// The best `count` levels of one side: price, visible quantity (at most `u64::MAX`), orders.
    pub fn depth(
        &self,
        instrument: InstrumentId,
        side: Side,
        count: usize,
    ) -> impl Iterator<Item = (Price, Quantity, u32)> {
        let book = self.instrument(instrument).map(|instrument| &instrument.book);
        book.into_iter().flat_map(move |book| book.depth(side, count)).map(|level| {
            let quantity = Quantity(u64::try_from(level.quantity).unwrap_or(u64::MAX));
            (level.price, quantity, level.queue.len)
        })
    }

    /// Resting orders of one side in price-time order.
    pub fn resting_orders(
        &self,
        instrument: InstrumentId,
        side: Side,
    ) -> impl Iterator<Item = RestingOrder> {
        let book = self.instrument(instrument).map(|instrument| &instrument.book);
        let handles = book.into_iter().flat_map(move |book| book.resting(&self.orders, side));
        handles.map(|handle| RestingOrder {
            order_id: self.orders.queued(handle).id,
            price: self.orders.get(handle).price,
            open: self.orders.open(handle),
            visible: self.orders.queued(handle).visible,
        })
    }

    /// Orders that wait for their trigger, in ascending id.
    #[must_use]
    pub fn dormant_orders(&self, instrument: InstrumentId) -> Vec<DormantOrder> {
        let handles = self.dormant_handles(instrument);
        let order = |handle: OrderHandle| DormantOrder {
            order_id: self.orders.queued(handle).id,
            trigger: self.details_now(handle).trigger,
            price: self.orders.get(handle).price,
            open: self.orders.open(handle),
        };
        handles.into_iter().map(order).collect()
    }

    pub(crate) fn dormant_handles(&self, instrument: InstrumentId) -> Vec<OrderHandle> {
        let instrument = self.instrument(instrument).into_iter();
        let mut handles: Vec<OrderHandle> =
            instrument.flat_map(|instrument| instrument.stops.dormant(&self.orders)).collect();
        handles.sort_unstable_by_key(|handle| self.orders.queued(*handle).id);
        handles
    }

    /// Orders that were elected and have not started yet, the next one first.
    #[must_use]
    pub fn triggered_orders(&self, instrument: InstrumentId) -> Vec<OrderId> {
        let instrument = self.instrument(instrument).into_iter();
        let handles = instrument.flat_map(|instrument| instrument.stops.triggered(&self.orders));
        handles.map(|handle| self.orders.queued(handle).id).collect()
    }

    /// Price of the last trade, 0 before the first.
    #[must_use]
    pub fn last_price(&self, instrument: InstrumentId) -> Price {
        self.instrument(instrument).map_or(Price(0), |instrument| instrument.last_price)
    }

    /// Lots that an account has traded in an instrument on the UTC day of engine time, at most
    /// `u64::MAX`.
    #[must_use]
    pub fn daily_volume(&self, account: AccountId, instrument: InstrumentId) -> u64 {
        let account = self.accounts.get(account);
        let traded = |slot| account.map_or(Quantity(0), |account| account.traded(slot, self.day));
        self.slot_of(instrument).map_or(0, |slot| traded(slot).0)
    }
}
