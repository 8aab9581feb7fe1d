//! Owns what one trader was told: every request that counts, its first answer, and the latest that
//! is known of each order. Knows nothing of connections. Invariant: what was once told is never
//! taken back: each new answer is held against all earlier ones the moment it comes.

use std::collections::{BTreeMap, HashMap};

use crate::http_client::Answer;
use engine::decimal::parse;
use serde_json::Value;

use super::desk::{Bound, is_replayed, text, told};
use super::drafts::LOT_SCALE;

/// Fields that never change once an order exists.
const FIXED: [&str; 6] = ["id", "symbol", "side", "type", "created_at", "client_order_id"];
/// What more never changes once an order has ended.
const FINAL: [&str; 6] =
    ["status", "status_reason", "filled_quantity", "quantity", "average_price", "updated_at"];
/// Business refusals that these orders may meet.
const REFUSALS: [&str; 8] = [
    "INSUFFICIENT_BALANCE",
    "PRICE_BAND",
    "NO_LIQUIDITY",
    "POST_ONLY_WOULD_CROSS",
    "FOK_UNFILLABLE",
    "TOO_MANY_OPEN_ORDERS",
    "QTY_ABOVE_MAX",
    "BUDGET_TOO_SMALL",
];

/// Refused orders of one account that the exchange can still show, and closed ones.
const REFUSED_SHOWN: usize = 1_000;
const CLOSED_SHOWN: usize = 10_000;

/// An order that the trader was told of.
#[derive(Debug)]
pub struct Order {
    pub key: Option<String>,
    pub request: Bound,
    pub id: String,
    /// The latest full view of it; `None` after an answer that says little.
    pub latest: Option<Value>,
}

/// A mass cancel: its sequence, its scope, the orders that it closed.
#[derive(Debug)]
pub struct MassCancel {
    pub sequence: u64,
    pub symbol: Option<&'static str>,
    pub closed: Vec<String>,
}

/// Everything that one trader was told.
#[derive(Debug, Default)]
pub struct Ledger {
    pub orders: Vec<Order>,
    by_id: HashMap<String, usize>,
    /// Keys that no order may have: their bodies were refused for their shape.
    pub barren_keys: Vec<String>,
    /// Hostile and malformed requests that were refused as they must be, by code.
    pub refused: BTreeMap<&'static str, u64>,
    pub credits: Vec<Bound>,
    pub mass_cancels: Vec<MassCancel>,
    /// Orders without a key whose outcome nobody will ever know.
    pub lost_without_key: u64,
    /// Unknown outcomes that turned out to be done, and not done.
    pub done_unanswered: u64,
    pub not_done: u64,
    /// Repeats that were compared with the first answer.
    pub repeats: u64,
}

/// A quantity of an order, in lots.
pub fn lots(order: &Value, field: &str) -> i128 {
    parse(text(order, field), LOT_SCALE).unwrap_or_else(|e| panic!("{field} of {order}: {e:?}"))
}

/// Lots that self-trade prevention took.
pub fn prevented(order: &Value) -> i128 {
    if order.get("prevented_quantity").is_some() { lots(order, "prevented_quantity") } else { 0 }
}

/// Whether the order can change no more.
pub fn has_ended(order: &Value) -> bool {
    matches!(text(order, "status"), "FILLED" | "CANCELLED" | "REJECTED")
}

impl Ledger {
    /// Takes the first answer to an order. `doubtful`: an earlier try had an unknown outcome.
    pub fn place(&mut self, key: Option<String>, body: String, answer: &Answer, doubtful: bool) {
        let first = told(answer);
        let replayed = is_replayed(answer);
        assert!(doubtful || !replayed, "a new key was used before: {body}: {first:?}");
        if doubtful {
            self.done_unanswered += u64::from(replayed);
            self.not_done += u64::from(!replayed);
        }
        let order = first.1.get("order").unwrap_or(&first.1);
        let (id, latest) = match first.0 {
            201 => {
                let full_view = order.get("seq").is_some();
                (text(order, "id").to_owned(), full_view.then(|| order.clone()))
            }
            400 => {
                assert!(REFUSALS.contains(&text(order, "code")), "{body}: {first:?}");
                (text(&order["details"], "order_id").to_owned(), None)
            }
            _ => panic!("{body}: {first:?}"),
        };
        assert!(!id.is_empty(), "{body}: {first:?}");
        check_fills(&first.1);
        let place = self.orders.len();
        let earlier = self.by_id.insert(id.clone(), place);
        assert!(earlier.is_none(), "two requests made one order: {body}: {first:?}");
        self.orders.push(Order { key, request: Bound { body, first }, id, latest });
    }

    /// Holds a view of an order against all that was told of it.
    pub fn observe(&mut self, view: &Value) {
        let place = self.by_id.get(text(view, "id"));
        let place = *place.unwrap_or_else(|| panic!("nobody asked for {view}"));
        self.orders[place].observe(view);
    }

    /// An amendment was asked for: what follows may have another price and quantity.
    pub fn forget_shape(&mut self, place: usize) {
        if let Some(fields) = self.orders[place].latest.as_mut().and_then(Value::as_object_mut) {
            fields.remove("price");
            fields.remove("quantity");
        }
    }

    /// Orders that may still be open, as far as is known.
    pub fn open_orders(&self) -> Vec<usize> {
        let may_be_open = |order: &Order| {
            order.request.first.0 == 201 && !order.latest.as_ref().is_some_and(has_ended)
        };
        let places = 0..self.orders.len();
        places.rev().take(400).filter(|place| may_be_open(&self.orders[*place])).collect()
    }

    /// Whether the exchange still shows every order of this trader, however old it is.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        let refused = self.orders.iter().filter(|order| order.request.first.0 != 201).count();
        refused <= REFUSED_SHOWN && self.orders.len() - refused <= CLOSED_SHOWN
    }

    /// Orders that the exchange shows in any case.
    #[must_use]
    pub fn latest(&self) -> &[Order] {
        &self.orders[self.orders.len().saturating_sub(REFUSED_SHOWN)..]
    }

    /// Counts a repeat of a bound request.
    pub fn count_repeat(&mut self) {
        self.repeats += 1;
    }
}

impl Order {
    /// Holds a view of this order against all that was told of it.
    pub fn observe(&mut self, view: &Value) {
        if self.request.first.0 != 201 {
            assert_eq!(text(view, "status"), "REJECTED", "{view}");
            assert_eq!(view["status_reason"], self.request.first.1["code"], "{view}");
        }
        if let Some(before) = &self.latest {
            check_progress(before, view);
        }
        check_whole(view);
        self.latest = Some(view.clone());
    }
}

/// A later view of an order may only add to an earlier one.
fn check_progress(before: &Value, after: &Value) {
    for field in FIXED {
        assert_eq!(before[field], after[field], "{field}: {before} became {after}");
    }
    assert!(
        before["seq"].as_u64() <= after["seq"].as_u64(),
        "went back in time: {before} became {after}"
    );
    assert!(
        lots(before, "filled_quantity") <= lots(after, "filled_quantity"),
        "a fill was lost: {before} became {after}"
    );
    for field in ["price", "quantity"] {
        let known = before.get(field).is_some() && before.get("quote_quantity").is_none();
        let same = !known || before[field] == after[field];
        assert!(same, "{field}: {before} became {after}");
    }
    if has_ended(before) {
        for field in FINAL {
            let known = before.get(field).is_some() || !["price", "quantity"].contains(&field);
            assert!(!known || before[field] == after[field], "{before} became {after}");
        }
    }
}

/// Status and quantities of one view must fit together.
fn check_whole(view: &Value) {
    let (filled, quantity) = (lots(view, "filled_quantity"), lots(view, "quantity"));
    let gone = filled + prevented(view);
    let fits = match text(view, "status") {
        "OPEN" => filled == 0 && gone < quantity,
        "PARTIALLY_FILLED" => 0 < filled && gone < quantity,
        "FILLED" => gone == quantity && filled > 0,
        "CANCELLED" => !text(view, "status_reason").is_empty(),
        "REJECTED" => filled == 0,
        _ => false,
    };
    assert!(fits && gone <= quantity, "{view}");
}

/// The trades of a full answer must add up to its order.
fn check_fills(first: &Value) {
    let Some(trades) = first.get("trades").and_then(Value::as_array) else { return };
    let sum: i128 = trades.iter().map(|trade| lots(trade, "quantity")).sum();
    assert_eq!(sum, lots(&first["order"], "filled_quantity"), "{first}");
}
