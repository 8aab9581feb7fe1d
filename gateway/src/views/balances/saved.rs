//! Owns how balances are saved and restored. Knows nothing of the other models.
//! Invariant: what is held of a balance is not saved, but is the sum of what its orders hold.

use engine::codec::append as put;
use engine::limits::{ACCOUNTS_MAX, ASSETS_MAX, INSTRUMENTS_MAX, LIVE_ORDERS_MAX, SUPPLY_MAX};
use engine::{AccountId, Amount, AssetId, OrderId, RestoreError, SnapshotReader};

use super::{Balances, Held};
use crate::views::saved::ascending;

/// Of an order's id and what it holds.
const HOLD_BYTES: usize = 8 + 4 + 4 + 16;

impl Balances {
    pub(in crate::views) fn save(&self, out: &mut Vec<u8>) {
        let Self { accounts, pairs, holds, sequence } = self;
        put(&(sequence, ascending(pairs)), out);
        put(&(accounts.len() as u64), out);
        for (account, balances) in ascending(accounts) {
            put(&(account, balances.len() as u64), out);
            for (asset, balance) in balances {
                put(&(asset, balance.available), out);
            }
        }
        put(&ascending(holds), out);
    }

    pub(in crate::views) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut restored = Self { sequence: from.read("sequence of balances")?, ..Self::default() };
        restored.pairs = from.map("assets of instruments", INSTRUMENTS_MAX)?.into_iter().collect();
        let mut previous = AccountId(0);
        for _ in 0..from.count("accounts with money", ACCOUNTS_MAX as usize)? {
            let account = from.read("account with money")?;
            from.check(account > previous, "order of accounts with money")?;
            for (asset, available) in from.map::<AssetId, Amount>("balances", ASSETS_MAX)? {
                from.check(available <= SUPPLY_MAX, "balance")?;
                restored.balance(account, asset).available = available;
            }
            from.check(restored.accounts.contains_key(&account), "number of balances")?;
            previous = account;
        }
        let mut previous = OrderId(0);
        let count = from.count_of("holding orders", LIVE_ORDERS_MAX as usize, HOLD_BYTES)?;
        restored.holds.reserve(count);
        for _ in 0..count {
            let (id, held): (OrderId, Held) = from.read("hold")?;
            from.check(id > previous, "order of holds")?;
            restored.put_back(id, held).ok_or_else(|| from.illegal("hold"))?;
            previous = id;
        }
        Ok(restored)
    }

    /// `None` if the account has no such asset, or more of it than there may be.
    fn put_back(&mut self, id: OrderId, held: Held) -> Option<()> {
        let balances = self.accounts.get_mut(&held.account)?;
        let balance = balances.get_mut(&held.asset)?;
        let all = balance.held.checked_add(held.amount)?;
        balance.held = Some(all).filter(|all| *all <= SUPPLY_MAX)?;
        self.holds.insert(id, held);
        Some(())
    }
}
