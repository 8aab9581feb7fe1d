//! Owns what the exchange asks about reservations, settlements and balances.
//! Knows nothing of how they came about. Invariant: "there is none" is only said where it is sure.

use axum::extract::{Path, State};
use uuid::Uuid;

use super::answers::Reply;
use super::bodies::MinSeqQuery;
use super::caller::{Operator, Reader};
use super::error::{ApiError, ErrorCode};
use super::extract::{NoQuery, PathId, QueryOf};
use super::fields;
use super::state::ServiceState;
use crate::client::{Reservation, Settlement, WalletBalance};
use crate::ids;
use crate::ledger::ReservationState;
use crate::views::{Settled, WalletView};
use crate::wire::{BalanceAnswer, OrderQuery, ReservationAnswer, SettleAnswer};

/// A user's money in one currency.
pub(super) async fn balance(
    State(state): State<ServiceState>,
    Reader(caller): Reader,
    Path((user, currency)): Path<(String, String)>,
    QueryOf(query): QueryOf<MinSeqQuery>,
) -> Result<Reply, ApiError> {
    let user = fields::user("user_id", &user)?;
    let asset = state.listed("currency", &currency)?;
    state.reach(query.min_seq).await?;
    let read = state.views().wallet_of(user, asset.id);
    if !caller.may_see(user) || read.value.is_none() && !state.views().knows(user) {
        return Err(ErrorCode::UserNotFound.into());
    }
    let nothing = WalletBalance { available: 0, reserved: 0 };
    let balance = read.value.map_or(nothing, |wallet| WalletBalance {
        available: wallet.available,
        reserved: wallet.reserved,
    });
    let answer = BalanceAnswer::new(Uuid::from_u128(user.0), asset.code, &balance, state.assets());
    Ok(Reply::ok(&answer.map_err(|_| ErrorCode::InternalError)?).at(read.sequence))
}

pub(super) async fn reservation(
    State(state): State<ServiceState>,
    _: Operator,
    PathId(id): PathId,
    _: NoQuery,
) -> Result<Reply, ApiError> {
    let number = state.transaction(id).ok_or(ErrorCode::ReservationNotFound)?;
    let sequence = state.views().sequence();
    let found = state.views().reservation(number).ok_or(ErrorCode::ReservationNotFound)?;
    reservation_reply(&state, id, &found, sequence)
}

pub(super) async fn reservation_of_order(
    State(state): State<ServiceState>,
    _: Operator,
    QueryOf(query): QueryOf<OrderQuery>,
) -> Result<Reply, ApiError> {
    let order = fields::named("order_id", query.order_id)?.as_u128();
    let sequence = state.views().sequence();
    let found = state.views().reservation_of_order(order).ok_or(ErrorCode::ReservationNotFound)?;
    let number = found.0.reservation;
    // One that is too old for its time to be looked up is named by its number alone.
    let id = state.id_of(number).unwrap_or_else(|| ids::transaction(number, 0));
    reservation_reply(&state, id, &found, sequence)
}

fn reservation_reply(
    state: &ServiceState,
    reservation_id: Uuid,
    (reservation, wallet): &(ReservationState, WalletView),
    sequence: u64,
) -> Result<Reply, ApiError> {
    let asset = state.asset_of(wallet)?.code;
    let reservation = Reservation::of(reservation, wallet, asset, reservation_id);
    let answer = ReservationAnswer::new(&reservation, state.assets());
    Ok(Reply::ok(&answer.map_err(|_| ErrorCode::InternalError)?).at(sequence))
}

pub(super) async fn settlement(
    State(state): State<ServiceState>,
    _: Operator,
    PathId(trade): PathId,
    _: NoQuery,
) -> Result<Reply, ApiError> {
    let sequence = state.views().sequence();
    match state.views().settlement(trade.as_u128()) {
        Settled::Yes(view) => {
            let answer = SettleAnswer::new(&Settlement::from(&view));
            Ok(Reply::ok(&answer).at(sequence))
        }
        Settled::No => Err(ApiError::new(ErrorCode::SettlementNotFound).at(sequence)),
        // Settling it again under the same id tells.
        Settled::Forgotten => Err(ApiError::new(ErrorCode::NotKept).at(sequence)),
    }
}
