//! Owns what the exchange may ask of the ledger: how each body becomes a command, and what it is
//! answered. Knows nothing of how a command is handed over. Invariant: a request that makes no
//! sense by itself never becomes a command.

use engine::{Amount, AssetCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::{ApiError, ErrorCode};
use super::fields::named;
use super::state::ServiceState;
use crate::client::{Released, Reserved, SettleRequest, Settlement};
use crate::ledger::types::{CreditTo, TransactionId, UserId};
use crate::ledger::{Command, Outcome, Release, ReservationState, Reserve, Settle};
use crate::views::{AssetView, WalletView};
use crate::wire::{
    ReleaseAnswer, ReleaseBody, ReserveAnswer, ReserveBody, SettleAnswer, SettleBody, quote_of,
};

/// A body that asks one thing of the ledger.
pub(super) trait TradingRequest: DeserializeOwned + Send + Sync {
    type Answer: Serialize + Send + 'static;

    /// What the ledger is to do.
    ///
    /// # Errors
    /// The request makes no sense; the ledger need not be asked.
    fn command(&self, state: &ServiceState) -> Result<Command, ApiError>;

    /// What is answered once it is done.
    fn answer(state: &ServiceState, outcome: &Outcome) -> Result<Self::Answer, ApiError>;
}

impl TradingRequest for ReserveBody {
    type Answer = ReserveAnswer;

    fn command(&self, state: &ServiceState) -> Result<Command, ApiError> {
        if let Some(name) = self.asset.as_deref().or(self.currency.as_deref()) {
            state.listed("asset", name)?;
        }
        let request = self.request(state.assets())?;
        let asset = state.listed("asset", request.asset.as_str())?;
        Ok(Command::Reserve(Reserve {
            user: user(named("user_id", request.user_id)?),
            asset: asset.id,
            amount: above_zero("amount", request.amount)?,
            order: named("order_id", request.order_id)?.as_u128(),
            reason: request.reason,
        }))
    }

    fn answer(state: &ServiceState, outcome: &Outcome) -> Result<ReserveAnswer, ApiError> {
        let asset = state.asset_of(&wallet_of(state, outcome)?)?.code;
        let answer = ReserveAnswer::new(&Reserved::from(outcome), asset, state.assets());
        answer.map_err(|_| ErrorCode::InternalError.into())
    }
}

impl TradingRequest for ReleaseBody {
    type Answer = ReleaseAnswer;

    fn command(&self, state: &ServiceState) -> Result<Command, ApiError> {
        if self.reservation_id.is_none() && self.order_id.is_none() {
            return Err(ApiError::invalid(
                "reservation_id",
                "reservation_id or order_id is required",
            ));
        }
        let order = self.order_id.map(|id| named("order_id", id)).transpose()?;
        let reservation = match self.reservation_id {
            None => TransactionId(0),
            Some(id) => state.transaction(id).ok_or(ErrorCode::ReservationNotFound)?,
        };
        Ok(Command::Release(Release {
            reservation,
            order: order.map_or(0, |id| id.as_u128()),
            reason: self.reason,
            captured_total: captured_total(self, state, reservation)?,
        }))
    }

    fn answer(state: &ServiceState, outcome: &Outcome) -> Result<ReleaseAnswer, ApiError> {
        let asset = state.asset_of(&wallet_of(state, outcome)?)?.code;
        let answer = ReleaseAnswer::new(&Released::from(outcome), asset, state.assets());
        answer.map_err(|_| ErrorCode::InternalError.into())
    }
}

/// What the order's trades have taken, in units of the asset that the reservation holds.
fn captured_total(
    body: &ReleaseBody,
    state: &ServiceState,
    reservation: TransactionId,
) -> Result<Option<Amount>, ApiError> {
    if let Some(name) = body.asset.as_deref().or(body.currency.as_deref()) {
        state.listed("asset", name)?;
    }
    let named = body.named_asset(state.assets())?;
    let held = held_asset(body, state, reservation)?;
    if let (Some(named), Some(held)) = (named, held)
        && named != held
    {
        return Err(ApiError::invalid("asset", "asset is not that of the reservation"));
    }
    if body.captured_total.is_none() {
        return Ok(None);
    }
    let text = "asset is required: there is no reservation yet that would tell it";
    let asset = named.or(held).ok_or_else(|| ApiError::invalid("asset", text))?;
    Ok(body.request(asset, state.assets())?.captured_total)
}

/// The asset of the reservation, if there is one by now. One that is not known is released all the
/// same: from then on nothing can be reserved for its order.
fn held_asset(
    body: &ReleaseBody,
    state: &ServiceState,
    reservation: TransactionId,
) -> Result<Option<AssetCode>, ApiError> {
    let views = state.views();
    let found: Option<(ReservationState, WalletView)> = if reservation == TransactionId(0) {
        body.order_id.and_then(|id| views.reservation_of_order(id.as_u128()))
    } else {
        views.reservation(reservation)
    };
    found.map(|(_, wallet)| state.asset_of(&wallet).map(|asset| asset.code)).transpose()
}

impl TradingRequest for SettleBody {
    type Answer = SettleAnswer;

    fn command(&self, state: &ServiceState) -> Result<Command, ApiError> {
        let base = state.listed("base_currency", &self.base_currency)?;
        let quote = state.listed("quote_currency", &self.quote_currency)?;
        if base.id == quote.id {
            return Err(ApiError::invalid("quote_currency", "quote_currency is base_currency"));
        }
        let request = self.request(state.assets())?;
        let base_amount = above_zero("base_amount", request.base_amount)?;
        let quote_amount = above_zero("quote_amount", request.quote_amount)?;
        check_value(&request, &base, &quote)?;
        if request.credit_to == CreditTo::Available {
            named("buyer_order_id", request.buyer_order_id)?;
            named("seller_order_id", request.seller_order_id)?;
        }
        Ok(Command::Settle(Settle {
            trade: named("trade_id", request.trade_id)?.as_u128(),
            buyer: user(named("buyer_id", request.buyer_id)?),
            seller: user(named("seller_id", request.seller_id)?),
            buyer_order: request.buyer_order_id.as_u128(),
            seller_order: request.seller_order_id.as_u128(),
            base: base.id,
            quote: quote.id,
            base_amount,
            quote_amount,
            buyer_fee: request.buyer_fee,
            seller_fee: request.seller_fee,
            credit_to: request.credit_to,
        }))
    }

    fn answer(_: &ServiceState, outcome: &Outcome) -> Result<SettleAnswer, ApiError> {
        Ok(SettleAnswer::new(&Settlement::from(outcome)))
    }
}

/// The value is base times price, and neither side pays more in fees than it has from the trade.
fn check_value(
    request: &SettleRequest,
    base: &AssetView,
    quote: &AssetView,
) -> Result<(), ApiError> {
    let value = quote_of(request.base_amount, base.scale, request.price, quote.scale);
    if value != Some(request.quote_amount) {
        let text = "quote_amount is not base_amount times price";
        return Err(ApiError::field(ErrorCode::InvalidAmount, "quote_amount", text));
    }
    let value = i128::try_from(request.quote_amount).ok();
    let paid = value.and_then(|value| value.checked_add(request.buyer_fee));
    let received = value.and_then(|value| value.checked_sub(request.seller_fee));
    for (field, sum) in [("buyer_fee", paid), ("seller_fee", received)] {
        if sum.is_none_or(i128::is_negative) {
            let text = format!("{field} is more than the value of the trade");
            return Err(ApiError::field(ErrorCode::InvalidAmount, field, text));
        }
    }
    Ok(())
}

fn user(id: Uuid) -> UserId {
    UserId(id.as_u128())
}

fn above_zero(field: &'static str, units: Amount) -> Result<Amount, ApiError> {
    let text = || format!("{field} must be greater than 0");
    if units > 0 {
        Ok(units)
    } else {
        Err(ApiError::field(ErrorCode::InvalidAmount, field, text()))
    }
}

fn wallet_of(state: &ServiceState, outcome: &Outcome) -> Result<WalletView, ApiError> {
    state.views().wallet(outcome.wallet).value.ok_or_else(|| ErrorCode::InternalError.into())
}
