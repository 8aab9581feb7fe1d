//! Owns the records of a live order and the handles that name it and its level.
//! Knows nothing of where they are kept. Invariant: the sizes of both records are what they are
//! said to be, for speed and memory of every book follow from them.
//!
//! An order is two records in two arrays: a [`QueuedOrder`] of half a cache line is all that a walk
//! over a book and a cancel of its neighbour touch, an [`Order`] is what a fill of it or its end
//! needs besides. 120 bytes in all; what few orders have is kept apart, in [`OrderDetails`].

use crate::dedup::ClientKey;
use crate::order_details::DetailsHandle;
use crate::types::{
    AccountId, Amount, OrderId, OrderType, Price, Quantity, SelfTradePolicy, Side, SignedAmount,
    TimeInForce,
};

/// Names a live order in the slab; reused after the order closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderHandle(pub u32);

impl OrderHandle {
    /// No order.
    pub const NONE: Self = Self(u32::MAX);

    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The order, if the handle names one.
    #[must_use]
    pub fn some(self) -> Option<Self> {
        (!self.is_none()).then_some(self)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names a price level of one side of a book: its place, and in the highest bit the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelHandle(u32);

impl LevelHandle {
    /// Not in a level.
    pub const NONE: Self = Self(u32::MAX);
    const SELL: u32 = 1 << 31;

    /// The level at a place of one side.
    #[inline]
    #[must_use]
    pub(crate) fn new(side: Side, place: usize) -> Self {
        debug_assert!(place < Self::SELL as usize - 1);
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        Self(if side == Side::Sell { place | Self::SELL } else { place })
    }

    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Side that the level belongs to; meaningless for none.
    #[inline]
    #[must_use]
    pub fn side(self) -> Side {
        if self.0 & Self::SELL == 0 { Side::Buy } else { Side::Sell }
    }

    #[inline]
    pub(crate) fn place(self) -> usize {
        (self.0 & !Self::SELL) as usize
    }
}

/// What a walk over a queue touches of an order.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub struct QueuedOrder {
    pub id: OrderId,
    /// Quantity still to be traded that the book shows: all of it, but for a resting iceberg.
    /// 0 for an order by budget.
    pub visible: Quantity,
    pub account: AccountId,
    /// Neighbours in its queue.
    pub next: OrderHandle,
    pub previous: OrderHandle,
    pub level: LevelHandle,
}

/// What only a fill, an amend or the close of an order touches.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Order {
    pub(crate) hold: Halves,
    pub(crate) fee_basis: Halves,
    /// Limit price; 0 for an order that trades at a cap and never rests.
    pub price: Price,
    /// Total quantity, filled part included; 0 for an order by budget.
    pub quantity: Quantity,
    pub filled: Quantity,
    pub maker_fee_ppm: i32,
    pub taker_fee_ppm: i32,
    /// Neighbours among the live orders of its account.
    pub account_next: OrderHandle,
    pub account_previous: OrderHandle,
    pub client_key: ClientKey,
    pub details: DetailsHandle,
    /// Place of its instrument in the engine's list.
    pub instrument_slot: u16,
    pub side: Side,
    pub order_type: OrderType,
    pub time_in_force: TimeInForce,
    pub self_trade_policy: SelfTradePolicy,
    pub post_only: bool,
    /// Its funds were reserved outside: until its end it holds all that they have left.
    pub funded: bool,
}

const _: () = {
    assert!(size_of::<QueuedOrder>() == 32);
    assert!(size_of::<Order>() == 88);
};

/// The halves of a 128-bit number: as one it would align the record to 16 bytes and lengthen it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Halves([u64; 2]);

impl Halves {
    #[expect(clippy::cast_possible_truncation, reason = "that is what a half is")]
    pub(crate) const fn of(number: u128) -> Self {
        Self([number as u64, (number >> u64::BITS) as u64])
    }

    /// The lower half first.
    pub(crate) const fn words(self) -> [u64; 2] {
        self.0
    }

    const fn whole(self) -> u128 {
        let Self([low, high]) = self;
        low as u128 | (high as u128) << u64::BITS
    }
}

impl Order {
    /// What is held for it: quote units of a buy, base units of a sell.
    #[inline]
    #[must_use]
    pub const fn hold(&self) -> Amount {
        self.hold.whole()
    }

    #[inline]
    pub const fn set_hold(&mut self, hold: Amount) {
        self.hold = Halves::of(hold);
    }

    /// Sum over its fills of quote value times rate, in millionths of a quote unit.
    #[inline]
    #[must_use]
    pub const fn fee_basis(&self) -> SignedAmount {
        self.fee_basis.whole().cast_signed()
    }

    #[inline]
    pub const fn set_fee_basis(&mut self, basis: SignedAmount) {
        self.fee_basis = Halves::of(basis.cast_unsigned());
    }

    /// Lots that self-trade prevention took from an order that has `open` left; 0 for one by
    /// budget.
    #[must_use]
    pub fn prevented(&self, open: Quantity) -> Quantity {
        Quantity(self.quantity.0.saturating_sub(self.filled.0 + open.0))
    }
}

/// A record with every field absent, for tests and benchmarks of the structures below the engine.
impl Default for QueuedOrder {
    fn default() -> Self {
        Self {
            id: OrderId(0),
            visible: Quantity(0),
            account: AccountId(0),
            next: OrderHandle::NONE,
            previous: OrderHandle::NONE,
            level: LevelHandle::NONE,
        }
    }
}

impl Default for Order {
    fn default() -> Self {
        Self {
            hold: Halves::default(),
            fee_basis: Halves::default(),
            price: Price(0),
            quantity: Quantity(0),
            filled: Quantity(0),
            maker_fee_ppm: 0,
            taker_fee_ppm: 0,
            account_next: OrderHandle::NONE,
            account_previous: OrderHandle::NONE,
            client_key: ClientKey::NONE,
            details: DetailsHandle::NONE,
            instrument_slot: 0,
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            self_trade_policy: SelfTradePolicy::None,
            post_only: false,
            funded: false,
        }
    }
}
