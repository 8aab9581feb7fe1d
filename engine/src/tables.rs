//! Owns what an engine says of how full its tables are. Changes nothing.
//! Invariant: each bound is the one that the engine refuses or forgets by.

use crate::engine::Engine;
use crate::limits::{
    ACCOUNTS_MAX, ASSETS_MAX, INSTRUMENTS_MAX, LIVE_ORDERS_MAX, ORDER_INTENTS_MAX,
};

/// Names, in the order of [`Engine::fill`].
pub(crate) const TABLES: [&str; 7] = [
    "accounts",
    "assets",
    "instruments",
    "live_orders",
    "order_intents",
    "client_order_ids",
    "transfer_ids",
];

impl Engine {
    /// Entries and bound of each table.
    pub(crate) fn fill(&self) -> [(u64, u64); TABLES.len()] {
        [
            (self.accounts.len() as u64, ACCOUNTS_MAX.into()),
            (self.assets.len() as u64, ASSETS_MAX as u64),
            (self.instruments.len() as u64, INSTRUMENTS_MAX as u64),
            (self.orders.len().into(), LIVE_ORDERS_MAX.into()),
            (self.intents.len() as u64, ORDER_INTENTS_MAX as u64),
            (self.client_ids.len().into(), self.config.client_id_capacity.into()),
            (self.transfers.len().into(), self.config.transfer_capacity.into()),
        ]
    }
}
