//! The trading engine: order books, trading balances and risk as one deterministic function.
//!
//! Contract: [`Engine`] is a [`StateMachine`]. `apply` maps (state, frame) to a new state and a
//! list of events, and depends on nothing else: it reads no clock, does no IO, spawns no thread,
//! uses no float and never lets the order of an unordered map reach an output. Time, ids,
//! configuration, deposits and administrative acts all arrive as commands, so replaying the same
//! frames gives the same events and the same [`StateMachine::state_hash`], byte for byte, on any
//! build.
//!
//! Knows nothing of: bytes on disk, rings, threads, HTTP, the wallet.
//!
//! Where to look: `command` and `event` are the vocabulary, `reject` the refusals in their
//! precedence, `engine` the one match over commands, `matching` the price-time walk, `order_book`
//! and below it the data structures, `balances` and `fees` the money, `funding` the orders whose
//! funds are reserved outside before they trade.
#![deny(unsafe_code)]

pub mod accounts;
mod amend;
pub mod balances;
pub mod book_side;
mod cancel;
pub mod codec;
pub mod command;
pub mod decimal;
mod dedup;
mod dedup_table;
pub mod engine;
pub mod event;
pub mod event_buffer;
mod expiry;
#[cfg(feature = "faults")]
mod faults;
pub mod fees;
mod fill;
mod fingerprint;
mod fok;
mod funding;
mod hash_index;
pub mod instrument;
mod intents;
mod invariants;
mod kill_switch;
pub mod limits;
mod live_orders;
mod matching;
mod new_order;
pub mod order;
pub mod order_book;
pub mod order_details;
pub mod order_index;
pub mod order_queue;
pub mod order_slab;
mod prefetch;
mod price_ladder;
mod queries;
mod reference_data;
pub mod reject;
mod resting;
mod restore;
mod risk;
mod self_trade;
mod shape;
mod snapshot;
pub mod snapshot_reader;
pub mod state_machine;
mod stop_orders;
mod tables;
mod trailing_range;
mod trailing_stops;
mod transfers;
mod triggers;
pub mod types;
pub mod usage;
mod valuation;

pub use codec::{Codec, CodecError};
pub use command::{AmendOrder, Command, EngineConfig, NewOrder};
pub use dedup::HashSecret;
pub use engine::{Engine, EngineOptions};
pub use event::{CloseReason, Event, EventId, OrderAccepted, Trade, TransferKind};
pub use event_buffer::EventBuffer;
pub use instrument::{InstrumentSpec, TradingStatus};
pub use intents::Intent;
pub use queries::{DormantOrder, RestingOrder};
pub use reject::RejectReason;
pub use snapshot_reader::{RestoreError, RestoreFault, SnapshotReader};
pub use state_machine::{Frame, StateMachine, clamp_timestamp, snapshot_hash};
pub use types::{
    AccountId, AccountStatus, Amount, AssetCode, AssetId, ClientOrderId, InstrumentId,
    KillSwitchScope, OrderId, OrderType, Price, Quantity, SelfTradePolicy, Side, SignedAmount,
    TimeInForce, TradeId, TransferId,
};
pub use usage::Usage;
