//! What belongs here: orders whose funds are reserved elsewhere before they trade. However one
//! ends, what was reserved is what its trades took plus what goes back, it is told once, and none
//! of the money stays with the account.

use engine::event::TransferKind;
use engine::{
    AmendOrder, Amount, AssetId, ClientOrderId, CloseReason, Command, Event, InstrumentId,
    InstrumentSpec, NewOrder, OrderId, Price, Quantity, RejectReason, SelfTradePolicy, Side,
    StateMachine, TimeInForce, TradeId, TradingStatus, TransferId,
};
use tests::exchange::Exchange;
use tests::random::Random;

use super::desk::{
    BTC, BUYER, Desk, INSTRUMENT, SELLER, USDT, buy, price, quantity, sell, spec, units,
};

impl Desk {
    /// Announces an order; gives its id and the amount to reserve.
    fn announce(&mut self, order: NewOrder) -> (OrderId, Amount) {
        let events = self.send(Command::ReserveOrder(order));
        let [Event::OrderReserving { order_id, amount, .. }] = events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(order_id, OrderId(self.sequence));
        (order_id, amount)
    }

    fn place_reserved(&mut self, order_id: OrderId) -> Vec<Event> {
        self.send(Command::PlaceReserved { order_id })
    }

    /// Announces an order and places it.
    fn fund(&mut self, order: NewOrder) -> (OrderId, Vec<Event>) {
        let (id, _) = self.announce(order);
        let events = self.place_reserved(id);
        assert!(matches!(events[1], Event::OrderAccepted(_)), "{events:?}");
        (id, events)
    }

    fn amend(&mut self, order_id: OrderId, new_price: Price, quantity: Quantity) -> Vec<Event> {
        self.send(Command::AmendOrder(AmendOrder {
            account: BUYER,
            order_id,
            new_price,
            new_quantity: quantity,
            new_trigger: Price(0),
        }))
    }

    /// Nobody has anything, and all that is left of the supply is the fees.
    fn is_empty(&self) {
        for account in [BUYER, SELLER] {
            for asset in [BTC, USDT] {
                assert_eq!(self.fast.balance(account, asset), (0, 0), "{asset} of {account}");
            }
        }
        let (fees, supply) = self.fast.fees_and_supply(USDT);
        assert_eq!((supply, self.fast.fees_and_supply(BTC)), (fees, (0, 0)));
        assert_eq!(self.fast.intents(), []);
        self.adds_up();
    }
}

/// Reserved, captured and returned of every order that ended here.
fn ends(events: &[Event]) -> Vec<(OrderId, [Amount; 3])> {
    let end = |event: &Event| match *event {
        Event::FundsReturned { order_id, reserved, captured, returned, .. } => {
            assert_eq!(reserved, captured + returned, "order {order_id}");
            Some((order_id, [reserved, captured, returned]))
        }
        _ => None,
    };
    events.iter().filter_map(end).collect()
}

/// Id, kind, asset and amount of every movement of money.
fn movements(events: &[Event]) -> Vec<(TransferId, TransferKind, AssetId, Amount)> {
    let movement = |event: &Event| match *event {
        Event::TransferApplied { transfer_id, kind, asset, amount, .. } => {
            Some((transfer_id, kind, asset, amount))
        }
        _ => None,
    };
    events.iter().filter_map(movement).collect()
}

fn refusal(events: &[Event]) -> Option<(RejectReason, OrderId)> {
    match events.first() {
        Some(Event::CommandRejected { reason, target, .. }) => Some((*reason, *target)),
        _ => None,
    }
}

fn keyed(order: NewOrder, key: &str) -> NewOrder {
    let client_order_id = ClientOrderId::new(key.as_bytes()).expect("a short key");
    NewOrder { client_order_id, ..order }
}

fn ioc(order: NewOrder) -> NewOrder {
    NewOrder { time_in_force: TimeInForce::Ioc, ..order }
}

#[test]
fn funded_order_returns_exactly_the_rest() {
    let mut desk = Desk::open();
    let (ask, amount) = desk.announce(sell("1.5", "49900"));
    assert_eq!(amount, units("1.5"));
    desk.owns(SELLER, BTC, "0", "0");
    desk.place_reserved(ask);
    desk.owns(SELLER, BTC, "0", "1.5");

    let (bid, amount) = desk.announce(buy("1.5", "50000"));
    assert_eq!(amount, units("75150"));
    let events = desk.place_reserved(bid);
    let Event::OrderAccepted(accepted) = events[1] else { panic!("{events:?}") };
    assert_eq!((accepted.order_id, accepted.hold), (bid, units("75150")));
    let Event::Trade(trade) = events[2] else { panic!("{events:?}") };
    assert_eq!((trade.taker_order_id, trade.buyer_released), (bid, 0));
    let first = TradeId(1);
    assert_eq!(
        movements(&events),
        [
            (TransferId::of_funds(bid), TransferKind::FundedOrder, USDT, units("75150")),
            (TransferId::of_proceeds(first, Side::Buy), TransferKind::Proceeds, BTC, units("1.5")),
            (
                TransferId::of_proceeds(first, Side::Sell),
                TransferKind::Proceeds,
                USDT,
                units("74775.15")
            ),
            (TransferId::of_return(bid), TransferKind::FundsReturned, USDT, units("150.30")),
        ]
    );
    let sold = [units("1.5"), units("1.5"), 0];
    let bought = [units("75150"), units("74999.70"), units("150.30")];
    assert_eq!(ends(&events), [(ask, sold), (bid, bought)]);
    desk.is_empty();
    desk.closes("224.55");
}

#[test]
fn an_order_that_cannot_be_placed_any_more_gets_nothing() {
    let halt = Command::SetTradingStatus { instrument: INSTRUMENT, status: TradingStatus::Halted };
    let narrow = InstrumentSpec { price_band_bps: 1, reference_price: price("40000"), ..spec() };
    let few = InstrumentSpec { max_open_orders: 1, ..spec() };
    let low = InstrumentSpec { max_price: price("1000"), ..spec() };
    let ask = Command::NewOrder(sell("1", "50000"));
    let bid = buy("1", "50000");
    let all_or_nothing = NewOrder { time_in_force: TimeInForce::Fok, ..bid };
    let market = NewOrder::market(BUYER, INSTRUMENT, Side::Buy, quantity("1"));
    let no_asks = Command::MassCancel { account: SELLER, instrument: INSTRUMENT, side: None };
    let update = Command::UpdateInstrument;
    for (before, order, meanwhile, reason) in [
        (None, bid, vec![halt], RejectReason::TradingHalted),
        (None, bid, vec![update(narrow)], RejectReason::PriceBand),
        (None, bid, vec![update(low)], RejectReason::InvalidPrice),
        (None, NewOrder { post_only: true, ..bid }, vec![ask], RejectReason::PostOnlyWouldCross),
        (Some(ask), all_or_nothing, vec![no_asks], RejectReason::FokUnfillable),
        (Some(ask), market, vec![no_asks], RejectReason::NoLiquidity),
        (
            None,
            bid,
            vec![update(few), Command::NewOrder(buy("0.1", "1"))],
            RejectReason::TooManyOpenOrders,
        ),
    ] {
        let mut desk = Desk::open();
        desk.deposit(BUYER, USDT, "1");
        desk.deposit(SELLER, BTC, "1");
        before.map(|command| desk.send(command));
        let order = keyed(order, "key");
        let (id, amount) = desk.announce(order);
        for command in meanwhile {
            assert_eq!(refusal(&desk.send(command)), None, "{command:?}");
        }
        let events = desk.place_reserved(id);
        assert_eq!(refusal(&events), Some((reason, id)));
        assert_eq!(ends(&events), [(id, [amount, 0, amount])]);
        assert_eq!(events.len(), 2, "no money moved: {events:?}");
        desk.adds_up();
        let again = desk.place_reserved(id);
        assert_eq!(refusal(&again), Some((RejectReason::UnknownOrder, id)));
        let repeated = desk.send(Command::ReserveOrder(order));
        let reason = Some(reason);
        assert_eq!(repeated, [Event::OrderDuplicate { account: BUYER, order_id: id, reason }]);
    }
}

#[test]
fn an_abandoned_order_is_never_placed() {
    let mut desk = Desk::open();
    let order = keyed(buy("1.5", "50000"), "key");
    let (order_id, amount) = desk.announce(order);
    let reason = RejectReason::InsufficientBalance;
    let abandon = Command::AbandonReserved { order_id, reason };
    let events = desk.send(abandon);
    let (account, instrument) = (BUYER, INSTRUMENT);
    assert_eq!(events[0], Event::OrderAbandoned { order_id, account, instrument, reason });
    assert_eq!(ends(&events), [(order_id, [amount, 0, amount])]);
    assert_eq!(events.len(), 2);
    let unknown = Some((RejectReason::UnknownOrder, order_id));
    for _ in 0..2 {
        assert_eq!(refusal(&desk.place_reserved(order_id)), unknown);
        assert_eq!(refusal(&desk.send(abandon)), unknown);
    }
    let repeated = desk.send(Command::ReserveOrder(order));
    let reason = Some(reason);
    assert_eq!(repeated, [Event::OrderDuplicate { account, order_id, reason }]);
    desk.is_empty();
}

/// Nobody has decided: whoever asks again means the same order, and gets another try.
#[test]
fn an_order_that_was_given_up_without_an_answer_leaves_its_key() {
    for reason in [RejectReason::FundsUnavailable, RejectReason::FundsDegraded] {
        let mut desk = Desk::open();
        let order = keyed(buy("1.5", "50000"), "key");
        let (order_id, _) = desk.announce(order);
        desk.send(Command::AbandonReserved { order_id, reason });
        let (second, _) = desk.announce(order);
        assert_ne!(second, order_id);
        desk.place_reserved(second);
        let repeated = desk.send(Command::ReserveOrder(order));
        let placed = Event::OrderDuplicate { account: BUYER, order_id: second, reason: None };
        assert_eq!(repeated, [placed]);
        let unknown = Some((RejectReason::UnknownOrder, order_id));
        assert_eq!(refusal(&desk.place_reserved(order_id)), unknown);
    }
}

/// Its owner has changed his mind while the money was asked for.
#[test]
fn an_announced_order_can_be_cancelled_and_is_then_never_placed() {
    let cancel_all = |instrument, side| Command::MassCancel { account: BUYER, instrument, side };
    let cancel = |order_id| Command::CancelOrder {
        account: BUYER,
        order_id,
        client_order_id: ClientOrderId::EMPTY,
    };
    let by_key = Command::CancelOrder {
        account: BUYER,
        order_id: OrderId(0),
        client_order_id: ClientOrderId::new(b"key").unwrap(),
    };
    for (way, reason) in [
        (None, CloseReason::UserCancel),
        (Some(by_key), CloseReason::UserCancel),
        (Some(cancel_all(INSTRUMENT, None)), CloseReason::MassCancel),
        (Some(cancel_all(InstrumentId(0), Some(Side::Buy))), CloseReason::MassCancel),
    ] {
        let mut desk = Desk::open();
        let order = keyed(buy("1.5", "50000"), "key");
        let (order_id, amount) = desk.announce(order);
        let sells = desk.send(cancel_all(INSTRUMENT, Some(Side::Sell)));
        assert!(ends(&sells).is_empty(), "the other side");
        let events = desk.send(way.unwrap_or_else(|| cancel(order_id)));
        let Event::OrderClosed { reason: why, released: 0, .. } = events[0] else {
            panic!("{events:?}")
        };
        assert_eq!(why, reason);
        assert_eq!(ends(&events), [(order_id, [amount, 0, amount])]);
        let unknown = Some((RejectReason::UnknownOrder, order_id));
        assert_eq!(refusal(&desk.place_reserved(order_id)), unknown);
        let repeated = desk.send(Command::ReserveOrder(order));
        assert_eq!(repeated, [Event::OrderDuplicate { account: BUYER, order_id, reason: None }]);
        desk.is_empty();
    }
}

#[test]
fn a_placed_order_is_neither_placed_again_nor_abandoned() {
    let mut desk = Desk::open();
    let (order_id, amount) = desk.announce(buy("1.5", "50000"));
    desk.place_reserved(order_id);
    let unknown = Some((RejectReason::UnknownOrder, order_id));
    assert_eq!(refusal(&desk.place_reserved(order_id)), unknown);
    let reason = RejectReason::KillSwitch;
    assert_eq!(refusal(&desk.send(Command::AbandonReserved { order_id, reason })), unknown);
    desk.owns(BUYER, USDT, "0", "75150");
    assert_eq!(ends(&desk.cancel(BUYER, order_id)), [(order_id, [amount, 0, amount])]);
    desk.is_empty();
}

#[test]
fn a_hundred_equal_requests_make_one_order() {
    let mut desk = Desk::open();
    let order = keyed(buy("1.5", "50000"), "key");
    let (order_id, _) = desk.announce(order);
    let duplicate = [Event::OrderDuplicate { account: BUYER, order_id, reason: None }];
    for _ in 1..100 {
        assert_eq!(desk.send(Command::ReserveOrder(order)), duplicate);
    }
    assert_eq!(desk.fast.intents(), [order_id]);
    // The same request counts however the venue funds its orders; another body does not.
    assert_eq!(desk.send(Command::NewOrder(order)), duplicate);
    let other = NewOrder { price: price("50000.01"), ..order };
    let conflict = desk.send(Command::ReserveOrder(other));
    assert_eq!(refusal(&conflict), Some((RejectReason::IdempotencyConflict, OrderId(0))));
    desk.place_reserved(order_id);
    assert_eq!(desk.send(Command::ReserveOrder(order)), duplicate);
    desk.cancel(BUYER, order_id);
    assert_eq!(desk.send(Command::ReserveOrder(order)), duplicate);
    desk.is_empty();
}

#[test]
fn a_thousand_fills_take_and_return_all_that_was_reserved() {
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut desk = Desk::open();
        desk.deposit(SELLER, BTC, "2");
        for _ in 0..1_000 {
            let lots = Quantity(1 + random.below(1_500));
            let ticks = Price(random.between(1, price("49999.99").0));
            let ask = NewOrder { quantity: lots, price: ticks, ..sell("1", "1") };
            if random.chance(50) {
                desk.fund(ask);
            } else {
                desk.place(ask);
            }
        }
        let (bid, mut events) = desk.fund(buy("2", "50000"));
        let Event::OrderAccepted(accepted) = events[1] else { panic!("{events:?}") };
        let held = desk.fast.balance(BUYER, USDT);
        events.extend(desk.cancel(BUYER, bid));
        let (mut paid, mut fills) = (0, 0);
        for event in &events {
            if let Event::Trade(trade) = event {
                paid += trade.quote + u128::try_from(trade.taker_fee).expect("no rebate");
                assert_eq!(trade.buyer_released, 0, "nothing comes back before the end");
                fills += 1;
            }
        }
        let returned = accepted.hold - paid;
        assert_eq!((fills, held), (1_000, (0, returned)));
        let ends = ends(&events);
        assert!(ends.len() > 400, "about half of the asks are funded too");
        assert_eq!(ends.last(), Some(&(bid, [accepted.hold, paid, returned])));
        assert_eq!(desk.fast.balance(BUYER, USDT), (0, 0));
        assert_eq!(desk.fast.balance(BUYER, BTC), (0, 0), "proceeds have left");
        desk.adds_up();
    }
}

#[test]
fn every_end_returns_the_rest() {
    let market = NewOrder::market(BUYER, INSTRUMENT, Side::Buy, quantity("1"));
    let budget = NewOrder { quantity: Quantity(0), quote_budget: units("1000"), ..market };
    let user = |order_id| Command::CancelOrder {
        account: BUYER,
        order_id,
        client_order_id: ClientOrderId::EMPTY,
    };
    let mass =
        |_| Command::MassCancel { account: BUYER, instrument: INSTRUMENT, side: Some(Side::Buy) };
    let amend = |order_id| {
        Command::AmendOrder(AmendOrder {
            account: BUYER,
            order_id,
            new_price: Price(0),
            new_quantity: quantity("0.5"),
            new_trigger: Price(0),
        })
    };
    let nothing = |_| Command::Tick;
    let plain = buy("1", "50000");
    type Then = fn(OrderId) -> Command;
    // Against an ask of 0.5 at 49,900: 24,950 and a fee of 49.90.
    let half = "24999.90";
    let cases: [(NewOrder, Then, CloseReason, &str, &str); 7] = [
        (plain, user, CloseReason::UserCancel, "50100", half),
        (plain, mass, CloseReason::MassCancel, "50100", half),
        (plain, amend, CloseReason::AmendedAway, "50100", half),
        (ioc(plain), nothing, CloseReason::IocRemainder, "50100", half),
        (market, nothing, CloseReason::NoLiquidity, "54999.78", half),
        (budget, nothing, CloseReason::BudgetSpent, "1000", "999.996"),
        (buy("0.5", "50000"), nothing, CloseReason::Filled, "25050", half),
    ];
    for (order, then, reason, reserved, captured) in cases {
        let mut desk = Desk::open();
        desk.fund(sell("0.5", "49900"));
        let (id, mut events) = desk.fund(order);
        events.extend(desk.send(then(id)));
        let closed =
            |e: &&Event| matches!(e, Event::OrderClosed { order_id, .. } if *order_id == id);
        let Some(Event::OrderClosed { reason: why, .. }) = events.iter().find(closed) else {
            panic!("{events:?}")
        };
        assert_eq!(*why, reason);
        let ends: Vec<_> = ends(&events).into_iter().filter(|end| end.0 == id).collect();
        let (reserved, captured) = (units(reserved), units(captured));
        assert_eq!(ends, [(id, [reserved, captured, reserved - captured])], "{reason:?}");
        assert_eq!(desk.fast.balance(BUYER, USDT), (0, 0));
        assert_eq!(desk.fast.balance(BUYER, BTC), (0, 0));
        desk.adds_up();
    }
}

/// What is prevented sets nothing free: all that is left goes back at the end, whoever shrank whom.
#[test]
fn a_funded_order_that_shrinks_keeps_its_funds_to_the_end() {
    let decrement = |order| NewOrder { self_trade_policy: SelfTradePolicy::Decrement, ..order };
    let own_sell = NewOrder { account: BUYER, ..decrement(sell("0.4", "50000")) };
    let prevented = |events: &[Event]| {
        events.iter().find_map(|event| match *event {
            Event::SelfTradePrevented { maker_released, taker_released, .. } => {
                Some((maker_released, taker_released))
            }
            _ => None,
        })
    };
    for sell_is_funded in [false, true] {
        let mut desk = Desk::open();
        let (bid, reserved) = desk.announce(buy("1", "50000"));
        desk.place_reserved(bid);
        let mut events = if sell_is_funded {
            let (ask, events) = desk.fund(own_sell);
            assert_eq!(ends(&events), [(ask, [units("0.4"), 0, units("0.4")])]);
            events
        } else {
            desk.deposit(BUYER, BTC, "0.4");
            desk.place(own_sell).1
        };
        let released = if sell_is_funded { 0 } else { units("0.4") };
        assert_eq!(prevented(&events), Some((0, released)));
        desk.owns(BUYER, USDT, "0", "50100");
        events = desk.cancel(BUYER, bid);
        let Event::OrderClosed { open, prevented, released, .. } = events[0] else {
            panic!("{events:?}")
        };
        assert_eq!((open, prevented), (quantity("0.6"), quantity("0.4")));
        assert_eq!((released, ends(&events)), (reserved, vec![(bid, [reserved, 0, reserved])]));
        desk.adds_up();
    }
}

#[test]
fn no_other_order_spends_the_funds() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "5");
    desk.fund(sell("0.5", "40000"));
    let (bid, _) = desk.fund(buy("1", "50000"));
    let left = units("50100") - units("20040");
    assert_eq!(desk.fast.balance(BUYER, USDT), (units("5"), left));
    // 10,050 more than the rest of the order can cost, yet not for this one.
    let refused = desk.send(Command::NewOrder(buy("0.001", "5000")));
    assert_eq!(refusal(&refused), Some((RejectReason::InsufficientBalance, OrderId(0))));
    let debit = Command::Debit {
        transfer_id: TransferId(1 << 100),
        account: BUYER,
        asset: USDT,
        amount: units("5.00000001"),
    };
    assert_eq!(refusal(&desk.send(debit)), Some((RejectReason::InsufficientBalance, OrderId(0))));
    let other = desk.send(Command::NewOrder(buy("0.001", "4990")));
    assert!(matches!(other[0], Event::OrderAccepted(_)), "its own money it has: {other:?}");
    desk.cancel(BUYER, bid);
    desk.owns(BUYER, USDT, "0.00002", "4.99998");
    desk.adds_up();
}

#[test]
fn an_amend_never_needs_more_than_was_given() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "100000");
    let (bid, amount) = desk.announce(buy("1", "50000"));
    desk.place_reserved(bid);
    let refused = Some((RejectReason::InsufficientBalance, bid));
    let none = Quantity(0);
    assert_eq!(refusal(&desk.amend(bid, price("50000.01"), none)), refused);
    assert_eq!(refusal(&desk.amend(bid, Price(0), quantity("1.000001"))), refused);
    // In place, to the tail, back to all that was given, down again: the hold never moves.
    for (limit, lots) in [
        (Price(0), quantity("0.5")),
        (price("49999"), none),
        (price("50000"), quantity("1")),
        (price("39000"), none),
    ] {
        let events = desk.amend(bid, limit, lots);
        let Event::OrderAmended { hold, .. } = events[0] else { panic!("{events:?}") };
        assert_eq!(hold, amount);
        assert_eq!(desk.fast.balance(BUYER, USDT), (units("100000"), amount));
    }
    // What a better price has left, this order may use: 30,060 for 0.5 at 60,000 and the fee.
    desk.fund(sell("0.5", "40000"));
    assert_eq!(refusal(&desk.amend(bid, price("50000"), none)), None);
    assert_eq!(desk.fast.balance(BUYER, USDT), (units("100000"), units("30060")));
    assert_eq!(refusal(&desk.amend(bid, price("60000.01"), none)), refused);
    assert_eq!(refusal(&desk.amend(bid, price("60000"), none)), None);
    let (_, events) = desk.fund(sell("0.5", "60000"));
    let captured = units("20040") + units("30030");
    assert!(ends(&events).contains(&(bid, [amount, captured, amount - captured])));
    desk.owns(BUYER, USDT, "100000", "0");
    desk.adds_up();
}

#[test]
fn the_terms_of_the_announcement_hold() {
    let mut desk = Desk::open();
    desk.fund(sell("1", "50000"));
    let market = NewOrder::market(BUYER, INSTRUMENT, Side::Buy, quantity("1"));
    let (first, amount) = desk.announce(market);
    assert_eq!(amount, units("55110"), "1 at the collar of 55,000, and the fee");
    let (second, _) = desk.announce(market);
    let (dear, _) = desk.announce(NewOrder { price: price("50000"), ..buy("1", "1") });
    let fees = InstrumentSpec { maker_fee_ppm: 90_000, taker_fee_ppm: 100_000, ..spec() };
    desk.send(Command::UpdateInstrument(fees));
    // The price has risen: today's collar would be 60,500, the funds end at 55,000.
    desk.send(Command::MassCancel { account: SELLER, instrument: INSTRUMENT, side: None });
    desk.fund(sell("0.5", "54000"));
    desk.fund(sell("0.5", "55000.01"));
    let events = desk.place_reserved(first);
    let Event::OrderAccepted(accepted) = events[1] else { panic!("{events:?}") };
    assert_eq!((accepted.cap, accepted.hold), (price("55000"), amount));
    let Event::Trade(trade) = events[2] else { panic!("{events:?}") };
    assert_eq!((trade.quote, trade.taker_fee), (units("27000"), 5_400_000_000), "the old rate");
    let captured = units("27054");
    assert_eq!(ends(&events).last(), Some(&(first, [amount, captured, amount - captured])));
    // The band has come down: it binds today, however much was reserved.
    let band = InstrumentSpec { price_band_bps: 100, ..spec() };
    desk.send(Command::UpdateInstrument(band));
    desk.send(Command::MassCancel { account: SELLER, instrument: INSTRUMENT, side: None });
    desk.fund(sell("0.5", "54000"));
    let (_, rested) = desk.fund(sell("0.5", "54540"));
    assert!(matches!(rested[2], Event::OrderRested { .. }));
    desk.send(Command::UpdateInstrument(InstrumentSpec { price_band_bps: 50, ..spec() }));
    let events = desk.place_reserved(second);
    let Event::OrderAccepted(accepted) = events[1] else { panic!("{events:?}") };
    assert_eq!((accepted.cap, accepted.hold), (price("54270"), amount));
    let trades = events.iter().filter(|event| matches!(event, Event::Trade(_)));
    assert_eq!(trades.count(), 1);
    let refused = desk.place_reserved(dear);
    assert_eq!(refusal(&refused), Some((RejectReason::PriceBand, dear)));
    desk.send(Command::MassCancel { account: SELLER, instrument: INSTRUMENT, side: None });
    desk.is_empty();
}

#[test]
fn an_announced_order_is_part_of_the_state() {
    let hash = |order| {
        let mut desk = Desk::open();
        desk.announce(order);
        desk.fast.engine.state_hash()
    };
    let order = buy("1", "50000");
    assert_eq!(hash(order), hash(order));
    assert_ne!(hash(order), hash(buy("1", "50000.01")));
    assert_ne!(hash(order), hash(keyed(order, "key")));
}

#[test]
fn an_old_order_stands_behind_younger_ones_that_were_placed_first() {
    let mut desk = Desk::open();
    desk.deposit(SELLER, BTC, "1");
    let (old, _) = desk.announce(sell("1", "50000"));
    let (young, _) = desk.place(sell("1", "50000"));
    desk.place_reserved(old);
    let queue = desk.fast.resting_orders(INSTRUMENT, Side::Sell);
    assert_eq!(queue.iter().map(|order| order.id).collect::<Vec<_>>(), [young, old]);
    desk.adds_up();
}

/// A rebate from older terms, paid out at once: more has left than came in until fees make it good.
#[test]
fn proceeds_leave_even_if_a_rebate_is_not_yet_earned() {
    let mut desk = Desk::open();
    let rebate = InstrumentSpec { maker_fee_ppm: -1_000, taker_fee_ppm: 1_000, ..spec() };
    let free = InstrumentSpec { maker_fee_ppm: 0, taker_fee_ppm: 0, ..spec() };
    desk.send(Command::UpdateInstrument(rebate));
    desk.fund(sell("1", "50000"));
    desk.send(Command::UpdateInstrument(free));
    let (bid, events) = desk.fund(buy("1", "50000"));
    let Some(Event::TransferApplied { amount, .. }) = events.get(4) else { panic!("{events:?}") };
    assert_eq!(*amount, units("50050"), "quote and rebate");
    assert_eq!(ends(&events).last(), Some(&(bid, [units("50000"), units("50000"), 0])));
    desk.closes("-50");
    desk.is_empty();
    // Money of his own can still come in and go out, but no more than there is.
    desk.deposit(BUYER, USDT, "100");
    let debit = |key, amount| Command::Debit {
        transfer_id: TransferId(key),
        account: BUYER,
        asset: USDT,
        amount: units(amount),
    };
    assert!(refusal(&desk.send(debit(1 << 100, "50.00000001"))).is_some());
    assert!(refusal(&desk.send(debit(2 << 100, "50"))).is_none());
    desk.adds_up();
}
