//! Owns how what a caller asks for becomes movements between accounts. Knows nothing of how they
//! are made. Invariant: money leaves a wallet only for whoever owns it, or for an operator.

use uuid::Uuid;

use super::bodies::{MovementItem, MovementType, destination};
use super::caller::Caller;
use super::error::{ApiError, ErrorCode};
use super::fields::{self, AmountText, movable};
use super::state::ServiceState;
use crate::ledger::Posting;
use crate::ledger::types::Account;

pub(super) fn from_outside(
    state: &ServiceState,
    caller: &Caller,
    id: Uuid,
    amount: &AmountText,
) -> Result<Posting, ApiError> {
    let wallet = state.wallet(caller, id)?;
    let asset = state.asset_of(&wallet)?;
    let amount = fields::amount(amount, &asset, movable(&asset))?;
    Ok(Posting {
        debit: Account::External(asset.id),
        credit: Account::Available(wallet.id),
        amount,
    })
}

pub(super) fn to_outside(
    state: &ServiceState,
    caller: &Caller,
    id: Uuid,
    amount: &AmountText,
) -> Result<Posting, ApiError> {
    let Posting { debit, credit, amount } = from_outside(state, caller, id, amount)?;
    Ok(Posting { debit: credit, credit: debit, amount })
}

pub(super) fn between(
    state: &ServiceState,
    caller: &Caller,
    from: Uuid,
    to: Uuid,
    amount: &AmountText,
) -> Result<Posting, ApiError> {
    let source = state.wallet(caller, from)?;
    // Money may be sent to anybody whose wallet one can name.
    let destination = state.any_wallet(to)?;
    let asset = state.asset_of(&source)?;
    if source.id == destination.id || source.asset != destination.asset {
        return Err(ErrorCode::InvalidTransfer.into());
    }
    let amount = fields::amount(amount, &asset, movable(&asset))?;
    let (debit, credit) = (Account::Available(source.id), Account::Available(destination.id));
    Ok(Posting { debit, credit, amount })
}

/// The movement of one item of a batch.
pub(super) fn of_item(
    state: &ServiceState,
    caller: &Caller,
    item: &MovementItem,
) -> Result<Posting, ApiError> {
    let wallet = fields::uuid("walletId", &item.wallet_id)?;
    let to = (item.destination_wallet_id.as_deref(), item.to_wallet_id.as_deref());
    if item.movement != MovementType::Transfer && to != (None, None) {
        let text = "only a transfer has a destinationWalletId";
        return Err(ApiError::invalid("destinationWalletId", text));
    }
    match item.movement {
        // Whoever could bring in money for themselves could make it.
        MovementType::Deposit if !caller.is_operator => Err(ErrorCode::Forbidden.into()),
        MovementType::Deposit => from_outside(state, caller, wallet, &item.amount),
        MovementType::Withdrawal => to_outside(state, caller, wallet, &item.amount),
        MovementType::Transfer => {
            between(state, caller, wallet, destination(to.0, to.1)?, &item.amount)
        }
    }
}
