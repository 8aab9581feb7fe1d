//! Owns the faults that tests plant in a sound engine, to see that they are found. Not part of any
//! build but those of tests. Invariant: each breaks one thing and leaves all others as they were.

use crate::engine::Engine;
use crate::types::OrderId;

impl Engine {
    /// Has a live order hold one unit more than it needs; false if there is no such order.
    pub fn plant_hold(&mut self, order: OrderId) -> bool {
        let Some(handle) = self.order_index.get(&self.orders, order) else { return false };
        let order = self.orders.get_mut(handle);
        order.set_hold(order.hold() + 1);
        true
    }
}
