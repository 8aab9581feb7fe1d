//! Owns every refusal that a client can see: its code, its status, its text.
//! Knows no handler. Invariant: one exhaustive match turns the engine's reasons into codes,
//! and no text from inside the process (paths, causes, types) ever gets into an answer.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::RejectReason;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::ids::Id;
use crate::limits::RETRY_AFTER_S;

macro_rules! error_codes {
    ($($variant:ident = $status:literal $name:literal $text:literal),+ $(,)?) => {
        /// Stable word of a refusal; each has one status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($variant),+ }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the `code` field.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// The text where the refusal has no more to say.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

error_codes! {
    HostRequired = 400 "HOST_REQUIRED" "the Host header is required",
    InvalidJson = 400 "INVALID_JSON" "request body is not a JSON object",
    UnknownField = 400 "UNKNOWN_FIELD" "unknown field",
    ValidationError = 400 "VALIDATION_ERROR" "request is not valid",
    InvalidSymbol = 400 "INVALID_SYMBOL" "invalid symbol format",
    InvalidSide = 400 "INVALID_SIDE" "side must be BUY or SELL",
    InvalidOrderType = 400 "INVALID_ORDER_TYPE"
        "type must be MARKET, LIMIT, STOP, TAKE_PROFIT or TRAILING_STOP",
    InvalidTimeInForce = 400 "INVALID_TIME_IN_FORCE" "time in force is not allowed for this order",
    InvalidQuantity = 400 "INVALID_QUANTITY" "invalid quantity",
    InvalidPrice = 400 "INVALID_PRICE" "invalid price",
    InvalidStopPrice = 400 "INVALID_STOP_PRICE" "invalid stop price",
    InvalidExpiry = 400 "INVALID_EXPIRY" "expires_at lies in the past",
    InvalidAmount = 400 "INVALID_AMOUNT" "invalid amount",
    InvalidClientOrderId = 400 "INVALID_CLIENT_ORDER_ID"
        "client_order_id must be 1 to 100 printable ASCII characters",
    InvalidReference = 400 "INVALID_REFERENCE"
        "reference must be 1 to 100 printable ASCII characters",
    InvalidUser = 400 "INVALID_USER" "user must be a UUID or a name of up to 64 characters",
    InvalidInstrument = 400 "INVALID_INSTRUMENT" "instrument specification is not valid",
    AlreadyExists = 409 "ALREADY_EXISTS" "already exists",
    SpecLocked = 409 "SPEC_LOCKED" "this part of an instrument cannot change",
    Unsupported = 400 "UNSUPPORTED" "not supported yet",
    NoChange = 400 "NO_CHANGE" "nothing would change",
    KillSwitch = 400 "KILL_SWITCH" "trading is switched off for this account, this symbol or all",
    TradingHalted = 400 "TRADING_HALTED" "trading is halted in this symbol",
    CancelOnly = 400 "CANCEL_ONLY" "only cancels are accepted in this symbol",
    QuantityBelowMin = 400 "QTY_BELOW_MIN" "quantity is below the minimum of this symbol",
    QuantityAboveMax = 400 "QTY_ABOVE_MAX" "quantity is above the maximum of this symbol",
    NoReferencePrice = 400 "NO_REFERENCE_PRICE" "there is no last price to trail yet",
    TriggerOutOfRange = 400 "TRIGGER_OUT_OF_RANGE"
        "at this distance the stop price is out of range",
    NoLiquidity = 400 "NO_LIQUIDITY" "there is no order to trade with",
    NotionalBelowMin = 400 "NOTIONAL_BELOW_MIN" "order value is below the minimum of this symbol",
    NotionalAboveMax = 400 "NOTIONAL_ABOVE_MAX" "order value is above the maximum of this symbol",
    PriceBand = 400 "PRICE_BAND" "price is too far from the last price",
    DailyVolume = 400 "DAILY_VOLUME" "order would pass the daily volume limit",
    TooManyOpenOrders = 400 "TOO_MANY_OPEN_ORDERS" "too many open orders in this symbol",
    BookFull = 400 "BOOK_FULL" "the order book is full",
    BudgetTooSmall = 400 "BUDGET_TOO_SMALL" "quote_quantity does not pay for one lot",
    BalanceOverflow = 400 "BALANCE_OVERFLOW" "amount is above what the exchange can hold",
    InsufficientBalance = 400 "INSUFFICIENT_BALANCE" "insufficient balance",
    PostOnlyWouldCross = 400 "POST_ONLY_WOULD_CROSS" "post-only order would trade at once",
    FokUnfillable = 400 "FOK_UNFILLABLE" "order cannot be filled completely",
    RecvWindow = 400 "RECV_WINDOW" "the order came later than its recv_window_ms allows",
    Unauthorized = 401 "UNAUTHORIZED" "a valid bearer token is required",
    Forbidden = 403 "FORBIDDEN" "the token does not allow this",
    AccountSuspended = 403 "ACCOUNT_SUSPENDED" "account is suspended",
    FundsRefused = 403 "FUNDS_REFUSED" "the wallet does not reserve funds for this order",
    NotFound = 404 "NOT_FOUND" "there is nothing at this path",
    OrderNotFound = 404 "ORDER_NOT_FOUND" "order not found",
    SymbolNotFound = 404 "SYMBOL_NOT_FOUND" "symbol not found",
    AssetNotFound = 404 "ASSET_NOT_FOUND" "asset not found",
    TradeNotFound = 404 "TRADE_NOT_FOUND" "trade not found",
    UserNotFound = 404 "USER_NOT_FOUND" "account not found: its first deposit opens it",
    MethodNotAllowed = 405 "METHOD_NOT_ALLOWED" "method is not allowed here",
    RequestTimeout = 408 "REQUEST_TIMEOUT" "the request did not arrive in time",
    DuplicateClientOrderId = 409 "DUPLICATE_CLIENT_ORDER_ID"
        "client_order_id was used for another order",
    OrderNotKept = 409 "ORDER_NOT_KEPT"
        "this order was accepted before; its details are no longer kept",
    OrderNotCancellable = 409 "ORDER_NOT_CANCELLABLE" "order is not open any more",
    OrderPending = 409 "ORDER_PENDING" "the order waits for its funds, try again in a moment",
    OrderNotAmendable = 409 "ORDER_NOT_AMENDABLE" "order cannot be amended any more",
    WalletElsewhere = 409 "WALLET_ELSEWHERE"
        "the wallet is another process: make the adjustment there",
    WalletNotOpen = 409 "WALLET_NOT_OPEN" "the wallet is frozen or closed",
    ReasonRequired = 409 "REASON_REQUIRED"
        "reason and correction (the id of the correcting transaction) are required",
    SettlementInProgress = 409 "SETTLEMENT_IN_PROGRESS" "the trade is being settled right now",
    UriTooLong = 414 "URI_TOO_LONG" "path and query are too long",
    PayloadTooLarge = 413 "PAYLOAD_TOO_LARGE" "request body is too large",
    UnsupportedMediaType = 415 "UNSUPPORTED_MEDIA_TYPE" "content type must be application/json",
    IdempotencyMismatch = 422 "IDEMPOTENCY_MISMATCH" "reference was used for another transfer",
    RateLimited = 429 "RATE_LIMITED" "too many requests, try again in a second",
    FairShareExceeded = 429 "FAIR_SHARE_EXCEEDED"
        "too many of this account's commands are in flight while the exchange is busy",
    HeadersTooLarge = 431 "HEADERS_TOO_LARGE" "request headers are too many or too long",
    InternalError = 500 "INTERNAL_ERROR" "internal error",
    SnapshotFailed = 500 "SNAPSHOT_FAILED"
        "no snapshot was taken; the log says why, and the older ones are in force",
    Overloaded = 503 "OVERLOADED" "too many requests in flight, try again later",
    NoSpace = 503 "NO_SPACE" "the disk is full: new orders are refused until there is room again",
    SyncDelayed = 503 "SYNC_DELAYED" "the disk is late: new orders are refused until it answers",
    ServiceUnavailable = 503 "SERVICE_UNAVAILABLE" "the service is not available, try again later",
    ServiceDegraded = 503 "SERVICE_DEGRADED"
        "the wallet has not answered lately, try again later",
    ReadOnlyModeActive = 503 "READ_ONLY_MODE_ACTIVE" "only queries are answered at the moment",
    SequenceNotReached = 503 "SEQUENCE_NOT_REACHED" "min_seq has not been reached yet",
    OutcomeUnknown = 504 "OUTCOME_UNKNOWN"
        "no answer in time: the outcome is not known yet, query it before trying again",
}

/// The code that stands for a refusal of the engine.
#[must_use]
pub const fn code_of(reason: RejectReason) -> ErrorCode {
    match reason {
        RejectReason::UnknownAccount => ErrorCode::UserNotFound,
        RejectReason::UnknownOrder => ErrorCode::OrderNotFound,
        RejectReason::IdempotencyConflict => ErrorCode::DuplicateClientOrderId,
        RejectReason::UnknownAsset => ErrorCode::AssetNotFound,
        RejectReason::UnknownSymbol => ErrorCode::SymbolNotFound,
        RejectReason::InvalidField => ErrorCode::ValidationError,
        RejectReason::NotAmendable => ErrorCode::OrderNotAmendable,
        RejectReason::InvalidTimeInForce => ErrorCode::InvalidTimeInForce,
        RejectReason::InvalidQuantity => ErrorCode::InvalidQuantity,
        RejectReason::InvalidPrice => ErrorCode::InvalidPrice,
        RejectReason::InvalidStop => ErrorCode::InvalidStopPrice,
        RejectReason::InvalidExpiry => ErrorCode::InvalidExpiry,
        RejectReason::InvalidAmount => ErrorCode::InvalidAmount,
        RejectReason::InvalidSpec => ErrorCode::InvalidInstrument,
        RejectReason::AlreadyExists => ErrorCode::AlreadyExists,
        RejectReason::SpecLocked => ErrorCode::SpecLocked,
        RejectReason::Unsupported => ErrorCode::Unsupported,
        RejectReason::NoChange => ErrorCode::NoChange,
        RejectReason::KillSwitch => ErrorCode::KillSwitch,
        RejectReason::AccountSuspended => ErrorCode::AccountSuspended,
        RejectReason::TradingHalted => ErrorCode::TradingHalted,
        RejectReason::CancelOnly => ErrorCode::CancelOnly,
        RejectReason::QuantityBelowMin => ErrorCode::QuantityBelowMin,
        RejectReason::QuantityAboveMax => ErrorCode::QuantityAboveMax,
        RejectReason::NoReferencePrice => ErrorCode::NoReferencePrice,
        RejectReason::TriggerOutOfRange => ErrorCode::TriggerOutOfRange,
        RejectReason::NoLiquidity => ErrorCode::NoLiquidity,
        RejectReason::NotionalBelowMin => ErrorCode::NotionalBelowMin,
        RejectReason::NotionalAboveMax => ErrorCode::NotionalAboveMax,
        RejectReason::PriceBand => ErrorCode::PriceBand,
        RejectReason::DailyVolume => ErrorCode::DailyVolume,
        RejectReason::TooManyOpenOrders => ErrorCode::TooManyOpenOrders,
        RejectReason::BookFull => ErrorCode::BookFull,
        RejectReason::BudgetTooSmall => ErrorCode::BudgetTooSmall,
        RejectReason::WindowFull => ErrorCode::Overloaded,
        RejectReason::BalanceOverflow => ErrorCode::BalanceOverflow,
        RejectReason::InsufficientBalance => ErrorCode::InsufficientBalance,
        RejectReason::PostOnlyWouldCross => ErrorCode::PostOnlyWouldCross,
        RejectReason::FokUnfillable => ErrorCode::FokUnfillable,
        RejectReason::FundsUnavailable => ErrorCode::ServiceUnavailable,
        RejectReason::FundsDegraded => ErrorCode::ServiceDegraded,
        RejectReason::FundsOwnerUnknown => ErrorCode::UserNotFound,
        RejectReason::FundsRefused => ErrorCode::FundsRefused,
        RejectReason::RecvWindow => ErrorCode::RecvWindow,
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    code: &'static str,
    details: &'a Map<String, Value>,
    request_id: &'a str,
}

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: ErrorCode,
    text: Cow<'static, str>,
    details: Map<String, Value>,
}

impl ApiError {
    /// The refusal with the code's own text.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self { code, text: Cow::Borrowed(code.text()), details: Map::new() }
    }

    /// A refusal of one field of the request.
    #[must_use]
    pub fn field(code: ErrorCode, field: &str, text: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(code);
        error.text = text.into();
        error.with("field", field)
    }

    /// A refusal of the engine.
    #[must_use]
    pub fn rejected(reason: RejectReason) -> Self {
        Self::new(code_of(reason)).with("retryable", reason.is_transient())
    }

    /// Names the order that the refusal is about.
    #[must_use]
    pub fn with_order(self, id: Id) -> Self {
        self.with("order_id", id.to_string())
    }

    /// Names an order of which nothing but the sequence of its command is known.
    #[must_use]
    pub fn with_order_seq(self, sequence: u64) -> Self {
        self.with("order_seq", sequence)
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The whole answer; only here does a refusal become text.
    #[must_use]
    pub fn into_answer(self, request_id: &str) -> Response {
        let (error, code, details) = (&self.text, self.code.name(), &self.details);
        let body = ErrorBody { error, code, details, request_id };
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
        response
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
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
    fn every_code_and_every_reason_is_documented() {
        let page = include_str!("../../docs/api.md");
        for code in ErrorCode::ALL {
            let row = format!("| `{}` | {} |", code.name(), code.status());
            assert!(page.contains(&row), "docs/api.md lacks {row}");
        }
        for &reason in RejectReason::ALL {
            let row = format!("| `{}` | `{}` |", reason.name(), code_of(reason).name());
            assert!(page.contains(&row), "docs/api.md lacks {row}");
        }
    }

    #[test]
    fn a_refusal_of_the_engine_says_whether_to_try_again() {
        let error = ApiError::rejected(RejectReason::InsufficientBalance);
        assert_eq!(error.code, ErrorCode::InsufficientBalance);
        assert_eq!(error.details.get("retryable"), Some(&Value::Bool(true)));
        let error = ApiError::rejected(RejectReason::QuantityAboveMax);
        assert_eq!(error.details.get("retryable"), Some(&Value::Bool(false)));
    }
}
