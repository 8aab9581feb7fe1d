//! Owns the latest trades as their parties see them, by order. Knows nothing of settlement.
//! Invariant: bounded over all orders, the oldest trade is forgotten first and then by both of its
//! orders; what is shown of a trade is one side of it.

use std::collections::{HashMap, VecDeque};

use bincode::{Decode, Encode};
use engine::codec::append as put;
use engine::{
    Event, Frame, OrderId, Price, Quantity, RestoreError, Side, SignedAmount, SnapshotReader,
    Trade, TradeId, Usage,
};

use crate::limits::OWN_TRADES_MAX;
use crate::views::state::Fill;

/// A fill and when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTrade {
    pub fill: Fill,
    /// Journal time, nanoseconds since the Unix epoch.
    pub executed_ns: u64,
}

/// Both sides of a trade.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Kept {
    id: TradeId,
    price: Price,
    quantity: Quantity,
    maker: OrderId,
    taker: OrderId,
    maker_fee: SignedAmount,
    taker_fee: SignedAmount,
    is_buyer_maker: bool,
    executed_ns: u64,
}

impl Kept {
    fn new(trade: &Trade, executed_ns: u64) -> Self {
        Self {
            id: trade.trade_id,
            price: trade.price,
            quantity: trade.quantity,
            maker: trade.maker_order_id,
            taker: trade.taker_order_id,
            maker_fee: trade.maker_fee,
            taker_fee: trade.taker_fee,
            is_buyer_maker: trade.taker_side == Side::Sell,
            executed_ns,
        }
    }

    fn seen_by(&self, order: OrderId) -> OwnTrade {
        let fill = Fill {
            trade_id: self.id,
            price: self.price,
            quantity: self.quantity,
            fee: if order == self.maker { self.maker_fee } else { self.taker_fee },
            is_buyer_maker: self.is_buyer_maker,
        };
        OwnTrade { fill, executed_ns: self.executed_ns }
    }
}

/// The latest trades of all orders.
#[derive(Debug)]
pub struct OwnTrades {
    bound: usize,
    /// The oldest in front; ids ascend.
    trades: VecDeque<Kept>,
    /// Ids ascend here, too.
    by_order: HashMap<OrderId, VecDeque<TradeId>>,
    sequence: u64,
}

impl Default for OwnTrades {
    fn default() -> Self {
        Self::with_bound(OWN_TRADES_MAX)
    }
}

impl OwnTrades {
    fn with_bound(bound: usize) -> Self {
        Self { bound, trades: VecDeque::new(), by_order: HashMap::new(), sequence: 0 }
    }

    /// Sequence of the last command that changed anything here.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The order's newest `max` trades before `before` (the newest of all if `None`), newest first.
    #[must_use]
    pub fn of_order(&self, order: OrderId, before: Option<TradeId>, max: usize) -> Vec<OwnTrade> {
        let Some(ids) = self.by_order.get(&order) else { return Vec::new() };
        let end = before.map_or(ids.len(), |before| ids.partition_point(|id| *id < before));
        let newest_first = ids.range(..end).rev().take(max);
        newest_first.filter_map(|id| Some(self.get(*id)?.seen_by(order))).collect()
    }

    fn get(&self, id: TradeId) -> Option<&Kept> {
        let place = self.trades.binary_search_by_key(&id, |trade| trade.id).ok()?;
        self.trades.get(place)
    }

    pub(super) fn usage(&self) -> Usage {
        Usage::new("own_trades", self.trades.len(), self.bound)
    }

    pub(super) fn apply<C>(&mut self, frame: &Frame<C>, events: &[Event]) {
        self.sequence = frame.sequence;
        for event in events {
            if let Event::Trade(trade) = event {
                self.add(Kept::new(trade, frame.timestamp_ns));
            }
        }
    }

    fn add(&mut self, trade: Kept) {
        for order in [trade.maker, trade.taker] {
            self.by_order.entry(order).or_default().push_back(trade.id);
        }
        self.trades.push_back(trade);
        if self.trades.len() > self.bound
            && let Some(oldest) = self.trades.pop_front()
        {
            self.forget(oldest.maker);
            self.forget(oldest.taker);
        }
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let Self { bound: _, trades, by_order: _, sequence } = self;
        put(&(sequence, trades), out);
    }

    pub(super) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        Self::default().filled(from)
    }

    /// A fresh model, with what was saved of one.
    fn filled(mut self, from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        self.sequence = from.read("sequence of the trades")?;
        for trade in from.list::<Kept>("trades of orders", self.bound)? {
            let ascends = self.trades.back().is_none_or(|last| last.id < trade.id);
            from.check(ascends, "order of trades")?;
            self.add(trade);
        }
        Ok(self)
    }

    /// Forgets the order's oldest trade, which is the oldest of all.
    fn forget(&mut self, order: OrderId) {
        if let Some(ids) = self.by_order.get_mut(&order) {
            ids.pop_front();
            if ids.is_empty() {
                self.by_order.remove(&order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: u64, maker: u64, taker: u64) -> Kept {
        Kept {
            id: TradeId(id),
            price: Price(1),
            quantity: Quantity(1),
            maker: OrderId(maker),
            taker: OrderId(taker),
            maker_fee: -1,
            taker_fee: 2,
            is_buyer_maker: false,
            executed_ns: id,
        }
    }

    fn ids(trades: &OwnTrades, order: u64, before: Option<u64>, max: usize) -> Vec<u64> {
        let found = trades.of_order(OrderId(order), before.map(TradeId), max);
        found.iter().map(|trade| trade.fill.trade_id.0).collect()
    }

    #[test]
    fn each_side_sees_its_own_fee() {
        let mut trades = OwnTrades::default();
        trades.add(kept(1, 7, 8));
        let fee = |order| trades.of_order(OrderId(order), None, 1)[0].fill.fee;
        assert_eq!((fee(7), fee(8)), (-1, 2));
        assert_eq!(ids(&trades, 9, None, 1), [0; 0]);
    }

    #[test]
    fn pages_follow_each_other_newest_first() {
        let mut trades = OwnTrades::default();
        (1..=5).for_each(|id| trades.add(kept(id, 7, 10 + id)));
        assert_eq!(ids(&trades, 7, None, 2), [5, 4]);
        assert_eq!(ids(&trades, 7, Some(4), 2), [3, 2]);
        assert_eq!(ids(&trades, 7, Some(2), 2), [1]);
        assert_eq!(ids(&trades, 7, Some(1), 2), [0; 0]);
        assert_eq!(ids(&trades, 7, Some(99), 9), [5, 4, 3, 2, 1]);
    }

    #[test]
    fn no_more_trades_are_restored_than_are_kept() {
        let restored = |trades: &OwnTrades, bound| {
            let mut bytes = Vec::new();
            trades.save(&mut bytes);
            OwnTrades::with_bound(bound).filled(&mut SnapshotReader::new(&bytes))
        };
        let mut trades = OwnTrades::default();
        (1..=5).for_each(|id| trades.add(kept(id, 7, 10 + id)));
        let same = restored(&trades, 5).unwrap();
        assert_eq!(
            (ids(&same, 7, None, 9), ids(&same, 11, None, 9)),
            (vec![5, 4, 3, 2, 1], vec![1])
        );
        assert!(restored(&trades, 4).is_err(), "one past the bound");
        trades.trades.swap(1, 2);
        assert!(restored(&trades, 5).is_err(), "ids ascend");
    }

    #[test]
    fn past_the_bound_both_orders_forget_the_oldest_trade() {
        let mut trades = OwnTrades::with_bound(2);
        trades.add(kept(1, 7, 8));
        trades.add(kept(2, 7, 9));
        assert_eq!((ids(&trades, 7, None, 9), ids(&trades, 8, None, 9)), (vec![2, 1], vec![1]));
        trades.add(kept(3, 7, 9));
        assert_eq!((ids(&trades, 7, None, 9), ids(&trades, 9, None, 9)), (vec![3, 2], vec![3, 2]));
        assert_eq!(ids(&trades, 8, None, 9), [0; 0]);
        assert_eq!((trades.trades.len(), trades.by_order.len()), (2, 2), "no order without trades");
    }
}
