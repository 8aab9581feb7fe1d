//! Owns what the ledger's outcomes are to whoever called, over whatever way.
//! Knows nothing of transports. Invariant: a call through the process and one over HTTP say the
//! same of the same transaction.

use engine::AssetCode;
use uuid::Uuid;

use super::{Released, Reservation, Reserved, Settlement, WalletBalance};
use crate::ids;
use crate::ledger::{Outcome, ReservationState};
use crate::views::{SettlementView, WalletView};

impl From<&Outcome> for Reserved {
    fn from(outcome: &Outcome) -> Self {
        let Outcome { available, new_balance, .. } = *outcome;
        Self {
            reservation_id: ids::transaction(outcome.transaction, outcome.timestamp_ns),
            balance: WalletBalance { available, reserved: new_balance.saturating_sub(available) },
        }
    }
}

impl From<&Outcome> for Released {
    fn from(outcome: &Outcome) -> Self {
        Self { released: outcome.amount }
    }
}

impl From<&Outcome> for Settlement {
    fn from(outcome: &Outcome) -> Self {
        Self {
            settlement_id: ids::transaction(outcome.transaction, outcome.timestamp_ns),
            settled_at_ns: outcome.timestamp_ns,
            buyer_reservation_released: outcome.used_up.buyer,
            seller_reservation_released: outcome.used_up.seller,
        }
    }
}

impl From<&SettlementView> for Settlement {
    fn from(view: &SettlementView) -> Self {
        Self {
            settlement_id: ids::transaction(view.transaction, view.settled_ns),
            settled_at_ns: view.settled_ns,
            buyer_reservation_released: view.used_up.buyer,
            seller_reservation_released: view.used_up.seller,
        }
    }
}

impl Reservation {
    /// A reservation of the ledger, under the id by which callers know it.
    pub(crate) fn of(
        state: &ReservationState,
        wallet: &WalletView,
        asset: AssetCode,
        reservation_id: Uuid,
    ) -> Self {
        let ReservationState { original, remaining, released, .. } = *state;
        Self {
            reservation_id,
            order_id: Uuid::from_u128(state.order),
            user_id: Uuid::from_u128(wallet.user.0),
            asset,
            original,
            remaining,
            captured: original.saturating_sub(remaining).saturating_sub(released),
            released,
            ended: state.ended,
        }
    }
}
