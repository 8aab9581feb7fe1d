//! Owns what happens to assets and wallets as such: adding, opening, freezing, closing.
//! Knows nothing of movements. Invariant: a closed wallet is empty and stays closed.

use engine::limits::{ASSET_SCALE_MAX, REFERENCE_ID_MAX};
use engine::{Amount, AssetCode, AssetId};

use super::books::AssetBook;
use super::event::Event;
use super::reject::RejectReason;
use super::types::{UserId, WalletId, WalletStatus};
use super::{Checked, Events, Ledger};
use crate::limits::OWNED_MAX;

impl Ledger {
    pub(super) fn add_asset(
        &mut self,
        asset: AssetId,
        code: AssetCode,
        scale: u8,
        (amount_min, amount_max): (Amount, Amount),
        events: &mut Events,
    ) -> Checked<()> {
        let known = self.books.assets().any(|known| known.id == asset || known.code == code);
        if known {
            return Err(RejectReason::AlreadyExists);
        }
        let id_fits = (1..=REFERENCE_ID_MAX).contains(&asset.0);
        let amounts_fit = 0 < amount_min && amount_min <= amount_max && amount_max <= OWNED_MAX;
        if !(id_fits && code.is_valid() && scale <= ASSET_SCALE_MAX && amounts_fit) {
            return Err(RejectReason::InvalidRequest);
        }
        if self.books.assets().len() >= self.capacity.assets {
            return Err(RejectReason::CapacityExhausted);
        }
        self.books.add_asset(AssetBook {
            id: asset,
            code,
            scale,
            amount_min,
            amount_max,
            fees: 0,
            external: 0,
            owned: 0,
            withdrawals_frozen: false,
        });
        events.push(Event::AssetAdded { asset, code, scale, amount_min, amount_max });
        Ok(())
    }

    pub(super) fn open_wallet(
        &mut self,
        user: UserId,
        asset: AssetId,
        events: &mut Events,
    ) -> Checked<()> {
        self.books.asset(asset).ok_or(RejectReason::UnknownAsset)?;
        if user == UserId(0) {
            return Err(RejectReason::InvalidRequest);
        }
        if let Some(wallet) = self.books.wallet_of(user, asset) {
            events.push(Event::WalletExists { wallet });
            return Ok(());
        }
        if self.books.wallet_count() >= self.capacity.wallets {
            return Err(RejectReason::CapacityExhausted);
        }
        self.wallet_for(user, asset, events);
        Ok(())
    }

    /// The user's wallet in a known asset, opened if there is none. The caller has checked that
    /// there is room.
    pub(super) fn wallet_for(
        &mut self,
        user: UserId,
        asset: AssetId,
        events: &mut Events,
    ) -> WalletId {
        self.books.wallet_of(user, asset).unwrap_or_else(|| {
            let wallet = self.books.open(user, asset, self.now_ns);
            events.push(Event::WalletOpened { wallet, user, asset });
            wallet
        })
    }

    /// How many of these wallets would have to be opened, at most.
    pub(super) fn missing_wallets(&self, owners: &[(UserId, AssetId)]) -> usize {
        let missing =
            |(user, asset): &&(UserId, AssetId)| self.books.wallet_of(*user, *asset).is_none();
        owners.iter().filter(missing).count()
    }

    pub(super) fn free_wallets(&self) -> usize {
        self.capacity.wallets.saturating_sub(self.books.wallet_count())
    }

    pub(super) fn set_wallet_status(
        &mut self,
        id: WalletId,
        status: WalletStatus,
        events: &mut Events,
    ) -> Checked<()> {
        let wallet = self.books.wallet_mut(id).ok_or(RejectReason::UnknownWallet)?;
        if wallet.status == WalletStatus::Closed && status != WalletStatus::Closed {
            return Err(RejectReason::WalletClosed);
        }
        let is_empty = wallet.total() == 0 && wallet.pending == 0;
        if status == WalletStatus::Closed && !is_empty {
            return Err(RejectReason::WalletNotEmpty);
        }
        wallet.status = status;
        events.push(Event::WalletStatusChanged { wallet: id, status });
        Ok(())
    }

    pub(super) fn freeze_withdrawals(
        &mut self,
        asset: AssetId,
        frozen: bool,
        events: &mut Events,
    ) -> Checked<()> {
        let book = self.books.asset_mut(asset).ok_or(RejectReason::UnknownAsset)?;
        book.withdrawals_frozen = frozen;
        events.push(Event::WithdrawalsFrozen { asset, frozen });
        Ok(())
    }

    /// Refuses a wallet that is not active.
    pub(super) fn check_active(&self, wallet: WalletId) -> Checked<()> {
        match self.books.wallet(wallet).map(|w| w.status) {
            None => Err(RejectReason::UnknownWallet),
            Some(WalletStatus::Active) => Ok(()),
            Some(WalletStatus::Frozen) => Err(RejectReason::WalletFrozen),
            Some(WalletStatus::Closed) => Err(RejectReason::WalletClosed),
        }
    }
}
