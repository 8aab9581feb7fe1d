//! Owns the refusals. Knows nothing of HTTP statuses or texts.
//! Invariant: the code is the precedence: of all checks that fail, the lowest code is reported;
//! only an order that comes too late is looked at no further.

/// Declares a machine's refusals: a closed set whose members travel as two bytes, with `ALL`,
/// `code`, `name` and `from_code`.
#[macro_export]
macro_rules! reject_reasons {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$note:meta])* $variant:ident = $code:literal $word:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum $name { $($(#[$note])* $variant = $code),+ }

        impl $name {
            /// Every reason, in ascending code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Stable upper-case word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            #[must_use]
            pub const fn code(self) -> u16 {
                self as u16
            }

            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl ::bincode::Encode for $name {
            fn encode<E: ::bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), ::bincode::error::EncodeError> {
                ::bincode::Encode::encode(&self.code(), encoder)
            }
        }

        impl<C> ::bincode::Decode<C> for $name {
            fn decode<D: ::bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, ::bincode::error::DecodeError> {
                let code = <u16 as ::bincode::Decode<C>>::decode(decoder)?;
                let unknown = concat!("unknown code of ", stringify!($name));
                Self::from_code(code).ok_or(bincode::error::DecodeError::Other(unknown))
            }
        }

        impl<'de, C> ::bincode::BorrowDecode<'de, C> for $name {
            fn borrow_decode<D: ::bincode::de::BorrowDecoder<'de, Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, ::bincode::error::DecodeError> {
                <Self as ::bincode::Decode<C>>::decode(decoder)
            }
        }
    };
}

reject_reasons! {
    /// Why a command was refused. Codes below 1,000 are the engine's; the code is the precedence.
    pub enum RejectReason {
        /// The account is not registered.
        UnknownAccount = 1 "UNKNOWN_ACCOUNT",
        /// Not live, never existed, or another account's: indistinguishable.
        UnknownOrder = 2 "UNKNOWN_ORDER",
        /// Same client order id or transfer id, other body.
        IdempotencyConflict = 3 "IDEMPOTENCY_CONFLICT",
        UnknownAsset = 4 "UNKNOWN_ASSET",
        UnknownSymbol = 5 "UNKNOWN_SYMBOL",
        /// A field is set that the order type forbids, or an id or setting is zero.
        InvalidField = 6 "INVALID_FIELD",
        /// The order waits in the triggered queue.
        NotAmendable = 7 "NOT_AMENDABLE",
        /// Time in force not allowed for the type, or post-only or an iceberg with IOC or FOK.
        InvalidTimeInForce = 8 "INVALID_TIF",
        /// No quantity where one is needed, or an iceberg that shows more than it has or comes in
        /// too many parts.
        InvalidQuantity = 9 "INVALID_QTY",
        /// A required price outside 1 to the instrument's maximum.
        InvalidPrice = 10 "INVALID_PRICE",
        /// A required trigger outside 1 to the instrument's maximum, or not exactly one legal
        /// offset of a trailing stop.
        InvalidStop = 11 "INVALID_STOP",
        /// A moment that has passed.
        InvalidExpiry = 12 "INVALID_EXPIRY",
        InvalidAmount = 13 "INVALID_AMOUNT",
        InvalidSpec = 14 "INVALID_SPEC",
        AlreadyExists = 15 "ALREADY_EXISTS",
        /// An immutable field of the instrument would change.
        SpecLocked = 16 "SPEC_LOCKED",
        Unsupported = 17 "UNSUPPORTED",
        NoChange = 18 "NO_CHANGE",
        KillSwitch = 19 "KILL_SWITCH",
        AccountSuspended = 20 "ACCOUNT_SUSPENDED",
        TradingHalted = 21 "TRADING_HALTED",
        CancelOnly = 22 "CANCEL_ONLY",
        QuantityBelowMin = 23 "QTY_BELOW_MIN",
        QuantityAboveMax = 24 "QTY_ABOVE_MAX",
        NoReferencePrice = 25 "NO_REFERENCE_PRICE",
        TriggerOutOfRange = 26 "TRIGGER_OUT_OF_RANGE",
        /// A MARKET order and the opposite side is empty.
        NoLiquidity = 27 "NO_LIQUIDITY",
        NotionalBelowMin = 28 "NOTIONAL_BELOW_MIN",
        NotionalAboveMax = 29 "NOTIONAL_ABOVE_MAX",
        PriceBand = 30 "PRICE_BAND",
        /// The account would trade more lots in this instrument than it may on a UTC day.
        DailyVolume = 31 "DAILY_VOLUME",
        /// The account has as many live orders in this instrument as it may.
        TooManyOpenOrders = 32 "TOO_MANY_OPEN_ORDERS",
        /// The instrument has as many live orders as it may.
        BookFull = 33 "BOOK_FULL",
        /// The budget cannot pay one lot and its taker fee at the best opposite price, or
        /// at the trigger.
        BudgetTooSmall = 34 "BUDGET_TOO_SMALL",
        /// The idempotency table is full of entries that may not be dropped yet.
        WindowFull = 35 "WINDOW_FULL",
        BalanceOverflow = 36 "BALANCE_OVERFLOW",
        InsufficientBalance = 37 "INSUFFICIENT_BALANCE",
        PostOnlyWouldCross = 38 "POST_ONLY_WOULD_CROSS",
        FokUnfillable = 39 "FOK_UNFILLABLE",
        /// Whoever keeps the funds of an announced order did not reserve them in time.
        FundsUnavailable = 40 "FUNDS_UNAVAILABLE",
        /// The same, without having been asked: too many before had no answer.
        FundsDegraded = 41 "FUNDS_DEGRADED",
        /// Whoever keeps the funds does not know the account's owner.
        FundsOwnerUnknown = 42 "FUNDS_OWNER_UNKNOWN",
        /// Whoever keeps the funds may not reserve them: the owner's wallet is frozen or closed.
        FundsRefused = 43 "FUNDS_REFUSED",
        /// Engine time was past the latest moment of the order. Nothing else was looked at: the key
        /// may be that of a live order.
        RecvWindow = 44 "RECV_WINDOW",
    }
}

impl RejectReason {
    /// Nobody has decided about the order: its key may be used again.
    #[must_use]
    pub const fn is_undecided(self) -> bool {
        matches!(self, Self::FundsUnavailable | Self::FundsDegraded | Self::RecvWindow)
    }

    /// Refused for its shape: not remembered by idempotency keys.
    #[must_use]
    pub const fn is_malformed(self) -> bool {
        self.code() < Self::KillSwitch.code()
    }

    /// The same order may pass later, under a new key.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::KillSwitch
                | Self::AccountSuspended
                | Self::TradingHalted
                | Self::CancelOnly
                | Self::NoReferencePrice
                | Self::NoLiquidity
                | Self::PriceBand
                | Self::DailyVolume
                | Self::TooManyOpenOrders
                | Self::BookFull
                | Self::WindowFull
                | Self::InsufficientBalance
                | Self::PostOnlyWouldCross
                | Self::FokUnfillable
                | Self::FundsUnavailable
                | Self::FundsDegraded
                | Self::FundsOwnerUnknown
                | Self::FundsRefused
                | Self::RecvWindow
        )
    }
}

#[cfg(test)]
mod tests {
    use super::RejectReason;

    #[test]
    fn codes_are_dense_and_round_trip() {
        for (index, reason) in RejectReason::ALL.iter().enumerate() {
            assert_eq!(usize::from(reason.code()), index + 1);
            assert_eq!(RejectReason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(RejectReason::from_code(0), None);
        assert_eq!(RejectReason::from_code(45), None);
    }

    #[test]
    fn malformed_reasons_come_first_and_are_final() {
        assert!(RejectReason::NoChange.is_malformed());
        assert!(!RejectReason::KillSwitch.is_malformed());
        assert!(RejectReason::ALL.iter().all(|r| !(r.is_malformed() && r.is_transient())));
    }
}
