//! Owns how much memory resting orders take: what the heap holds for an engine before and after
//! they rest. Knows nothing of the engine's structures: parts are told apart by what makes them
//! grow. Invariant: what is measured is checked to rest, all of it.

use anyhow::{Result, ensure};
use engine::{
    AccountId, ClientOrderId, Command, Engine, EngineOptions, Event, EventBuffer, Frame,
    InstrumentId, NewOrder, OrderId, Price, Quantity, Side, StateMachine,
};
use serde::Serialize;

use crate::heap;
use crate::workload::{client_order_id, stage};

const INSTRUMENT: InstrumentId = InstrumentId(1);
const ACCOUNTS: u32 = 64;
const MID: i64 = 50_000;
const RESTING_ORDERS: u32 = 1_000_000;
/// Levels that they rest in, both sides together: about those of the tape `deep`.
const LEVELS: u32 = 2_000;
/// Orders that come and go until the others count as old.
const YOUNGER_ORDERS: u32 = 1 << 20;

/// Bytes that the heap holds: as asked for, without what the allocator adds.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    resting_orders: u32,
    levels: u32,
    /// An engine without accounts and instruments: what it holds from the start.
    bytes_new: i64,
    /// Before the first order: 64 accounts, one instrument.
    bytes_empty: i64,
    /// With all orders resting. Lists have grown by doubling, so some of it is room for more.
    bytes_filled: i64,
    /// Of one order, in an engine that had room reserved for all and nothing to spare.
    bytes_per_reserved_order: f64,
    /// What one more level takes.
    bytes_per_level: f64,
    /// What an order takes besides once a million younger ones have come: its way from its id.
    bytes_per_old_order: f64,
    /// What a client order id takes besides, in a table that had no room reserved.
    bytes_per_client_order_id: f64,
}

/// Which orders rest.
#[derive(Clone, Copy)]
struct Fill {
    orders: u32,
    levels: u32,
    reserved: bool,
    client_order_ids: bool,
}

impl Memory {
    pub(crate) fn measured() -> Result<Self> {
        Self::of(RESTING_ORDERS, LEVELS, YOUNGER_ORDERS)
    }

    fn of(orders: u32, levels: u32, younger: u32) -> Result<Self> {
        let plain = Fill { orders, levels, reserved: false, client_order_ids: false };
        let two_levels = Fill { levels: 2, ..plain };
        let (mut grown, bytes_filled) = filled(plain)?;
        let (bytes_new, bytes_empty) = (grown.bytes_new, grown.bytes_empty);
        grown.outlive(younger)?;
        let old = grown.held() - bytes_filled;
        drop(grown);
        let growth = |fill| -> Result<i64> {
            let (filled, held) = filled(fill)?;
            Ok(held - filled.bytes_empty)
        };
        let own = bytes_filled - bytes_empty;
        let of_levels = own - growth(two_levels)?;
        // An engine with reserved memory has it before the first order.
        let (reserved, held) = filled(Fill { reserved: true, ..two_levels })?;
        let of_reserved = held - bytes_empty;
        drop(reserved);
        let with_ids = growth(Fill { client_order_ids: true, ..plain })?;
        Ok(Self {
            resting_orders: orders,
            levels,
            bytes_new,
            bytes_empty,
            bytes_filled,
            bytes_per_reserved_order: each(of_reserved, orders),
            bytes_per_level: each(of_levels, levels - 2),
            bytes_per_old_order: each(old, orders),
            bytes_per_client_order_id: each(with_ids - own, orders),
        })
    }

    pub(crate) fn bytes_per_resting_order(&self) -> f64 {
        each(self.bytes_filled - self.bytes_empty, self.resting_orders)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean for people to read")]
fn each(bytes: i64, count: u32) -> f64 {
    (bytes as f64 / f64::from(count.max(1)) * 10.0).round() / 10.0
}

/// An engine whose memory is watched.
struct Watched {
    engine: Engine,
    events: EventBuffer<Event>,
    /// Of the heap before there was an engine.
    outside: i64,
    bytes_new: i64,
    bytes_empty: i64,
}

/// An engine with these orders resting, and the bytes that it holds then.
fn filled(fill: Fill) -> Result<(Watched, i64)> {
    let mut watched = Watched::new(if fill.reserved { fill.orders as usize } else { 0 });
    for number in 0..fill.orders {
        watched.apply(order(fill, number));
    }
    let held = watched.held();
    let engine = &watched.engine;
    let resting = engine.live_orders();
    ensure!(resting == fill.orders, "{resting} of {} orders rest", fill.orders);
    let levels: usize =
        Side::ALL.iter().map(|side| engine.depth(INSTRUMENT, *side, usize::MAX).count()).sum();
    ensure!(levels == fill.levels as usize, "{levels} levels instead of {}", fill.levels);
    engine.assert_invariants();
    Ok((watched, held))
}

/// Orders go round over the levels, bids below the mid, asks above.
fn order(fill: Fill, number: u32) -> Command {
    let level = number % fill.levels;
    let away = i64::from(level / 2 + 1);
    let (side, price) = match level % 2 {
        0 => (Side::Buy, MID - away),
        _ => (Side::Sell, MID + away),
    };
    let account = AccountId(1 + number % ACCOUNTS);
    let limit = NewOrder::limit(account, INSTRUMENT, side, Quantity(10), Price(price));
    let client_order_id = if fill.client_order_ids {
        client_order_id("rest", number.into())
    } else {
        ClientOrderId::EMPTY
    };
    Command::NewOrder(NewOrder { client_order_id, ..limit })
}

impl Watched {
    fn new(expected_orders: usize) -> Self {
        let events = EventBuffer::with_capacity(64);
        let outside = heap::held();
        let engine = Engine::new(EngineOptions { expected_orders, ..EngineOptions::default() });
        let bytes_new = heap::held() - outside;
        let mut watched = Self { engine, events, outside, bytes_new, bytes_empty: 0 };
        for command in stage(1, ACCOUNTS) {
            watched.apply(command);
        }
        watched.bytes_empty = watched.held();
        watched
    }

    fn held(&self) -> i64 {
        heap::held() - self.outside
    }

    fn apply(&mut self, command: Command) {
        let sequence = self.engine.last_sequence() + 1;
        self.events.clear();
        self.engine.apply(&Frame { sequence, timestamp_ns: sequence, command }, &mut self.events);
    }

    /// Lets so many orders come and go. Each takes three ids, an odd number, so that the ids of
    /// orders have every remainder by a power of two.
    fn outlive(&mut self, younger: u32) -> Result<()> {
        let resting = self.engine.live_orders();
        let account = AccountId(1);
        let bid = NewOrder::limit(account, INSTRUMENT, Side::Buy, Quantity(10), Price(MID - 1));
        for _ in 0..younger {
            let order_id = OrderId(self.engine.last_sequence() + 1);
            self.apply(Command::NewOrder(bid));
            ensure!(self.engine.live_orders() == resting + 1, "a younger order does not rest");
            let client_order_id = ClientOrderId::EMPTY;
            self.apply(Command::CancelOrder { account, order_id, client_order_id });
            self.apply(Command::Tick);
        }
        ensure!(self.engine.live_orders() == resting, "an order did not come and go");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_order_is_measured() {
        let memory = Memory::of(4_000, 1_000, 0).unwrap();
        assert!(memory.bytes_new < memory.bytes_empty && memory.bytes_empty < memory.bytes_filled);
        // Price, quantity, owner and id of an order, and its place in a queue.
        assert!(memory.bytes_per_reserved_order > 32.0, "{memory:?}");
        assert!(memory.bytes_per_resting_order() > memory.bytes_per_reserved_order, "{memory:?}");
        assert!(memory.bytes_per_level > 16.0, "{memory:?}");
        assert!(memory.bytes_per_client_order_id > 8.0, "{memory:?}");
        assert!(memory.bytes_per_old_order.abs() < 0.1, "no order was outlived: {memory:?}");
    }

    #[test]
    fn orders_that_do_not_rest_where_they_should_are_noticed() {
        let fill = Fill { orders: 10, levels: 20, reserved: false, client_order_ids: false };
        assert!(filled(fill).is_err(), "ten orders make no twenty levels");
        assert!(filled(Fill { orders: 20, ..fill }).is_ok());
    }
}
