//! Owns what is set aside for orders. Knows nothing of balances.
//! Invariant: captured + released + remaining = original, and an ended reservation stays as it is.

use std::collections::BTreeMap;

use engine::{Amount, AssetId};

use super::event::ReservationState;
use super::types::{ReserveReason, TransactionId, WalletId};

/// Money set aside for one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub order: u128,
    pub wallet: WalletId,
    pub original: Amount,
    pub remaining: Amount,
    pub released: Amount,
    /// The transaction that ended it, 0 while it is active.
    pub ended_by: TransactionId,
}

impl Reservation {
    /// What trades have taken, units.
    #[must_use]
    pub fn captured(&self) -> Amount {
        self.original - self.remaining - self.released
    }

    #[must_use]
    pub fn is_active(&self) -> bool {
        self.ended_by == TransactionId(0)
    }

    /// As an event shows it.
    #[must_use]
    pub fn state(&self, id: TransactionId) -> ReservationState {
        ReservationState {
            reservation: id,
            order: self.order,
            reason: ReserveReason::OrderPlacement,
            wallet: self.wallet,
            original: self.original,
            remaining: self.remaining,
            released: self.released,
            ended: !self.is_active(),
        }
    }
}

/// Orders whose reservation was released before it was made: it must not be made any more.
const BURNED: AssetId = AssetId(0);

/// All reservations, named by the transaction that made them.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    by_id: BTreeMap<TransactionId, Reservation>,
    /// An order has a reservation in each asset at most; asset 0 marks a burned order.
    by_order: BTreeMap<(u128, AssetId), TransactionId>,
}

impl Reservations {
    /// Reservations and burned orders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_order.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn get(&self, id: TransactionId) -> Option<&Reservation> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: TransactionId) -> Option<&mut Reservation> {
        self.by_id.get_mut(&id)
    }

    #[must_use]
    pub fn find(&self, order: u128, asset: AssetId) -> Option<TransactionId> {
        self.by_order.get(&(order, asset)).copied()
    }

    /// The only reservation of an order; `None` if there is none, or more than one.
    #[must_use]
    pub fn find_only(&self, order: u128) -> Option<TransactionId> {
        let mut all = self.by_order.range((order, AssetId(1))..=(order, AssetId(u32::MAX)));
        let (_, id) = all.next()?;
        all.next().is_none().then_some(*id)
    }

    #[must_use]
    pub fn has_any(&self, order: u128) -> bool {
        let all = (order, AssetId(1))..=(order, AssetId(u32::MAX));
        self.by_order.range(all).next().is_some()
    }

    #[must_use]
    pub fn is_burned(&self, order: u128) -> bool {
        self.by_order.contains_key(&(order, BURNED))
    }

    pub(super) fn burn(&mut self, order: u128) {
        self.by_order.insert((order, BURNED), TransactionId(0));
    }

    pub(super) fn add(&mut self, id: TransactionId, asset: AssetId, reservation: Reservation) {
        let previous = self.by_order.insert((reservation.order, asset), id);
        assert!(previous.is_none(), "an order has one reservation in an asset");
        self.by_id.insert(id, reservation);
    }

    /// All reservations in ascending id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TransactionId, &Reservation)> {
        self.by_id.iter().map(|(id, reservation)| (*id, reservation))
    }

    /// Burned orders, ascending.
    pub fn burned(&self) -> impl Iterator<Item = u128> {
        self.by_order.keys().filter(|(_, asset)| *asset == BURNED).map(|(order, _)| *order)
    }
}
