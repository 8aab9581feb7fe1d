//! Owns the paths of the wallet that the client calls. Knows nothing of what they carry.
//! Invariant: a path is written once; the client fills in the places that the service reads.

pub const RESERVE: &str = "/api/wallets/reserve";
pub const RELEASE: &str = "/api/wallets/release";
pub const SETTLE: &str = "/api/wallets/settle";
pub const RESERVE_BATCH: &str = "/api/wallets/reserve/batch";
pub const RELEASE_BATCH: &str = "/api/wallets/release/batch";
pub const SETTLE_BATCH: &str = "/api/wallets/settle/batch";
pub const BALANCE: &str = "/api/wallets/balance/{user_id}/{currency}";
/// With `?order_id=`.
pub const RESERVATIONS: &str = "/api/wallets/reservations";
pub const RESERVATION: &str = "/api/wallets/reservations/{id}";
pub const SETTLEMENT: &str = "/api/wallets/settlements/{trade_id}";
/// With `?after=&limit=&wait_ms=`.
pub const FUNDING_EVENTS: &str = "/api/wallets/funding-events";
pub const CONCLUDE_FUNDING: &str = "/api/wallets/funding/{transaction_id}/conclude";
pub const WITHDRAWALS: &str = "/api/wallets/assets/{asset}/withdrawals";
pub const HEALTH: &str = "/health";

/// A path with its places filled in, in order. The values must need no escaping.
#[must_use]
pub fn filled(path: &str, values: &[&str]) -> String {
    assert_eq!(path.matches('{').count(), values.len(), "a value for each place");
    let mut values = values.iter();
    // Every second part is the name of a place.
    let parts = path.split(['{', '}']).enumerate().map(|(index, part)| match index % 2 {
        0 => part,
        _ => values.next().copied().unwrap_or_default(),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_order() {
        assert_eq!(filled(BALANCE, &["u", "BTC"]), "/api/wallets/balance/u/BTC");
        assert_eq!(filled(CONCLUDE_FUNDING, &["t"]), "/api/wallets/funding/t/conclude");
        assert_eq!(filled(RESERVE, &[]), RESERVE);
    }
}
