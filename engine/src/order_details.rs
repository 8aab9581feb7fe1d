//! Owns what only some orders have: a reserve, an end in time, a trigger, a budget.
//! Knows nothing of what these mean. Invariant: an order without any of them has no details, and
//! details are freed with their order.

use crate::types::{Amount, Price, Quantity};

/// Where a live order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OrderState {
    /// In a level of the book, or about to be.
    Resting = 2,
    /// Waits for its trigger.
    Dormant = 3,
    /// Elected; waits in its book's queue to be started.
    Triggered = 4,
}

/// The rarer part of an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderDetails {
    /// Most that an iceberg shows, lots; 0: it shows all.
    pub(crate) display: Quantity,
    /// What a resting iceberg does not show now.
    pub(crate) hidden: Quantity,
    /// Engine time at which a GTD order ends, ns; 0: none.
    pub(crate) expire_at_ns: u64,
    /// Price that elects it; of a dormant trailing stop one that it had. 0: none.
    pub(crate) trigger: Price,
    /// Worst price that it may trade at once triggered: its price, or the cap from its trigger.
    pub(crate) limit: Price,
    pub(crate) trail_ticks: i64,
    pub(crate) trail_bps: u32,
    /// Best price for the market since a trailing stop was accepted; of a dormant one since then or
    /// some time before: [`crate::stop_orders`] knows the present one.
    pub(crate) trail_reference: Price,
    /// Place of a dormant trailing stop among those of its side.
    pub(crate) trail_place: u32,
    /// Sequence that its place among dormant orders of the same trigger goes by.
    pub(crate) entry_sequence: u64,
    pub(crate) quote_budget: Amount,
    pub(crate) state: OrderState,
}

impl Default for OrderDetails {
    fn default() -> Self {
        Self {
            display: Quantity(0),
            hidden: Quantity(0),
            expire_at_ns: 0,
            trigger: Price(0),
            limit: Price(0),
            trail_ticks: 0,
            trail_bps: 0,
            trail_reference: Price(0),
            trail_place: 0,
            entry_sequence: 0,
            quote_budget: 0,
            state: OrderState::Resting,
        }
    }
}

/// Names the details of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetailsHandle(u32);

impl DetailsHandle {
    /// Of an order that has none.
    pub const NONE: Self = Self(u32::MAX);
}

/// Details of all live orders that have any; records are reused last in, first out.
#[derive(Clone, Debug, Default)]
pub(crate) struct DetailsTable {
    records: Vec<OrderDetails>,
    free: Vec<u32>,
}

impl DetailsTable {
    pub(crate) fn add(&mut self, details: OrderDetails) -> DetailsHandle {
        if let Some(place) = self.free.pop() {
            self.records[place as usize] = details;
            return DetailsHandle(place);
        }
        self.records.push(details);
        // Room to free every record, so that freeing never allocates.
        self.free.reserve(self.records.len());
        DetailsHandle(u32::try_from(self.records.len() - 1).unwrap_or(u32::MAX))
    }

    pub(crate) fn remove(&mut self, handle: DetailsHandle) {
        if handle != DetailsHandle::NONE {
            self.free.push(handle.0);
        }
    }

    #[inline]
    pub(crate) fn get(&self, handle: DetailsHandle) -> Option<&OrderDetails> {
        self.records.get(handle.0 as usize)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, handle: DetailsHandle) -> Option<&mut OrderDetails> {
        self.records.get_mut(handle.0 as usize)
    }

    /// Records in use.
    pub(crate) fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }
}
