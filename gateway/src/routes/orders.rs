//! Owns the placing of orders, and the query of one.
//! Knows nothing of matching. Invariant: an order of somebody else is as unknown as none.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::{AccountId, ClientOrderId, InstrumentId, NewOrder, OrderId, RejectReason};

use crate::api::{FullBody, OrderBody, OwnTradeBody, at_sequence, created};
use crate::auth::{Caller, Reader, Trader};
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::{Fields, NoQuery};
use crate::ids::Id;
use crate::limits::MIN_SEQ_WAIT;
use crate::replies::Answer;
use crate::request::{JsonFields, PathText, RequestId, TakenIn, replayed};
use crate::routes::order_request::{OrderRequest, ResponseType};
use crate::state::AppState;
use crate::views::{Ended, Instrument, OrderRecord, Products, Read};

/// Waits until the views show `min_seq`.
pub(crate) async fn reach(state: &AppState, min_seq: u64) -> Result<(), ApiError> {
    if min_seq <= state.views.sequence() {
        return Ok(());
    }
    let reached = tokio::time::timeout(MIN_SEQ_WAIT, state.views.reach(min_seq)).await;
    reached.map_err(|_| ErrorCode::SequenceNotReached.into())
}

pub(crate) async fn place(
    State(state): State<AppState>,
    taken_in: TakenIn,
    Trader(caller): Trader,
    request_id: RequestId,
    NoQuery: NoQuery,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let account = state.views.account(caller.user);
    // The body is looked at before the account, so that a malformed order is told what is wrong.
    let products = state.views.products();
    let request = OrderRequest::read(fields, account.unwrap_or_default(), &products)?;
    let answered = match (state.money.funds.orders(), account) {
        (None, Some(_)) => state.exchange.submit(request.command(taken_in)).await?,
        (None, None) => return Err(ErrorCode::UserNotFound.into()),
        // It would be announced in time, and placed when the wallet has answered.
        (Some(_), _) if request.recv_window_ms.is_some() => return Err(no_window()),
        (Some(orders), _) => {
            let account = orders.account(caller.user).await?;
            orders.place(NewOrder { account, ..request.order }).await?
        }
    };
    match answered.answer {
        Answer::Placed(record) => answer_placed(&record, &request, &request_id),
        Answer::OrderDuplicate { order_id, reason } => {
            answer_duplicate(&state, order_id, reason, &request, &request_id)
        }
        Answer::Rejected(reason) => Err(ApiError::rejected(reason)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}

fn no_window() -> ApiError {
    let text = "not offered where the wallet reserves the funds of each order";
    ApiError::field(ErrorCode::Unsupported, "recv_window_ms", text)
}

fn answer_placed(
    record: &OrderRecord,
    request: &OrderRequest,
    request_id: &RequestId,
) -> Result<Response, ApiError> {
    if let Some(Ended::Rejected(reason)) = record.state.ended {
        let id = Id::order(record.id, record.created_ns);
        return Err(ApiError::rejected(reason).with_order(id));
    }
    let instrument = &request.instrument;
    let sequence = record.decided;
    let mut order = OrderBody::new(record, instrument, sequence);
    order.request_id = Some(request_id.0.clone());
    let response = match request.response_type {
        ResponseType::Ack => created(sequence, &order.acknowledged()),
        ResponseType::Result => created(sequence, &order),
        ResponseType::Full => {
            let trade = |fill| OwnTradeBody::new(fill, instrument, record.first.updated_ns);
            created(
                sequence,
                &FullBody { order, trades: record.first_fills.iter().map(trade).collect() },
            )
        }
    };
    Ok(response)
}

/// Repeats the first answer, whatever has become of the order since.
fn answer_duplicate(
    state: &AppState,
    order_id: OrderId,
    reason: Option<RejectReason>,
    request: &OrderRequest,
    request_id: &RequestId,
) -> Result<Response, ApiError> {
    let record = state.views.orders(|orders| orders.get(order_id).cloned()).value;
    let answer = match (record, reason) {
        (Some(record), _) if record.waits() => Err(ErrorCode::OutcomeUnknown.into()),
        (Some(record), _) => answer_placed(&record.first_answer(), request, request_id),
        (None, Some(reason)) => Err(ApiError::rejected(reason)),
        // The engine remembers the key for longer than the views keep the order.
        (None, None) => Err(ApiError::new(ErrorCode::OrderNotKept).with_order_seq(order_id.0)),
    };
    Ok(replayed(answer.into_response()))
}

/// The caller's account; without one there is nothing to find.
pub(crate) fn account_of(state: &AppState, caller: &Caller) -> Result<AccountId, ApiError> {
    state.views.account(caller.user).ok_or_else(|| ErrorCode::OrderNotFound.into())
}

/// The caller's order with this id.
pub(crate) fn find(
    state: &AppState,
    account: AccountId,
    text: &str,
) -> Result<Read<OrderRecord>, ApiError> {
    let id = Id::parse_order(text).ok_or(ErrorCode::OrderNotFound)?;
    let read = state.views.orders(|orders| {
        let record = orders.get(id.order_id())?;
        let is_own = record.account == account && id.names(record.id, record.created_ns);
        is_own.then(|| record.clone())
    });
    let value = read.value.ok_or(ErrorCode::OrderNotFound)?;
    Ok(Read { sequence: read.sequence, value })
}

pub(crate) fn instrument_of(
    products: &Products,
    id: InstrumentId,
) -> Result<&Arc<Instrument>, ApiError> {
    // Only what could not be listed has no symbol, and such an instrument takes no order.
    products.instrument(id).ok_or_else(|| ErrorCode::InternalError.into())
}

pub(crate) fn show(state: &AppState, read: &Read<OrderRecord>) -> Result<Response, ApiError> {
    let products = state.views.products();
    let instrument = instrument_of(&products, read.value.instrument)?;
    let value = OrderBody::new(&read.value, instrument, read.sequence);
    Ok(at_sequence(&Read { sequence: read.sequence, value }))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    Reader(caller): Reader,
    PathText(id): PathText,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let min_seq = query.number("min_seq", 0, 0..=u64::MAX)?;
    query.finish()?;
    reach(&state, min_seq).await?;
    let account = account_of(&state, &caller)?;
    show(&state, &find(&state, account, &id)?)
}

pub(crate) async fn get_by_client_id(
    State(state): State<AppState>,
    Reader(caller): Reader,
    PathText(text): PathText,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let id: ClientOrderId = convert::client_order_id(&text)?;
    let min_seq = query.number("min_seq", 0, 0..=u64::MAX)?;
    query.finish()?;
    reach(&state, min_seq).await?;
    let account = account_of(&state, &caller)?;
    let read = state.views.orders(|orders| orders.by_client_id(account, id).cloned());
    let value = read.value.ok_or(ErrorCode::OrderNotFound)?;
    show(&state, &Read { sequence: read.sequence, value })
}
