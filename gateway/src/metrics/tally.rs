//! Owns what was counted of trading since the journal began. Knows nothing of who reads it.
//! Invariant: a function of commands and events alone, so a restart that replays them counts the
//! same again; the publisher's thread alone writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::{CloseReason, Command, Engine, Event, Frame, InstrumentId, OrderId, RejectReason};
use parking_lot::Mutex;
use pipeline::Outlet;

use crate::convert;

/// What commands and orders came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Commands that were done as asked.
    pub(super) accepted: u64,
    pub(super) refused: BTreeMap<RejectReason, u64>,
    /// Accepted orders by the API's word for their type.
    pub(super) orders: BTreeMap<&'static str, u64>,
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
                    *self.orders.entry(convert::type_word(order.order_type)).or_default() += 1;
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

    /// Orders that were accepted and have not closed.
    pub(super) fn open(&self) -> u64 {
        let ended = self.closed.values().sum::<u64>() - self.given_up;
        self.orders.values().sum::<u64>().saturating_sub(ended)
    }
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
        None
    }

    fn publish(&mut self, _: &Frame<Command>, events: &[Event]) {
        self.0.0.lock().apply(events);
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
        let mut counts = Counts { orders: [("LIMIT", 2), ("STOP", 1)].into(), ..Counts::default() };
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
}
