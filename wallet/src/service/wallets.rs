//! Owns the requests about wallets as such: opening, looking, freezing, closing.
//! Knows nothing of movements. Invariant: a user has one wallet in a currency, however often it is
//! opened.

use axum::extract::State;
use axum::http::StatusCode;

use super::answers::{Reply, WalletAnswer};
use super::bodies::{MinSeqQuery, OpenWalletBody};
use super::caller::{OperatorWriter, Reader, Writer};
use super::error::{ApiError, ErrorCode};
use super::extract::{JsonBody, NoBody, NoQuery, PathId, PathText, QueryOf};
use super::fields;
use super::keys::NoKey;
use super::state::ServiceState;
use crate::bank::Answer;
use crate::ledger::Command;
use crate::ledger::types::{WalletId, WalletStatus};
use crate::views::{AssetView, Read};

/// Opens a wallet, or finds the one that the user has in this currency.
pub(super) async fn open(
    State(state): State<ServiceState>,
    Writer(caller): Writer,
    _: NoQuery,
    JsonBody(body): JsonBody<OpenWalletBody>,
) -> Result<Reply, ApiError> {
    let user = fields::user("userId", &body.user_id)?;
    let asset = currency(&state, body.currency.as_deref())?;
    if !caller.may_see(user) {
        return Err(ErrorCode::Forbidden.into());
    }
    let answered = state.submit(Command::OpenWallet { user, asset: asset.id }).await?;
    match answered.answer {
        Answer::Wallet { wallet, opened } => {
            let (path, answer) = shown(&state, wallet)?;
            let reply = Reply::new(StatusCode::CREATED, &answer).located(&path);
            Ok(reply.at(answered.sequence).replayed(!opened))
        }
        Answer::Rejected(reason) => Err(ApiError::from(reason).at(answered.sequence)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}

fn currency(state: &ServiceState, named: Option<&str>) -> Result<AssetView, ApiError> {
    let default = state.options().default_currency;
    match (named, default) {
        (Some(name), _) => state.listed("currency", name),
        (None, Some(code)) => state.listed("currency", code.as_str()),
        (None, None) => Err(ApiError::invalid("currency", "currency is required")),
    }
}

/// Where a wallet is found, and what it is like.
fn shown(state: &ServiceState, wallet: WalletId) -> Result<(String, WalletAnswer), ApiError> {
    let wallet = state.views().wallet(wallet).value.ok_or(ErrorCode::InternalError)?;
    let answer = WalletAnswer::new(&wallet, &state.asset_of(&wallet)?);
    Ok((format!("/api/v1/wallets/{}", answer.wallet_id), answer))
}

pub(super) async fn get(
    State(state): State<ServiceState>,
    Reader(caller): Reader,
    PathId(id): PathId,
    QueryOf(query): QueryOf<MinSeqQuery>,
) -> Result<Reply, ApiError> {
    let Read { sequence, value: wallet } = state.wallet_at(&caller, id, query.min_seq).await?;
    let answer = WalletAnswer::new(&wallet, &state.asset_of(&wallet)?);
    Ok(Reply::ok(&answer).at(sequence))
}

/// All wallets of a user.
pub(super) async fn list(
    State(state): State<ServiceState>,
    Reader(caller): Reader,
    PathText(user): PathText,
    QueryOf(query): QueryOf<MinSeqQuery>,
) -> Result<Reply, ApiError> {
    let user = fields::user("userId", &user)?;
    state.reach(query.min_seq).await?;
    let read = state.views().wallets_of(user);
    if read.value.is_empty() || !caller.may_see(user) {
        return Err(ErrorCode::UserNotFound.into());
    }
    let wallets = read.value.iter();
    let wallets = wallets.map(|wallet| Ok(WalletAnswer::new(wallet, &state.asset_of(wallet)?)));
    Ok(Reply::ok(&wallets.collect::<Result<Vec<_>, ApiError>>()?).at(read.sequence))
}

pub(super) async fn freeze(
    State(state): State<ServiceState>,
    operator: OperatorWriter,
    PathId(id): PathId,
    _: NoQuery,
    _: NoKey,
    _: NoBody,
) -> Result<Reply, ApiError> {
    set_status(&state, operator, id, WalletStatus::Frozen).await
}

pub(super) async fn unfreeze(
    State(state): State<ServiceState>,
    operator: OperatorWriter,
    PathId(id): PathId,
    _: NoQuery,
    _: NoKey,
    _: NoBody,
) -> Result<Reply, ApiError> {
    set_status(&state, operator, id, WalletStatus::Active).await
}

pub(super) async fn close(
    State(state): State<ServiceState>,
    operator: OperatorWriter,
    PathId(id): PathId,
    _: NoQuery,
    _: NoKey,
    _: NoBody,
) -> Result<Reply, ApiError> {
    set_status(&state, operator, id, WalletStatus::Closed).await
}

async fn set_status(
    state: &ServiceState,
    OperatorWriter(caller): OperatorWriter,
    id: uuid::Uuid,
    status: WalletStatus,
) -> Result<Reply, ApiError> {
    let wallet = state.wallet(&caller, id)?.id;
    let answered = state.submit(Command::SetWalletStatus { wallet, status }).await?;
    match answered.answer {
        Answer::Done => {
            let (_, answer) = shown(state, wallet)?;
            Ok(Reply::ok(&answer).at(answered.sequence))
        }
        Answer::Rejected(reason) => Err(ApiError::from(reason).at(answered.sequence)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}
