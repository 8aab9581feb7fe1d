//! Owns the comparison of orders that have reservations of their own: what the wallet set aside and
//! gave back for each, and what trading took in and gave up.
//! Knows nothing of trades: what those take is compared with their settlements. Invariant: an order
//! is forgotten when both sides have ended it in the same way, and only then.

use std::collections::BTreeMap;

use engine::AssetCode;
use engine::fees::signed;

use super::{Breach, Movement, report};

/// Both sides of one order; absent is what has not been seen yet.
#[derive(Clone, Copy, Debug, Default)]
struct FundedOrder {
    /// The wallet set this aside.
    reserved: Option<Movement>,
    /// The wallet gave this much back.
    released: Option<u128>,
    /// Trading took this in.
    placed: Option<Movement>,
    /// Trading gave this up, or never took it in.
    returned: Option<Movement>,
}

/// What is wrong with an order, in which asset.
type Found = Result<(), (AssetCode, String)>;

/// Every order that one side has not ended.
#[derive(Debug, Default)]
pub(super) struct FundedOrders(BTreeMap<u64, FundedOrder>);

impl FundedOrders {
    /// The wallet set money aside.
    pub(super) fn reserved(&mut self, order: u64, movement: Movement) -> Found {
        self.change(order, |known| known.reserved.replace(movement).is_none())
    }

    /// The wallet gave the rest back.
    pub(super) fn released(&mut self, order: u64, amount: u128) -> Found {
        self.change(order, |known| known.released.replace(amount).is_none())
    }

    /// Trading took the money in and placed the order.
    pub(super) fn placed(&mut self, order: u64, movement: Movement) -> Found {
        self.change(order, |known| known.placed.replace(movement).is_none())
    }

    /// Trading ended the order.
    pub(super) fn returned(&mut self, order: u64, movement: Movement) -> Found {
        self.change(order, |known| known.returned.replace(movement).is_none())
    }

    fn change(&mut self, order: u64, change: impl FnOnce(&mut FundedOrder) -> bool) -> Found {
        let known = self.0.entry(order).or_default();
        let is_first = change(known);
        let known = *known;
        let asset = known.asset();
        if !is_first {
            return Err((asset, format!("order {order}: something happened twice: {known:?}")));
        }
        if let Some(agree) = known.is_over() {
            self.0.remove(&order);
            if !agree {
                return Err((asset, format!("order {order} ended differently: {known:?}")));
            }
        }
        Ok(())
    }

    /// The wallet is the cause: all that it did was shown, so what trading took in is set aside.
    pub(super) fn check(&mut self, breaches: &mut Vec<Breach>) {
        // Given up without a reservation: there is nothing to give back, and no more to see.
        self.0.retain(|_, known| !known.is_nothing());
        for (order, known) in &self.0 {
            if let Some(placed) = known.placed.filter(|_| known.placed != known.reserved) {
                let reserved = known.reserved;
                report(breaches, "REC2", Some(placed.asset), || {
                    format!(
                        "order {order}: trading took {placed:?}, the wallet set {reserved:?} aside"
                    )
                });
            }
        }
    }

    /// By how much the wallet's reserved money differs from trading's, by user and asset.
    pub(super) fn on_the_way(&self) -> impl Iterator<Item = ((u128, AssetCode), i128)> + '_ {
        self.0.values().flat_map(FundedOrder::on_the_way)
    }
}

impl FundedOrder {
    fn asset(&self) -> AssetCode {
        let any = self.reserved.or(self.placed).or(self.returned);
        any.map(|movement| movement.asset).unwrap_or_default()
    }

    fn is_nothing(&self) -> bool {
        let Self { reserved, released, placed, .. } = self;
        reserved.is_none() && released.is_none() && placed.is_none()
    }

    /// Whether both sides have ended it, and if so, whether in the same way.
    fn is_over(&self) -> Option<bool> {
        let (released, returned) = (self.released?, self.returned?);
        let agree = match (self.reserved, self.placed) {
            // Given up before its funds came: whatever was set aside went back.
            (reserved, None) => reserved.is_none_or(|all| all.amount == released),
            (reserved, placed) => reserved == placed && returned.amount == released,
        };
        Some(agree)
    }

    /// The wallet holds what it set aside and has not given back; trading what it took in and has
    /// not given up.
    fn on_the_way(&self) -> impl Iterator<Item = ((u128, AssetCode), i128)> + use<> {
        let of = |movement: Option<Movement>, sign: i128| {
            movement.map(|Movement { user, asset, amount }| ((user, asset), sign * signed(amount)))
        };
        let released = self.released.unwrap_or_default();
        let released = self.reserved.map(|all| Movement { amount: released, ..all });
        let given_up = self.returned.filter(|_| self.placed.is_some());
        [of(self.reserved, 1), of(released, -1), of(self.placed, -1), of(given_up, 1)]
            .into_iter()
            .flatten()
    }
}
