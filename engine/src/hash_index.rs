//! Owns a lookup from 64-bit hashes to 32-bit entries that live elsewhere.
//! Knows nothing of keys: the caller says whether an entry is the one it means.
//! Invariant: its order is never observable, so it may not reach an output.
//!
//! Buckets of one cache line, at most four sevenths full, filled from the home bucket on. A bucket
//! counts the entries that it had no room for, so a search knows where to end and a removal leaves
//! nothing behind (the overflow counts of F14, Bronson and Shi, "Open-sourcing F14", 2019). A
//! bucket is compared as a whole: a probe slot by slot ends somewhere else each time, which a
//! processor mispredicts.

use crate::prefetch::line_of;

/// Entries of one bucket.
const BUCKET: usize = 7;
/// Entries of one bucket on average before the index grows.
const FILL: usize = 4;
const BUCKETS_MIN: usize = 2;

#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Bucket {
    /// Upper halves of the hashes: give the home bucket, and spare most comparisons of keys.
    tags: [u32; BUCKET],
    entries: [u32; BUCKET],
    /// Entries that lie in a later bucket for want of room in this one.
    passed: u32,
    /// A bit for each place that is taken.
    used: u8,
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    const FULL: u8 = (1 << BUCKET) - 1;

    /// Places that are taken and hold `wanted`, as bits.
    #[inline]
    fn places_of(&self, numbers: &[u32; BUCKET], wanted: u32) -> u8 {
        let bits = numbers.iter().enumerate();
        let equal = bits.fold(0, |bits, (at, number)| bits | u8::from(*number == wanted) << at);
        equal & self.used
    }
}

/// Hash index over 32-bit entries.
#[derive(Clone, Debug)]
pub(crate) struct HashIndex {
    buckets: Vec<Bucket>,
    /// 32 minus the binary logarithm of the number of buckets.
    shift: u32,
    len: usize,
}

impl HashIndex {
    pub(crate) fn with_capacity(entries: usize) -> Self {
        let buckets = entries.div_ceil(FILL).next_power_of_two().max(BUCKETS_MIN);
        assert!(buckets.ilog2() < u32::BITS);
        Self {
            buckets: vec![Bucket::default(); buckets],
            shift: u32::BITS - buckets.ilog2(),
            len: 0,
        }
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        (tag >> self.shift) as usize
    }

    #[inline]
    fn next(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.buckets.len() - 1)
    }

    /// The entry filed under `hash` that `is_match` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let mut at = self.home(tag);
        // Removals may leave every bucket passed by somebody: then a search ends where it began.
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            let mut places = bucket.places_of(&bucket.tags, tag);
            while places != 0 {
                let entry = bucket.entries[places.trailing_zeros() as usize];
                if is_match(entry) {
                    return Some(entry);
                }
                places &= places - 1;
            }
            if bucket.passed == 0 {
                break;
            }
            at = self.next(at);
        }
        None
    }

    /// Asks for the line that a search for `hash` begins in.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        line_of(&self.buckets, self.home(tag(hash)));
    }

    /// Files `entry` under `hash`; the caller knows that it is not filed yet.
    pub(crate) fn insert(&mut self, hash: u64, entry: u32) {
        if self.len >= self.buckets.len() * FILL {
            self.grow();
        }
        self.place(tag(hash), entry);
        self.len += 1;
    }

    #[inline]
    fn place(&mut self, tag: u32, entry: u32) {
        let mut at = self.home(tag);
        while self.buckets[at].used == Bucket::FULL {
            self.buckets[at].passed += 1;
            at = self.next(at);
        }
        let bucket = &mut self.buckets[at];
        let place = bucket.used.trailing_ones() as usize;
        (bucket.tags[place], bucket.entries[place]) = (tag, entry);
        bucket.used |= 1 << place;
    }

    fn grow(&mut self) {
        let mut larger = Self::with_capacity(self.buckets.len() * FILL * 2);
        for bucket in &self.buckets {
            for place in (0..BUCKET).filter(|place| bucket.used >> place & 1 == 1) {
                larger.place(bucket.tags[place], bucket.entries[place]);
            }
        }
        larger.len = self.len;
        *self = larger;
    }

    /// Takes `entry`, filed under `hash`, out again.
    ///
    /// # Panics
    /// If it is not there: the caller's table and this one disagree, which is a bug.
    pub(crate) fn remove(&mut self, hash: u64, entry: u32) {
        let mut at = self.home(tag(hash));
        loop {
            let bucket = &mut self.buckets[at];
            let places = bucket.places_of(&bucket.entries, entry);
            if places != 0 {
                bucket.used &= !places;
                break;
            }
            assert!(bucket.passed != 0, "entry is not in the index");
            bucket.passed -= 1;
            at = self.next(at);
        }
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
        for (hash, entry) in &filed {
            assert_eq!(index.find(*hash, |e| e == *entry), Some(*entry));
        }
        assert!(index.buckets.iter().any(|bucket| bucket.passed > 0), "no bucket ran over");
        filed.into_iter().for_each(|(hash, entry)| index.remove(hash, entry));
        let left = |bucket: &Bucket| bucket.passed > 0 || bucket.used > 0;
        assert!(!index.buckets.iter().any(left), "a removal left something behind");
    }

    /// Each bucket is passed by an entry that has gone on to the other one.
    #[test]
    fn a_search_ends_although_every_bucket_was_passed() {
        let mut index = HashIndex::with_capacity(0);
        assert_eq!(index.buckets.len(), 2);
        let (first, second) = (0, u64::MAX);
        (0..8).for_each(|entry| index.insert(first, entry));
        (0..7).for_each(|entry| index.remove(first, entry));
        (10..17).for_each(|entry| index.insert(second, entry));
        let passed: Vec<u32> = index.buckets.iter().map(|bucket| bucket.passed).collect();
        assert_eq!(passed, [1, 1]);
        assert_eq!(index.find(first, |_| false), None);
        assert_eq!(index.find(first, |entry| entry == 7), Some(7));
        assert_eq!(index.find(second, |entry| entry == 16), Some(16));
    }

    #[test]
    fn an_absent_key_is_not_found() {
        let mut index = HashIndex::with_capacity(4);
        index.insert(GOLDEN, 7);
        assert_eq!(index.find(GOLDEN.rotate_left(7), |_| true), None);
        assert_eq!(index.find(GOLDEN, |_| false), None);
    }
}
