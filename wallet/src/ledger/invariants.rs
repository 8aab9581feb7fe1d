//! Owns the walk over the whole ledger that proves it sound. For tests, audits and reconciliation.
//! Knows nothing of commands. Invariant: it changes nothing.

use std::collections::BTreeMap;

use engine::{Amount, SignedAmount};

use super::Ledger;
use super::types::{Account, WalletId};

impl Ledger {
    /// Checks everything that can be checked from the state alone: each asset adds up to zero,
    /// what is reserved is the pool and the orders' reservations together, every balance is the
    /// sum of its movements, every pending transaction is counted.
    ///
    /// # Errors
    /// One sentence for each breach, in a defined order.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut breaches = Vec::new();
        self.check_assets(&mut breaches);
        self.check_reserved(&mut breaches);
        self.check_movements(&mut breaches);
        if breaches.is_empty() { Ok(()) } else { Err(breaches) }
    }

    fn check_assets(&self, breaches: &mut Vec<String>) {
        for asset in self.books.assets() {
            let wallets = self.books.wallets().filter(|(_, wallet)| wallet.asset == asset.id);
            let owned: Amount = wallets.map(|(_, wallet)| wallet.total()).sum();
            let sum = owned.cast_signed() + asset.fees + asset.external;
            if sum != 0 || owned != asset.owned {
                breaches.push(format!("asset {} adds up to {sum} units, not to 0", asset.code));
            }
        }
    }

    fn check_reserved(&self, breaches: &mut Vec<String>) {
        let mut held = BTreeMap::<WalletId, Amount>::new();
        for (_, reservation) in self.reservations.iter() {
            *held.entry(reservation.wallet).or_default() += reservation.remaining;
        }
        let mut pending = BTreeMap::<WalletId, u32>::new();
        for id in self.pending.keys() {
            let wallet = self.transactions.get(*id).map(|transaction| transaction.wallet);
            *pending.entry(wallet.unwrap_or_default()).or_default() += 1;
        }
        for (id, wallet) in self.books.wallets() {
            let orders = held.get(&id).copied().unwrap_or_default();
            if wallet.pool + orders != wallet.reserved {
                breaches.push(format!(
                    "wallet {}: {} units reserved, but the pool has {} and orders have {orders}",
                    id.0, wallet.reserved, wallet.pool
                ));
            }
            let counted = pending.get(&id).copied().unwrap_or_default();
            if counted != wallet.pending {
                breaches
                    .push(format!("wallet {}: {counted} pending, not {}", id.0, wallet.pending));
            }
        }
    }

    fn check_movements(&self, breaches: &mut Vec<String>) {
        let mut sums = BTreeMap::<Account, SignedAmount>::new();
        for (_, transaction) in self.transactions.iter() {
            for leg in self.transactions.legs(transaction) {
                *sums.entry(leg.debit).or_default() -= leg.amount.cast_signed();
                *sums.entry(leg.credit).or_default() += leg.amount.cast_signed();
            }
        }
        let wallets = self.books.wallets().map(|(id, _)| id);
        let of_wallets = wallets.flat_map(|id| [Account::Available(id), Account::Reserved(id)]);
        let assets = self.books.assets().map(|asset| asset.id);
        let of_assets = assets.flat_map(|id| [Account::Fees(id), Account::External(id)]);
        for account in of_wallets.chain(of_assets) {
            let (is, sum) = (self.books.balance(account), sums.remove(&account).unwrap_or(0));
            if is != sum {
                breaches
                    .push(format!("{account:?} has {is} units, but its movements sum to {sum}"));
            }
        }
    }
}
