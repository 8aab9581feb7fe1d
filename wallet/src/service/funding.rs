//! Owns how trading learns of money that is to move to or from it, and how it answers.
//! Knows nothing of trading accounts. Invariant: an event is told only once it may be acted on,
//! and none is left out between two cursors.

use std::time::Duration;

use axum::extract::State;

use super::answers::Reply;
use super::caller::{Operator, OperatorWriter};
use super::error::{ApiError, ErrorCode};
use super::extract::{JsonBody, NoQuery, PathId, PathText, QueryOf};
use super::keys::NoKey;
use super::state::ServiceState;
use crate::bank::Answer;
use crate::client::limits::FUNDING_WAIT_MAX;
use crate::ledger::Command;
use crate::ledger::types::TransactionStatus;
use crate::limits::FUNDING_EVENTS_PAGE_MAX;
use crate::wire::{
    ConcludeAnswer, ConcludeBody, FreezeAnswer, FreezeBody, FundingEventItem, FundingEventsAnswer,
    FundingEventsQuery,
};

/// The next events, waited for if there are none yet.
pub(super) async fn events(
    State(state): State<ServiceState>,
    _: Operator,
    QueryOf(query): QueryOf<FundingEventsQuery>,
) -> Result<Reply, ApiError> {
    if !(1..=FUNDING_EVENTS_PAGE_MAX).contains(&query.limit) {
        let text = format!("limit must be from 1 to {FUNDING_EVENTS_PAGE_MAX}");
        return Err(ApiError::invalid("limit", text));
    }
    let wait = Duration::from_millis(query.wait_ms);
    if wait > FUNDING_WAIT_MAX {
        let text = format!("wait_ms must be at most {}", FUNDING_WAIT_MAX.as_millis());
        return Err(ApiError::invalid("wait_ms", text));
    }
    let events = state.teller().funding_events(query.after, query.limit, wait).await;
    let events = events.map_err(|error| {
        tracing::error!(%error, "funding events cannot be read from the log");
        ErrorCode::InternalError
    })?;
    let items = events.iter().map(|event| FundingEventItem::new(event, state.assets()));
    let events = items.collect::<Result<_, _>>().map_err(|_| ErrorCode::InternalError)?;
    Ok(Reply::ok(&FundingEventsAnswer { events }).at(state.views().sequence()))
}

/// How trading answered an event.
pub(super) async fn conclude(
    State(state): State<ServiceState>,
    _: OperatorWriter,
    PathId(id): PathId,
    _: NoQuery,
    JsonBody(body): JsonBody<ConcludeBody>,
) -> Result<Reply, ApiError> {
    let transaction = state.transaction(id).ok_or(ErrorCode::TransactionNotFound)?;
    let granted = body.granted;
    let answered = state.submit_lasting(Command::ConcludeFunding { transaction, granted }).await?;
    match answered.answer {
        // Whether the transaction failed or not, it has ended: that is all that was asked.
        Answer::Transaction { outcome, again } => {
            let completed = granted && outcome.status == TransactionStatus::Completed;
            let answer = ConcludeAnswer { success: true, completed };
            Ok(Reply::ok(&answer).replayed(again).at(answered.sequence))
        }
        Answer::Rejected(reason) => Err(ApiError::from(reason).at(answered.sequence)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}

/// Stops, or allows again, that money of an asset leaves.
pub(super) async fn freeze_withdrawals(
    State(state): State<ServiceState>,
    _: OperatorWriter,
    PathText(asset): PathText,
    _: NoQuery,
    _: NoKey,
    JsonBody(body): JsonBody<FreezeBody>,
) -> Result<Reply, ApiError> {
    let (asset, frozen) = (state.listed("asset", &asset)?.id, body.frozen);
    let answered = state.submit_lasting(Command::FreezeWithdrawals { asset, frozen }).await?;
    match answered.answer {
        Answer::Done => {
            let answer = FreezeAnswer { success: true, frozen };
            Ok(Reply::ok(&answer).at(answered.sequence))
        }
        Answer::Rejected(reason) => Err(ApiError::from(reason).at(answered.sequence)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}
