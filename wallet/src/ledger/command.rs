//! Owns the vocabulary of the ledger's inputs: everything that can change its state.
//! Knows nothing of how a command is decided. Invariant: variants are appended, never reordered,
//! for their position is their tag in the journal.

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use engine::{Amount, AssetCode, AssetId, SignedAmount};

use super::types::{
    Account, CreditTo, Description, Reference, ReleaseReason, ReserveReason, TransactionId,
    TransactionKind, UserId, WalletId, WalletStatus,
};
use crate::limits::{ENCODED_BYTES_MAX, POSTINGS_MAX};

/// One input. A field that does not apply is zero or empty.
#[expect(clippy::large_enum_variant, reason = "lies in a ring slot, which owns no heap memory")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Command {
    /// Lets time pass; also what the pipeline journals for its own control records.
    #[default]
    Tick,
    /// Makes an asset known: its name, its decimal places, what one movement may be worth.
    AddAsset {
        asset: AssetId,
        code: AssetCode,
        scale: u8,
        amount_min: Amount,
        amount_max: Amount,
    },
    /// Opens the user's wallet in an asset; a second time names the first one.
    OpenWallet {
        user: UserId,
        asset: AssetId,
    },
    Post(Post),
    /// What became of a movement between a wallet and its trading account: a recall was granted or
    /// refused there, or a funding was refused.
    ConcludeFunding {
        transaction: TransactionId,
        granted: bool,
    },
    Reserve(Reserve),
    Release(Release),
    Settle(Settle),
    /// Posts the movements of a transaction the other way round, once.
    Reverse {
        transaction: TransactionId,
    },
    SetWalletStatus {
        wallet: WalletId,
        status: WalletStatus,
    },
    /// Stops, or allows again, that money of an asset leaves.
    FreezeWithdrawals {
        asset: AssetId,
        frozen: bool,
    },
}

/// One movement that is asked for: `amount` from `debit` to `credit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Posting {
    pub debit: Account,
    pub credit: Account,
    pub amount: Amount,
}

/// One to eight movements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Postings {
    len: u8,
    list: [Posting; POSTINGS_MAX],
}

impl Postings {
    /// `None` if there are more than [`POSTINGS_MAX`].
    #[must_use]
    pub fn new(postings: &[Posting]) -> Option<Self> {
        let mut new = Self { len: u8::try_from(postings.len()).ok()?, ..Self::default() };
        new.list.get_mut(..postings.len())?.copy_from_slice(postings);
        Some(new)
    }

    #[must_use]
    pub fn as_slice(&self) -> &[Posting] {
        &self.list[..usize::from(self.len)]
    }
}

impl Encode for Postings {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.len.encode(encoder)?;
        self.as_slice().iter().try_for_each(|posting| posting.encode(encoder))
    }
}

impl<C> Decode<C> for Postings {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let len = u8::decode(decoder)?;
        let mut postings = Self { len, ..Self::default() };
        let Some(list) = postings.list.get_mut(..usize::from(len)) else {
            return Err(DecodeError::Other("too many postings"));
        };
        for posting in list {
            *posting = <Posting as Decode<C>>::decode(decoder)?;
        }
        Ok(postings)
    }
}

impl<'de, C> BorrowDecode<'de, C> for Postings {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// Money that comes in, goes out or changes hands at somebody's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Post {
    /// Deposit, Withdrawal, Transfer, Batch or Adjustment.
    pub kind: TransactionKind,
    /// Who asks; `reference` is unique for each caller.
    pub caller: UserId,
    pub reference: Reference,
    pub description: Description,
    /// Between available accounts and the world outside, all or none.
    pub postings: Postings,
    /// What users receive is lent to trading at once, and what they pay may be recalled from it.
    pub fund: bool,
    /// Only says what would happen.
    pub dry_run: bool,
}

/// Sets money of a user aside: for an order, or for trading as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reserve {
    pub user: UserId,
    pub asset: AssetId,
    pub amount: Amount,
    /// With the asset the key: the order, or the transaction that brought the money.
    pub order: u128,
    pub reason: ReserveReason,
}

/// Ends the reservation of an order and gives back what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Release {
    /// The transaction that made the reservation, or 0.
    pub reservation: TransactionId,
    /// The order that it was made for, or 0.
    pub order: u128,
    pub reason: ReleaseReason,
    /// What the order's trades have taken, if the caller knows: then captures that are still on
    /// their way are waited for.
    pub captured_total: Option<Amount>,
}

/// Settles one trade; `trade` is the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Settle {
    pub trade: u128,
    pub buyer: UserId,
    pub seller: UserId,
    pub buyer_order: u128,
    pub seller_order: u128,
    pub base: AssetId,
    pub quote: AssetId,
    pub base_amount: Amount,
    pub quote_amount: Amount,
    /// Quote units; negative for a rebate.
    pub buyer_fee: SignedAmount,
    pub seller_fee: SignedAmount,
    pub credit_to: CreditTo,
}

engine::wire_value!(Command, ENCODED_BYTES_MAX);
