//! Owns the list of resources; one file each. Knows nothing of listeners.

pub(crate) mod admin;
pub(crate) mod balances;
pub(crate) mod credits;
pub(crate) mod health;
pub(crate) mod market_data;
pub(crate) mod order_changes;
pub(crate) mod order_list;
pub(crate) mod order_request;
pub(crate) mod order_trades;
pub(crate) mod orders;
pub(crate) mod settlements;
pub(crate) mod snapshot;
pub(crate) mod switches;
pub(crate) mod trading_limits;
