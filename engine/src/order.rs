//! Owns live orders: their records, and the slab that hands out handles to them.
//! Knows nothing of levels, balances or refusals. Invariant: a handle in use names one live order,
//! and freed records are reused last in, first out, so a steady state allocates nothing.
//!
//! An order is two cache lines in two arrays: [`Order`] is what a walk over a book touches,
//! [`OrderMoney`] what a fill of it changes besides. 128 bytes in all.

use crate::dedup::ClientKey;
use crate::limits::LIVE_ORDERS_MAX;
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

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names a price level of one side of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelHandle(pub u32);

impl LevelHandle {
    /// Not in a level.
    pub const NONE: Self = Self(u32::MAX);

    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a walk over a book touches of an order.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Order {
    pub id: OrderId,
    /// Limit price; 0 for MARKET, which never rests.
    pub price: Price,
    /// Quantity still to be traded; 0 for an order by budget.
    pub open: Quantity,
    /// Neighbours in the queue of its level.
    pub next: OrderHandle,
    pub previous: OrderHandle,
    pub level: LevelHandle,
    pub account: AccountId,
    /// Place of its instrument in the engine's list.
    pub instrument_slot: u32,
    pub maker_fee_ppm: i32,
    pub taker_fee_ppm: i32,
    pub side: Side,
    pub order_type: OrderType,
    pub time_in_force: TimeInForce,
    pub self_trade_policy: SelfTradePolicy,
    pub post_only: bool,
    /// Its funds were reserved outside: until its end it holds all that they have left.
    pub funded: bool,
}

/// What only a fill, an amend or the close of an order touches.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct OrderMoney {
    /// Sum over its fills of quote value times rate, in millionths of a quote unit.
    pub fee_basis: SignedAmount,
    /// What is held for it: quote units of a buy, base units of a sell.
    pub hold: Amount,
    /// Total quantity, filled part included.
    pub quantity: Quantity,
    pub filled: Quantity,
    /// Neighbours among the live orders of its account.
    pub account_next: OrderHandle,
    pub account_previous: OrderHandle,
    pub client_key: ClientKey,
}

const _: () = {
    assert!(size_of::<Order>() == 64);
    assert!(size_of::<OrderMoney>() == 64);
};

/// All live orders of the engine.
#[derive(Clone, Debug)]
pub struct OrderSlab {
    orders: Vec<Order>,
    money: Vec<OrderMoney>,
    /// Head of the list of free records, linked through `next`.
    free: OrderHandle,
    live: u32,
}

impl Default for OrderSlab {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl OrderSlab {
    /// Reserves memory for `capacity` orders; more make it grow, up to [`LIVE_ORDERS_MAX`].
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            orders: Vec::with_capacity(capacity),
            money: Vec::with_capacity(capacity),
            free: OrderHandle::NONE,
            live: 0,
        }
    }

    /// Live orders.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.live
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    #[must_use]
    pub fn is_full(&self) -> bool {
        self.live >= LIVE_ORDERS_MAX
    }

    /// Stores an order. Its money is whatever the last user of the record left there: the caller
    /// writes it, or has none.
    ///
    /// # Panics
    /// If the slab is full: callers ask [`Self::is_full`] first.
    pub fn insert(&mut self, order: Order) -> OrderHandle {
        assert!(!self.is_full());
        self.live += 1;
        if self.free.is_none() {
            let Ok(index) = u32::try_from(self.orders.len()) else {
                unreachable!("LIVE_ORDERS_MAX fits 32 bits")
            };
            self.orders.push(order);
            self.money.push(OrderMoney::default());
            return OrderHandle(index);
        }
        let handle = self.free;
        self.free = self.orders[handle.index()].next;
        self.orders[handle.index()] = order;
        handle
    }

    /// Frees the record of a closed order.
    pub fn remove(&mut self, handle: OrderHandle) {
        let order = &mut self.orders[handle.index()];
        assert!(order.id != OrderId(0), "freed twice");
        order.id = OrderId(0);
        order.next = self.free;
        self.free = handle;
        self.live -= 1;
    }

    #[inline]
    #[must_use]
    pub fn get(&self, handle: OrderHandle) -> &Order {
        &self.orders[handle.index()]
    }

    #[inline]
    pub fn get_mut(&mut self, handle: OrderHandle) -> &mut Order {
        &mut self.orders[handle.index()]
    }

    #[inline]
    #[must_use]
    pub fn money(&self, handle: OrderHandle) -> &OrderMoney {
        &self.money[handle.index()]
    }

    #[inline]
    pub fn money_mut(&mut self, handle: OrderHandle) -> &mut OrderMoney {
        &mut self.money[handle.index()]
    }

    /// Both lines of an order at once.
    #[inline]
    pub fn both_mut(&mut self, handle: OrderHandle) -> (&mut Order, &mut OrderMoney) {
        (&mut self.orders[handle.index()], &mut self.money[handle.index()])
    }

    /// Live orders in no particular order: callers sort before anything leaves the engine.
    pub(crate) fn handles(&self) -> impl Iterator<Item = OrderHandle> {
        let count = u32::try_from(self.orders.len()).unwrap_or(u32::MAX);
        (0..count).map(OrderHandle).filter(|h| self.get(*h).id != OrderId(0))
    }
}

/// A record with every field absent, for tests and benchmarks of the structures below the engine.
impl Default for Order {
    fn default() -> Self {
        Self {
            id: OrderId(0),
            price: Price(0),
            open: Quantity(0),
            next: OrderHandle::NONE,
            previous: OrderHandle::NONE,
            level: LevelHandle::NONE,
            account: AccountId(0),
            instrument_slot: 0,
            maker_fee_ppm: 0,
            taker_fee_ppm: 0,
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            self_trade_policy: SelfTradePolicy::None,
            post_only: false,
            funded: false,
        }
    }
}

impl Default for OrderMoney {
    fn default() -> Self {
        Self {
            fee_basis: 0,
            hold: 0,
            quantity: Quantity(0),
            filled: Quantity(0),
            account_next: OrderHandle::NONE,
            account_previous: OrderHandle::NONE,
            client_key: ClientKey::NONE,
        }
    }
}
