//! Owns who may trade: the account list, each account's status and its live orders.
//! Knows nothing of money. Invariant: accounts are numbered densely from 1 and never removed, and
//! an account's list holds exactly its live orders.

use std::collections::BTreeMap;

use crate::limits::ACCOUNTS_MAX;
use crate::order::{OrderHandle, OrderSlab};
use crate::types::{AccountId, AccountStatus};

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    pub uuid: u128,
    /// Accounts of one group count as one owner; 0 is no group.
    pub stp_group: u32,
    pub status: AccountStatus,
    first_order: OrderHandle,
    /// Live orders by instrument slot, ascending; an instrument once traded stays listed.
    open_orders: Vec<(u32, u32)>,
}

/// All accounts.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    accounts: Vec<Account>,
    by_uuid: BTreeMap<u128, AccountId>,
}

impl Accounts {
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get((id.0 as usize).checked_sub(1)?)
    }

    pub(crate) fn get_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut((id.0 as usize).checked_sub(1)?)
    }

    #[must_use]
    pub fn find(&self, uuid: u128) -> Option<AccountId> {
        self.by_uuid.get(&uuid).copied()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.accounts.len() >= ACCOUNTS_MAX as usize
    }

    pub(crate) fn register(&mut self, uuid: u128, stp_group: u32) -> AccountId {
        assert!(!self.is_full());
        self.accounts.push(Account {
            uuid,
            stp_group,
            status: AccountStatus::Active,
            first_order: OrderHandle::NONE,
            open_orders: Vec::new(),
        });
        let id = AccountId(u32::try_from(self.accounts.len()).unwrap_or(u32::MAX));
        self.by_uuid.insert(uuid, id);
        id
    }

    /// Accounts in ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        (1..).map(AccountId).zip(&self.accounts)
    }

    fn existing(&mut self, id: AccountId) -> &mut Account {
        match self.get_mut(id) {
            Some(account) => account,
            None => unreachable!("an order's account exists"),
        }
    }

    /// Lists an order that has become live.
    pub(crate) fn add_order(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let (order, _) = orders.both_mut(handle);
        let slot = order.instrument_slot;
        let account = self.existing(order.account);
        match account.open_orders.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(place) => account.open_orders[place].1 += 1,
            Err(place) => account.open_orders.insert(place, (slot, 1)),
        }
        let next = std::mem::replace(&mut account.first_order, handle);
        let money = orders.money_mut(handle);
        (money.account_next, money.account_previous) = (next, OrderHandle::NONE);
        if !next.is_none() {
            orders.money_mut(next).account_previous = handle;
        }
    }

    /// Unlists an order that is about to close.
    pub(crate) fn remove_order(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let (order, money) = orders.both_mut(handle);
        let (next, previous) = (money.account_next, money.account_previous);
        let slot = order.instrument_slot;
        let account = self.existing(order.account);
        match account.open_orders.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(place) => account.open_orders[place].1 -= 1,
            Err(_) => unreachable!("a live order is counted"),
        }
        if previous.is_none() {
            account.first_order = next;
        } else {
            orders.money_mut(previous).account_next = next;
        }
        if !next.is_none() {
            orders.money_mut(next).account_previous = previous;
        }
    }
}

impl Account {
    /// Live orders in one instrument.
    #[must_use]
    pub fn open_orders(&self, instrument_slot: u32) -> u32 {
        match self.open_orders.binary_search_by_key(&instrument_slot, |(slot, _)| *slot) {
            Ok(place) => self.open_orders[place].1,
            Err(_) => 0,
        }
    }

    /// Live orders, newest first.
    pub(crate) fn orders<'a>(
        &self,
        orders: &'a OrderSlab,
    ) -> impl Iterator<Item = OrderHandle> + use<'a> {
        let live = |handle: OrderHandle| (!handle.is_none()).then_some(handle);
        std::iter::successors(live(self.first_order), move |h| live(orders.money(*h).account_next))
    }
}
