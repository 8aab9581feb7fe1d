//! Owns the way from a caller's text to what the ledger takes: amounts, names, references, times.
//! Knows nothing of bodies. Invariant: text is taken exactly or refused with the field's own code;
//! nothing is rounded, cut or repaired.

use std::fmt;
use std::ops::RangeInclusive;

use engine::Amount;
use engine::decimal::{self, DecimalError};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::de::{Deserialize, Deserializer, Visitor};
use uuid::Uuid;

use super::answers::text;
use super::error::{ApiError, ErrorCode};
use crate::ids;
use crate::ledger::types::{Description, Reference, UserId};
use crate::limits::{DESCRIPTION_BYTES_MAX, OWNED_MAX, REFERENCE_BYTES_MAX};
use crate::views::AssetView;

/// Money as a caller wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AmountText {
    Text(String),
    /// No number of JSON is exact for sure, so none is taken.
    Number,
}

impl<'de> Deserialize<'de> for AmountText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;

        impl Visitor<'_> for AmountVisitor {
            type Value = AmountText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount as a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<AmountText, E> {
                Ok(AmountText::Text(text.to_owned()))
            }

            fn visit_i64<E>(self, _: i64) -> Result<AmountText, E> {
                Ok(AmountText::Number)
            }

            fn visit_u64<E>(self, _: u64) -> Result<AmountText, E> {
                Ok(AmountText::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<AmountText, E> {
                Ok(AmountText::Number)
            }
        }

        deserializer.deserialize_any(AmountVisitor)
    }
}

/// What one movement that a user asks for may be worth.
pub(super) fn movable(asset: &AssetView) -> RangeInclusive<Amount> {
    asset.amount_min..=asset.amount_max
}

/// What an operator's correction may be worth.
pub(super) const CORRECTABLE: RangeInclusive<Amount> = 1..=OWNED_MAX;

/// An amount in units of the asset, within `bounds`.
///
/// # Errors
/// `INVALID_AMOUNT`.
pub(super) fn amount(
    given: &AmountText,
    asset: &AssetView,
    bounds: RangeInclusive<Amount>,
) -> Result<Amount, ApiError> {
    let refused = |text: String| Err(ApiError::field(ErrorCode::InvalidAmount, "amount", text));
    let AmountText::Text(given) = given else {
        return refused("amount must be a string, like \"100.00\"".to_owned());
    };
    let units = match decimal::parse(given, asset.scale) {
        Ok(units) => units,
        Err(DecimalError::Format) => return refused("invalid amount format".to_owned()),
        Err(DecimalError::Precision) => {
            let (code, scale) = (asset.code, asset.scale);
            return refused(format!("{code} has no more than {scale} decimal places"));
        }
        Err(DecimalError::Range) => return refused("amount is too large".to_owned()),
    };
    match Amount::try_from(units) {
        Ok(units) if bounds.contains(&units) => Ok(units),
        Ok(units) if units > 0 => {
            let (low, high) =
                (text(*bounds.start(), asset.scale), text(*bounds.end(), asset.scale));
            refused(format!("amount must be from {low} to {high}"))
        }
        _ => refused("amount must be greater than 0".to_owned()),
    }
}

/// The caller's name for a request.
///
/// # Errors
/// `VALIDATION_ERROR` unless it is 1 to 100 characters of `A-Za-z0-9-_`.
pub(super) fn reference(given: &str) -> Result<Reference, ApiError> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_reference = !given.is_empty() && given.bytes().all(legal);
    Reference::new(given).filter(|_| is_reference).ok_or_else(|| {
        let text =
            format!("referenceId must be 1 to {REFERENCE_BYTES_MAX} of A-Z, a-z, 0-9, - and _");
        ApiError::invalid("referenceId", text)
    })
}

/// What the caller says a request is for.
///
/// # Errors
/// `VALIDATION_ERROR` if it is longer than 500 bytes.
pub(super) fn description(given: Option<&str>) -> Result<Description, ApiError> {
    Description::new(given.unwrap_or_default()).ok_or_else(|| {
        let text = format!("description must have at most {DESCRIPTION_BYTES_MAX} bytes");
        ApiError::invalid("description", text)
    })
}

/// A user by UUID or name.
///
/// # Errors
/// `VALIDATION_ERROR`.
pub(super) fn user(field: &'static str, given: &str) -> Result<UserId, ApiError> {
    let text = "must be a UUID or a name of up to 64 of A-Z, a-z, 0-9, ., _, @ and -";
    ids::user(given).ok_or_else(|| ApiError::invalid(field, format!("{field} {text}")))
}

/// A hyphenated UUID.
///
/// # Errors
/// `VALIDATION_ERROR`.
pub(super) fn uuid(field: &'static str, given: &str) -> Result<Uuid, ApiError> {
    let hyphenated = given.len() == 36;
    let uuid = Uuid::try_parse(given).ok().filter(|_| hyphenated);
    uuid.ok_or_else(|| ApiError::invalid(field, format!("{field} must be a UUID")))
}

/// Refuses the nil UUID, which means "none" in the ledger.
///
/// # Errors
/// `VALIDATION_ERROR`.
pub(super) fn named(field: &'static str, id: Uuid) -> Result<Uuid, ApiError> {
    if id.is_nil() { Err(ApiError::invalid(field, format!("{field} must be set"))) } else { Ok(id) }
}

/// A moment, nanoseconds since the Unix epoch: RFC 3339, or without a zone, which means UTC.
/// Everything before the epoch is one moment, before anything happened.
///
/// # Errors
/// `VALIDATION_ERROR`.
pub(super) fn moment(given: &str) -> Result<u64, ApiError> {
    let is_zoneless = |b: u8| b.is_ascii_digit() || b"-:.T".contains(&b);
    let time = given.parse::<Timestamp>().ok().or_else(|| {
        let plain = given.contains('T') && given.bytes().all(is_zoneless);
        let time: DateTime = given.parse().ok().filter(|_| plain)?;
        Offset::UTC.to_timestamp(time).ok()
    });
    let text =
        "timestamp must be a time like 2024-01-01T10:30:00, in UTC unless it names an offset";
    let time = time.ok_or_else(|| ApiError::invalid("timestamp", text))?;
    Ok(u64::try_from(time.as_nanosecond().max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use engine::{AssetCode, AssetId};

    use super::*;

    fn asset() -> AssetView {
        AssetView {
            id: AssetId(1),
            code: AssetCode::new("USD").unwrap(),
            scale: 2,
            amount_min: 1,
            amount_max: 100_000_000,
            fees: 0,
            external: 0,
            withdrawals_frozen: false,
        }
    }

    fn read(json: &str) -> Result<Amount, String> {
        let given: AmountText = serde_json::from_str(json).unwrap();
        amount(&given, &asset(), movable(&asset())).map_err(|error| {
            assert_eq!(error.code(), ErrorCode::InvalidAmount);
            error.text().to_owned()
        })
    }

    #[test]
    fn amounts_are_exact_text_within_the_bounds() {
        assert_eq!(read("\"0.01\""), Ok(1));
        assert_eq!(read("\"1000000.00\""), Ok(100_000_000));
        assert_eq!(read("\"1.500000\""), Ok(150));
        for (json, text) in [
            ("\"0\"", "amount must be greater than 0"),
            ("\"-1\"", "amount must be greater than 0"),
            ("\"0.001\"", "USD has no more than 2 decimal places"),
            ("\"1000000.01\"", "amount must be from 0.01 to 1000000"),
            ("\"99999999999999999999999999999999999999\"", "amount is too large"),
            ("\"1e999\"", "invalid amount format"),
            ("\"NaN\"", "invalid amount format"),
            ("\" 1\"", "invalid amount format"),
            ("\"\"", "invalid amount format"),
            ("\"+1\"", "invalid amount format"),
            ("1", "amount must be a string, like \"100.00\""),
            ("-1", "amount must be a string, like \"100.00\""),
            ("1.5", "amount must be a string, like \"100.00\""),
            ("1e9", "amount must be a string, like \"100.00\""),
        ] {
            assert_eq!(read(json), Err(text.to_owned()), "{json}");
        }
        for odd in ["null", "true", "[]", "{}"] {
            assert!(serde_json::from_str::<AmountText>(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn references_are_plain_and_short() {
        let longest = "x".repeat(REFERENCE_BYTES_MAX);
        for good in ["a", "A-z_09", &longest] {
            assert_eq!(reference(good).unwrap().to_text(), good);
        }
        for bad in ["", "a b", "a.b", "\u{e9}", "a/b", &format!("{longest}x")] {
            assert_eq!(reference(bad).unwrap_err().code(), ErrorCode::ValidationError, "{bad:?}");
        }
    }

    #[test]
    fn descriptions_are_optional_and_bounded_in_bytes() {
        assert!(description(None).unwrap().is_empty());
        assert!(description(Some(&"x".repeat(DESCRIPTION_BYTES_MAX))).is_ok());
        assert!(description(Some(&"x".repeat(DESCRIPTION_BYTES_MAX + 1))).is_err());
        assert!(description(Some(&"\u{e9}".repeat(DESCRIPTION_BYTES_MAX / 2 + 1))).is_err());
    }

    #[test]
    fn uuids_are_hyphenated() {
        let good = "6f1c0000-0000-4000-8000-000000000001";
        assert_eq!(uuid("id", good).unwrap().to_string(), good);
        for bad in ["", "x", "6f1c0000000040008000000000000001", &format!("{{{good}}}")] {
            assert_eq!(uuid("id", bad).unwrap_err().code(), ErrorCode::ValidationError, "{bad}");
        }
        assert!(named("id", Uuid::nil()).is_err() && named("id", Uuid::from_u128(1)).is_ok());
    }

    #[test]
    fn moments_without_a_zone_are_utc() {
        const NS: u64 = 1_704_105_000_000_000_000;
        for (given, ns) in [
            ("2024-01-01T10:30:00", NS),
            ("2024-01-01T10:30:00Z", NS),
            ("2024-01-01T10:30:00.000000001", NS + 1),
            ("2024-01-01T10:30:00.000000001Z", NS + 1),
            ("2024-01-01T11:30:00+01:00", NS),
            ("1970-01-01T00:00:00", 0),
            ("1900-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(moment(given).unwrap(), ns, "{given}");
        }
        for bad in [
            "",
            "x",
            "2024-01-01",
            "2024-13-01T10:30:00",
            "2024-01-01T10:30:00[Europe/Paris]",
            "2024-01-01T10:30:00 01:00",
            "1704105000",
        ] {
            assert_eq!(moment(bad).unwrap_err().code(), ErrorCode::ValidationError, "{bad:?}");
        }
    }
}
