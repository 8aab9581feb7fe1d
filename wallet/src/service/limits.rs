//! Owns every bound of the wallet's HTTP service. Knows nothing of who enforces one.
//! Invariant: nothing that a caller sends grows past one of these.

use std::time::Duration;

use crate::client::limits::BATCH_MAX;

/// Longest request body, bytes, unless configured otherwise.
pub const BODY_BYTES_DEFAULT: usize = 16 * 1024;
/// Longest body with several trading requests, bytes, unless configured otherwise.
pub const BATCH_BODY_BYTES_DEFAULT: usize = 64 * 1024;
/// Longest body of one trading request, bytes: a full batch of them fits.
pub const TRADING_BODY_BYTES: usize = 1_000;
/// Longest path with its query, bytes.
pub const URI_BYTES_MAX: usize = 2 * 1024;
/// Names and values of all headers of a request, bytes.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Header lines of a request.
pub const HEADERS_MAX: usize = 64;
/// Characters of a request id that is taken over from the caller.
pub const REQUEST_ID_CHARS_MAX: usize = 64;

/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// Transactions on one page.
pub const PAGE_DEFAULT: usize = 50;
pub const PAGE_MAX: usize = 100;

/// How long a read waits for the sequence that it was asked to show, unless configured otherwise.
pub const MIN_SEQ_WAIT_DEFAULT: Duration = Duration::from_secs(2);
/// What callers are told to wait before they try again, seconds.
pub const RETRY_AFTER_S: u32 = 1;

/// Reports made at once, unless configured otherwise, and the most that can be configured.
pub const REPORTS_DEFAULT: usize = 2;
pub const REPORTS_MAX: usize = 16;
/// How long a report waits for its turn.
pub const REPORT_WAIT_DEFAULT: Duration = Duration::from_secs(1);

/// Wallets looked at under one lock while all money is added up.
pub const WALLETS_PER_READ: usize = 1_024;
/// How often all money is added up anew because it moved meanwhile.
pub const SUM_TRIES: usize = 5;

const _: () = assert!(BATCH_MAX * TRADING_BODY_BYTES <= BATCH_BODY_BYTES_DEFAULT);
const _: () = assert!(BODY_BYTES_DEFAULT <= BATCH_BODY_BYTES_DEFAULT);
const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
const _: () = assert!(REPORTS_DEFAULT <= REPORTS_MAX);
