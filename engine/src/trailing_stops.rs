//! Owns the dormant trailing stops of one side of one instrument: how far the market has pulled
//! each of them, and which one a price meets first.
//! Knows nothing of trades, nor of the order in which elected orders start. Invariant: the root
//! knows the lowest reference and the tightest trigger of all, so a price that neither moves nor
//! elects anything costs one look.
//!
//! A tree of ranges over places, which are given out in the order of entry. A price that pulls
//! orders gives all of a range the same reference at once; what lies below learns of it when
//! somebody looks there. An order starts from the last price and then has the best price since, so
//! a younger order never has a better reference than an older one: those that a price pulls are the
//! youngest, a range at the end, and to pull them costs O(log n) however many they are. To add,
//! take out or elect one order is O(log n) too. When all places are given out, those of orders that
//! have left are closed up, or there will be twice as many if half of them are in use: O(n), but
//! before it comes again, half as many orders enter as there are places.
//!
//! A place takes 84 bytes; beyond the first few there are at most four for each of the most orders
//! that there ever were at once.

use crate::order::OrderHandle;
use crate::order_details::OrderDetails;
use crate::order_slab::OrderSlab;
use crate::stop_orders::{stop_details, stop_details_mut};
use crate::trailing_range::{Range, height, legal_trigger, price};
use crate::types::{Price, Side};

/// Places of the first tree. Like all later ones a power of two.
const PLACES_MIN: usize = 64;

/// Dormant trailing stops of one side.
#[derive(Clone, Debug)]
pub(crate) struct TrailingStops {
    side: Side,
    /// The order at each place that was given out, none where it has left.
    orders: Vec<OrderHandle>,
    /// The root at 1; below `n` there are `2n` and `2n + 1`; the second half are the places. None
    /// before the first order.
    ranges: Vec<Range>,
    /// Ranges that were written.
    #[cfg(test)]
    work: usize,
}

impl TrailingStops {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            orders: Vec::new(),
            ranges: Vec::new(),
            #[cfg(test)]
            work: 0,
        }
    }

    /// Orders from the oldest to the youngest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = OrderHandle> {
        self.orders.iter().filter_map(|handle| handle.some())
    }

    /// Adds an order, whose reference is the last price.
    pub(crate) fn push(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        if self.orders.len() == self.places() {
            self.make_room(orders);
        }
        let (details, place) = (stop_details_mut(orders, handle), self.orders.len());
        details.trail_place = u32::try_from(place).unwrap_or(u32::MAX);
        self.orders.push(handle);
        self.write(place, Range::of(self.side, details));
    }

    /// Takes an order out, and brings its details up to date.
    pub(crate) fn remove(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let details = stop_details_mut(orders, handle);
        self.update(details);
        let place = details.trail_place as usize;
        self.orders[place] = OrderHandle::NONE;
        self.write(place, Range::EMPTY);
    }

    /// Writes the present reference and trigger into the details of an order that is in here.
    pub(crate) fn update(&self, details: &mut OrderDetails) {
        let place = self.places() + details.trail_place as usize;
        let path = (0..=self.depth()).rev().map(|level| self.ranges[place >> level]);
        let known = path.filter(|range| range.lowest == range.highest).map(|range| range.lowest);
        let Some(reference) = known.into_iter().next() else {
            unreachable!("a place has one reference")
        };
        details.trail_reference = price(self.side, reference);
        let OrderDetails { trail_reference, trail_ticks, trail_bps, .. } = *details;
        details.trigger = legal_trigger(self.side, trail_reference, trail_ticks, trail_bps);
    }

    /// Lets orders follow a trade price that runs away from them.
    pub(crate) fn follow(&mut self, price: Price) {
        if !self.ranges.is_empty() {
            self.pull(1, height(self.side, price));
        }
    }

    /// An order that `price` meets, if there is one.
    pub(crate) fn met(&mut self, price: Price) -> Option<OrderHandle> {
        let trigger = self.ranges.get(1)?.trigger;
        if height(self.side, price) > trigger {
            return None;
        }
        let mut at = 1;
        while at < self.places() {
            self.settle(at);
            at *= 2;
            at += usize::from(self.ranges[at].trigger != trigger);
        }
        self.orders[at - self.places()].some()
    }

    fn places(&self) -> usize {
        self.ranges.len() / 2
    }

    /// Levels above the places.
    fn depth(&self) -> u32 {
        self.places().ilog2()
    }

    /// A range to be written.
    fn range_mut(&mut self, at: usize) -> &mut Range {
        #[cfg(test)]
        {
            self.work += 1;
        }
        &mut self.ranges[at]
    }

    /// Gives the orders of a range that have a reference below this one this one.
    fn pull(&mut self, at: usize, reference: i64) {
        let range = self.ranges[at];
        if range.lowest >= reference {
            return;
        }
        if range.highest <= reference {
            let side = self.side;
            return self.range_mut(at).pull(side, reference);
        }
        self.settle(at);
        self.pull(2 * at, reference);
        self.pull(2 * at + 1, reference);
        self.join(at);
    }

    /// Passes the one reference of a range on to its halves, which may have an older one.
    fn settle(&mut self, at: usize) {
        let Range { lowest, highest, .. } = self.ranges[at];
        if lowest == highest {
            for half in [2 * at, 2 * at + 1] {
                if self.ranges[half].lowest < lowest {
                    let side = self.side;
                    self.range_mut(half).pull(side, lowest);
                }
            }
        }
    }

    fn join(&mut self, at: usize) {
        *self.range_mut(at) = self.ranges[2 * at].joined(self.ranges[2 * at + 1]);
    }

    fn write(&mut self, place: usize, range: Range) {
        let at = self.places() + place;
        for level in (1..=self.depth()).rev() {
            self.settle(at >> level);
        }
        *self.range_mut(at) = range;
        for level in 1..=self.depth() {
            self.join(at >> level);
        }
    }

    /// Closes up the places of orders that have left, and doubles the places if that were few.
    #[cold]
    fn make_room(&mut self, orders: &mut OrderSlab) {
        let before = self.places();
        for at in 1..before {
            self.settle(at);
        }
        let mut count = 0;
        for place in 0..before {
            let handle = self.orders[place];
            if !handle.is_none() {
                stop_details_mut(orders, handle).trail_place =
                    u32::try_from(count).unwrap_or(u32::MAX);
                self.orders[count] = handle;
                self.ranges[before + count] = self.ranges[before + place];
                count += 1;
            }
        }
        self.orders.truncate(count);
        let places = if count * 2 < before { before } else { (before * 2).max(PLACES_MIN) };
        self.orders.reserve(places - count);
        self.ranges.resize(places * 2, Range::EMPTY);
        self.ranges.copy_within(before..before + count, places);
        self.ranges[places + count..].fill(Range::EMPTY);
        for at in (1..places).rev() {
            self.join(at);
        }
    }

    /// Whether every range knows of its orders what they say, and none has a better reference than
    /// an older one or a worse one than `last`. Walks everything: for tests and debug builds.
    pub(crate) fn is_consistent(&self, orders: &OrderSlab, last: Price) -> bool {
        let mut settled = self.clone();
        (1..self.places()).for_each(|at| settled.settle(at));
        let (inner, leaves) = settled.ranges.split_at(self.places());
        let joined = (1..inner.len())
            .all(|at| inner[at] == settled.ranges[2 * at].joined(settled.ranges[2 * at + 1]));
        let given = self.orders.iter().map(|handle| match handle.some() {
            None => Range::EMPTY,
            Some(handle) => {
                let mut details = *stop_details(orders, handle);
                self.update(&mut details);
                Range::of(self.side, &details)
            }
        });
        let spare = std::iter::repeat_n(Range::EMPTY, self.places() - self.orders.len());
        let known = given.chain(spare).eq(leaves.iter().copied());
        let in_place = (0u32..).zip(&self.orders).all(|(place, handle)| {
            handle.some().is_none_or(|handle| {
                let details = stop_details(orders, handle);
                details.trail_place == place && orders.get(handle).side == self.side
            })
        });
        let references = || leaves.iter().filter(|leaf| **leaf != Range::EMPTY).map(|l| l.lowest);
        let waits = references().all(|reference| reference >= height(self.side, last));
        joined && known && in_place && waits && references().is_sorted_by(|old, new| old >= new)
    }
}

#[cfg(test)]
mod tests;
