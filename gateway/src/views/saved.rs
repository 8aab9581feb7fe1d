//! Owns how all views are saved into a snapshot and restored from one.
//! Knows nothing of files, nor of what a model keeps. Invariant: after the same commands the same
//! bytes, and bytes that are let in are saved as these bytes again.
//!
//! Who waits for a sequence or follows the next moment is this process's own and not saved: the
//! sequence and the orders say it anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::codec::append as put;
use engine::{RestoreError, SnapshotReader};

use crate::views::{
    Accounts, Balances, Market, Orders, OwnTrades, Products, Switches, Transfers, Views,
};

/// Version of this encoding.
const FORMAT: u16 = 1;

impl Views {
    /// Appends all models. Readers may go on meanwhile.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let Self {
            orders,
            balances,
            market,
            products,
            accounts,
            transfers,
            own_trades,
            switches,
            reflected: _,
            progress: _,
            next_moment: _,
        } = self;
        put(&(FORMAT, self.sequence()), out);
        products.read().save(out);
        accounts.read().save(out);
        transfers.read().save(out);
        switches.read().save(out);
        balances.read().save(out);
        market.read().save(out);
        own_trades.read().save(out);
        orders.read().save(out);
    }

    /// Puts what was saved in the place of models that nothing was shown to.
    ///
    /// # Errors
    /// The bytes are not what [`Self::save`] writes, and nothing has changed.
    pub(super) fn restore(&self, bytes: &[u8]) -> Result<(), RestoreError> {
        let from = &mut SnapshotReader::new(bytes);
        let (format, sequence): (u16, u64) = from.read("format")?;
        from.check(format == FORMAT, "format")?;
        let products = Products::restored(from)?;
        let accounts = Accounts::restored(from)?;
        let transfers = Transfers::restored(from)?;
        let switches = Switches::restored(from)?;
        let balances = Balances::restored(from)?;
        let market = Market::restored(from)?;
        let own_trades = OwnTrades::restored(from)?;
        let orders = Orders::restored(from)?;
        let last = [
            switches.sequence(),
            balances.sequence(),
            market.sequence(),
            own_trades.sequence(),
            orders.sequence(),
        ];
        from.check(last.iter().all(|last| *last <= sequence), "sequence of a model")?;
        from.finish()?;
        *self.products.write() = Arc::new(products);
        *self.accounts.write() = accounts;
        *self.transfers.write() = transfers;
        *self.switches.write() = switches;
        *self.balances.write() = balances;
        *self.market.write() = market;
        *self.own_trades.write() = own_trades;
        let next_moment = orders.next_moment();
        *self.orders.write() = orders;
        self.next_moment.send_replace(next_moment);
        self.reflected.store(sequence, Ordering::Release);
        self.progress.send_replace(sequence);
        Ok(())
    }
}

/// Entries by ascending key, to be encoded as a map of them is.
pub(super) fn ascending<K: Copy + Ord, V>(map: &HashMap<K, V>) -> Vec<(K, &V)> {
    let mut entries: Vec<_> = map.iter().map(|(key, value)| (*key, value)).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

#[cfg(test)]
mod tests;
