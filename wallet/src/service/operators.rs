//! Owns what operators and their probes ask: is it alive, may it get requests, does it add up.
//! Knows nothing of why not. Invariant: sums are of one moment, or are not answered.

use std::collections::BTreeMap;

use axum::extract::State;
use engine::fees::signed;
use engine::{Amount, AssetId};
use serde::Serialize;
use utoipa::ToSchema;

use super::answers::{Reply, signed_text, text};
use super::bodies::ReadOnlyBody;
use super::caller::{Operator, OperatorWriter};
use super::error::{ApiError, ErrorCode};
use super::extract::{JsonBody, NoQuery};
use super::keys::NoKey;
use super::limits::{SUM_TRIES, WALLETS_PER_READ};
use super::state::ServiceState;
use crate::bank::Answer;
use crate::ledger::types::WalletId;
use crate::views::{AssetView, Views};

/// Whether the process answers, or takes requests.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthAnswer {
    status: &'static str,
    seq: u64,
}

/// The process answers.
pub(super) async fn health(State(state): State<ServiceState>, _: NoQuery) -> Reply {
    Reply::ok(&HealthAnswer { status: "ok", seq: state.views().sequence() })
}

/// The process takes writes.
pub(super) async fn ready(
    State(state): State<ServiceState>,
    _: NoQuery,
) -> Result<Reply, ApiError> {
    if state.teller().is_read_only() {
        return Err(ErrorCode::ReadOnlyModeActive.into());
    }
    Ok(Reply::ok(&HealthAnswer { status: "ready", seq: state.views().sequence() }))
}

/// Stops, or allows again, everything but queries.
pub(super) async fn set_read_only(
    State(state): State<ServiceState>,
    OperatorWriter(caller): OperatorWriter,
    _: NoQuery,
    _: NoKey,
    JsonBody(body): JsonBody<ReadOnlyBody>,
) -> Reply {
    let read_only = body.read_only;
    state.teller().set_read_only(read_only);
    tracing::warn!(operator = %caller.user, read_only, "the wallet's mode was set");
    Reply::ok(&body).at(state.views().sequence())
}

/// One asset of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssetSums {
    currency: String,
    /// All wallets together.
    owned: String,
    fees: String,
    /// The world outside: minus what is inside.
    external: String,
    /// Whether the three add up to zero.
    zero_sum: bool,
    withdrawals_frozen: bool,
}

/// All money at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LedgerAnswer {
    sequence: u64,
    read_only: bool,
    zero_sum: bool,
    assets: Vec<AssetSums>,
}

pub(super) async fn ledger(
    State(state): State<ServiceState>,
    _: Operator,
    _: NoQuery,
) -> Result<Reply, ApiError> {
    let read_only = state.teller().is_read_only();
    // There may be millions of wallets.
    let added = state.report(|state| Ok((0..SUM_TRIES).find_map(|_| sums(state.views())))).await?;
    let text = "money moved while it was added up, try again later";
    let (sequence, assets) =
        added.ok_or_else(|| ApiError::saying(ErrorCode::ServiceUnavailable, text))?;
    let zero_sum = assets.iter().all(|asset| asset.zero_sum);
    if !zero_sum {
        tracing::error!(sequence, "the ledger does not add up to zero");
    }
    Ok(Reply::ok(&LedgerAnswer { sequence, read_only, zero_sum, assets }).at(sequence))
}

/// Everything added up; `None` if something moved meanwhile.
fn sums(views: &Views) -> Option<(u64, Vec<AssetSums>)> {
    let mut owned = BTreeMap::<AssetId, Amount>::new();
    let (mut after, mut sequence) = (WalletId(0), None);
    loop {
        let page = views.wallets_after(after, WALLETS_PER_READ);
        if *sequence.get_or_insert(page.sequence) != page.sequence {
            return None;
        }
        for wallet in &page.value {
            let sum = owned.entry(wallet.asset).or_default();
            *sum = sum.saturating_add(wallet.total());
        }
        match page.value.last() {
            Some(last) => after = last.id,
            None => break,
        }
    }
    let assets = views.assets();
    // The end of the list once more: nothing has moved since it was reached.
    let end = views.wallets_after(after, 1);
    if sequence != Some(end.sequence) || !end.value.is_empty() {
        return None;
    }
    let sums = assets.iter().map(|asset| {
        let owned = owned.get(&asset.id).copied().unwrap_or(0);
        asset_sums(asset, owned)
    });
    Some((end.sequence, sums.collect()))
}

fn asset_sums(asset: &AssetView, owned: Amount) -> AssetSums {
    let total = signed(owned).saturating_add(asset.fees).saturating_add(asset.external);
    AssetSums {
        currency: asset.code.as_str().to_owned(),
        owned: text(owned, asset.scale),
        fees: signed_text(asset.fees, asset.scale),
        external: signed_text(asset.external, asset.scale),
        zero_sum: total == 0,
        withdrawals_frozen: asset.withdrawals_frozen,
    }
}

/// What stands for the whole ledger.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateHashAnswer {
    sequence: u64,
    /// 64 hexadecimal digits.
    state_hash: String,
}

pub(super) async fn state_hash(
    State(state): State<ServiceState>,
    _: Operator,
    _: NoQuery,
) -> Result<Reply, ApiError> {
    let answered = state.teller().state_hash().await.map_err(ApiError::from)?;
    let Answer::StateHash(hash) = answered.answer else {
        return Err(ErrorCode::InternalError.into());
    };
    let sequence = answered.sequence;
    let state_hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Reply::ok(&StateHashAnswer { sequence, state_hash }).at(sequence))
}
