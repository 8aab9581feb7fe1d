//! Owns every bound of the engine, in one place, related by compile-time assertions.
//! Knows nothing of how a bound is enforced; each is tested at the bound and one past it.

/// Longest encoding of a command or an event, bytes.
pub const ENCODED_BYTES_MAX: usize = 320;

/// Highest legal price of any instrument, ticks.
pub const PRICE_TICKS_MAX: i64 = 1 << 47;
/// Highest total quantity of any order, lots.
pub const QUANTITY_LOTS_MAX: u64 = 1 << 47;
/// Largest value of one order, in units of the base or the quote asset; also of a quote budget.
pub const ORDER_VALUE_MAX: u128 = 1 << 96;
/// Most units of one asset that may exist.
pub const SUPPLY_MAX: u128 = 1 << 120;
/// Highest fee rate, parts per million.
pub const FEE_PPM_MAX: i32 = 100_000;
/// Widest price band, basis points: below 100 % so that its lower edge stays above zero.
pub const PRICE_BAND_BPS_MAX: u32 = 9_999;
/// Widest market collar, basis points.
pub const MARKET_COLLAR_BPS_MAX: u32 = 100_000;
/// Widest offset of a trailing stop, basis points: below 100 % so that a sell's trigger stays above
/// zero.
pub const TRAIL_BPS_MAX: u32 = 9_999;
/// Most decimal places of an asset.
pub const ASSET_SCALE_MAX: u8 = 18;

/// Most accounts; handles of accounts fit 32 bits with room to spare.
pub const ACCOUNTS_MAX: u32 = 16_000_000;
/// Highest id of an asset or an instrument: ids index a list.
pub const REFERENCE_ID_MAX: u32 = 65_535;
/// Most assets.
pub const ASSETS_MAX: usize = 1_024;
/// Most instruments; their places fit 16 bits.
pub const INSTRUMENTS_MAX: usize = 4_096;
/// Most live orders over all books: order handles are 32 bits and one value means "none".
pub const LIVE_ORDERS_MAX: u32 = 64_000_000;
/// Most orders that wait for their funds: what a wallet that does not answer may pile up.
pub const ORDER_INTENTS_MAX: usize = 65_536;
/// Ids that the order index reaches directly; an order that outlives them costs a hash lookup.
pub const ORDER_INDEX_WINDOW: usize = 1 << 20;
/// Highest capacity that Configure accepts for either idempotency table.
pub const IDEMPOTENCY_CAPACITY_MAX: u32 = 64_000_000;
/// Entries of an idempotency table that one command may expire, so that no command pays for many.
pub const EXPIRED_ENTRIES_PER_COMMAND: u32 = 8;

/// Moments of closed orders that may be kept beyond as many as there are of live ones.
pub const STALE_EXPIRIES_MAX: usize = 1_024;

/// Parts per million in one.
pub const PPM: i128 = 1_000_000;
/// Basis points in one.
pub const BPS: i128 = 10_000;

const _: () = {
    assert!(ORDER_VALUE_MAX < SUPPLY_MAX);
    // value * ppm must fit i128 with room for a sum over an order's fills.
    assert!(ORDER_VALUE_MAX.cast_signed() <= i128::MAX / (4 * FEE_PPM_MAX as i128));
    assert!((PRICE_TICKS_MAX as i128) <= i128::MAX / (BPS + MARKET_COLLAR_BPS_MAX as i128));
};
