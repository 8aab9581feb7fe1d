//! Owns the changing and cancelling of the caller's own orders. Knows nothing of matching.
//! Invariant: an order of somebody else is as unknown as none, and a refused change leaves it as
//! it was.

use axum::extract::State;
use axum::response::Response;
use engine::{ClientOrderId, Command, InstrumentId, RejectReason};
use serde::Serialize;

use crate::api::{OrderBody, at_sequence};
use crate::auth::Trader;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::{Fields, NoQuery};
use crate::replies::Answer;
use crate::request::{JsonFields, PathText};
use crate::routes::order_request::read_amend;
use crate::routes::orders::{account_of, find, instrument_of, show};
use crate::state::AppState;
use crate::views::{OrderRecord, Read};

pub(crate) async fn amend(
    State(state): State<AppState>,
    Trader(caller): Trader,
    PathText(id): PathText,
    NoQuery: NoQuery,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let account = account_of(&state, &caller)?;
    let record = find(&state, account, &id)?.value;
    let products = state.views.products();
    let instrument = instrument_of(&products, record.instrument)?;
    if record.state.ended.is_some() {
        return Err(ErrorCode::OrderNotAmendable.into());
    }
    let amend = read_amend(fields, &record, instrument)?;
    if record.waits() {
        return Err(ErrorCode::OrderPending.into());
    }
    let answered = state.exchange.submit(Command::AmendOrder(amend)).await?;
    match answered.answer {
        // It was live a moment ago, so it has closed since.
        Answer::Rejected(RejectReason::UnknownOrder) => Err(ErrorCode::OrderNotAmendable.into()),
        Answer::Rejected(reason) => Err(ApiError::rejected(reason)),
        _ => show(&state, &find(&state, account, &id)?),
    }
}

pub(crate) async fn cancel(
    State(state): State<AppState>,
    Trader(caller): Trader,
    PathText(id): PathText,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    let account = account_of(&state, &caller)?;
    let record = find(&state, account, &id)?.value;
    if record.state.ended.is_some() {
        return Err(ErrorCode::OrderNotCancellable.into());
    }
    let command = Command::CancelOrder {
        account,
        order_id: record.id,
        client_order_id: ClientOrderId::EMPTY,
    };
    match state.exchange.submit(command).await?.answer {
        Answer::Rejected(RejectReason::UnknownOrder) => Err(ErrorCode::OrderNotCancellable.into()),
        Answer::Rejected(reason) => Err(ApiError::rejected(reason)),
        _ => show(&state, &find(&state, account, &id)?),
    }
}

/// What a mass cancel closed.
#[derive(Debug, Serialize)]
struct CancelledBody {
    cancelled: usize,
    orders: Vec<OrderBody>,
}

pub(crate) async fn cancel_all(
    State(state): State<AppState>,
    Trader(caller): Trader,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let products = state.views.products();
    let symbol = query.parameter("symbol");
    let symbol = symbol.map(|symbol| convert::symbol(&symbol, &products)).transpose()?;
    query.finish()?;
    let instrument = symbol.map_or(InstrumentId(0), |instrument| instrument.spec.instrument);
    let Some(account) = state.views.account(caller.user) else {
        let value = CancelledBody { cancelled: 0, orders: Vec::new() };
        return Ok(at_sequence(&Read { sequence: state.views.sequence(), value }));
    };
    let command = Command::MassCancel { account, instrument, side: None };
    let answered = state.exchange.submit(command).await?;
    let Answer::Closed(ids) = answered.answer else {
        return Err(ErrorCode::InternalError.into());
    };
    let read = state
        .views
        .orders(|orders| ids.iter().filter_map(|id| orders.get(*id).cloned()).collect::<Vec<_>>());
    let sequence = answered.sequence;
    let body = |record: &OrderRecord| {
        let instrument = instrument_of(&products, record.instrument)?;
        Ok::<_, ApiError>(OrderBody::new(record, instrument, sequence))
    };
    let orders = read.value.iter().map(body).collect::<Result<Vec<_>, _>>()?;
    let value = CancelledBody { cancelled: ids.len(), orders };
    Ok(at_sequence(&Read { sequence, value }))
}
