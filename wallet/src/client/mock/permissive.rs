//! Owns the mock that says yes to everything. Knows nothing of balances.
//! Invariant: no money moves; a trade still has one settlement.

use std::collections::BTreeMap;

use engine::{Amount, AssetCode};
use uuid::Uuid;

use super::books::Books;
use crate::client::{
    ReleaseRequest, Released, ReserveRequest, Reserved, SettleRequest, Settlement, WalletBalance,
    WalletError,
};
use crate::wire::Assets;

/// What everybody has, and what every release gives back, in whole assets.
const AVAILABLE: Amount = 10_000;
const RELEASED: Amount = 100;

#[derive(Debug, Default)]
pub(super) struct Permissive {
    settlements: BTreeMap<Uuid, Settlement>,
}

impl Permissive {
    pub(super) fn reserve(
        &mut self,
        request: &ReserveRequest,
        books: &mut Books,
    ) -> Result<Reserved, WalletError> {
        let WalletBalance { available, .. } = balance(books.assets(), request.asset)?;
        let balance = WalletBalance { available, reserved: request.amount };
        Ok(Reserved { reservation_id: books.next_id(), balance })
    }

    pub(super) fn settle(&mut self, request: &SettleRequest, books: &mut Books) -> Settlement {
        let settled_at_ns = self.settlements.len() as u64 + 1;
        *self.settlements.entry(request.trade_id).or_insert_with(|| Settlement {
            settlement_id: books.next_id(),
            settled_at_ns,
            buyer_reservation_released: false,
            seller_reservation_released: false,
        })
    }

    pub(super) fn settlement_of_trade(&self, trade: Uuid) -> Option<Settlement> {
        self.settlements.get(&trade).copied()
    }
}

pub(super) fn balance(assets: &Assets, asset: AssetCode) -> Result<WalletBalance, WalletError> {
    Ok(WalletBalance { available: whole(assets, asset, AVAILABLE)?, reserved: 0 })
}

pub(super) fn release(assets: &Assets, request: &ReleaseRequest) -> Result<Released, WalletError> {
    Ok(Released { released: whole(assets, request.asset, RELEASED)? })
}

fn whole(assets: &Assets, asset: AssetCode, count: Amount) -> Result<Amount, WalletError> {
    let scale = assets.scale(asset);
    let scale = scale.ok_or_else(|| WalletError::InvalidRequest("unknown asset".to_owned()))?;
    Ok(count * 10u128.pow(scale.into()))
}
