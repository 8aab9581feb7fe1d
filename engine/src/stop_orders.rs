//! Owns one instrument's orders that wait for a price: dormant ones by trigger, trailing ones by
//! entry, elected ones in the order in which they will start.
//! Knows nothing of what an order does once it starts. Invariant: a dormant order has not met its
//! trigger, and each waiting order is in exactly one of the three.
//!
//! Orders of one trigger are a level, as in a book: those that a rising price elects stand like
//! asks, the lowest trigger first, those that a falling price elects like bids.

use crate::book_side::BookSide;
use crate::order::OrderHandle;
use crate::order_details::{OrderDetails, OrderState};
use crate::order_queue::OrderQueue;
use crate::order_slab::OrderSlab;
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
    trailing: OrderQueue,
    reach: Reach,
}

/// Prices strictly inside of which no trailing order moves or is elected. May be narrower than need
/// be after an order has left, never wider.
#[derive(Clone, Copy, Debug)]
struct Reach {
    low: Price,
    high: Price,
}

impl Reach {
    const ANY: Self = Self { low: Price(0), high: Price(i64::MAX) };

    fn narrow(&mut self, side: Side, details: &OrderDetails) {
        // A buy follows a falling price and is elected by a rising one.
        let (below, above) = match side {
            Side::Buy => (Price(details.trail_reference.0 - 1), details.trigger),
            Side::Sell => (details.trigger, Price(details.trail_reference.0 + 1)),
        };
        (self.low, self.high) = (self.low.max(below), self.high.min(above));
    }

    fn holds(&self, price: Price) -> bool {
        self.low < price && price < self.high
    }
}

impl Default for StopOrders {
    fn default() -> Self {
        let waiting = Waiting {
            rising: BookSide::new(Side::Sell),
            falling: BookSide::new(Side::Buy),
            trailing: OrderQueue::default(),
            reach: Reach::ANY,
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
        let queues = levels.map(|level| level.queue.first);
        let all = queues.chain([self.waiting.trailing.first]);
        all.flat_map(|first| orders.queue_from(first)).map(|(handle, _)| handle)
    }

    /// Files a dormant order behind those of its trigger.
    pub(crate) fn add_dormant(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let (order_type, side) = (orders.get(handle).order_type, orders.get(handle).side);
        let record = stop_details_mut(orders, handle);
        record.state = OrderState::Dormant;
        let (record, waiting) = (*record, &mut *self.waiting);
        self.dormant += 1;
        if order_type == OrderType::TrailingStop {
            waiting.reach.narrow(side, &record);
            waiting.trailing.push(orders, handle);
        } else if rises(order_type, side) {
            waiting.rising.push(orders, handle, record.trigger);
        } else {
            waiting.falling.push(orders, handle, record.trigger);
        }
    }

    /// Takes out a dormant order.
    pub(crate) fn remove_dormant(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let waiting = &mut *self.waiting;
        self.dormant -= 1;
        let level = orders.queued(handle).level;
        if level.is_none() {
            waiting.trailing.unlink(orders, handle);
            if waiting.trailing.is_empty() {
                waiting.reach = Reach::ANY;
            }
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

    /// Whether every dormant order is filed under its trigger, has not met it at `last`, and no
    /// trailing one would be missed. Walks everything: for tests and debug builds.
    pub(crate) fn is_consistent(&self, orders: &OrderSlab, last: Price) -> bool {
        let waits = |handle: OrderHandle| {
            let (order, details) = (orders.get(handle), stop_details(orders, handle));
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
        let mut needed = Reach::ANY;
        for (handle, _) in orders.queue_from(self.waiting.trailing.first) {
            needed.narrow(orders.get(handle).side, stop_details(orders, handle));
        }
        let Reach { low, high } = self.waiting.reach;
        let count = self.dormant(orders).count();
        by_trigger
            && self.dormant(orders).all(waits)
            && low >= needed.low
            && high <= needed.high
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
        if !self.waiting.reach.holds(price) {
            self.pass_trailing(orders, price, elected);
        }
        for rises in [true, false] {
            loop {
                let waiting = &self.waiting;
                let side = if rises { &waiting.rising } else { &waiting.falling };
                let Some(level) = side.best().filter(|best| is_met(rises, best.price, price))
                else {
                    break;
                };
                let (handle, trigger) = (level.queue.first, level.price);
                let entry_sequence = stop_details_mut(orders, handle).entry_sequence;
                self.remove_dormant(orders, handle);
                elected.push(Elected { handle, rises, trigger, entry_sequence });
            }
        }
    }

    /// Moves every trailing order that follows `price`, and takes out those that it elects.
    fn pass_trailing(&mut self, orders: &mut OrderSlab, price: Price, elected: &mut Vec<Elected>) {
        let mut reach = Reach::ANY;
        let mut next = self.waiting.trailing.first;
        while let Some(handle) = next.some() {
            next = orders.queued(handle).next;
            let side = orders.get(handle).side;
            let record = stop_details_mut(orders, handle);
            record.follow(side, price);
            let (trigger, entry_sequence) = (record.trigger, record.entry_sequence);
            let rises = side == Side::Buy;
            if is_met(rises, trigger, price) {
                self.remove_dormant(orders, handle);
                elected.push(Elected { handle, rises, trigger, entry_sequence });
            } else {
                reach.narrow(side, stop_details_mut(orders, handle));
            }
        }
        self.waiting.reach = reach;
    }
}

impl OrderDetails {
    /// Moves the trigger of a trailing order after a price that runs away from it.
    fn follow(&mut self, side: Side, price: Price) {
        let runs_away = match side {
            Side::Buy => price < self.trail_reference,
            Side::Sell => price > self.trail_reference,
        };
        if runs_away {
            self.trail_reference = price;
            let trigger = trailing_trigger(side, price, self.trail_ticks, self.trail_bps);
            let Some(trigger) = trigger else {
                unreachable!("the trigger was legal and has moved toward the reference")
            };
            self.trigger = trigger;
        }
    }
}

/// Trigger of a trailing order at its offset from `reference`: above it for a buy, rounded up,
/// below it for a sell, rounded down. `None` if it is no positive 64-bit price.
pub(crate) fn trailing_trigger(
    side: Side,
    reference: Price,
    trail_ticks: i64,
    trail_bps: u32,
) -> Option<Price> {
    let price = if trail_ticks > 0 {
        match side {
            Side::Buy => reference.0.checked_add(trail_ticks)?,
            Side::Sell => reference.0.checked_sub(trail_ticks)?,
        }
    } else {
        reference.offset_by_bps(side, trail_bps).0
    };
    (price > 0).then_some(Price(price))
}
