//! Owns what the answer of a wallet means for a trade. Knows nothing of retries.
//! Invariant: an answer that leaves open whether money moved is never called a failure.

use engine::wire_enum;
use wallet::client::{CallOutcome, WalletError};

wire_enum! {
    /// What is wrong with a trade that was not settled.
    pub enum Class {
        /// It may have been settled: it is tried again under the same key, for ever.
        Unknown = 1,
        /// The wallet will not: somebody must look at the account.
        Terminal = 2,
        /// The books do not agree: somebody must look at the exchange.
        Impossible = 3,
    }
}

impl Class {
    /// Stable upper-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Terminal => "TERMINAL",
            Self::Impossible => "IMPOSSIBLE",
        }
    }
}

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing happened: wait until the wallet is back; this was no try of the trade.
    Wait,
    /// Try this trade again.
    Retry,
    /// The money is not there: perhaps an earlier trade brings it.
    Short,
    /// Trying again changes nothing.
    Dead(Class),
}

/// The meaning of an error, whatever it was wrapped in on its way.
#[must_use]
pub fn judge(error: &WalletError) -> Verdict {
    match (error.outcome(), error) {
        (CallOutcome::NotExecuted, _) => Verdict::Wait,
        (CallOutcome::Unknown, _) => Verdict::Retry,
        (CallOutcome::Refused, WalletError::InsufficientBalance) => Verdict::Short,
        // What the order holds in trading is not set aside for it: the books do not agree.
        (CallOutcome::Refused, WalletError::Conflict(_) | WalletError::ReservationNotFound) => {
            Verdict::Dead(Class::Impossible)
        }
        (CallOutcome::Refused, _) => Verdict::Dead(Class::Terminal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_verdict() {
        let text = || "x".to_owned();
        for (error, verdict) in [
            (WalletError::Timeout, Verdict::Retry),
            (WalletError::InvalidResponse(text()), Verdict::Retry),
            (WalletError::WalletServiceDown, Verdict::Wait),
            (WalletError::CircuitOpen, Verdict::Wait),
            (WalletError::RateLimited { retry_after: None }, Verdict::Wait),
            (WalletError::ReadOnly, Verdict::Wait),
            (WalletError::Closed, Verdict::Wait),
            (WalletError::InsufficientBalance, Verdict::Short),
            (WalletError::UserNotFound, Verdict::Dead(Class::Terminal)),
            (WalletError::InvalidRequest(text()), Verdict::Dead(Class::Terminal)),
            (WalletError::ReservationNotFound, Verdict::Dead(Class::Impossible)),
            (WalletError::CapturePending, Verdict::Dead(Class::Terminal)),
            (WalletError::Conflict(text()), Verdict::Dead(Class::Impossible)),
        ] {
            assert_eq!(judge(&error), verdict, "{error}");
        }
    }
}
