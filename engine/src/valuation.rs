//! Owns what an order is worth before it has traded: the prices that it goes by, its notional, and
//! the band and the collar that bound them; reasons 25 to 30.
//! Changes nothing. Invariant: an order that passes has a limit at which its hold can be computed.

use crate::command::NewOrder;
use crate::engine::{Checked, Engine, Instrument};
use crate::fees;
use crate::limits::ORDER_VALUE_MAX;
use crate::reject::RejectReason;
use crate::trailing_range::trailing_trigger;
use crate::types::{Amount, OrderType, Price, Quantity, Side};

/// The prices that an order is let in at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    /// Worst price that it may trade at.
    pub(crate) limit: Price,
    /// 0 for an order that waits for none.
    pub(crate) trigger: Price,
}

impl Engine {
    /// Reasons 25 to 30; gives the prices that the order goes by.
    pub(crate) fn check_value(
        &self,
        order: &NewOrder,
        instrument: &Instrument,
        opposite: Option<Price>,
    ) -> Checked<Value> {
        let trigger =
            if order.is_trailing() { first_trigger(order, instrument)? } else { order.trigger };
        let band = instrument.band(self.last_sequence);
        let limit = match order.order_type {
            OrderType::Limit => {
                instrument.check_notional_at(order.price, order.quantity)?;
                check_band(order.price, band)?;
                order.price
            }
            OrderType::StopLimit | OrderType::TakeProfitLimit => {
                instrument.check_notional_at(order.price, order.quantity)?;
                check_band(order.price, instrument.spec.band(trigger))?;
                order.price
            }
            OrderType::Stop | OrderType::TakeProfit | OrderType::TrailingStop => {
                check_notional_or_budget(order, instrument, trigger)?;
                instrument.spec.collar(order.side, trigger)
            }
            OrderType::Market => {
                let best = opposite.ok_or(RejectReason::NoLiquidity)?;
                check_notional_or_budget(order, instrument, best)?;
                collar_within(instrument, order.side, best, band)?
            }
        };
        Ok(Value { limit, trigger })
    }
}

impl Instrument {
    /// The price band of this command, if there is one: around the last trade before it, or the
    /// spec's reference before the first.
    pub(crate) fn band(&self, sequence: u64) -> Option<(Price, Price)> {
        let frozen = self.frozen_reference.filter(|(of, _)| *of == sequence);
        self.spec.band(frozen.map_or_else(|| self.reference(), |(_, reference)| reference))
    }

    fn reference(&self) -> Price {
        if self.last_price.0 == 0 { self.spec.reference_price } else { self.last_price }
    }

    /// Keeps the reference of the band for the rest of a command, whatever its drain trades.
    pub(crate) fn freeze_reference(&mut self, sequence: u64) {
        if self.frozen_reference.is_none_or(|(of, _)| of != sequence) {
            self.frozen_reference = Some((sequence, self.reference()));
        }
    }

    /// Reasons 28 and 29 for a quantity at a price. A valid spec keeps its own orders below the
    /// absolute bound, but a resting order may have entered under an older spec, so its price times
    /// a new quantity may pass it.
    pub(crate) fn check_notional_at(&self, price: Price, quantity: Quantity) -> Checked<()> {
        let value = self.spec.checked_quote_value(price, quantity);
        self.check_notional(value.ok_or(RejectReason::NotionalAboveMax)?)
    }

    fn check_notional(&self, notional: Amount) -> Checked<()> {
        if notional < self.spec.min_notional {
            return Err(RejectReason::NotionalBelowMin);
        }
        let above_limit = self.spec.max_notional > 0 && notional > self.spec.max_notional;
        if above_limit || notional > ORDER_VALUE_MAX {
            return Err(RejectReason::NotionalAboveMax);
        }
        Ok(())
    }
}

/// Reasons 25 and 26: the trigger that a trailing stop starts with.
fn first_trigger(order: &NewOrder, instrument: &Instrument) -> Checked<Price> {
    let reference = instrument.last_price;
    if reference == Price(0) {
        return Err(RejectReason::NoReferencePrice);
    }
    trailing_trigger(order.side, reference, order.trail_ticks, order.trail_bps)
        .filter(|trigger| *trigger <= instrument.spec.max_price)
        .ok_or(RejectReason::TriggerOutOfRange)
}

/// Reasons 28 and 29 of an order without a price: its budget, or its quantity at `price`.
fn check_notional_or_budget(
    order: &NewOrder,
    instrument: &Instrument,
    price: Price,
) -> Checked<()> {
    if order.is_by_budget() {
        return instrument.check_notional(order.quote_budget);
    }
    instrument.check_notional_at(price, order.quantity)
}

/// Reason 30 of a MARKET order, and the collar that it trades within, which ends at the band.
fn collar_within(
    instrument: &Instrument,
    side: Side,
    best: Price,
    band: Option<(Price, Price)>,
) -> Checked<Price> {
    let collar = instrument.spec.collar(side, best);
    match (side, band) {
        (Side::Buy, Some((_, high))) if best > high => Err(RejectReason::PriceBand),
        (Side::Sell, Some((low, _))) if best < low => Err(RejectReason::PriceBand),
        (Side::Buy, Some((_, high))) => Ok(collar.min(high)),
        (Side::Sell, Some((low, _))) => Ok(collar.max(low)),
        (_, None) => Ok(collar),
    }
}

/// Reason 30 for a limit price.
pub(crate) fn check_band(price: Price, band: Option<(Price, Price)>) -> Checked<()> {
    match band {
        Some((low, high)) if price < low || price > high => Err(RejectReason::PriceBand),
        _ => Ok(()),
    }
}

/// Lots that an order counts for in a day's volume: its quantity, or what its budget, if it has
/// one, is worth at `price`.
pub(crate) fn lots(
    quantity: Quantity,
    budget: Amount,
    instrument: &Instrument,
    price: Option<Price>,
) -> u128 {
    match price {
        Some(price) if budget > 0 => budget / instrument.spec.quote_value(price, Quantity(1)),
        _ => quantity.0.into(),
    }
}

/// Most lots that `budget` pays for at `price`, fee included.
pub(crate) fn budget_quantity(
    budget: Amount,
    fee_basis: i128,
    rate_ppm: i32,
    instrument: &Instrument,
    price: Price,
) -> Quantity {
    let lots = fees::affordable(budget, fee_basis, rate_ppm)
        / instrument.spec.quote_value(price, Quantity(1));
    Quantity(u64::try_from(lots).unwrap_or(u64::MAX))
}
