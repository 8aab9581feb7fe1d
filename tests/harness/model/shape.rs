//! Owns which fields an order of each type must, may and must not have. Knows nothing of state.
//! Invariant: what a field may be depends on the order itself and on its instrument's spec.

use engine::command::NewOrder;
use engine::{
    InstrumentSpec, OrderType, Quantity, RejectReason, SelfTradePolicy, Side, TimeInForce,
};

use super::admission::is_by_budget;
use super::order::{is_market_form, is_stop};
use super::{Verdict, is_key, refuse_if};

/// Codes 6 to 11.
pub(super) fn check_fields(order: &NewOrder, spec: &InstrumentSpec) -> Verdict {
    let market_form = is_market_form(order.order_type);
    let trails = order.order_type == OrderType::TrailingStop;
    let triggers = is_stop(order.order_type) && !trails;
    refuse_if(has_forbidden_field(order), RejectReason::InvalidField)?;
    refuse_if(!time_in_force_fits(order), RejectReason::InvalidTimeInForce)?;
    let nothing = order.quantity.0 == 0 && !is_by_budget(order);
    refuse_if(nothing, RejectReason::InvalidQuantity)?;
    check_display(order.display, order.quantity, spec)?;
    let legal = 1..=spec.max_price.0;
    refuse_if(!market_form && !legal.contains(&order.price.0), RejectReason::InvalidPrice)?;
    refuse_if(triggers && !legal.contains(&order.trigger.0), RejectReason::InvalidStop)?;
    let one_offset = match (order.trail_ticks, order.trail_bps) {
        (ticks, 0) => ticks > 0,
        (0, bps) => bps <= 9_999,
        (_, _) => false,
    };
    refuse_if(trails && !one_offset, RejectReason::InvalidStop)
}

/// Code 9: an order may show all that it has, or at least so much that its parts are few.
pub(super) fn check_display(
    display: Quantity,
    quantity: Quantity,
    spec: &InstrumentSpec,
) -> Verdict {
    let smallest = quantity.0.div_ceil(spec.max_iceberg_parts.into());
    let bad = display.0 != 0 && !(smallest..=quantity.0).contains(&display.0);
    refuse_if(bad, RejectReason::InvalidQuantity)
}

/// Whether a field is set that an order of this type does not have.
fn has_forbidden_field(order: &NewOrder) -> bool {
    let trail = order.trail_ticks != 0 || order.trail_bps != 0;
    let price = order.price.0 != 0;
    let trigger = order.trigger.0 != 0;
    let parts = order.post_only || order.display.0 != 0;
    let budget = is_by_budget(order);
    // Only a buy has a budget, in place of a quantity, and nothing could be taken off it in lots.
    let bad_budget = budget
        && (order.side == Side::Sell
            || order.quantity.0 != 0
            || order.self_trade_policy == SelfTradePolicy::Decrement);
    let of_type = match order.order_type {
        OrderType::Limit => trigger || trail || budget,
        OrderType::Market => price || trigger || trail || parts || bad_budget,
        OrderType::Stop | OrderType::TakeProfit => price || trail || parts || bad_budget,
        OrderType::StopLimit | OrderType::TakeProfitLimit => trail || budget,
        OrderType::TrailingStop => price || trigger || parts || budget,
    };
    let stray_expiry = order.expire_at_ns != 0 && order.time_in_force != TimeInForce::Gtd;
    of_type || stray_expiry || (order.credit_amount != 0 && !is_key(order.credit_id))
}

fn time_in_force_fits(order: &NewOrder) -> bool {
    let parts = order.post_only || order.display.0 != 0;
    match (order.order_type, order.time_in_force) {
        (OrderType::Market, TimeInForce::Ioc) => true,
        (OrderType::Market, TimeInForce::Fok) => !is_by_budget(order),
        (OrderType::Market, TimeInForce::Gtc | TimeInForce::Gtd | TimeInForce::Day) => false,
        (
            OrderType::Limit | OrderType::StopLimit | OrderType::TakeProfitLimit,
            TimeInForce::Ioc | TimeInForce::Fok,
        ) => !parts,
        (_, TimeInForce::Ioc | TimeInForce::Fok) => false,
        (_, TimeInForce::Gtc | TimeInForce::Gtd | TimeInForce::Day) => true,
    }
}
