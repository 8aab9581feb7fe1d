//! Owns the order of prices: a set of prices, each with a 32-bit value, that finds neighbours fast.
//! Knows nothing of orders or sides. Invariant: a node is in the tree only while its bitmap is not
//! empty, so memory follows the number of prices, not the width of the range they span.
//!
//! A 64-way radix tree over the ticks with a bitmap in each node (the idea of van Emde Boas's
//! "Preserving order in a forest", 1975, at word size): one leaf covers 64 consecutive ticks. The
//! root grows as prices rise, so a price of 50,000 ticks is three nodes deep, and 2^47 is eight. A
//! small cache of leaves, by the low bits of the price, skips the descent near the touch; a price
//! that jumps away costs a descent, never a scan, and leaves no wide array behind to walk over.

use crate::types::Price;

const FANOUT: usize = 64;
const DIGIT_BITS: u32 = FANOUT.ilog2();
const CACHED_LEAVES: usize = 64;
/// Name of a node that is not in the tree.
const FREE: u64 = u64::MAX;
const NO_NODE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Node {
    /// Which children exist.
    bits: u64,
    /// Level and prefix of its keys, see [`name`]; [`FREE`] while unused.
    name: u64,
    parent: u32,
    /// Child node, or the value in a leaf; meaningful only where the bit is set.
    child: [u32; FANOUT],
}

/// Where a price stands in the ladder; valid until that price is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    leaf: u32,
}

/// Ordered map from prices to 32-bit values.
#[derive(Clone, Debug)]
pub(crate) struct PriceLadder {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
    /// Levels of nodes; a leaf alone is 1.
    height: u32,
    recent_leaves: [u32; CACHED_LEAVES],
}

#[inline]
fn key(price: Price) -> u64 {
    price.0.cast_unsigned()
}

#[inline]
fn cache_place(price: Price) -> usize {
    const _: () = assert!(CACHED_LEAVES == FANOUT);
    digit(key(price), 1)
}

/// The digit that selects a child in a node `level` above the leaves.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "only the lower six bits matter")]
fn digit(key: u64, level: u32) -> usize {
    (key >> (DIGIT_BITS * level)) as usize % FANOUT
}

/// Names a node: its level above the leaves, and its keys without the digits up to that level.
///
/// Keys stay below 2^48, so the level has the upper byte to itself, and no inner node is ever taken
/// for a leaf.
#[inline]
fn name(key: u64, level: u32) -> u64 {
    u64::from(level) << 56 | key >> (DIGIT_BITS * (level + 1))
}

#[inline]
fn lowest(bits: u64) -> usize {
    bits.trailing_zeros() as usize
}

#[inline]
fn highest(bits: u64) -> usize {
    (u64::BITS - 1 - bits.leading_zeros()) as usize
}

impl Default for PriceLadder {
    fn default() -> Self {
        let mut ladder = Self {
            nodes: Vec::new(),
            free: Vec::new(),
            root: NO_NODE,
            height: 1,
            recent_leaves: [NO_NODE; CACHED_LEAVES],
        };
        ladder.root = ladder.add_node(name(0, 0), NO_NODE);
        ladder
    }
}

impl PriceLadder {
    fn add_node(&mut self, name: u64, parent: u32) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node { bits: 0, name: FREE, parent: NO_NODE, child: [0; FANOUT] });
            // Room to free every node, so that freeing never allocates.
            self.free.reserve(self.nodes.len());
            u32::try_from(self.nodes.len() - 1).unwrap_or(NO_NODE)
        });
        let node = &mut self.nodes[index as usize];
        (node.bits, node.name, node.parent) = (0, name, parent);
        index
    }

    /// The leaf that covers `price`, if it is in the tree.
    #[inline]
    fn leaf(&self, price: Price) -> Option<u32> {
        let cached = self.recent_leaves[cache_place(price)];
        let name = name(key(price), 0);
        if self.nodes.get(cached as usize).is_some_and(|node| node.name == name) {
            return Some(cached);
        }
        self.descend(price)
    }

    fn descend(&self, price: Price) -> Option<u32> {
        if key(price) >> (DIGIT_BITS * self.height) != 0 {
            return None;
        }
        let mut index = self.root;
        for level in (1..self.height).rev() {
            let node = &self.nodes[index as usize];
            let digit = digit(key(price), level);
            if node.bits >> digit & 1 == 0 {
                return None;
            }
            index = node.child[digit];
        }
        Some(index)
    }

    /// The value at `price`.
    #[inline]
    pub(crate) fn get(&self, price: Price) -> Option<u32> {
        let node = &self.nodes[self.leaf(price)? as usize];
        let digit = digit(key(price), 0);
        (node.bits >> digit & 1 == 1).then(|| node.child[digit])
    }

    /// Adds `price`, which is not there yet.
    pub(crate) fn insert(&mut self, price: Price, value: u32) -> Rung {
        let leaf = self.leaf(price).unwrap_or_else(|| self.add_leaf(price));
        self.recent_leaves[cache_place(price)] = leaf;
        let node = &mut self.nodes[leaf as usize];
        let digit = digit(key(price), 0);
        assert!(node.bits >> digit & 1 == 0, "price is in the ladder already");
        node.bits |= 1 << digit;
        node.child[digit] = value;
        Rung { leaf }
    }

    fn add_leaf(&mut self, price: Price) -> u32 {
        while key(price) >> (DIGIT_BITS * self.height) != 0 {
            self.grow();
        }
        let mut index = self.root;
        for level in (1..self.height).rev() {
            let digit = digit(key(price), level);
            if self.nodes[index as usize].bits >> digit & 1 == 0 {
                let child = self.add_node(name(key(price), level - 1), index);
                let node = &mut self.nodes[index as usize];
                node.bits |= 1 << digit;
                node.child[digit] = child;
            }
            index = self.nodes[index as usize].child[digit];
        }
        index
    }

    /// Puts a new root above the old one, which becomes its first child unless it is empty.
    fn grow(&mut self) {
        let old = self.root;
        self.root = self.add_node(name(0, self.height), NO_NODE);
        if self.nodes[old as usize].bits == 0 {
            self.free_node(old);
        } else {
            self.nodes[old as usize].parent = self.root;
            let root = &mut self.nodes[self.root as usize];
            root.bits = 1;
            root.child[0] = old;
        }
        self.height += 1;
    }

    fn free_node(&mut self, index: u32) {
        self.nodes[index as usize].name = FREE;
        self.free.push(index);
    }

    /// Takes out a price and every node that becomes empty by it.
    pub(crate) fn remove(&mut self, price: Price, rung: Rung) {
        let mut index = rung.leaf;
        let mut level = 0;
        loop {
            let node = &mut self.nodes[index as usize];
            let bit = 1u64 << digit(key(price), level);
            assert!(node.bits & bit != 0, "price is not in the ladder");
            node.bits &= !bit;
            let parent = node.parent;
            if node.bits != 0 || parent == NO_NODE {
                return;
            }
            self.free_node(index);
            index = parent;
            level += 1;
        }
    }

    /// The value at the next price above, if there is one.
    #[inline]
    pub(crate) fn above(&self, price: Price, rung: Rung) -> Option<u32> {
        // Shifted in two steps: a digit of 63 leaves nothing above it.
        self.neighbour(price, rung, |bits, digit| bits & (u64::MAX << digit << 1), lowest)
    }

    /// The value at the next price below, if there is one.
    #[inline]
    pub(crate) fn below(&self, price: Price, rung: Rung) -> Option<u32> {
        self.neighbour(price, rung, |bits, digit| bits & !(u64::MAX << digit), highest)
    }

    /// Climbs until a node has a child beyond the one climbed from, then descends to its nearest.
    #[inline]
    fn neighbour(
        &self,
        price: Price,
        rung: Rung,
        beyond: impl Fn(u64, usize) -> u64,
        nearest: impl Fn(u64) -> usize,
    ) -> Option<u32> {
        let mut node = &self.nodes[rung.leaf as usize];
        let mut level = 0;
        let mut bits = beyond(node.bits, digit(key(price), 0));
        while bits == 0 {
            node = self.nodes.get(node.parent as usize)?;
            level += 1;
            bits = beyond(node.bits, digit(key(price), level));
        }
        let mut child = node.child[nearest(bits)];
        for _ in 0..level {
            let node = &self.nodes[child as usize];
            child = node.child[nearest(node.bits)];
        }
        Some(child)
    }
}

#[cfg(test)]
mod tests;
