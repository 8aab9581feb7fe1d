//! Owns what can go wrong with a wallet call, and what that means for whoever called.
//! Knows nothing of transports. Invariant: every error has exactly one outcome, and wrapping an
//! error elsewhere never changes it.

use std::time::Duration;

/// What is known of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It had no effect: it may be sent again.
    NotExecuted,
    /// The wallet decided against it: sending it again changes nothing.
    Refused,
    /// It may have had its effect: it must be sent again under the same key.
    Unknown,
}

/// Why a wallet call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    #[error("insufficient balance")]
    InsufficientBalance,
    #[error("user not found")]
    UserNotFound,
    #[error("reservation not found")]
    ReservationNotFound,
    /// The wallet says so itself, or nobody listens at its address.
    #[error("wallet service is down")]
    WalletServiceDown,
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// Not even tried: too many calls before it had no outcome.
    #[error("circuit open")]
    CircuitOpen,
    #[error("timeout")]
    Timeout,
    /// 500, a broken connection, or an answer that cannot be read.
    #[error("invalid response: {0}")]
    InvalidResponse(String),
    /// The key was used for something else, or the request comes too early.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A release that came before a capture of which it knows: to be sent again later.
    #[error("a capture is missing")]
    CapturePending,
    #[error("rate limited")]
    RateLimited {
        /// The wallet's own wish.
        retry_after: Option<Duration>,
    },
    #[error("wallet is read-only")]
    ReadOnly,
    /// This client was closed.
    #[error("wallet client is closed")]
    Closed,
}

impl WalletError {
    #[must_use]
    pub const fn outcome(&self) -> CallOutcome {
        match self {
            Self::InsufficientBalance
            | Self::UserNotFound
            | Self::ReservationNotFound
            | Self::InvalidRequest(_)
            | Self::Conflict(_)
            | Self::CapturePending => CallOutcome::Refused,
            Self::WalletServiceDown
            | Self::CircuitOpen
            | Self::RateLimited { .. }
            | Self::ReadOnly
            | Self::Closed => CallOutcome::NotExecuted,
            Self::Timeout | Self::InvalidResponse(_) => CallOutcome::Unknown,
        }
    }

    /// Stable lower-case word, for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InsufficientBalance => "insufficient_balance",
            Self::UserNotFound => "user_not_found",
            Self::ReservationNotFound => "reservation_not_found",
            Self::WalletServiceDown => "service_down",
            Self::InvalidRequest(_) => "invalid_request",
            Self::CircuitOpen => "circuit_open",
            Self::Timeout => "timeout",
            Self::InvalidResponse(_) => "invalid_response",
            Self::Conflict(_) => "conflict",
            Self::CapturePending => "capture_pending",
            Self::RateLimited { .. } => "rate_limited",
            Self::ReadOnly => "read_only",
            Self::Closed => "closed",
        }
    }
}
