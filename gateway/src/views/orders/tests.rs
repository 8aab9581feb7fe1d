//! Tests of which orders are kept and which are forgotten.

use engine::{
    CloseReason, InstrumentId, NewOrder, Price, Quantity, RejectReason, Side, SnapshotReader,
};

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

#[test]
fn as_many_ended_orders_are_restored_as_are_kept() {
    let mut orders = bounded();
    for sequence in 1..=3 {
        close(&mut orders, sequence);
    }
    orders.sequence = 3;
    let mut bytes = Vec::new();
    orders.save(&mut bytes);
    let restored = |all, per_account| {
        let bounds = HistoryBounds { all, per_account };
        Orders::with_bounds(bounds, bounds).filled(&mut SnapshotReader::new(&bytes))
    };
    let mut same = restored(3, 3).unwrap();
    assert_eq!(same.closed.ids().map(|id| id.0).collect::<Vec<_>>(), [1, 2, 3], "at the bounds");
    close(&mut same, 4);
    assert!(same.get(OrderId(1)).is_none(), "the one that ended first is forgotten first");
    assert!(restored(2, 3).is_err(), "one past the bound of all");
    assert!(restored(3, 2).is_err(), "one past the account's");
}

/// A key that was given back and taken again names the newer order, or none once that is forgotten.
#[test]
fn what_a_client_order_id_names_is_restored_as_it_was() {
    let mut orders = bounded();
    for sequence in 1..=2 {
        let (frame, events) = refused(sequence, "a");
        orders.apply(&frame, &events);
    }
    let key = ClientOrderId::new(b"a").unwrap();
    let restored = |orders: &Orders| {
        let mut bytes = Vec::new();
        orders.save(&mut bytes);
        bounded().filled(&mut SnapshotReader::new(&bytes)).unwrap()
    };
    let named = |orders: &Orders| orders.by_client_id(AccountId(1), key).map(|order| order.id.0);
    assert_eq!((named(&orders), named(&restored(&orders))), (Some(2), Some(2)));
    orders.by_client_id.clear();
    assert_eq!(named(&restored(&orders)), None);
}
