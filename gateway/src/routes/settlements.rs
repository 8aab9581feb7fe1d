//! Owns what an operator sees of settlement and may do about it: dead letters, statuses, books.
//! Knows nothing of how a trade is settled. Invariant: nothing is taken out of the dead letters
//! without a reason and the transaction that corrects it, and every act is logged with who did it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::TradeId;
use serde_json::{Value, json};
use settlement::funding::Funding;
use settlement::releases::Releases;
use settlement::{Class, DeadLetter, DeskError, SettlementStatus};
use uuid::Uuid;
use wallet::client::{CallContext, Settlement};
use wallet::views::Kept;

use crate::auth::Operator;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::NoQuery;
use crate::ids::Id;
use crate::limits::{DEAD_LETTERS_PAGE_MAX, PROBE_TIMEOUT};
use crate::request::{JsonFields, PathText};
use crate::state::AppState;

/// How settlement is doing.
pub(crate) async fn status(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    let board = state.money.desk.board();
    let status = board.status();
    let counts = status.counts;
    Ok(Json(json!({
        "cursor": status.cursor,
        "head": status.head,
        "lag": status.head.saturating_sub(status.cursor),
        "window": status.window,
        "in_flight": status.in_flight,
        "dead_letters": status.dead_letters,
        "oldest_unsettled_at": status.oldest_unsettled_ns.map(convert::time),
        "oldest_dead_letter_at": status.oldest_dead_letter_ns.map(convert::time),
        "paused": status.paused,
        "halted": status.halted,
        "funding_cursor": state.money.funds.funding().map(Funding::cursor),
        "releases": state.money.funds.releases().map(Releases::status),
        "settlement_jobs_submitted_total": counts.submitted,
        "settlements_total": counts.settled,
        "settlement_jobs_failed_total": counts.failed_tries,
        "settlements_failed_total": counts.dead_lettered,
        "settlement_calls_total": counts.calls,
        "settlement_waits_total": counts.waits,
        "settlement_delay_p50_us": board.delay_us(0.5),
        "settlement_delay_p99_us": board.delay_us(0.99),
    }))
    .into_response())
}

/// The settlement of one trade.
pub(crate) async fn trade(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    PathText(id): PathText,
) -> Result<Response, ApiError> {
    let trade = trade_id(&id)?;
    Ok(Json(settlement_of(&state, trade, &id).await).into_response())
}

fn trade_id(text: &str) -> Result<TradeId, ApiError> {
    Id::parse_trade(text).ok_or_else(|| ErrorCode::TradeNotFound.into())
}

/// The settlement of a trade as its parties and operators see it; the wallet is asked where it
/// alone remembers.
pub(crate) async fn settlement_of(state: &AppState, trade: TradeId, id: &str) -> Value {
    let known = state.money.desk.board().trade(trade);
    let mut settlement_id = known.settlement_id;
    let mut settled_at_ns = known.settled_at_ns;
    if known.status == SettlementStatus::Settled && settlement_id.is_none() {
        let context = CallContext::within(PROBE_TIMEOUT);
        let trade_id = Uuid::try_parse(id).unwrap_or_default();
        let asked = state.money.client.settlement_of_trade(context, trade_id).await;
        if let Ok(Some(Settlement { settlement_id: id, settled_at_ns: at, .. })) = asked {
            (settlement_id, settled_at_ns) = (Some(id), Some(at));
        }
    }
    json!({
        "trade_id": id,
        "settlement_status": known.status.name(),
        "settlement_id": settlement_id,
        "settled_at": settled_at_ns.map(convert::time),
        "settlement_retry_count": known.retries,
        "failure_reason": known.failure_reason,
    })
}

/// All dead letters, oldest trade first.
pub(crate) async fn dead_letters(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    let progress = state.money.desk.board().progress();
    let shown = progress.letters.iter().take(DEAD_LETTERS_PAGE_MAX).map(letter);
    let body = json!({
        "total": progress.letters.len(),
        "dead_letters": shown.collect::<Vec<_>>(),
        "discarded": progress.letters.discarded().map(|discarded| json!({
            "id": Uuid::from_u128(discarded.trade_id),
            "discarded_at": convert::time(discarded.at_ns),
            "operator": Uuid::from_u128(discarded.operator),
            "reason": discarded.reason,
            "correction": Uuid::from_u128(discarded.correction),
        })).collect::<Vec<_>>(),
    });
    Ok(Json(body).into_response())
}

fn letter(letter: &DeadLetter) -> Value {
    let request = &letter.trade.request;
    json!({
        "id": request.trade_id,
        "class": letter.class.name(),
        "reason": letter.reason,
        "attempts": letter.attempts,
        "first_at": convert::time(letter.first_ns),
        "last_at": convert::time(letter.last_ns),
        "next_retry_at": letter.next_retry_ns.map(convert::time),
        "traded_at": convert::time(letter.trade.traded_ns),
        "buyer": request.buyer_id,
        "seller": request.seller_id,
        "symbol": format!("{}/{}", request.base, request.quote),
        "price": request.price.to_string(),
        "history": letter.history.iter().map(|attempt| json!({
            "at": convert::time(attempt.at_ns),
            "reason": attempt.reason,
        })).collect::<Vec<_>>(),
    })
}

/// Has one dead letter tried at once.
pub(crate) async fn requeue(
    State(state): State<AppState>,
    Operator(operator): Operator,
    NoQuery: NoQuery,
    PathText(id): PathText,
) -> Result<Response, ApiError> {
    let trade = trade_id(&id)?;
    state.money.desk.requeue(trade).await.map_err(refused)?;
    tracing::warn!(trade = id, operator = %operator.user, "a dead letter was requeued");
    Ok(Json(json!({"requeued": 1})).into_response())
}

/// Has every dead letter of a class tried at once.
pub(crate) async fn requeue_class(
    State(state): State<AppState>,
    Operator(operator): Operator,
    NoQuery: NoQuery,
    JsonFields(mut fields): JsonFields,
) -> Result<Response, ApiError> {
    let code = ErrorCode::ValidationError;
    let text = fields.required("class", code)?;
    fields.finish()?;
    let class = convert::member(&text, Class::ALL, Class::name).ok_or_else(|| {
        ApiError::field(code, "class", "expected UNKNOWN, TERMINAL or IMPOSSIBLE")
    })?;
    let requeued = state.money.desk.requeue_class(class).await.map_err(refused)?;
    tracing::warn!(class = text, requeued, operator = %operator.user, "dead letters were requeued");
    Ok(Json(json!({"requeued": requeued})).into_response())
}

/// Takes a dead letter out for good.
pub(crate) async fn discard(
    State(state): State<AppState>,
    Operator(operator): Operator,
    NoQuery: NoQuery,
    PathText(id): PathText,
    JsonFields(mut fields): JsonFields,
) -> Result<Response, ApiError> {
    let trade = trade_id(&id)?;
    let reason = fields.text_or("reason", ErrorCode::ReasonRequired.into())?;
    let correction = fields.text_or("correction", ErrorCode::ReasonRequired.into())?;
    fields.finish()?;
    let correction = correction.and_then(|text| Uuid::try_parse(&text).ok());
    // Where the ledger is at hand, the transaction must exist.
    let exists = |id: &Uuid| {
        state.money.teller.as_ref().is_none_or(|teller| {
            let transaction =
                wallet::ids::parse_transaction(*id).map(|(transaction, _)| transaction);
            transaction.is_some_and(|id| teller.views().transaction(id).value != Kept::Never)
        })
    };
    let correction = correction.filter(exists);
    let (reason, correction) = (reason.unwrap_or_default(), correction.unwrap_or_default());
    let done = state.money.desk.discard(trade, operator.user, &reason, correction).await;
    done.map_err(refused)?;
    tracing::warn!(trade = id, operator = %operator.user, reason, "a dead letter was discarded");
    Ok(Json(json!({"discarded": id})).into_response())
}

fn refused(error: DeskError) -> ApiError {
    match error {
        DeskError::Stopped => ErrorCode::ServiceUnavailable,
        DeskError::NoSuchLetter => ErrorCode::TradeNotFound,
        DeskError::BeingTried => ErrorCode::SettlementInProgress,
        DeskError::ReasonRequired => ErrorCode::ReasonRequired,
    }
    .into()
}

/// What the last comparison of the books came to.
pub(crate) async fn reconciliation(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    Ok(Json(state.money.reconciliation.status()).into_response())
}

/// Compares the books now.
pub(crate) async fn reconcile(
    State(state): State<AppState>,
    Operator(operator): Operator,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    // Each holds a thread until the one before it is done, and those save cursors, too.
    let place = state.bounds.reconciliations.try_acquire();
    let _place = place.map_err(|_| ErrorCode::Overloaded)?;
    tracing::info!(operator = %operator.user, "the books are compared on request");
    Ok(Json(state.money.reconciliation.run().await).into_response())
}
