//! Owns the reading of changes to an order. Knows nothing of where the order stands now, which is
//! the engine's to know. Invariant: what an order of its kind never has is never set.

use engine::{AmendOrder, OrderType, Quantity};

use super::read_limit_price;
use super::size::{check_display, read_quantity};
use super::stop::read_stop_price;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::views::{Instrument, OrderRecord};

/// Reads `{price?, quantity?, stop_price?}` for an order.
pub(crate) fn read_amend(
    mut fields: Fields,
    record: &OrderRecord,
    instrument: &Instrument,
) -> Result<AmendOrder, ApiError> {
    let price = read_limit_price(&mut fields, instrument)?;
    let quantity = read_quantity(&mut fields, instrument)?;
    let stop_price = read_stop_price(&mut fields, instrument)?;
    fields.finish()?;
    if price.is_none() && quantity.is_none() && stop_price.is_none() {
        let text = "price, quantity or stop_price is required";
        return Err(ApiError::field(ErrorCode::ValidationError, "price", text));
    }
    let kind = record.order_type;
    if price.is_some() && !kind.has_price() {
        let text = "this order has no price to change";
        return Err(ApiError::field(ErrorCode::InvalidPrice, "price", text));
    }
    if quantity.is_some() && record.quote_budget > 0 {
        let text = "the quantity of an order by quote_quantity cannot be changed";
        return Err(ApiError::field(ErrorCode::InvalidQuantity, "quantity", text));
    }
    let has_stop_price = kind.is_stop() && kind != OrderType::TrailingStop;
    if stop_price.is_some() && !(has_stop_price && record.awaits_trigger()) {
        let text = "this order has no stop price to change";
        return Err(ApiError::field(ErrorCode::InvalidStopPrice, "stop_price", text));
    }
    if let Some(quantity) = quantity.filter(|_| record.display > Quantity(0)) {
        check_display(record.display, quantity, instrument)?;
    }
    Ok(AmendOrder {
        account: record.account,
        order_id: record.id,
        new_price: price.unwrap_or_default(),
        new_quantity: quantity.unwrap_or_default(),
        new_trigger: stop_price.unwrap_or_default(),
    })
}
