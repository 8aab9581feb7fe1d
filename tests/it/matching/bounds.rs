//! What belongs here: numbers at the edge of what integers hold. A refusal, never an overflow.

use engine::{
    AccountId, AmendOrder, AssetCode, AssetId, ClientOrderId, Command, Event, Frame, InstrumentId,
    InstrumentSpec, NewOrder, OrderId, OrderType, Price, Quantity, RejectReason, Side,
    TradingStatus, TransferId, limits,
};
use tests::exchange::{Exchange, FastExchange};
use tests::model::Model;

const INSTRUMENT: InstrumentId = InstrumentId(1);
const TRADER: AccountId = AccountId(1);

/// Lists an instrument and gives one trader as much of everything as there may be.
fn setup(spec: InstrumentSpec) -> Vec<Command> {
    let code = |text| AssetCode::new(text).expect("a legal code");
    let credit = |asset: AssetId| Command::Credit {
        transfer_id: TransferId(asset.0.into()),
        account: TRADER,
        asset,
        amount: limits::SUPPLY_MAX,
    };
    vec![
        Command::AddAsset { asset: AssetId(1), code: code("B"), scale: 0 },
        Command::AddAsset { asset: AssetId(2), code: code("Q"), scale: 0 },
        Command::AddInstrument(spec),
        Command::SetTradingStatus { instrument: INSTRUMENT, status: TradingStatus::Trading },
        Command::RegisterAccount { uuid: 1, stp_group: 0 },
        credit(AssetId(1)),
        credit(AssetId(2)),
    ]
}

/// What the last command comes to, on both exchanges.
fn last_events(commands: &[Command]) -> Vec<Event> {
    let run = |exchange: &mut dyn Exchange| {
        let mut last = Vec::new();
        for (command, sequence) in commands.iter().zip(1..) {
            last = exchange.apply(&Frame { sequence, timestamp_ns: 0, command: *command });
        }
        exchange.assert_invariants();
        last
    };
    let events = run(&mut FastExchange::default());
    assert_eq!(events, run(&mut Model::default()));
    events
}

fn refusal(events: &[Event]) -> Option<RejectReason> {
    match events {
        [Event::CommandRejected { reason, .. }] => Some(*reason),
        _ => None,
    }
}

/// A price from an older spec times a quantity from a newer one is in neither's bounds.
#[test]
fn a_value_that_no_spec_allows_is_too_large() {
    let narrow = InstrumentSpec {
        quote_per_tick_lot: 1 << 49,
        max_quantity: Quantity(1),
        ..InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2))
    };
    let high = Price(limits::PRICE_TICKS_MAX);
    let most = Quantity(limits::QUANTITY_LOTS_MAX);
    let low = InstrumentSpec { max_price: Price(1), max_quantity: most, ..narrow };
    let mut commands = setup(narrow);
    let resting = NewOrder::limit(TRADER, INSTRUMENT, Side::Sell, Quantity(1), high);
    commands.push(Command::NewOrder(resting));
    let order_id = OrderId(commands.len() as u64);
    commands.push(Command::UpdateInstrument(low));

    let market = NewOrder::market(TRADER, INSTRUMENT, Side::Buy, most);
    let amend = AmendOrder {
        account: TRADER,
        order_id,
        new_price: Price(0),
        new_quantity: most,
        new_trigger: Price(0),
    };
    for last in [Command::NewOrder(market), Command::AmendOrder(amend)] {
        let events = last_events(&[commands.as_slice(), &[last]].concat());
        assert_eq!(refusal(&events), Some(RejectReason::NotionalAboveMax), "{last:?}");
    }
}

/// The widest spec there is: value, hold and fee of its largest order fit, one more lot does not.
#[test]
fn the_largest_order_is_taken() {
    let most = Quantity(limits::QUANTITY_LOTS_MAX);
    let widest = InstrumentSpec {
        quote_per_tick_lot: 4,
        max_quantity: most,
        taker_fee_ppm: limits::FEE_PPM_MAX,
        maker_fee_ppm: limits::FEE_PPM_MAX,
        ..InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2))
    };
    let order = |side, quantity| {
        let price = Price(limits::PRICE_TICKS_MAX);
        Command::NewOrder(NewOrder::limit(TRADER, INSTRUMENT, side, quantity, price))
    };
    let mut commands = setup(widest);
    commands.extend([order(Side::Sell, most), order(Side::Buy, most)]);
    let events = last_events(&commands);
    assert!(events.iter().any(|event| matches!(event, Event::Trade(_))), "{events:?}");
    commands.push(order(Side::Buy, Quantity(most.0 + 1)));
    assert_eq!(refusal(&last_events(&commands)), Some(RejectReason::QuantityAboveMax));
}

/// A rebate from older terms can leave an account with more than was ever brought in.
#[test]
fn no_more_money_leaves_than_came_in() {
    let rebate = InstrumentSpec {
        maker_fee_ppm: -1_000,
        taker_fee_ppm: 1_000,
        ..InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2))
    };
    let free = InstrumentSpec { maker_fee_ppm: 0, taker_fee_ppm: 0, ..rebate };
    let order = |side| {
        Command::NewOrder(NewOrder::limit(TRADER, INSTRUMENT, side, Quantity(1_000), Price(1_000)))
    };
    let debit = |transfer_id, amount| Command::Debit {
        transfer_id: TransferId(transfer_id),
        account: TRADER,
        asset: AssetId(2),
        amount,
    };
    let mut commands = setup(rebate);
    commands.extend([order(Side::Sell), Command::UpdateInstrument(free), order(Side::Buy)]);
    let all = limits::SUPPLY_MAX;
    let mut refused = commands.clone();
    refused.push(debit(10, all + 1));
    assert_eq!(refusal(&last_events(&refused)), Some(RejectReason::InsufficientBalance));
    commands.push(debit(11, all));
    let events = last_events(&commands);
    assert!(
        matches!(events.as_slice(), [Event::TransferApplied { available: 1_000, .. }]),
        "{events:?}"
    );
}

/// One intent more than there may be is refused until one has ended, and is not held against its
/// key.
#[test]
fn intents_are_bounded() {
    let mut commands = setup(InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2)));
    // Money comes in with an order, so there must be room for it.
    for asset in [1, 2] {
        commands.push(Command::Debit {
            transfer_id: TransferId(10 + u128::from(asset)),
            account: TRADER,
            asset: AssetId(asset),
            amount: limits::SUPPLY_MAX,
        });
    }
    let bid = NewOrder::limit(TRADER, INSTRUMENT, Side::Buy, Quantity(1), Price(1));
    let client_order_id = ClientOrderId::new(b"last").expect("a short key");
    let last = Command::ReserveOrder(NewOrder { client_order_id, ..bid });
    let first = OrderId(commands.len() as u64 + 1);
    let most = limits::ORDER_INTENTS_MAX;
    commands.extend(std::iter::repeat_n(Command::ReserveOrder(bid), most));
    let events = last_events(&commands);
    assert!(matches!(events[..], [Event::OrderReserving { .. }]), "at the bound: {events:?}");
    commands.push(last);
    assert_eq!(refusal(&last_events(&commands)), Some(RejectReason::WindowFull), "one past it");
    assert!(RejectReason::WindowFull.is_transient());
    commands.extend([Command::PlaceReserved { order_id: first }, last]);
    let events = last_events(&commands);
    assert!(matches!(events[..], [Event::OrderReserving { .. }]), "room again: {events:?}");
}

/// Money that comes in with an order is bounded like any other, when announced and when placed.
#[test]
fn funds_that_would_overflow_are_refused() {
    let mut commands = setup(InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2)));
    let debit = Command::Debit {
        transfer_id: TransferId(10),
        account: TRADER,
        asset: AssetId(2),
        amount: 5,
    };
    let bid = NewOrder::limit(TRADER, INSTRUMENT, Side::Buy, Quantity(1), Price(5));
    commands.push(Command::ReserveOrder(bid));
    assert_eq!(refusal(&last_events(&commands)), Some(RejectReason::BalanceOverflow));
    commands.extend([debit, Command::ReserveOrder(bid)]);
    let order_id = OrderId(commands.len() as u64);
    let place = Command::PlaceReserved { order_id };
    let events = last_events(&[commands.as_slice(), &[place]].concat());
    assert!(matches!(events[1], Event::OrderAccepted(_)), "at the bound: {events:?}");
    let one = Command::Credit {
        transfer_id: TransferId(11),
        account: TRADER,
        asset: AssetId(2),
        amount: 1,
    };
    commands.extend([one, place]);
    let events = last_events(&commands);
    assert_eq!(refusal(&events[..1]), Some(RejectReason::BalanceOverflow), "one past it");
    assert!(matches!(events[1..], [Event::FundsReturned { captured: 0, returned: 5, .. }]));
}

/// More lots in one level than 64 bits count.
#[test]
fn a_level_holds_more_than_one_order_can() {
    let most = Quantity(limits::QUANTITY_LOTS_MAX);
    let spec = InstrumentSpec {
        max_quantity: most,
        ..InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2))
    };
    let mut commands = setup(spec);
    let bid = NewOrder::limit(TRADER, INSTRUMENT, Side::Buy, most, Price(1));
    let orders = usize::try_from(u64::MAX / most.0).expect("it fits") + 2;
    commands.extend(std::iter::repeat_n(Command::NewOrder(bid), orders));
    let mut exchange = FastExchange::default();
    for (command, sequence) in commands.iter().zip(1..) {
        exchange.apply(&Frame { sequence, timestamp_ns: 0, command: *command });
    }
    exchange.assert_invariants();
    assert_eq!(exchange.resting_orders(INSTRUMENT, Side::Buy).len(), orders);
}

/// The cap of a stop order from an older spec times a quantity of a newer one.
#[test]
fn a_cap_of_an_older_spec_bounds_what_an_amend_may_ask_for() {
    let high = Price(limits::PRICE_TICKS_MAX / 2);
    let wide = InstrumentSpec {
        quote_per_tick_lot: 1 << 47,
        max_quantity: Quantity(4),
        ..InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2))
    };
    let most = Quantity(limits::QUANTITY_LOTS_MAX);
    let low = InstrumentSpec { max_price: Price(4), max_quantity: most, ..wide };
    let mut commands = setup(wide);
    let trade_at = |commands: &mut Vec<Command>, price| {
        for side in [Side::Sell, Side::Buy] {
            let order = NewOrder::limit(TRADER, INSTRUMENT, side, Quantity(1), price);
            commands.push(Command::NewOrder(order));
        }
    };
    trade_at(&mut commands, high);
    commands.push(Command::NewOrder(NewOrder {
        order_type: OrderType::TrailingStop,
        trail_bps: 1,
        ..NewOrder::limit(TRADER, INSTRUMENT, Side::Buy, Quantity(4), Price(0))
    }));
    let order_id = OrderId(commands.len() as u64);
    trade_at(&mut commands, Price(1));
    commands.push(Command::UpdateInstrument(low));
    let amend = |new_quantity| AmendOrder {
        account: TRADER,
        order_id,
        new_price: Price(0),
        new_quantity,
        new_trigger: Price(0),
    };
    let with = |quantity| [&commands[..], &[Command::AmendOrder(amend(quantity))]].concat();
    assert_eq!(refusal(&last_events(&with(most))), Some(RejectReason::NotionalAboveMax));
    assert_eq!(refusal(&last_events(&with(Quantity(3)))), None);
}
