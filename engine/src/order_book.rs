//! Owns the two sides of one instrument's book.
//! Knows no policy: who may enter, what a match costs and what it is called are decided above.
//! Invariant: after a command the best bid is below the best ask.

use crate::book_side::{BookSide, PriceLevel};
use crate::order::{Order, OrderHandle, OrderSlab};
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

    /// Rests an order at the tail of the queue at its price.
    #[inline]
    pub fn add(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        self.side_mut(orders.get(handle).side).push(orders, handle);
    }

    /// Takes a resting order out.
    #[inline]
    pub fn remove(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        self.side_mut(orders.get(handle).side).unlink(orders, handle);
    }

    /// Lowers the open quantity of a resting order; it keeps its place, also at zero.
    #[inline]
    pub fn reduce(&mut self, orders: &mut OrderSlab, handle: OrderHandle, by: Quantity) {
        self.side_mut(orders.get(handle).side).reduce(orders, handle, by);
    }

    /// The best `count` levels of a side.
    pub fn depth(&self, side: Side, count: usize) -> impl Iterator<Item = &PriceLevel> {
        self.side(side).levels().take(count)
    }

    /// Orders of a level from head to tail.
    pub fn queue<'a>(
        &self,
        orders: &'a OrderSlab,
        level: &PriceLevel,
    ) -> impl Iterator<Item = (OrderHandle, &'a Order)> + use<'a> {
        let live = |handle: OrderHandle| (!handle.is_none()).then_some(handle);
        std::iter::successors(live(level.first), move |h| live(orders.get(*h).next))
            .map(|handle| (handle, orders.get(handle)))
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
        sorted
            && self.side(side).levels().all(|level| {
                let mut quantity = 0;
                let mut count = 0;
                for (_, order) in self.queue(orders, level) {
                    if order.open.0 == 0 || order.price != level.price || order.side != side {
                        return false;
                    }
                    quantity += u128::from(order.open.0);
                    count += 1;
                }
                count > 0 && count == level.orders && quantity == level.quantity
            })
    }
}
