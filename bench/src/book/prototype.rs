//! Owns the yardstick of `bench book`: a book with nothing but price, time and quantity, as small
//! and as fast as that can be. Shares no code with the engine and has none of its duties: prices
//! lie in a range that is known beforehand, nothing grows. Invariant: a level is marked exactly if
//! an order rests in it, and `best` is the first marked one.

mod id_map;
mod ladder;

use std::mem::replace;

use self::id_map::IdMap;
use self::ladder::Ladder;
use super::Books;
use crate::tape::format::{Kind, Record, Tape, TapeSide};
use crate::tape::oracle::Summary;

const NONE: u32 = u32::MAX;
/// More trades than a command of a generated tape can make.
const TRADES: usize = 1_024;

#[derive(Clone, Copy)]
struct Order {
    id: u64,
    left: u64,
    price: u32,
    /// Place of its ladder.
    ladder: u32,
    prev: u32,
    /// Also links free records.
    next: u32,
}

struct Trade {
    maker: u64,
    taker: u64,
    price: u64,
    quantity: u64,
}

const _: () = assert!(size_of::<Order>() == 32 && size_of::<Trade>() == 32);

/// What a tape needs room for.
#[derive(Clone, Copy)]
pub(super) struct Room {
    instruments: usize,
    lowest: u32,
    highest: u32,
    orders: usize,
}

impl Room {
    /// Runs the tape once to see how many orders live at a time.
    pub(super) fn of(tape: &Tape) -> Self {
        let prices = || tape.records.iter().map(|record| record.price);
        let room = Self {
            instruments: tape.instruments.into(),
            lowest: prices().min().unwrap_or(0),
            highest: prices().max().unwrap_or(0),
            orders: tape.records.iter().filter(|record| record.kind == Kind::NewGtc).count(),
        };
        let mut books = PrototypeBooks::new(room);
        tape.records.iter().for_each(|record| books.step(record));
        Self { orders: books.orders.len(), ..room }
    }
}

/// Books that share slab and map.
pub(super) struct PrototypeBooks {
    /// Bids and asks of the first instrument, then of the next.
    ladders: Vec<Ladder>,
    orders: Vec<Order>,
    free: u32,
    ids: IdMap,
    trades: Vec<Trade>,
    totals: Vec<Summary>,
}

impl PrototypeBooks {
    pub(super) fn new(room: Room) -> Self {
        let levels = (room.highest - room.lowest) as usize + 1;
        let pair = [Ladder::new(room.highest, levels), Ladder::new(room.lowest, levels)];
        Self {
            ladders: vec![pair; room.instruments].into_iter().flatten().collect(),
            orders: Vec::with_capacity(room.orders),
            free: NONE,
            ids: IdMap::new(room.orders),
            trades: Vec::with_capacity(TRADES),
            totals: vec![Summary::new(); room.instruments],
        }
    }

    fn apply(&mut self, record: &Record) {
        let ladder = u32::from(record.instrument) * 2 + record.side as u32;
        let Record { id, price, .. } = *record;
        let quantity = u64::from(record.quantity);
        match record.kind {
            Kind::NewGtc => {
                let left = self.take(ladder, id, price, quantity);
                if left > 0 {
                    let order =
                        self.insert(Order { id, left, price, ladder, prev: NONE, next: NONE });
                    self.ids.insert(id, order);
                    self.link(order);
                }
            }
            Kind::NewIoc => {
                self.take(ladder, id, price, quantity);
            }
            Kind::Cancel => {
                let order = self.ids.find(&self.orders, id);
                self.unlink(order);
                self.forget(order);
            }
            Kind::Move => {
                let order = self.ids.find(&self.orders, id);
                self.unlink(order);
                let left = self.orders[order as usize].left;
                let left = self.take(ladder, id, price, left);
                if left == 0 {
                    self.forget(order);
                } else {
                    let moved = &mut self.orders[order as usize];
                    (moved.left, moved.price) = (left, price);
                    self.link(order);
                }
            }
            Kind::Reduce => {
                let order = self.ids.find(&self.orders, id);
                let order = &mut self.orders[order as usize];
                order.left -= quantity;
                let ladder = &mut self.ladders[order.ladder as usize];
                let place = ladder.place(order.price);
                ladder.levels[place].quantity -= quantity;
            }
        }
    }

    /// Matches an order that is in no level; gives what is left of it.
    #[inline]
    fn take(&mut self, ladder: u32, taker: u64, limit: u32, mut left: u64) -> u64 {
        let other = ladder as usize ^ 1;
        let limit = self.ladders[other].place(limit);
        while left > 0 {
            let Ladder { best, levels, .. } = &mut self.ladders[other];
            if *best > limit {
                break;
            }
            let level = &mut levels[*best];
            let maker = level.head;
            let made = &mut self.orders[maker as usize];
            let quantity = left.min(made.left);
            let price = made.price.into();
            self.trades.push(Trade { maker: made.id, taker, price, quantity });
            left -= quantity;
            if quantity == made.left {
                self.unlink(maker);
                self.forget(maker);
            } else {
                made.left -= quantity;
                level.quantity -= quantity;
            }
        }
        left
    }

    #[inline]
    fn insert(&mut self, order: Order) -> u32 {
        let place = self.free;
        if place == NONE {
            self.orders.push(order);
            return u32::try_from(self.orders.len() - 1).expect("a tape fits memory");
        }
        self.free = self.orders[place as usize].next;
        self.orders[place as usize] = order;
        place
    }

    #[inline]
    fn forget(&mut self, order: u32) {
        let record = &mut self.orders[order as usize];
        record.next = self.free;
        self.free = order;
        self.ids.remove(record.id, order);
    }

    /// Puts an order at the tail of its level.
    #[inline]
    fn link(&mut self, order: u32) {
        let linked = &mut self.orders[order as usize];
        let ladder = &mut self.ladders[linked.ladder as usize];
        let place = ladder.place(linked.price);
        let level = &mut ladder.levels[place];
        (linked.prev, linked.next) = (level.tail, NONE);
        level.quantity += linked.left;
        let last = replace(&mut level.tail, order);
        if last == NONE {
            level.head = order;
            ladder.mark(place);
        } else {
            self.orders[last as usize].next = order;
        }
    }

    #[inline]
    fn unlink(&mut self, order: u32) {
        // Field by field: a copy of all of it would wait for fields that were just written.
        let unlinked = &self.orders[order as usize];
        let (prev, next) = (unlinked.prev, unlinked.next);
        let ladder = &mut self.ladders[unlinked.ladder as usize];
        let place = ladder.place(unlinked.price);
        let level = &mut ladder.levels[place];
        level.quantity -= unlinked.left;
        if prev == NONE && next == NONE {
            (level.head, level.tail) = (NONE, NONE);
            ladder.unmark(place);
            return;
        }
        match prev {
            NONE => level.head = next,
            prev => self.orders[prev as usize].next = next,
        }
        match next {
            NONE => level.tail = prev,
            next => self.orders[next as usize].prev = prev,
        }
    }
}

impl Books for PrototypeBooks {
    #[inline]
    fn step(&mut self, record: &Record) {
        self.trades.clear();
        self.apply(record);
        let totals = &mut self.totals[usize::from(record.instrument)];
        for trade in &self.trades {
            totals.trade(trade.maker, trade.taker, trade.price, trade.quantity);
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        let both = self.ladders.chunks_exact(2).zip(&self.totals);
        let summary = |(pair, totals): (&[Ladder], &Summary)| {
            let mut summary = totals.clone();
            for (ladder, side) in pair.iter().zip([TapeSide::Bid, TapeSide::Ask]) {
                for level in &ladder.levels {
                    let mut quantity = 0;
                    let mut at = level.head;
                    while at != NONE {
                        let order = &self.orders[at as usize];
                        summary.rests(side, order.price.into(), order.id, order.left);
                        quantity += order.left;
                        at = order.next;
                    }
                    assert_eq!(quantity, level.quantity, "quantity of a level");
                }
            }
            summary
        };
        both.map(summary).collect()
    }
}
