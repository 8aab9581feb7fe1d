//! Owns by how much the ledger is off zero, asset by asset. Knows nothing of what follows from it.
//! Invariant: worked out from wallets, fees and the world outside alone, not from the ledger's own
//! running totals.

use std::collections::BTreeMap;

use engine::fees::signed;
use wallet::ledger::Ledger;

/// Units of each asset: all wallets, the fees and the world outside together.
pub(super) fn unbalanced(ledger: &Ledger) -> BTreeMap<String, i128> {
    let books = ledger.books();
    let mut owned = BTreeMap::<_, i128>::new();
    for (_, wallet) in books.wallets() {
        *owned.entry(wallet.asset).or_default() += signed(wallet.total());
    }
    let sum = |asset: engine::AssetId| owned.get(&asset).copied().unwrap_or_default();
    let each = books
        .assets()
        .map(|asset| (asset.code.to_string(), sum(asset.id) + asset.fees + asset.external));
    each.collect()
}
