//! Owns the requests that move money: deposits, withdrawals, transfers, corrections, batches and
//! reversals. Knows nothing of orders and trades. Invariant: what is wrong with a request is said
//! before the ledger is asked, and the same request again is answered like the first time.

use axum::extract::State;
use axum::http::StatusCode;
use engine::Amount;
use uuid::Uuid;

use super::answers::{DryRunAnswer, MovementAnswer, Reply, status_word, text};
use super::bodies::{
    AdjustBody, Direction, DryRunQuery, MoneyBody, MovementBatchBody, TransferBody, destination,
};
use super::caller::{Caller, OperatorWriter, Writer};
use super::error::{ApiError, ErrorCode};
use super::extract::{JsonBody, NoBody, NoQuery, PathId, QueryOf};
use super::fields::{self, CORRECTABLE};
use super::keys::{Name, NoKey, RequestKey};
use super::postings;
use super::state::ServiceState;
use crate::bank::Answer;
use crate::ids;
use crate::ledger::types::{Account, TransactionKind, TransactionStatus, WalletId};
use crate::ledger::{Command, Outcome, Post, Posting, Postings};
use crate::limits::POSTINGS_MAX;

pub(super) async fn deposit(
    State(state): State<ServiceState>,
    OperatorWriter(caller): OperatorWriter,
    PathId(id): PathId,
    QueryOf(query): QueryOf<DryRunQuery>,
    key: RequestKey,
    JsonBody(body): JsonBody<MoneyBody>,
) -> Result<Reply, ApiError> {
    let posting = postings::from_outside(&state, &caller, id, &body.amount)?;
    let name = key.name(body.reference_id.as_deref())?;
    let post = money_post(&state, &caller, TransactionKind::Deposit, posting, &name, &body)?;
    perform(&state, &name, Post { dry_run: query.dry_run, ..post }).await
}

pub(super) async fn withdraw(
    State(state): State<ServiceState>,
    Writer(caller): Writer,
    PathId(id): PathId,
    QueryOf(query): QueryOf<DryRunQuery>,
    key: RequestKey,
    JsonBody(body): JsonBody<MoneyBody>,
) -> Result<Reply, ApiError> {
    let posting = postings::to_outside(&state, &caller, id, &body.amount)?;
    let name = key.name(body.reference_id.as_deref())?;
    let post = money_post(&state, &caller, TransactionKind::Withdrawal, posting, &name, &body)?;
    perform(&state, &name, Post { dry_run: query.dry_run, ..post }).await
}

pub(super) async fn transfer(
    State(state): State<ServiceState>,
    Writer(caller): Writer,
    PathId(source): PathId,
    QueryOf(query): QueryOf<DryRunQuery>,
    key: RequestKey,
    JsonBody(body): JsonBody<TransferBody>,
) -> Result<Reply, ApiError> {
    let to = destination(body.destination_wallet_id.as_deref(), body.to_wallet_id.as_deref())?;
    let posting = postings::between(&state, &caller, source, to, &body.amount)?;
    let name = key.name(body.reference_id.as_deref())?;
    let described = (&name, body.description.as_deref());
    let post = post(&state, &caller, TransactionKind::Transfer, &[posting], described)?;
    perform(&state, &name, Post { dry_run: query.dry_run, ..post }).await
}

pub(super) async fn adjust(
    State(state): State<ServiceState>,
    OperatorWriter(caller): OperatorWriter,
    PathId(id): PathId,
    QueryOf(query): QueryOf<DryRunQuery>,
    key: RequestKey,
    JsonBody(body): JsonBody<AdjustBody>,
) -> Result<Reply, ApiError> {
    let wallet = state.wallet(&caller, id)?;
    let asset = state.asset_of(&wallet)?;
    let amount = fields::amount(&body.amount, &asset, CORRECTABLE)?;
    let (outside, inside) = (Account::External(asset.id), Account::Available(wallet.id));
    let posting = match body.direction {
        Direction::Credit => Posting { debit: outside, credit: inside, amount },
        Direction::Debit => Posting { debit: inside, credit: outside, amount },
    };
    let name = key.name(body.reference_id.as_deref())?;
    let described = (&name, body.description.as_deref());
    let post = post(&state, &caller, TransactionKind::Adjustment, &[posting], described)?;
    perform(&state, &name, Post { dry_run: query.dry_run, ..post }).await
}

/// Several movements, all or none.
pub(super) async fn batch(
    State(state): State<ServiceState>,
    Writer(caller): Writer,
    QueryOf(query): QueryOf<DryRunQuery>,
    key: RequestKey,
    JsonBody(body): JsonBody<MovementBatchBody>,
) -> Result<Reply, ApiError> {
    if !(1..=POSTINGS_MAX).contains(&body.items.len()) {
        let text = format!("a batch has 1 to {POSTINGS_MAX} items");
        return Err(ApiError::invalid("items", text));
    }
    let mut postings = Vec::with_capacity(body.items.len());
    for (index, item) in body.items.iter().enumerate() {
        let posting = postings::of_item(&state, &caller, item);
        postings.push(posting.map_err(|error| error.with("item", index))?);
    }
    let name = key.name(body.reference_id.as_deref())?;
    let described = (&name, body.description.as_deref());
    let post = post(&state, &caller, TransactionKind::Batch, &postings, described)?;
    perform(&state, &name, Post { dry_run: query.dry_run, ..post }).await
}

/// Posts the movements of a transaction the other way round.
pub(super) async fn reverse(
    State(state): State<ServiceState>,
    _: OperatorWriter,
    PathId(id): PathId,
    _: NoQuery,
    _: NoKey,
    _: NoBody,
) -> Result<Reply, ApiError> {
    let transaction = state.transaction(id).ok_or(ErrorCode::TransactionNotFound)?;
    carry_out(&state, None, Command::Reverse { transaction }).await
}

fn money_post(
    state: &ServiceState,
    caller: &Caller,
    kind: TransactionKind,
    posting: Posting,
    name: &Name,
    body: &MoneyBody,
) -> Result<Post, ApiError> {
    post(state, caller, kind, &[posting], (name, body.description.as_deref()))
}

fn post(
    state: &ServiceState,
    caller: &Caller,
    kind: TransactionKind,
    postings: &[Posting],
    (name, description): (&Name, Option<&str>),
) -> Result<Post, ApiError> {
    Ok(Post {
        kind,
        caller: caller.id(),
        reference: name.reference,
        description: fields::description(description)?,
        postings: Postings::new(postings).ok_or(ErrorCode::ValidationError)?,
        fund: state.teller().funds_trading(),
        dry_run: false,
    })
}

async fn perform(state: &ServiceState, name: &Name, post: Post) -> Result<Reply, ApiError> {
    carry_out(state, Some(name), Command::Post(post)).await
}

/// Has the ledger do it, and waits for trading where it has to give money back first.
async fn carry_out(
    state: &ServiceState,
    name: Option<&Name>,
    command: Command,
) -> Result<Reply, ApiError> {
    let deadline = state.deadline();
    let answered = state.submit(command).await?;
    match answered.answer {
        Answer::Transaction { mut outcome, again } => {
            let mut sequence = answered.sequence;
            if outcome.status == TransactionStatus::Pending {
                if again && name.is_some_and(|name| name.by_header) {
                    return Err(ApiError::from(ErrorCode::RequestInProgress).at(sequence));
                }
                let rest = deadline.saturating_duration_since(tokio::time::Instant::now());
                outcome = state.teller().concluded(outcome, rest).await;
                sequence = sequence.max(state.views().sequence());
            }
            concluded(state, &outcome, again, sequence)
        }
        Answer::WouldCommit { wallet, new_balance } => {
            let (wallet_id, new_balance) = named_balance(state, wallet, new_balance)?;
            let answer = DryRunAnswer { dry_run: true, wallet_id, new_balance };
            Ok(Reply::ok(&answer).at(answered.sequence))
        }
        Answer::Rejected(reason) => {
            let refusal = name.map_or_else(|| reason.into(), |name| name.refusal(reason));
            Err(refusal.at(answered.sequence))
        }
        _ => Err(ErrorCode::InternalError.into()),
    }
}

/// The answer for what a transaction came to: the same whenever it is asked for.
fn concluded(
    state: &ServiceState,
    outcome: &Outcome,
    again: bool,
    sequence: u64,
) -> Result<Reply, ApiError> {
    let transaction_id = ids::transaction(outcome.transaction, outcome.timestamp_ns);
    if let Some(reason) = outcome.reason {
        let error = ApiError::from(reason).with("transactionId", transaction_id.to_string());
        let error = error.with("status", status_word(TransactionStatus::Failed));
        return Err(error.replayed(again).at(sequence));
    }
    let (http, status) = match outcome.status {
        TransactionStatus::Pending => (StatusCode::ACCEPTED, TransactionStatus::Pending),
        // Reversed later: the request itself was carried out, and was answered so.
        _ => (StatusCode::OK, TransactionStatus::Completed),
    };
    let (wallet_id, new_balance) = named_balance(state, outcome.wallet, outcome.new_balance)?;
    let (status, seq) = (status_word(status), outcome.sequence);
    let answer = MovementAnswer { transaction_id, wallet_id, status, new_balance, seq };
    let path = format!("/api/v1/transactions/{transaction_id}");
    Ok(Reply::new(http, &answer).located(&path).replayed(again).at(sequence))
}

/// The wallet's id, and units of its asset as text.
fn named_balance(
    state: &ServiceState,
    wallet: WalletId,
    units: Amount,
) -> Result<(Uuid, String), ApiError> {
    let wallet = state.views().wallet(wallet).value.ok_or(ErrorCode::InternalError)?;
    let asset = state.asset_of(&wallet)?;
    Ok((wallet.uuid(), text(units, asset.scale)))
}
