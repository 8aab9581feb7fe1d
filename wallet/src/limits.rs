//! Owns every bound of the wallet, in one place. Knows nothing of how a bound is enforced.
//! Invariant: nothing that a caller sends or leaves behind grows past one of these.

/// Longest encoding of a ledger command or event, bytes.
pub const ENCODED_BYTES_MAX: usize = 1536;

/// Bytes of a caller's reference.
pub const REFERENCE_BYTES_MAX: usize = 100;
/// Bytes of a description, UTF-8.
pub const DESCRIPTION_BYTES_MAX: usize = 500;
/// Bytes of a description in one event: a description travels in several.
pub const NOTE_BYTES_MAX: usize = 64;

/// Movements that one request may ask for.
pub const POSTINGS_MAX: usize = 8;
/// Movements that one transaction may come to: each asked for may go on to the trading pool.
pub const LEGS_MAX: usize = 2 * POSTINGS_MAX;

/// Assets of the ledger; ids are at most [`engine::limits::REFERENCE_ID_MAX`].
pub const ASSETS_MAX: usize = 1_024;
/// Wallets: 32-bit ids with room to spare. About 90 bytes each.
pub const WALLETS_MAX: usize = 16_000_000;
/// Transactions: their keys are never forgotten. About 250 bytes each with their movements.
pub const TRANSACTIONS_MAX: usize = 64_000_000;
/// Reservations of orders. About 110 bytes each.
pub const RESERVATIONS_MAX: usize = 16_000_000;
/// Withdrawals and transfers that wait for money to come back from trading.
pub const PENDING_MAX: usize = 65_536;
/// Units of one asset that all wallets and the fees together may own.
pub const OWNED_MAX: u128 = engine::limits::SUPPLY_MAX;

const _: () = assert!(DESCRIPTION_BYTES_MAX.div_ceil(NOTE_BYTES_MAX) <= 8);
const _: () = assert!(TRANSACTIONS_MAX < u32::MAX as usize);

/// Characters of a user's name where it is not a UUID.
pub const USER_NAME_CHARS_MAX: usize = 64;

/// Balances of the past that are kept, over all wallets; about 80 bytes each.
pub const HISTORY_ENTRIES_MAX: usize = 1 << 22;
/// Transactions that somebody asked for and that can still be queried in full.
pub const REQUESTS_KEPT_MAX: usize = 1 << 19;
/// Settlements, reserves and releases that can still be queried in full.
pub const TRADING_KEPT_MAX: usize = 1 << 18;
/// Settled trades that can be asked for by their id; about 90 bytes each.
pub const SETTLEMENTS_KEPT_MAX: usize = 1 << 20;
/// Funding events that a reader may be behind before it reads the log.
pub const FUNDING_EVENTS_KEPT: usize = 1 << 16;
/// Upper bounds of the buckets of request durations, microseconds.
pub const REQUEST_BOUNDS_US: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000,
];
/// Callers of one listener whose requests are limited apart; those beyond share one bucket.
pub const RATED_CALLERS_MAX: usize = 65_536;
/// Routes of one listener whose requests are counted apart, those of no route among them.
pub const ROUTES_MAX: usize = 256;
/// Funding events in one answer.
pub const FUNDING_EVENTS_PAGE_MAX: usize = 1_000;
