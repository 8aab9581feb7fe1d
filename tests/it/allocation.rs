//! The engine's steady state asks the heap for nothing: neither the structures nor the events grow
//! once they have seen their working set.

use engine::{
    AccountId, AmendOrder, AssetCode, AssetId, ClientOrderId, Command, Engine, EngineConfig,
    EngineOptions, Event, EventBuffer, Frame, InstrumentId, InstrumentSpec, NewOrder, OrderId,
    OrderType, Price, Quantity, Side, StateMachine, TimeInForce, TradingStatus, TransferId,
};
use tests::alloc::allocations;

const ACCOUNTS: u32 = 50;
const FIRST_PRICE: i64 = 50_000;
const PRICES: u64 = 400;
const INSTRUMENT: InstrumentId = InstrumentId(1);

/// An engine, and a deterministic stream of numbers to trade by.
struct Churn {
    engine: Engine,
    events: EventBuffer<Event>,
    numbers: u64,
    recent: [OrderId; 512],
}

impl Churn {
    fn below(&mut self, bound: u64) -> u64 {
        self.numbers = self.numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        (self.numbers >> 33) % bound
    }

    /// Applies a command; gives the allocations that it cost.
    fn apply(&mut self, command: Command) -> u64 {
        let sequence = self.engine.last_sequence() + 1;
        let frame = Frame { sequence, timestamp_ns: sequence * 1_000_000, command };
        self.events.clear();
        let before = allocations();
        self.engine.apply(&frame, &mut self.events);
        allocations() - before
    }

    fn set_up(&mut self) {
        let asset = |id, code: &str| Command::AddAsset {
            asset: AssetId(id),
            code: AssetCode::new(code).expect("a legal code"),
            scale: 8,
        };
        let config = EngineConfig {
            client_id_capacity: 4_096,
            dedup_window_ns: 1_000_000_000,
            ..EngineConfig::default()
        };
        let spec = InstrumentSpec {
            maker_fee_ppm: 1_000,
            taker_fee_ppm: 2_000,
            ..InstrumentSpec::open(INSTRUMENT, AssetId(1), AssetId(2))
        };
        let status = TradingStatus::Trading;
        self.apply(Command::Configure(config));
        self.apply(asset(1, "BASE"));
        self.apply(asset(2, "QUOTE"));
        self.apply(Command::AddInstrument(spec));
        self.apply(Command::SetTradingStatus { instrument: INSTRUMENT, status });
        for account in (1..=ACCOUNTS).map(AccountId) {
            self.apply(Command::RegisterAccount { uuid: account.0.into(), stp_group: 0 });
            for asset in [AssetId(1), AssetId(2)] {
                let transfer_id = TransferId(u128::from(account.0 * 10 + asset.0));
                let amount = 1 << 60;
                self.apply(Command::Credit { transfer_id, account, asset, amount });
            }
        }
    }

    /// One order at every price, on one side, then on the other: as many levels as there ever are.
    fn visit_every_price(&mut self) {
        for side in [Side::Buy, Side::Sell] {
            let account = AccountId(1);
            for price in (FIRST_PRICE..FIRST_PRICE + PRICES.cast_signed()).map(Price) {
                let order = NewOrder::limit(account, INSTRUMENT, side, Quantity(1), price);
                self.apply(Command::NewOrder(order));
            }
            self.apply(Command::MassCancel { account, instrument: INSTRUMENT, side: None });
        }
    }

    /// Makes some orders stops, icebergs, or such that end by time.
    fn make_rare(&mut self, order: &mut NewOrder) {
        let trigger = Price(FIRST_PRICE + self.below(PRICES).cast_signed());
        match self.below(16) {
            0 => {
                order.order_type = OrderType::StopLimit;
                order.trigger = trigger;
            }
            1 => {
                order.order_type = OrderType::TakeProfit;
                (order.trigger, order.price) = (trigger, Price(0));
            }
            2 => {
                order.order_type = OrderType::TrailingStop;
                (order.trail_ticks, order.price) = (1 + self.below(20).cast_signed(), Price(0));
            }
            3 | 4 => order.display = Quantity(1 + order.quantity.0 / 4),
            5 => order.time_in_force = TimeInForce::Day,
            6 => {
                let lives = 1_000_000 * (1 + self.below(4_000));
                order.time_in_force = TimeInForce::Gtd;
                order.expire_at_ns = self.engine.last_timestamp_ns() + lives;
            }
            _ => {}
        }
    }

    fn command(&mut self) -> Command {
        let account = AccountId(1 + u32::try_from(self.below(ACCOUNTS.into())).unwrap_or(0));
        let place = usize::try_from(self.below(512)).unwrap_or(0);
        let order_id = self.recent[place];
        let client_order_id = ClientOrderId::EMPTY;
        let price = Price(FIRST_PRICE + self.below(PRICES).cast_signed());
        match self.below(100) {
            0..50 => {
                let side = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
                let quantity = Quantity(1 + self.below(50));
                let mut order = NewOrder::limit(account, INSTRUMENT, side, quantity, price);
                if self.below(5) == 0 {
                    order.time_in_force = TimeInForce::Ioc;
                } else {
                    self.make_rare(&mut order);
                }
                if self.below(2) == 0 {
                    let id = self.below(1 << 40).to_le_bytes();
                    order.client_order_id = ClientOrderId::new(&id).expect("short enough");
                }
                self.recent[place] = OrderId(self.engine.last_sequence() + 1);
                Command::NewOrder(order)
            }
            50..98 => {
                let (new_quantity, new_trigger) = (Quantity(0), Price(0));
                match self.below(2) {
                    0 => Command::CancelOrder { account, order_id, client_order_id },
                    _ => Command::AmendOrder(AmendOrder {
                        account,
                        order_id,
                        new_price: price,
                        new_quantity,
                        new_trigger,
                    }),
                }
            }
            98 => Command::EndSession { instrument: INSTRUMENT },
            _ => Command::MassCancel { account, instrument: InstrumentId(0), side: None },
        }
    }
}

#[test]
fn a_steady_state_allocates_nothing() {
    let mut churn = Churn {
        engine: Engine::new(EngineOptions {
            expected_orders: 10_000,
            expected_client_ids: 4_096,
            ..EngineOptions::default()
        }),
        events: EventBuffer::with_capacity(4_096),
        numbers: 1,
        recent: [OrderId(0); 512],
    };
    churn.set_up();
    churn.visit_every_price();
    let warm_up: u64 = (0..300_000).map(|_| step(&mut churn)).sum();
    assert!(warm_up > 0, "the counter does not count");
    let steady: u64 = (0..300_000).map(|_| step(&mut churn)).sum();
    assert_eq!(steady, 0, "allocations in 300,000 commands");
    churn.engine.assert_invariants();
    assert!(churn.engine.live_orders() > 100, "the book ran dry: nothing was tested");
}

fn step(churn: &mut Churn) -> u64 {
    let command = churn.command();
    churn.apply(command)
}
