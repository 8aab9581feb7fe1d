//! Owns the way from an order id to the live order's handle.
//! Knows nothing of books. Invariant: exactly the live orders are in it.
//!
//! Order ids are command sequences: nearly ascending, and most live orders are recent. So a window
//! over the last ids is indexed directly, by the low bits of the id. An order that still lives when
//! its place is taken by another moves to a hash index, which therefore holds hardly any. Both ways
//! end at the order itself, whose id says whether it is the one: the index stores 4 bytes an id.

use crate::hash_index::HashIndex;
use crate::limits::ORDER_INDEX_WINDOW;
use crate::order::OrderHandle;
use crate::order_slab::OrderSlab;
use crate::prefetch::line_of;
use crate::types::OrderId;

/// Map from the ids of live orders to their handles.
#[derive(Clone, Debug)]
pub struct OrderIndex {
    /// Handles by `id % window.len()`, a power of two.
    window: Vec<OrderHandle>,
    older: HashIndex,
}

impl Default for OrderIndex {
    fn default() -> Self {
        Self::with_window(ORDER_INDEX_WINDOW)
    }
}

/// Fibonacci hashing: ids are nearly consecutive, and their products spread evenly.
#[inline]
fn hash(id: OrderId) -> u64 {
    id.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl OrderIndex {
    /// An index over this many ids, a power of two, beside those that live longer.
    pub(crate) fn with_window(ids: usize) -> Self {
        assert!(ids.is_power_of_two());
        Self { window: vec![OrderHandle::NONE; ids], older: HashIndex::with_capacity(0) }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "only the low bits matter")]
    fn place(&self, id: OrderId) -> usize {
        id.0 as usize & (self.window.len() - 1)
    }

    /// The handle of a live order.
    #[inline]
    #[must_use]
    pub fn get(&self, orders: &OrderSlab, id: OrderId) -> Option<OrderHandle> {
        let handle = self.window[self.place(id)];
        if !handle.is_none() && orders.queued(handle).id == id {
            return Some(handle);
        }
        let entry =
            self.older.find(hash(id), |entry| orders.queued(OrderHandle(entry)).id == id)?;
        Some(OrderHandle(entry))
    }

    /// Asks for the line that a search for `id` begins in.
    #[inline]
    pub(crate) fn prefetch(&self, id: OrderId) {
        line_of(&self.window, self.place(id));
    }

    /// Files a live order under its id, which is the highest so far unless the order had to wait
    /// for its funds.
    #[inline]
    pub fn insert(&mut self, orders: &OrderSlab, handle: OrderHandle) {
        let place = self.place(orders.queued(handle).id);
        let older = std::mem::replace(&mut self.window[place], handle);
        if !older.is_none() {
            self.older.insert(hash(orders.queued(older).id), older.0);
        }
    }

    /// Takes out an order that is about to be removed from the slab.
    ///
    /// # Panics
    /// If the order is not filed.
    #[inline]
    pub fn remove(&mut self, orders: &OrderSlab, handle: OrderHandle) {
        let id = orders.queued(handle).id;
        let place = self.place(id);
        if self.window[place] == handle {
            self.window[place] = OrderHandle::NONE;
        } else {
            self.older.remove(hash(id), handle.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::QueuedOrder;

    fn add(index: &mut OrderIndex, orders: &mut OrderSlab, id: u64) -> OrderHandle {
        let handle = orders.insert(QueuedOrder { id: OrderId(id), ..QueuedOrder::default() });
        index.insert(orders, handle);
        handle
    }

    #[test]
    fn finds_live_ids_and_no_others_however_old() {
        let mut index = OrderIndex::with_window(64);
        let mut orders = OrderSlab::default();
        let mut live = Vec::new();
        for id in (1..=10_000u64).filter(|id| !id.is_multiple_of(3)) {
            let handle = add(&mut index, &mut orders, id);
            if id.is_multiple_of(10) {
                live.push((id, handle));
            } else {
                index.remove(&orders, handle);
                orders.remove(handle);
            }
        }
        for (id, handle) in &live {
            assert_eq!(index.get(&orders, OrderId(*id)), Some(*handle));
            assert_eq!(index.get(&orders, OrderId(id + 1)), None);
            assert_eq!(index.get(&orders, OrderId(id + 64)).is_some(), {
                live.iter().any(|(other, _)| *other == id + 64)
            });
        }
        for (id, handle) in live {
            index.remove(&orders, handle);
            orders.remove(handle);
            assert_eq!(index.get(&orders, OrderId(id)), None);
        }
    }

    #[test]
    fn an_order_outlives_its_window() {
        let mut index = OrderIndex::with_window(64);
        let mut orders = OrderSlab::default();
        let old = add(&mut index, &mut orders, 5);
        let young = add(&mut index, &mut orders, 5 + 64);
        assert_eq!(index.get(&orders, OrderId(5)), Some(old));
        assert_eq!(index.get(&orders, OrderId(69)), Some(young));
        index.remove(&orders, young);
        orders.remove(young);
        assert_eq!(index.get(&orders, OrderId(5)), Some(old));
        assert_eq!(index.get(&orders, OrderId(69)), None);
    }

    #[test]
    fn an_order_may_come_after_a_younger_one() {
        let mut index = OrderIndex::with_window(64);
        let mut orders = OrderSlab::default();
        let young = add(&mut index, &mut orders, 5 + 64);
        let old = add(&mut index, &mut orders, 5);
        assert_eq!(index.get(&orders, OrderId(69)), Some(young));
        assert_eq!(index.get(&orders, OrderId(5)), Some(old));
        index.remove(&orders, old);
        orders.remove(old);
        assert_eq!(index.get(&orders, OrderId(69)), Some(young));
        assert_eq!(index.get(&orders, OrderId(5)), None);
    }
}
