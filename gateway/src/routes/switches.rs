//! Owns what an operator may stop at once: kill switches of the venue, of a symbol, of an account;
//! and the end of a session. Knows nothing of how orders close. Invariant: setting what is already
//! so closes nothing and is as good as setting it.

use axum::extract::State;
use axum::response::Response;
use engine::{Command, KillSwitchScope, RejectReason};
use serde_json::{Value, json};

use crate::api::at_sequence;
use crate::auth::Operator;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::{Fields, NoQuery};
use crate::limits::KILLED_ACCOUNTS_PAGE_MAX;
use crate::replies::Answer;
use crate::request::{JsonFields, PathText};
use crate::routes::admin::known_user;
use crate::state::AppState;
use crate::views::Read;

fn read_on(mut fields: Fields) -> Result<bool, ApiError> {
    let on = fields.required_flag("on")?;
    fields.finish()?;
    Ok(on)
}

/// Submits what closes orders; gives how many, at which sequence.
async fn close(state: &AppState, command: Command) -> Result<Read<u32>, ApiError> {
    let answered = state.exchange.submit(command).await?;
    let value = match answered.answer {
        Answer::ClosedCount(closed) => closed,
        Answer::Rejected(RejectReason::NoChange) => 0,
        Answer::Rejected(reason) => return Err(ApiError::rejected(reason)),
        _ => return Err(ErrorCode::InternalError.into()),
    };
    Ok(Read { sequence: answered.sequence, value })
}

/// `of` names what is switched.
async fn switch(
    state: &AppState,
    scope: KillSwitchScope,
    id: u32,
    on: bool,
    mut of: Value,
) -> Result<Response, ApiError> {
    let closed = close(state, Command::SetKillSwitch { scope, id, on }).await?;
    tracing::warn!(?scope, id, on, closed = closed.value, "kill switch");
    (of["on"], of["closed"]) = (json!(on), json!(closed.value));
    Ok(at_sequence(&Read { sequence: closed.sequence, value: of }))
}

pub(crate) async fn venue(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    switch(&state, KillSwitchScope::Venue, 0, read_on(fields)?, json!({})).await
}

pub(crate) async fn symbol(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    PathText(symbol): PathText,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let listed = convert::symbol(&symbol, &state.views.products())?;
    let (id, of) = (listed.spec.instrument.0, json!({"symbol": listed.symbol}));
    switch(&state, KillSwitchScope::Instrument, id, read_on(fields)?, of).await
}

pub(crate) async fn account(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    PathText(user): PathText,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let (user, account) = known_user(&state, &user)?;
    let of = json!({"user": user});
    switch(&state, KillSwitchScope::Account, account.0, read_on(fields)?, of).await
}

/// What is on.
pub(crate) async fn list(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    let read = state.views.switches(|switches| {
        let accounts: Vec<_> = switches.accounts().take(KILLED_ACCOUNTS_PAGE_MAX).collect();
        let instruments: Vec<_> = switches.instruments().collect();
        (switches.venue(), instruments, switches.accounts().len(), accounts)
    });
    let (venue, instruments, accounts_total, accounts) = read.value;
    let products = state.views.products();
    let symbols = instruments.into_iter().filter_map(|id| products.instrument(id));
    let symbols: Vec<_> = symbols.map(|instrument| instrument.symbol.as_str()).collect();
    let users: Vec<_> = accounts.into_iter().filter_map(|id| state.views.user(id)).collect();
    let value = json!({
        "venue": venue, "symbols": symbols, "accounts_total": accounts_total, "accounts": users,
    });
    Ok(at_sequence(&Read { sequence: read.sequence, value }))
}

pub(crate) async fn end_session(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    PathText(symbol): PathText,
) -> Result<Response, ApiError> {
    let listed = convert::symbol(&symbol, &state.views.products())?;
    let instrument = listed.spec.instrument;
    let closed = close(&state, Command::EndSession { instrument }).await?;
    let value = json!({"symbol": listed.symbol, "closed": closed.value});
    Ok(at_sequence(&Read { sequence: closed.sequence, value }))
}
