//! Owns how clients see orders and trades. Knows nothing of an id's bits: those are the wallet's
//! `ids`, for the exchange and the wallet speak of the same trades and users.
//! Invariant: an id is a function of kind, number and time, and only its own encoding decodes to
//! it; nothing is random, so replay gives every order and trade the same id again.

use std::fmt;

use engine::{OrderId, TradeId};
use uuid::Uuid;
use wallet::ids::{self, Kind};

/// A number and its time, shown as a UUID of version 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    number: u64,
    uuid: Uuid,
}

impl Id {
    /// `created_ns` is the journal time of the command that created the order.
    #[must_use]
    pub fn order(id: OrderId, created_ns: u64) -> Self {
        Self { number: id.0, uuid: ids::encode(Kind::Order, id.0, created_ns) }
    }

    /// `traded_ns` is the journal time of the command that caused the trade.
    #[must_use]
    pub fn trade(id: TradeId, traded_ns: u64) -> Self {
        Self { number: id.0, uuid: ids::encode(Kind::Trade, id.0, traded_ns) }
    }

    /// The order that `text` names; `None` for anything that [`Self::order`] does not make.
    #[must_use]
    pub fn parse_order(text: &str) -> Option<Self> {
        Self::parse(Kind::Order, text)
    }

    /// The trade that `text` names; `None` for anything that [`Self::trade`] does not make.
    #[must_use]
    pub fn parse_trade(text: &str) -> Option<TradeId> {
        Self::parse(Kind::Trade, text).map(|id| TradeId(id.number))
    }

    fn parse(kind: Kind, text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        let (number, _) = ids::decode(kind, uuid)?;
        Some(Self { number, uuid })
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
        self.uuid
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.hyphenated().fmt(f)
    }
}

/// The user that `text` names, as [`wallet::ids::user`] says.
#[must_use]
pub fn user(text: &str) -> Option<Uuid> {
    ids::user(text).map(|user| Uuid::from_u128(user.0))
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
        let id = Id::order(OrderId((1 << 62) - 1), NS);
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
