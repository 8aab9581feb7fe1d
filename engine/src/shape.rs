//! Owns the checks of what a new order says about itself, reasons 6 to 12 in their precedence.
//! Knows nothing of the book or of money. Invariant: an order that passes has exactly the fields
//! that its type takes.

use crate::command::NewOrder;
use crate::engine::{Checked, Instrument};
use crate::limits::{ORDER_VALUE_MAX, PRICE_TICKS_MAX, QUANTITY_LOTS_MAX, TRAIL_BPS_MAX};
use crate::reject::RejectReason;
use crate::risk::Funds;
use crate::types::{OrderType, Price, Quantity, SelfTradePolicy, Side, TimeInForce, TransferId};

impl NewOrder {
    pub(crate) fn is_by_budget(&self) -> bool {
        self.quote_budget > 0
    }

    pub(crate) fn is_trailing(&self) -> bool {
        self.order_type == OrderType::TrailingStop
    }

    /// Whether its time in force lets it stay after it was matched.
    pub(crate) fn stays(&self) -> bool {
        !matches!(self.time_in_force, TimeInForce::Ioc | TimeInForce::Fok)
    }

    /// Whether it may become a live order that waits, in the book or for its trigger.
    pub(crate) fn may_wait(&self) -> bool {
        self.order_type.is_stop() || self.order_type == OrderType::Limit && self.stays()
    }
}

/// Reasons 6 to 13.
pub(crate) fn check_shape(
    order: &NewOrder,
    instrument: &Instrument,
    now_ns: u64,
    funds: Funds<'_>,
) -> Checked<()> {
    let highest = instrument.spec.max_price;
    let is_legal = |price: Price| (1..=highest.0).contains(&price.0);
    if !fields_are_legal(order, funds) {
        return Err(RejectReason::InvalidField);
    }
    if !time_in_force_is_legal(order) {
        return Err(RejectReason::InvalidTimeInForce);
    }
    if order.quantity.0 == 0 && !order.is_by_budget() {
        return Err(RejectReason::InvalidQuantity);
    }
    check_display(order.display, order.quantity, instrument)?;
    if order.order_type.has_price() && !is_legal(order.price) {
        return Err(RejectReason::InvalidPrice);
    }
    let trigger_is_legal = if order.is_trailing() {
        offset_is_legal(order)
    } else {
        !order.order_type.is_stop() || is_legal(order.trigger)
    };
    if !trigger_is_legal {
        return Err(RejectReason::InvalidStop);
    }
    if order.time_in_force == TimeInForce::Gtd && order.expire_at_ns <= now_ns {
        return Err(RejectReason::InvalidExpiry);
    }
    if order.credit_id != TransferId(0) && order.credit_amount == 0 {
        return Err(RejectReason::InvalidAmount);
    }
    Ok(())
}

/// Reason 9 for an iceberg: what it shows is neither more than all of it, nor so little that it
/// comes in more parts than the instrument allows.
pub(crate) fn check_display(
    display: Quantity,
    quantity: Quantity,
    instrument: &Instrument,
) -> Checked<()> {
    let least = quantity.0.div_ceil(u64::from(instrument.spec.max_iceberg_parts));
    if display.0 > 0 && !(least..=quantity.0).contains(&display.0) {
        return Err(RejectReason::InvalidQuantity);
    }
    Ok(())
}

/// Reason 6: nothing is set that the order's type does not take.
fn fields_are_legal(order: &NewOrder, funds: Funds<'_>) -> bool {
    let no_trigger = order.trigger == Price(0);
    let no_trail = order.trail_ticks == 0 && order.trail_bps == 0;
    let no_price = order.price == Price(0) && order.display == Quantity(0) && !order.post_only;
    let by_type = match order.order_type {
        OrderType::Limit => no_trigger && no_trail && !order.is_by_budget(),
        OrderType::Market => no_trigger && no_trail && no_price && budget_is_legal(order),
        OrderType::Stop | OrderType::TakeProfit => no_trail && no_price && budget_is_legal(order),
        OrderType::StopLimit | OrderType::TakeProfitLimit => no_trail && !order.is_by_budget(),
        OrderType::TrailingStop => no_trigger && no_price && !order.is_by_budget(),
    };
    let expiry_matches = order.time_in_force == TimeInForce::Gtd || order.expire_at_ns == 0;
    let credit_matches = if order.credit_id == TransferId(0) {
        order.credit_amount == 0
    } else {
        matches!(funds, Funds::Own)
    };
    by_type && expiry_matches && credit_matches
}

/// Only a buy may name a budget, instead of a quantity; what prevention takes from an order is
/// counted in lots, which one by budget has none of.
fn budget_is_legal(order: &NewOrder) -> bool {
    !order.is_by_budget()
        || order.side == Side::Buy
            && order.quantity == Quantity(0)
            && order.self_trade_policy != SelfTradePolicy::Decrement
}

/// Reason 8.
fn time_in_force_is_legal(order: &NewOrder) -> bool {
    match order.order_type {
        OrderType::Market => {
            !(order.stays() || order.is_by_budget() && order.time_in_force == TimeInForce::Fok)
        }
        OrderType::Limit | OrderType::StopLimit | OrderType::TakeProfitLimit => {
            order.stays() || !order.post_only && order.display == Quantity(0)
        }
        OrderType::Stop | OrderType::TakeProfit | OrderType::TrailingStop => order.stays(),
    }
}

/// Whether an order that was let in, and may have been amended, can look like this: all that holds
/// whatever the spec of its instrument was then.
pub(crate) fn may_have_entered(order: &NewOrder) -> bool {
    let is_price = |price: Price| (1..=PRICE_TICKS_MAX).contains(&price.0);
    let has_quantity = (1..=QUANTITY_LOTS_MAX).contains(&order.quantity.0);
    let trigger_is_legal = if order.is_trailing() {
        offset_is_legal(order)
    } else {
        !order.order_type.is_stop() || is_price(order.trigger)
    };
    fields_are_legal(order, Funds::Announced)
        && time_in_force_is_legal(order)
        && (has_quantity || order.is_by_budget())
        && order.quote_budget <= ORDER_VALUE_MAX
        && order.display <= order.quantity
        && (!order.order_type.has_price() || is_price(order.price))
        && trigger_is_legal
        && (order.time_in_force != TimeInForce::Gtd || order.expire_at_ns > 0)
}

/// Exactly one offset, and that above zero.
fn offset_is_legal(order: &NewOrder) -> bool {
    let by_ticks = order.trail_ticks > 0 && order.trail_bps == 0;
    let by_bps = order.trail_ticks == 0 && (1..=TRAIL_BPS_MAX).contains(&order.trail_bps);
    by_ticks || by_bps
}
