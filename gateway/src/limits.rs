//! Owns every bound of the gateway. Knows nothing of who sets what lies within them.
//! Invariant: nothing that a client sends or leaves behind grows past one of these.

use std::time::Duration;

/// Closed orders that can still be queried, over all users; the oldest are forgotten first.
pub const CLOSED_ORDERS_MAX: usize = 100_000;
/// As many of them may be one account's, so that nobody can crowd out everybody else.
pub const CLOSED_ORDERS_PER_ACCOUNT_MAX: usize = 10_000;
/// Refused orders that can still be queried, over all users. They cost their owner nothing, hence
/// a bound of their own.
pub const REJECTED_ORDERS_MAX: usize = 20_000;
/// As many of them may be one account's.
pub const REJECTED_ORDERS_PER_ACCOUNT_MAX: usize = 1_000;
/// Credits whose first answer can be repeated word for word; the oldest are forgotten first.
pub const TRANSFERS_MAX: usize = 100_000;
/// Trades kept per instrument for the public.
pub const RECENT_TRADES_MAX: usize = 500;
/// Trades kept for their parties, over all orders; the oldest are forgotten first.
pub const OWN_TRADES_MAX: usize = 100_000;
/// Orders looked at under one lock while a list is put together.
pub const ORDERS_PER_LOCK: usize = 1_024;
/// Orders of an account, from the newest, that one list looks at.
pub const ORDERS_VISITED_MAX: usize = 16_384;

/// Orders on one page.
pub const ORDERS_LIMIT_DEFAULT: u64 = 50;
pub const ORDERS_LIMIT_MAX: u64 = 100;
/// Orders that a page may skip.
pub const ORDERS_OFFSET_MAX: u64 = 100_000;
/// Own trades in one answer.
pub const OWN_TRADES_LIMIT_DEFAULT: u64 = 50;
pub const OWN_TRADES_LIMIT_MAX: u64 = 100;
/// Levels of a book in one answer, per side.
pub const DEPTH_DEFAULT: u64 = 50;
pub const DEPTH_MAX: u64 = 100;
/// Public trades in one answer.
pub const TRADES_LIMIT_DEFAULT: u64 = 50;

/// Longest request body, bytes, unless configured lower.
pub const BODY_BYTES_DEFAULT: usize = 16 * 1024;
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Buffer for the head of a request, bytes: what the bounds below allow fits.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Longest path with its query, bytes.
pub const URI_BYTES_MAX: usize = 2 * 1024;
/// Names and values of all headers of a request, bytes.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Header lines of a request.
pub const HEADERS_MAX: usize = 64;
/// Fields of a JSON body, and parameters of a query.
pub const FIELDS_MAX: usize = 32;
/// Longest that a new order may take to be sequenced, if it says how long it may, milliseconds.
pub const RECV_WINDOW_MS_MAX: u64 = 60_000;

/// Characters of a client order id, and of the reference of a credit.
pub const CLIENT_TEXT_MAX: usize = 100;
/// Characters of a symbol as clients write it.
pub const SYMBOL_CHARS_MIN: usize = 3;
pub const SYMBOL_CHARS_MAX: usize = 20;
/// Characters of a request id that is taken over from the client.
pub const REQUEST_ID_CHARS_MAX: usize = 64;

/// Connections served at once; others wait in the listener's queue.
pub const CONNECTIONS_DEFAULT: usize = 1_024;
pub const CONNECTIONS_MAX: usize = 65_536;
/// Threads that run handlers.
pub const WORKER_THREADS_MAX: usize = 64;
/// Threads that may block: the start, saving cursors, comparing books, reports of the wallet.
pub const BLOCKING_THREADS_MAX: usize = 8;

/// Comparisons of the books that operators may ask for at once: each waits for the one before.
pub const RECONCILE_REQUESTS_MAX: usize = 1;

/// Requests a second that production takes unless told otherwise: of all callers, and of each.
pub const RATE_OF_ALL_PRODUCTION: u32 = 50_000;
pub const RATE_OF_ONE_PRODUCTION: u32 = 1_000;
/// The most that can be configured.
pub const RATE_MAX: u32 = 1_000_000;

/// Share of the input ring, in percent, from which on an account may only have its fair share of
/// the places that new orders may fill.
pub const FAIR_SHARE_FROM_PERCENT: u64 = 50;

/// How long a request waits for the outcome of its command.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// How long a connection may take to send the head of a request, once it has begun with it, and to
/// begin with its first one.
pub const HEADER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How long a connection may wait for its next request.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How long a connection may take none of its answer before it is closed.
pub const WRITE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How long requests in flight may take once the server drains.
pub const DRAIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Longest of the configurable times above.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// How long a read waits for the sequence that it was asked to reflect.
pub const MIN_SEQ_WAIT: Duration = Duration::from_secs(2);
/// What clients are told to wait before they try again, seconds.
pub const RETRY_AFTER_S: u32 = 1;

/// How long a look at the wallet, or at a machine's hash, may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between comparisons of the books, milliseconds; the most that can be configured.
pub const RECONCILE_EVERY_MS_DEFAULT: u64 = 60_000;
pub const RECONCILE_EVERY_MS_MAX: u64 = 24 * 3_600_000;
/// How long the exchange's own token for the wallet is valid.
/// Time between two readings of all sealed segments, seconds: a day; the most that can be
/// configured.
pub const SCRUB_EVERY_DEFAULT_S: u64 = 24 * 3600;
pub const SCRUB_EVERY_MAX_S: u64 = 30 * 24 * 3600;
/// Commands after which a snapshot is taken.
pub const SNAPSHOT_EVERY_DEFAULT: u64 = 1_000_000;
/// Shortest time between two snapshots that nobody has asked for, seconds.
pub const SNAPSHOT_INTERVAL_DEFAULT_S: u64 = 60;
pub const SNAPSHOT_INTERVAL_MAX_S: u64 = 24 * 3600;
pub const WALLET_TOKEN_TTL: Duration = Duration::from_secs(TOKEN_TTL_MAX_S);
/// Slots of the wallet's rings: its commands are large and fewer.
pub const WALLET_INPUT_SLOTS: usize = 4_096;
pub const WALLET_OUTPUT_SLOTS: usize = 16_384;
/// Orders whose funds are being reserved at the wallet, in all and of one account.
pub const FUNDED_ORDERS_UNDER_WAY_MAX: usize = 16_384;
pub const FUNDED_ORDERS_PER_ACCOUNT_MAX: usize = 128;
/// Calls at once to the wallet for the balances of one request.
pub const BALANCE_CALLS_MAX: usize = 8;
/// Dead letters in one answer.
pub const DEAD_LETTERS_PAGE_MAX: usize = 1_000;

/// Longest pause between looks at the clock while a live order ends by time: as late as that it may
/// end when the clock is set forward.
pub const EXPIRY_LOOK_EVERY: Duration = Duration::from_millis(100);
/// Accounts whose kill switch is on, in one answer.
pub const KILLED_ACCOUNTS_PAGE_MAX: usize = 1_000;

/// Bytes of the secret that signs tokens.
pub const SECRET_BYTES: usize = 32;
/// How far the clock that signed a token may be ahead of ours, seconds.
pub const TOKEN_CLOCK_SKEW_S: u64 = 60;
/// Longest life of a token that the command line signs, seconds: one year.
pub const TOKEN_TTL_MAX_S: u64 = 366 * 24 * 3600;

/// Decimal places in which prices are read and shown: no tick is finer.
pub const PRICE_SCALE: u8 = 18;
/// Decimal places of an average price, which is the only rounded number there is.
pub const AVERAGE_PRICE_SCALE: u32 = 8;

/// Live orders that the engine reserves addresses for at start, so that its tables are not moved in
/// the middle of trading: 2 GiB of them, of which only what is used takes memory.
pub const EXPECTED_ORDERS: usize = 1 << 24;
/// Client order ids that the engine reserves memory for at start.
pub const EXPECTED_CLIENT_IDS: usize = 1 << 20;

const _: () = assert!(ORDERS_LIMIT_DEFAULT <= ORDERS_LIMIT_MAX);
const _: () = assert!(CLOSED_ORDERS_PER_ACCOUNT_MAX < CLOSED_ORDERS_MAX);
const _: () = assert!(REJECTED_ORDERS_PER_ACCOUNT_MAX < REJECTED_ORDERS_MAX);
const _: () = assert!(FAIR_SHARE_FROM_PERCENT < pipeline::limits::ORDER_SHARE_PERCENT);
const _: () = assert!(DEPTH_DEFAULT <= DEPTH_MAX);
const _: () = assert!(TRADES_LIMIT_DEFAULT <= RECENT_TRADES_MAX as u64);
const _: () = assert!(CLIENT_TEXT_MAX <= engine::ClientOrderId::BYTES_MAX);
const _: () = assert!(PRICE_SCALE <= engine::decimal::SCALE_MAX);
const _: () = assert!(URI_BYTES_MAX + HEADER_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(BODY_BYTES_DEFAULT <= BODY_BYTES_MAX);
