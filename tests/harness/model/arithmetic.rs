//! Owns the formulas of the market: rounding, fees, holds, band, collar, validity of a spec.
//! Knows nothing of state: every number comes in as an argument. Invariant: division here is the
//! mathematical one, toward minus infinity (`floor`) or plus infinity (`ceil`).

use engine::{Amount, InstrumentSpec, Price, Quantity, Side, SignedAmount};

const BPS: i128 = 10_000;
const PPM: i128 = 1_000_000;

/// The largest value of one order and the largest quote budget.
pub(super) const ORDER_VALUE_MAX: Amount = 1 << 96;
/// The largest supply of one asset.
pub(super) const SUPPLY_MAX: Amount = 1 << 120;

pub(super) fn signed(amount: Amount) -> SignedAmount {
    SignedAmount::try_from(amount).expect("amounts stay far below 2^127")
}

pub(super) fn unsigned(amount: SignedAmount) -> Amount {
    Amount::try_from(amount).expect("this amount cannot be negative")
}

fn floor(numerator: i128, denominator: i128) -> i128 {
    numerator.div_euclid(denominator)
}

fn ceil(numerator: i128, denominator: i128) -> i128 {
    -floor(-numerator, denominator)
}

/// Whole quote units that millionths of them cost.
pub(super) fn whole(millionths: SignedAmount) -> SignedAmount {
    ceil(millionths, PPM)
}

/// The wrong rounding, for a model with a defect.
pub(super) fn whole_rounded_down(millionths: SignedAmount) -> SignedAmount {
    floor(millionths, PPM)
}

pub(super) fn base_value(spec: &InstrumentSpec, quantity: Quantity) -> Amount {
    Amount::from(quantity.0).checked_mul(spec.base_per_lot.into()).expect("bounded by the spec")
}

pub(super) fn quote_value(spec: &InstrumentSpec, price: Price, quantity: Quantity) -> Amount {
    exact_quote_value(spec, price, quantity).expect("an admitted order is small enough")
}

/// The same before it is known to be small enough: a resting price may be older than the spec.
pub(super) fn exact_quote_value(
    spec: &InstrumentSpec,
    price: Price,
    quantity: Quantity,
) -> Option<Amount> {
    let ticks = Amount::try_from(price.0).expect("prices of orders are positive");
    let tick_lots = ticks.checked_mul(quantity.0.into())?;
    tick_lots.checked_mul(spec.quote_per_tick_lot.into())
}

/// Quote units that `notional` costs at `rate_ppm`, fee included, when fees on `fee_basis`
/// millionths were already charged.
pub(super) fn cost(notional: Amount, fee_basis: SignedAmount, rate_ppm: i32) -> Amount {
    let more = signed(notional) * i128::from(rate_ppm);
    notional + unsigned(whole(fee_basis + more) - whole(fee_basis))
}

/// Lowest and highest price that the band around `reference` allows, if there is one.
pub(super) fn band(spec: &InstrumentSpec, reference: i64) -> Option<(i64, i64)> {
    if spec.price_band_bps == 0 || reference == 0 {
        return None;
    }
    let width = i128::from(spec.price_band_bps);
    let low = ceil(i128::from(reference) * (BPS - width), BPS).max(1);
    let high = floor(i128::from(reference) * (BPS + width), BPS);
    Some((ticks(low), ticks(high)))
}

/// Worst price that the collar around `price` leaves.
pub(super) fn collar(spec: &InstrumentSpec, side: Side, price: i64) -> i64 {
    let width = i128::from(spec.market_collar_bps);
    match side {
        Side::Buy => ticks(floor(i128::from(price) * (BPS + width), BPS)).min(spec.max_price.0),
        Side::Sell => ticks(ceil(i128::from(price) * (BPS - width), BPS)).max(1),
    }
}

/// Worst price of a MARKET order that meets `best` on the other side.
pub(super) fn cap(spec: &InstrumentSpec, reference: i64, side: Side, best: i64) -> i64 {
    let limit = collar(spec, side, best);
    band(spec, reference).map_or(limit, |(low, high)| match side {
        Side::Buy => limit.min(high),
        Side::Sell => limit.max(low),
    })
}

/// The one of two limits that allows less.
pub(super) fn tighter(side: Side, left: i64, right: i64) -> i64 {
    match side {
        Side::Buy => left.min(right),
        Side::Sell => left.max(right),
    }
}

/// Where a stop that trails `reference` by ticks or basis points would be triggered.
pub(super) fn trailing_trigger(side: Side, reference: i64, by_ticks: i64, bps: u32) -> i128 {
    let (reference, by_ticks, bps) = (i128::from(reference), i128::from(by_ticks), i128::from(bps));
    match (side, bps) {
        (Side::Buy, 0) => reference + by_ticks,
        (Side::Sell, 0) => reference - by_ticks,
        (Side::Buy, _) => ceil(reference * (BPS + bps), BPS),
        (Side::Sell, _) => floor(reference * (BPS - bps), BPS),
    }
}

fn ticks(value: i128) -> i64 {
    i64::try_from(value).expect("prices stay far below 2^63")
}

/// Every rule that a spec must satisfy, in the order of its fields.
pub(super) fn spec_is_valid(spec: &InstrumentSpec) -> bool {
    const PRICE_OR_QUANTITY_MAX: u64 = 1 << 47;
    let most_lots = spec.max_quantity.0;
    let Ok(most_ticks) = u64::try_from(spec.max_price.0) else { return false };
    let fits = |factors: [u64; 3]| {
        let product = factors.iter().try_fold(1u128, |p, f| p.checked_mul(u128::from(*f)));
        product.is_some_and(|value| value <= ORDER_VALUE_MAX)
    };
    spec.instrument.0 != 0
        && spec.base_asset != spec.quote_asset
        && spec.base_per_lot >= 1
        && fits([most_lots, spec.base_per_lot, 1])
        && spec.quote_per_tick_lot >= 1
        && fits([most_ticks, most_lots, spec.quote_per_tick_lot])
        && (1..=PRICE_OR_QUANTITY_MAX).contains(&most_ticks)
        && 1 <= spec.min_quantity.0
        && spec.min_quantity <= spec.max_quantity
        && most_lots <= PRICE_OR_QUANTITY_MAX
        && (spec.max_notional == 0 || spec.min_notional <= spec.max_notional)
        && (0..=100_000).contains(&spec.taker_fee_ppm)
        && (-spec.taker_fee_ppm..=100_000).contains(&spec.maker_fee_ppm)
        && spec.price_band_bps <= 9_999
        && (1..=100_000).contains(&spec.market_collar_bps)
        && (0..=spec.max_price.0).contains(&spec.reference_price.0)
        && spec.max_open_orders >= 1
        && spec.max_book_orders >= 1
        && spec.max_iceberg_parts >= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_mathematical_on_both_sides_of_zero() {
        for (millionths, up, down) in [
            (0, 0, 0),
            (1, 1, 0),
            (1_000_000, 1, 1),
            (1_000_001, 2, 1),
            (-1, 0, -1),
            (-1_000_000, -1, -1),
            (-1_000_001, -1, -2),
        ] {
            assert_eq!((whole(millionths), whole_rounded_down(millionths)), (up, down));
        }
    }

    #[test]
    fn a_hold_pays_for_the_worked_example() {
        // 3 lots at 50,000 ticks of 50 units, fee 20 basis points.
        assert_eq!(cost(7_500_000, 0, 2_000), 7_515_000);
    }
}
