//! Owns the reading of how long an order stays in force. Knows nothing of clocks.
//! Invariant: an order that ends by time says when, and no other does.

use engine::{OrderType, TimeInForce};

use super::refused;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;

/// How long an order stays in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) time_in_force: TimeInForce,
    /// Nanoseconds since the Unix epoch; 0 unless GTD.
    pub(super) expire_at_ns: u64,
}

/// Whether what is left of an order may stay after it was matched.
pub(super) fn stays(time_in_force: TimeInForce) -> bool {
    !matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok)
}

pub(super) fn read(
    fields: &mut Fields,
    order_type: OrderType,
    by_budget: bool,
) -> Result<Lifetime, ApiError> {
    let refuse = |text: &'static str| ApiError::field(ErrorCode::InvalidExpiry, "expires_at", text);
    let given = read_time_in_force(fields)?;
    let expires_at = fields.text_or("expires_at", refuse("invalid expires_at format"))?;
    let named = given.unwrap_or(match expires_at {
        None => TimeInForce::Gtc,
        Some(_) => TimeInForce::Gtd,
    });
    let time_in_force = check(order_type, by_budget, named)
        .ok_or_else(|| refused(ErrorCode::InvalidTimeInForce, "time_in_force"))?;
    let expire_at_ns = match (time_in_force, expires_at) {
        (TimeInForce::Gtd, Some(text)) => convert::expires_at(&text)?,
        (TimeInForce::Gtd, None) => return Err(refuse("expires_at is required for GTD")),
        (_, Some(_)) => return Err(refuse("expires_at is only allowed for GTD")),
        (_, None) => 0,
    };
    Ok(Lifetime { time_in_force, expire_at_ns })
}

fn read_time_in_force(fields: &mut Fields) -> Result<Option<TimeInForce>, ApiError> {
    let invalid = || {
        let text = "time_in_force must be GTC, IOC, FOK, GTD or DAY";
        ApiError::field(ErrorCode::InvalidTimeInForce, "time_in_force", text)
    };
    let text = fields.text_or("time_in_force", invalid())?;
    let member =
        |text: String| convert::member(&text, TimeInForce::ALL, convert::time_in_force_word);
    text.map(|text| member(text).ok_or_else(invalid)).transpose()
}

/// What a time in force comes to for an order; `None` if it may not have it.
fn check(order_type: OrderType, by_budget: bool, named: TimeInForce) -> Option<TimeInForce> {
    match order_type {
        OrderType::Limit | OrderType::StopLimit | OrderType::TakeProfitLimit => Some(named),
        OrderType::Market => match named {
            TimeInForce::Gtc | TimeInForce::Ioc => Some(TimeInForce::Ioc),
            TimeInForce::Fok if !by_budget => Some(TimeInForce::Fok),
            TimeInForce::Fok | TimeInForce::Gtd | TimeInForce::Day => None,
        },
        OrderType::Stop | OrderType::TakeProfit | OrderType::TrailingStop => {
            stays(named).then_some(named)
        }
    }
}
