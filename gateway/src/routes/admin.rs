//! Owns what an operator may do to markets and accounts, and the hash of the state.
//! Knows nothing of the public listener, which has none of these paths. Invariant: setting what is
//! already so is as good as setting it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::{AccountId, AccountStatus, Command, RejectReason, TradingStatus};
use serde_json::json;
use uuid::Uuid;

use crate::auth::Operator;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::{Fields, NoQuery};
use crate::ids;
use crate::replies::Answer;
use crate::request::{JsonFields, PathText};
use crate::state::AppState;

pub(crate) fn read_user(text: &str) -> Result<Uuid, ApiError> {
    let code = ErrorCode::InvalidUser;
    ids::user(text).ok_or_else(|| ApiError::field(code, "user", code.text()))
}

/// A user that a path names, and the account that it has.
pub(crate) fn known_user(state: &AppState, text: &str) -> Result<(Uuid, AccountId), ApiError> {
    let user = read_user(text)?;
    let account = state.views.account(user).ok_or(ErrorCode::UserNotFound)?;
    Ok((user, account))
}

pub(crate) async fn state_hash(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    let answered = state.exchange.state_hash().await?;
    let Answer::StateHash(hash) = answered.answer else {
        return Err(ErrorCode::InternalError.into());
    };
    let body = json!({"sequence": answered.sequence, "state_hash": hex(&hash)});
    Ok(Json(body).into_response())
}

/// Bytes as lower-case hexadecimal text.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn read_status<T: Copy>(
    mut fields: Fields,
    members: &[T],
    word: fn(T) -> &'static str,
) -> Result<T, ApiError> {
    let code = ErrorCode::ValidationError;
    let text = fields.required("status", code)?;
    fields.finish()?;
    convert::member(&text, members, word)
        .ok_or_else(|| ApiError::field(code, "status", "unknown status"))
}

/// Setting what is already so is as good as setting it.
async fn set(state: &AppState, command: Command) -> Result<(), ApiError> {
    match state.exchange.submit(command).await?.answer {
        Answer::Rejected(RejectReason::NoChange) => Ok(()),
        Answer::Rejected(reason) => Err(ApiError::rejected(reason)),
        _ => Ok(()),
    }
}

pub(crate) async fn symbol_status(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    PathText(symbol): PathText,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    const SETTABLE: [TradingStatus; 3] =
        [TradingStatus::Trading, TradingStatus::Halted, TradingStatus::CancelOnly];
    let listed = convert::symbol(&symbol, &state.views.products())?;
    let status = read_status(fields, &SETTABLE, convert::trading_status_word)?;
    let instrument = listed.spec.instrument;
    set(&state, Command::SetTradingStatus { instrument, status }).await?;
    let status = convert::trading_status_word(status);
    Ok(Json(json!({"symbol": listed.symbol, "status": status})).into_response())
}

/// Opens an account in a group whose orders count as one owner's. Others open by themselves.
pub(crate) async fn open_account(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    JsonFields(mut fields): JsonFields,
) -> Result<Response, ApiError> {
    let user = read_user(&fields.required("user", ErrorCode::InvalidUser)?)?;
    let code = ErrorCode::ValidationError;
    let text = fields.required("stp_group", code)?;
    fields.finish()?;
    let number = text.parse::<u32>().ok().filter(|group| *group > 0);
    let text = "stp_group must be the text of a whole number from 1 to 4294967295";
    let stp_group = number.ok_or_else(|| ApiError::field(code, "stp_group", text))?;
    let command = Command::RegisterAccount { uuid: user.as_u128(), stp_group };
    match state.exchange.submit(command).await?.answer {
        Answer::Registered(_) => {
            let body = json!({"user": user, "stp_group": stp_group.to_string()});
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Answer::Rejected(reason) => Err(ApiError::rejected(reason)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}

pub(crate) async fn account_status(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    PathText(user): PathText,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let (user, account) = known_user(&state, &user)?;
    let status = read_status(fields, AccountStatus::ALL, convert::account_status_word)?;
    set(&state, Command::SetAccountStatus { account, status }).await?;
    let status = convert::account_status_word(status);
    Ok(Json(json!({"user": user, "status": status})).into_response())
}
