//! Owns the money: every wallet's accounts, and fees and the world outside for each asset.
//! Knows nothing of why money moves. Invariant: for each asset, what wallets own, the fees and the
//! world outside add up to zero after every movement, and no wallet's account is ever negative.

use std::collections::BTreeMap;

use engine::{Amount, AssetCode, AssetId, SignedAmount};

use super::reject::RejectReason;
use super::segmented_list::SegmentedList;
use super::types::{Account, UserId, WalletId, WalletStatus};
use crate::limits::OWNED_MAX;

/// One asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetBook {
    pub id: AssetId,
    pub code: AssetCode,
    /// Decimal places: one unit is 10^-scale.
    pub scale: u8,
    /// What one movement that a user asks for may be worth, units.
    pub amount_min: Amount,
    pub amount_max: Amount,
    pub fees: SignedAmount,
    pub external: SignedAmount,
    /// Sum over all wallets, available and reserved.
    pub owned: Amount,
    pub withdrawals_frozen: bool,
}

/// One user's money in one asset, units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    pub user: UserId,
    pub asset: AssetId,
    pub status: WalletStatus,
    pub available: Amount,
    pub reserved: Amount,
    /// The part of `reserved` that is lent to trading as a whole and belongs to no order.
    pub pool: Amount,
    /// Withdrawals and transfers that wait for money to come back from trading.
    pub pending: u32,
    pub opened_ns: u64,
}

impl Wallet {
    #[must_use]
    pub fn total(&self) -> Amount {
        self.available + self.reserved
    }
}

/// One movement to make, or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    pub debit: Account,
    pub credit: Account,
    pub amount: Amount,
    /// Whether reserved money here belongs to the pool, not to an order.
    pub pooled: bool,
}

impl Leg {
    /// The same money back again.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { debit: self.credit, credit: self.debit, ..self }
    }
}

/// All assets and wallets.
#[derive(Clone, Debug, Default)]
pub struct Books {
    assets: BTreeMap<AssetId, AssetBook>,
    wallets: SegmentedList<Wallet>,
    by_owner: BTreeMap<(UserId, AssetId), WalletId>,
}

impl Books {
    #[must_use]
    pub fn asset(&self, id: AssetId) -> Option<&AssetBook> {
        self.assets.get(&id)
    }

    pub(super) fn asset_mut(&mut self, id: AssetId) -> Option<&mut AssetBook> {
        self.assets.get_mut(&id)
    }

    /// All assets in ascending id.
    pub fn assets(&self) -> impl ExactSizeIterator<Item = &AssetBook> {
        self.assets.values()
    }

    pub(super) fn add_asset(&mut self, asset: AssetBook) {
        let previous = self.assets.insert(asset.id, asset);
        assert!(previous.is_none(), "an asset is added once");
    }

    /// All wallets in ascending id.
    pub fn wallets(&self) -> impl Iterator<Item = (WalletId, &Wallet)> {
        (1..).map(WalletId).zip(self.wallets.iter())
    }

    #[must_use]
    pub fn wallet_count(&self) -> usize {
        self.wallets.len()
    }

    #[must_use]
    pub fn wallet(&self, id: WalletId) -> Option<&Wallet> {
        self.wallets.get((id.0 as usize).checked_sub(1)?)
    }

    pub(super) fn wallet_mut(&mut self, id: WalletId) -> Option<&mut Wallet> {
        self.wallets.get_mut((id.0 as usize).checked_sub(1)?)
    }

    #[must_use]
    pub fn wallet_of(&self, user: UserId, asset: AssetId) -> Option<WalletId> {
        self.by_owner.get(&(user, asset)).copied()
    }

    /// Whether the user has any wallet.
    #[must_use]
    pub fn knows(&self, user: UserId) -> bool {
        let all = (user, AssetId(0))..=(user, AssetId(u32::MAX));
        self.by_owner.range(all).next().is_some()
    }

    pub(super) fn open(&mut self, user: UserId, asset: AssetId, opened_ns: u64) -> WalletId {
        let place = self.wallets.push(Wallet {
            user,
            asset,
            status: WalletStatus::Active,
            available: 0,
            reserved: 0,
            pool: 0,
            pending: 0,
            opened_ns,
        });
        let id = WalletId(u32::try_from(place + 1).expect("the number of wallets is bounded"));
        let previous = self.by_owner.insert((user, asset), id);
        assert!(previous.is_none(), "a user has one wallet in an asset");
        id
    }

    /// The asset that an account holds.
    #[must_use]
    pub fn asset_of(&self, account: Account) -> Option<AssetId> {
        match account {
            Account::Available(id) | Account::Reserved(id) => Some(self.wallet(id)?.asset),
            Account::Fees(asset) | Account::External(asset) => Some(self.asset(asset)?.id),
        }
    }

    /// Balance of an account, units; 0 for one that does not exist.
    #[must_use]
    pub fn balance(&self, account: Account) -> SignedAmount {
        let signed = |amount: Amount| SignedAmount::try_from(amount).expect("amounts are bounded");
        match account {
            Account::Available(id) => self.wallet(id).map_or(0, |w| signed(w.available)),
            Account::Reserved(id) => self.wallet(id).map_or(0, |w| signed(w.reserved)),
            Account::Fees(asset) => self.asset(asset).map_or(0, |a| a.fees),
            Account::External(asset) => self.asset(asset).map_or(0, |a| a.external),
        }
    }

    /// Makes all movements in order, or none. Movements of nothing, or from an account to itself,
    /// must have been dropped.
    ///
    /// # Errors
    /// `INSUFFICIENT_FUNDS` or `RESERVED_SHORT` by the account that has too little;
    /// `BALANCE_OVERFLOW`.
    pub(super) fn apply(&mut self, legs: &[Leg]) -> Result<(), RejectReason> {
        for (done, leg) in legs.iter().enumerate() {
            if let Err(reason) = self.apply_one(*leg) {
                for leg in legs[..done].iter().rev() {
                    self.apply_one(leg.reversed()).expect("what came can go back");
                }
                return Err(reason);
            }
        }
        Ok(())
    }

    /// One movement. The caller has checked that both accounts exist and hold one asset.
    fn apply_one(&mut self, leg: Leg) -> Result<(), RejectReason> {
        let Leg { debit, credit, amount, pooled } = leg;
        assert!(amount > 0 && debit != credit, "a movement moves something");
        let id = self.asset_of(debit).expect("checked: the account exists");
        assert_eq!(self.asset_of(credit), Some(id), "a movement is of one asset");
        match debit {
            Account::Available(w) if self.expect_wallet(w).available < amount => {
                return Err(RejectReason::InsufficientFunds);
            }
            Account::Reserved(w) => {
                let Wallet { reserved, pool, .. } = *self.expect_wallet(w);
                let there = if pooled { pool } else { reserved - pool };
                if there < amount {
                    return Err(RejectReason::ReservedShort);
                }
            }
            _ => {}
        }
        let book = self.assets.get_mut(&id).expect("a wallet's asset exists");
        let is_owned = |account| matches!(account, Account::Available(_) | Account::Reserved(_));
        let signed = SignedAmount::try_from(amount).map_err(|_| RejectReason::BalanceOverflow)?;
        let owned = match (is_owned(debit), is_owned(credit)) {
            (false, true) => book.owned.checked_add(amount).filter(|owned| *owned <= OWNED_MAX),
            (true, false) => book.owned.checked_sub(amount),
            _ => Some(book.owned),
        };
        let owned = owned.ok_or(RejectReason::BalanceOverflow)?;
        for (account, change) in [(debit, -signed), (credit, signed)] {
            let balance = match account {
                Account::Fees(_) => book.fees,
                Account::External(_) => book.external,
                Account::Available(_) | Account::Reserved(_) => continue,
            };
            let after = balance.checked_add(change).map(SignedAmount::unsigned_abs);
            // What leaves with rebates and comes back as fees could grow without end.
            if after.is_none_or(|after| after > 2 * OWNED_MAX) {
                return Err(RejectReason::BalanceOverflow);
            }
        }
        book.owned = owned;
        self.add(debit, -signed, pooled);
        self.add(credit, signed, pooled);
        let book = &self.assets[&id];
        let owned = SignedAmount::try_from(book.owned).expect("bounded");
        assert_eq!(owned + book.fees + book.external, 0, "asset {id} does not add up to zero");
        Ok(())
    }

    fn expect_wallet(&mut self, id: WalletId) -> &mut Wallet {
        self.wallet_mut(id).expect("checked: the wallet exists")
    }

    fn add(&mut self, account: Account, change: SignedAmount, pooled: bool) {
        let apply = |amount: &mut Amount| {
            *amount = amount.checked_add_signed(change).expect("checked: enough is there");
        };
        match account {
            Account::Available(id) => apply(&mut self.expect_wallet(id).available),
            Account::Reserved(id) => {
                let wallet = self.expect_wallet(id);
                apply(&mut wallet.reserved);
                if pooled {
                    apply(&mut wallet.pool);
                }
            }
            Account::Fees(id) => self.assets.get_mut(&id).expect("it exists").fees += change,
            Account::External(id) => {
                self.assets.get_mut(&id).expect("it exists").external += change;
            }
        }
    }
}
