//! Owns all live orders, and hands out the handles to them.
//! Knows nothing of levels, balances or refusals. Invariant: a handle in use names one live order,
//! and freed records are reused last in, first out, so a steady state allocates nothing.

use crate::limits::LIVE_ORDERS_MAX;
use crate::order::{Order, OrderHandle, QueuedOrder};
use crate::order_details::{DetailsTable, OrderDetails, OrderState};
use crate::types::{OrderId, Quantity};

/// An empty list with room for `capacity` items, or half of that, and so on.
fn reserved<T>(mut capacity: usize) -> Vec<T> {
    let mut list = Vec::new();
    while list.try_reserve_exact(capacity).is_err() {
        capacity /= 2;
    }
    list
}

/// All live orders of the engine.
#[derive(Clone, Debug)]
pub struct OrderSlab {
    queued: Vec<QueuedOrder>,
    orders: Vec<Order>,
    details: DetailsTable,
    /// Head of the list of free records, linked through `next`.
    free: OrderHandle,
    live: u32,
}

impl Default for OrderSlab {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl OrderSlab {
    /// Reserves room for `capacity` orders, or for as many as the system grants; more make it grow,
    /// up to [`LIVE_ORDERS_MAX`], which moves all of them at once. Room that was never used takes
    /// addresses, not memory.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            queued: reserved(capacity),
            orders: reserved(capacity),
            details: DetailsTable::default(),
            free: OrderHandle::NONE,
            live: 0,
        }
    }

    /// Live orders.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.live
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    #[must_use]
    pub fn is_full(&self) -> bool {
        self.live >= LIVE_ORDERS_MAX
    }

    /// Stores an order. Its second record is whatever the last user left there: the caller writes
    /// it, or needs none.
    ///
    /// # Panics
    /// If the slab is full: callers ask [`Self::is_full`] first.
    #[inline]
    pub fn insert(&mut self, queued: QueuedOrder) -> OrderHandle {
        assert!(!self.is_full());
        self.live += 1;
        if self.free.is_none() {
            return self.append(queued);
        }
        let handle = self.free;
        self.free = self.queued[handle.index()].next;
        self.queued[handle.index()] = queued;
        handle
    }

    #[cold]
    fn append(&mut self, queued: QueuedOrder) -> OrderHandle {
        let Ok(index) = u32::try_from(self.queued.len()) else {
            unreachable!("LIVE_ORDERS_MAX fits 32 bits")
        };
        self.queued.push(queued);
        self.orders.push(Order::default());
        OrderHandle(index)
    }

    /// Frees the record of a closed order; its details are freed before.
    #[inline]
    pub fn remove(&mut self, handle: OrderHandle) {
        let queued = &mut self.queued[handle.index()];
        assert!(queued.id != OrderId(0), "freed twice");
        queued.id = OrderId(0);
        queued.next = self.free;
        self.free = handle;
        self.live -= 1;
    }

    #[inline]
    #[must_use]
    pub fn queued(&self, handle: OrderHandle) -> &QueuedOrder {
        &self.queued[handle.index()]
    }

    #[inline]
    pub fn queued_mut(&mut self, handle: OrderHandle) -> &mut QueuedOrder {
        &mut self.queued[handle.index()]
    }

    #[inline]
    #[must_use]
    pub fn get(&self, handle: OrderHandle) -> &Order {
        &self.orders[handle.index()]
    }

    #[inline]
    pub fn get_mut(&mut self, handle: OrderHandle) -> &mut Order {
        &mut self.orders[handle.index()]
    }

    /// Quantity still to be traded, the hidden part of an iceberg included.
    #[inline]
    #[must_use]
    pub fn open(&self, handle: OrderHandle) -> Quantity {
        let hidden = self.details(handle).map_or(Quantity(0), |details| details.hidden);
        Quantity(self.queued(handle).visible.0 + hidden.0)
    }

    /// Sets what is open of an order that is in no level, all of it to be seen.
    pub(crate) fn set_open(&mut self, handle: OrderHandle, open: Quantity) {
        self.queued_mut(handle).visible = open;
        if let Some(details) = self.details_mut(handle) {
            details.hidden = Quantity(0);
        }
    }

    /// What only some orders have.
    #[inline]
    #[must_use]
    pub(crate) fn details(&self, handle: OrderHandle) -> Option<&OrderDetails> {
        self.details.get(self.get(handle).details)
    }

    pub(crate) fn details_mut(&mut self, handle: OrderHandle) -> Option<&mut OrderDetails> {
        self.details.get_mut(self.get(handle).details)
    }

    pub(crate) fn details_table(&mut self) -> &mut DetailsTable {
        &mut self.details
    }

    /// Orders that have details.
    pub(crate) fn details_in_use(&self) -> usize {
        self.details.len()
    }

    /// Where a live order stands.
    pub(crate) fn state(&self, handle: OrderHandle) -> OrderState {
        self.details(handle).map_or(OrderState::Resting, |details| details.state)
    }

    /// Orders of a queue from its head on.
    pub fn queue_from(
        &self,
        first: OrderHandle,
    ) -> impl Iterator<Item = (OrderHandle, &QueuedOrder)> {
        std::iter::successors(first.some(), |handle| self.queued(*handle).next.some())
            .map(|handle| (handle, self.queued(handle)))
    }

    /// Live orders in no particular order: callers sort before anything leaves the engine.
    pub(crate) fn handles(&self) -> impl Iterator<Item = OrderHandle> {
        let count = u32::try_from(self.queued.len()).unwrap_or(u32::MAX);
        (0..count).map(OrderHandle).filter(|h| self.queued(*h).id != OrderId(0))
    }
}
