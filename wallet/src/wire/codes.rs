//! Owns the stable words of refusals, and what each means to whoever called.
//! Knows nothing of HTTP statuses. Invariant: a word has one meaning for every backend; all words
//! of the ledger are known here.

use std::time::Duration;

use crate::client::WalletError;
use crate::client::limits::TEXT_CHARS_MAX;
use crate::ledger::reject::RejectReason;

/// The error that a code stands for; `None` if the code is not one of ours.
#[must_use]
pub fn error_of(code: &str, message: &str, retry_after: Option<Duration>) -> Option<WalletError> {
    let text = || sanitised(message, code);
    Some(match code {
        "INSUFFICIENT_BALANCE" | "INSUFFICIENT_FUNDS" | "RESERVED_SHORT" => {
            WalletError::InsufficientBalance
        }
        "USER_NOT_FOUND" | "WALLET_NOT_FOUND" => WalletError::UserNotFound,
        "RESERVATION_NOT_FOUND" => WalletError::ReservationNotFound,
        "SERVICE_DOWN" | "SERVICE_UNAVAILABLE" => WalletError::WalletServiceDown,
        // What is full takes nothing new, but ends what was begun: no reason to stop all calls.
        "READ_ONLY_MODE_ACTIVE" | "CAPACITY_EXHAUSTED" => WalletError::ReadOnly,
        "RATE_LIMITED" | "OVERLOADED" | "NO_SPACE" | "SYNC_DELAYED" => {
            WalletError::RateLimited { retry_after }
        }
        "CONFLICT"
        | "IDEMPOTENCY_MISMATCH"
        | "DUPLICATE_REFERENCE"
        | "RESERVATION_SPENT"
        | "ALREADY_EXISTS"
        | "ALREADY_REVERSED"
        | "ALREADY_CONCLUDED" => WalletError::Conflict(text()),
        "CAPTURE_PENDING" => WalletError::CapturePending,
        "INVALID_REQUEST"
        | "VALIDATION_ERROR"
        | "INVALID_JSON"
        | "INVALID_AMOUNT"
        | "INVALID_TRANSFER"
        | "ASSET_NOT_FOUND"
        | "TRANSACTION_NOT_FOUND"
        | "SETTLEMENT_NOT_FOUND"
        | "NOT_REVERSIBLE"
        | "WALLET_NOT_EMPTY"
        | "WALLET_FROZEN"
        | "WALLET_CLOSED"
        | "WITHDRAWALS_FROZEN"
        | "BALANCE_OVERFLOW" => WalletError::InvalidRequest(text()),
        "INTERNAL_ERROR" | "OUTCOME_UNKNOWN" | "NOT_KEPT" => WalletError::InvalidResponse(text()),
        _ => return None,
    })
}

/// The code that the service answers for an error of the wallet.
#[must_use]
pub const fn code_of(error: &WalletError) -> &'static str {
    match error {
        WalletError::InsufficientBalance => "INSUFFICIENT_BALANCE",
        WalletError::UserNotFound => "USER_NOT_FOUND",
        WalletError::ReservationNotFound => "RESERVATION_NOT_FOUND",
        WalletError::WalletServiceDown | WalletError::CircuitOpen | WalletError::Closed => {
            "SERVICE_DOWN"
        }
        WalletError::InvalidRequest(_) => "INVALID_REQUEST",
        WalletError::Timeout => "OUTCOME_UNKNOWN",
        WalletError::InvalidResponse(_) => "INTERNAL_ERROR",
        WalletError::Conflict(_) => "CONFLICT",
        WalletError::CapturePending => "CAPTURE_PENDING",
        WalletError::RateLimited { .. } => "RATE_LIMITED",
        WalletError::ReadOnly => "READ_ONLY_MODE_ACTIVE",
    }
}

/// The error that a refusal of the ledger stands for, over whatever way it comes.
#[must_use]
pub fn error_of_rejection(reason: RejectReason) -> WalletError {
    let code = reason.name();
    error_of(code, code, None).unwrap_or_else(|| WalletError::InvalidRequest(code.to_owned()))
}

/// A wallet's text, fit for logs and errors: printable, short, and never empty.
pub(crate) fn sanitised(text: &str, fallback: &str) -> String {
    let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let text = if text.is_empty() { fallback } else { text };
    text.chars().take(TEXT_CHARS_MAX).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::CallOutcome;

    #[test]
    fn every_word_of_the_ledger_is_known() {
        for &reason in RejectReason::ALL {
            assert!(error_of(reason.name(), "", None).is_some(), "{}", reason.name());
        }
        assert_eq!(
            error_of_rejection(RejectReason::InsufficientFunds),
            WalletError::InsufficientBalance
        );
        assert_eq!(error_of("SOMETHING_ELSE", "", None), None);
    }

    #[test]
    fn a_code_keeps_the_outcome_of_its_error() {
        let retry_after = Some(Duration::from_secs(2));
        for error in [
            WalletError::InsufficientBalance,
            WalletError::UserNotFound,
            WalletError::ReservationNotFound,
            WalletError::WalletServiceDown,
            WalletError::InvalidRequest("x".to_owned()),
            WalletError::InvalidResponse("x".to_owned()),
            WalletError::Conflict("x".to_owned()),
            WalletError::RateLimited { retry_after },
            WalletError::ReadOnly,
        ] {
            assert_eq!(error_of(code_of(&error), "x", retry_after), Some(error));
        }
        let error = error_of(code_of(&WalletError::Timeout), "x", None).unwrap();
        assert_eq!(error.outcome(), CallOutcome::Unknown);
        for local in [WalletError::CircuitOpen, WalletError::Closed] {
            let error = error_of(code_of(&local), "x", None).unwrap();
            assert_eq!(error.outcome(), CallOutcome::NotExecuted);
        }
    }

    #[test]
    fn texts_are_short_and_printable() {
        assert_eq!(sanitised("a\nb\u{1b}[31m\u{e9}", "x"), "a?b?[31m?");
        assert_eq!(sanitised("", "CODE"), "CODE");
        assert_eq!(sanitised(&"y".repeat(TEXT_CHARS_MAX), "").len(), TEXT_CHARS_MAX);
        assert_eq!(sanitised(&"y".repeat(TEXT_CHARS_MAX + 1), "").len(), TEXT_CHARS_MAX);
    }
}
