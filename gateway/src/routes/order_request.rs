//! Owns the reading of order bodies: from named texts to a command, or to the first thing wrong.
//! Knows nothing of the book. Invariant: what passes has the shape that the engine asks for, so
//! nothing misshapen is ever journaled.

use std::sync::Arc;

use engine::{
    AccountId, ClientOrderId, Command, NewOrder, OrderType, Price, SelfTradePolicy, Side,
    TimeInForce,
};

use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::limits::RECV_WINDOW_MS_MAX;
use crate::request::TakenIn;
use crate::views::{Instrument, Products};

mod amend;
mod lifetime;
mod size;
mod stop;

pub(crate) use amend::read_amend;

const NS_PER_MS: u64 = 1_000_000;

/// How much of a new order the answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseType {
    Ack,
    Result,
    Full,
}

/// A new order and how it wants to be answered.
#[derive(Debug)]
pub(crate) struct OrderRequest {
    pub(crate) order: NewOrder,
    pub(crate) instrument: Arc<Instrument>,
    pub(crate) response_type: ResponseType,
    /// How long it may take to be sequenced, milliseconds; as long as it takes if it is `None`.
    pub(crate) recv_window_ms: Option<u64>,
}

impl OrderRequest {
    /// Reads a new order of `account`.
    pub(crate) fn read(
        mut fields: Fields,
        account: AccountId,
        products: &Products,
    ) -> Result<Self, ApiError> {
        let symbol = fields.required("symbol", ErrorCode::InvalidSymbol)?;
        let instrument = convert::symbol(&symbol, products)?;
        let side = fields.required("side", ErrorCode::InvalidSide)?;
        let side = convert::member(&side, Side::ALL, convert::side_word)
            .ok_or_else(|| refused(ErrorCode::InvalidSide, "side"))?;
        let (order_type, price) = read_type_and_price(&mut fields, &instrument)?;
        let stop = stop::read(&mut fields, order_type, &instrument)?;
        let size = size::read(&mut fields, order_type, side, &instrument)?;
        let by_budget = size.quote_budget > 0;
        let lifetime = lifetime::read(&mut fields, order_type, by_budget)?;
        let post_only = read_post_only(&mut fields, order_type, lifetime.time_in_force)?;
        let display = size::read_display(
            &mut fields,
            order_type,
            lifetime.time_in_force,
            &size,
            &instrument,
        )?;
        let self_trade_policy = read_self_trade_policy(&mut fields, by_budget)?;
        let client_order_id = read_client_order_id(&mut fields)?;
        let response_type = read_response_type(&mut fields)?;
        let recv_window_ms = read_recv_window(&mut fields)?;
        fields.finish()?;
        let order = NewOrder {
            order_type,
            time_in_force: lifetime.time_in_force,
            expire_at_ns: lifetime.expire_at_ns,
            post_only,
            self_trade_policy,
            trigger: stop.trigger,
            trail_ticks: stop.trail_ticks,
            trail_bps: stop.trail_bps,
            display,
            quote_budget: size.quote_budget,
            client_order_id,
            ..NewOrder::limit(account, instrument.spec.instrument, side, size.quantity, price)
        };
        Ok(Self { order, instrument, response_type, recv_window_ms })
    }

    /// The command that places it with the account's own money.
    pub(crate) fn command(&self, taken_in: TakenIn) -> Command {
        let order = self.order;
        match self.recv_window_ms {
            None => Command::NewOrder(order),
            Some(window_ms) => {
                let latest_ns = taken_in.0.saturating_add(window_ms * NS_PER_MS);
                Command::NewOrderBy { order, latest_ns }
            }
        }
    }
}

fn refused(code: ErrorCode, field: &str) -> ApiError {
    ApiError::field(code, field, code.text())
}

/// The type, which for stop and take-profit orders a price tells apart, and the price; 0 for an
/// order that takes none.
fn read_type_and_price(
    fields: &mut Fields,
    instrument: &Instrument,
) -> Result<(OrderType, Price), ApiError> {
    let refuse = |text: &'static str| ApiError::field(ErrorCode::InvalidPrice, "price", text);
    let word = fields.required("type", ErrorCode::InvalidOrderType)?;
    let named = convert::member(&word, OrderType::ALL, convert::type_word)
        .ok_or_else(|| refused(ErrorCode::InvalidOrderType, "type"))?;
    match named {
        OrderType::Market if fields.is_given("price") => {
            return Err(refuse("market orders cannot have a price"));
        }
        OrderType::TrailingStop if fields.is_given("price") => {
            return Err(refuse("trailing stop orders cannot have a price"));
        }
        _ => {}
    }
    match (named, read_limit_price(fields, instrument)?) {
        (OrderType::Limit, None) => Err(refuse("price must be greater than 0 for limit orders")),
        (OrderType::Stop, Some(price)) => Ok((OrderType::StopLimit, price)),
        (OrderType::TakeProfit, Some(price)) => Ok((OrderType::TakeProfitLimit, price)),
        (order_type, price) => Ok((order_type, price.unwrap_or_default())),
    }
}

fn read_limit_price(
    fields: &mut Fields,
    instrument: &Instrument,
) -> Result<Option<Price>, ApiError> {
    let no_text = ApiError::field(ErrorCode::InvalidPrice, "price", "invalid price format");
    let text = fields.text_or("price", no_text)?;
    text.map(|text| convert::price(&text, instrument)).transpose()
}

fn read_post_only(
    fields: &mut Fields,
    order_type: OrderType,
    time_in_force: TimeInForce,
) -> Result<bool, ApiError> {
    let refuse =
        |text: &'static str| ApiError::field(ErrorCode::ValidationError, "post_only", text);
    let post_only = fields.flag("post_only")?;
    if post_only && !order_type.has_price() {
        return Err(refuse("post-only is not allowed for market orders"));
    }
    if post_only && !lifetime::stays(time_in_force) {
        return Err(refuse("post-only cannot be combined with IOC or FOK"));
    }
    Ok(post_only)
}

fn read_self_trade_policy(
    fields: &mut Fields,
    by_budget: bool,
) -> Result<SelfTradePolicy, ApiError> {
    let refuse = |text: &'static str| ApiError::field(ErrorCode::ValidationError, "stp", text);
    let unknown =
        || refuse("stp must be NONE, CANCEL_TAKER, CANCEL_MAKER, CANCEL_BOTH or DECREMENT");
    let policy = match fields.text_or("stp", unknown())? {
        None => SelfTradePolicy::None,
        Some(text) => convert::member(&text, SelfTradePolicy::ALL, convert::self_trade_word)
            .ok_or_else(unknown)?,
    };
    if by_budget && policy == SelfTradePolicy::Decrement {
        return Err(refuse("DECREMENT needs an order by quantity"));
    }
    Ok(policy)
}

fn read_client_order_id(fields: &mut Fields) -> Result<ClientOrderId, ApiError> {
    let no_text = refused(ErrorCode::InvalidClientOrderId, "client_order_id");
    match fields.text_or("client_order_id", no_text)? {
        None => Ok(ClientOrderId::EMPTY),
        Some(text) => convert::client_order_id(&text),
    }
}

fn read_recv_window(fields: &mut Fields) -> Result<Option<u64>, ApiError> {
    let name = "recv_window_ms";
    // What is absent is out of bounds.
    let window_ms = fields.number(name, 0, 1..=RECV_WINDOW_MS_MAX)?;
    Ok((window_ms > 0).then_some(window_ms))
}

fn read_response_type(fields: &mut Fields) -> Result<ResponseType, ApiError> {
    let refuse = || {
        let text = "response_type must be ACK, RESULT or FULL";
        ApiError::field(ErrorCode::ValidationError, "response_type", text)
    };
    match fields.text_or("response_type", refuse())?.as_deref() {
        None | Some("RESULT") => Ok(ResponseType::Result),
        Some("ACK") => Ok(ResponseType::Ack),
        Some("FULL") => Ok(ResponseType::Full),
        Some(_) => Err(refuse()),
    }
}
