//! Brings the wallet up to date with what was traded, exactly once.
//!
//! Contract: [`Desk`] reads trades from the event log behind a durable cursor and settles each at
//! the wallet by its id, in batches, however often the wallet, the network or this process fails.
//! What has no outcome is tried again under the same key for ever; what the wallet refuses becomes
//! a dead letter that an operator decides about. `funding` moves money between wallets and trading
//! accounts, `releases` gives back what orders with reservations of their own did not need,
//! `reconcile` proves the books of both equal.
//!
//! Knows nothing of: rings, journals of commands, HTTP. The composition hands it readers of events
//! and a way to submit commands.

mod board;
mod dead_letters;
mod desk;
pub mod follower;
pub mod funding;
mod jitter;
pub mod limits;
mod options;
mod outcome;
mod owed;
mod progress;
pub mod reconcile;
pub mod releases;
mod saved;
mod source;
#[cfg(test)]
mod testing;
mod trade;
mod worker;

pub use board::{Board, Counts, DeskStatus, SettlementStatus, TradeStatus};
pub use dead_letters::{Attempt, DeadLetter, DeadLetters, Discarded};
pub use desk::{Alarm, Desk, DeskError, Parts, STATE_FILE, SetRetryError, StartError, WallClock};
pub use options::{Overflow, RetryPolicy, SettlementOptions};
pub use outcome::{Class, Verdict, judge};
pub use progress::{Progress, ProgressError, peek};
pub use source::{Directory, EventSource, Pair, SourceError, SourcedEvent};
pub use trade::{Amounts, DueTrade, TradeError, amounts, order_key, parse_symbol, validate};
