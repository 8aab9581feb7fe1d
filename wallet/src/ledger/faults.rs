//! Owns the faults that tests plant in a sound ledger, to see that they are found. Not part of any
//! build but those of tests. Invariant: each breaks one thing and leaves all others as they were.

use super::Ledger;
use super::types::WalletId;

impl Ledger {
    /// Gives a wallet one unit that comes from nowhere; false if there is no such wallet.
    pub fn plant_unit(&mut self, wallet: WalletId) -> bool {
        let wallet = self.books.wallet_mut(wallet);
        wallet.map(|wallet| wallet.available += 1).is_some()
    }
}
