//! Owns a queue of orders, linked through their records: first come, first served.
//! Knows nothing of what they wait for. Invariant: an order is in one queue at most, and its links
//! belong to that queue.

use crate::order::OrderHandle;
use crate::order_slab::OrderSlab;

/// Head, tail and length of a queue.
#[derive(Clone, Copy, Debug)]
pub struct OrderQueue {
    pub first: OrderHandle,
    pub last: OrderHandle,
    /// Orders in it.
    pub len: u32,
}

impl Default for OrderQueue {
    fn default() -> Self {
        Self { first: OrderHandle::NONE, last: OrderHandle::NONE, len: 0 }
    }
}

impl OrderQueue {
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends an order that is in no queue.
    #[inline]
    pub(crate) fn push(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let last = std::mem::replace(&mut self.last, handle);
        let queued = orders.queued_mut(handle);
        (queued.previous, queued.next) = (last, OrderHandle::NONE);
        self.len += 1;
        if last.is_none() {
            self.first = handle;
        } else {
            orders.queued_mut(last).next = handle;
        }
    }

    /// Takes out an order that is in this queue.
    #[inline]
    pub(crate) fn unlink(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let queued = orders.queued(handle);
        let (previous, next) = (queued.previous, queued.next);
        self.len -= 1;
        if previous.is_none() {
            self.first = next;
        } else {
            orders.queued_mut(previous).next = next;
        }
        if next.is_none() {
            self.last = previous;
        } else {
            orders.queued_mut(next).previous = previous;
        }
    }
}
