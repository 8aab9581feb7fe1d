//! Owns what the tests ask of an exchange, so that fast engine and model are asked the same.
//! Knows nothing of either's insides. Invariant: asking changes nothing; only `apply` does.

use engine::{
    AccountId, Amount, AssetId, Command, Engine, EngineOptions, Event, EventBuffer, Frame,
    InstrumentId, KillSwitchScope, OrderId, Price, Quantity, Side, SignedAmount, StateMachine,
};

use crate::model::Model;

/// An order in its level, as [`Exchange::resting_orders`] tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    pub id: OrderId,
    pub price: Price,
    pub open: Quantity,
    /// Lots of `open` that others see.
    pub visible: Quantity,
}

/// A stop that no price has met yet, as [`Exchange::dormant_orders`] tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dormant {
    pub id: OrderId,
    /// Of a trailing stop: the present one.
    pub trigger: Price,
    /// Its limit, 0 if it has none.
    pub price: Price,
    pub open: Quantity,
}

/// An exchange under test.
pub trait Exchange {
    /// Applies one frame and returns what happened.
    fn apply(&mut self, frame: &Frame<Command>) -> Vec<Event>;

    /// Walks the whole state and panics on a broken invariant.
    fn assert_invariants(&self);

    /// Available and held units, zeros where account or asset is unknown.
    fn balance(&self, account: AccountId, asset: AssetId) -> (Amount, Amount);

    /// Fees collected in one asset, and its supply; zeros for an unknown asset.
    fn fees_and_supply(&self, asset: AssetId) -> (SignedAmount, SignedAmount);

    /// The resting orders of one side, first to trade first.
    fn resting_orders(&self, instrument: InstrumentId, side: Side) -> Vec<Resting>;

    /// Stops that no price has met yet, in ascending id.
    fn dormant_orders(&self, instrument: InstrumentId) -> Vec<Dormant>;

    /// Stops that were met and wait to be matched, first to be matched first.
    fn triggered_orders(&self, instrument: InstrumentId) -> Vec<OrderId>;

    /// Whether a kill switch is on.
    fn is_killed(&self, scope: KillSwitchScope, id: u32) -> bool;

    /// Lots that an account traded on the UTC day of engine time.
    fn daily_volume(&self, account: AccountId, instrument: InstrumentId) -> u64;

    /// Price of the latest trade, 0 before the first.
    fn last_price(&self, instrument: InstrumentId) -> Price;

    /// Orders that wait for their funds, in ascending id.
    fn intents(&self) -> Vec<OrderId>;
}

impl Exchange for Model {
    fn apply(&mut self, frame: &Frame<Command>) -> Vec<Event> {
        Self::apply(self, frame)
    }

    fn assert_invariants(&self) {
        Self::assert_invariants(self);
    }

    fn balance(&self, account: AccountId, asset: AssetId) -> (Amount, Amount) {
        Self::balance(self, account, asset)
    }

    fn fees_and_supply(&self, asset: AssetId) -> (SignedAmount, SignedAmount) {
        Self::fees_and_supply(self, asset)
    }

    fn resting_orders(&self, instrument: InstrumentId, side: Side) -> Vec<Resting> {
        Self::resting_orders(self, instrument, side)
    }

    fn dormant_orders(&self, instrument: InstrumentId) -> Vec<Dormant> {
        Self::dormant_orders(self, instrument)
    }

    fn triggered_orders(&self, instrument: InstrumentId) -> Vec<OrderId> {
        Self::triggered_orders(self, instrument)
    }

    fn is_killed(&self, scope: KillSwitchScope, id: u32) -> bool {
        Self::is_killed(self, scope, id)
    }

    fn daily_volume(&self, account: AccountId, instrument: InstrumentId) -> u64 {
        Self::daily_volume(self, account, instrument)
    }

    fn last_price(&self, instrument: InstrumentId) -> Price {
        Self::last_price(self, instrument)
    }

    fn intents(&self) -> Vec<OrderId> {
        Self::intents(self)
    }
}

/// The engine under test with the buffer that it writes its events to.
#[derive(Clone, Debug)]
pub struct FastExchange {
    pub engine: Engine,
    events: EventBuffer<Event>,
}

impl FastExchange {
    /// An empty engine.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self::with(Engine::new(options))
    }

    /// An engine that exists.
    #[must_use]
    pub fn with(engine: Engine) -> Self {
        Self { engine, events: EventBuffer::default() }
    }
}

impl Default for FastExchange {
    fn default() -> Self {
        Self::new(EngineOptions::default())
    }
}

impl Exchange for FastExchange {
    fn apply(&mut self, frame: &Frame<Command>) -> Vec<Event> {
        self.events.clear();
        self.engine.apply(frame, &mut self.events);
        self.events.as_slice().to_vec()
    }

    fn assert_invariants(&self) {
        self.engine.assert_invariants();
    }

    fn balance(&self, account: AccountId, asset: AssetId) -> (Amount, Amount) {
        let balance = self.engine.balance(account, asset);
        (balance.available, balance.held)
    }

    fn fees_and_supply(&self, asset: AssetId) -> (SignedAmount, SignedAmount) {
        self.engine.assets().get(asset).map_or((0, 0), |a| (a.fees, a.supply))
    }

    fn resting_orders(&self, instrument: InstrumentId, side: Side) -> Vec<Resting> {
        let queue = self.engine.resting_orders(instrument, side);
        queue
            .map(|o| Resting { id: o.order_id, price: o.price, open: o.open, visible: o.visible })
            .collect()
    }

    fn dormant_orders(&self, instrument: InstrumentId) -> Vec<Dormant> {
        let dormant = self.engine.dormant_orders(instrument).into_iter();
        dormant
            .map(|o| Dormant { id: o.order_id, trigger: o.trigger, price: o.price, open: o.open })
            .collect()
    }

    fn triggered_orders(&self, instrument: InstrumentId) -> Vec<OrderId> {
        self.engine.triggered_orders(instrument)
    }

    fn is_killed(&self, scope: KillSwitchScope, id: u32) -> bool {
        self.engine.is_killed(scope, id)
    }

    fn daily_volume(&self, account: AccountId, instrument: InstrumentId) -> u64 {
        self.engine.daily_volume(account, instrument)
    }

    fn last_price(&self, instrument: InstrumentId) -> Price {
        self.engine.last_price(instrument)
    }

    fn intents(&self) -> Vec<OrderId> {
        self.engine.intents().map(|intent| intent.id).collect()
    }
}
