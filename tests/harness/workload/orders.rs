//! Owns the random orders and specs of a workload. Knows nothing of what becomes of them.
//! Invariant: most are legal; a blemish breaks one field of one that was.

use engine::command::NewOrder;
use engine::{
    Amount, AssetId, ClientOrderId, Command, InstrumentSpec, OrderType, Price, Quantity,
    SelfTradePolicy, Side, TimeInForce, TransferId,
};

use super::Workload;

impl Workload {
    pub(super) fn new_order(&mut self) -> NewOrder {
        if self.random.chance(4)
            && let Command::NewOrder(order) | Command::ReserveOrder(order) = self.repeat()
        {
            return order;
        }
        let (account, instrument) = (self.account(), self.instrument());
        let side = self.random.pick(&[Side::Buy, Side::Sell]);
        let quantity = self.market.quantity(&mut self.random);
        let price = self.market.price(&mut self.random);
        let mut order = NewOrder::limit(account, instrument, side, quantity, price);
        match self.random.below(100) {
            n if n < self.market.stops => self.make_stop(&mut order),
            n if n < self.market.stops + 12 => self.make_market(&mut order),
            _ => self.make_resting(&mut order),
        }
        order.self_trade_policy = self.self_trade_policy(order.quote_budget != 0);
        if self.random.chance(50) {
            order.client_order_id = self.client_order_id();
        }
        if self.random.chance(12) {
            self.fund(&mut order);
        }
        if self.random.chance(9) {
            self.blemish(&mut order);
        }
        order
    }

    fn make_market(&mut self, order: &mut NewOrder) {
        let NewOrder { account, instrument, side, quantity, .. } = *order;
        *order = NewOrder::market(account, instrument, side, quantity);
        match self.random.below(100) {
            0..30 => order.time_in_force = TimeInForce::Fok,
            30..65 => self.make_budget(order),
            _ => {}
        }
    }

    /// What an order with a limit can have beside it.
    fn make_resting(&mut self, order: &mut NewOrder) {
        match self.random.below(100) {
            0..14 => order.time_in_force = TimeInForce::Ioc,
            14..28 => order.time_in_force = TimeInForce::Fok,
            _ => {
                self.limit_its_time(order);
                order.post_only = self.random.chance(15);
                if self.random.chance(self.market.parts) {
                    let spec = self.spec_of(order);
                    let least = order.quantity.0.div_ceil(spec.max_iceberg_parts.into());
                    let least = if self.random.chance(5) { 1 } else { least };
                    let more = self.random.below(order.quantity.0 + 1 - least);
                    order.display = Quantity(least + if self.random.chance(50) { 0 } else { more });
                }
            }
        }
    }

    /// GTC, or sometimes until a time that comes soon, or for the day.
    fn limit_its_time(&mut self, order: &mut NewOrder) {
        match self.random.below(100) {
            0..15 => {
                order.time_in_force = TimeInForce::Gtd;
                order.expire_at_ns = self.now_ns + 1 + self.random.below(60);
            }
            15..25 => order.time_in_force = TimeInForce::Day,
            _ => {}
        }
    }

    fn make_stop(&mut self, order: &mut NewOrder) {
        use OrderType::{Stop, StopLimit, TakeProfit, TakeProfitLimit, TrailingStop};
        order.order_type =
            self.random.pick(&[Stop, StopLimit, TakeProfit, TakeProfitLimit, TrailingStop]);
        if matches!(order.order_type, StopLimit | TakeProfitLimit) {
            self.make_resting(order);
        } else {
            self.limit_its_time(order);
            order.price = Price(0);
        }
        if order.order_type != TrailingStop {
            order.trigger = self.market.price(&mut self.random);
            if order.price.0 == 0 && self.random.chance(20) {
                self.make_budget(order);
            }
        } else if self.random.chance(50) {
            order.trail_ticks = self.market.trail_ticks(&mut self.random);
        } else {
            order.trail_bps = self.random.pick(&[1, 100, 1_000, 5_000, 9_999]);
        }
    }

    /// An order whose money comes from elsewhere, so that it brings none; rarely it does.
    pub(super) fn order_to_fund(&mut self) -> NewOrder {
        let order = self.new_order();
        if self.random.chance(5) {
            return order;
        }
        NewOrder { credit_id: TransferId(0), credit_amount: 0, ..order }
    }

    /// Accounts are few and meet themselves often, so that each mode decides often.
    fn self_trade_policy(&mut self, by_budget: bool) -> SelfTradePolicy {
        use SelfTradePolicy::{CancelBoth, CancelMaker, CancelTaker, Decrement, None};
        let last = if by_budget { None } else { Decrement };
        self.random.pick(&[None, None, CancelTaker, CancelMaker, CancelBoth, last])
    }

    /// Turns an order without a limit into one by quote budget.
    fn make_budget(&mut self, order: &mut NewOrder) {
        order.side = Side::Buy;
        order.quantity = Quantity(0);
        let spec = self.spec_of(order);
        let value = self.market.value(&mut self.random, &spec);
        order.quote_budget = match self.random.below(10) {
            0 => 1,
            1 => Amount::from(self.random.below(50)),
            2 => value + Amount::from(self.random.below(50)),
            3 => (1 << 96) + Amount::from(self.random.below(2)),
            _ => value,
        };
    }

    fn fund(&mut self, order: &mut NewOrder) {
        let spec = self.spec_of(order);
        let asset = if order.side == Side::Buy { spec.quote_asset } else { spec.base_asset };
        order.credit_id = self.transfer_id();
        order.credit_amount = match self.random.below(20) {
            0 => 0,
            1 => 1 << 120,
            2 => Amount::MAX,
            _ => self.market.amount(&mut self.random, asset),
        };
    }

    fn spec_of(&self, order: &NewOrder) -> InstrumentSpec {
        let specs = &self.market.specs;
        let found = specs.iter().find(|s| s.instrument == order.instrument);
        *found.unwrap_or(&specs[0])
    }

    /// Ids that slowly move on, so that most are new and many meet a younger self.
    pub(super) fn client_order_id(&mut self) -> ClientOrderId {
        let moving = self.steps.len() as u64 / 4;
        let text = match self.random.below(200) {
            0 => "x".repeat(ClientOrderId::BYTES_MAX),
            1..20 => format!("k{}", self.random.below(4)),
            _ => format!("n{}", moving.saturating_sub(self.random.below(6))),
        };
        ClientOrderId::new(text.as_bytes()).expect("a short id")
    }

    fn blemish(&mut self, order: &mut NewOrder) {
        match self.random.below(20) {
            0 => order.price = Price(self.random.pick(&[-1, 0, 1, i64::MAX])),
            2 => order.trigger = Price(self.random.pick(&[-1, 0, 1, i64::MAX])),
            3 => order.trail_ticks = self.random.pick(&[-1, 0, 1, 1 << 40, i64::MAX, i64::MIN]),
            4 => order.trail_bps = self.random.pick(&[0, 1, 10_000, u32::MAX]),
            1 => order.quantity = Quantity(self.random.pick(&[0, 1, u64::MAX])),
            5 => order.quote_budget = self.random.pick(&[0, 1, Amount::MAX]),
            6 => order.expire_at_ns = self.random.pick(&[1, u64::MAX]),
            7 => order.post_only = !order.post_only,
            8 => order.display = Quantity(self.random.pick(&[1, u64::MAX])),
            9 => order.credit_amount = self.random.pick(&[0, 1]),
            10 => order.side = order.side.opposite(),
            11 => {
                order.time_in_force = TimeInForce::Gtd;
                order.expire_at_ns = self.now_ns + self.random.below(2);
            }
            12 | 13 => order.time_in_force = self.random.pick(TimeInForce::ALL),
            14 | 15 => order.order_type = self.random.pick(OrderType::ALL),
            16 => order.self_trade_policy = self.random.pick(SelfTradePolicy::ALL),
            17 => order.credit_id = TransferId(0),
            // Two breaches at once: the lower code must win.
            _ => {
                self.blemish(order);
                self.blemish(order);
            }
        }
    }

    /// The first spec of an instrument with one field changed, or with none.
    pub(super) fn changed_spec(&mut self) -> InstrumentSpec {
        let index = self.random.below(self.market.specs.len() as u64);
        let mut spec = self.market.specs[usize::try_from(index).expect("few")];
        let random = &mut self.random;
        match random.below(30) {
            0 => spec.taker_fee_ppm = random.pick(&[0, 500, 100_000, 100_001, -1]),
            1 => spec.maker_fee_ppm = random.pick(&[0, 500, -500, 100_000, i32::MIN]),
            2 => spec.price_band_bps = random.pick(&[0, 50, 9_999, 10_000]),
            3 | 19..24 => spec.market_collar_bps = random.pick(&[0, 1, 500, 100_000, 100_001]),
            4 => spec.max_price.0 -= random.between(-1, 2),
            5 => spec.min_quantity.0 = random.pick(&[0, 1, 2, spec.max_quantity.0 + 1]),
            6 => spec.max_quantity.0 = random.pick(&[0, 1, spec.max_quantity.0, 1 << 48]),
            7 => spec.min_notional = random.pick(&[0, 10, 1 << 90]),
            8 => spec.max_notional = random.pick(&[0, 10, 1_000, 1 << 90]),
            9 => spec.max_open_orders = random.pick(&[0, 1, 2, 50]),
            10 => spec.max_book_orders = random.pick(&[0, 1, 4, 50]),
            11 => spec.max_iceberg_parts = random.pick(&[0, 1, 2, 100]),
            12 => spec.max_daily_volume = random.pick(&[0, 1, 5, 50, u64::MAX]),
            13 => spec.reference_price.0 = random.pick(&[-1, 0, 2, spec.max_price.0 + 1]),
            14 => spec.base_asset = AssetId(random.pick(&[0, 1, 2, 99])),
            15 => spec.quote_asset = AssetId(random.pick(&[0, 1, 2, 99])),
            16 => spec.base_per_lot = random.pick(&[0, 2, u64::MAX]),
            17 => spec.quote_per_tick_lot = random.pick(&[0, 2, u64::MAX]),
            18 => spec.instrument.0 = random.pick(&[0, 50, 65_536]),
            _ => {}
        }
        spec
    }
}
