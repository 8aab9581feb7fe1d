//! Owns the acts of orders with reservations of their own: announced, reserved, placed or given up,
//! released. Knows nothing of the comparison. Invariant: each act is one command of one machine, or
//! none.

use engine::{Command, NewOrder, OrderId, RejectReason};
use wallet::ledger::types::{ReleaseReason, UserId};
use wallet::ledger::{Release, Reserve};

use super::*;
use crate::trade::order_key;

/// An order that waits for its funds.
#[derive(Clone, Copy)]
pub(in crate::reconcile::tests) struct Waiting {
    pub(in crate::reconcile::tests) order: OrderId,
    user: u32,
    asset: engine::AssetId,
    amount: u128,
    /// What the wallet has answered.
    pub(in crate::reconcile::tests) reserved: Option<bool>,
}

/// An order that has ended, and of which the wallet does not know it.
#[derive(Clone, Copy)]
pub(in crate::reconcile::tests) struct Ended {
    pub(in crate::reconcile::tests) order: OrderId,
    pub(in crate::reconcile::tests) captured: u128,
}

impl World {
    /// A world whose users keep their money in the wallet.
    pub(in crate::reconcile::tests) fn per_order() -> Self {
        Self { per_order: true, ..Self::new() }
    }

    pub(super) fn note_end(&mut self, event: &Event) {
        if let Event::FundsReturned { order_id: order, captured, .. } = *event {
            self.ended.push(Ended { order, captured });
        }
    }

    pub(in crate::reconcile::tests) fn announce(
        &mut self,
        market: u32,
        user: u32,
        side: Side,
        quantity: u64,
        price: i64,
    ) {
        let (instrument, account) = (InstrumentId(market), AccountId(user));
        let (quantity, price) = (engine::Quantity(quantity), engine::Price(price));
        let order = NewOrder::limit(account, instrument, side, quantity, price);
        for event in self.trade(Command::ReserveOrder(order)) {
            if let Event::OrderReserving { order_id: order, asset, amount, .. } = event {
                self.waiting.push(Waiting { order, user, asset, amount, reserved: None });
            }
        }
    }

    /// The wallet is asked for the funds of an order.
    pub(in crate::reconcile::tests) fn reserve(&mut self, place: usize) {
        let Waiting { order, user, asset, amount, .. } = self.waiting[place];
        let events = self.book(LedgerCommand::Reserve(Reserve {
            user: UserId(user.into()),
            asset,
            amount,
            order: order_key(order).as_u128(),
            reason: ReserveReason::OrderPlacement,
        }));
        let done = events.iter().any(|event| matches!(event, LedgerEvent::ReservationChanged(_)));
        self.waiting[place].reserved = Some(done);
    }

    /// Trading places an order, or gives it up.
    pub(in crate::reconcile::tests) fn decide(&mut self, place: usize, give_up: bool) {
        let Waiting { order: order_id, reserved, .. } = self.waiting.remove(place);
        let reason = RejectReason::FundsUnavailable;
        self.trade(match reserved == Some(true) && !give_up {
            true => Command::PlaceReserved { order_id },
            false => Command::AbandonReserved { order_id, reason },
        });
    }

    /// The wallet is told of an end; what it refuses is told again later.
    pub(in crate::reconcile::tests) fn release(&mut self, place: usize) {
        let Ended { order, captured } = self.ended[place];
        let events = self.book(LedgerCommand::Release(Release {
            reservation: TransactionId(0),
            order: order_key(order).as_u128(),
            reason: ReleaseReason::OrderCancelled,
            captured_total: Some(captured),
        }));
        let pending = LedgerEvent::CommandRejected {
            reason: wallet::ledger::reject::RejectReason::CapturePending,
        };
        if events[0] != pending {
            self.ended.remove(place);
        }
    }
}
