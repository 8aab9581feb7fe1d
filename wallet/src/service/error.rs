//! Owns every refusal that a caller can see: its code, its status, its text.
//! Knows no handler. Invariant: one exhaustive match turns the ledger's reasons into codes, and no
//! text from inside the process ever gets into an answer.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::answers::{mark_replayed, show_sequence};
use super::limits::RETRY_AFTER_S;
use crate::bank::HandOverError;
use crate::ledger::RejectReason;
use crate::wire::{ErrorBody, WireError};

macro_rules! error_codes {
    ($($variant:ident = $status:literal $name:literal $text:literal),+ $(,)?) => {
        /// Stable word of a refusal; each has one status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum ErrorCode { $($variant),+ }

        impl ErrorCode {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the `code` field.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// HTTP status.
            pub(super) const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// The text where the refusal has no more to say.
            pub(super) const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

error_codes! {
    HostRequired = 400 "HOST_REQUIRED" "the Host header is required",
    InvalidJson = 400 "INVALID_JSON" "request body is not a JSON object",
    ValidationError = 400 "VALIDATION_ERROR" "request is not valid",
    InvalidRequest = 400 "INVALID_REQUEST" "the ledger cannot do this",
    InvalidAmount = 400 "INVALID_AMOUNT" "invalid amount",
    InvalidTransfer = 400 "INVALID_TRANSFER"
        "a transfer needs two different wallets of one currency",
    InsufficientFunds = 400 "INSUFFICIENT_FUNDS" "insufficient funds",
    InsufficientBalance = 400 "INSUFFICIENT_BALANCE" "insufficient balance",
    BalanceOverflow = 400 "BALANCE_OVERFLOW" "more of this currency than may exist",
    Unauthorized = 401 "UNAUTHORIZED" "a valid bearer token is required",
    Forbidden = 403 "FORBIDDEN" "the token does not allow this",
    WalletFrozen = 403 "WALLET_FROZEN" "wallet is frozen",
    WithdrawalsFrozen = 403 "WITHDRAWALS_FROZEN" "withdrawals of this currency are stopped",
    NotFound = 404 "NOT_FOUND" "there is nothing at this path",
    WalletNotFound = 404 "WALLET_NOT_FOUND" "wallet not found",
    UserNotFound = 404 "USER_NOT_FOUND" "user has no wallet",
    AssetNotFound = 404 "ASSET_NOT_FOUND" "currency not found",
    TransactionNotFound = 404 "TRANSACTION_NOT_FOUND" "transaction not found",
    ReservationNotFound = 404 "RESERVATION_NOT_FOUND" "reservation not found",
    SettlementNotFound = 404 "SETTLEMENT_NOT_FOUND" "trade is not settled",
    MethodNotAllowed = 405 "METHOD_NOT_ALLOWED" "method is not allowed here",
    RequestTimeout = 408 "REQUEST_TIMEOUT" "the request did not arrive in time",
    DuplicateReference = 409 "DUPLICATE_REFERENCE" "referenceId was used for another request",
    AlreadyExists = 409 "ALREADY_EXISTS" "already exists",
    AlreadyReversed = 409 "ALREADY_REVERSED" "transaction was reversed before",
    NotReversible = 409 "NOT_REVERSIBLE" "this transaction cannot be reversed",
    WalletNotEmpty = 409 "WALLET_NOT_EMPTY" "wallet has money or a pending withdrawal",
    WalletClosed = 409 "WALLET_CLOSED" "wallet is closed",
    CapturePending = 409 "CAPTURE_PENDING" "a trade of this order is not settled yet",
    ReservationSpent = 409 "RESERVATION_SPENT" "the reservation does not have this much left",
    ReservedShort = 409 "RESERVED_SHORT" "what the trade needs is not reserved yet",
    AlreadyConcluded = 409 "ALREADY_CONCLUDED" "the funding was concluded otherwise before",
    RequestInProgress = 409 "REQUEST_IN_PROGRESS"
        "the first request under this key has no outcome yet, send it again later",
    NotKept = 410 "NOT_KEPT" "this lies too far back to be looked up",
    PayloadTooLarge = 413 "PAYLOAD_TOO_LARGE" "request body is too large",
    UriTooLong = 414 "URI_TOO_LONG" "path and query are too long",
    UnsupportedMediaType = 415 "UNSUPPORTED_MEDIA_TYPE" "content type must be application/json",
    IdempotencyMismatch = 422 "IDEMPOTENCY_MISMATCH" "the key was used for another request",
    RateLimited = 429 "RATE_LIMITED" "too many requests, try again in a second",
    HeadersTooLarge = 431 "HEADERS_TOO_LARGE" "request headers are too many or too long",
    InternalError = 500 "INTERNAL_ERROR" "internal error",
    Overloaded = 503 "OVERLOADED" "too many requests in flight, try again later",
    NoSpace = 503 "NO_SPACE" "the disk is full, try again later",
    SyncDelayed = 503 "SYNC_DELAYED" "the disk is late, try again later",
    ServiceUnavailable = 503 "SERVICE_UNAVAILABLE" "the service is not available, try again later",
    ReadOnlyModeActive = 503 "READ_ONLY_MODE_ACTIVE" "only queries are answered at the moment",
    CapacityExhausted = 503 "CAPACITY_EXHAUSTED" "the ledger is full",
    SequenceNotReached = 503 "SEQUENCE_NOT_REACHED" "min_seq has not been reached yet",
    OutcomeUnknown = 504 "OUTCOME_UNKNOWN"
        "no answer in time: the outcome is not known yet, send the same request again",
}

/// The code that stands for a refusal of the ledger.
pub(super) const fn code_of(reason: RejectReason) -> ErrorCode {
    match reason {
        RejectReason::UnknownWallet => ErrorCode::WalletNotFound,
        RejectReason::UnknownUser => ErrorCode::UserNotFound,
        RejectReason::UnknownAsset => ErrorCode::AssetNotFound,
        RejectReason::UnknownTransaction => ErrorCode::TransactionNotFound,
        RejectReason::UnknownReservation => ErrorCode::ReservationNotFound,
        RejectReason::DuplicateReference => ErrorCode::DuplicateReference,
        RejectReason::IdempotencyMismatch => ErrorCode::IdempotencyMismatch,
        RejectReason::InvalidAmount => ErrorCode::InvalidAmount,
        RejectReason::InvalidTransfer => ErrorCode::InvalidTransfer,
        RejectReason::InvalidRequest => ErrorCode::InvalidRequest,
        RejectReason::AlreadyExists => ErrorCode::AlreadyExists,
        RejectReason::AlreadyReversed => ErrorCode::AlreadyReversed,
        RejectReason::NotReversible => ErrorCode::NotReversible,
        RejectReason::WalletNotEmpty => ErrorCode::WalletNotEmpty,
        RejectReason::WalletFrozen => ErrorCode::WalletFrozen,
        RejectReason::WalletClosed => ErrorCode::WalletClosed,
        RejectReason::WithdrawalsFrozen => ErrorCode::WithdrawalsFrozen,
        RejectReason::CapturePending => ErrorCode::CapturePending,
        RejectReason::ReservationSpent => ErrorCode::ReservationSpent,
        RejectReason::InsufficientFunds => ErrorCode::InsufficientFunds,
        RejectReason::ReservedShort => ErrorCode::ReservedShort,
        RejectReason::BalanceOverflow => ErrorCode::BalanceOverflow,
        RejectReason::CapacityExhausted => ErrorCode::CapacityExhausted,
        RejectReason::AlreadyConcluded => ErrorCode::AlreadyConcluded,
    }
}

/// A refusal on its way to the caller.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    code: ErrorCode,
    text: Cow<'static, str>,
    details: Map<String, Value>,
    replayed: bool,
    sequence: Option<u64>,
}

impl ApiError {
    /// The refusal with the code's own text.
    pub(super) fn new(code: ErrorCode) -> Self {
        let (text, details) = (Cow::Borrowed(code.text()), Map::new());
        Self { code, text, details, replayed: false, sequence: None }
    }

    /// A refusal of one field of the request.
    pub(super) fn field(
        code: ErrorCode,
        field: &'static str,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut error = Self::new(code);
        error.text = text.into();
        error.with("field", field)
    }

    /// A refusal of a field that has no code of its own.
    pub(super) fn invalid(field: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::field(ErrorCode::ValidationError, field, text)
    }

    /// A refusal that says more than its code.
    pub(super) fn saying(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), ..Self::new(code) }
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Marks a refusal that was given before.
    pub(super) fn replayed(self, replayed: bool) -> Self {
        Self { replayed, ..self }
    }

    /// Names the sequence at which it was decided.
    pub(super) fn at(self, sequence: u64) -> Self {
        Self { sequence: Some(sequence), ..self }
    }

    /// The same in the word that trading knows it by.
    pub(super) fn for_trading(self) -> Self {
        match self.code {
            ErrorCode::InsufficientFunds => {
                let code = ErrorCode::InsufficientBalance;
                Self { code, text: code.text().into(), ..self }
            }
            _ => self,
        }
    }

    pub(super) fn code(&self) -> ErrorCode {
        self.code
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// The whole answer; only here does a refusal become text.
    pub(super) fn into_answer(self, request_id: &str) -> Response {
        let error = self.text.into_owned();
        let body = ErrorBody {
            message: error.clone(),
            error,
            code: self.code.name().to_owned(),
            details: self.details,
            request_id: request_id.to_owned(),
        };
        let status = StatusCode::from_u16(self.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"matchring\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if self.replayed {
            mark_replayed(headers);
        }
        if let Some(sequence) = self.sequence {
            show_sequence(headers, sequence);
        }
        response
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl From<RejectReason> for ApiError {
    fn from(reason: RejectReason) -> Self {
        Self::new(code_of(reason))
    }
}

impl From<HandOverError> for ApiError {
    fn from(error: HandOverError) -> Self {
        Self::new(match error {
            HandOverError::Overloaded => ErrorCode::Overloaded,
            HandOverError::NoSpace => ErrorCode::NoSpace,
            HandOverError::SyncDelayed => ErrorCode::SyncDelayed,
            HandOverError::Closed => ErrorCode::ServiceUnavailable,
            HandOverError::ReadOnly => ErrorCode::ReadOnlyModeActive,
            HandOverError::OutcomeUnknown => ErrorCode::OutcomeUnknown,
        })
    }
}

impl From<WireError> for ApiError {
    fn from(error: WireError) -> Self {
        let is_money = matches!(
            error.field,
            "amount"
                | "base_amount"
                | "quote_amount"
                | "price"
                | "buyer_fee"
                | "seller_fee"
                | "captured_total"
        );
        let code = if is_money { ErrorCode::InvalidAmount } else { ErrorCode::ValidationError };
        Self::field(code, error.field, error.to_string())
    }
}

/// Travels to the outermost layer, which knows the request id and writes the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn code_words_are_unique_and_texts_are_fit_for_users() {
        let names: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert!(code.name().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
            assert!(!code.text().is_empty() && (400..600).contains(&code.status()));
        }
    }

    #[test]
    fn every_reason_keeps_its_word() {
        for &reason in RejectReason::ALL {
            assert_eq!(code_of(reason).name(), reason.name());
        }
    }

    #[test]
    fn the_promised_codes_have_the_promised_statuses() {
        for (code, status) in [
            ("INSUFFICIENT_FUNDS", 400),
            ("INSUFFICIENT_BALANCE", 400),
            ("INVALID_REQUEST", 400),
            ("INVALID_AMOUNT", 400),
            ("INVALID_TRANSFER", 400),
            ("VALIDATION_ERROR", 400),
            ("WALLET_FROZEN", 403),
            ("WALLET_NOT_FOUND", 404),
            ("USER_NOT_FOUND", 404),
            ("RESERVATION_NOT_FOUND", 404),
            ("DUPLICATE_REFERENCE", 409),
            ("WALLET_CLOSED", 409),
            ("ALREADY_REVERSED", 409),
            ("CAPTURE_PENDING", 409),
            ("REQUEST_IN_PROGRESS", 409),
            ("IDEMPOTENCY_MISMATCH", 422),
            ("RATE_LIMITED", 429),
            ("READ_ONLY_MODE_ACTIVE", 503),
            ("OVERLOADED", 503),
            ("SYNC_DELAYED", 503),
            ("OUTCOME_UNKNOWN", 504),
        ] {
            let found = ErrorCode::ALL.iter().find(|known| known.name() == code);
            assert_eq!(found.map(|known| known.status()), Some(status), "{code}");
        }
    }

    #[test]
    fn trading_is_short_of_balance_not_of_funds() {
        let error = ApiError::from(RejectReason::InsufficientFunds).for_trading();
        assert_eq!(
            (error.code(), error.text()),
            (ErrorCode::InsufficientBalance, "insufficient balance")
        );
        let error = ApiError::from(RejectReason::CapturePending).for_trading();
        assert_eq!(error.code(), ErrorCode::CapturePending);
    }
}
