//! Owns what was counted of trading since the journal began. Knows nothing of who reads it.
//! Invariant: a function of commands and events alone, so a restart that replays them counts the
//! same again; the publisher's thread alone writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::codec::append as put;
use engine::limits::{INSTRUMENTS_MAX, ORDER_INTENTS_MAX};
use engine::{
    CloseReason, Command, Engine, Event, Frame, InstrumentId, OrderId, OrderType, RejectReason,
    RestoreError, SnapshotReader,
};
use parking_lot::Mutex;
use pipeline::Outlet;

use crate::convert;

/// Version of the encoding in a snapshot.
const FORMAT: u16 = 1;

/// What commands and orders came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Commands that were done as asked.
    pub(super) accepted: u64,
    pub(super) refused: BTreeMap<RejectReason, u64>,
    /// Accepted orders.
    orders: BTreeMap<OrderType, u64>,
    pub(super) closed: BTreeMap<CloseReason, u64>,
    pub(super) trades: BTreeMap<InstrumentId, u64>,
    /// Orders that wait for their funds: not accepted yet.
    waiting: BTreeSet<OrderId>,
    /// Closed while they waited, and so never accepted.
    given_up: u64,
}

impl Counts {
    fn apply(&mut self, events: &[Event]) {
        // The tick that nothing came of, and what a process says of itself when it starts.
        if events.is_empty() {
            return;
        }
        let mut refused = false;
        for event in events {
            match event {
                Event::CommandRejected { reason, .. } => {
                    refused = true;
                    *self.refused.entry(*reason).or_default() += 1;
                }
                Event::OrderReserving { order_id, .. } => {
                    self.waiting.insert(*order_id);
                }
                Event::FundsReturned { order_id, .. } => {
                    self.waiting.remove(order_id);
                }
                Event::OrderAccepted(order) => {
                    self.waiting.remove(&order.order_id);
                    *self.orders.entry(order.order_type).or_default() += 1;
                }
                Event::OrderClosed { order_id, reason, .. } => {
                    *self.closed.entry(*reason).or_default() += 1;
                    self.given_up += u64::from(self.waiting.contains(order_id));
                }
                Event::Trade(trade) => *self.trades.entry(trade.instrument).or_default() += 1,
                _ => {}
            }
        }
        self.accepted += u64::from(!refused);
    }

    /// Accepted orders by the API's word for their type.
    pub(super) fn orders(&self) -> BTreeMap<&'static str, u64> {
        let mut by_word = BTreeMap::new();
        for (order_type, count) in &self.orders {
            *by_word.entry(convert::type_word(*order_type)).or_default() += count;
        }
        by_word
    }

    /// Orders that were accepted and have not closed.
    pub(super) fn open(&self) -> u64 {
        let ended = self.closed.values().sum::<u64>() - self.given_up;
        self.orders.values().sum::<u64>().saturating_sub(ended)
    }

    fn save(&self, out: &mut Vec<u8>) {
        let Self { accepted, refused, orders, closed, trades, waiting, given_up } = self;
        put(&(FORMAT, accepted, given_up), out);
        put(&(refused, orders, closed, trades, waiting), out);
    }

    fn restored(bytes: &[u8]) -> Result<Self, RestoreError> {
        let from = &mut SnapshotReader::new(bytes);
        let (format, accepted, given_up): (u16, u64, u64) = from.read("format")?;
        from.check(format == FORMAT, "format")?;
        let refused = from.map("refusals", RejectReason::ALL.len())?;
        let orders = from.map("accepted orders", OrderType::ALL.len())?;
        let closed = from.map("closed orders", CloseReason::ALL.len())?;
        from.check(sum(&orders).is_some(), "accepted orders")?;
        from.check(sum(&closed).is_some_and(|closed| given_up <= closed), "closed orders")?;
        let trades = from.map("trades", INSTRUMENTS_MAX)?;
        let waiting = from.map("waiting orders", ORDER_INTENTS_MAX)?;
        let waiting = waiting.into_iter().map(|(id, ())| id).collect();
        from.finish()?;
        Ok(Self { accepted, refused, orders, closed, trades, waiting, given_up })
    }
}

/// `None` if it is more than a counter holds.
fn sum<K>(counts: &BTreeMap<K, u64>) -> Option<u64> {
    counts.values().try_fold(0, |sum: u64, count| sum.checked_add(*count))
}

/// Shared by the publisher, which counts, and the scrape, which copies.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

impl Tally {
    pub(super) fn counts(&self) -> Counts {
        self.0.lock().clone()
    }
}

/// The publisher's end of a [`Tally`].
#[derive(Debug)]
pub struct TallyFeed(pub Arc<Tally>);

impl Outlet<Engine> for TallyFeed {
    fn section(&self) -> Option<&'static str> {
        Some("tally")
    }

    fn publish(&mut self, _: &Frame<Command>, events: &[Event]) {
        self.0.0.lock().apply(events);
    }

    fn save(&self, out: &mut Vec<u8>) {
        self.0.0.lock().save(out);
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self.0.0.lock() = Counts::restored(bytes)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use engine::{AccountId, AssetId, ClientOrderId, Quantity, Side};

    use super::*;

    #[test]
    fn commands_are_accepted_or_refused_and_closed_orders_are_not_open() {
        let rejected = Event::CommandRejected {
            reason: RejectReason::BookFull,
            account: AccountId(1),
            instrument: InstrumentId(1),
            target: OrderId(0),
        };
        let closed = Event::OrderClosed {
            order_id: OrderId(1),
            account: AccountId(1),
            instrument: InstrumentId(1),
            reason: CloseReason::Expired,
            filled: Quantity(0),
            open: Quantity(1),
            prevented: Quantity(0),
            released: 0,
        };
        let orders = [(OrderType::Limit, 2), (OrderType::Stop, 1)].into();
        let mut counts = Counts { orders, ..Counts::default() };
        counts.apply(&[]);
        counts.apply(&[closed]);
        counts.apply(&[closed, rejected]);
        counts.apply(&[rejected]);
        assert_eq!((counts.accepted, counts.open()), (1, 1));
        assert_eq!(counts.refused[&RejectReason::BookFull], 2);
        assert_eq!(counts.closed[&CloseReason::Expired], 2);
        let waits = Event::OrderReserving {
            order_id: OrderId(1),
            account: AccountId(1),
            instrument: InstrumentId(1),
            side: Side::Buy,
            asset: AssetId(1),
            amount: 1,
            client_order_id: ClientOrderId::EMPTY,
        };
        counts.apply(&[waits]);
        counts.apply(&[closed]);
        assert_eq!(counts.open(), 1, "it was never one of the accepted");
        assert_eq!(counts.closed[&CloseReason::Expired], 3);
    }

    fn full() -> Counts {
        Counts {
            accepted: 7,
            refused: [(RejectReason::BookFull, 2), (RejectReason::PriceBand, 1)].into(),
            orders: [(OrderType::Stop, 4), (OrderType::StopLimit, 1)].into(),
            closed: [(CloseReason::Filled, 3), (CloseReason::Expired, 1)].into(),
            trades: [(InstrumentId(1), 9), (InstrumentId(2), 1)].into(),
            waiting: [OrderId(3), OrderId(8)].into(),
            given_up: 1,
        }
    }

    fn saved(counts: &Counts) -> Vec<u8> {
        let mut bytes = Vec::new();
        counts.save(&mut bytes);
        bytes
    }

    #[test]
    fn two_types_of_one_word_are_counted_together() {
        assert_eq!(full().orders(), [("STOP", 5)].into());
    }

    #[test]
    fn what_was_counted_is_restored_in_place() {
        let tally = Arc::new(Tally::default());
        TallyFeed(Arc::clone(&tally)).restore(&saved(&full())).unwrap();
        assert_eq!(tally.counts(), full());
        for counts in [Counts::default(), full()] {
            assert_eq!(Counts::restored(&saved(&counts)), Ok(counts));
        }
    }

    #[test]
    fn what_nothing_comes_to_is_refused() {
        let bytes = saved(&full());
        for len in 0..bytes.len() {
            assert!(Counts::restored(&bytes[..len]).is_err(), "{len} bytes");
        }
        for place in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            if let Ok(counts) = Counts::restored(&flipped) {
                assert_eq!(saved(&counts), flipped, "bit {place}");
                assert!(counts.open() <= counts.orders.values().sum(), "what is open can be told");
            }
        }
        let closed = full().closed.values().sum();
        let given_up = |given_up| Counts::restored(&saved(&Counts { given_up, ..full() }));
        assert!(given_up(closed).is_ok(), "at the bound");
        assert!(given_up(closed + 1).is_err(), "one past it");
        let waiting = |count: usize| {
            let waiting = (1..=count as u64).map(OrderId).collect();
            Counts::restored(&saved(&Counts { waiting, ..full() }))
        };
        assert!(waiting(ORDER_INTENTS_MAX).is_ok(), "at the bound");
        assert!(waiting(ORDER_INTENTS_MAX + 1).is_err(), "one past it");
    }
}
