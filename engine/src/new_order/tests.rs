//! What belongs here: orders with a latest moment, at it and past it, and what becomes of their
//! keys. Invariant: times are written out, so that each bound is seen.

use super::*;
use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::state_machine::{Frame, StateMachine};
use crate::types::{AccountId, AssetCode, AssetId, ClientOrderId, InstrumentId, Side};
use crate::{EngineOptions, Event};

const LATEST_NS: u64 = 5_000;
const BUYER: AccountId = AccountId(1);
const INSTRUMENT: InstrumentId = InstrumentId(1);

struct Desk {
    engine: Engine,
    events: Events,
}

impl Desk {
    /// One open instrument and a buyer with money, at time 0.
    fn open() -> Self {
        let mut desk =
            Self { engine: Engine::new(EngineOptions::default()), events: Events::default() };
        for (asset, code) in [(AssetId(1), "BTC"), (AssetId(2), "USDT")] {
            let code = AssetCode::new(code).unwrap();
            desk.send(0, Command::AddAsset { asset, code, scale: 8 });
        }
        let spec = InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2));
        desk.send(0, Command::AddInstrument(spec));
        let status = TradingStatus::Trading;
        desk.send(0, Command::SetTradingStatus { instrument: INSTRUMENT, status });
        desk.send(0, Command::RegisterAccount { uuid: 1, stp_group: 0 });
        let (transfer_id, asset) = (TransferId(1), AssetId(2));
        let amount = 1 << 60;
        desk.send(0, Command::Credit { transfer_id, account: BUYER, asset, amount });
        desk
    }

    fn send(&mut self, timestamp_ns: u64, command: Command) -> Event {
        let sequence = self.engine.last_sequence + 1;
        self.events.clear();
        self.engine.apply(&Frame { sequence, timestamp_ns, command }, &mut self.events);
        *self.events.as_slice().first().expect("an answer")
    }

    fn send_by(&mut self, timestamp_ns: u64, order: NewOrder, latest_ns: u64) -> Event {
        self.send(timestamp_ns, Command::NewOrderBy { order, latest_ns })
    }
}

fn order() -> NewOrder {
    let client_order_id = ClientOrderId::new(b"k").unwrap();
    let bid = NewOrder::limit(BUYER, INSTRUMENT, Side::Buy, Quantity(1), Price(100));
    NewOrder { client_order_id, ..bid }
}

fn late(order: &NewOrder) -> Event {
    refused(order, RejectReason::RecvWindow)
}

fn is_accepted(event: &Event) -> bool {
    matches!(event, Event::OrderAccepted(_))
}

#[test]
fn the_latest_moment_is_in_time_and_one_past_it_is_not() {
    let mut desk = Desk::open();
    assert_eq!(desk.send_by(LATEST_NS + 1, order(), LATEST_NS), late(&order()));
    assert_eq!((desk.engine.live_orders(), desk.engine.client_ids.len()), (0, 0));
    let mut desk = Desk::open();
    assert!(is_accepted(&desk.send_by(LATEST_NS, order(), LATEST_NS)));
}

/// The stamp of the frame is early enough; the time that the log has reached is not.
#[test]
fn engine_time_counts_and_not_the_stamp() {
    let mut desk = Desk::open();
    let status = TradingStatus::Trading;
    desk.send(LATEST_NS + 1, Command::SetTradingStatus { instrument: INSTRUMENT, status });
    assert_eq!(desk.send_by(LATEST_NS, order(), LATEST_NS), late(&order()));
}

#[test]
fn a_key_that_came_too_late_is_free_for_any_order() {
    let mut desk = Desk::open();
    assert_eq!(desk.send_by(6_000, order(), LATEST_NS), late(&order()));
    let other = NewOrder { price: Price(99), ..order() };
    assert!(is_accepted(&desk.send_by(6_000, other, 7_000)));
}

#[test]
fn the_window_is_no_part_of_the_order() {
    let mut desk = Desk::open();
    assert!(is_accepted(&desk.send_by(1_000, order(), LATEST_NS)));
    let first = OrderId(desk.engine.last_sequence);
    let again = Event::OrderDuplicate { account: BUYER, order_id: first, reason: None };
    assert_eq!(desk.send_by(2_000, order(), LATEST_NS), again);
    assert_eq!(desk.send_by(2_000, order(), u64::MAX), again);
    assert_eq!(desk.send(2_000, Command::NewOrder(order())), again);
    // Too late to be told, and the order lives on under its key.
    assert_eq!(desk.send_by(6_000, order(), LATEST_NS), late(&order()));
    assert_eq!(desk.send_by(6_000, order(), 6_000), again);
    assert_eq!(desk.engine.live_orders(), 1);
}

/// Everything is wrong with it, and only the time is told.
#[test]
fn nothing_else_of_a_late_order_is_looked_at() {
    let mut desk = Desk::open();
    let (account, instrument) = (AccountId(9), InstrumentId(9));
    let wrong = NewOrder { account, instrument, price: Price(-1), ..order() };
    assert_eq!(desk.send_by(6_000, wrong, LATEST_NS), late(&wrong));
    let reason = RejectReason::UnknownAccount;
    assert_eq!(desk.send_by(6_000, wrong, 6_000), refused(&wrong, reason));
}
