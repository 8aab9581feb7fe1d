//! Owns the operator's credit: an adjustment in the wallet's ledger that ends up in trading.
//! Knows nothing of how it gets there. Invariant: a reference moves money once, for ever, and the
//! answer comes when the trading account has it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::TransferId;
use engine::fees::signed;
use serde::Serialize;
use settlement::funding::movement_id;
use tokio::time::Instant;
use uuid::Uuid;
use wallet::bank::{Answer, HandOverError, Teller};
use wallet::client::FundingEvent;
use wallet::ids as wallet_ids;
use wallet::ledger::types::{
    Account, Description, FundingDirection, Reference, TransactionKind, UserId, WalletId,
};
use wallet::ledger::{Command, Outcome, Post, Posting, Postings, RejectReason};

use crate::api::{DecimalText, created};
use crate::auth::Operator;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::{Fields, NoQuery};
use crate::ids;
use crate::request::{JsonFields, replayed};
use crate::routes::admin::read_user;
use crate::state::AppState;
use crate::views::{AppliedTransfer, Asset};

/// References of credits are unique over all operators.
const CREDITS: &str = "matchring.credits";

#[derive(Debug, Serialize)]
struct CreditBody {
    reference: String,
    /// Of the wallet's ledger.
    transaction_id: Uuid,
    user: Uuid,
    asset: String,
    amount: DecimalText,
    /// In the trading account right after the credit; absent where the first answer is too old to
    /// be remembered.
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

    fn answer(&self, outcome: &Outcome, applied: Option<AppliedTransfer>) -> Response {
        let amount = |units| DecimalText(self.asset.amount(signed(units)));
        let body = CreditBody {
            reference: self.reference.clone(),
            transaction_id: wallet_ids::transaction(outcome.transaction, outcome.timestamp_ns),
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

    /// The adjustment that this credit is.
    fn post(&self, wallet: WalletId, fund: bool) -> Result<Command, ApiError> {
        let posting = Posting {
            debit: Account::External(self.asset.id),
            credit: Account::Available(wallet),
            amount: self.amount,
        };
        let parts = || {
            let caller = UserId(ids::user(CREDITS)?.as_u128());
            Some((caller, Reference::new(&self.reference)?, Postings::new(&[posting])?))
        };
        let (caller, reference, postings) = parts().ok_or(ErrorCode::InternalError)?;
        Ok(Command::Post(Post {
            kind: TransactionKind::Adjustment,
            caller,
            reference,
            description: Description::EMPTY,
            postings,
            fund,
            dry_run: false,
        }))
    }

    /// The id under which trading knows the money of an adjustment.
    fn transfer_id(&self, outcome: &Outcome) -> TransferId {
        let movement = movement_id(&FundingEvent {
            cursor: outcome.sequence,
            transaction_id: wallet_ids::transaction(outcome.transaction, outcome.timestamp_ns),
            direction: FundingDirection::Fund,
            user_id: self.user,
            asset: self.asset.code,
            amount: self.amount,
        });
        TransferId(movement.as_u128())
    }
}

pub(crate) async fn credit(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
    JsonFields(fields): JsonFields,
) -> Result<Response, ApiError> {
    let deadline = Instant::now() + state.exchange.timeout();
    let credit = Credit::read(fields, &state)?;
    // A wallet in another process has an interface of its own for this.
    let teller = state.money.teller.as_ref().ok_or(ErrorCode::WalletElsewhere)?;
    let wallet = open_wallet(teller, &credit).await?;
    let command = credit.post(wallet, teller.funds_trading())?;
    let (outcome, again) = match submit(teller, command).await? {
        Answer::Transaction { outcome, again } => (outcome, again),
        Answer::Rejected(reason) => return Err(refused(reason)),
        _ => return Err(ErrorCode::InternalError.into()),
    };
    if let Some(reason) = outcome.reason {
        let answer = refused(reason);
        return if again { Ok(replayed(answer.into_response())) } else { Err(answer) };
    }
    let applied = if teller.funds_trading() {
        wait_for_trading(&state, credit.transfer_id(&outcome), &outcome, deadline).await?
    } else {
        None
    };
    let answer = credit.answer(&outcome, applied);
    Ok(if again { replayed(answer) } else { answer })
}

async fn submit(teller: &Teller, command: Command) -> Result<Answer, ApiError> {
    let answered = teller.submit(command).await.map_err(|error| match error {
        HandOverError::Overloaded => ErrorCode::Overloaded,
        HandOverError::NoSpace => ErrorCode::NoSpace,
        HandOverError::SyncDelayed => ErrorCode::SyncDelayed,
        HandOverError::Closed => ErrorCode::ServiceUnavailable,
        HandOverError::ReadOnly => ErrorCode::ReadOnlyModeActive,
        HandOverError::OutcomeUnknown => ErrorCode::OutcomeUnknown,
    })?;
    Ok(answered.answer)
}

async fn open_wallet(teller: &Teller, credit: &Credit) -> Result<WalletId, ApiError> {
    let (user, asset) = (UserId(credit.user.as_u128()), credit.asset.id);
    if let Some(wallet) = teller.views().wallet_of(user, asset).value {
        return Ok(wallet.id);
    }
    match submit(teller, Command::OpenWallet { user, asset }).await? {
        Answer::Wallet { wallet, .. } => Ok(wallet),
        Answer::Rejected(reason) => Err(refused(reason)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}

/// Waits until the trading account has the money. A repeated request whose first answer is not
/// remembered any more does not wait for what has happened long ago.
async fn wait_for_trading(
    state: &AppState,
    id: TransferId,
    outcome: &Outcome,
    deadline: Instant,
) -> Result<Option<AppliedTransfer>, ApiError> {
    loop {
        let seen = state.views.sequence();
        if let Some(applied) = state.views.transfer(id) {
            return Ok(Some(applied));
        }
        let funding = state.money.funds.funding();
        if funding.is_none_or(|funding| funding.cursor() >= outcome.sequence) {
            return Ok(None);
        }
        let next = state.views.reach(seen + 1);
        if tokio::time::timeout_at(deadline, next).await.is_err() {
            return Err(ErrorCode::OutcomeUnknown.into());
        }
    }
}

/// The ledger's refusals of an adjustment in the words of this interface.
fn refused(reason: RejectReason) -> ApiError {
    match reason {
        RejectReason::DuplicateReference | RejectReason::IdempotencyMismatch => {
            let code = ErrorCode::IdempotencyMismatch;
            ApiError::field(code, "reference", code.text())
        }
        RejectReason::BalanceOverflow => ApiError::rejected(engine::RejectReason::BalanceOverflow),
        RejectReason::InvalidAmount => ApiError::rejected(engine::RejectReason::InvalidAmount),
        RejectReason::WalletClosed | RejectReason::WalletFrozen => ErrorCode::WalletNotOpen.into(),
        RejectReason::CapacityExhausted => ErrorCode::Overloaded.into(),
        _ => ErrorCode::InternalError.into(),
    }
}
