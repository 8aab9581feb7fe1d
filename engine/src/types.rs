//! Owns the numbers and closed sets that every other module speaks in.
//! Knows nothing of decimals or text: a price is whole ticks, a quantity whole lots.
//! Invariant: ids start at 1 and 0 means "absent" in every optional field.

use std::fmt;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};

use crate::codec::wire_enum;

/// Smallest units of an asset; supplies stay below 2^120, so sums cannot overflow.
pub type Amount = u128;
/// Signed amount in smallest units of an asset (fees, rebates).
pub type SignedAmount = i128;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// Price in ticks of its instrument; legal prices are 1 to the instrument's maximum.
    Price(i64)
);
number!(
    /// Quantity in lots of its instrument.
    Quantity(u64)
);
number!(
    /// Account, numbered densely from 1 in order of registration.
    AccountId(u32)
);
number!(
    /// Asset id as given by the command that added it.
    AssetId(u32)
);
number!(
    /// Instrument id as given by the command that added it.
    InstrumentId(u32)
);
number!(
    /// Order id: the sequence of the command that created the order.
    OrderId(u64)
);
number!(
    /// Trade id: 1, 2, 3, ... over all books, without gaps.
    TradeId(u64)
);
number!(
    /// Id of one movement of money in or out, unique over the exchange: chosen by the client, or
    /// made from the order or trade that caused it.
    TransferId(u128)
);

wire_enum! {
    /// Side of an order, FIX 54.
    pub enum Side { Buy = 1, Sell = 2 }
}

impl Side {
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

wire_enum! {
    /// Type of an order, FIX 40.
    pub enum OrderType {
        Limit = 1, Market = 2, Stop = 3, StopLimit = 4, TakeProfit = 5, TakeProfitLimit = 6,
        TrailingStop = 7,
    }
}

wire_enum! {
    /// How long an order stays in force, FIX 59.
    pub enum TimeInForce { Gtc = 1, Ioc = 2, Fok = 3, Gtd = 4, Day = 5 }
}

wire_enum! {
    /// What happens when an order would trade with its own account.
    pub enum SelfTradePolicy {
        None = 0, CancelTaker = 1, CancelMaker = 2, CancelBoth = 3, Decrement = 4,
    }
}

wire_enum! {
    /// Whether an account may trade; a suspended one may only cancel.
    pub enum AccountStatus { Active = 1, Suspended = 2 }
}

wire_enum! {
    /// What a kill switch stops.
    pub enum KillSwitchScope { Account = 1, Instrument = 2, Venue = 3 }
}

/// Text that the client names an order by: at most 100 bytes, empty when absent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientOrderId {
    /// The text, and zeros up to the last whole word.
    bytes: [u8; Self::WORDS_MAX * size_of::<u64>()],
    len: u8,
}

impl ClientOrderId {
    pub const BYTES_MAX: usize = 100;
    /// 64-bit words of the longest text.
    pub(crate) const WORDS_MAX: usize = Self::BYTES_MAX.div_ceil(size_of::<u64>());
    pub const EMPTY: Self = Self { bytes: [0; Self::WORDS_MAX * size_of::<u64>()], len: 0 };

    /// `None` if `bytes` is longer than [`Self::BYTES_MAX`].
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok()?;
        let mut id = Self { len, ..Self::EMPTY };
        id.bytes[..Self::BYTES_MAX].get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(id)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }

    /// In bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Eight bytes of the text as a little-endian number, 0 behind its end: what is done word by
    /// word takes a fraction of the time that it takes byte by byte.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.bytes.as_chunks().0.get(at).map_or(0, |word| u64::from_le_bytes(*word))
    }

    /// The text of so many bytes whose words are these.
    pub(crate) fn of_words(words: impl IntoIterator<Item = u64>, len: u8) -> Self {
        let mut id = Self { len, ..Self::EMPTY };
        for (bytes, word) in id.bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        id
    }
}

impl Default for ClientOrderId {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientOrderId({})", self.as_bytes().escape_ascii())
    }
}

impl Encode for ClientOrderId {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        use bincode::enc::write::Writer;
        self.len.encode(encoder)?;
        encoder.writer().write(self.as_bytes())
    }
}

impl<C> Decode<C> for ClientOrderId {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        use bincode::de::read::Reader;
        let len = u8::decode(decoder)?;
        if usize::from(len) > Self::BYTES_MAX {
            return Err(DecodeError::Other("client order id is too long"));
        }
        let mut id = Self { len, ..Self::EMPTY };
        decoder.reader().read(&mut id.bytes[..usize::from(len)])?;
        Ok(id)
    }
}

impl<'de, C> BorrowDecode<'de, C> for ClientOrderId {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// Name of an asset, for example `BTC`: 1 to 12 of `A-Z0-9`, zero-padded.
///
/// It travels in the journal beside the id, so that a changed configuration cannot rename money.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct AssetCode([u8; Self::BYTES_MAX]);

impl AssetCode {
    pub const BYTES_MAX: usize = 12;

    /// `None` unless `text` is 1 to 12 characters of `A-Z0-9`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut code = Self::default();
        code.0.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        code.is_valid().then_some(code)
    }

    /// False for bytes that [`Self::new`] would not have made (they may come from a decoder).
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let len = self.as_str().len();
        let legal = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        len > 0 && self.0[..len].iter().all(legal) && self.0[len..].iter().all(|&b| b == 0)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(Self::BYTES_MAX);
        std::str::from_utf8(&self.0[..len]).unwrap_or("")
    }
}

impl fmt::Debug for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssetCode({})", self.as_str())
    }
}

impl fmt::Display for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_order_id_holds_exactly_its_bound() {
        assert_eq!(ClientOrderId::new(&[b'x'; 100]).map(|id| id.as_bytes().len()), Some(100));
        assert_eq!(ClientOrderId::new(&[b'x'; 101]), None);
        assert_eq!(ClientOrderId::new(&[b'x'; 300]), None);
        assert!(ClientOrderId::new(b"").is_some_and(|id| id.is_empty()));
    }

    #[test]
    fn asset_codes_are_upper_case_letters_and_digits() {
        assert_eq!(AssetCode::new("BTC").map(|c| c.to_string()), Some("BTC".to_owned()));
        assert!(AssetCode::new("ABCDEFGHIJKL").is_some());
        for bad in ["", "btc", "ABCDEFGHIJKLM", "A-B", "A B", "\u{391}"] {
            assert_eq!(AssetCode::new(bad), None, "{bad:?}");
        }
    }
}
