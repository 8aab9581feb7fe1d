//! Owns what the model answers. Knows nothing of events.
//! Invariant: nothing is changed by asking.

use engine::{AssetCode, AssetId};

use super::{Model, index};
use crate::client::FundingEvent;
use crate::ledger::ReservationState;
use crate::ledger::types::{TransactionId, UserId, WalletId};
use crate::views::history::{Past, Until};
use crate::views::shown::{AssetView, Settled, WalletView};
use crate::views::transactions::{Kept, TransactionView};

impl Model {
    pub(in crate::views) fn asset(&self, id: AssetId) -> Option<AssetView> {
        self.assets.get(&id).copied()
    }

    pub(in crate::views) fn asset_by_code(&self, code: AssetCode) -> Option<AssetView> {
        self.assets.values().find(|asset| asset.code == code).copied()
    }

    pub(in crate::views) fn assets(&self) -> Vec<AssetView> {
        self.assets.values().copied().collect()
    }

    pub(in crate::views) fn wallet(&self, id: WalletId) -> Option<&WalletView> {
        self.wallets.get(index(id)?)
    }

    pub(in crate::views) fn wallet_of(&self, user: UserId, asset: AssetId) -> Option<&WalletView> {
        self.wallet(*self.by_owner.get(&(user, asset))?)
    }

    pub(in crate::views) fn wallets_of(&self, user: UserId) -> impl Iterator<Item = &WalletView> {
        let all = (user, AssetId(0))..=(user, AssetId(u32::MAX));
        self.by_owner.range(all).filter_map(|(_, id)| self.wallet(*id))
    }

    pub(in crate::views) fn wallets_after(
        &self,
        after: WalletId,
    ) -> impl Iterator<Item = &WalletView> {
        self.wallets.iter().skip(after.0 as usize)
    }

    pub(in crate::views) fn past(&self, wallet: WalletId, until: Until) -> Option<Past> {
        let wallet = self.wallet(wallet)?;
        Some(self.history.at(wallet.head, until))
    }

    pub(in crate::views) fn transaction(&self, id: TransactionId) -> Kept {
        self.transactions.get(id)
    }

    pub(in crate::views) fn begun_ns(&self, id: TransactionId) -> Option<u64> {
        self.transactions.begun_ns(id)
    }

    pub(in crate::views) fn transactions_of(
        &self,
        wallet: WalletId,
        before: Option<TransactionId>,
        max: usize,
    ) -> Vec<TransactionView> {
        let Some(wallet) = self.wallet(wallet) else { return Vec::new() };
        let moments = self.history.of(wallet.head);
        let ids = moments.map(|moment| moment.transaction);
        // By their place, not by their number: one that had to wait stands where it ended.
        let behind = before.is_some();
        let ids = ids.skip_while(|id| before.is_some_and(|before| *id != before));
        let ids = ids.skip(usize::from(behind)).take(max);
        let kept = ids.filter_map(|id| match self.transactions.get(id) {
            Kept::Whole(transaction) => Some(*transaction),
            Kept::Forgotten | Kept::Never => None,
        });
        kept.collect()
    }

    pub(in crate::views) fn settlement(&self, trade: u128) -> Settled {
        match self.settlements.get(&trade) {
            Some(settlement) => Settled::Yes(*settlement),
            None if self.has_forgotten => Settled::Forgotten,
            None => Settled::No,
        }
    }

    pub(in crate::views) fn reservation(
        &self,
        id: TransactionId,
    ) -> Option<(ReservationState, WalletView)> {
        let state = *self.reservations.get(&id)?;
        Some((state, *self.wallet(state.wallet)?))
    }

    pub(in crate::views) fn reservation_of_order(
        &self,
        order: u128,
    ) -> Option<(ReservationState, WalletView)> {
        self.reservation(*self.by_order.get(&order)?)
    }

    pub(in crate::views) fn funding(
        &self,
        after: u64,
        until: u64,
        max: usize,
    ) -> Option<Vec<FundingEvent>> {
        if after < self.funding_floor {
            return None;
        }
        let start = self.funding.partition_point(|event| event.cursor <= after);
        let mut page = Vec::new();
        for event in self.funding.range(start..) {
            let begins = page.last().is_none_or(|last: &FundingEvent| last.cursor != event.cursor);
            if event.cursor > until || begins && page.len() >= max {
                break;
            }
            page.push(*event);
        }
        Some(page)
    }
}
