//! Owns the reading of what starts a stop order: a price, or a distance to trail the market by.
//! Knows nothing of when it is met. Invariant: an order has exactly what its type takes.

use engine::{OrderType, Price};

use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::views::Instrument;

/// What starts an order; all 0 for one that does not wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StopTerms {
    pub(super) trigger: Price,
    /// One of the two of a trailing stop.
    pub(super) trail_ticks: i64,
    pub(super) trail_bps: u32,
}

fn refuse(field: &str, text: &'static str) -> ApiError {
    ApiError::field(ErrorCode::InvalidStopPrice, field, text)
}

pub(super) fn read(
    fields: &mut Fields,
    order_type: OrderType,
    instrument: &Instrument,
) -> Result<StopTerms, ApiError> {
    if order_type == OrderType::TrailingStop {
        refuse_given(fields, "stop_price", "trailing stop orders have no stop_price of their own")?;
        return read_trail(fields, instrument);
    }
    for field in ["trail_amount", "trail_percent"] {
        refuse_given(fields, field, "only trailing stop orders trail the market")?;
    }
    if !order_type.is_stop() {
        let text = "only stop and take-profit orders have a stop_price";
        refuse_given(fields, "stop_price", text)?;
        return Ok(StopTerms::default());
    }
    let trigger = read_stop_price(fields, instrument)?
        .ok_or_else(|| refuse("stop_price", "stop price must be greater than 0 for stop orders"))?;
    Ok(StopTerms { trigger, ..StopTerms::default() })
}

/// The stop price of an order or of a change to one.
pub(super) fn read_stop_price(
    fields: &mut Fields,
    instrument: &Instrument,
) -> Result<Option<Price>, ApiError> {
    let text = fields.text_or("stop_price", refuse("stop_price", "invalid stop price format"))?;
    text.map(|text| convert::stop_price(&text, instrument)).transpose()
}

fn refuse_given(fields: &mut Fields, field: &str, text: &'static str) -> Result<(), ApiError> {
    if fields.is_given(field) { Err(refuse(field, text)) } else { Ok(()) }
}

fn read_trail(fields: &mut Fields, instrument: &Instrument) -> Result<StopTerms, ApiError> {
    const ONE: &str = "exactly one of trail_amount and trail_percent is required";
    let no_amount = refuse("trail_amount", "invalid trail amount format");
    let no_percent = refuse("trail_percent", "invalid trail percent format");
    let amount = fields.text_or("trail_amount", no_amount)?;
    let percent = fields.text_or("trail_percent", no_percent)?;
    match (amount, percent) {
        (Some(text), None) => {
            let trail_ticks = convert::trail_amount(&text, instrument)?;
            Ok(StopTerms { trail_ticks, ..StopTerms::default() })
        }
        (None, Some(text)) => {
            Ok(StopTerms { trail_bps: convert::trail_percent(&text)?, ..StopTerms::default() })
        }
        _ => Err(refuse("trail_amount", ONE)),
    }
}
