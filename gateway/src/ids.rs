//! Owns the ids that clients see. Knows nothing of what they name.
//! Invariant: an id is a function of kind, number and time, and only its own encoding decodes to
//! it; nothing is random, so replay gives every order and trade the same id again.
//!
//! ```text
//! bits 127..80  milliseconds since the Unix epoch, journal time
//!       79..76  version 8      75..72  kind      71..64  zero
//!       63..62  variant 2      61..0   number
//! ```

use std::fmt;

use engine::{OrderId, TradeId};
use uuid::{Uuid, Variant};

use crate::limits::USER_NAME_CHARS_MAX;

/// Namespace of users that are called by name.
const USERS: Uuid = Uuid::from_u128(0x5b0e_11c6_3c0f_5d5e_8f7a_6d61_7463_6801);
/// Namespace of the references of transfers.
const TRANSFERS: Uuid = Uuid::from_u128(0x5b0e_11c6_3c0f_5d5e_8f7a_6d61_7463_6802);

const NS_PER_MS: u64 = 1_000_000;
const TIME_BITS: u128 = (1 << 48) - 1;
const NUMBER_BITS: u64 = (1 << 62) - 1;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Order = 1,
    Trade = 2,
}

/// A number and its time, shown as a UUID of version 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    kind: Kind,
    number: u64,
    time_ms: u64,
}

impl Id {
    /// `created_ns` is the journal time of the command that created the order.
    #[must_use]
    pub fn order(id: OrderId, created_ns: u64) -> Self {
        Self { kind: Kind::Order, number: id.0, time_ms: created_ns / NS_PER_MS }
    }

    /// `traded_ns` is the journal time of the command that caused the trade.
    #[must_use]
    pub fn trade(id: TradeId, traded_ns: u64) -> Self {
        Self { kind: Kind::Trade, number: id.0, time_ms: traded_ns / NS_PER_MS }
    }

    /// The order that `text` names; `None` for anything that [`Self::order`] does not make.
    #[must_use]
    pub fn parse_order(text: &str) -> Option<Self> {
        let id = Self::decode(Uuid::try_parse(text).ok()?)?;
        (id.kind == Kind::Order).then_some(id)
    }

    /// The trade that `text` names; `None` for anything that [`Self::trade`] does not make.
    #[must_use]
    pub fn parse_trade(text: &str) -> Option<TradeId> {
        let id = Self::decode(Uuid::try_parse(text).ok()?)?;
        (id.kind == Kind::Trade).then_some(TradeId(id.number))
    }

    /// The order with this id, if it was created at the time that the id says.
    #[must_use]
    pub fn names(self, order: OrderId, created_ns: u64) -> bool {
        self == Self::order(order, created_ns)
    }

    #[must_use]
    pub fn order_id(self) -> OrderId {
        OrderId(self.number)
    }

    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.encode()
    }

    fn encode(self) -> Uuid {
        let time = u128::from(self.time_ms) & TIME_BITS;
        let head = time << 80 | (self.kind as u128) << 72;
        let bits = head | u128::from(self.number & NUMBER_BITS);
        Uuid::new_v8(bits.to_be_bytes())
    }

    fn decode(uuid: Uuid) -> Option<Self> {
        if uuid.get_version_num() != 8 || uuid.get_variant() != Variant::RFC4122 {
            return None;
        }
        let [t0, t1, t2, t3, t4, t5, version, zero, number @ ..] = uuid.into_bytes();
        let kind = match version & 0x0F {
            1 => Kind::Order,
            2 => Kind::Trade,
            _ => return None,
        };
        let time_ms = u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]);
        let number = u64::from_be_bytes(number) & NUMBER_BITS;
        (zero == 0).then_some(Self { kind, number, time_ms })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.encode().hyphenated().fmt(f)
    }
}

/// The user that `text` names: a hyphenated UUID as it is (not the nil one), else a name of
/// `A-Za-z0-9._@-`, which always gives the same UUID.
#[must_use]
pub fn user(text: &str) -> Option<Uuid> {
    if text.len() == 36
        && let Ok(uuid) = Uuid::try_parse(text)
    {
        return (!uuid.is_nil()).then_some(uuid);
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
    let is_name = (1..=USER_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(legal);
    is_name.then(|| Uuid::new_v5(&USERS, text.as_bytes()))
}

/// The transfer id that a reference stands for.
#[must_use]
pub fn transfer(reference: &str) -> engine::TransferId {
    engine::TransferId(Uuid::new_v5(&TRANSFERS, reference.as_bytes()).as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: u64 = 1_795_252_476_123_456_789;

    #[test]
    fn an_order_id_carries_number_and_time() {
        let id = Id::order(OrderId(42), NS);
        let text = id.to_string();
        let parsed = Id::parse_order(&text).unwrap();
        assert_eq!(parsed, id);
        assert!(parsed.names(OrderId(42), NS));
        assert!(!parsed.names(OrderId(43), NS));
        assert!(!parsed.names(OrderId(42), NS + 1_000_000), "another millisecond");
        assert_eq!(Uuid::try_parse(&text).unwrap().get_version_num(), 8);
    }

    #[test]
    fn ids_are_frozen() {
        let text = Id::order(OrderId(42), NS).to_string();
        assert_eq!(text, "01a1fd62-d8db-8100-8000-00000000002a");
        let text = Id::trade(TradeId(7), NS).to_string();
        assert_eq!(text, "01a1fd62-d8db-8200-8000-000000000007");
    }

    #[test]
    fn the_largest_number_comes_back() {
        let id = Id::order(OrderId(NUMBER_BITS), NS);
        assert_eq!(Id::parse_order(&id.to_string()), Some(id));
    }

    #[test]
    fn other_uuids_name_no_order() {
        for text in [
            "01a1fd62-d8db-8200-8000-00000000002a", // a trade
            "01a1fd62-d8db-8101-8000-00000000002a", // a bit in the zero byte
            "01a1fd62-d8db-7100-8000-00000000002a", // version 7
            "01a1fd62-d8db-8100-c000-00000000002a", // another variant
            "00000000-0000-0000-0000-000000000000",
            "42",
            "",
        ] {
            assert_eq!(Id::parse_order(text), None, "{text}");
        }
    }

    #[test]
    fn names_give_the_same_user_always() {
        let alice = user("alice").unwrap();
        assert_eq!(user("alice"), Some(alice));
        assert_ne!(user("bob"), Some(alice));
        assert_eq!(user(&alice.to_string()), Some(alice));
        assert_eq!(user("00000000-0000-0000-0000-000000000000"), None);
        assert_eq!(user(""), None);
        assert_eq!(user("a b"), None);
        assert!(user(&"x".repeat(64)).is_some());
        assert_eq!(user(&"x".repeat(65)), None);
    }
}
