//! Owns a lookup from 64-bit hashes to 32-bit entries that live elsewhere.
//! Knows nothing of keys: the caller says whether an entry is the one it means.
//! Invariant: its order is never observable, so it may not reach an output.
//!
//! Open addressing with linear probing and backward-shift deletion (Knuth, TAOCP 6.4, algorithm R),
//! at most half full, so that a lookup reads one or two neighbouring slots and nothing is ever left
//! behind by a removal.

use crate::prefetch::line_of;

const EMPTY: u32 = u32::MAX;
const SLOTS_MIN: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Upper half of the hash: gives the home slot, and spares most comparisons of keys.
    tag: u32,
    entry: u32,
}

/// Hash index over entries 0 to 2^32 - 2.
#[derive(Clone, Debug)]
pub(crate) struct HashIndex {
    slots: Vec<Slot>,
    /// 32 minus the binary logarithm of the number of slots.
    shift: u32,
    len: usize,
}

impl HashIndex {
    pub(crate) fn with_capacity(entries: usize) -> Self {
        let slots = (entries * 2).next_power_of_two().max(SLOTS_MIN);
        assert!(slots.ilog2() < u32::BITS);
        Self {
            slots: vec![Slot { tag: 0, entry: EMPTY }; slots],
            shift: u32::BITS - slots.ilog2(),
            len: 0,
        }
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        (tag >> self.shift) as usize
    }

    #[inline]
    fn next(&self, position: usize) -> usize {
        (position + 1) & (self.slots.len() - 1)
    }

    /// The entry filed under `hash` that `is_match` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let mut position = self.home(tag);
        loop {
            let slot = self.slots[position];
            if slot.entry == EMPTY {
                return None;
            }
            if slot.tag == tag && is_match(slot.entry) {
                return Some(slot.entry);
            }
            position = self.next(position);
        }
    }

    /// Asks for the line that a search for `hash` begins in.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        line_of(&self.slots, self.home(tag(hash)));
    }

    /// Files `entry` under `hash`; the caller knows that it is not filed yet.
    pub(crate) fn insert(&mut self, hash: u64, entry: u32) {
        assert!(entry != EMPTY);
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.place(Slot { tag: tag(hash), entry });
        self.len += 1;
    }

    fn place(&mut self, slot: Slot) {
        let mut position = self.home(slot.tag);
        while self.slots[position].entry != EMPTY {
            position = self.next(position);
        }
        self.slots[position] = slot;
    }

    fn grow(&mut self) {
        let mut larger = Self::with_capacity(self.slots.len());
        for slot in self.slots.iter().filter(|slot| slot.entry != EMPTY) {
            larger.place(*slot);
        }
        larger.len = self.len;
        *self = larger;
    }

    /// Takes `entry`, filed under `hash`, out again.
    ///
    /// # Panics
    /// If it is not there: the caller's table and this one disagree, which is a bug.
    pub(crate) fn remove(&mut self, hash: u64, entry: u32) {
        let mut hole = self.home(tag(hash));
        while self.slots[hole].entry != entry {
            assert!(self.slots[hole].entry != EMPTY, "entry is not in the index");
            hole = self.next(hole);
        }
        let mask = self.slots.len() - 1;
        let mut position = hole;
        loop {
            position = self.next(position);
            let slot = self.slots[position];
            if slot.entry == EMPTY {
                break;
            }
            // A later slot may fill the hole if its home does not lie between the two.
            let from_home = position.wrapping_sub(self.home(slot.tag)) & mask;
            let from_hole = position.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                self.slots[hole] = slot;
                hole = position;
            }
        }
        self.slots[hole].entry = EMPTY;
        self.len -= 1;
    }
}

/// Upper 32 bits: a multiplicative hash is best there.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

    #[test]
    fn keeps_what_is_filed_through_growth_and_removal() {
        let mut index = HashIndex::with_capacity(0);
        let mut filed = Vec::new();
        let mut state = 1u64;
        for round in 0..20_000u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few distinct hashes, so that clusters form and wrap around the end.
            let hash = (state >> 60) << 32 | (state >> 58) << 60;
            if state.is_multiple_of(3) && !filed.is_empty() {
                let (hash, entry) = filed.swap_remove((state >> 33) as usize % filed.len());
                index.remove(hash, entry);
                assert_eq!(index.find(hash, |e| e == entry), None);
            } else if filed.len() < 300 {
                index.insert(hash, round);
                filed.push((hash, round));
            }
            assert_eq!(index.len, filed.len());
        }
        for (hash, entry) in filed {
            assert_eq!(index.find(hash, |e| e == entry), Some(entry));
        }
    }

    #[test]
    fn an_absent_key_is_not_found() {
        let mut index = HashIndex::with_capacity(4);
        index.insert(GOLDEN, 7);
        assert_eq!(index.find(GOLDEN.rotate_left(7), |_| true), None);
        assert_eq!(index.find(GOLDEN, |_| false), None);
    }
}
