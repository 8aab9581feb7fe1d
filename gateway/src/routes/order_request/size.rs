//! Owns the reading of how much an order is for, and how much of it is shown.
//! Knows nothing of balances. Invariant: an order has a quantity or a budget, never both.

use engine::{OrderType, Quantity, Side, TimeInForce};

use super::lifetime::stays;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::views::Instrument;

/// What the body says about quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// 0 for an order by budget.
    pub(super) quantity: Quantity,
    /// Quote units; 0 for an order by quantity.
    pub(super) quote_budget: u128,
}

fn refuse(field: &str, text: &'static str) -> ApiError {
    ApiError::field(ErrorCode::InvalidQuantity, field, text)
}

pub(super) fn read(
    fields: &mut Fields,
    order_type: OrderType,
    side: Side,
    instrument: &Instrument,
) -> Result<Size, ApiError> {
    const BUDGET: &str = "quote_quantity";
    let quantity = read_quantity(fields, instrument)?;
    let budget = fields.text_or(BUDGET, refuse(BUDGET, "invalid quote_quantity format"))?;
    let takes_budget = side == Side::Buy
        && matches!(order_type, OrderType::Market | OrderType::Stop | OrderType::TakeProfit);
    match (quantity, budget) {
        (Some(quantity), None) => Ok(Size { quantity, quote_budget: 0 }),
        (None, Some(text)) if takes_budget => {
            let quote_budget = convert::budget(&text, &instrument.quote)?;
            Ok(Size { quantity: Quantity(0), quote_budget })
        }
        (None, Some(_)) => {
            Err(refuse(BUDGET, "quote_quantity is only allowed for market buy orders"))
        }
        (Some(_), Some(_)) => {
            Err(refuse(BUDGET, "exactly one of quantity and quote_quantity is required"))
        }
        (None, None) => Err(refuse("quantity", "quantity is required")),
    }
}

/// The quantity of an order or of a change to one.
pub(super) fn read_quantity(
    fields: &mut Fields,
    instrument: &Instrument,
) -> Result<Option<Quantity>, ApiError> {
    let text = fields.text_or("quantity", refuse("quantity", "invalid quantity format"))?;
    text.map(|text| convert::quantity(&text, instrument)).transpose()
}

/// What an iceberg shows at most; 0 for an order that shows all.
pub(super) fn read_display(
    fields: &mut Fields,
    order_type: OrderType,
    time_in_force: TimeInForce,
    size: &Size,
    instrument: &Instrument,
) -> Result<Quantity, ApiError> {
    const FIELD: &str = "display_quantity";
    let text = fields.text_or(FIELD, refuse(FIELD, "invalid display_quantity format"))?;
    let Some(text) = text else { return Ok(Quantity(0)) };
    if !order_type.has_price() {
        return Err(refuse(FIELD, "display_quantity is not allowed for market orders"));
    }
    if !stays(time_in_force) {
        return Err(refuse(FIELD, "display_quantity cannot be combined with IOC or FOK"));
    }
    let display = convert::display_quantity(&text, instrument)?;
    check_display(display, size.quantity, instrument)?;
    Ok(display)
}

/// An iceberg shows no more than all of it, and comes in no more parts than the symbol allows.
pub(super) fn check_display(
    display: Quantity,
    quantity: Quantity,
    instrument: &Instrument,
) -> Result<(), ApiError> {
    let refuse =
        |text: String| ApiError::field(ErrorCode::InvalidQuantity, "display_quantity", text);
    if display > quantity {
        return Err(refuse("display_quantity is larger than quantity".to_owned()));
    }
    let parts = instrument.spec.max_iceberg_parts;
    if display.0 < quantity.0.div_ceil(u64::from(parts)) {
        return Err(refuse(format!("display_quantity is less than 1/{parts} of quantity")));
    }
    Ok(())
}
