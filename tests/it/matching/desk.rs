//! What belongs here: a market of BTC against USDT in the decimals that a customer sees, for tests
//! that look at money. Every answer is compared between the fast engine and the model.

use engine::decimal::parse;
use engine::{
    AccountId, AssetCode, AssetId, Command, Event, Frame, InstrumentId, InstrumentSpec, NewOrder,
    OrderId, Price, Quantity, Side, Trade, TradingStatus, TransferId,
};
use tests::exchange::{Exchange, FastExchange};
use tests::model::Model;

pub(super) const BTC: AssetId = AssetId(1);
pub(super) const USDT: AssetId = AssetId(2);
pub(super) const INSTRUMENT: InstrumentId = InstrumentId(1);
pub(super) const BUYER: AccountId = AccountId(1);
pub(super) const SELLER: AccountId = AccountId(2);

/// Both exchanges, fed the same commands; their answers are compared, then the engine's is used.
pub(super) struct Desk {
    pub(super) fast: FastExchange,
    model: Model,
    pub(super) sequence: u64,
    /// Units of BTC and USDT that the events brought in and took out.
    moved: [i128; 2],
}

/// Units of either asset.
pub(super) fn units(text: &str) -> u128 {
    u128::try_from(parse(text, 8).expect("a decimal")).expect("a positive amount")
}

pub(super) fn price(text: &str) -> Price {
    Price(i64::try_from(parse(text, 2).expect("whole ticks")).expect("a small price"))
}

pub(super) fn quantity(text: &str) -> Quantity {
    Quantity(u64::try_from(parse(text, 6).expect("whole lots")).expect("a small quantity"))
}

pub(super) fn buy(amount: &str, limit: &str) -> NewOrder {
    NewOrder::limit(BUYER, INSTRUMENT, Side::Buy, quantity(amount), price(limit))
}

pub(super) fn sell(amount: &str, limit: &str) -> NewOrder {
    NewOrder::limit(SELLER, INSTRUMENT, Side::Sell, quantity(amount), price(limit))
}

/// Tick 0.01, lot 0.000001, fees 10 and 20 basis points, collar 10 %.
pub(super) fn spec() -> InstrumentSpec {
    InstrumentSpec {
        base_per_lot: 100,
        quote_per_tick_lot: 1,
        maker_fee_ppm: 1_000,
        taker_fee_ppm: 2_000,
        market_collar_bps: 1_000,
        ..InstrumentSpec::open(INSTRUMENT, BTC, USDT)
    }
}

impl Desk {
    /// One open instrument, two accounts, no money.
    pub(super) fn open() -> Self {
        let (fast, model) = (FastExchange::default(), Model::default());
        let mut desk = Self { fast, model, sequence: 0, moved: [0; 2] };
        for (asset, name) in [(BTC, "BTC"), (USDT, "USDT")] {
            let code = AssetCode::new(name).expect("a legal code");
            desk.send(Command::AddAsset { asset, code, scale: 8 });
        }
        desk.send(Command::AddInstrument(spec()));
        let status = TradingStatus::Trading;
        desk.send(Command::SetTradingStatus { instrument: INSTRUMENT, status });
        for uuid in [1, 2] {
            desk.send(Command::RegisterAccount { uuid, stp_group: 0 });
        }
        desk
    }

    pub(super) fn send(&mut self, command: Command) -> Vec<Event> {
        self.sequence += 1;
        let frame = Frame { sequence: self.sequence, timestamp_ns: 0, command };
        let events = self.fast.apply(&frame);
        assert_eq!(events, self.model.apply(&frame), "{command:?}");
        for event in &events {
            if let Event::TransferApplied { kind, asset, amount, .. } = event {
                let amount = i128::try_from(*amount).expect("a small amount");
                let sign = if kind.brings_in() { 1 } else { -1 };
                self.moved[usize::from(*asset == USDT)] += sign * amount;
            }
        }
        events
    }

    pub(super) fn deposit(&mut self, account: AccountId, asset: AssetId, amount: &str) {
        let transfer_id = TransferId(u128::from(self.sequence) + 1);
        let amount = units(amount);
        let events = self.send(Command::Credit { transfer_id, account, asset, amount });
        assert!(matches!(events[..], [Event::TransferApplied { .. }]));
    }

    /// Sends an order and returns its id and what it caused.
    pub(super) fn place(&mut self, order: NewOrder) -> (OrderId, Vec<Event>) {
        let events = self.send(Command::NewOrder(order));
        assert!(matches!(events[0], Event::OrderAccepted(_)), "{events:?}");
        (OrderId(self.sequence), events)
    }

    pub(super) fn trades(&mut self, order: NewOrder) -> Vec<Trade> {
        let events = self.place(order).1;
        events
            .iter()
            .filter_map(|e| if let Event::Trade(t) = e { Some(*t) } else { None })
            .collect()
    }

    pub(super) fn cancel(&mut self, account: AccountId, order_id: OrderId) -> Vec<Event> {
        let client_order_id = engine::ClientOrderId::EMPTY;
        self.send(Command::CancelOrder { account, order_id, client_order_id })
    }

    /// Asserts available and held of one account and asset.
    pub(super) fn owns(&self, account: AccountId, asset: AssetId, available: &str, held: &str) {
        let balance = self.fast.balance(account, asset);
        assert_eq!(balance, (units(available), units(held)), "account {account}, asset {asset}");
    }

    /// Asserts the fees earned, and that nothing appeared or vanished.
    pub(super) fn closes(&self, fees: &str) {
        assert_eq!(self.fast.fees_and_supply(USDT).0, parse(fees, 8).expect("a decimal"));
        self.adds_up();
    }

    pub(super) fn adds_up(&self) {
        for (asset, moved) in [BTC, USDT].into_iter().zip(self.moved) {
            let (mut sum, supply) = self.fast.fees_and_supply(asset);
            for account in [BUYER, SELLER] {
                let (available, held) = self.fast.balance(account, asset);
                sum += i128::try_from(available + held).expect("a small amount");
            }
            assert_eq!((sum, supply), (moved, moved), "asset {asset}");
        }
        self.fast.assert_invariants();
        self.model.assert_invariants();
    }
}
