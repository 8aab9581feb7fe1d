//! Owns the way from a client's text to units and words of the engine, and back.
//! Knows nothing of bodies and routes. Invariant: text is taken exactly or refused with the field's
//! own code; nothing is rounded on the way in.

mod moment;

use std::sync::Arc;

use engine::decimal::{Decimal, DecimalError, parse};
use engine::limits::{
    ORDER_VALUE_MAX, PRICE_TICKS_MAX, QUANTITY_LOTS_MAX, SUPPLY_MAX, TRAIL_BPS_MAX,
};
use engine::{
    AccountStatus, Amount, ClientOrderId, CloseReason, OrderType, Price, Quantity, SelfTradePolicy,
    Side, TimeInForce, TradingStatus,
};

use crate::error::{ApiError, ErrorCode};
use crate::limits::{
    AVERAGE_PRICE_SCALE, CLIENT_TEXT_MAX, PRICE_SCALE, SYMBOL_CHARS_MAX, SYMBOL_CHARS_MIN,
};
use crate::views::{Asset, Instrument, Products};

pub use moment::expires_at;

/// Nanoseconds of a second.
pub const NS_PER_S: u64 = 1_000_000_000;

/// Decimal places of a percentage: one unit is a basis point.
const PERCENT_SCALE: u8 = 2;

/// A request's word for a thing, refused as this field with this code.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    code: ErrorCode,
}

impl Field {
    fn refuse(self, text: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
        ApiError::field(self.code, self.name, text)
    }

    /// `word` is what the field is called in texts.
    fn format(self, word: &str) -> ApiError {
        self.refuse(format!("invalid {word} format"))
    }
}

/// A listed instrument from `BTC/USDT`, `BTC-USDT` or `BTC_USDT`.
///
/// # Errors
/// `INVALID_SYMBOL` for another form, `SYMBOL_NOT_FOUND` if it is not listed.
pub fn symbol(text: &str, products: &Products) -> Result<Arc<Instrument>, ApiError> {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    let invalid =
        || ApiError::field(ErrorCode::InvalidSymbol, "symbol", ErrorCode::InvalidSymbol.text());
    if !(SYMBOL_CHARS_MIN..=SYMBOL_CHARS_MAX).contains(&text.len()) {
        return Err(invalid());
    }
    let (base, quote) = text.split_once(['/', '-', '_']).ok_or_else(invalid)?;
    if !part(base) || !part(quote) {
        return Err(invalid());
    }
    let found = products.by_symbol(&format!("{base}/{quote}"));
    found.cloned().ok_or_else(|| {
        let text = ErrorCode::SymbolNotFound.text();
        ApiError::field(ErrorCode::SymbolNotFound, "symbol", text)
    })
}

/// A quantity of an order, in lots.
///
/// # Errors
/// `INVALID_QUANTITY`: not a decimal, not above zero, not whole lots, or too large for any order.
pub fn quantity(text: &str, instrument: &Instrument) -> Result<Quantity, ApiError> {
    lots(text, "quantity", instrument)
}

/// What an iceberg shows at most, in lots.
///
/// # Errors
/// `INVALID_QUANTITY` of the field `display_quantity`, as for a quantity.
pub fn display_quantity(text: &str, instrument: &Instrument) -> Result<Quantity, ApiError> {
    lots(text, "display_quantity", instrument)
}

fn lots(text: &str, name: &'static str, instrument: &Instrument) -> Result<Quantity, ApiError> {
    let field = Field { name, code: ErrorCode::InvalidQuantity };
    let lot = i128::from(instrument.spec.base_per_lot);
    let off_lot =
        || field.refuse(format!("{name} must be a multiple of {}", instrument.base.amount(lot)));
    let not_positive = || field.refuse(format!("{name} must be greater than 0"));
    let too_large = || field.refuse(format!("{name} is too large"));
    let units = match parse(text, instrument.base.scale) {
        Ok(units) => units,
        Err(DecimalError::Format) => return Err(field.format(name)),
        Err(DecimalError::Precision | DecimalError::Range) if text.starts_with('-') => {
            return Err(not_positive());
        }
        Err(DecimalError::Precision) => return Err(off_lot()),
        Err(DecimalError::Range) => return Err(too_large()),
    };
    if units <= 0 {
        return Err(not_positive());
    }
    if units % lot != 0 {
        return Err(off_lot());
    }
    match u64::try_from(units / lot) {
        Ok(lots) if lots <= QUANTITY_LOTS_MAX => Ok(Quantity(lots)),
        _ => Err(too_large()),
    }
}

/// A limit price, in ticks.
///
/// # Errors
/// `INVALID_PRICE`: not a decimal, not above zero, not whole ticks, or above the highest price.
pub fn price(text: &str, instrument: &Instrument) -> Result<Price, ApiError> {
    const ZERO: &str = "price must be greater than 0 for limit orders";
    let field = Field { name: "price", code: ErrorCode::InvalidPrice };
    ticks(text, field, "price", ZERO, instrument)
}

/// The price that starts a stop or take-profit order, in ticks.
///
/// # Errors
/// `INVALID_STOP_PRICE`, as for a limit price.
pub fn stop_price(text: &str, instrument: &Instrument) -> Result<Price, ApiError> {
    const ZERO: &str = "stop price must be greater than 0 for stop orders";
    let field = Field { name: "stop_price", code: ErrorCode::InvalidStopPrice };
    ticks(text, field, "stop price", ZERO, instrument)
}

/// How far a trailing stop keeps from the market, in ticks.
///
/// # Errors
/// `INVALID_STOP_PRICE` of the field `trail_amount`, as for a limit price.
pub fn trail_amount(text: &str, instrument: &Instrument) -> Result<i64, ApiError> {
    const ZERO: &str = "trail amount must be greater than 0";
    let field = Field { name: "trail_amount", code: ErrorCode::InvalidStopPrice };
    ticks(text, field, "trail amount", ZERO, instrument).map(|Price(ticks)| ticks)
}

/// How far a trailing stop keeps from the market, from percent to basis points.
///
/// # Errors
/// `INVALID_STOP_PRICE` of the field `trail_percent`.
pub fn trail_percent(text: &str) -> Result<u32, ApiError> {
    let field = Field { name: "trail_percent", code: ErrorCode::InvalidStopPrice };
    let out_of_bounds = || {
        let (low, high) = (percent(1), percent(TRAIL_BPS_MAX));
        field.refuse(format!("trail percent must be from {low} to {high}"))
    };
    match parse(text, PERCENT_SCALE) {
        Ok(bps) => u32::try_from(bps)
            .ok()
            .filter(|bps| (1..=TRAIL_BPS_MAX).contains(bps))
            .ok_or_else(out_of_bounds),
        Err(DecimalError::Format) => Err(field.format("trail percent")),
        Err(DecimalError::Precision) => {
            Err(field.refuse(format!("trail percent has more than {PERCENT_SCALE} decimal places")))
        }
        Err(DecimalError::Range) => Err(out_of_bounds()),
    }
}

/// Basis points as percent.
#[must_use]
pub fn percent(bps: u32) -> Decimal {
    Decimal { units: bps.into(), scale: PERCENT_SCALE }
}

/// A price or a distance between prices; `word` is what texts call it, `zero` what is said of one
/// that is not above zero.
fn ticks(
    text: &str,
    field: Field,
    word: &str,
    zero: &'static str,
    instrument: &Instrument,
) -> Result<Price, ApiError> {
    let off_tick = || {
        let tick = instrument.price(Price(1));
        field.refuse(format!("{word} must be a multiple of {tick}"))
    };
    let too_large = || field.refuse(format!("{word} is too large"));
    let units = match parse(text, PRICE_SCALE) {
        Ok(units) => units,
        Err(DecimalError::Format) => return Err(field.format(word)),
        Err(DecimalError::Precision | DecimalError::Range) if text.starts_with('-') => {
            return Err(field.refuse(zero));
        }
        Err(DecimalError::Precision) => return Err(off_tick()),
        Err(DecimalError::Range) => return Err(too_large()),
    };
    if units <= 0 {
        return Err(field.refuse(zero));
    }
    if units % instrument.tick() != 0 {
        return Err(off_tick());
    }
    let highest = instrument.spec.max_price.0.min(PRICE_TICKS_MAX);
    match i64::try_from(units / instrument.tick()) {
        Ok(ticks) if ticks <= highest => Ok(Price(ticks)),
        _ => Err(too_large()),
    }
}

/// What a buy without a price may spend, in quote units.
///
/// # Errors
/// `INVALID_QUANTITY` of the field `quote_quantity`.
pub fn budget(text: &str, quote: &Asset) -> Result<Amount, ApiError> {
    let field = Field { name: "quote_quantity", code: ErrorCode::InvalidQuantity };
    positive(text, quote, field, "quote_quantity", ORDER_VALUE_MAX)
}

/// An amount that is credited, in units of the asset.
///
/// # Errors
/// `INVALID_AMOUNT`.
pub fn amount(text: &str, asset: &Asset) -> Result<Amount, ApiError> {
    let field = Field { name: "amount", code: ErrorCode::InvalidAmount };
    positive(text, asset, field, "amount", SUPPLY_MAX)
}

fn positive(
    text: &str,
    asset: &Asset,
    field: Field,
    word: &str,
    highest: Amount,
) -> Result<Amount, ApiError> {
    let units = match parse(text, asset.scale) {
        Ok(units) => units,
        Err(DecimalError::Format) => return Err(field.format(word)),
        Err(DecimalError::Precision | DecimalError::Range) if text.starts_with('-') => -1,
        Err(DecimalError::Precision) => {
            let places = asset.scale;
            return Err(field.refuse(format!("{word} has more than {places} decimal places")));
        }
        Err(DecimalError::Range) => return Err(field.refuse(format!("{word} is too large"))),
    };
    match Amount::try_from(units) {
        Ok(0) | Err(_) => Err(field.refuse(format!("{word} must be greater than 0"))),
        Ok(units) if units > highest => Err(field.refuse(format!("{word} is too large"))),
        Ok(units) => Ok(units),
    }
}

/// Whether `text` is 1 to 100 printable ASCII characters.
#[must_use]
pub fn is_client_text(text: &str) -> bool {
    let printable = |b: u8| (0x20..=0x7e).contains(&b);
    (1..=CLIENT_TEXT_MAX).contains(&text.len()) && text.bytes().all(printable)
}

/// A client order id.
///
/// # Errors
/// `INVALID_CLIENT_ORDER_ID`.
pub fn client_order_id(text: &str) -> Result<ClientOrderId, ApiError> {
    let code = ErrorCode::InvalidClientOrderId;
    is_client_text(text)
        .then(|| ClientOrderId::new(text.as_bytes()))
        .flatten()
        .ok_or_else(|| ApiError::field(code, "client_order_id", code.text()))
}

/// Average price of what was filled, rounded to eight places, or to those of the tick if it has
/// more; `None` before the first fill.
#[must_use]
pub fn average_price(
    instrument: &Instrument,
    filled: Quantity,
    quote_filled: Amount,
) -> Option<String> {
    let base = engine::fees::signed(instrument.spec.base_value(filled));
    let decimal = |units: i128, scale: u8| {
        rust_decimal::Decimal::try_from_i128_with_scale(units, scale.into()).ok()
    };
    let base = decimal(base, instrument.base.scale)?;
    let quote = decimal(engine::fees::signed(quote_filled), instrument.quote.scale)?;
    let average = quote.checked_div(base)?;
    Some(average.round_dp(AVERAGE_PRICE_SCALE.max(tick_places(instrument))).normalize().to_string())
}

/// Decimal places of one tick.
fn tick_places(instrument: &Instrument) -> u32 {
    let mut tick = instrument.tick();
    let mut places = u32::from(PRICE_SCALE);
    while places > 0 && tick % 10 == 0 {
        tick /= 10;
        places -= 1;
    }
    places
}

/// A fee rate of `ppm` parts per million as a fraction of one.
#[must_use]
pub fn rate(ppm: i32) -> Decimal {
    Decimal { units: ppm.into(), scale: 6 }
}

/// Journal time as RFC 3339 in UTC.
#[must_use]
pub fn time(ns: u64) -> String {
    jiff::Timestamp::from_nanosecond(ns.into()).map(|t| t.to_string()).unwrap_or_default()
}

macro_rules! words {
    ($($(#[$doc:meta])* $function:ident($set:ident) {
        $($variant:ident => $word:literal),+ $(,)?
    })+) => {
        $($(#[$doc])*
        #[must_use]
        pub const fn $function(member: $set) -> &'static str {
            match member { $($set::$variant => $word),+ }
        })+
    };
}

words! {
    /// The API's word for a side.
    side_word(Side) { Buy => "BUY", Sell => "SELL" }
    /// The API's word for an order type.
    type_word(OrderType) {
        Limit => "LIMIT", Market => "MARKET", Stop => "STOP", StopLimit => "STOP",
        TakeProfit => "TAKE_PROFIT", TakeProfitLimit => "TAKE_PROFIT",
        TrailingStop => "TRAILING_STOP",
    }
    /// The API's word for a time in force.
    time_in_force_word(TimeInForce) {
        Gtc => "GTC", Ioc => "IOC", Fok => "FOK", Gtd => "GTD", Day => "DAY",
    }
    /// The API's word for what happens between orders of one owner.
    self_trade_word(SelfTradePolicy) {
        None => "NONE", CancelTaker => "CANCEL_TAKER", CancelMaker => "CANCEL_MAKER",
        CancelBoth => "CANCEL_BOTH", Decrement => "DECREMENT",
    }
    /// The API's word for a trading status.
    trading_status_word(TradingStatus) {
        Trading => "TRADING", Halted => "HALTED", CancelOnly => "CANCEL_ONLY", Auction => "AUCTION",
    }
    /// The API's word for an account's status.
    account_status_word(AccountStatus) { Active => "ACTIVE", Suspended => "SUSPENDED" }
    /// The API's word for why an order ended.
    close_reason_word(CloseReason) {
        Filled => "FILLED", BudgetSpent => "BUDGET_SPENT", IocRemainder => "IOC_REMAINDER",
        NoLiquidity => "NO_LIQUIDITY", PriceCollar => "PRICE_COLLAR", SelfTrade => "STP",
        UserCancel => "USER_CANCEL", MassCancel => "MASS_CANCEL", AmendedAway => "AMENDED_AWAY",
        Expired => "EXPIRED", SessionEnd => "SESSION_END", KillSwitch => "KILL_SWITCH",
        PostOnlyWouldCross => "POST_ONLY_WOULD_CROSS", FokUnfillable => "FOK_UNFILLABLE",
        MatchLimit => "MATCH_LIMIT",
    }
}

/// The member of a closed set whose word is `text`.
#[must_use]
pub fn member<T: Copy>(text: &str, members: &[T], word: fn(T) -> &'static str) -> Option<T> {
    members.iter().copied().find(|member| word(*member) == text)
}

#[cfg(test)]
mod tests;
