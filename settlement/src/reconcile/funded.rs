//! Owns the comparison of orders that have reservations of their own: what the wallet set aside and
//! gave back for each, and what trading took in and gave up.
//! Knows nothing of trades: what those take is compared with their settlements. Invariant: an order
//! is forgotten when both sides have ended it in the same way, and only then.

use std::collections::BTreeMap;

use engine::fees::signed;
use engine::{Amount, AssetCode, OrderId};

use super::{Breach, Movement, report};
use crate::releases::SavedReleases;
use crate::trade::order_key;

/// Both sides of one order; absent is what has not been seen yet.
#[derive(Clone, Copy, Debug, Default)]
struct ReservedOrder {
    /// The wallet set this aside.
    reserved: Option<Movement>,
    /// The wallet gave this much back.
    released: Option<Amount>,
    /// Trading took this in.
    placed: Option<Movement>,
    /// Trading gave this up, or never took it in.
    returned: Option<Movement>,
    /// Where the event log says so.
    ended_at: u64,
}

/// What is wrong with an order, in which asset.
type Found = Result<(), (AssetCode, String)>;

/// Every order that one side has not ended.
#[derive(Debug, Default)]
pub(super) struct ReservedOrders(BTreeMap<u64, ReservedOrder>);

impl ReservedOrders {
    /// The wallet set money aside.
    pub(super) fn reserved(&mut self, order: u64, movement: Movement) -> Found {
        self.once(order, |known| known.reserved.replace(movement).is_none())
    }

    /// The wallet gave the rest back.
    pub(super) fn released(&mut self, order: u64, amount: Amount) -> Found {
        self.once(order, |known| known.released.replace(amount).is_none())
    }

    /// Trading took the money in and placed the order.
    pub(super) fn placed(&mut self, order: u64, movement: Movement) -> Found {
        self.once(order, |known| known.placed.replace(movement).is_none())
    }

    /// Trading ended the order, with this event.
    pub(super) fn returned(&mut self, order: u64, movement: Movement, event: u64) -> Found {
        self.once(order, |known| {
            known.ended_at = event;
            known.returned.replace(movement).is_none()
        })
    }

    fn once(&mut self, order: u64, change: impl FnOnce(&mut ReservedOrder) -> bool) -> Found {
        let known = self.0.entry(order).or_default();
        if change(known) {
            return Ok(());
        }
        Err((known.asset(), format!("order {order}: something happened twice: {known:?}")))
    }

    /// The wallet is the cause: all that it did was shown, so what trading took in is set aside.
    /// `shares` are those of discarded trades, by order: they go back with the rest.
    pub(super) fn check(
        &mut self,
        shares: &BTreeMap<u128, Amount>,
        releases: Option<&SavedReleases>,
        breaches: &mut Vec<Breach>,
    ) {
        // Given up without a reservation: there is nothing to give back, and no more to see.
        self.0.retain(|_, known| !known.is_nothing());
        self.0.retain(|order, known| {
            let share = shares.get(&order_key(OrderId(*order)).as_u128()).copied().unwrap_or(0);
            let mut breach = |rule, what: &str| {
                report(breaches, rule, Some(known.asset()), || {
                    format!("order {order} {what}: {known:?}")
                });
            };
            if known.placed.is_some() && known.placed != known.reserved {
                breach("REC2", "was placed, and the wallet did not set that aside");
            }
            let told = releases.is_some_and(|saved| {
                known.ended_at <= saved.cursor && !saved.owed.contains(&OrderId(*order))
            });
            if told && known.is_lost() {
                breach("REC6", "has ended, and its release is lost");
            }
            match known.is_over(share) {
                Some(false) => breach("REC2", "ended differently"),
                // What a discarded trade would have taken is waited for as its money was.
                Some(true) if share == 0 => return false,
                _ => {}
            }
            true
        });
    }

    /// By how much the wallet's reserved money differs from trading's, by user and asset.
    pub(super) fn on_the_way(&self) -> impl Iterator<Item = ((u128, AssetCode), i128)> + '_ {
        self.0.values().flat_map(ReservedOrder::on_the_way)
    }
}

impl ReservedOrder {
    fn asset(&self) -> AssetCode {
        let any = self.reserved.or(self.placed).or(self.returned);
        any.map(|movement| movement.asset).unwrap_or_default()
    }

    fn is_nothing(&self) -> bool {
        let Self { reserved, released, placed, .. } = self;
        reserved.is_none() && released.is_none() && placed.is_none()
    }

    /// Trading has ended it, and the wallet still holds its money.
    fn is_lost(&self) -> bool {
        self.returned.is_some() && self.reserved.is_some() && self.released.is_none()
    }

    /// Whether both sides have ended it, and if so, whether in the same way.
    fn is_over(&self, share: Amount) -> Option<bool> {
        let (released, returned) = (self.released?, self.returned?);
        Some(match (self.reserved, self.placed) {
            // Given up before its funds came: whatever was set aside went back.
            (reserved, None) => reserved.is_none_or(|all| all.amount == released),
            (reserved, placed) => reserved == placed && returned.amount + share == released,
        })
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
