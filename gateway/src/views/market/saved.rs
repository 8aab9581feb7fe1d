//! Owns how market data is saved and restored. Knows nothing of the other models.
//! Invariant: a level is not saved, but is what the orders that rest at its price show.

use engine::codec::append as put;
use engine::limits::{INSTRUMENTS_MAX, LIVE_ORDERS_MAX};
use engine::{InstrumentId, OrderId, RestoreError, SnapshotReader};

use super::{Market, PublicTrade, Resting};
use crate::limits::RECENT_TRADES_MAX;
use crate::views::saved::ascending;

/// Of an order's id and where it rests.
const RESTING_BYTES: usize = 8 + 4 + 1 + 8 + 8;

impl Market {
    pub(in crate::views) fn save(&self, out: &mut Vec<u8>) {
        let Self { books, resting, sequence } = self;
        put(&(sequence, ascending(resting)), out);
        // A book without orders and trades shows what no book shows.
        let traded = ascending(books).into_iter().map(|(id, book)| (id, &book.trades));
        let traded: Vec<_> = traded.filter(|(_, trades)| !trades.is_empty()).collect();
        put(&traded, out);
    }

    pub(in crate::views) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut market = Self { sequence: from.read("sequence of the market")?, ..Self::default() };
        let mut previous = OrderId(0);
        let count = from.count_of("resting orders", LIVE_ORDERS_MAX as usize, RESTING_BYTES)?;
        market.resting.reserve(count);
        for _ in 0..count {
            let (id, order): (OrderId, Resting) = from.read("resting order")?;
            from.check(id > previous, "order of resting orders")?;
            market.rest(id, order);
            previous = id;
        }
        let mut previous = None;
        for _ in 0..from.count("traded instruments", INSTRUMENTS_MAX)? {
            let instrument: InstrumentId = from.read("traded instrument")?;
            from.check(previous < Some(instrument), "order of traded instruments")?;
            let trades: Vec<PublicTrade> =
                from.list("trades of an instrument", RECENT_TRADES_MAX)?;
            let descends = trades.is_sorted_by(|newer, older| newer.id > older.id);
            from.check(descends && !trades.is_empty(), "order of trades")?;
            market.books.entry(instrument).or_default().trades = trades.into();
            previous = Some(instrument);
        }
        Ok(market)
    }
}

#[cfg(test)]
mod tests {
    use engine::{Price, Quantity, TradeId};

    use super::*;

    #[test]
    fn no_more_trades_of_an_instrument_are_restored_than_are_kept() {
        let restored = |count: usize| {
            let trade = |id: usize| PublicTrade {
                id: TradeId(id as u64),
                price: Price(1),
                quantity: Quantity(1),
                is_buyer_maker: true,
                executed_ns: 1,
            };
            let mut market = Market::default();
            let book = market.books.entry(InstrumentId(1)).or_default();
            book.trades = (1..=count).rev().map(trade).collect();
            let mut bytes = Vec::new();
            market.save(&mut bytes);
            Market::restored(&mut SnapshotReader::new(&bytes))
        };
        let market = restored(RECENT_TRADES_MAX).unwrap();
        let trades = market.trades(InstrumentId(1), RECENT_TRADES_MAX + 1);
        assert_eq!((trades.len(), trades[0].id.0), (RECENT_TRADES_MAX, RECENT_TRADES_MAX as u64));
        assert!(restored(RECENT_TRADES_MAX + 1).is_err(), "one past the bound");
    }
}
