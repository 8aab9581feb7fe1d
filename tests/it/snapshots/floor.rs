//! What belongs here: a small exchange in which everything that a state can have is there at once,
//! and what can become of it.

use std::collections::BTreeMap;

use engine::{
    AccountId, AccountStatus, AmendOrder, AssetCode, AssetId, ClientOrderId, Command, EngineConfig,
    Event, Frame, InstrumentId, InstrumentSpec, KillSwitchScope, NewOrder, OrderId, OrderType,
    Price, Quantity, RejectReason, SelfTradePolicy, Side, StateMachine, TimeInForce, TradingStatus,
    TransferId,
};
use tests::exchange::{Dormant, Exchange, FastExchange, Resting};

const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const OTHER: AssetId = AssetId(5);
const MAIN: InstrumentId = InstrumentId(2);
const HALTED: InstrumentId = InstrumentId(7);
const STOPPED: InstrumentId = InstrumentId(9);
const ANN: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);
const CAT: AccountId = AccountId(3);
const DAN: AccountId = AccountId(4);
const DAY_NS: u64 = 86_400_000_000_000;

#[derive(Clone, Default)]
pub(super) struct Floor {
    pub(super) exchange: FastExchange,
    now_ns: u64,
    owners: BTreeMap<OrderId, AccountId>,
    /// Announced, not placed.
    intents: Vec<OrderId>,
}

/// Everything that can be asked of the orders.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Orders {
    resting: Vec<Resting>,
    dormant: Vec<Dormant>,
    triggered: Vec<OrderId>,
    intents: Vec<OrderId>,
}

pub(super) fn orders_in(exchange: &FastExchange) -> Vec<Orders> {
    let of = |id: InstrumentId| Orders {
        resting: Side::ALL.iter().flat_map(|side| exchange.resting_orders(id, *side)).collect(),
        dormant: exchange.dormant_orders(id),
        triggered: exchange.triggered_orders(id),
        intents: exchange.intents(),
    };
    [MAIN, HALTED, STOPPED].into_iter().map(of).collect()
}

fn buy(account: AccountId, lots: u64, price: i64) -> NewOrder {
    NewOrder::limit(account, MAIN, Side::Buy, Quantity(lots), Price(price))
}

fn sell(account: AccountId, lots: u64, price: i64) -> NewOrder {
    NewOrder { side: Side::Sell, ..buy(account, lots, price) }
}

fn stop(order: NewOrder, order_type: OrderType, trigger: i64) -> NewOrder {
    let price = if order_type.has_price() { order.price } else { Price(0) };
    NewOrder { order_type, trigger: Price(trigger), price, ..order }
}

fn trailing(order: NewOrder, trail_ticks: i64, trail_bps: u32) -> NewOrder {
    let order_type = OrderType::TrailingStop;
    NewOrder { order_type, price: Price(0), trail_ticks, trail_bps, ..order }
}

fn named(order: NewOrder, name: &str) -> NewOrder {
    let client_order_id = ClientOrderId::new(name.as_bytes()).expect("short enough");
    NewOrder { client_order_id, ..order }
}

fn grow(account: AccountId, order_id: OrderId, lots: u64) -> Command {
    Command::AmendOrder(AmendOrder {
        account,
        order_id,
        new_price: Price(0),
        new_quantity: Quantity(lots),
        new_trigger: Price(0),
    })
}

impl Floor {
    pub(super) fn send(&mut self, command: Command) -> Vec<Event> {
        self.now_ns += 1;
        let sequence = self.exchange.engine.last_sequence() + 1;
        let frame = Frame { sequence, timestamp_ns: self.now_ns, command };
        self.exchange.apply(&frame)
    }

    pub(super) fn snapshot(&self) -> Vec<u8> {
        super::snapshot(&self.exchange)
    }

    pub(super) fn restored(&self) -> Self {
        Self { exchange: super::restored(&self.snapshot()), ..self.clone() }
    }

    pub(super) fn stop_venue(&mut self) {
        self.send(Command::SetKillSwitch { scope: KillSwitchScope::Venue, id: 0, on: true });
    }

    fn place(&mut self, order: NewOrder) -> OrderId {
        let events = self.send(Command::NewOrder(order));
        let id = OrderId(self.exchange.engine.last_sequence());
        let accepted =
            events.iter().any(|e| matches!(e, Event::OrderAccepted(a) if a.order_id == id));
        assert!(accepted, "{order:?}: {events:?}");
        self.owners.insert(id, order.account);
        id
    }

    fn announce(&mut self, order: NewOrder) -> OrderId {
        let events = self.send(Command::ReserveOrder(order));
        assert!(matches!(events[..], [Event::OrderReserving { .. }]), "{events:?}");
        let id = OrderId(self.exchange.engine.last_sequence());
        self.owners.insert(id, order.account);
        id
    }

    fn credit(&mut self, account: AccountId, asset: AssetId, amount: u128) {
        let id = u128::from(self.exchange.engine.last_sequence()) << 100 | 77;
        let transfer_id = TransferId(id);
        self.send(Command::Credit { transfer_id, account, asset, amount });
    }

    fn open(&mut self) {
        for (asset, code) in [(BASE, "BASE"), (QUOTE, "QUOTE"), (OTHER, "X")] {
            let code = AssetCode::new(code).expect("a legal code");
            self.send(Command::AddAsset { asset, code, scale: 2 });
        }
        for (instrument, base) in [(HALTED, OTHER), (MAIN, BASE), (STOPPED, OTHER)] {
            let spec = InstrumentSpec {
                maker_fee_ppm: -100,
                taker_fee_ppm: 2_000,
                ..InstrumentSpec::open(instrument, base, QUOTE)
            };
            self.send(Command::AddInstrument(spec));
            let status = TradingStatus::Trading;
            self.send(Command::SetTradingStatus { instrument, status });
        }
        for account in [ANN, BOB, CAT, DAN] {
            let stp_group = if account == ANN || account == BOB { 7 } else { 0 };
            let uuid = u128::from(account.0) << 90;
            self.send(Command::RegisterAccount { uuid, stp_group });
            for asset in [BASE, QUOTE, OTHER] {
                self.credit(account, asset, 1_000_000);
            }
        }
        let account = DAN;
        let transfer_id = TransferId(5);
        self.send(Command::Debit { transfer_id, account, asset: OTHER, amount: 2_000_000 });
        self.now_ns = 3 * DAY_NS + 5;
        let max_triggers_per_command = 1;
        self.send(Command::Configure(EngineConfig {
            max_triggers_per_command,
            ..EngineConfig::default()
        }));
    }

    /// A book whose queues are not in the order of ids, with partly filled and funded orders.
    fn fill_book(&mut self) {
        let gtd = NewOrder {
            time_in_force: TimeInForce::Gtd,
            expire_at_ns: self.now_ns + 1_000,
            ..buy(ANN, 10, 90)
        };
        let first = self.place(named(gtd, &"long".repeat(25)));
        self.place(NewOrder { time_in_force: TimeInForce::Day, ..buy(BOB, 11, 90) });
        self.send(grow(ANN, first, 12));
        let iceberg = NewOrder { display: Quantity(3), post_only: true, ..sell(DAN, 20, 110) };
        self.place(named(iceberg, "iceberg"));
        self.place(sell(ANN, 5, 110));
        self.place(named(sell(BOB, 9, 100), "maker"));
        self.place(named(buy(DAN, 4, 100), "taker"));
        let decrement = SelfTradePolicy::Decrement;
        self.place(NewOrder { self_trade_policy: decrement, ..buy(ANN, 2, 100) });
        let funded = self.announce(named(sell(DAN, 8, 105), "funded"));
        self.send(Command::PlaceReserved { order_id: funded });
        self.place(buy(BOB, 3, 110));
        self.send(Command::NewOrder(named(buy(ANN, 1_000_000, 90), "too dear")));
        self.send(Command::CancelOrder {
            account: ANN,
            order_id: OrderId(0),
            client_order_id: ClientOrderId::EMPTY,
        });
    }

    /// Orders that wait, some of which have followed the price, and one that rests after its wait.
    fn fill_stops(&mut self) {
        use OrderType::{Stop, StopLimit, TakeProfit, TakeProfitLimit};
        let older = self.place(trailing(sell(ANN, 3, 0), 30, 0));
        self.place(trailing(sell(DAN, 3, 0), 0, 2_500));
        self.place(trailing(buy(ANN, 2, 0), 0, 3_000));
        let started = self.place(named(stop(buy(BOB, 2, 95), StopLimit, 105), "started"));
        self.place(buy(BOB, 1, 110));
        self.place(trailing(sell(BOB, 3, 0), 25, 0));
        self.place(trailing(buy(DAN, 2, 0), 28, 0));
        self.send(grow(ANN, older, 7));
        assert!(self.rests(started), "it has been elected and rests");
        self.place(stop(buy(ANN, 5, 0), Stop, 130));
        let day = NewOrder { time_in_force: TimeInForce::Day, ..sell(DAN, 5, 0) };
        self.place(named(stop(day, Stop, 70), "stop"));
        let ioc = NewOrder { time_in_force: TimeInForce::Ioc, ..buy(ANN, 5, 133) };
        self.place(stop(ioc, StopLimit, 130));
        let budget = NewOrder { quantity: Quantity(0), quote_budget: 500, ..buy(DAN, 0, 0) };
        self.place(stop(budget, TakeProfit, 60));
        let shows = NewOrder { display: Quantity(2), ..sell(BOB, 6, 140) };
        self.place(stop(shows, TakeProfitLimit, 135));
        let funded = self.announce(stop(buy(BOB, 4, 0), Stop, 125));
        self.place(stop(buy(BOB, 4, 0), Stop, 125));
        self.send(Command::PlaceReserved { order_id: funded });
    }

    /// Resting sells of the main book and their accounts, the best first.
    pub(super) fn sells(&self) -> Vec<(OrderId, AccountId)> {
        let sells = self.exchange.resting_orders(MAIN, Side::Sell);
        sells.iter().map(|order| (order.id, self.owners[&order.id])).collect()
    }

    fn rests(&self, id: OrderId) -> bool {
        let mut sides = Side::ALL.iter();
        sides.any(|side| self.exchange.resting_orders(MAIN, *side).iter().any(|o| o.id == id))
    }

    /// A book that was halted while elected orders waited for their turn.
    fn elect_and_halt(&mut self) {
        let there = |order: NewOrder| NewOrder { instrument: HALTED, ..order };
        for trigger in [52, 50, 51, 52, 51] {
            self.place(there(stop(buy(BOB, 1, 0), OrderType::Stop, trigger)));
        }
        self.place(there(sell(ANN, 1, 52)));
        self.place(there(buy(DAN, 1, 52)));
        let (instrument, status) = (HALTED, TradingStatus::Halted);
        self.send(Command::SetTradingStatus { instrument, status });
    }

    fn announce_more(&mut self) {
        let budget = NewOrder { quantity: Quantity(0), quote_budget: 700, ..buy(DAN, 0, 0) };
        let by_budget = stop(budget, OrderType::Stop, 180);
        for order in
            [named(buy(ANN, 2, 80), "announced"), by_budget, trailing(sell(BOB, 1, 0), 9, 0)]
        {
            let id = self.announce(order);
            self.intents.push(id);
        }
    }

    fn switch_off(&mut self) {
        self.send(Command::SetAccountStatus { account: BOB, status: AccountStatus::Suspended });
        for (scope, id) in
            [(KillSwitchScope::Account, CAT.0), (KillSwitchScope::Instrument, STOPPED.0)]
        {
            self.send(Command::SetKillSwitch { scope, id, on: true });
        }
    }
}

/// A state that has something of everything.
pub(super) fn everything() -> Floor {
    let mut floor = Floor::default();
    floor.open();
    floor.fill_book();
    floor.fill_stops();
    floor.elect_and_halt();
    floor.announce_more();
    floor.switch_off();
    let counts = orders_in(&floor.exchange)
        .iter()
        .map(|o| [o.resting.len(), o.dormant.len(), o.triggered.len(), o.intents.len()])
        .collect::<Vec<_>>();
    assert_eq!(counts, [[6, 12, 0, 3], [0, 0, 3, 3], [0, 0, 0, 3]]);
    assert!(floor.exchange.daily_volume(BOB, MAIN) > 0);
    floor.exchange.engine.assert_invariants();
    floor
}

/// What may come next.
type End = fn(&Floor) -> Vec<Command>;

pub(super) const ENDS: [End; 6] = [
    all_is_cancelled,
    time_goes_by,
    the_price_runs_away,
    intents_end,
    all_is_asked_again,
    switches_are_thrown,
];

fn all_is_cancelled(_: &Floor) -> Vec<Command> {
    let all = |account| Command::MassCancel { account, instrument: InstrumentId(0), side: None };
    [ANN, BOB, CAT, DAN].map(all).to_vec()
}

fn time_goes_by(_: &Floor) -> Vec<Command> {
    let mut commands = vec![Command::Tick; 1_100];
    commands.push(Command::EndSession { instrument: MAIN });
    commands
}

fn the_price_runs_away(_: &Floor) -> Vec<Command> {
    let mut commands = vec![
        Command::SetAccountStatus { account: BOB, status: AccountStatus::Active },
        Command::SetTradingStatus { instrument: HALTED, status: TradingStatus::Trading },
    ];
    for price in [112, 118, 124, 131, 120, 136, 90, 65, 58] {
        commands.push(Command::NewOrder(sell(DAN, 40, price)));
        commands.push(Command::NewOrder(buy(ANN, 30, price)));
    }
    commands.extend([Command::Tick; 20]);
    commands
}

fn intents_end(floor: &Floor) -> Vec<Command> {
    let [first, second, third] = floor.intents[..] else { panic!("three intents") };
    let mut commands = vec![
        Command::PlaceReserved { order_id: first },
        Command::AbandonReserved { order_id: second, reason: RejectReason::FundsRefused },
        Command::PlaceReserved { order_id: third },
    ];
    commands.extend_from_within(..);
    commands.push(Command::NewOrder(named(buy(ANN, 2, 80), "announced")));
    commands
}

/// The same once more, and something else under the same key.
fn all_is_asked_again(_: &Floor) -> Vec<Command> {
    let mut commands = Vec::new();
    for order in [
        named(sell(BOB, 9, 100), "maker"),
        named(buy(DAN, 4, 100), "taker"),
        named(sell(DAN, 8, 105), "funded"),
        named(buy(ANN, 1_000_000, 90), "too dear"),
        named(buy(ANN, 1, 1), &"long".repeat(25)),
        named(buy(ANN, 2, 80), "announced"),
        named(buy(ANN, 2, 81), "announced"),
    ] {
        commands.push(Command::NewOrder(order));
        commands.push(Command::CancelOrder {
            account: order.account,
            order_id: OrderId(0),
            client_order_id: order.client_order_id,
        });
    }
    let (account, asset) = (DAN, OTHER);
    for amount in [2_000_000, 1] {
        commands.push(Command::Debit { transfer_id: TransferId(5), account, asset, amount });
    }
    commands
}

fn switches_are_thrown(_: &Floor) -> Vec<Command> {
    let account = KillSwitchScope::Account;
    let mut commands = Vec::new();
    for (scope, id, on) in [
        (account, CAT.0, false),
        (account, CAT.0, false),
        (account, DAN.0, true),
        (KillSwitchScope::Instrument, STOPPED.0, true),
        (KillSwitchScope::Venue, 0, true),
        (KillSwitchScope::Venue, 0, false),
    ] {
        commands.push(Command::SetKillSwitch { scope, id, on });
        commands.push(Command::NewOrder(buy(CAT, 1, 50)));
    }
    commands
}
