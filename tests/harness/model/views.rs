//! Owns the questions that a test may ask about the model's state, and its own consistency.
//! Knows nothing of commands. Invariant: asking changes nothing.

use engine::{AccountId, Amount, AssetId, InstrumentId, OrderId, Price, Side, SignedAmount};

use super::arithmetic::signed;
use super::order::{Order, State, is_market_form, is_stop};
use super::{Model, hold_asset};
use crate::exchange::{Dormant, Resting};

impl Model {
    /// Available and held units of one asset; zeros where account or asset is unknown.
    #[must_use]
    pub fn balance(&self, account: AccountId, asset: AssetId) -> (Amount, Amount) {
        if self.account(account).is_err() || self.asset(asset).is_err() {
            return (0, 0);
        }
        let mut held = 0;
        for order in self.orders.iter().filter(|o| o.account == account) {
            let spec = self.spec(order.instrument);
            if hold_asset(&spec, order.side) == asset {
                held += order.hold(&spec);
            }
        }
        (self.available(account, asset), held)
    }

    /// Fees collected in one asset, and its supply; zeros for an unknown asset.
    #[must_use]
    pub fn fees_and_supply(&self, asset: AssetId) -> (SignedAmount, SignedAmount) {
        self.asset(asset).map_or((0, 0), |a| (a.fees, a.supply))
    }

    /// Every live order with its account, in ascending id.
    #[must_use]
    pub fn live_orders(&self) -> Vec<(OrderId, AccountId)> {
        self.orders.iter().map(|o| (o.id, o.account)).collect()
    }

    /// Orders that wait for their funds, in ascending id.
    #[must_use]
    pub fn intents(&self) -> Vec<OrderId> {
        self.intents.iter().map(|intent| intent.id).collect()
    }

    /// The resting orders of one side, first to trade first.
    #[must_use]
    pub fn resting_orders(&self, instrument: InstrumentId, side: Side) -> Vec<Resting> {
        let queue = self.queue(instrument, side);
        let seen = |o: &Order| Resting {
            id: o.id,
            price: Price(o.price),
            open: o.open,
            visible: o.visible,
        };
        queue.iter().map(seen).collect()
    }

    /// The stops of one book that no price has met yet, in ascending id.
    #[must_use]
    pub fn dormant_orders(&self, instrument: InstrumentId) -> Vec<Dormant> {
        let seen = |o: Order| Dormant {
            id: o.id,
            trigger: Price(o.trigger),
            price: o.limit(),
            open: o.open,
        };
        self.dormant(instrument).into_iter().map(|id| seen(self.order(id))).collect()
    }

    /// The stops of one book that were met and wait, first to be matched first.
    #[must_use]
    pub fn triggered_orders(&self, instrument: InstrumentId) -> Vec<OrderId> {
        self.triggered(instrument)
    }

    /// Lots that an account traded in one instrument on the UTC day of engine time.
    #[must_use]
    pub fn daily_volume(&self, account: AccountId, instrument: InstrumentId) -> u64 {
        let Ok(account) = self.account(account) else { return 0 };
        if account.volume_day != self.today() {
            return 0;
        }
        let row = account.volumes.iter().find(|(id, _)| *id == instrument);
        row.map_or(0, |(_, lots)| *lots)
    }

    /// Price of the latest trade, 0 before the first.
    #[must_use]
    pub fn last_price(&self, instrument: InstrumentId) -> Price {
        Price(self.instrument(instrument).map_or(0, |i| i.last_price))
    }

    /// Asserts that no book is crossed, every order adds up and is where it can be, no stop sleeps
    /// through its price, and no asset leaked.
    ///
    /// # Panics
    /// If one of these does not hold.
    pub fn assert_invariants(&self) {
        for instrument in &self.instruments {
            let id = instrument.spec.instrument;
            let (bid, ask) = (self.best_price(id, Side::Buy), self.best_price(id, Side::Sell));
            assert!(bid.is_none() || ask.is_none() || bid < ask, "crossed book");
        }
        for order in &self.orders {
            self.assert_order(order);
        }
        for asset in &self.assets {
            let mut sum = asset.fees;
            for index in 1..=self.accounts.len() {
                let account = AccountId(u32::try_from(index).expect("few accounts"));
                let (available, held) = self.balance(account, asset.id);
                sum += signed(available) + signed(held);
            }
            assert_eq!(sum, asset.supply, "asset {} leaked", asset.code);
        }
    }
    fn assert_order(&self, order: &Order) {
        let id = order.id;
        assert!(!self.closed.contains(&id), "order {id} lives after its end");
        let spec = self.spec(order.instrument);
        assert!(order.required_hold(&spec) <= order.hold(&spec), "funds of {id}");
        match order.budget_left {
            None => {
                let sum = order.filled.0 + order.prevented.0 + order.open.0;
                assert_eq!(order.quantity.0, sum, "order {id}");
                assert!(order.open.0 >= 1, "order {id} is done");
            }
            Some(budget_left) => assert!(budget_left > 0 && order.open.0 == 0, "order {id}"),
        }
        let last_price = self.last_price(order.instrument).0;
        match order.state {
            State::Active => panic!("order {id} is neither in a level nor waits"),
            State::Resting { .. } => {
                assert!(!is_market_form(order.order_type), "order {id} has no price to rest at");
                assert!((1..=order.part().0).contains(&order.visible.0), "order {id} shows this");
            }
            State::Dormant => {
                let met = last_price != 0 && order.is_triggered_by(last_price);
                assert!(is_stop(order.order_type) && !met, "order {id} sleeps");
                assert_eq!(order.visible.0, 0, "order {id} shows something");
            }
            State::Triggered { .. } => {
                assert!(is_stop(order.order_type) && order.visible.0 == 0, "order {id} waits");
            }
        }
    }
}
