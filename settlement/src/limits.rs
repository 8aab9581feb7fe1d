//! Owns every bound of settlement, in one place. Knows nothing of how a bound is enforced.
//! Invariant: nothing here grows with the time that the wallet is away.

use std::time::Duration;

/// Calls to the wallet at once.
pub const WORKERS_DEFAULT: usize = 10;
pub const WORKERS_MAX: usize = 256;
/// Trades that were read and are not done with.
pub const WINDOW_DEFAULT: usize = 1_000;
pub const WINDOW_MAX: usize = 65_536;
/// Trades from the oldest one that is not done with to the newest one that was read, those between
/// that are done with included: what a restart does again.
pub const SPAN_MAX: u64 = 65_536;
/// Trades in one call.
pub const BATCH_DEFAULT: usize = BATCH_MAX;
pub const BATCH_MAX: usize = wallet::client::limits::BATCH_MAX;
/// Events taken from the log before anything else has its turn.
pub const READ_MAX: usize = 4_096;

/// Tries of one trade before it becomes a dead letter.
pub const ATTEMPTS_DEFAULT: u32 = 3;
pub const ATTEMPTS_MAX: u32 = 100;
pub const RETRY_WAIT_DEFAULT: Duration = Duration::from_millis(100);
pub const RETRY_WAIT_MAX_DEFAULT: Duration = Duration::from_secs(5);
/// Longest pause that a wallet's own wish is followed for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// One call to the wallet, and a stop with work in flight.
pub const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
pub const STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Longest of the configurable times.
pub const TIME_MAX: Duration = Duration::from_secs(3_600);

/// Dead letters, and how the pause between their tries grows.
pub const DEAD_LETTERS_MAX: usize = 10_000;
pub const DEAD_LETTER_WAIT: Duration = Duration::from_secs(30);
pub const DEAD_LETTER_WAIT_MAX: Duration = Duration::from_secs(3_600);
/// Attempts of a dead letter that are remembered one by one.
pub const HISTORY_MAX: usize = 8;
/// Bytes of a reason, and of one in the history. All dead letters fit one state file.
pub const REASON_BYTES_MAX: usize = 200;
pub const PAST_REASON_BYTES_MAX: usize = 64;
/// Discarded letters for which there is room besides all dead letters. None is ever forgotten:
/// what an operator has settled by hand must not be settled once more.
pub const DISCARDED_MAX: usize = 10_000;

/// Settlements whose id and time can be asked for without asking the wallet.
pub const RECENT_MAX: usize = 100_000;
/// Upper bounds of the buckets of delays from trade to settlement, microseconds.
pub const DELAY_BOUNDS_US: [u64; 16] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    30_000_000,
    120_000_000,
    600_000_000,
    3_600_000_000,
];
/// Orders of operators that wait.
pub const REQUESTS_MAX: usize = 64;

/// Longest time between saves of a cursor that has moved.
pub const SAVE_EVERY: Duration = Duration::from_millis(100);
/// How often an idle reader looks for new events.
pub const POLL_EVERY: Duration = Duration::from_millis(2);

/// Funding events under way at once.
pub const FUNDING_WINDOW: usize = 256;
/// Longest wait for funding events in one call.
pub const FUNDING_WAIT: Duration = Duration::from_secs(1);
/// Shortest time between two calls that find no funding event, for a wallet that does not wait.
pub const FUNDING_WAIT_MIN: Duration = Duration::from_millis(20);
/// How often an answer that is owed to the wallet is looked at.
pub const CONCLUDE_EVERY: Duration = Duration::from_millis(20);

/// Releases that the wallet has not taken note of: what is beyond waits in the event log.
/// Every dead letter may keep those of two orders waiting.
pub const RELEASES_OWED_MAX: usize = 2 * DEAD_LETTERS_MAX + 10_000;
/// Calls with releases at once.
pub const RELEASE_CALLS_MAX: usize = 4;

/// Breaches that are kept as evidence.
pub const BREACHES_MAX: usize = 1_000;
