//! The views against the engine: after any commands they say the same.

use engine::{
    AccountStatus, AmendOrder, AssetCode, ClientOrderId, EngineOptions, EventBuffer, InstrumentId,
    InstrumentSpec, NewOrder, Price, Quantity, RejectReason, SelfTradePolicy, Side, StateMachine,
    TimeInForce, TradingStatus, TransferId,
};

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

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

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
    events: EventBuffer<Event>,
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
                max_open_orders: 20,
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

    pub(crate) fn apply(&mut self, command: Command) {
        self.sequence += 1;
        let frame = Frame { sequence: self.sequence, timestamp_ns: self.sequence * 1_000, command };
        self.events.clear();
        self.engine.apply(&frame, &mut self.events);
        self.feed.publish(&frame, self.events.as_slice());
        self.feed.batch_end(self.sequence);
    }

    fn assert_equal(&self) {
        let (engine, views) = (&self.engine, &self.feed.0);
        assert_eq!(views.sequence(), self.sequence);
        let mut resting = 0;
        for instrument in [InstrumentId(1), InstrumentId(2)] {
            let (bids, asks) = views.market(|market| market.depth(instrument, 1_000)).value;
            for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
                let book = &engine.instrument(instrument).unwrap().book;
                let level = |level: &engine::book_side::PriceLevel| {
                    (level.price, Level { quantity: level.quantity, count: level.orders })
                };
                let expected: Vec<_> = book.side(side).levels().map(level).collect();
                assert_eq!(levels, expected, "{instrument} {side:?} at {}", self.sequence);
                for (id, price, open) in engine.resting_orders(instrument, side) {
                    let record = views.orders(|orders| orders.get(id).cloned()).value.unwrap();
                    let state = record.state;
                    let left = state.quantity.0 - state.filled.0 - state.prevented.0;
                    assert_eq!((state.price, left, state.ended), (price, open.0, None));
                    resting += 1;
                }
            }
        }
        let waiting: Vec<_> = engine.intents().map(|intent| intent.id).collect();
        assert_eq!(views.orders(Orders::waiting).value, waiting);
        assert_eq!(views.orders(Orders::live).value, resting + waiting.len());
        for (account, known) in engine.accounts().iter() {
            assert_eq!(views.account(Uuid::from_u128(known.uuid)), Some(account));
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
}

fn order(numbers: &mut Numbers) -> NewOrder {
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
        TimeInForce::Ioc,
        TimeInForce::Fok,
    ]);
    order.post_only = numbers.below(8) == 0;
    if numbers.below(5) == 0 {
        order = NewOrder::market(account, instrument, side, quantity);
        if side == Side::Buy && numbers.below(2) == 0 {
            order.quantity = Quantity(0);
            order.quote_budget = u128::from(numbers.below(5_000));
        }
    }
    order.self_trade_policy = numbers.one_of(SelfTradePolicy::ALL);
    if numbers.below(8) == 0 {
        let key = numbers.below(500).to_string();
        order.client_order_id = ClientOrderId::new(key.as_bytes()).unwrap();
    }
    order
}

fn command(numbers: &mut Numbers, sequence: u64) -> Command {
    let account = AccountId(u32::try_from(1 + numbers.below(4)).unwrap());
    let asset = AssetId(u32::try_from(1 + numbers.below(3)).unwrap());
    let order_id = OrderId(sequence.saturating_sub(numbers.below(60)));
    let transfer_id = TransferId(1_000 + u128::from(sequence));
    let amount = u128::from(numbers.below(3_000));
    match numbers.below(40) {
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
            new_trigger: Price(0),
        }),
        19 => Command::Tick,
        20..23 => Command::ReserveOrder(order(numbers)),
        23..26 => Command::PlaceReserved { order_id },
        26 => Command::AbandonReserved { order_id, reason: RejectReason::FundsUnavailable },
        _ => Command::NewOrder(order(numbers)),
    }
}

#[test]
fn views_equal_the_engine_after_every_command() {
    for seed in 1..=4 {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ seed);
        let mut both = Both::new();
        for _ in 0..16_000 {
            let next = command(&mut numbers, both.sequence);
            both.apply(next);
            both.assert_equal();
        }
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
