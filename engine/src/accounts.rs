//! Owns who may trade: the account list, each account's status and its live orders.
//! Knows nothing of money. Invariant: accounts are numbered densely from 1 and never removed, and
//! an account's list holds exactly its live orders.

use std::collections::BTreeMap;

use crate::limits::ACCOUNTS_MAX;
use crate::order::OrderHandle;
use crate::order_slab::OrderSlab;
use crate::types::{AccountId, AccountStatus, Quantity};

/// What an account does in one instrument.
#[derive(Clone, Copy, Debug)]
struct Activity {
    instrument_slot: u16,
    /// Live orders.
    open_orders: u32,
    /// Lots traded on the account's latest trading day.
    traded: Quantity,
}

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    pub uuid: u128,
    /// Accounts of one group count as one owner; 0 is no group.
    pub stp_group: u32,
    pub status: AccountStatus,
    pub killed: bool,
    first_order: OrderHandle,
    /// By instrument slot, ascending; an instrument once traded stays listed.
    activities: Vec<Activity>,
    /// UTC day, counted from the Unix epoch, of its latest trade.
    trading_day: u64,
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

    pub(crate) fn len(&self) -> usize {
        self.accounts.len()
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
            killed: false,
            first_order: OrderHandle::NONE,
            activities: Vec::new(),
            trading_day: 0,
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
        let slot = orders.get(handle).instrument_slot;
        let account = self.existing(orders.queued(handle).account);
        account.activity_mut(slot).open_orders += 1;
        let next = std::mem::replace(&mut account.first_order, handle);
        let order = orders.get_mut(handle);
        (order.account_next, order.account_previous) = (next, OrderHandle::NONE);
        if !next.is_none() {
            orders.get_mut(next).account_previous = handle;
        }
    }

    /// Unlists an order that is about to close.
    pub(crate) fn remove_order(&mut self, orders: &mut OrderSlab, handle: OrderHandle) {
        let order = orders.get(handle);
        let (next, previous) = (order.account_next, order.account_previous);
        let account = self.existing(orders.queued(handle).account);
        account.activity_mut(order.instrument_slot).open_orders -= 1;
        if previous.is_none() {
            account.first_order = next;
        } else {
            orders.get_mut(previous).account_next = next;
        }
        if !next.is_none() {
            orders.get_mut(next).account_previous = previous;
        }
    }

    /// Counts lots that an account traded in an instrument on a UTC day.
    #[inline]
    pub(crate) fn note_traded(
        &mut self,
        account: AccountId,
        instrument_slot: u16,
        day: u64,
        quantity: Quantity,
    ) {
        let account = self.existing(account);
        if account.trading_day != day {
            account.trading_day = day;
            account.activities.iter_mut().for_each(|activity| activity.traded = Quantity(0));
        }
        let traded = &mut account.activity_mut(instrument_slot).traded;
        traded.0 = traded.0.saturating_add(quantity.0);
    }
}

impl Account {
    #[inline]
    fn place_of(&self, instrument_slot: u16) -> Result<usize, usize> {
        self.activities.binary_search_by_key(&instrument_slot, |activity| activity.instrument_slot)
    }

    #[inline]
    fn activity_mut(&mut self, instrument_slot: u16) -> &mut Activity {
        let place = self.place_of(instrument_slot).unwrap_or_else(|place| {
            let fresh = Activity { instrument_slot, open_orders: 0, traded: Quantity(0) };
            self.activities.insert(place, fresh);
            place
        });
        &mut self.activities[place]
    }

    /// Live orders in one instrument.
    #[must_use]
    pub fn open_orders(&self, instrument_slot: u16) -> u32 {
        self.place_of(instrument_slot).map_or(0, |place| self.activities[place].open_orders)
    }

    /// Lots traded in one instrument on a UTC day, at most `u64::MAX`; 0 on any but its latest.
    #[must_use]
    pub fn traded(&self, instrument_slot: u16, day: u64) -> Quantity {
        let place = self.place_of(instrument_slot).ok().filter(|_| self.trading_day == day);
        place.map_or(Quantity(0), |place| self.activities[place].traded)
    }

    /// UTC day of its latest trade, counted from the Unix epoch, and the instruments (by slot) that
    /// it traded on that day, with the lots.
    pub(crate) fn traded_lately(&self) -> (u64, impl Iterator<Item = (u16, Quantity)>) {
        let traded = self.activities.iter().filter(|activity| activity.traded > Quantity(0));
        (self.trading_day, traded.map(|activity| (activity.instrument_slot, activity.traded)))
    }

    /// Live orders, newest first.
    pub(crate) fn orders<'a>(
        &self,
        orders: &'a OrderSlab,
    ) -> impl Iterator<Item = OrderHandle> + use<'a> {
        let next = move |handle: &OrderHandle| orders.get(*handle).account_next.some();
        std::iter::successors(self.first_order.some(), next)
    }
}
