//! Owns the two sides of one instrument's book.
//! Knows no policy: who may enter, what a match costs and what it is called are decided above.
//! Invariant: after a command the best bid is below the best ask.

use crate::book_side::{BookSide, PriceLevel, is_within};
use crate::order::OrderHandle;
use crate::order_slab::OrderSlab;
use crate::types::{Price, Quantity, Side};

/// Resting orders of one instrument by price, then by time.
#[derive(Clone, Debug)]
pub struct OrderBook {
    bids: BookSide,
    asks: BookSide,
}

impl Default for OrderBook {
    fn default() -> Self {
        Self { bids: BookSide::new(Side::Buy), asks: BookSide::new(Side::Sell) }
    }
}

impl OrderBook {
    #[inline]
    #[must_use]
    pub fn side(&self, side: Side) -> &BookSide {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    #[inline]
    fn side_mut(&mut self, side: Side) -> &mut BookSide {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Best level of a side.
    #[inline]
    #[must_use]
    pub fn best(&self, side: Side) -> Option<&PriceLevel> {
        self.side(side).best()
    }

    /// Whether a taker of `side` with limit `limit` would trade.
    #[inline]
    #[must_use]
    pub fn would_trade(&self, side: Side, limit: Price) -> bool {
        self.best(side.opposite()).is_some_and(|best| is_within(side, limit, best.price))
    }

    /// Rests an order at the tail of the queue at `price`.
    #[inline]
    pub fn add(&mut self, orders: &mut OrderSlab, handle: OrderHandle, side: Side, price: Price) {
        self.side_mut(side).push(orders, handle, price);
    }

    /// Takes a resting order out.
    #[inline]
    pub fn remove(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        self.side_mut(orders.queued(handle).level.side()).unlink(orders, handle);
    }

    /// Lowers the visible quantity of a resting order; it keeps its place, also at zero.
    #[inline]
    pub fn reduce(&mut self, orders: &mut OrderSlab, handle: OrderHandle, by: Quantity) {
        self.side_mut(orders.queued(handle).level.side()).reduce(orders, handle, by);
    }

    /// The best `count` levels of a side.
    pub fn depth(&self, side: Side, count: usize) -> impl Iterator<Item = &PriceLevel> {
        self.side(side).levels().take(count)
    }

    /// Resting orders of a side in price-time order.
    pub(crate) fn resting<'a>(
        &'a self,
        orders: &'a OrderSlab,
        side: Side,
    ) -> impl Iterator<Item = OrderHandle> {
        let queues =
            self.side(side).levels().flat_map(|level| orders.queue_from(level.queue.first));
        queues.map(|(handle, _)| handle)
    }

    /// Whether the book keeps its invariants. Walks everything: for tests and debug builds.
    #[must_use]
    pub fn is_consistent(&self, orders: &OrderSlab) -> bool {
        let crossed = match (self.best(Side::Buy), self.best(Side::Sell)) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        };
        !crossed && Side::ALL.iter().all(|side| self.side_is_consistent(orders, *side))
    }

    fn side_is_consistent(&self, orders: &OrderSlab, side: Side) -> bool {
        let prices: Vec<Price> = self.side(side).levels().map(|level| level.price).collect();
        let sorted = prices.is_sorted_by(|a, b| match side {
            Side::Buy => a > b,
            Side::Sell => a < b,
        });
        sorted && self.side(side).levels().all(|level| level.is_consistent(orders, side))
    }
}

impl PriceLevel {
    fn is_consistent(&self, orders: &OrderSlab, side: Side) -> bool {
        let (mut quantity, mut count) = (0, 0);
        for (handle, queued) in orders.queue_from(self.queue.first) {
            let order = orders.get(handle);
            if queued.visible.0 == 0 || order.price != self.price || order.side != side {
                return false;
            }
            quantity += u128::from(queued.visible.0);
            count += 1;
        }
        count > 0 && count == self.queue.len && quantity == self.quantity
    }
}
