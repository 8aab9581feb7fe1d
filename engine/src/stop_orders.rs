//! Owns one instrument's orders that wait for a price: dormant ones by trigger, trailing ones by
//! side, elected ones in the order in which they will start.
//! Knows nothing of what an order does once it starts, nor of how trailing ones follow a price.
//! Invariant: a dormant order has not met its trigger, and each waiting order is in exactly one of
//! the three.
//!
//! Orders of one trigger are a level, as in a book: those that a rising price elects stand like
//! asks, the lowest trigger first, those that a falling price elects like bids.

use crate::book_side::BookSide;
use crate::order::OrderHandle;
use crate::order_details::{OrderDetails, OrderState};
use crate::order_queue::OrderQueue;
use crate::order_slab::OrderSlab;
use crate::trailing_stops::TrailingStops;
use crate::types::{OrderType, Price, Quantity, Side};

/// An order whose trigger was met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elected {
    pub(crate) handle: OrderHandle,
    pub(crate) rises: bool,
    pub(crate) trigger: Price,
    pub(crate) entry_sequence: u64,
}

impl Elected {
    /// Place among the orders that one walk elected: those that rise first, by ascending trigger,
    /// then the others, by descending trigger; the older of two first.
    pub(crate) fn rank(&self) -> (bool, i64, u64) {
        let from_price = if self.rises { self.trigger.0 } else { -self.trigger.0 };
        (!self.rises, from_price, self.entry_sequence)
    }
}

/// Orders that wait for their trigger, or for their turn after it.
#[derive(Clone, Debug)]
pub(crate) struct StopOrders {
    /// Orders in `waiting`.
    dormant: u32,
    waiting: Box<Waiting>,
    triggered: OrderQueue,
}

#[derive(Clone, Debug)]
struct Waiting {
    rising: BookSide,
    falling: BookSide,
    trailing_buys: TrailingStops,
    trailing_sells: TrailingStops,
}

impl Waiting {
    fn trailing(&self, side: Side) -> &TrailingStops {
        match side {
            Side::Buy => &self.trailing_buys,
            Side::Sell => &self.trailing_sells,
        }
    }

    fn trailing_mut(&mut self, side: Side) -> &mut TrailingStops {
        match side {
            Side::Buy => &mut self.trailing_buys,
            Side::Sell => &mut self.trailing_sells,
        }
    }
}

impl Default for StopOrders {
    fn default() -> Self {
        let waiting = Waiting {
            rising: BookSide::new(Side::Sell),
            falling: BookSide::new(Side::Buy),
            trailing_buys: TrailingStops::new(Side::Buy),
            trailing_sells: TrailingStops::new(Side::Sell),
        };
        Self { dormant: 0, waiting: Box::new(waiting), triggered: OrderQueue::default() }
    }
}

/// Whether a rising price elects an order; a falling one elects the others.
pub(crate) fn rises(order_type: OrderType, side: Side) -> bool {
    match order_type {
        OrderType::TakeProfit | OrderType::TakeProfitLimit => side == Side::Sell,
        _ => side == Side::Buy,
    }
}

/// Whether `price` meets a trigger.
pub(crate) fn is_met(rises: bool, trigger: Price, price: Price) -> bool {
    if rises { price >= trigger } else { price <= trigger }
}

/// The details of an order that every stop order has.
pub(crate) fn stop_details(orders: &OrderSlab, handle: OrderHandle) -> &OrderDetails {
    match orders.details(handle) {
        Some(details) => details,
        None => unreachable!("a stop order has details"),
    }
}

/// The same to change them.
pub(crate) fn stop_details_mut(orders: &mut OrderSlab, handle: OrderHandle) -> &mut OrderDetails {
    match orders.details_mut(handle) {
        Some(details) => details,
        None => unreachable!("a stop order has details"),
    }
}

impl StopOrders {
    #[inline]
    pub(crate) fn has_dormant(&self) -> bool {
        self.dormant > 0
    }

    pub(crate) fn has_triggered(&self) -> bool {
        !self.triggered.is_empty()
    }

    /// The next order to start.
    pub(crate) fn next_triggered(&self) -> Option<OrderHandle> {
        self.triggered.first.some()
    }

    pub(crate) fn triggered<'a>(
        &self,
        orders: &'a OrderSlab,
    ) -> impl Iterator<Item = OrderHandle> + use<'a> {
        orders.queue_from(self.triggered.first).map(|(handle, _)| handle)
    }

    /// Dormant orders in no particular order.
    pub(crate) fn dormant<'a>(
        &'a self,
        orders: &'a OrderSlab,
    ) -> impl Iterator<Item = OrderHandle> + use<'a> {
        let sides = [&self.waiting.rising, &self.waiting.falling];
        let levels = sides.into_iter().flat_map(BookSide::levels);
        let queues = levels.flat_map(|level| orders.queue_from(level.queue.first));
        let trailing = Side::ALL.iter().flat_map(|side| self.waiting.trailing(*side).iter());
        queues.map(|(handle, _)| handle).chain(trailing)
    }

    /// Details of an order, with the reference and the trigger that a trailing one has now; of one
    /// that has none the default ones.
    pub(crate) fn details_now(&self, orders: &OrderSlab, handle: OrderHandle) -> OrderDetails {
        let mut details = orders.details(handle).copied().unwrap_or_default();
        let order = orders.get(handle);
        if details.state == OrderState::Dormant && order.order_type == OrderType::TrailingStop {
            self.waiting.trailing(order.side).update(&mut details);
        }
        details
    }

    /// Files a dormant order behind those of its trigger.
    pub(crate) fn add_dormant(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let (order_type, side) = (orders.get(handle).order_type, orders.get(handle).side);
        let record = stop_details_mut(orders, handle);
        record.state = OrderState::Dormant;
        let (trigger, waiting) = (record.trigger, &mut *self.waiting);
        self.dormant += 1;
        if order_type == OrderType::TrailingStop {
            waiting.trailing_mut(side).push(orders, handle);
        } else if rises(order_type, side) {
            waiting.rising.push(orders, handle, trigger);
        } else {
            waiting.falling.push(orders, handle, trigger);
        }
    }

    /// Takes out a dormant order.
    pub(crate) fn remove_dormant(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let waiting = &mut *self.waiting;
        self.dormant -= 1;
        let level = orders.queued(handle).level;
        if level.is_none() {
            waiting.trailing_mut(orders.get(handle).side).remove(orders, handle);
        } else if level.side() == Side::Sell {
            waiting.rising.unlink(orders, handle);
        } else {
            waiting.falling.unlink(orders, handle);
        }
    }

    /// Lowers the open quantity of a dormant order, which keeps its place.
    pub(crate) fn reduce(&mut self, orders: &mut OrderSlab, handle: OrderHandle, by: Quantity) {
        let level = orders.queued(handle).level;
        if level.is_none() {
            orders.queued_mut(handle).visible.0 -= by.0;
        } else if level.side() == Side::Sell {
            self.waiting.rising.reduce(orders, handle, by);
        } else {
            self.waiting.falling.reduce(orders, handle, by);
        }
    }

    pub(crate) fn add_triggered(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        stop_details_mut(orders, handle).state = OrderState::Triggered;
        self.triggered.push(orders, handle);
    }

    pub(crate) fn remove_triggered(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        self.triggered.unlink(orders, handle);
    }

    /// Whether every dormant order is filed as it must and has not met its trigger at `last`. Walks
    /// everything: for tests and debug builds.
    pub(crate) fn is_consistent(&self, orders: &OrderSlab, last: Price) -> bool {
        let waits = |handle: OrderHandle| {
            let (order, details) = (orders.get(handle), self.details_now(orders, handle));
            let rises = rises(order.order_type, order.side);
            let level = orders.queued(handle).level;
            let filed = match (level.is_none(), level.side()) {
                (true, _) => order.order_type == OrderType::TrailingStop,
                (false, Side::Sell) => rises,
                (false, Side::Buy) => !rises,
            };
            filed && (last == Price(0) || !is_met(rises, details.trigger, last))
        };
        let by_trigger = [&self.waiting.rising, &self.waiting.falling].into_iter().all(|side| {
            side.levels().all(|level| {
                let mut queue = orders.queue_from(level.queue.first);
                queue.all(|(handle, _)| stop_details(orders, handle).trigger == level.price)
            })
        });
        let trailing = |side: &Side| self.waiting.trailing(*side).is_consistent(orders, last);
        let count = self.dormant(orders).count();
        by_trigger
            && self.dormant(orders).all(waits)
            && Side::ALL.iter().all(trailing)
            && count == self.dormant as usize
    }

    /// Lets one trade price pass: trailing orders follow it, and every dormant order that it elects
    /// is taken out and appended to `elected`, in no particular order.
    pub(crate) fn pass(
        &mut self,
        orders: &mut OrderSlab,
        price: Price,
        elected: &mut Vec<Elected>,
    ) {
        for side in Side::ALL {
            self.waiting.trailing_mut(*side).follow(price);
            while let Some(handle) = self.waiting.trailing_mut(*side).met(price) {
                self.elect(orders, handle, *side == Side::Buy, elected);
            }
        }
        for rises in [true, false] {
            loop {
                let waiting = &self.waiting;
                let side = if rises { &waiting.rising } else { &waiting.falling };
                let Some(level) = side.best().filter(|best| is_met(rises, best.price, price))
                else {
                    break;
                };
                self.elect(orders, level.queue.first, rises, elected);
            }
        }
    }

    fn elect(
        &mut self,
        orders: &mut OrderSlab,
        handle: OrderHandle,
        rises: bool,
        elected: &mut Vec<Elected>,
    ) {
        self.remove_dormant(orders, handle);
        let OrderDetails { trigger, entry_sequence, .. } = *stop_details(orders, handle);
        elected.push(Elected { handle, rises, trigger, entry_sequence });
    }
}
