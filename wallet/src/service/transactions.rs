//! Owns the requests about transactions: one in full, and those of a wallet.
//! Knows nothing of how one is made. Invariant: nobody but operators learns from it what another
//! user has.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answers::{Reply, kind_word, signed_text, status_word, text, time};
use super::bodies::{MinSeqQuery, PageQuery};
use super::caller::{Caller, Reader};
use super::error::{ApiError, ErrorCode, code_of};
use super::extract::{PathId, QueryOf};
use super::fields;
use super::limits::{PAGE_DEFAULT, PAGE_MAX};
use super::state::ServiceState;
use crate::ids;
use crate::ledger::Posted;
use crate::ledger::types::{Account, TransactionId, TransactionKind, UserId, WalletId};
use crate::views::{Kept, TransactionView, WalletView};

/// One end of a movement.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountAnswer {
    /// AVAILABLE, RESERVED, FEES or EXTERNAL.
    account: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet_id: Option<Uuid>,
    /// What it held right afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<String>,
}

/// One movement: `amount` from `debit` to `credit`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryAnswer {
    currency: String,
    amount: String,
    debit: AccountAnswer,
    credit: AccountAnswer,
}

/// A transaction as it is now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransactionAnswer {
    transaction_id: Uuid,
    #[serde(rename = "type")]
    kind: &'static str,
    /// PENDING, COMPLETED, FAILED or REVERSED.
    status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The wallet that it is about: of a transfer, the one that pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet_id: Option<Uuid>,
    currency: String,
    amount: String,
    /// Of that wallet right afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_balance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_id: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// The order or the trade that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_id: Option<Uuid>,
    /// What it reverses or ends, or by what it was reversed.
    #[serde(skip_serializing_if = "Option::is_none")]
    linked_transaction_id: Option<Uuid>,
    created_at: String,
    /// Of the command that began it.
    seq: u64,
    entries: Vec<EntryAnswer>,
}

pub(super) async fn get(
    State(state): State<ServiceState>,
    Reader(caller): Reader,
    PathId(id): PathId,
    QueryOf(query): QueryOf<MinSeqQuery>,
) -> Result<Reply, ApiError> {
    state.reach(query.min_seq).await?;
    let transaction = state.transaction(id).ok_or(ErrorCode::TransactionNotFound)?;
    let read = state.views().transaction(transaction);
    let transaction = match read.value {
        Kept::Whole(transaction) => transaction,
        Kept::Forgotten => return Err(ErrorCode::NotKept.into()),
        Kept::Never => return Err(ErrorCode::TransactionNotFound.into()),
    };
    let onlooker = Onlooker { state: &state, caller };
    if !onlooker.is_party(&transaction) {
        return Err(ErrorCode::TransactionNotFound.into());
    }
    Ok(Reply::ok(&onlooker.answer(&transaction)?).at(read.sequence))
}

/// A wallet's transactions, newest first.
pub(super) async fn list(
    State(state): State<ServiceState>,
    Reader(caller): Reader,
    PathId(id): PathId,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Reply, ApiError> {
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("limit must be from 1 to {PAGE_MAX}")));
    }
    let before = match &query.before {
        Some(text) => {
            let id = fields::uuid("before", text)?;
            Some(state.transaction(id).ok_or(ErrorCode::TransactionNotFound)?)
        }
        None => None,
    };
    state.reach(query.min_seq).await?;
    let wallet = state.wallet(&caller, id)?.id;
    state.report(move |state| page(state, caller, wallet, before, limit)).await
}

fn page(
    state: &ServiceState,
    caller: Caller,
    wallet: WalletId,
    before: Option<TransactionId>,
    limit: usize,
) -> Result<Reply, ApiError> {
    // One more than asked for tells whether there is another page.
    let mut read = state.views().transactions_of(wallet, before, limit + 1);
    let more = read.value.len() > limit;
    read.value.truncate(limit);
    let onlooker = Onlooker { state, caller };
    let answers = read.value.iter().map(|transaction| onlooker.answer(transaction));
    let answers = answers.collect::<Result<Vec<_>, ApiError>>()?;
    let reply = Reply::ok(&answers).at(read.sequence);
    Ok(match answers.last().filter(|_| more) {
        Some(last) => reply.continued(last.transaction_id),
        None => reply,
    })
}

/// Whoever looks at a transaction.
struct Onlooker<'a> {
    state: &'a ServiceState,
    caller: Caller,
}

impl Onlooker<'_> {
    fn wallet(&self, id: WalletId) -> Option<WalletView> {
        self.state.views().wallet(id).value
    }

    fn owns(&self, id: WalletId) -> bool {
        self.wallet(id).is_some_and(|wallet| self.caller.may_see(wallet.user))
    }

    fn asked_for(&self, transaction: &TransactionView) -> bool {
        transaction.caller != UserId(0) && self.caller.may_see(transaction.caller)
    }

    /// Whether the transaction is any of the caller's business.
    fn is_party(&self, transaction: &TransactionView) -> bool {
        let mut wallets = transaction.legs.iter().flat_map(|leg| [leg.debit, leg.credit]);
        self.asked_for(transaction)
            || self.owns(transaction.outcome.wallet)
            || wallets.any(|account| wallet_of(account).is_some_and(|wallet| self.owns(wallet)))
    }

    fn answer(&self, transaction: &TransactionView) -> Result<TransactionAnswer, ApiError> {
        let outcome = &transaction.outcome;
        let wallet = self.wallet(outcome.wallet).ok_or(ErrorCode::InternalError)?;
        let asset = self.state.asset_of(&wallet)?;
        let owns = self.caller.may_see(wallet.user);
        let entries = transaction.legs.iter().filter(|leg| self.touches(leg));
        let entries = entries.map(|leg| self.entry(outcome.kind, leg));
        let reference_id = Some(transaction.reference.clone());
        let subject = Uuid::from_u128(transaction.subject);
        Ok(TransactionAnswer {
            transaction_id: ids::transaction(outcome.transaction, outcome.timestamp_ns),
            kind: kind_word(outcome.kind),
            status: status_word(outcome.status),
            reason: outcome.reason.map(|reason| code_of(reason).name()),
            wallet_id: (owns || shows_parties(outcome.kind)).then(|| wallet.uuid()),
            currency: asset.code.as_str().to_owned(),
            amount: text(outcome.amount, asset.scale),
            new_balance: owns.then(|| text(outcome.new_balance, asset.scale)),
            reference_id: reference_id.filter(|id| !id.is_empty() && self.asked_for(transaction)),
            description: transaction.description.clone(),
            subject_id: (!subject.is_nil()).then_some(subject),
            linked_transaction_id: self.state.id_of(transaction.link),
            created_at: time(outcome.timestamp_ns),
            seq: outcome.sequence,
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a movement is any of the caller's business.
    fn touches(&self, leg: &Posted) -> bool {
        let mut wallets = [leg.debit, leg.credit].into_iter().filter_map(wallet_of);
        self.caller.is_operator || wallets.any(|wallet| self.owns(wallet))
    }

    fn entry(&self, kind: TransactionKind, leg: &Posted) -> Result<EntryAnswer, ApiError> {
        let asset = self.state.views().asset(leg.asset).ok_or(ErrorCode::InternalError)?;
        let end = |account, after| {
            let balance = signed_text(after, asset.scale);
            self.end(kind, account, balance)
        };
        Ok(EntryAnswer {
            currency: asset.code.as_str().to_owned(),
            amount: text(leg.amount, asset.scale),
            debit: end(leg.debit, leg.debit_after),
            credit: end(leg.credit, leg.credit_after),
        })
    }

    fn end(&self, kind: TransactionKind, account: Account, balance: String) -> AccountAnswer {
        let word = match account {
            Account::Available(_) => "AVAILABLE",
            Account::Reserved(_) => "RESERVED",
            Account::Fees(_) => "FEES",
            Account::External(_) => "EXTERNAL",
        };
        let wallet = wallet_of(account).and_then(|id| self.wallet(id));
        let owns = wallet.map_or(self.caller.is_operator, |w| self.caller.may_see(w.user));
        AccountAnswer {
            account: word,
            wallet_id: wallet.filter(|_| owns || shows_parties(kind)).map(|w| w.uuid()),
            balance: owns.then_some(balance),
        }
    }
}

/// Whether those who deal with each other know each other; in a trade they do not.
fn shows_parties(kind: TransactionKind) -> bool {
    matches!(kind, TransactionKind::Transfer | TransactionKind::Batch)
}

fn wallet_of(account: Account) -> Option<WalletId> {
    match account {
        Account::Available(wallet) | Account::Reserved(wallet) => Some(wallet),
        Account::Fees(_) | Account::External(_) => None,
    }
}
