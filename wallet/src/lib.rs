//! The wallet: a double-entry ledger as a deterministic state machine, its HTTP service, and the
//! client that the exchange speaks to it through.
//!
//! Contract: [`ledger`] maps (state, command) to a new state and a list of events, like the trading
//! engine does, and runs on the same pipeline with a journal of its own.
//!
//! Knows nothing of: order books, matching, the exchange's HTTP interface.

pub mod audit;
pub mod bank;
pub mod client;
pub mod durations;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod rates;
pub mod service;
pub mod traffic;
pub mod views;
pub mod wire;
