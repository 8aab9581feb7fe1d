//! Tests of which orders are kept and which are forgotten.

use engine::{CloseReason, InstrumentId, NewOrder, Price, Quantity, RejectReason, Side};

use super::*;

fn refused(sequence: u64, client_id: &str) -> (Frame<Command>, [Event; 1]) {
    let mut order =
        NewOrder::limit(AccountId(1), InstrumentId(1), Side::Buy, Quantity(1), Price(1));
    if !client_id.is_empty() {
        order.client_order_id = ClientOrderId::new(client_id.as_bytes()).unwrap();
    }
    let event = Event::CommandRejected {
        reason: RejectReason::InsufficientBalance,
        account: AccountId(1),
        instrument: InstrumentId(1),
        target: OrderId(0),
    };
    let command = Command::NewOrder(order);
    (Frame { sequence, timestamp_ns: sequence, command }, [event])
}

fn bounded() -> Orders {
    let bounds = |per_account| HistoryBounds { all: 4, per_account };
    Orders::with_bounds(bounds(3), bounds(2))
}

/// Adds an order that has closed at once.
fn close(orders: &mut Orders, sequence: u64) {
    let (frame, events) = refused(sequence, "");
    let Command::NewOrder(order) = &frame.command else { unreachable!("a new order") };
    let mut record = OrderRecord::placed(&frame, order, &events).unwrap();
    record.state.ended = Some(Ended::Closed(CloseReason::UserCancel));
    orders.insert(record);
}

#[test]
fn refused_orders_crowd_out_no_closed_one() {
    let mut orders = bounded();
    close(&mut orders, 1);
    for sequence in 2..=9 {
        let (frame, events) = refused(sequence, "");
        orders.apply(&frame, &events);
    }
    assert!(orders.get(OrderId(1)).is_some());
    for sequence in 10..=11 {
        close(&mut orders, sequence);
    }
    assert!(orders.get(OrderId(1)).is_some(), "at the account's bound");
    close(&mut orders, 12);
    assert!(orders.get(OrderId(1)).is_none(), "one past it");
    assert_eq!((orders.live(), orders.by_id.len()), (0, 3 + 2));
}

#[test]
fn refused_orders_are_bounded_and_the_oldest_goes_first() {
    let mut orders = bounded();
    for (sequence, key) in [(1, "a"), (2, "b")] {
        let (frame, events) = refused(sequence, key);
        orders.apply(&frame, &events);
    }
    assert!(orders.get(OrderId(1)).is_some(), "at the bound");
    let (frame, events) = refused(3, "c");
    orders.apply(&frame, &events);
    assert!(orders.get(OrderId(1)).is_none(), "one past it");
    assert!(orders.by_client_id(AccountId(1), ClientOrderId::new(b"a").unwrap()).is_none());
    let newest: Vec<_> =
        orders.newest_first(AccountId(1), OrderId(u64::MAX)).map(|o| o.id.0).collect();
    assert_eq!(newest, [3, 2]);
    assert_eq!((orders.live(), orders.sequence()), (0, 3));
}

#[test]
fn a_conflicting_key_makes_no_order() {
    let (frame, mut events) = refused(1, "a");
    if let Event::CommandRejected { reason, .. } = &mut events[0] {
        *reason = RejectReason::IdempotencyConflict;
    }
    let mut orders = Orders::default();
    orders.apply(&frame, &events);
    assert!(orders.get(OrderId(1)).is_none());
}
