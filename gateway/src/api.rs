//! Owns the bodies of answers. Knows nothing of how a request came in.
//! Invariant: money is canonical decimal text and every time is RFC 3339 in UTC.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::decimal::Decimal;
use engine::fees::signed;
use engine::{Price, SelfTradePolicy};
use serde::{Serialize, Serializer};

use crate::convert;
use crate::error::code_of;
use crate::ids::Id;
use crate::views::{DepthLevel, Ended, Fill, Instrument, OrderRecord, PublicTrade, Read};

const X_SEQ: &str = "x-seq";

/// A number as canonical decimal text.
#[derive(Clone, Copy, Debug)]
pub struct DecimalText(pub Decimal);

impl Serialize for DecimalText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An order, at some sequence.
#[derive(Debug, Serialize)]
pub struct OrderBody {
    pub id: String,
    pub symbol: String,
    pub side: &'static str,
    #[serde(rename = "type")]
    pub order_type: &'static str,
    pub status: &'static str,
    pub quantity: DecimalText,
    pub filled_quantity: DecimalText,
    /// What self-trade prevention took, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prevented_quantity: Option<DecimalText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote_quantity: Option<DecimalText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<DecimalText>,
    /// Of a trailing stop the one at acceptance, until it was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<DecimalText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trail_amount: Option<DecimalText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trail_percent: Option<DecimalText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_quantity: Option<DecimalText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_price: Option<String>,
    pub time_in_force: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    pub post_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stp: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<&'static str>,
    pub created_at: String,
    pub updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triggered_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The sequence whose state this is.
    pub seq: u64,
}

impl OrderBody {
    #[must_use]
    pub fn new(record: &OrderRecord, instrument: &Instrument, seq: u64) -> Self {
        let state = &record.state;
        let by_budget = record.quote_budget > 0;
        let quantity = if by_budget { state.filled } else { state.quantity };
        let status = record.status();
        let ended_at = |wanted| (status == wanted).then(|| convert::time(state.updated_ns));
        let budget = instrument.quote.amount(signed(record.quote_budget));
        let price = |ticks| (ticks > 0).then(|| DecimalText(instrument.price(Price(ticks))));
        let quantity_text = |lots| DecimalText(instrument.quantity(lots));
        let time = |ns| (ns > 0).then(|| convert::time(ns));
        Self {
            id: Id::order(record.id, record.created_ns).to_string(),
            symbol: instrument.symbol.clone(),
            side: convert::side_word(record.side),
            order_type: convert::type_word(record.order_type),
            status,
            quantity: quantity_text(quantity),
            filled_quantity: quantity_text(state.filled),
            prevented_quantity: (state.prevented.0 > 0).then(|| quantity_text(state.prevented)),
            quote_quantity: by_budget.then_some(DecimalText(budget)),
            price: price(state.price.0),
            stop_price: price(state.trigger.0),
            trail_amount: price(record.trail_ticks),
            trail_percent: (record.trail_bps > 0)
                .then(|| DecimalText(convert::percent(record.trail_bps))),
            display_quantity: (record.display.0 > 0).then(|| quantity_text(record.display)),
            average_price: convert::average_price(instrument, state.filled, state.quote_filled),
            time_in_force: convert::time_in_force_word(record.time_in_force),
            expires_at: time(record.expire_at_ns),
            post_only: record.post_only,
            stp: match record.self_trade_policy {
                SelfTradePolicy::None => None,
                policy => Some(convert::self_trade_word(policy)),
            },
            client_order_id: client_order_id(record),
            status_reason: state.ended.map(reason_word),
            created_at: convert::time(record.created_ns),
            updated_at: convert::time(state.updated_ns),
            triggered_at: time(state.triggered_ns),
            filled_at: ended_at("FILLED"),
            cancelled_at: ended_at("CANCELLED"),
            request_id: None,
            seq,
        }
    }

    /// The order as it was accepted, before it met the book.
    #[must_use]
    pub fn acknowledged(self) -> AckBody {
        let Self { id, symbol, side, order_type, quantity, price, created_at, .. } = self;
        let nothing = DecimalText(Decimal { units: 0, scale: 0 });
        let filled_quantity = nothing;
        let status = "PENDING";
        let quantity = if self.quote_quantity.is_some() { nothing } else { quantity };
        AckBody {
            id,
            symbol,
            side,
            order_type,
            status,
            quantity,
            filled_quantity,
            price,
            created_at,
        }
    }
}

fn client_order_id(record: &OrderRecord) -> Option<String> {
    let bytes = record.client_order_id.as_bytes();
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn reason_word(ended: Ended) -> &'static str {
    match ended {
        Ended::Closed(reason) => convert::close_reason_word(reason),
        Ended::Rejected(reason) => code_of(reason).name(),
    }
}

/// An order under `response_type` ACK.
#[derive(Debug, Serialize)]
pub struct AckBody {
    id: String,
    symbol: String,
    side: &'static str,
    #[serde(rename = "type")]
    order_type: &'static str,
    status: &'static str,
    quantity: DecimalText,
    filled_quantity: DecimalText,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<DecimalText>,
    created_at: String,
}

/// An order under `response_type` FULL.
#[derive(Debug, Serialize)]
pub struct FullBody {
    pub order: OrderBody,
    /// The fills of the order's own command.
    pub trades: Vec<OwnTradeBody>,
}

/// One fill of the caller's order.
#[derive(Debug, Serialize)]
pub struct OwnTradeBody {
    id: String,
    symbol: String,
    price: DecimalText,
    quantity: DecimalText,
    fee: DecimalText,
    is_buyer_maker: bool,
    executed_at: String,
}

impl OwnTradeBody {
    #[must_use]
    pub fn new(fill: &Fill, instrument: &Instrument, traded_ns: u64) -> Self {
        Self {
            id: Id::trade(fill.trade_id, traded_ns).to_string(),
            symbol: instrument.symbol.clone(),
            price: DecimalText(instrument.price(fill.price)),
            quantity: DecimalText(instrument.quantity(fill.quantity)),
            fee: DecimalText(instrument.quote.amount(fill.fee)),
            is_buyer_maker: fill.is_buyer_maker,
            executed_at: convert::time(traded_ns),
        }
    }
}

/// A trade for everybody.
#[derive(Debug, Serialize)]
pub struct TradeBody {
    id: String,
    symbol: String,
    price: DecimalText,
    quantity: DecimalText,
    is_buyer_maker: bool,
    executed_at: String,
}

impl TradeBody {
    #[must_use]
    pub fn new(trade: &PublicTrade, instrument: &Instrument) -> Self {
        Self {
            id: Id::trade(trade.id, trade.executed_ns).to_string(),
            symbol: instrument.symbol.clone(),
            price: DecimalText(instrument.price(trade.price)),
            quantity: DecimalText(instrument.quantity(trade.quantity)),
            is_buyer_maker: trade.is_buyer_maker,
            executed_at: convert::time(trade.executed_ns),
        }
    }
}

/// A level of a book.
#[derive(Debug, Serialize)]
pub struct LevelBody {
    price: DecimalText,
    volume: DecimalText,
    count: u32,
}

impl LevelBody {
    #[must_use]
    pub fn new((price, level): &DepthLevel, instrument: &Instrument) -> Self {
        Self {
            price: DecimalText(instrument.price(*price)),
            volume: DecimalText(instrument.volume(level.quantity)),
            count: level.count,
        }
    }
}

/// Depth of a book, best levels first.
#[derive(Debug, Serialize)]
pub struct BookBody {
    pub symbol: String,
    pub seq: u64,
    pub bids: Vec<LevelBody>,
    pub asks: Vec<LevelBody>,
}

/// What can be traded, and how.
#[derive(Debug, Serialize)]
pub struct SymbolBody {
    symbol: String,
    base: String,
    quote: String,
    tick_size: DecimalText,
    lot_size: DecimalText,
    min_quantity: DecimalText,
    max_quantity: DecimalText,
    max_price: DecimalText,
    min_notional: DecimalText,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_notional: Option<DecimalText>,
    maker_fee: DecimalText,
    taker_fee: DecimalText,
    status: &'static str,
}

impl SymbolBody {
    #[must_use]
    pub fn new(instrument: &Instrument) -> Self {
        let spec = &instrument.spec;
        let quote = |units| DecimalText(instrument.quote.amount(signed(units)));
        Self {
            symbol: instrument.symbol.clone(),
            base: instrument.base.code.to_string(),
            quote: instrument.quote.code.to_string(),
            tick_size: DecimalText(instrument.price(Price(1))),
            lot_size: DecimalText(instrument.quantity(engine::Quantity(1))),
            min_quantity: DecimalText(instrument.quantity(spec.min_quantity)),
            max_quantity: DecimalText(instrument.quantity(spec.max_quantity)),
            max_price: DecimalText(instrument.price(spec.max_price)),
            min_notional: quote(spec.min_notional),
            max_notional: (spec.max_notional > 0).then(|| quote(spec.max_notional)),
            maker_fee: DecimalText(convert::rate(spec.maker_fee_ppm)),
            taker_fee: DecimalText(convert::rate(spec.taker_fee_ppm)),
            status: convert::trading_status_word(instrument.status),
        }
    }
}

/// The caller's money in one asset.
#[derive(Debug, Serialize)]
pub struct BalanceBody {
    pub asset: String,
    pub available: DecimalText,
    pub held: DecimalText,
}

/// The body of something new, and the sequence of the command that made it.
pub fn created<T: Serialize>(sequence: u64, body: &T) -> Response {
    (StatusCode::CREATED, at_sequence(&Read { sequence, value: body })).into_response()
}

/// A body with the sequence that it shows in `X-Seq`.
pub fn at_sequence<T: Serialize>(read: &Read<T>) -> Response {
    let mut response = Json(&read.value).into_response();
    response.headers_mut().insert(X_SEQ, HeaderValue::from(read.sequence));
    response
}
