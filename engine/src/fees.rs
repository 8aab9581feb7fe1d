//! Owns fee and hold arithmetic: pure functions over 128-bit integers.
//! Knows nothing of orders or balances. Invariant: fees round once per order, on its running total,
//! so slicing an order never changes what it pays, and a hold always covers what is still to come.

use crate::limits::PPM;
use crate::types::{Amount, SignedAmount};

/// ceil(millionths / 1,000,000): whole quote units of a fee basis.
#[inline]
#[must_use]
pub fn ceil_units(millionths: SignedAmount) -> SignedAmount {
    // Division truncates toward zero, which is the ceiling of a negative number. Nearly every basis
    // fits 64 bits, where dividing by a constant is a multiplication.
    const PPM_64: i64 = 1_000_000;
    const _: () = assert!(PPM_64 as i128 == PPM);
    if let Ok(small) = i64::try_from(millionths)
        && small < i64::MAX - PPM_64
    {
        let up = if small > 0 { PPM_64 - 1 } else { 0 };
        return SignedAmount::from((small + up) / PPM_64);
    }
    let up = if millionths > 0 { PPM - 1 } else { 0 };
    (millionths + up) / PPM
}

/// A quote value as a signed number.
#[inline]
#[must_use]
pub fn signed(amount: Amount) -> SignedAmount {
    match SignedAmount::try_from(amount) {
        Ok(value) => value,
        Err(_) => unreachable!("amounts stay below SUPPLY_MAX"),
    }
}

/// An amount that the rules keep from being negative.
///
/// # Panics
/// If it is negative after all: a broken invariant.
#[inline]
#[must_use]
pub fn unsigned(value: SignedAmount) -> Amount {
    match Amount::try_from(value) {
        Ok(amount) => amount,
        Err(_) => panic!("negative amount {value}"),
    }
}

/// What one fill adds to an order's fee basis, millionths of a quote unit.
#[inline]
#[must_use]
pub fn basis(quote: Amount, rate_ppm: i32) -> SignedAmount {
    signed(quote) * SignedAmount::from(rate_ppm)
}

/// Fee of a fill that moves the order's basis from `before` to `after`, quote units.
#[inline]
#[must_use]
pub fn fee(before: SignedAmount, after: SignedAmount) -> SignedAmount {
    ceil_units(after) - ceil_units(before)
}

/// Quote units that a buy needs so that `notional` more can trade at `rate_ppm`, fee included.
#[inline]
#[must_use]
pub fn buy_hold(notional: Amount, fee_basis: SignedAmount, rate_ppm: i32) -> Amount {
    notional + unsigned(fee(fee_basis, fee_basis + basis(notional, rate_ppm)))
}

/// Most quote value whose cost, fee included, fits `budget`.
///
/// The condition `v + ceil((F + v*r)/M) - ceil(F/M) <= B` is `F + v*(r + M) <= (B + ceil(F/M)) *
/// M`, because the ceiling of x/M is at most n exactly when x is at most n*M.
#[must_use]
pub fn affordable(budget: Amount, fee_basis: SignedAmount, rate_ppm: i32) -> Amount {
    let spendable = (signed(budget) + ceil_units(fee_basis)) * PPM - fee_basis;
    unsigned(spendable / (PPM + SignedAmount::from(rate_ppm)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceiling_is_mathematical_on_both_sides_of_zero_and_past_64_bits() {
        for (millionths, units) in [
            (0, 0),
            (1, 1),
            (999_999, 1),
            (1_000_000, 1),
            (1_000_001, 2),
            (-1, 0),
            (-1_000_000, -1),
            (-1_999_999, -1),
            (i128::from(i64::MAX), 9_223_372_036_855),
            (i128::from(i64::MAX) * 1_000_000, i128::from(i64::MAX)),
            (i128::from(i64::MAX) * 1_000_000 + 1, i128::from(i64::MAX) + 1),
            (i128::from(i64::MIN) * 1_000_000 - 1, i128::from(i64::MIN)),
        ] {
            assert_eq!(ceil_units(millionths), units, "{millionths}");
        }
    }

    #[test]
    fn fees_of_fills_sum_to_the_fee_of_the_whole() {
        // Three fills of 333 at 20 bps: 1 + 1 + 0, where each alone would round up to 1.
        let step = basis(333, 2_000);
        assert_eq!([fee(0, step), fee(step, 2 * step), fee(2 * step, 3 * step)], [1, 1, 0]);
        assert_eq!(buy_hold(999, 0, 2_000), 1_001);
    }

    #[test]
    fn affordable_is_the_largest_value_that_fits() {
        for budget in 0..2_000u128 {
            for (basis_so_far, rate) in [(0, 0), (0, 2_000), (1_234_567, 100_000), (5, 1)] {
                let most = affordable(budget, basis_so_far, rate);
                assert!(buy_hold(most, basis_so_far, rate) <= budget);
                assert!(buy_hold(most + 1, basis_so_far, rate) > budget);
            }
        }
    }
}
