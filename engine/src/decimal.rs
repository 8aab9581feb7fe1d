//! Owns the only conversion between decimal text and integer units of money, price or quantity.
//! Knows nothing of assets. Invariant: text is read exactly or refused, never rounded.

use std::fmt;

/// Longest decimal text that is looked at, characters.
pub const TEXT_MAX: usize = 40;
/// Most decimal places of a unit: 10^38 still fits the result.
pub const SCALE_MAX: u8 = 38;

/// Why a text is not an exact number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not `-?digits[.digits]` in ASCII, with a leading zero, or too long.
    Format,
    /// More decimal places than the unit has.
    Precision,
    /// More digits than any amount has.
    Range,
}

/// Reads `text` as a whole number of units of 10^-`scale`.
///
/// The grammar is `-?(0|[1-9][0-9]*)(\.[0-9]+)?`, at most [`TEXT_MAX`] characters. Zeros after the
/// last significant decimal are fine, however many.
///
/// # Errors
/// [`DecimalError`] says which rule the text breaks.
///
/// ```
/// use engine::decimal::{parse, DecimalError};
/// assert_eq!(parse("1.5", 8), Ok(150_000_000));
/// assert_eq!(parse("1e5", 8), Err(DecimalError::Format));
/// assert_eq!(parse("0.001", 2), Err(DecimalError::Precision));
/// ```
pub fn parse(text: &str, scale: u8) -> Result<i128, DecimalError> {
    assert!(scale <= SCALE_MAX);
    if text.len() > TEXT_MAX {
        return Err(DecimalError::Format);
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return Err(DecimalError::Format),
        Some(parts) => parts,
        None => (unsigned, ""),
    };
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || leading_zero || !digits(whole) || !digits(fraction) {
        return Err(DecimalError::Format);
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = usize::from(scale).checked_sub(fraction.len()).ok_or(DecimalError::Precision)?;
    let zeros = std::iter::repeat_n(b'0', missing);
    let mut units: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
        let step = units.checked_mul(10).and_then(|u| u.checked_add(i128::from(digit - b'0')));
        units = step.ok_or(DecimalError::Range)?;
    }
    Ok(if negative { -units } else { units })
}

/// Shows whole units of 10^-`scale` as canonical decimal text: `1.5`, `0`, `-0.25`, `50000`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    pub units: i128,
    pub scale: u8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(self.scale <= SCALE_MAX);
        let one = 10u128.pow(self.scale.into());
        let magnitude = self.units.unsigned_abs();
        if self.units < 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", magnitude / one)?;
        let mut fraction = magnitude % one;
        if fraction == 0 {
            return Ok(());
        }
        let mut width = usize::from(self.scale);
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        write!(f, ".{fraction:0width$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_text_is_read() {
        for (text, scale, units) in [
            ("0", 8, 0),
            ("-0", 8, 0),
            ("1.5", 8, 150_000_000),
            ("50000.00", 2, 5_000_000),
            ("0.000001", 6, 1),
            ("1.50000000000000000000", 1, 15),
            ("-1.5", 1, -15),
            (
                "123456789012345678901234567890",
                8,
                12_345_678_901_234_567_890_123_456_789_000_000_000,
            ),
        ] {
            assert_eq!(parse(text, scale), Ok(units), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        use DecimalError::{Format, Precision, Range};
        for (text, error) in [
            ("", Format),
            ("-", Format),
            (".", Format),
            (".5", Format),
            ("5.", Format),
            ("+1", Format),
            (" 1", Format),
            ("1 ", Format),
            ("01", Format),
            ("00.1", Format),
            ("--1", Format),
            ("1-", Format),
            ("1e5", Format),
            ("1E5", Format),
            ("0x10", Format),
            ("1_000", Format),
            ("1,000", Format),
            ("1.2.3", Format),
            ("NaN", Format),
            ("inf", Format),
            ("\u{661}", Format),
            ("\u{ff11}", Format),
            ("1.0000000000000000000000000000000000000000", Format),
            ("0.001", Precision),
            ("9999999999999999999999999999999999999999", Range),
        ] {
            assert_eq!(parse(text, 2), Err(error), "{text:?}");
        }
    }

    #[test]
    fn text_is_canonical() {
        for (units, scale, text) in [
            (0, 8, "0"),
            (150_000_000, 8, "1.5"),
            (5_000_000, 2, "50000"),
            (-25, 2, "-0.25"),
            (1, 8, "0.00000001"),
            (10, 0, "10"),
        ] {
            assert_eq!(Decimal { units, scale }.to_string(), text);
        }
    }

    #[test]
    fn the_longest_text_is_forty_characters() {
        assert_eq!(parse(&format!("1.{}", "0".repeat(38)), 2), Ok(100));
        assert_eq!(parse(&format!("1.{}", "0".repeat(39)), 2), Err(DecimalError::Format));
    }
}
