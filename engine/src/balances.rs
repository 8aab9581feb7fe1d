//! Owns the trading money: every account's balance in every asset, the fees earned, the supply.
//! Knows nothing of orders. Invariant: for each asset, the sum of available and held over all
//! accounts plus the fees equals the supply, and no balance is ever negative.

use crate::limits::{ASSETS_MAX, SUPPLY_MAX};
use crate::types::{AccountId, Amount, AssetCode, AssetId, SignedAmount};

/// One account's money in one asset, smallest units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub available: Amount,
    /// Promised to live orders.
    pub held: Amount,
}

impl Balance {
    /// # Panics
    /// If more would be held than is available: the caller has checked.
    #[inline]
    pub(crate) fn hold(&mut self, amount: Amount) {
        assert!(self.available >= amount, "hold of {amount} exceeds {}", self.available);
        self.available -= amount;
        self.held += amount;
    }

    /// # Panics
    /// If less is held.
    #[inline]
    pub(crate) fn release(&mut self, amount: Amount) {
        self.spend(amount);
        self.available += amount;
    }

    /// Takes held money away for good.
    ///
    /// # Panics
    /// If less is held.
    #[inline]
    pub(crate) fn spend(&mut self, amount: Amount) {
        assert!(self.held >= amount, "spending {amount} of {} held", self.held);
        self.held -= amount;
    }

    /// Moves the hold of one order from `from` to `to`.
    ///
    /// # Panics
    /// If the difference is not available.
    #[inline]
    pub(crate) fn adjust_hold(&mut self, from: Amount, to: Amount) {
        if to >= from {
            self.hold(to - from);
        } else {
            self.release(from - to);
        }
    }
}

/// One asset and everybody's money in it.
#[derive(Clone, Debug)]
pub struct Asset {
    pub id: AssetId,
    pub code: AssetCode,
    /// Decimal places: one unit is 10^-scale.
    pub scale: u8,
    /// Credits minus debits. Below zero only while rebates paid exceed the fees earned and what
    /// they brought has left with the proceeds of a funded order.
    pub supply: SignedAmount,
    /// Fees earned less rebates paid.
    pub fees: SignedAmount,
    /// By account, from 1; shorter than the account list where the rest never had any.
    balances: Vec<Balance>,
}

impl Asset {
    /// The account's balance, zero if it never had any.
    #[inline]
    #[must_use]
    pub fn balance(&self, account: AccountId) -> Balance {
        self.balances.get(account.0 as usize).copied().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn balance_mut(&mut self, account: AccountId) -> &mut Balance {
        let place = account.0 as usize;
        if place >= self.balances.len() {
            self.balances.resize(place + 1, Balance::default());
        }
        &mut self.balances[place]
    }

    /// Whether `amount` more may exist.
    #[must_use]
    pub fn accepts(&self, amount: Amount) -> bool {
        let sum = SignedAmount::try_from(amount).ok().and_then(|a| self.supply.checked_add(a));
        sum.is_some_and(|supply| supply <= SUPPLY_MAX.cast_signed())
    }

    /// Whether all the money there is can be accounted for.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let mut parts = self.balances.iter().flat_map(|b| [b.available, b.held]);
        let owned = parts.try_fold(0, Amount::checked_add);
        let owned = owned.and_then(|owned| SignedAmount::try_from(owned).ok());
        owned.and_then(|owned| owned.checked_add(self.fees)) == Some(self.supply)
    }

    /// Whether the held part of every balance is what `held` says, by account as in `balances`.
    pub(crate) fn holds(&self, held: &[Amount]) -> bool {
        let expected = held.iter().copied().chain(std::iter::repeat(0));
        held.len() <= self.balances.len()
            && self.balances.iter().zip(expected).all(|(balance, held)| balance.held == held)
    }
}

/// All assets.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    assets: Vec<Asset>,
    /// Place in `assets` plus one, by id; 0 where no asset has the id.
    slot_by_id: Vec<u32>,
}

impl Assets {
    pub(crate) fn len(&self) -> usize {
        self.assets.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.assets.len() >= ASSETS_MAX
    }

    /// Place of an asset in the list.
    #[must_use]
    pub fn slot(&self, id: AssetId) -> Option<usize> {
        (*self.slot_by_id.get(id.0 as usize)? as usize).checked_sub(1)
    }

    #[must_use]
    pub fn get(&self, id: AssetId) -> Option<&Asset> {
        self.assets.get(self.slot(id)?)
    }

    #[must_use]
    pub fn find(&self, code: AssetCode) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.code == code)
    }

    #[inline]
    pub(crate) fn at(&self, slot: usize) -> &Asset {
        &self.assets[slot]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: usize) -> &mut Asset {
        &mut self.assets[slot]
    }

    /// Adds an asset whose id the caller has checked.
    pub(crate) fn add(&mut self, id: AssetId, code: AssetCode, scale: u8) {
        assert!(!self.is_full() && self.slot(id).is_none());
        self.assets.push(Asset { id, code, scale, supply: 0, fees: 0, balances: Vec::new() });
        let place = id.0 as usize;
        if place >= self.slot_by_id.len() {
            self.slot_by_id.resize(place + 1, 0);
        }
        self.slot_by_id[place] = u32::try_from(self.assets.len()).unwrap_or(u32::MAX);
    }

    /// Assets in the order in which they were added; those that were restored come first, by
    /// ascending id.
    pub fn iter(&self) -> impl Iterator<Item = &Asset> {
        self.assets.iter()
    }

    /// Assets in ascending id.
    pub fn by_id(&self) -> impl Iterator<Item = &Asset> {
        let slots = self.slot_by_id.iter().filter_map(|slot| (*slot as usize).checked_sub(1));
        slots.map(|slot| &self.assets[slot])
    }
}
