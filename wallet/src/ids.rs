//! Owns the ids that callers see. Knows nothing of what they name.
//! Invariant: an id is a function of kind, number and time, and only its own encoding decodes to
//! it; nothing is random, so a replay gives every wallet and transaction the same id again.
//!
//! ```text
//! bits 127..80  milliseconds since the Unix epoch, journal time
//!       79..76  version 8      75..72  kind      71..64  zero
//!       63..62  variant 2      61..0   number
//! ```

use uuid::{Uuid, Variant};

use crate::ledger::types::{TransactionId, UserId, WalletId};

/// Namespace of users that are called by name.
const USERS: Uuid = Uuid::from_u128(0x5b0e_11c6_3c0f_5d5e_8f7a_6d61_7463_6801);

const NS_PER_MS: u64 = 1_000_000;
const NUMBER_BITS: u64 = (1 << 62) - 1;

/// What an id names. Orders and trades are the exchange's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Order = 1,
    Trade = 2,
    Wallet = 3,
    Transaction = 4,
}

/// The id of a thing with a number and a time, nanoseconds since the Unix epoch.
#[must_use]
pub fn encode(kind: Kind, number: u64, time_ns: u64) -> Uuid {
    let time = u128::from(time_ns / NS_PER_MS) & ((1 << 48) - 1);
    let head = time << 80 | (kind as u128) << 72;
    Uuid::new_v8((head | u128::from(number & NUMBER_BITS)).to_be_bytes())
}

/// Number and milliseconds since the Unix epoch of an id of this kind; `None` for anything that
/// [`encode`] does not make.
#[must_use]
pub fn decode(kind: Kind, id: Uuid) -> Option<(u64, u64)> {
    if id.get_version_num() != 8 || id.get_variant() != Variant::RFC4122 {
        return None;
    }
    let [t0, t1, t2, t3, t4, t5, version, zero, number @ ..] = id.into_bytes();
    if u32::from(version & 0x0F) != kind as u32 || zero != 0 {
        return None;
    }
    let number = u64::from_be_bytes(number) & NUMBER_BITS;
    Some((number, u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5])))
}

/// `opened_ns` is the journal time of the command that opened the wallet.
#[must_use]
pub fn wallet(id: WalletId, opened_ns: u64) -> Uuid {
    encode(Kind::Wallet, id.0.into(), opened_ns)
}

/// `begun_ns` is the journal time of the command that began the transaction.
#[must_use]
pub fn transaction(id: TransactionId, begun_ns: u64) -> Uuid {
    encode(Kind::Transaction, id.0, begun_ns)
}

/// The number of the wallet that an id names, and its milliseconds, which the wallet must have.
#[must_use]
pub fn parse_wallet(id: Uuid) -> Option<(WalletId, u64)> {
    let (number, time_ms) = decode(Kind::Wallet, id)?;
    Some((WalletId(u32::try_from(number).ok()?), time_ms))
}

/// The number of the transaction that an id names, and its milliseconds.
#[must_use]
pub fn parse_transaction(id: Uuid) -> Option<(TransactionId, u64)> {
    let (number, time_ms) = decode(Kind::Transaction, id)?;
    Some((TransactionId(number), time_ms))
}

/// Whether an id with these milliseconds was made at `time_ns`.
#[must_use]
pub fn is_of_time(time_ms: u64, time_ns: u64) -> bool {
    time_ns / NS_PER_MS == time_ms
}

/// The user that `text` names: a hyphenated UUID as it is (not the nil one), else a name of
/// `A-Za-z0-9._@-`, which always gives the same UUID.
#[must_use]
pub fn user(text: &str) -> Option<UserId> {
    if text.len() == 36
        && let Ok(uuid) = Uuid::try_parse(text)
    {
        return (!uuid.is_nil()).then_some(UserId(uuid.as_u128()));
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
    let is_name = (1..=crate::limits::USER_NAME_CHARS_MAX).contains(&text.len());
    let is_name = is_name && text.bytes().all(legal);
    is_name.then(|| UserId(Uuid::new_v5(&USERS, text.as_bytes()).as_u128()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: u64 = 1_795_252_476_123_456_789;

    #[test]
    fn ids_are_frozen_and_come_back() {
        let id = wallet(WalletId(42), NS);
        assert_eq!(id.to_string(), "01a1fd62-d8db-8300-8000-00000000002a");
        assert_eq!(parse_wallet(id), Some((WalletId(42), NS / NS_PER_MS)));
        let id = transaction(TransactionId(7), NS);
        assert_eq!(id.to_string(), "01a1fd62-d8db-8400-8000-000000000007");
        assert_eq!(parse_transaction(id), Some((TransactionId(7), NS / NS_PER_MS)));
        assert!(is_of_time(NS / NS_PER_MS, NS) && !is_of_time(NS / NS_PER_MS, NS + NS_PER_MS));
    }

    #[test]
    fn other_uuids_name_nothing() {
        assert_eq!(parse_wallet(transaction(TransactionId(1), NS)), None);
        assert_eq!(parse_wallet(encode(Kind::Wallet, 1 << 40, NS)), None, "not a wallet's number");
        assert_eq!(parse_wallet(Uuid::nil()), None);
        assert_eq!(parse_transaction(Uuid::from_u128(7)), None);
    }

    #[test]
    fn names_give_the_same_user_always() {
        assert_eq!(user("user123"), user("user123"));
        assert_ne!(user("user123"), user("user124"));
        let uuid = "6f1c0000-0000-4000-8000-000000000001";
        assert_eq!(user(uuid), Some(UserId(Uuid::try_parse(uuid).unwrap().as_u128())));
        for bad in ["", "a b", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(user(bad), None, "{bad:?}");
        }
    }
}
