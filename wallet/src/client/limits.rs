//! Owns every bound of the wallet client. Knows nothing of who enforces one.
//! Invariant: nothing that a wallet sends, or that callers pile up, grows past one of these.

use std::time::Duration;

/// Calls that one client has under way at once; others wait for their turn within their deadline.
pub const CALLS_IN_FLIGHT_MAX: u32 = 256;
/// Items of one batch.
pub const BATCH_MAX: usize = 64;
/// Longest answer that is read, bytes: a full batch and a full page of funding events fit.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Funding events in one answer.
pub const FUNDING_EVENTS_MAX: usize = 1_000;
/// How long one call may wait for the next funding event.
pub const FUNDING_WAIT_MAX: Duration = Duration::from_secs(30);

/// Tries after the first, whoever asks for them.
pub const RETRIES_MAX: u32 = 10;
/// Longest of the configurable times.
pub const TIME_MAX: Duration = Duration::from_secs(600);
/// Highest configurable number of calls per second.
pub const RATE_RPS_MAX: u32 = 1_000_000;
/// Highest of the configurable numbers of connections, probes and calls.
pub const COUNT_MAX: u32 = 65_536;
/// Characters of a wallet's text that are repeated in errors and logs.
pub const TEXT_CHARS_MAX: usize = 200;
