//! Owns `/orders`: placing, changing, cancelling and querying the caller's own orders.
//! Knows nothing of matching. Invariant: an order of somebody else is as unknown as none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::{AccountId, ClientOrderId, Command, InstrumentId, OrderId, RejectReason};
use serde::Serialize;

use crate::api::{FullBody, OrderBody, OwnTradeBody, at_sequence};
use crate::auth::{Caller, Reader, Trader};
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::ids::Id;
use crate::limits::{MIN_SEQ_WAIT, ORDERS_LIMIT_DEFAULT, ORDERS_LIMIT_MAX, ORDERS_OFFSET_MAX};
use crate::replies::Answer;
use crate::request::{JsonFields, PathText, RequestId, replayed};
use crate::routes::order_request::{OrderRequest, ResponseType, read_amend};
use crate::state::AppState;
use crate::views::{Instrument, OrderRecord, Products, Read};

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
    Trader(caller): Trader,
    request_id: RequestId,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let account = state.views.account(caller.user);
    // The body is looked at before the account, so that a malformed order is told what is wrong.
    let products = state.views.products();
    let request = OrderRequest::read(fields, account.unwrap_or_default(), &products)?;
    if account.is_none() {
        return Err(ErrorCode::UserNotFound.into());
    }
    let answered = state.exchange.submit(Command::NewOrder(request.order)).await?;
    match answered.answer {
        Answer::Placed(record) => answer_placed(&record, &request, &request_id),
        Answer::OrderDuplicate { order_id, reason } => {
            answer_duplicate(&state, order_id, reason, &request, &request_id)
        }
        Answer::Rejected(reason) => Err(ApiError::rejected(reason)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}

fn answer_placed(
    record: &OrderRecord,
    request: &OrderRequest,
    request_id: &RequestId,
) -> Result<Response, ApiError> {
    if let Some(crate::views::Ended::Rejected(reason)) = record.state.ended {
        let id = Id::order(record.id, record.created_ns);
        return Err(ApiError::rejected(reason).with_order(id));
    }
    let instrument = &request.instrument;
    let mut order = OrderBody::new(record, instrument, record.id.0);
    order.request_id = Some(request_id.0.clone());
    let response = match request.response_type {
        ResponseType::Ack => created(&order.acknowledged()),
        ResponseType::Result => created(&order),
        ResponseType::Full => {
            let trade = |fill| OwnTradeBody::new(fill, instrument, record.created_ns);
            created(&FullBody { order, trades: record.first_fills.iter().map(trade).collect() })
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
        (Some(record), _) => answer_placed(&record.first_answer(), request, request_id),
        (None, Some(reason)) => Err(ApiError::rejected(reason)),
        // The engine remembers the key for longer than the views keep the order.
        (None, None) => return Err(ErrorCode::DuplicateClientOrderId.into()),
    };
    Ok(replayed(answer.into_response()))
}

fn created<T: Serialize>(body: &T) -> Response {
    (StatusCode::CREATED, Json(body)).into_response()
}

/// The caller's account; without one there is nothing to find.
fn account_of(state: &AppState, caller: &Caller) -> Result<AccountId, ApiError> {
    state.views.account(caller.user).ok_or_else(|| ErrorCode::OrderNotFound.into())
}

/// The caller's order with this id.
fn find(state: &AppState, account: AccountId, text: &str) -> Result<Read<OrderRecord>, ApiError> {
    let id = Id::parse_order(text).ok_or(ErrorCode::OrderNotFound)?;
    let read = state.views.orders(|orders| {
        let record = orders.get(id.order_id())?;
        let is_own = record.account == account && id.names(record.id, record.created_ns);
        is_own.then(|| record.clone())
    });
    let value = read.value.ok_or(ErrorCode::OrderNotFound)?;
    Ok(Read { sequence: read.sequence, value })
}

fn instrument_of(products: &Products, id: InstrumentId) -> Result<&Arc<Instrument>, ApiError> {
    // Only what could not be listed has no symbol, and such an instrument takes no order.
    products.instrument(id).ok_or_else(|| ErrorCode::InternalError.into())
}

fn show(state: &AppState, read: &Read<OrderRecord>) -> Result<Response, ApiError> {
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

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OrderBy {
    by_update: bool,
    ascending: bool,
}

/// Which orders a list shows.
struct ListQuery {
    instrument: Option<InstrumentId>,
    status: Option<String>,
    limit: usize,
    offset: usize,
    order_by: OrderBy,
    min_seq: u64,
}

impl ListQuery {
    fn read(mut query: Fields, products: &Products) -> Result<Self, ApiError> {
        let text = |query: &mut Fields, name: &str| query.text(name).unwrap_or_default();
        let instrument = text(&mut query, "symbol")
            .map(|symbol| convert::symbol(&symbol, products))
            .transpose()?
            .map(|instrument| instrument.spec.instrument);
        let status = text(&mut query, "status");
        let known = ["PENDING", "OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "REJECTED"];
        if status.as_deref().is_some_and(|status| !known.contains(&status)) {
            let text = "unknown status";
            return Err(ApiError::field(ErrorCode::ValidationError, "status", text));
        }
        let order_by = read_order_by(text(&mut query, "order_by").as_deref())?;
        let limit = query.number("limit", ORDERS_LIMIT_DEFAULT, 1..=ORDERS_LIMIT_MAX)?;
        let offset = query.number("offset", 0, 0..=ORDERS_OFFSET_MAX)?;
        let min_seq = query.number("min_seq", 0, 0..=u64::MAX)?;
        query.finish()?;
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let (limit, offset) = (count(limit), count(offset));
        Ok(Self { instrument, status, limit, offset, order_by, min_seq })
    }

    fn wants(&self, record: &OrderRecord) -> bool {
        self.instrument.is_none_or(|id| record.instrument == id)
            && self.status.as_deref().is_none_or(|status| record.status() == status)
    }

    /// Newest first is the order in which the orders come, so it needs no more than one page.
    fn is_newest_first(&self) -> bool {
        !self.order_by.by_update && !self.order_by.ascending
    }
}

fn read_order_by(text: Option<&str>) -> Result<OrderBy, ApiError> {
    let (by_update, ascending) = match text {
        None | Some("created_at" | "created_at:desc" | "created_at_desc") => (false, false),
        Some("created_at:asc" | "created_at_asc") => (false, true),
        Some("updated_at" | "updated_at:desc" | "updated_at_desc") => (true, false),
        Some("updated_at:asc" | "updated_at_asc") => (true, true),
        Some(_) => {
            let text = "order_by must be created_at or updated_at, with :asc or :desc";
            return Err(ApiError::field(ErrorCode::ValidationError, "order_by", text));
        }
    };
    Ok(OrderBy { by_update, ascending })
}

pub(crate) async fn list(
    State(state): State<AppState>,
    Reader(caller): Reader,
    query: Fields,
) -> Result<Response, ApiError> {
    let products = state.views.products();
    let query = ListQuery::read(query, &products)?;
    reach(&state, query.min_seq).await?;
    let Some(account) = state.views.account(caller.user) else {
        let sequence = state.views.sequence();
        return Ok(at_sequence(&Read { sequence, value: Vec::<OrderBody>::new() }));
    };
    let read = page(&state, account, &query);
    let body = |record: &OrderRecord| {
        let instrument = instrument_of(&products, record.instrument)?;
        Ok::<_, ApiError>(OrderBody::new(record, instrument, read.sequence))
    };
    let value = read.value.iter().map(body).collect::<Result<Vec<_>, _>>()?;
    Ok(at_sequence(&Read { sequence: read.sequence, value }))
}

fn page(state: &AppState, account: AccountId, query: &ListQuery) -> Read<Vec<OrderRecord>> {
    let enough = query.offset + query.limit;
    let mut found = Vec::new();
    let sequence = state.views.visit_orders(account, |record| {
        if query.wants(record) {
            found.push((record.state.updated_ns, record.id));
        }
        !(query.is_newest_first() && found.len() == enough)
    });
    if query.order_by.by_update {
        found.sort_unstable_by(|a, b| b.cmp(a));
    }
    if query.order_by.ascending {
        found.reverse();
    }
    let ids = found.into_iter().skip(query.offset).take(query.limit);
    let copy = state
        .views
        .orders(|orders| ids.filter_map(|(_, id)| orders.get(id).cloned()).collect::<Vec<_>>());
    Read { sequence, value: copy.value }
}

pub(crate) async fn amend(
    State(state): State<AppState>,
    Trader(caller): Trader,
    PathText(id): PathText,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let account = account_of(&state, &caller)?;
    let record = find(&state, account, &id)?.value;
    let products = state.views.products();
    let instrument = instrument_of(&products, record.instrument)?;
    let amend = read_amend(fields, account, record.id, instrument)?;
    if record.state.ended.is_some() {
        return Err(ErrorCode::OrderNotAmendable.into());
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
    let symbol = query.text("symbol").unwrap_or_default();
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
