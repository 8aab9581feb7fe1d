//! The exchange as a server: HTTP in front of the pipeline around the trading engine.
//!
//! Contract: [`app::App`] recovers the journal, lists the configured products, and serves two
//! listeners: clients place and query orders, operators credit accounts and halt trading. A request
//! is authenticated, read into a command, handed to the pipeline, and answered when that command is
//! matched and as durable as the sync policy promises. Whatever has the wrong shape is refused here
//! and never journaled; every other refusal is the engine's. Queries are answered from [`views`],
//! which are built from released events and say which sequence they show.
//!
//! Knows nothing of: matching, files, rings. `docs/api.md` lists endpoints and error codes,
//! `docs/configuration.md` every key.

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod convert;
pub mod error;
pub mod exchange;
mod exit_status;
mod expiry;
mod fair_share;
pub mod fields;
pub mod genesis;
mod head_timer;
mod hs256;
pub mod ids;
pub mod limits;
pub mod metrics;
pub mod money;
mod offline;
mod rate_limit;
mod replay_progress;
pub mod replies;
pub mod request;
pub mod router;
mod routes;
pub mod server;
pub mod shutdown;
pub mod state;
pub mod token_key;
pub mod views;
pub mod wallet_server;
mod write_timeout;

pub use app::{App, AppError};
pub use config::{Config, ConfigError, Overrides};
