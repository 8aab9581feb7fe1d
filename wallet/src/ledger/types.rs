//! Owns the numbers, texts and closed sets that the ledger speaks in.
//! Knows nothing of HTTP or decimals: an amount is whole units of its asset.
//! Invariant: ids start at 1 and 0 means "absent" in every optional field.

use std::fmt;

use bincode::de::read::Reader;
use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use engine::{AssetId, wire_enum};

use crate::limits::{DESCRIPTION_BYTES_MAX, REFERENCE_BYTES_MAX};

/// Wallet, numbered densely from 1 in order of opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct WalletId(pub u32);

/// Transaction, numbered densely from 1; a refused request that has a key is one, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct TransactionId(pub u64);

/// Owner of wallets: the bits of a UUID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct UserId(pub u128);

/// One account of the double-entry ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Account {
    /// What a user can take out. Never negative.
    Available(WalletId),
    /// What is promised to orders or lent to trading. Never negative.
    Reserved(WalletId),
    /// What the exchange earned; negative where rebates exceed fees.
    Fees(AssetId),
    /// The world outside: its balance is minus what all others together own.
    External(AssetId),
}

impl Default for Account {
    fn default() -> Self {
        Self::External(AssetId(0))
    }
}

wire_enum! {
    /// What a transaction is for.
    pub enum TransactionKind {
        Deposit = 1, Withdrawal = 2, Transfer = 3, Batch = 4, Adjustment = 5, Reserve = 6,
        Release = 7, Settlement = 8, Reversal = 9,
    }
}

wire_enum! {
    /// How far a transaction is.
    pub enum TransactionStatus { Pending = 1, Completed = 2, Failed = 3, Reversed = 4 }
}

wire_enum! {
    /// What may happen to a wallet; money that trades owe it moves whatever it is.
    pub enum WalletStatus { Active = 1, Frozen = 2, Closed = 3 }
}

wire_enum! {
    /// Why funds are reserved.
    pub enum ReserveReason { OrderPlacement = 1, TradingFunding = 2 }
}

wire_enum! {
    /// Why a reservation ends.
    pub enum ReleaseReason {
        OrderCancelled = 1, OrderFilled = 2, OrderExpired = 3, OrderRejected = 4,
        OrderCreationFailed = 5,
    }
}

wire_enum! {
    /// Where a settlement puts what the parties receive, and what it takes the payment from.
    pub enum CreditTo {
        /// From the reservations of the two orders, to what the users can take out.
        Available = 1,
        /// From the pool lent to trading, back into it.
        Reserved = 2,
    }
}

wire_enum! {
    /// Which way money moves between a wallet and its trading account.
    pub enum FundingDirection {
        /// Lent to trading: the trading account is to be credited.
        Fund = 1,
        /// Asked back: the trading account is to be debited.
        Recall = 2,
    }
}

/// Whose reservation a settlement took the last unit of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct UsedUp {
    pub buyer: bool,
    pub seller: bool,
}

/// Text of at most `N` bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const N: usize> {
    len: u16,
    bytes: [u8; N],
}

/// The caller's name for a transaction.
pub type Reference = Text<REFERENCE_BYTES_MAX>;
/// What the caller says a transaction is for.
pub type Description = Text<DESCRIPTION_BYTES_MAX>;

impl<const N: usize> Text<N> {
    pub const EMPTY: Self = Self { len: 0, bytes: [0; N] };

    /// `None` if `text` is longer than `N` bytes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Self::from_bytes(text.as_bytes())
    }

    /// `None` if there are more than `N` bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut new = Self { len: u16::try_from(bytes.len()).ok()?, ..Self::EMPTY };
        new.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(new)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The text; what is not UTF-8 (it may come from a decoder) is replaced.
    #[must_use]
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(self.as_bytes()).into_owned()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl<const N: usize> Encode for Text<N> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.len.encode(encoder)?;
        encoder.writer().write(self.as_bytes())
    }
}

impl<const N: usize, C> Decode<C> for Text<N> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let len = u16::decode(decoder)?;
        let mut text = Self { len, ..Self::EMPTY };
        let Some(bytes) = text.bytes.get_mut(..usize::from(len)) else {
            return Err(DecodeError::Other("text is too long"));
        };
        decoder.reader().read(bytes)?;
        Ok(text)
    }
}

impl<'de, const N: usize, C> BorrowDecode<'de, C> for Text<N> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_holds_exactly_its_bound() {
        assert_eq!(Text::<3>::new("abc").map(|t| t.to_text()), Some("abc".to_owned()));
        assert_eq!(Text::<3>::new("abcd"), None);
        assert!(Text::<3>::new("").is_some_and(|t| t.is_empty()));
        assert_eq!(Reference::new(&"x".repeat(101)), None);
        assert!(Description::new(&"x".repeat(500)).is_some());
    }
}
