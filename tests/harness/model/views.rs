//! Owns the questions that a test may ask about the model's state, and its own consistency.
//! Knows nothing of commands. Invariant: asking changes nothing.

use engine::{
    AccountId, Amount, AssetId, InstrumentId, OrderId, Price, Quantity, Side, SignedAmount,
};

use super::arithmetic::signed;
use super::{Model, hold_asset};

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

    /// Id, price and open quantity of the resting orders of one side, first to trade first.
    #[must_use]
    pub fn resting_orders(
        &self,
        instrument: InstrumentId,
        side: Side,
    ) -> Vec<(OrderId, Price, Quantity)> {
        let queue = self.queue(instrument, side);
        queue.iter().map(|o| (o.id, Price(o.price), o.open)).collect()
    }

    /// Asserts that no book is crossed, every order adds up, and no asset leaked.
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
            let sum = order.filled.0 + order.prevented.0 + order.open.0;
            assert_eq!(order.quantity.0, sum, "order {}", order.id);
            assert!(order.place.is_some() && order.open.0 >= 1, "order {} does not rest", order.id);
            let spec = self.spec(order.instrument);
            assert!(order.required_hold(&spec) <= order.hold(&spec), "funds of {}", order.id);
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
}
