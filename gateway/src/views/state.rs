//! Owns the part of an order that events change, and what a fill of it is.
//! Knows nothing of who placed it. Invariant: an order ends once, and then nothing changes.

use bincode::{Decode, Encode};
use engine::{
    Amount, CloseReason, NewOrder, OrderId, Price, Quantity, RejectReason, Side, SignedAmount,
    Trade, TradeId,
};

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Ended {
    Closed(CloseReason),
    Rejected(RejectReason),
}

/// The part of an order that events change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OrderState {
    pub price: Price,
    /// Price that starts a stop order: of a trailing one the first, and once it was met, the one
    /// that was met. 0 for any other order.
    pub trigger: Price,
    /// Journal time at which a stop order was started, nanoseconds since the Unix epoch; 0 before.
    pub triggered_ns: u64,
    /// Total quantity in lots; 0 for an order by budget.
    pub quantity: Quantity,
    pub filled: Quantity,
    /// Lots that self-trade prevention took: neither filled nor open.
    pub prevented: Quantity,
    /// Quote units of all fills, without fees.
    pub quote_filled: Amount,
    pub ended: Option<Ended>,
    /// Journal time of the last change, nanoseconds since the Unix epoch.
    pub updated_ns: u64,
}

/// One fill from the order's own side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Fill {
    pub trade_id: TradeId,
    pub price: Price,
    pub quantity: Quantity,
    /// Quote units; negative for a rebate.
    pub fee: SignedAmount,
    pub is_buyer_maker: bool,
}

impl OrderState {
    pub(super) fn new(order: &NewOrder, now_ns: u64) -> Self {
        Self {
            price: order.price,
            trigger: order.trigger,
            triggered_ns: 0,
            quantity: order.quantity,
            filled: Quantity(0),
            prevented: Quantity(0),
            quote_filled: 0,
            ended: None,
            updated_ns: now_ns,
        }
    }

    /// Applies a fill of this order.
    pub(super) fn fill(&mut self, trade: &Trade, now_ns: u64) {
        self.filled.0 += trade.quantity.0;
        self.quote_filled += trade.quote;
        self.updated_ns = now_ns;
    }

    /// Gives up lots that would have traded with the same owner.
    pub(super) fn prevent(&mut self, quantity: Quantity, now_ns: u64) {
        self.prevented.0 += quantity.0;
        self.updated_ns = now_ns;
    }

    /// Starts a stop order.
    pub(super) fn start(&mut self, trigger: Price, now_ns: u64) {
        (self.trigger, self.triggered_ns) = (trigger, now_ns);
        self.updated_ns = now_ns;
    }

    pub(super) fn end(&mut self, ended: Ended, now_ns: u64) {
        assert!(self.ended.is_none(), "an order ends once");
        self.ended = Some(ended);
        self.updated_ns = now_ns;
    }
}

impl Fill {
    /// A trade from the side of one of its two orders.
    pub(super) fn of(trade: &Trade, order: OrderId) -> Self {
        let made = trade.maker_order_id == order;
        Self {
            trade_id: trade.trade_id,
            price: trade.price,
            quantity: trade.quantity,
            fee: if made { trade.maker_fee } else { trade.taker_fee },
            is_buyer_maker: trade.taker_side == Side::Sell,
        }
    }
}
