//! Owns what an operator may do: credit accounts, change statuses, ask for the state's hash.
//! Knows nothing of the public listener, which has none of these paths. Invariant: a reference
//! moves money once, however often it is sent, for 30 days of journal time, or less if the engine's
//! table of references fills up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::fees::signed;
use engine::{AccountId, AccountStatus, Command, RejectReason, TradingStatus};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::api::{DecimalText, created};
use crate::auth::Operator;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::{Fields, NoQuery};
use crate::ids;
use crate::replies::Answer;
use crate::request::{JsonFields, PathText, replayed};
use crate::state::AppState;
use crate::views::{AppliedTransfer, Asset};

#[derive(Debug, Serialize)]
struct CreditBody {
    reference: String,
    user: Uuid,
    asset: String,
    amount: DecimalText,
    /// Right after the credit; absent where the first answer is too old to be remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<DecimalText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

struct Credit {
    reference: String,
    user: Uuid,
    asset: Asset,
    amount: engine::Amount,
}

impl Credit {
    fn read(mut fields: Fields, state: &AppState) -> Result<Self, ApiError> {
        let user = read_user(&fields.required("user", ErrorCode::InvalidUser)?)?;
        let code = fields.required("asset", ErrorCode::AssetNotFound)?;
        let asset = state.views.products().asset_by_code(&code).copied().ok_or_else(|| {
            let text = ErrorCode::AssetNotFound.text();
            ApiError::field(ErrorCode::AssetNotFound, "asset", text)
        })?;
        let amount = ErrorCode::InvalidAmount;
        let no_text = ApiError::field(amount, "amount", "invalid amount format");
        let text = fields.text_or("amount", no_text)?;
        let text = text.ok_or_else(|| ApiError::field(amount, "amount", "amount is required"))?;
        let amount = convert::amount(&text, &asset)?;
        let code = ErrorCode::InvalidReference;
        let reference = fields.required("reference", code)?;
        if !convert::is_client_text(&reference) {
            return Err(ApiError::field(code, "reference", code.text()));
        }
        fields.finish()?;
        Ok(Self { reference, user, asset, amount })
    }

    fn answer(&self, applied: Option<AppliedTransfer>) -> Response {
        let amount = |units| DecimalText(self.asset.amount(signed(units)));
        let body = CreditBody {
            reference: self.reference.clone(),
            user: self.user,
            asset: self.asset.code.to_string(),
            amount: amount(self.amount),
            available: applied.map(|applied| amount(applied.available)),
            seq: applied.map(|applied| applied.sequence),
        };
        match applied {
            Some(applied) => created(applied.sequence, &body),
            None => (StatusCode::CREATED, Json(body)).into_response(),
        }
    }
}

fn read_user(text: &str) -> Result<Uuid, ApiError> {
    let code = ErrorCode::InvalidUser;
    ids::user(text).ok_or_else(|| ApiError::field(code, "user", code.text()))
}

/// The user's account; opens it if there is none.
async fn open_account(state: &AppState, user: Uuid) -> Result<AccountId, ApiError> {
    if let Some(account) = state.views.account(user) {
        return Ok(account);
    }
    let command = Command::RegisterAccount { uuid: user.as_u128(), stp_group: 0 };
    match state.exchange.submit(command).await?.answer {
        Answer::Registered(account) => Ok(account),
        // Another request was faster, and its account is in the views by now.
        Answer::Rejected(RejectReason::AlreadyExists) => {
            state.views.account(user).ok_or_else(|| ErrorCode::InternalError.into())
        }
        Answer::Rejected(reason) => Err(ApiError::rejected(reason)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}

pub(crate) async fn credit(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let credit = Credit::read(fields, &state)?;
    let account = open_account(&state, credit.user).await?;
    let transfer_id = ids::transfer(&credit.reference);
    let Credit { asset, amount, .. } = credit;
    let command = Command::Credit { transfer_id, account, asset: asset.id, amount };
    let answered = state.exchange.submit(command).await?;
    let sequence = answered.sequence;
    match answered.answer {
        Answer::Transferred { available } => {
            Ok(credit.answer(Some(AppliedTransfer { available, sequence })))
        }
        Answer::TransferDuplicate { reason: None } => {
            Ok(replayed(credit.answer(state.views.transfer(transfer_id))))
        }
        Answer::TransferDuplicate { reason: Some(reason) } => {
            Ok(replayed(ApiError::rejected(reason).into_response()))
        }
        Answer::Rejected(RejectReason::IdempotencyConflict) => {
            let code = ErrorCode::IdempotencyMismatch;
            Err(ApiError::field(code, "reference", code.text()))
        }
        Answer::Rejected(reason) => Err(ApiError::rejected(reason)),
        _ => Err(ErrorCode::InternalError.into()),
    }
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

pub(crate) async fn account_status(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    PathText(user): PathText,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let user = read_user(&user)?;
    let account = state.views.account(user).ok_or(ErrorCode::UserNotFound)?;
    let status = read_status(fields, AccountStatus::ALL, convert::account_status_word)?;
    set(&state, Command::SetAccountStatus { account, status }).await?;
    let status = convert::account_status_word(status);
    Ok(Json(json!({"user": user, "status": status})).into_response())
}
