//! Owns the contract of what settlement reads and whom it asks for names.
//! Knows nothing of files or rings: the composition hands it both. Invariant: an event is shown
//! only when it may be acted on, so that no consequence outlives its cause.

use engine::{AccountId, AssetCode, AssetId, Event, InstrumentId, TradeId};
use rust_decimal::Decimal;
use uuid::Uuid;

/// One event of the exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourcedEvent {
    /// Position in the event log: contiguous, the first is 1.
    pub event_sequence: u64,
    /// Sequence of the command that caused it.
    pub sequence: u64,
    /// Engine time, nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    pub event: Event,
}

/// Why events cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading the event log: {0}")]
pub struct SourceError(pub String);

/// A reader of the exchange's event log with a position of its own.
pub trait EventSource: Send {
    /// Appends up to `max` events behind the last one that was read and that may be acted on.
    /// Returns the sequence of a command all of whose events, and all before them, have been read
    /// by now, if nothing was appended.
    ///
    /// # Errors
    /// The log is damaged or does not reach so far.
    fn read(&mut self, max: usize, into: &mut Vec<SourcedEvent>) -> Result<u64, SourceError>;
}

/// What an instrument trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub base: AssetCode,
    pub quote: AssetCode,
}

/// Names of what events number.
pub trait Directory: Send + Sync {
    fn user(&self, account: AccountId) -> Option<Uuid>;

    fn asset(&self, asset: AssetId) -> Option<AssetCode>;

    fn pair(&self, instrument: InstrumentId) -> Option<Pair>;

    /// Quote asset for one base asset.
    fn price(&self, instrument: InstrumentId, price: engine::Price) -> Option<Decimal>;

    fn trade_id(&self, trade: TradeId, timestamp_ns: u64) -> Uuid;
}
