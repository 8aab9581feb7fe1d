//! Owns the levels of one side of a prototype book: an array by price, a bitmap of two steps over
//! it, and the best of them. Knows no orders but their places. Invariant: `best` is the first
//! marked level, and a word of marks that is not zero has its own mark.

use super::NONE;

/// Best of no level: further than any limit.
const NO_LEVEL: usize = usize::MAX;
const WORD_BITS: usize = 64;

#[derive(Clone, Copy)]
pub(super) struct Level {
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) quantity: u64,
}

const _: () = assert!(size_of::<Level>() == 16);

/// One side of one instrument. A level's place is its distance from the best price there can be.
#[derive(Clone)]
pub(super) struct Ladder {
    pub(super) levels: Vec<Level>,
    /// A bit for each level in use.
    marks: Vec<u64>,
    /// A bit for each word of marks that is not zero.
    words: Vec<u64>,
    pub(super) best: usize,
    best_price: u32,
}

impl Ladder {
    pub(super) fn new(best_price: u32, levels: usize) -> Self {
        let words = levels.div_ceil(WORD_BITS);
        Self {
            levels: vec![Level { head: NONE, tail: NONE, quantity: 0 }; levels],
            marks: vec![0; words],
            words: vec![0; words.div_ceil(WORD_BITS)],
            best: NO_LEVEL,
            best_price,
        }
    }

    pub(super) fn place(&self, price: u32) -> usize {
        price.abs_diff(self.best_price) as usize
    }

    pub(super) fn mark(&mut self, place: usize) {
        let word = place / WORD_BITS;
        self.marks[word] |= 1 << (place % WORD_BITS);
        self.words[word / WORD_BITS] |= 1 << (word % WORD_BITS);
        self.best = self.best.min(place);
    }

    pub(super) fn unmark(&mut self, place: usize) {
        let word = place / WORD_BITS;
        self.marks[word] &= !(1 << (place % WORD_BITS));
        if self.marks[word] == 0 {
            self.words[word / WORD_BITS] &= !(1 << (word % WORD_BITS));
        }
        if place == self.best {
            self.best = self.first_from(word);
        }
    }

    /// The first marked level, where no word before this one has a mark.
    fn first_from(&self, word: usize) -> usize {
        let first = |bits: u64| bits.trailing_zeros() as usize;
        if self.marks[word] != 0 {
            return word * WORD_BITS + first(self.marks[word]);
        }
        let mut rest = self.words.iter().enumerate().skip(word / WORD_BITS);
        let Some((at, bits)) = rest.find(|(_, bits)| **bits != 0) else { return NO_LEVEL };
        let word = at * WORD_BITS + first(*bits);
        word * WORD_BITS + first(self.marks[word])
    }
}
