//! Owns the reading of order bodies: from named texts to a command, or to the first thing wrong.
//! Knows nothing of the book. Invariant: what passes has the shape that the engine asks for, so
//! nothing misshapen is ever journaled.

use std::sync::Arc;

use engine::{
    AccountId, AmendOrder, ClientOrderId, NewOrder, OrderId, OrderType, Price, Quantity,
    SelfTradePolicy, Side, TimeInForce,
};

use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::views::{Instrument, Products};

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
}

/// What the body says about quantity.
struct Size {
    quantity: Quantity,
    quote_budget: u128,
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
        let order_type = read_type(&mut fields)?;
        refuse_unsupported(&mut fields)?;
        let size = read_size(&mut fields, order_type, side, &instrument)?;
        let time_in_force = read_time_in_force(&mut fields, order_type, &size)?;
        let price = read_price(&mut fields, order_type, &instrument)?;
        let post_only = read_post_only(&mut fields, order_type, time_in_force)?;
        let self_trade_policy = read_self_trade_policy(&mut fields, size.quote_budget > 0)?;
        let client_order_id = read_client_order_id(&mut fields)?;
        let response_type = read_response_type(&mut fields)?;
        fields.finish()?;
        let order = NewOrder {
            order_type,
            time_in_force,
            post_only,
            self_trade_policy,
            quote_budget: size.quote_budget,
            client_order_id,
            ..NewOrder::limit(account, instrument.spec.instrument, side, size.quantity, price)
        };
        Ok(Self { order, instrument, response_type })
    }
}

/// Reads `{price?, quantity?}` for an order of this account.
pub(crate) fn read_amend(
    mut fields: Fields,
    account: AccountId,
    order_id: OrderId,
    instrument: &Instrument,
) -> Result<AmendOrder, ApiError> {
    let price = read_limit_price(&mut fields, instrument)?;
    let quantity = read_quantity(&mut fields, instrument)?;
    fields.finish()?;
    if price.is_none() && quantity.is_none() {
        let text = "price or quantity is required";
        return Err(ApiError::field(ErrorCode::ValidationError, "price", text));
    }
    Ok(AmendOrder {
        account,
        order_id,
        new_price: price.unwrap_or_default(),
        new_quantity: quantity.unwrap_or_default(),
        new_trigger: Price(0),
    })
}

fn refused(code: ErrorCode, field: &str) -> ApiError {
    ApiError::field(code, field, code.text())
}

fn read_type(fields: &mut Fields) -> Result<OrderType, ApiError> {
    let text = fields.required("type", ErrorCode::InvalidOrderType)?;
    match text.as_str() {
        "LIMIT" => Ok(OrderType::Limit),
        "MARKET" => Ok(OrderType::Market),
        "STOP" => Err(refused(ErrorCode::OrderTypeNotSupported, "type")),
        _ => Err(refused(ErrorCode::InvalidOrderType, "type")),
    }
}

fn refuse_unsupported(fields: &mut Fields) -> Result<(), ApiError> {
    for (field, code) in [
        ("stop_price", ErrorCode::OrderTypeNotSupported),
        ("expires_at", ErrorCode::FieldNotSupported),
    ] {
        if fields.is_given(field) {
            return Err(refused(code, field));
        }
    }
    Ok(())
}

fn read_quantity(
    fields: &mut Fields,
    instrument: &Instrument,
) -> Result<Option<Quantity>, ApiError> {
    let no_text =
        ApiError::field(ErrorCode::InvalidQuantity, "quantity", "invalid quantity format");
    let text = fields.text_or("quantity", no_text)?;
    text.map(|text| convert::quantity(&text, instrument)).transpose()
}

fn read_limit_price(
    fields: &mut Fields,
    instrument: &Instrument,
) -> Result<Option<Price>, ApiError> {
    let no_text = ApiError::field(ErrorCode::InvalidPrice, "price", "invalid price format");
    let text = fields.text_or("price", no_text)?;
    text.map(|text| convert::price(&text, instrument)).transpose()
}

fn read_size(
    fields: &mut Fields,
    order_type: OrderType,
    side: Side,
    instrument: &Instrument,
) -> Result<Size, ApiError> {
    let budget_refused =
        |text: &'static str| ApiError::field(ErrorCode::InvalidQuantity, "quote_quantity", text);
    let quantity = read_quantity(fields, instrument)?;
    let budget =
        fields.text_or("quote_quantity", budget_refused("invalid quote_quantity format"))?;
    match (quantity, budget) {
        (Some(quantity), None) => Ok(Size { quantity, quote_budget: 0 }),
        (None, Some(text)) if order_type == OrderType::Market && side == Side::Buy => {
            let quote_budget = convert::budget(&text, &instrument.quote)?;
            Ok(Size { quantity: Quantity(0), quote_budget })
        }
        (None, Some(_)) => {
            Err(budget_refused("quote_quantity is only allowed for market buy orders"))
        }
        (Some(_), Some(_)) => {
            Err(budget_refused("exactly one of quantity and quote_quantity is required"))
        }
        (None, None) => {
            Err(ApiError::field(ErrorCode::InvalidQuantity, "quantity", "quantity is required"))
        }
    }
}

fn read_time_in_force(
    fields: &mut Fields,
    order_type: OrderType,
    size: &Size,
) -> Result<TimeInForce, ApiError> {
    const KNOWN: [TimeInForce; 3] = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok];
    let invalid = || {
        let text = "time_in_force must be GTC, IOC or FOK";
        ApiError::field(ErrorCode::InvalidTimeInForce, "time_in_force", text)
    };
    let given = match fields.text_or("time_in_force", invalid())? {
        None => TimeInForce::Gtc,
        Some(text) => {
            convert::member(&text, &KNOWN, convert::time_in_force_word).ok_or_else(invalid)?
        }
    };
    match (order_type, given) {
        (OrderType::Market, TimeInForce::Gtc) => Ok(TimeInForce::Ioc),
        (OrderType::Market, TimeInForce::Fok) if size.quote_budget > 0 => {
            Err(refused(ErrorCode::InvalidTimeInForce, "time_in_force"))
        }
        (_, given) => Ok(given),
    }
}

fn read_price(
    fields: &mut Fields,
    order_type: OrderType,
    instrument: &Instrument,
) -> Result<Price, ApiError> {
    let refuse = |text: &'static str| ApiError::field(ErrorCode::InvalidPrice, "price", text);
    if order_type == OrderType::Market {
        let given = fields.is_given("price");
        return if given { Err(refuse("market orders cannot have a price")) } else { Ok(Price(0)) };
    }
    let price = read_limit_price(fields, instrument)?;
    price.ok_or_else(|| refuse("price must be greater than 0 for limit orders"))
}

fn read_post_only(
    fields: &mut Fields,
    order_type: OrderType,
    time_in_force: TimeInForce,
) -> Result<bool, ApiError> {
    let refuse =
        |text: &'static str| ApiError::field(ErrorCode::ValidationError, "post_only", text);
    let post_only = fields.flag("post_only")?;
    if post_only && order_type == OrderType::Market {
        return Err(refuse("post-only is not allowed for market orders"));
    }
    if post_only && time_in_force != TimeInForce::Gtc {
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
