//! Owns the order flow of a tape. The same flow gives the same bytes on every machine.
//!
//! The mid is a bounded random walk; passive prices lie some ticks from it, a few new orders cross
//! it, an IOC always does. Live orders are drawn uniformly; new against cancel is steered to the
//! target number of resting orders. Sizes are one plus a product of three dice of 0 to 5, as in the
//! generator that exchange-core publishes its figures with. Every instrument has a flow of its own,
//! from numbers of its own, and only its turns are drawn.

use std::collections::BTreeMap;

use super::flow::{Draw, Flow};
use super::format::{Kind, Record, Tape, TapeSide};
use super::numbers::Numbers;
use super::oracle::{SlowBook, SlowBooks};

/// Share of new orders that cross the mid, percent.
const CROSSING_PERCENT: u64 = 2;
/// Share of moves that draw a new price; the others shift it by 1 to 3 ticks, percent.
const REDRAWN_PERCENT: u64 = 50;

/// Live ids for uniform draws.
#[derive(Default)]
struct LiveIds {
    ids: Vec<u64>,
    places: BTreeMap<u64, usize>,
}

impl LiveIds {
    fn add(&mut self, id: u64) {
        self.places.insert(id, self.ids.len());
        self.ids.push(id);
    }

    fn remove(&mut self, id: u64) {
        let Some(place) = self.places.remove(&id) else { return };
        self.ids.swap_remove(place);
        if let Some(moved) = self.ids.get(place) {
            self.places.insert(*moved, place);
        }
    }
}

/// The flow of one instrument.
struct Generator<'a> {
    flow: &'a Flow,
    instrument: u16,
    numbers: Numbers,
    book: SlowBook,
    live: LiveIds,
    mid: i64,
    direction: i64,
    /// Ticks that the mid has crashed by.
    fallen: i64,
    /// Commands after the prefill.
    commands: u64,
    lowest: i64,
    highest: i64,
    next_id: u64,
}

/// Makes the tape, and the books that it leaves behind.
pub(crate) fn generate(flow: &Flow) -> (Tape, SlowBooks) {
    let mut generators: Vec<_> =
        (0..flow.instruments).map(|instrument| Generator::new(flow, instrument)).collect();
    let mut draw = Draw::new(flow);
    let prefill = flow.orders * generators.len();
    let mut records = Vec::with_capacity(prefill + flow.commands);
    for place in 0..prefill {
        let turn = place % generators.len();
        records.push(generators[turn].record(true));
    }
    for _ in 0..flow.commands {
        records.push(generators[draw.next()].record(false));
    }
    let highest_id = generators.iter().map(|generator| generator.next_id - 1).max();
    let first = &generators[0];
    let tape = Tape {
        seed: flow.seed,
        min_price: first.clamped(first.lowest),
        max_price: first.clamped(first.highest),
        instruments: flow.instruments,
        prefill,
        max_id: highest_id.unwrap_or(0),
        records,
    };
    (tape, SlowBooks(generators.into_iter().map(|generator| generator.book).collect()))
}

impl<'a> Generator<'a> {
    fn new(flow: &'a Flow, instrument: u16) -> Self {
        let margin = i64::from(flow.walk) + i64::from(flow.depth) + 8;
        let base = i64::from(flow.base_price);
        Self {
            flow,
            instrument,
            numbers: Numbers::new(flow.seed ^ u64::from(instrument) << 32),
            book: SlowBook::new(),
            live: LiveIds::default(),
            mid: base,
            direction: 1,
            fallen: 0,
            commands: 0,
            lowest: base - margin - flow.crash.map_or(0, |crash| i64::from(crash.fall)),
            highest: base + margin,
            next_id: 1,
        }
    }

    fn record(&mut self, prefill: bool) -> Record {
        if !prefill {
            self.fallen = self.flow.crash.map_or(0, |crash| crash.depth(self.commands));
            self.commands += 1;
            self.walk();
        }
        let kind = match self.kind(prefill) {
            Kind::Cancel | Kind::Move | Kind::Reduce if self.live.ids.is_empty() => Kind::NewGtc,
            kind => kind,
        };
        let record = match kind {
            Kind::NewGtc | Kind::NewIoc => self.new_order(kind, prefill),
            Kind::Cancel | Kind::Move | Kind::Reduce => self.change(kind),
        };
        self.book.apply(&record);
        for id in &self.book.filled {
            self.live.remove(*id);
        }
        match (self.book.live(record.id).is_some(), self.live.places.contains_key(&record.id)) {
            (true, false) => self.live.add(record.id),
            (false, true) => self.live.remove(record.id),
            _ => {}
        }
        record
    }

    fn walk(&mut self) {
        if self.numbers.below(self.flow.step_every) != 0 {
            return;
        }
        if self.numbers.below(32) == 0 {
            self.direction = -self.direction;
        }
        let next = self.mid + self.direction;
        if (next - i64::from(self.flow.base_price)).abs() > i64::from(self.flow.walk) {
            self.direction = -self.direction;
        } else {
            self.mid = next;
        }
    }

    fn kind(&mut self, prefill: bool) -> Kind {
        if prefill {
            return Kind::NewGtc;
        }
        let [flow, ioc, moves, _] = self.flow.weights;
        let drawn = self.numbers.below(self.flow.weights.iter().sum());
        if drawn < flow {
            self.new_or_cancel()
        } else if drawn < flow + ioc {
            Kind::NewIoc
        } else if drawn < flow + ioc + moves {
            Kind::Move
        } else {
            Kind::Reduce
        }
    }

    /// Even odds at the target, full steer at a gap of 2 % of it.
    fn new_or_cancel(&mut self) -> Kind {
        let target = i64::try_from(self.flow.orders).unwrap_or(i64::MAX);
        let count = i64::try_from(self.live.ids.len()).unwrap_or(i64::MAX);
        let gap = (target - count) * 50 * 500 / target;
        let odds = (530 + gap).clamp(100, 1_000).unsigned_abs();
        if self.numbers.below(1_000) < odds || count == 0 { Kind::NewGtc } else { Kind::Cancel }
    }

    fn new_order(&mut self, kind: Kind, prefill: bool) -> Record {
        let id = self.next_id;
        self.next_id += 1;
        let side = if self.numbers.below(2) == 0 { TapeSide::Bid } else { TapeSide::Ask };
        let owner = self.drawn(1, 1_000);
        let dice = [self.drawn(0, 6), self.drawn(0, 6), self.drawn(0, 6)];
        let quantity = 1 + dice.iter().product::<u32>();
        let away = if kind == Kind::NewIoc {
            -i64::from(self.drawn(3, 8))
        } else if !prefill && self.numbers.below(100) < CROSSING_PERCENT {
            -i64::from(self.drawn(1, 3))
        } else {
            self.passive_distance()
        };
        let price = self.price(side, away);
        let instrument = self.instrument;
        Record { id, price, quantity, old_price: price, owner, kind, side, instrument, left: 0 }
    }

    fn change(&mut self, kind: Kind) -> Record {
        let count = self.live.ids.len() as u64;
        let place = usize::try_from(self.numbers.below(count)).unwrap_or(0);
        let id = self.live.ids[place];
        let order = *self.book.live(id).expect("only live ids are drawn");
        let mut record = Record {
            id,
            price: order.price,
            quantity: order.left,
            old_price: order.price,
            owner: order.owner,
            kind,
            side: order.side,
            instrument: self.instrument,
            left: order.left,
        };
        match kind {
            Kind::Reduce if order.left == 1 => record.kind = Kind::Cancel,
            Kind::Reduce => record.quantity = self.drawn(1, u64::from(order.left) - 1),
            Kind::Move => record.price = self.moved_price(order.side, order.price),
            Kind::NewGtc | Kind::NewIoc | Kind::Cancel => {}
        }
        record
    }

    /// A move always changes the price.
    fn moved_price(&mut self, side: TapeSide, price: u32) -> u32 {
        let present = i64::from(price);
        let moved = if self.numbers.below(100) < REDRAWN_PERCENT {
            let away = self.passive_distance();
            self.price(side, away)
        } else {
            let ticks = i64::from(self.drawn(1, 3));
            let toward = if present <= self.middle() { ticks } else { -ticks };
            let shift = if self.numbers.below(2) == 0 { toward } else { -toward };
            self.clamped(present + shift)
        };
        match moved {
            same if same == price && present > self.lowest => price - 1,
            same if same == price => price + 1,
            other => other,
        }
    }

    /// `first` plus a number below `count`.
    fn drawn(&mut self, first: u32, count: u64) -> u32 {
        first + u32::try_from(self.numbers.below(count)).unwrap_or(0)
    }

    #[expect(clippy::cast_possible_truncation, reason = "depth times a fraction")]
    fn passive_distance(&mut self) -> i64 {
        let fraction = self.numbers.unit().powf(self.flow.skew);
        1 + (fraction * f64::from(self.flow.depth)) as i64
    }

    fn price(&self, side: TapeSide, away: i64) -> u32 {
        match side {
            TapeSide::Bid => self.clamped(self.middle() - away),
            TapeSide::Ask => self.clamped(self.middle() + away),
        }
    }

    /// Where the flow takes the mid to be.
    fn middle(&self) -> i64 {
        self.mid - self.fallen
    }

    fn clamped(&self, price: i64) -> u32 {
        u32::try_from(price.clamp(self.lowest, self.highest)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
