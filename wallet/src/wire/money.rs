//! Owns money as text: units of an asset to exact decimals and back, prices, base times price.
//! Knows nothing of bodies. Invariant: what cannot be written or read exactly is refused.

use engine::decimal::{self, DecimalError};
use engine::{Amount, SignedAmount};
use rust_decimal::Decimal;

use super::assets::WireError;

/// Units from text, zero or more.
pub(super) fn units(field: &'static str, text: &str, scale: u8) -> Result<Amount, WireError> {
    let units = signed_units(field, text, scale)?;
    Amount::try_from(units).map_err(|_| WireError::new(field, "must not be negative"))
}

/// Units from text.
pub(super) fn signed_units(
    field: &'static str,
    text: &str,
    scale: u8,
) -> Result<SignedAmount, WireError> {
    decimal::parse(text, scale).map_err(|error| {
        WireError::new(
            field,
            match error {
                DecimalError::Format => "must be a decimal in text",
                DecimalError::Precision => "has more decimal places than the asset",
                DecimalError::Range => "is too large",
            },
        )
    })
}

/// Text of units, canonical.
pub(super) fn text(field: &'static str, units: Amount, scale: u8) -> Result<String, WireError> {
    let units = SignedAmount::try_from(units).map_err(|_| WireError::new(field, "is too large"))?;
    Ok(signed_text(units, scale))
}

/// Text of units, canonical.
pub(super) fn signed_text(units: SignedAmount, scale: u8) -> String {
    decimal::Decimal { units, scale }.to_string()
}

/// A price from text, above zero, by the same grammar as amounts.
pub(super) fn price(field: &'static str, text: &str) -> Result<Decimal, WireError> {
    let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let scale = u8::try_from(places).ok().filter(|scale| u32::from(*scale) <= Decimal::MAX_SCALE);
    let scale = scale.ok_or_else(|| WireError::new(field, "has too many decimal places"))?;
    let units = signed_units(field, text, scale)?;
    let price = Decimal::try_from_i128_with_scale(units, scale.into())
        .map_err(|_| WireError::new(field, "is too large"))?;
    if price <= Decimal::ZERO {
        return Err(WireError::new(field, "must be greater than 0"));
    }
    Ok(price.normalize())
}

/// Text of a price, canonical.
pub(super) fn price_text(price: Decimal) -> String {
    price.normalize().to_string()
}

/// Base amount times price in units of the quote asset; `None` if that is not a whole number of
/// units, or more than any amount.
///
/// All decimal places of the three factors come to one power of ten. Where it divides, its twos
/// and fives are taken out of the factors before they are multiplied, so that nothing is rounded
/// and nothing overflows that the result does not.
#[must_use]
pub fn quote_of(
    base_amount: Amount,
    base_scale: u8,
    price: Decimal,
    quote_scale: u8,
) -> Option<Amount> {
    let mut price_units = Amount::try_from(price.mantissa()).ok()?;
    let mut base_units = base_amount;
    if price_units == 0 || base_units == 0 {
        return Some(0);
    }
    let down = u32::from(base_scale) + price.scale();
    let up = u32::from(quote_scale);
    for factor in [2, 5] {
        for _ in 0..down.saturating_sub(up) {
            if base_units.is_multiple_of(factor) {
                base_units /= factor;
            } else if price_units.is_multiple_of(factor) {
                price_units /= factor;
            } else {
                return None;
            }
        }
    }
    let power = 10u128.checked_pow(up.saturating_sub(down))?;
    base_units.checked_mul(price_units)?.checked_mul(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        price("price", text).unwrap()
    }

    #[test]
    fn amounts_are_exact_both_ways() {
        for (units_of, scale, written) in
            [(150_000_000, 8, "1.5"), (0, 8, "0"), (1, 18, "0.000000000000000001"), (7, 0, "7")]
        {
            assert_eq!(text("amount", units_of, scale).as_deref(), Ok(written));
            assert_eq!(units("amount", written, scale), Ok(units_of));
        }
        let most = i128::MAX.unsigned_abs();
        assert_eq!(units("amount", &text("amount", most, 18).unwrap(), 18), Ok(most));
        assert_eq!(text("amount", most + 1, 18).unwrap_err().problem, "is too large");
        assert_eq!(signed_text(-25, 2), "-0.25");
    }

    #[test]
    fn inexact_negative_and_foreign_texts_are_refused() {
        for (written, problem) in [
            ("-1", "must not be negative"),
            ("0.000000001", "has more decimal places than the asset"),
            ("1e3", "must be a decimal in text"),
            ("", "must be a decimal in text"),
            (" 1", "must be a decimal in text"),
            ("99999999999999999999999999999999999999", "is too large"),
        ] {
            let error = units("amount", written, 8).unwrap_err();
            assert_eq!((error.field, &*error.problem), ("amount", problem), "{written:?}");
        }
    }

    #[test]
    fn prices_follow_the_grammar_of_amounts() {
        assert_eq!(price_text(decimal("50000.00")), "50000");
        assert_eq!(price_text(decimal("0.00000001")), "0.00000001");
        for bad in
            ["0", "-1", "1e5", "+1", "1_000", "", "NaN", ".5", "79228162514264337593543950336"]
        {
            assert_eq!(price("price", bad).unwrap_err().field, "price", "{bad}");
        }
        assert!(price("price", &format!("1.{}", "0".repeat(28))).is_ok());
        assert!(price("price", &format!("1.{}", "0".repeat(29))).is_err());
    }

    #[test]
    fn quote_is_base_times_price_exactly() {
        for (base, base_scale, at, quote_scale, quote) in [
            (150_000_000, 8, "49900", 8, Some(7_485_000_000_000)),
            (150_000_000, 8, "49900", 2, Some(7_485_000)),
            (100, 8, "50000.01", 8, Some(5_000_001)),
            (1, 8, "0.5", 8, None),
            (2, 8, "0.5", 8, Some(1)),
            (3, 2, "1.5", 0, None),
            (0, 8, "1.5", 8, Some(0)),
            (1, 0, "3", 18, Some(3_000_000_000_000_000_000)),
            (10, 18, "0.1", 18, Some(1)),
        ] {
            assert_eq!(quote_of(base, base_scale, decimal(at), quote_scale), quote, "{base} {at}");
        }
    }

    #[test]
    fn large_products_are_exact_or_refused() {
        let most = Decimal::MAX;
        let ten_18 = 10u128.pow(18);
        let ten_36 = 10u128.pow(36);
        assert_eq!(quote_of(ten_36, 18, decimal("100"), 18), Some(ten_36 * 100));
        assert_eq!(quote_of(ten_36, 18, decimal("1000"), 18), None, "above 128 bits");
        assert_eq!(quote_of(u128::MAX, 8, decimal("1"), 8), Some(u128::MAX));
        assert_eq!(quote_of(u128::MAX, 8, decimal("2"), 8), None);
        let max_units = most.mantissa().unsigned_abs();
        assert_eq!(quote_of(ten_18, 18, most, 0), Some(max_units), "the factor is taken out first");
        assert_eq!(quote_of(1 << 127, 0, decimal("0.5"), 0), Some(1 << 126));
        assert_eq!(quote_of(10u128.pow(38), 18, decimal("0.0000000001"), 0), Some(10u128.pow(10)));
        assert_eq!(quote_of(10u128.pow(38) + 1, 18, decimal("0.0000000001"), 0), None);
        assert_eq!(quote_of(5, 0, decimal("1"), 38), None, "5 * 10^38 is above 128 bits");
        assert_eq!(quote_of(3, 0, decimal("1"), 38), Some(3 * 10u128.pow(38)));
        assert_eq!(quote_of(1, 0, Decimal::NEGATIVE_ONE, 8), None);
    }
}
