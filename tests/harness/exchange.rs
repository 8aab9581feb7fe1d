//! Owns what the tests ask of an exchange, so that fast engine and model are asked the same.
//! Knows nothing of either's insides. Invariant: asking changes nothing; only `apply` does.

use engine::{
    AccountId, Amount, AssetId, Command, Engine, EngineOptions, Event, EventBuffer, Frame,
    InstrumentId, OrderId, Price, Quantity, Side, SignedAmount, StateMachine,
};

use crate::model::Model;

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

    /// Id, price and open quantity of the resting orders of one side, first to trade first.
    fn resting_orders(
        &self,
        instrument: InstrumentId,
        side: Side,
    ) -> Vec<(OrderId, Price, Quantity)>;

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

    fn resting_orders(
        &self,
        instrument: InstrumentId,
        side: Side,
    ) -> Vec<(OrderId, Price, Quantity)> {
        Self::resting_orders(self, instrument, side)
    }

    fn intents(&self) -> Vec<OrderId> {
        Self::intents(self)
    }
}

/// The engine under test with the buffer that it writes its events to.
#[derive(Debug)]
pub struct FastExchange {
    pub engine: Engine,
    events: EventBuffer<Event>,
}

impl FastExchange {
    /// An empty engine.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self { engine: Engine::new(options), events: EventBuffer::default() }
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

    fn resting_orders(
        &self,
        instrument: InstrumentId,
        side: Side,
    ) -> Vec<(OrderId, Price, Quantity)> {
        let resting = self.engine.resting_orders(instrument, side);
        resting.map(|order| (order.order_id, order.price, order.open)).collect()
    }

    fn intents(&self) -> Vec<OrderId> {
        self.engine.intents().map(|intent| intent.id).collect()
    }
}
