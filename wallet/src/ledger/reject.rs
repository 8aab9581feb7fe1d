//! Owns the ledger's refusals. Knows nothing of HTTP statuses or texts.
//! Invariant: codes are stable; 1,001 to 1,999 are the ledger's.

engine::reject_reasons! {
    /// Why the ledger refused a command.
    pub enum RejectReason {
        UnknownWallet = 1001 "WALLET_NOT_FOUND",
        /// The user has no wallet at all.
        UnknownUser = 1002 "USER_NOT_FOUND",
        UnknownAsset = 1003 "ASSET_NOT_FOUND",
        UnknownTransaction = 1004 "TRANSACTION_NOT_FOUND",
        UnknownReservation = 1005 "RESERVATION_NOT_FOUND",
        /// The caller used this reference for something else.
        DuplicateReference = 1006 "DUPLICATE_REFERENCE",
        /// The key stands for another payload: a bug of the caller, or an attack.
        IdempotencyMismatch = 1007 "IDEMPOTENCY_MISMATCH",
        /// Zero, or outside the asset's limits.
        InvalidAmount = 1008 "INVALID_AMOUNT",
        /// Same wallet at both ends, or wallets of different assets.
        InvalidTransfer = 1009 "INVALID_TRANSFER",
        InvalidRequest = 1010 "INVALID_REQUEST",
        AlreadyExists = 1011 "ALREADY_EXISTS",
        AlreadyReversed = 1012 "ALREADY_REVERSED",
        /// A reversal, or something that did not happen.
        NotReversible = 1013 "NOT_REVERSIBLE",
        /// A wallet with money or a pending withdrawal cannot be closed.
        WalletNotEmpty = 1014 "WALLET_NOT_EMPTY",
        WalletFrozen = 1015 "WALLET_FROZEN",
        WalletClosed = 1016 "WALLET_CLOSED",
        /// A breach of the books stopped all withdrawals of the asset.
        WithdrawalsFrozen = 1017 "WITHDRAWALS_FROZEN",
        /// The release came before a capture that it says has happened.
        CapturePending = 1018 "CAPTURE_PENDING",
        /// More would be captured than the reservation has left, or it has ended.
        ReservationSpent = 1019 "RESERVATION_SPENT",
        InsufficientFunds = 1020 "INSUFFICIENT_FUNDS",
        /// What trading owes is not there yet: an earlier settlement is missing.
        ReservedShort = 1021 "RESERVED_SHORT",
        /// As much would exist as may.
        BalanceOverflow = 1022 "BALANCE_OVERFLOW",
        /// A table of the ledger is full.
        CapacityExhausted = 1023 "CAPACITY_EXHAUSTED",
        /// The transaction was concluded before, the other way round.
        AlreadyConcluded = 1024 "ALREADY_CONCLUDED",
    }
}

impl RejectReason {
    /// Whether the refusal is the outcome of its key for good.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::WalletFrozen
                | Self::WalletClosed
                | Self::WithdrawalsFrozen
                | Self::InsufficientFunds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::RejectReason;

    #[test]
    fn codes_are_dense_and_round_trip() {
        for (index, reason) in RejectReason::ALL.iter().enumerate() {
            assert_eq!(usize::from(reason.code()), 1001 + index);
            assert_eq!(RejectReason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(RejectReason::from_code(1000), None);
        assert_eq!(RejectReason::from_code(1025), None);
    }
}
