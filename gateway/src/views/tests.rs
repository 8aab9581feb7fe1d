//! The views against the engine: after any commands they say the same.

use engine::{
    AccountStatus, AmendOrder, AssetCode, ClientOrderId, CloseReason, Command, Engine,
    EngineConfig, EngineOptions, Event, EventBuffer, Frame, InstrumentId, InstrumentSpec,
    KillSwitchScope, NewOrder, OrderType, Price, Quantity, RejectReason, SelfTradePolicy, Side,
    StateMachine, TimeInForce, TradingStatus,
};
use pipeline::Outlet;

use super::*;

/// BTC/USDT with a tick of 0.01 and a lot of 0.000001.
pub(crate) fn btc_usdt() -> Instrument {
    let asset = |id, code| Asset { id: AssetId(id), code: AssetCode::new(code).unwrap(), scale: 8 };
    let spec = InstrumentSpec {
        base_per_lot: 100,
        quote_per_tick_lot: 1,
        max_price: Price(1_000_000_000),
        ..InstrumentSpec::open(InstrumentId(1), AssetId(1), AssetId(4))
    };
    Instrument::new(spec, asset(1, "BTC"), asset(4, "USDT")).unwrap()
}

/// Engine time from one command to the next.
const NS_PER_COMMAND: u64 = 1_000;

/// Numbers that look random and are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

/// An engine and the views of its events.
pub(crate) struct Both {
    engine: Engine,
    pub(crate) feed: ViewFeed,
    pub(crate) events: EventBuffer<Event>,
    pub(crate) sequence: u64,
}

impl Both {
    /// Two open instruments, and four accounts with money in three assets.
    pub(crate) fn new() -> Self {
        let mut both = Self {
            engine: Engine::new(EngineOptions::default()),
            feed: ViewFeed(Arc::new(Views::default())),
            events: EventBuffer::default(),
            sequence: 0,
        };
        for (id, code) in [(1, "BTC"), (2, "ETH"), (3, "USD")] {
            let code = AssetCode::new(code).unwrap();
            both.apply(Command::AddAsset { asset: AssetId(id), code, scale: 8 });
        }
        for (id, base, maker_fee_ppm) in [(1, 1, 1_000), (2, 2, -500)] {
            let instrument = InstrumentId(id);
            let spec = InstrumentSpec {
                maker_fee_ppm,
                taker_fee_ppm: 2_000,
                price_band_bps: 5_000,
                max_open_orders: 40,
                ..InstrumentSpec::open(instrument, AssetId(base), AssetId(3))
            };
            both.apply(Command::AddInstrument(spec));
            both.apply(Command::SetTradingStatus { instrument, status: TradingStatus::Trading });
        }
        for uuid in 1..=4 {
            both.apply(Command::RegisterAccount { uuid, stp_group: 0 });
            for asset in 1..=3 {
                both.apply(Command::Credit {
                    transfer_id: TransferId(uuid * 10 + u128::from(asset)),
                    account: AccountId(u32::try_from(uuid).unwrap()),
                    asset: AssetId(asset),
                    amount: 200_000,
                });
            }
        }
        both
    }

    pub(crate) fn apply(&mut self, command: Command) -> Frame<Command> {
        self.sequence += 1;
        let frame = Frame {
            sequence: self.sequence,
            timestamp_ns: self.sequence * NS_PER_COMMAND,
            command,
        };
        self.events.clear();
        self.engine.apply(&frame, &mut self.events);
        self.feed.publish(&frame, self.events.as_slice());
        self.feed.batch_end(self.sequence);
        frame
    }

    fn record(&self, id: OrderId) -> OrderRecord {
        self.feed.0.orders(|orders| orders.get(id).cloned()).value.unwrap()
    }

    fn assert_equal(&self) {
        let (engine, views) = (&self.engine, &self.feed.0);
        assert_eq!(views.sequence(), self.sequence);
        let mut live = Vec::new();
        for instrument in [InstrumentId(1), InstrumentId(2)] {
            self.assert_depth_equal(instrument);
            live.extend(self.resting_as_shown(instrument));
            live.extend(self.stops_as_shown(instrument));
            let scope = KillSwitchScope::Instrument;
            let shown = views.switches(|s| s.instruments().any(|on| on == instrument)).value;
            assert_eq!(shown, engine.is_killed(scope, instrument.0));
        }
        let waiting: Vec<_> = engine.intents().map(|intent| intent.id).collect();
        assert_eq!(views.orders(Orders::waiting).value, waiting);
        assert_eq!(views.orders(Orders::live).value, live.len() + waiting.len());
        let moments = live.iter().map(|id| self.record(*id).expire_at_ns);
        let next_moment = moments.filter(|moment_ns| *moment_ns > 0).min();
        assert_eq!(*views.next_moment().borrow(), next_moment);
        assert_eq!(
            views.switches(Switches::venue).value,
            engine.is_killed(KillSwitchScope::Venue, 0)
        );
        for (account, known) in engine.accounts().iter() {
            assert_eq!(views.account(Uuid::from_u128(known.uuid)), Some(account));
            let killed = views.switches(|s| s.accounts().any(|on| on == account)).value;
            assert_eq!(killed, engine.is_killed(KillSwitchScope::Account, account.0));
            for (asset, balance) in views.balances(account).value {
                assert_eq!(balance, engine.balance(account, asset), "{account} {asset}");
            }
        }
        let products = views.products();
        for instrument in engine.instruments() {
            let listed = products.instrument(instrument.spec.instrument).unwrap();
            assert_eq!((listed.spec, listed.status), (instrument.spec, instrument.status));
        }
    }

    fn assert_depth_equal(&self, instrument: InstrumentId) {
        let (bids, asks) = self.feed.0.market(|market| market.depth(instrument, 1_000)).value;
        for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
            let level = |(price, visible, count): (Price, Quantity, u32)| {
                (price, Level { quantity: visible.0.into(), count })
            };
            let expected: Vec<_> = self.engine.depth(instrument, side, 1_000).map(level).collect();
            assert_eq!(levels, expected, "{instrument} {side:?} at {}", self.sequence);
        }
    }

    /// Orders in the book; each is shown to its owner with all that is open of it.
    fn resting_as_shown(&self, instrument: InstrumentId) -> Vec<OrderId> {
        let sides = Side::ALL.iter().flat_map(|side| self.engine.resting_orders(instrument, *side));
        let check = |order: engine::RestingOrder| {
            let (record, id) = (self.record(order.order_id), order.order_id);
            let state = record.state;
            let left = state.quantity.0 - state.filled.0 - state.prevented.0;
            assert_eq!((state.price, left, state.ended), (order.price, order.open.0, None));
            assert!(["OPEN", "PARTIALLY_FILLED"].contains(&record.status()), "{record:?}");
            id
        };
        sides.map(check).collect()
    }

    /// Stop orders that have not started.
    fn stops_as_shown(&self, instrument: InstrumentId) -> Vec<OrderId> {
        let mut ids = self.engine.triggered_orders(instrument);
        for order in self.engine.dormant_orders(instrument) {
            let record = self.record(order.order_id);
            assert_eq!(record.state.price, order.price);
            // Nothing tells when a trailing one moves, and it moves one way.
            let trigger = record.state.trigger;
            let follows = match (record.order_type, record.side) {
                (OrderType::TrailingStop, Side::Sell) => trigger <= order.trigger,
                (OrderType::TrailingStop, Side::Buy) => trigger >= order.trigger,
                _ => trigger == order.trigger,
            };
            assert!(follows, "{trigger} {order:?}");
            ids.push(order.order_id);
        }
        for id in &ids {
            assert_eq!(self.record(*id).status(), "PENDING");
        }
        ids
    }
}

/// Turns a LIMIT or MARKET order into a stop order of any kind, not always a legal one.
fn make_stop(numbers: &mut Numbers, order: &mut NewOrder) {
    let has_price = order.order_type == OrderType::Limit;
    order.order_type = match (numbers.below(5), has_price) {
        (0 | 1, true) => OrderType::StopLimit,
        (2 | 3, true) => OrderType::TakeProfitLimit,
        (0 | 1, false) => OrderType::Stop,
        (2 | 3, false) => OrderType::TakeProfit,
        _ => OrderType::TrailingStop,
    };
    if order.time_in_force == TimeInForce::Ioc && !has_price {
        order.time_in_force = TimeInForce::Gtc;
    }
    if order.order_type == OrderType::TrailingStop {
        (order.price, order.display, order.post_only) = (Price(0), Quantity(0), false);
        match numbers.below(2) {
            0 => order.trail_ticks = i64::try_from(numbers.below(6)).unwrap(),
            _ => order.trail_bps = u32::try_from(numbers.below(500)).unwrap(),
        }
    } else {
        order.trigger = Price(i64::try_from(90 + numbers.below(20)).unwrap());
    }
}

fn order(numbers: &mut Numbers, sequence: u64) -> NewOrder {
    let account = AccountId(u32::try_from(1 + numbers.below(4)).unwrap());
    let instrument = numbers.one_of(&[InstrumentId(1), InstrumentId(2)]);
    let side = numbers.one_of(Side::ALL);
    let quantity = Quantity(numbers.below(40));
    let price = Price(i64::try_from(90 + numbers.below(20)).unwrap());
    let mut order = NewOrder::limit(account, instrument, side, quantity, price);
    order.time_in_force = numbers.one_of(&[
        TimeInForce::Gtc,
        TimeInForce::Gtc,
        TimeInForce::Gtc,
        TimeInForce::Day,
        TimeInForce::Gtd,
        TimeInForce::Ioc,
        TimeInForce::Fok,
    ]);
    if order.time_in_force == TimeInForce::Gtd {
        order.expire_at_ns = (sequence + numbers.below(80)) * NS_PER_COMMAND;
    }
    order.post_only = numbers.below(8) == 0;
    if numbers.below(5) == 0 {
        order = NewOrder::market(account, instrument, side, quantity);
        if side == Side::Buy && numbers.below(2) == 0 {
            order.quantity = Quantity(0);
            order.quote_budget = u128::from(numbers.below(5_000));
        }
    }
    if numbers.below(3) == 0 {
        make_stop(numbers, &mut order);
    }
    if numbers.below(4) == 0 {
        order.display = Quantity(numbers.below(order.quantity.0 + 1));
    }
    order.self_trade_policy = numbers.one_of(SelfTradePolicy::ALL);
    if numbers.below(8) == 0 {
        let key = numbers.below(500).to_string();
        order.client_order_id = ClientOrderId::new(key.as_bytes()).unwrap();
    }
    order
}

pub(crate) fn command(numbers: &mut Numbers, sequence: u64) -> Command {
    let account = AccountId(u32::try_from(1 + numbers.below(4)).unwrap());
    let asset = AssetId(u32::try_from(1 + numbers.below(3)).unwrap());
    let order_id = OrderId(sequence.saturating_sub(numbers.below(60)));
    let transfer_id = TransferId(1_000 + u128::from(sequence));
    let amount = u128::from(numbers.below(3_000));
    match numbers.below(44) {
        0 => Command::Credit { transfer_id, account, asset, amount },
        1 => Command::Debit { transfer_id, account, asset, amount },
        2 => Command::MassCancel { account, instrument: InstrumentId(0), side: None },
        3 => Command::SetTradingStatus {
            instrument: InstrumentId(1),
            status: match numbers.below(10) {
                0 => TradingStatus::CancelOnly,
                1 => TradingStatus::Halted,
                _ => TradingStatus::Trading,
            },
        },
        4 => {
            let suspend = numbers.below(10) == 0;
            let status = if suspend { AccountStatus::Suspended } else { AccountStatus::Active };
            Command::SetAccountStatus { account, status }
        }
        5..12 => {
            let client_order_id = ClientOrderId::EMPTY;
            Command::CancelOrder { account, order_id, client_order_id }
        }
        12..19 => Command::AmendOrder(AmendOrder {
            account,
            order_id,
            new_price: Price(numbers.one_of(&[0, 95, 99, 101, 105])),
            new_quantity: Quantity(numbers.below(30)),
            new_trigger: Price(numbers.one_of(&[0, 0, 94, 100, 106])),
        }),
        19 => Command::Tick,
        20..23 => Command::ReserveOrder(order(numbers, sequence)),
        23..26 => Command::PlaceReserved { order_id },
        26 => Command::AbandonReserved { order_id, reason: RejectReason::FundsUnavailable },
        27 => switch(numbers),
        28 => Command::EndSession { instrument: InstrumentId(1) },
        _ => Command::NewOrder(order(numbers, sequence)),
    }
}

/// Off more often than on, so that trading goes on.
fn switch(numbers: &mut Numbers) -> Command {
    let (scope, id) = numbers.one_of(&[
        (KillSwitchScope::Account, 1),
        (KillSwitchScope::Account, 2),
        (KillSwitchScope::Instrument, 1),
        (KillSwitchScope::Venue, 0),
    ]);
    Command::SetKillSwitch { scope, id, on: numbers.below(25) == 0 }
}

/// How often a run met what is rare.
#[derive(Default)]
struct Met {
    started: usize,
    refreshed: usize,
    kept_waiting: usize,
    made_at_once: usize,
    closed: std::collections::BTreeMap<CloseReason, usize>,
}

impl Met {
    fn count(&mut self, both: &Both, command: Command) {
        let own = OrderId(both.sequence);
        for event in both.events.as_slice() {
            match event {
                Event::OrderTriggered { .. } => self.started += 1,
                Event::IcebergRefreshed { .. } => self.refreshed += 1,
                Event::OrderClosed { reason, .. } => *self.closed.entry(*reason).or_default() += 1,
                Event::Trade(trade) if trade.maker_order_id == own => self.made_at_once += 1,
                _ => {}
            }
        }
        self.kept_waiting += both.engine.triggered_orders(InstrumentId(1)).len();
        let placed = both.feed.0.orders(|orders| orders.get(own).cloned()).value;
        if let (Command::NewOrder(_), Some(record)) = (command, placed) {
            assert_eq!(record.first, record.state, "its own command is its first answer");
            let lots = record.first_fills.iter().map(|fill| fill.quantity.0).sum::<u64>();
            assert_eq!(lots, record.state.filled.0, "its fills are those of its command");
        }
    }

    fn assert_all(&self) {
        let Self { started, refreshed, kept_waiting, made_at_once, closed } = self;
        let counts = [*started, *refreshed, *kept_waiting, *made_at_once];
        assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
        for reason in [CloseReason::Expired, CloseReason::SessionEnd, CloseReason::KillSwitch] {
            assert!(closed.get(&reason).is_some_and(|count| *count > 5), "{reason:?} {closed:?}");
        }
    }
}

#[test]
fn views_equal_the_engine_after_every_command() {
    for seed in 1..=4 {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ seed);
        let mut both = Both::new();
        // Few enough that elected orders are left for later commands.
        let config = EngineConfig { max_triggers_per_command: 2, ..EngineConfig::default() };
        both.apply(Command::Configure(config));
        let mut met = Met::default();
        for _ in 0..20_000 {
            let next = command(&mut numbers, both.sequence);
            both.apply(next);
            both.assert_equal();
            met.count(&both, next);
        }
        met.assert_all();
        let traded = both.feed.0.market(|market| market.trades(InstrumentId(1), 1_000)).value;
        assert_eq!(traded.len(), crate::limits::RECENT_TRADES_MAX, "seed {seed} trades enough");
    }
}

#[test]
fn the_first_answer_stays_what_it_was() {
    let mut both = Both::new();
    let maker = NewOrder::limit(AccountId(1), InstrumentId(1), Side::Sell, Quantity(5), Price(100));
    both.apply(Command::NewOrder(maker));
    let id = OrderId(both.sequence);
    let taker = NewOrder::limit(AccountId(2), InstrumentId(1), Side::Buy, Quantity(2), Price(100));
    both.apply(Command::NewOrder(taker));
    let record = both.feed.0.orders(|orders| orders.get(id).cloned()).value.unwrap();
    assert_eq!((record.status(), record.state.filled.0), ("PARTIALLY_FILLED", 2));
    let first = record.first_answer();
    assert_eq!((first.status(), first.state.filled.0), ("OPEN", 0));
    let taken = OrderId(both.sequence);
    let record = both.feed.0.orders(|orders| orders.get(taken).cloned()).value.unwrap();
    assert_eq!((record.status(), record.first_fills.len()), ("FILLED", 1));
}

#[test]
fn an_order_that_waits_for_its_funds_keeps_its_id_and_its_time() {
    let mut both = Both::new();
    let order = NewOrder::limit(AccountId(2), InstrumentId(1), Side::Buy, Quantity(2), Price(100));
    both.apply(Command::ReserveOrder(order));
    let (order_id, created_ns) = (OrderId(both.sequence), both.sequence * 1_000);
    let look =
        |both: &Both, id| both.feed.0.orders(|orders| orders.get(id).cloned()).value.unwrap();
    assert_eq!((look(&both, order_id).status(), look(&both, order_id).decided), ("PENDING", 0));
    both.apply(Command::PlaceReserved { order_id });
    let placed = look(&both, order_id);
    assert_eq!((placed.status(), placed.decided), ("OPEN", both.sequence));
    assert_eq!((placed.created_ns, placed.first.updated_ns), (created_ns, both.sequence * 1_000));
    both.apply(Command::PlaceReserved { order_id });
    assert_eq!(look(&both, order_id), placed, "a second time changes nothing");
    both.apply(Command::ReserveOrder(order));
    let order_id = OrderId(both.sequence);
    let reason = RejectReason::FundsOwnerUnknown;
    both.apply(Command::AbandonReserved { order_id, reason });
    assert_eq!(look(&both, order_id).state.ended, Some(Ended::Rejected(reason)));
    both.apply(Command::ReserveOrder(order));
    let order_id = OrderId(both.sequence);
    let reason = RejectReason::FundsDegraded;
    both.apply(Command::AbandonReserved { order_id, reason });
    let found = both.feed.0.orders(|orders| orders.get(order_id).cloned()).value;
    assert_eq!(found, None, "nobody has decided about it");
}

#[test]
fn a_list_longer_than_one_lock_is_complete() {
    let mut both = Both::new();
    let before = both.sequence;
    let mut order =
        NewOrder::limit(AccountId(1), InstrumentId(1), Side::Buy, Quantity(1), Price(100));
    order.time_in_force = TimeInForce::Ioc;
    let count = ORDERS_PER_LOCK as u64 * 2;
    for _ in 0..count {
        both.apply(Command::NewOrder(order));
    }
    let mut seen = Vec::new();
    both.feed.0.visit_orders(AccountId(1), |record| {
        seen.push(record.id.0);
        true
    });
    let expected: Vec<_> = (before + 1..=before + count).rev().collect();
    assert_eq!(seen, expected);
}
