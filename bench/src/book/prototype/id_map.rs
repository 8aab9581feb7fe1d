//! Owns the way from ids to orders in the prototype: open addressing, linear probing, and a
//! deletion that shifts what follows back. Invariant: between an entry's home and its slot none is
//! free.

use super::{NONE, Order};

/// A table that fits the first-level cache gains nothing by being smaller.
const SLOTS_MIN: usize = 4_096;

/// An order's place in the slab, with the upper half of its id's hash.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    order: u32,
}

/// Way from ids to orders: slots of a power of two, at most half of them in use.
pub(super) struct IdMap {
    slots: Vec<Slot>,
    shift: u32,
}

impl IdMap {
    pub(super) fn new(orders: usize) -> Self {
        let slots = (2 * orders).next_power_of_two().max(SLOTS_MIN);
        Self { slots: vec![Slot { hash: 0, order: NONE }; slots], shift: 32 - slots.ilog2() }
    }

    fn hash(id: u64) -> u32 {
        (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
    }

    fn home(&self, hash: u32) -> usize {
        (hash >> self.shift) as usize
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    pub(super) fn insert(&mut self, id: u64, order: u32) {
        let hash = Self::hash(id);
        let mut at = self.home(hash);
        while self.slots[at].order != NONE {
            at = self.next(at);
        }
        self.slots[at] = Slot { hash, order };
    }

    pub(super) fn find(&self, orders: &[Order], id: u64) -> u32 {
        let hash = Self::hash(id);
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            assert!(slot.order != NONE, "the tape names live orders");
            if slot.hash == hash && orders[slot.order as usize].id == id {
                return slot.order;
            }
            at = self.next(at);
        }
    }

    pub(super) fn remove(&mut self, id: u64, order: u32) {
        let mut hole = self.home(Self::hash(id));
        while self.slots[hole].order != order {
            hole = self.next(hole);
        }
        let mask = self.slots.len() - 1;
        let distance = |from: usize, to: usize| to.wrapping_sub(from) & mask;
        let mut at = self.next(hole);
        while self.slots[at].order != NONE {
            // What a search would not reach across the hole moves into it.
            if distance(self.home(self.slots[at].hash), at) >= distance(hole, at) {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.slots[hole].order = NONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: u64) -> Order {
        Order { id, left: 1, price: 0, ladder: 0, prev: NONE, next: NONE }
    }

    #[test]
    fn what_stands_behind_a_hole_is_found_also_across_the_end_of_the_table() {
        // Ids of the last home and of the first: runs of them meet around the end.
        let mut map = IdMap::new(0);
        let of_home = |home: usize| {
            let map = &map;
            (1u64..).filter(move |id| map.home(IdMap::hash(*id)) == home).take(3)
        };
        let ids: Vec<u64> = of_home(SLOTS_MIN - 1).chain(of_home(0)).collect();
        let orders: Vec<Order> = ids.iter().copied().map(order).collect();
        for (place, id) in (0..).zip(&ids) {
            map.insert(*id, place);
        }
        for (removed, id) in (0..).zip(&ids) {
            map.remove(*id, removed);
            for (place, id) in (0..).zip(&ids).skip(removed as usize + 1) {
                assert_eq!(map.find(&orders, *id), place);
            }
        }
        assert!(map.slots.iter().all(|slot| slot.order == NONE));
    }
}
