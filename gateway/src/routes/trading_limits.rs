//! Owns the limits of a symbol as an operator sees and changes them.
//! Knows nothing of what they limit. Invariant: each change is made from the specification that the
//! one before has left, so two that set different limits both hold.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use engine::decimal::{DecimalError, parse};
use engine::fees::signed;
use engine::{Command, InstrumentSpec, Price, Quantity, RejectReason};
use serde::Serialize;

use crate::api::{DecimalText, at_sequence};
use crate::auth::Operator;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::{Fields, NoQuery};
use crate::limits::PRICE_SCALE;
use crate::replies::Answer;
use crate::request::JsonFields;
use crate::state::AppState;
use crate::views::{Instrument, Read};

/// All limits of a symbol, each as text; what is off is 0.
#[derive(Debug, Serialize)]
struct LimitsBody {
    symbol: String,
    min_quantity: DecimalText,
    max_quantity: DecimalText,
    max_price: DecimalText,
    min_notional: DecimalText,
    max_notional: DecimalText,
    maker_fee_ppm: String,
    taker_fee_ppm: String,
    price_band_bps: String,
    market_collar_bps: String,
    reference_price: DecimalText,
    max_open_orders: String,
    max_book_orders: String,
    max_daily_volume: DecimalText,
    max_iceberg_parts: String,
}

impl LimitsBody {
    fn new(instrument: &Instrument) -> Self {
        let spec = &instrument.spec;
        let price = |price| DecimalText(instrument.price(price));
        let quantity = |quantity| DecimalText(instrument.quantity(quantity));
        let quote = |units| DecimalText(instrument.quote.amount(signed(units)));
        Self {
            symbol: instrument.symbol.clone(),
            min_quantity: quantity(spec.min_quantity),
            max_quantity: quantity(spec.max_quantity),
            max_price: price(spec.max_price),
            min_notional: quote(spec.min_notional),
            max_notional: quote(spec.max_notional),
            maker_fee_ppm: spec.maker_fee_ppm.to_string(),
            taker_fee_ppm: spec.taker_fee_ppm.to_string(),
            price_band_bps: spec.price_band_bps.to_string(),
            market_collar_bps: spec.market_collar_bps.to_string(),
            reference_price: price(spec.reference_price),
            max_open_orders: spec.max_open_orders.to_string(),
            max_book_orders: spec.max_book_orders.to_string(),
            max_daily_volume: DecimalText(instrument.volume(spec.max_daily_volume.into())),
            max_iceberg_parts: spec.max_iceberg_parts.to_string(),
        }
    }
}

pub(crate) async fn list(
    State(state): State<AppState>,
    _: Operator,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let sequence = state.views.sequence();
    let products = state.views.products();
    let symbol = query.parameter("symbol");
    let symbol = symbol.map(|symbol| convert::symbol(&symbol, &products)).transpose()?;
    query.finish()?;
    let wanted = |instrument: &Instrument| {
        symbol.as_ref().is_none_or(|one| one.spec.instrument == instrument.spec.instrument)
    };
    let listed = products.instruments().iter().filter(|instrument| wanted(instrument));
    let value: Vec<_> = listed.map(|instrument| LimitsBody::new(instrument)).collect();
    Ok(at_sequence(&Read { sequence, value }))
}

pub(crate) async fn change(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let timeout = state.exchange.timeout();
    let one_at_a_time = Arc::clone(&state.bounds.spec_change);
    // Goes on when nobody waits for it any more, and keeps the next change waiting.
    let changing = tokio::spawn(async move {
        let _one = one_at_a_time.lock_owned().await;
        change_one(&state, fields).await
    });
    match tokio::time::timeout(timeout, changing).await {
        Ok(Ok(changed)) => changed,
        Ok(Err(_)) => Err(ErrorCode::InternalError.into()),
        Err(_) => Err(ErrorCode::OutcomeUnknown.into()),
    }
}

async fn change_one(state: &AppState, mut fields: Fields) -> Result<Response, ApiError> {
    let symbol = fields.required("symbol", ErrorCode::InvalidSymbol)?;
    let listed = convert::symbol(&symbol, &state.views.products())?;
    let spec = changed(&mut fields, &listed)?;
    fields.finish()?;
    if !spec.is_valid() {
        return Err(ErrorCode::InvalidInstrument.into());
    }
    // However long it takes: the next change is made from what this one leaves.
    let answered = state.exchange.see_through(Command::UpdateInstrument(spec)).await?;
    match answered.answer {
        Answer::Done => tracing::info!(symbol = listed.symbol, ?spec, "limits set"),
        Answer::Rejected(RejectReason::NoChange) => {}
        Answer::Rejected(reason) => return Err(ApiError::rejected(reason)),
        _ => return Err(ErrorCode::InternalError.into()),
    }
    let sequence = answered.sequence;
    let listed = convert::symbol(&symbol, &state.views.products())?;
    Ok(at_sequence(&Read { sequence, value: LimitsBody::new(&listed) }))
}

/// The present specification with what the body sets.
fn changed(fields: &mut Fields, listed: &Instrument) -> Result<InstrumentSpec, ApiError> {
    let (tick, lot) = (listed.tick(), i128::from(listed.spec.base_per_lot));
    let (base, quote) = (listed.base.scale, listed.quote.scale);
    let mut reader = Reader { fields };
    let mut spec = listed.spec;
    reader.multiple("min_quantity", base, lot, |lots| spec.min_quantity = Quantity(lots))?;
    reader.multiple("max_quantity", base, lot, |lots| spec.max_quantity = Quantity(lots))?;
    reader.multiple("max_daily_volume", base, lot, |lots| spec.max_daily_volume = lots)?;
    reader.multiple("max_price", PRICE_SCALE, tick, |ticks| spec.max_price = Price(ticks))?;
    reader.multiple("reference_price", PRICE_SCALE, tick, |ticks| {
        spec.reference_price = Price(ticks);
    })?;
    reader.multiple("min_notional", quote, 1, |units| spec.min_notional = units)?;
    reader.multiple("max_notional", quote, 1, |units| spec.max_notional = units)?;
    reader.whole("maker_fee_ppm", &mut spec.maker_fee_ppm)?;
    reader.whole("taker_fee_ppm", &mut spec.taker_fee_ppm)?;
    for (name, number) in [
        ("price_band_bps", &mut spec.price_band_bps),
        ("market_collar_bps", &mut spec.market_collar_bps),
        ("max_open_orders", &mut spec.max_open_orders),
        ("max_book_orders", &mut spec.max_book_orders),
        ("max_iceberg_parts", &mut spec.max_iceberg_parts),
    ] {
        reader.whole(name, number)?;
    }
    Ok(spec)
}

/// Reads limits and names them in refusals.
struct Reader<'a> {
    fields: &'a mut Fields,
}

impl Reader<'_> {
    fn refuse(name: &str, problem: &str) -> ApiError {
        ApiError::field(ErrorCode::InvalidInstrument, name, format!("{name} {problem}"))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        self.fields.text_or(name, Self::refuse(name, "must be a text"))
    }

    /// A decimal that is not negative, in multiples of `unit`, which is not zero.
    fn multiple<T: TryFrom<i128>>(
        &mut self,
        name: &str,
        scale: u8,
        unit: i128,
        set: impl FnOnce(T),
    ) -> Result<(), ApiError> {
        let Some(text) = self.text(name)? else { return Ok(()) };
        let units = parse(&text, scale).map_err(|error| match error {
            DecimalError::Format => Self::refuse(name, "is not a decimal number"),
            DecimalError::Precision => Self::refuse(name, "has too many decimal places"),
            DecimalError::Range => Self::refuse(name, "is too large"),
        })?;
        if units < 0 {
            return Err(Self::refuse(name, "is negative"));
        }
        if units % unit != 0 {
            return Err(Self::refuse(name, "is not a multiple of the tick or lot"));
        }
        set(T::try_from(units / unit).map_err(|_| Self::refuse(name, "is too large"))?);
        Ok(())
    }

    fn whole<T: std::str::FromStr>(&mut self, name: &str, number: &mut T) -> Result<(), ApiError> {
        let Some(text) = self.text(name)? else { return Ok(()) };
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let read = text.parse().ok().filter(|_| is_number);
        *number = read.ok_or_else(|| Self::refuse(name, "is not a whole number within bounds"))?;
        Ok(())
    }
}
