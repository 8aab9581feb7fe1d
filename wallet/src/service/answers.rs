//! Owns the bodies and headers of answers about wallets and transactions.
//! Knows nothing of how a request came in. Invariant: money is canonical decimal text and every
//! time is RFC 3339 in UTC.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::fees::signed;
use engine::{Amount, SignedAmount, decimal};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ledger::types::{TransactionKind, TransactionStatus, WalletStatus};
use crate::views::{AssetView, WalletView};

const LEDGER_SEQUENCE: HeaderName = HeaderName::from_static("x-ledger-seq");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// Money as canonical decimal text.
pub(super) fn text(units: Amount, scale: u8) -> String {
    signed_text(signed(units), scale)
}

pub(super) fn signed_text(units: SignedAmount, scale: u8) -> String {
    decimal::Decimal { units, scale }.to_string()
}

/// Nanoseconds since the Unix epoch as a time.
pub(super) fn time(ns: u64) -> String {
    Timestamp::from_nanosecond(ns.into()).map(|time| time.to_string()).unwrap_or_default()
}

pub(super) const fn wallet_status_word(status: WalletStatus) -> &'static str {
    match status {
        WalletStatus::Active => "ACTIVE",
        WalletStatus::Frozen => "FROZEN",
        WalletStatus::Closed => "CLOSED",
    }
}

pub(super) const fn kind_word(kind: TransactionKind) -> &'static str {
    match kind {
        TransactionKind::Deposit => "DEPOSIT",
        TransactionKind::Withdrawal => "WITHDRAWAL",
        TransactionKind::Transfer => "TRANSFER",
        TransactionKind::Batch => "BATCH",
        TransactionKind::Adjustment => "ADJUSTMENT",
        TransactionKind::Reserve => "RESERVE",
        TransactionKind::Release => "RELEASE",
        TransactionKind::Settlement => "SETTLEMENT",
        TransactionKind::Reversal => "REVERSAL",
    }
}

pub(super) const fn status_word(status: TransactionStatus) -> &'static str {
    match status {
        TransactionStatus::Pending => "PENDING",
        TransactionStatus::Completed => "COMPLETED",
        TransactionStatus::Failed => "FAILED",
        TransactionStatus::Reversed => "REVERSED",
    }
}

/// An answer to a request that was not refused.
#[derive(Debug)]
pub(super) struct Reply(Response);

impl Reply {
    pub(super) fn new(status: StatusCode, body: &impl Serialize) -> Self {
        Self((status, Json(body)).into_response())
    }

    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// Names the sequence whose state it shows.
    pub(super) fn at(mut self, sequence: u64) -> Self {
        show_sequence(self.0.headers_mut(), sequence);
        self
    }

    /// Marks an answer that was given before.
    pub(super) fn replayed(mut self, replayed: bool) -> Self {
        if replayed {
            mark_replayed(self.0.headers_mut());
        }
        self
    }

    /// Says where the thing itself is found.
    pub(super) fn located(self, path: &str) -> Self {
        self.with(header::LOCATION, path)
    }

    /// Says where the next page begins.
    pub(super) fn continued(self, cursor: Uuid) -> Self {
        self.with(NEXT_CURSOR, &cursor.to_string())
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        self.0
    }
}

pub(super) fn mark_replayed(headers: &mut HeaderMap) {
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
}

pub(super) fn show_sequence(headers: &mut HeaderMap, sequence: u64) {
    headers.insert(LEDGER_SEQUENCE, HeaderValue::from(sequence));
}

/// A wallet as it is now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WalletAnswer {
    pub(super) wallet_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) currency: String,
    /// ACTIVE, FROZEN or CLOSED.
    pub(super) status: &'static str,
    /// Available and reserved together.
    pub(super) balance: String,
    pub(super) available: String,
    pub(super) reserved: String,
    pub(super) created_at: String,
}

impl WalletAnswer {
    pub(super) fn new(wallet: &WalletView, asset: &AssetView) -> Self {
        Self {
            wallet_id: wallet.uuid(),
            user_id: Uuid::from_u128(wallet.user.0),
            currency: asset.code.as_str().to_owned(),
            status: wallet_status_word(wallet.status),
            balance: text(wallet.total(), asset.scale),
            available: text(wallet.available, asset.scale),
            reserved: text(wallet.reserved, asset.scale),
            created_at: time(wallet.opened_ns),
        }
    }
}

/// What a request that moves money has come to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MovementAnswer {
    pub(super) transaction_id: Uuid,
    /// The wallet that it is about: of a transfer, the one that pays.
    pub(super) wallet_id: Uuid,
    /// COMPLETED, or PENDING while trading has not given the money back.
    pub(super) status: &'static str,
    /// Of that wallet right afterwards, available and reserved together.
    pub(super) new_balance: String,
    /// Of the command in the ledger's journal.
    pub(super) seq: u64,
}

/// What a request that only asks would come to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DryRunAnswer {
    pub(super) dry_run: bool,
    pub(super) wallet_id: Uuid,
    pub(super) new_balance: String,
}

/// What a wallet has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WalletBalanceAnswer {
    pub(super) wallet_id: Uuid,
    pub(super) currency: String,
    /// Available and reserved together.
    pub(super) balance: String,
    pub(super) available: String,
    pub(super) reserved: String,
    /// The sequence whose state this is.
    pub(super) seq: u64,
}

/// What a wallet had.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PastBalanceAnswer {
    pub(super) wallet_id: Uuid,
    pub(super) currency: String,
    pub(super) balance: String,
    pub(super) available: String,
    pub(super) reserved: String,
    /// The moment that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) as_of_seq: Option<u64>,
    /// Since when it had that; absent before the first movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since_seq: Option<u64>,
}
