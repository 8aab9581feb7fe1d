//! Owns what trailing stops of one side have in common that stand next to each other: where their
//! references lie, and the tightest trigger; and the arithmetic of a trigger that trails a price.
//! Knows nothing of where orders stand. Invariant: of orders with one reference, the smallest
//! offsets are all that the tightest trigger takes.
//!
//! Heights stand for prices, so that both sides are one case: of a sell the price, of a buy its
//! negative. References only climb, and a height that falls to a trigger meets it.

use crate::order_details::OrderDetails;
use crate::types::{Price, Side};

/// Offset that no order has.
const NO_TICKS: i64 = i64::MAX;
const NO_BPS: u32 = u32::MAX;

/// What is known of the orders in a range of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Heights between which their references lie. If they are equal, ranges within this one may
    /// still have to learn of it.
    pub(crate) lowest: i64,
    pub(crate) highest: i64,
    /// Height of the trigger that is met first.
    pub(crate) trigger: i64,
    /// Smallest offsets.
    ticks: i64,
    bps: u32,
}

impl Range {
    /// Of no order: lowest above highest, nothing to meet.
    pub(crate) const EMPTY: Self = Self {
        lowest: i64::MAX,
        highest: i64::MIN,
        trigger: i64::MIN,
        ticks: NO_TICKS,
        bps: NO_BPS,
    };

    /// Of one order, by its reference as the details have it.
    pub(crate) fn of(side: Side, details: &OrderDetails) -> Self {
        let mut range = match details.trail_ticks {
            0 => Self { bps: details.trail_bps, ..Self::EMPTY },
            ticks => Self { ticks, ..Self::EMPTY },
        };
        range.pull(side, height(side, details.trail_reference));
        range
    }

    /// Gives all orders of a range that is not empty one reference.
    pub(crate) fn pull(&mut self, side: Side, reference: i64) {
        (self.lowest, self.highest) = (reference, reference);
        let by_ticks = (self.ticks != NO_TICKS).then_some((self.ticks, 0));
        let by_bps = (self.bps != NO_BPS).then_some((0, self.bps));
        let offsets = by_ticks.into_iter().chain(by_bps);
        let triggers = offsets.map(|(ticks, bps)| {
            let trigger = legal_trigger(side, price(side, reference), ticks, bps);
            height(side, trigger)
        });
        self.trigger = triggers.max().unwrap_or(i64::MIN);
    }

    /// Of the orders of both.
    pub(crate) fn joined(self, other: Self) -> Self {
        Self {
            lowest: self.lowest.min(other.lowest),
            highest: self.highest.max(other.highest),
            trigger: self.trigger.max(other.trigger),
            ticks: self.ticks.min(other.ticks),
            bps: self.bps.min(other.bps),
        }
    }
}

/// Height that stands for a price.
pub(crate) fn height(side: Side, price: Price) -> i64 {
    if side == Side::Sell { price.0 } else { -price.0 }
}

/// Price that a height stands for.
pub(crate) fn price(side: Side, height: i64) -> Price {
    Price(if side == Side::Sell { height } else { -height })
}

/// Trigger of a trailing order that was let in.
pub(crate) fn legal_trigger(
    side: Side,
    reference: Price,
    trail_ticks: i64,
    trail_bps: u32,
) -> Price {
    match trailing_trigger(side, reference, trail_ticks, trail_bps) {
        Some(trigger) => trigger,
        None => unreachable!("the trigger was legal and has moved toward the reference"),
    }
}

/// Trigger of a trailing order at its offset from `reference`: above it for a buy, rounded up,
/// below it for a sell, rounded down. `None` if it is no positive 64-bit price.
pub(crate) fn trailing_trigger(
    side: Side,
    reference: Price,
    trail_ticks: i64,
    trail_bps: u32,
) -> Option<Price> {
    let price = if trail_ticks > 0 {
        match side {
            Side::Buy => reference.0.checked_add(trail_ticks)?,
            Side::Sell => reference.0.checked_sub(trail_ticks)?,
        }
    } else {
        reference.offset_by_bps(side, trail_bps).0
    };
    (price > 0).then_some(Price(price))
}
