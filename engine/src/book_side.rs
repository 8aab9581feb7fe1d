//! Owns the price levels of one side of a book, each a queue of orders, and the best of them.
//! Knows nothing of trades or balances. Invariant: a level exists while it has an order, its
//! quantity is the sum of theirs, and `best` is the highest bid or the lowest ask.

use crate::order::{LevelHandle, OrderHandle};
use crate::order_queue::OrderQueue;
use crate::order_slab::OrderSlab;
use crate::price_ladder::{PriceLadder, Rung};
use crate::types::{Price, Quantity, Side};

/// Orders at one price, first come, first served.
#[derive(Clone, Copy, Debug)]
pub struct PriceLevel {
    pub price: Price,
    /// Sum of the visible quantities, lots. Wider than one order's, so that no number of orders
    /// that fits the slab can overflow it.
    pub quantity: u128,
    pub queue: OrderQueue,
    rung: Rung,
}

/// One side of a book.
#[derive(Clone, Debug)]
pub struct BookSide {
    side: Side,
    ladder: PriceLadder,
    levels: Vec<PriceLevel>,
    free: Vec<LevelHandle>,
    best: LevelHandle,
}

impl BookSide {
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self {
            side,
            ladder: PriceLadder::default(),
            levels: Vec::new(),
            free: Vec::new(),
            best: LevelHandle::NONE,
        }
    }

    /// The best level, if the side is not empty.
    #[inline]
    #[must_use]
    pub fn best(&self) -> Option<&PriceLevel> {
        self.levels.get(self.best.place())
    }

    #[inline]
    #[must_use]
    pub fn level(&self, handle: LevelHandle) -> &PriceLevel {
        &self.levels[handle.place()]
    }

    /// Levels from the best to the worst.
    pub fn levels(&self) -> impl Iterator<Item = &PriceLevel> {
        let worse = |level: &&PriceLevel| self.worse(level).map(|handle| self.level(handle));
        std::iter::successors(self.best(), worse)
    }

    /// Puts an order that is in no level at the tail of the queue at `price`.
    #[inline]
    pub fn push(&mut self, orders: &mut OrderSlab, handle: OrderHandle, price: Price) {
        let level_handle = match self.ladder.get(price) {
            Some(place) => LevelHandle::new(self.side, place as usize),
            None => self.add_level(price),
        };
        let level = &mut self.levels[level_handle.place()];
        level.queue.push(orders, handle);
        let queued = orders.queued_mut(handle);
        debug_assert!(queued.level.is_none());
        queued.level = level_handle;
        level.quantity += u128::from(queued.visible.0);
    }

    /// Takes an order out of its queue, and its level with it if it was the last one there.
    #[inline]
    pub fn unlink(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let queued = orders.queued_mut(handle);
        let visible = queued.visible;
        let level_handle = std::mem::replace(&mut queued.level, LevelHandle::NONE);
        let level = &mut self.levels[level_handle.place()];
        level.quantity -= u128::from(visible.0);
        level.queue.unlink(orders, handle);
        if level.queue.is_empty() {
            self.remove_level(level_handle);
        }
    }

    /// Lowers the visible quantity of a queued order, which keeps its place.
    #[inline]
    pub fn reduce(&mut self, orders: &mut OrderSlab, handle: OrderHandle, by: Quantity) {
        let queued = orders.queued_mut(handle);
        queued.visible.0 -= by.0;
        self.levels[queued.level.place()].quantity -= u128::from(by.0);
    }

    fn add_level(&mut self, price: Price) -> LevelHandle {
        let next = LevelHandle::new(self.side, self.levels.len());
        let handle = self.free.pop().unwrap_or(next);
        let place = u32::try_from(handle.place()).unwrap_or(u32::MAX);
        let level = PriceLevel {
            price,
            quantity: 0,
            queue: OrderQueue::default(),
            rung: self.ladder.insert(price, place),
        };
        if handle == next {
            self.levels.push(level);
            // Room to free every level, so that freeing never allocates.
            self.free.reserve(self.levels.len());
        } else {
            self.levels[handle.place()] = level;
        }
        if self.best().is_none_or(|best| is_better(self.side, price, best.price)) {
            self.best = handle;
        }
        handle
    }

    fn remove_level(&mut self, handle: LevelHandle) {
        let PriceLevel { price, rung, .. } = *self.level(handle);
        if handle == self.best {
            self.best = self.worse(self.level(handle)).unwrap_or(LevelHandle::NONE);
        }
        self.ladder.remove(price, rung);
        self.free.push(handle);
    }

    /// The next level away from the touch.
    #[inline]
    fn worse(&self, level: &PriceLevel) -> Option<LevelHandle> {
        let next = match self.side {
            Side::Buy => self.ladder.below(level.price, level.rung),
            Side::Sell => self.ladder.above(level.price, level.rung),
        };
        next.map(|place| LevelHandle::new(self.side, place as usize))
    }
}

/// Whether a resting order of `side` at `price` is matched before one at `than`.
#[inline]
#[must_use]
pub fn is_better(side: Side, price: Price, than: Price) -> bool {
    match side {
        Side::Buy => price > than,
        Side::Sell => price < than,
    }
}

/// The limit of two that lets a taker of `side` trade at fewer prices.
#[must_use]
pub(crate) fn tighter(side: Side, one: Price, other: Price) -> Price {
    match side {
        Side::Buy => one.min(other),
        Side::Sell => one.max(other),
    }
}

/// Whether a taker of `side` with limit `limit` may trade at `price`; equality may.
#[inline]
#[must_use]
pub fn is_within(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}
