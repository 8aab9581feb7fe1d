//! Owns the reading of moments: RFC 3339 text to nanoseconds.
//! Knows nothing of what happens then. Invariant: a text is read as what it says, or refused.

use super::Field;
use crate::error::{ApiError, ErrorCode};

/// Decimal places of a second that nanoseconds have.
const TIME_PLACES_MAX: usize = 9;

/// The moment at which an order ends, nanoseconds since the Unix epoch. One that has passed is the
/// engine's to refuse, which keeps time: a request that is repeated later is the same request.
///
/// # Errors
/// `INVALID_EXPIRY`: not RFC 3339 with at most nine decimal places, or outside of what fits.
pub fn expires_at(text: &str) -> Result<u64, ApiError> {
    let field = Field { name: "expires_at", code: ErrorCode::InvalidExpiry };
    let instant = is_rfc_3339(text.as_bytes()).then(|| text.parse::<jiff::Timestamp>().ok());
    let instant = instant.flatten().ok_or_else(|| field.format("expires_at"))?;
    u64::try_from(instant.as_nanosecond())
        .map_err(|_| field.refuse("expires_at must be from 1970 to 2554"))
}

/// Whether the text looks as RFC 3339 has it, which is stricter than the library that reads it:
/// `2026-11-21T09:14:36.123Z`, with up to nine decimal places and `Z` or an offset like `+01:00`.
fn is_rfc_3339(text: &[u8]) -> bool {
    let matches = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let date_time = b"0000-00-00T00:00:00";
    let Some((head, mut rest)) = text.split_at_checked(date_time.len()) else { return false };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=TIME_PLACES_MAX).contains(&digits) {
            return false;
        }
        rest = &fraction[digits..];
    }
    let zone = rest == b"Z" || matches(rest, b"+00:00") || matches(rest, b"-00:00");
    matches(head, date_time) && zone
}
