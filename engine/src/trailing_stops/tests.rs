//! The tree against a list that moves every order at every price, and the count of what it writes.

use super::*;
use crate::order::{Order, QueuedOrder};
use crate::stop_orders::is_met;
use crate::trailing_range::trailing_trigger;
use crate::types::{AccountId, OrderId, OrderType};

/// Deterministic stream of 64-bit numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % bound
    }

    fn offset(&mut self, most: u64) -> (i64, u32) {
        let offset = 1 + self.below(most);
        match self.below(2) {
            0 => (offset.cast_signed(), 0),
            _ => (0, u32::try_from(offset.min(9_999)).unwrap()),
        }
    }
}

/// An order as the list has it: its offset, reference and trigger.
#[derive(Clone, Copy, Debug)]
struct Listed {
    handle: OrderHandle,
    offset: (i64, u32),
    reference: Price,
}

impl Listed {
    fn trigger(&self, side: Side) -> Price {
        trailing_trigger(side, self.reference, self.offset.0, self.offset.1).expect("legal")
    }
}

/// One side's orders twice: in the tree and in the list.
struct Both {
    side: Side,
    last: Price,
    orders: OrderSlab,
    stops: TrailingStops,
    list: Vec<Listed>,
}

impl Both {
    fn new(side: Side, last: i64) -> Self {
        let (orders, stops) = (OrderSlab::default(), TrailingStops::new(side));
        Self { side, last: Price(last), orders, stops, list: Vec::new() }
    }

    fn enter(&mut self, offset: (i64, u32)) {
        let (side, reference) = (self.side, self.last);
        if trailing_trigger(side, reference, offset.0, offset.1).is_none() {
            return;
        }
        let details = OrderDetails {
            trail_ticks: offset.0,
            trail_bps: offset.1,
            trail_reference: reference,
            ..OrderDetails::default()
        };
        let details = self.orders.details_table().add(details);
        let id = OrderId(1 + u64::from(self.orders.len()));
        let queued = QueuedOrder { id, account: AccountId(1), ..QueuedOrder::default() };
        let handle = self.orders.insert(queued);
        let order_type = OrderType::TrailingStop;
        *self.orders.get_mut(handle) = Order { side, order_type, details, ..Order::default() };
        self.stops.push(&mut self.orders, handle);
        self.list.push(Listed { handle, offset, reference });
    }

    fn free(&mut self, handle: OrderHandle) {
        let details = self.orders.get(handle).details;
        self.orders.details_table().remove(details);
        self.orders.remove(handle);
    }

    fn cancel(&mut self, index: usize) {
        let Listed { handle, .. } = self.list.remove(index);
        self.stops.remove(&mut self.orders, handle);
        self.free(handle);
    }

    /// Lets a price pass both; gives how many orders it elected.
    fn pass(&mut self, price: Price) -> usize {
        let (side, rises) = (self.side, self.side == Side::Buy);
        self.last = price;
        for listed in &mut self.list {
            listed.reference = match side {
                Side::Buy => listed.reference.min(price),
                Side::Sell => listed.reference.max(price),
            };
        }
        let meets = |listed: &Listed| is_met(rises, listed.trigger(side), price);
        let mut met: Vec<(u32, Price, Price)> = Vec::new();
        self.list.retain(|listed| {
            if meets(listed) {
                met.push((listed.handle.0, listed.reference, listed.trigger(side)));
            }
            !meets(listed)
        });
        self.stops.follow(price);
        let mut taken = Vec::new();
        while let Some(handle) = self.stops.met(price) {
            self.stops.remove(&mut self.orders, handle);
            let details = *stop_details(&self.orders, handle);
            taken.push((handle.0, details.trail_reference, details.trigger));
            self.free(handle);
        }
        met.sort_unstable();
        taken.sort_unstable();
        assert_eq!(taken, met, "at {price}");
        met.len()
    }

    fn check(&self) {
        assert!(self.stops.is_consistent(&self.orders, self.last));
        assert!(self.stops.iter().eq(self.list.iter().map(|listed| listed.handle)));
        for listed in &self.list {
            let mut details = *stop_details(&self.orders, listed.handle);
            self.stops.update(&mut details);
            let known = (details.trail_reference, details.trigger);
            assert_eq!(known, (listed.reference, listed.trigger(self.side)));
        }
    }

    /// References of different height.
    fn references(&self) -> usize {
        let mut references: Vec<Price> = self.list.iter().map(|listed| listed.reference).collect();
        references.dedup();
        references.len()
    }
}

/// What a run of random steps has seen: most orders at once, most references, most elected by one
/// price, elected in all.
fn run(side: Side, seed: u64, step: u64, offset: u64, rounds: u32) -> [usize; 4] {
    let mut numbers = Numbers(seed);
    let mut both = Both::new(side, 100_000);
    let mut seen = [0; 4];
    for round in 0..rounds {
        match numbers.below(10) {
            0..5 => {
                let offset = numbers.offset(offset);
                both.enter(offset);
            }
            5 if !both.list.is_empty() => {
                let index = numbers.below(both.list.len() as u64);
                both.cancel(usize::try_from(index).unwrap());
            }
            _ => {
                let moved = numbers.below(2 * step + 1).cast_signed() - step.cast_signed();
                let price = (both.last.0 + moved).clamp(50_000, 200_000);
                let elected = both.pass(Price(price));
                seen[2] = seen[2].max(elected);
                seen[3] += elected;
            }
        }
        if round % 16 == 0 {
            both.check();
        }
        seen = [seen[0].max(both.list.len()), seen[1].max(both.references()), seen[2], seen[3]];
    }
    seen
}

#[test]
fn the_tree_does_what_a_list_does() {
    for side in Side::ALL {
        for seed in 0..40 {
            let narrow = run(*side, seed, 5, 10, 400);
            assert!(narrow[3] > 50, "{narrow:?}");
        }
        let wide = run(*side, 1, 300, 9_999, 6_000);
        let reaches = wide[0] > 400 && wide[1] > 10 && wide[2] > 10 && wide[3] > 500;
        assert!(reaches, "{wide:?}");
    }
}

#[test]
fn places_are_used_again() {
    let mut both = Both::new(Side::Sell, 1_000);
    (0..5).for_each(|ticks| both.enter((10 + ticks, 0)));
    for round in 0..1_000 {
        both.enter((500, 0));
        both.cancel(if round % 2 == 0 { 5 } else { 0 });
        both.check();
    }
    assert_eq!(both.stops.places(), PLACES_MIN, "five orders need no more");
}

#[test]
fn places_double_when_half_of_them_are_in_use() {
    for (stay, places) in [(PLACES_MIN / 2 - 1, PLACES_MIN), (PLACES_MIN / 2, 2 * PLACES_MIN)] {
        let mut both = Both::new(Side::Buy, 1_000);
        (0..PLACES_MIN).for_each(|_| both.enter((20, 0)));
        assert_eq!(both.stops.places(), PLACES_MIN, "all are used and none is missing");
        (stay..PLACES_MIN).for_each(|_| both.cancel(stay / 2));
        both.pass(Price(990));
        both.enter((500, 0));
        assert_eq!(both.stops.places(), places, "{stay} stay");
        both.check();
    }
}

/// Writes that one descent may cost: each range on the way, its neighbour, and both once more.
fn of_a_descent(places: usize) -> usize {
    4 * (1 + places.ilog2() as usize)
}

/// 20,000 orders with as many references as there are, then a rise that pulls them all, price by
/// price, with a cascade's worth of prices that each are a new extreme.
#[test]
fn a_new_extreme_costs_a_descent_however_many_orders_wait() {
    const ORDERS: i64 = 20_000;
    const PRICES: i64 = 1_000;
    let mut both = Both::new(Side::Sell, 100_000);
    for n in 0..ORDERS {
        both.last = Price(100_000 - n);
        both.enter((60_000 + n % 7, 0));
    }
    assert_eq!(both.references(), 20_000);
    let descent = of_a_descent(both.stops.places());
    let mut pulled = both.stops.clone();
    for n in 0..ORDERS {
        let before = pulled.work;
        pulled.follow(Price(100_001 - ORDERS + n));
        assert!(pulled.work - before <= descent, "{} writes", pulled.work - before);
    }
    for n in 0..PRICES {
        let before = pulled.work;
        pulled.follow(Price(100_001 + n));
        assert!(pulled.met(Price(100_001 + n)).is_none());
        assert_eq!(pulled.work - before, 1, "all have one reference: the root knows it");
    }
}

#[test]
fn a_price_that_moves_nothing_writes_nothing() {
    let mut both = Both::new(Side::Buy, 1_000);
    (0..100).for_each(|n| both.enter((100 + n, 0)));
    let before = both.stops.work;
    for price in 1_000..1_100 {
        both.stops.follow(Price(price));
        assert!(both.stops.met(Price(price)).is_none());
    }
    assert_eq!(both.stops.work, before);
    assert!(both.stops.met(Price(1_100)).is_some());
}

/// Of 20,000 orders with 20,000 references a fall elects only some: those are paid for.
#[test]
fn an_election_costs_a_descent_for_each_elected_order() {
    const ORDERS: i64 = 20_000;
    const FALL: i64 = 100;
    let mut both = Both::new(Side::Sell, 100_000);
    for n in 0..ORDERS {
        both.last = Price(100_000 - n);
        both.enter((60_000 - 2 * n, 0));
    }
    let descent = of_a_descent(both.stops.places());
    let before = both.stops.work;
    // The youngest has its trigger at 59,999, each older one a tick below.
    let elected: usize = (1..=FALL).map(|n| both.pass(Price(60_000 - 10 * n))).sum();
    let work = both.stops.work - before;
    assert_eq!(elected, 1_000);
    // One descent finds it, one takes it out.
    assert!(work <= 2 * elected * descent, "{work} writes for {elected} orders");
    both.check();
}
