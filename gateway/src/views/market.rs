//! Owns what the public may see of trading: depth of every book and the latest trades.
//! Knows nothing of accounts. Invariant: a level's quantity is what the orders that rest at its
//! price show, its count is theirs, and a level without orders does not exist.

mod saved;

use std::collections::{BTreeMap, HashMap, VecDeque};

use bincode::{Decode, Encode};
use engine::{
    Command, Event, Frame, InstrumentId, OrderId, Price, Quantity, SelfTradePolicy, Side, TradeId,
};

use crate::limits::RECENT_TRADES_MAX;

/// Orders at one price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Sum of what the orders show, lots. Wider than one order's, so that no number of orders can
    /// overflow it.
    pub quantity: u128,
    pub count: u32,
}

/// A trade as everybody may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PublicTrade {
    pub id: TradeId,
    pub price: Price,
    pub quantity: Quantity,
    pub is_buyer_maker: bool,
    /// Journal time, nanoseconds since the Unix epoch.
    pub executed_ns: u64,
}

#[derive(Debug, Default)]
struct Book {
    bids: BTreeMap<Price, Level>,
    asks: BTreeMap<Price, Level>,
    /// The latest in front.
    trades: VecDeque<PublicTrade>,
}

/// An order in a level.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Resting {
    instrument: InstrumentId,
    side: Side,
    price: Price,
    /// What it shows, which of an iceberg is less than what is open.
    visible: Quantity,
}

/// One level of an answer.
pub type DepthLevel = (Price, Level);

/// All books and trades.
#[derive(Debug, Default)]
pub struct Market {
    books: HashMap<InstrumentId, Book>,
    resting: HashMap<OrderId, Resting>,
    sequence: u64,
}

impl Market {
    /// Sequence of the last command that changed anything here.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The best `count` levels of bids and asks, best first.
    #[must_use]
    pub fn depth(
        &self,
        instrument: InstrumentId,
        count: usize,
    ) -> (Vec<DepthLevel>, Vec<DepthLevel>) {
        let Some(book) = self.books.get(&instrument) else { return Default::default() };
        let level = |(price, level): (&Price, &Level)| (*price, *level);
        let bids = book.bids.iter().rev().take(count).map(level).collect();
        (bids, book.asks.iter().take(count).map(level).collect())
    }

    /// The latest trades, newest first.
    #[must_use]
    pub fn trades(&self, instrument: InstrumentId, count: usize) -> Vec<PublicTrade> {
        let book = self.books.get(&instrument);
        book.into_iter().flat_map(|book| book.trades.iter().take(count)).copied().collect()
    }

    /// Trades of the instrument of which most are kept.
    pub(super) fn usage(&self) -> engine::Usage {
        let most = self.books.values().map(|book| book.trades.len()).max();
        engine::Usage::new("recent_trades", most.unwrap_or(0), RECENT_TRADES_MAX)
    }

    pub(super) fn apply(&mut self, frame: &Frame<Command>, events: &[Event]) {
        self.sequence = frame.sequence;
        for event in events {
            self.apply_event(event, frame.timestamp_ns);
        }
    }

    fn apply_event(&mut self, event: &Event, now_ns: u64) {
        match event {
            Event::OrderRested { order_id, instrument, side, price, visible, .. } => {
                let (instrument, visible) = (*instrument, *visible);
                let order = Resting { instrument, side: *side, price: *price, visible };
                self.rest(*order_id, order);
            }
            Event::IcebergRefreshed { order_id, visible } => self.show(*order_id, *visible),
            Event::Trade(trade) => {
                self.reduce(trade.maker_order_id, trade.quantity);
                let trades = &mut self.books.entry(trade.instrument).or_default().trades;
                trades.push_front(PublicTrade {
                    id: trade.trade_id,
                    price: trade.price,
                    quantity: trade.quantity,
                    is_buyer_maker: trade.taker_side == Side::Sell,
                    executed_ns: now_ns,
                });
                trades.truncate(RECENT_TRADES_MAX);
            }
            Event::SelfTradePrevented { mode, maker_order_id, maker_quantity, .. }
                if *mode == SelfTradePolicy::Decrement =>
            {
                self.reduce(*maker_order_id, *maker_quantity);
            }
            // A stop order that keeps its place while it waits is in no level.
            Event::OrderAmended { order_id, kept: true, visible, .. } => {
                self.show(*order_id, *visible);
            }
            Event::OrderAmended { order_id, kept: false, .. }
            | Event::OrderClosed { order_id, .. } => self.remove(*order_id),
            _ => {}
        }
    }

    /// Puts an order into its level.
    fn rest(&mut self, id: OrderId, order: Resting) {
        self.resting.insert(id, order);
        let level = self.level(&order);
        level.quantity += u128::from(order.visible.0);
        level.count += 1;
    }

    fn level(&mut self, order: &Resting) -> &mut Level {
        let book = self.books.entry(order.instrument).or_default();
        let levels = match order.side {
            Side::Buy => &mut book.bids,
            Side::Sell => &mut book.asks,
        };
        levels.entry(order.price).or_default()
    }

    fn reduce(&mut self, id: OrderId, by: Quantity) {
        if let Some(order) = self.resting.get(&id) {
            self.show(id, Quantity(order.visible.0 - by.0));
        }
    }

    /// Sets what a resting order shows.
    fn show(&mut self, id: OrderId, visible: Quantity) {
        let Some(order) = self.resting.get_mut(&id) else { return };
        let before = std::mem::replace(&mut order.visible, visible);
        let order = *order;
        let level = self.level(&order);
        level.quantity = level.quantity - u128::from(before.0) + u128::from(visible.0);
    }

    /// Takes an order out of its level; one that never rested is in none.
    fn remove(&mut self, id: OrderId) {
        let Some(order) = self.resting.remove(&id) else { return };
        let level = self.level(&order);
        level.quantity -= u128::from(order.visible.0);
        level.count -= 1;
        if level.count == 0 {
            assert_eq!(level.quantity, 0, "an empty level holds nothing");
            let book = self.books.entry(order.instrument).or_default();
            match order.side {
                Side::Buy => book.bids.remove(&order.price),
                Side::Sell => book.asks.remove(&order.price),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: InstrumentId = InstrumentId(1);

    fn apply(market: &mut Market, event: Event) {
        let frame = Frame { sequence: 1, timestamp_ns: 1, command: Command::Tick };
        market.apply(&frame, &[event]);
    }

    fn rest(market: &mut Market, id: u64, open: u64) {
        let (order_id, open) = (OrderId(id), Quantity(open));
        let (side, price) = (Side::Buy, Price(7));
        let rested =
            Event::OrderRested { order_id, instrument: BOOK, side, price, open, visible: open };
        apply(market, rested);
    }

    fn closed(id: u64) -> Event {
        Event::OrderClosed {
            order_id: OrderId(id),
            account: engine::AccountId(1),
            instrument: BOOK,
            reason: engine::CloseReason::UserCancel,
            filled: Quantity(0),
            open: Quantity(0),
            prevented: Quantity(0),
            released: 0,
        }
    }

    #[test]
    fn a_level_holds_more_than_any_one_order() {
        let mut market = Market::default();
        let volume = |market: &Market| market.depth(BOOK, 1).0[0].1.quantity;
        rest(&mut market, 1, u64::MAX);
        assert_eq!(volume(&market), u128::from(u64::MAX), "at the bound of one order");
        rest(&mut market, 2, 1);
        assert_eq!(volume(&market), 1 << 64, "one past it");
        for (id, left) in [(1, Some(1)), (2, None)] {
            apply(&mut market, closed(id));
            assert_eq!(market.depth(BOOK, 1).0.first().map(|(_, level)| level.quantity), left);
        }
    }
}
