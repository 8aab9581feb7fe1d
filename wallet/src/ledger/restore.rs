//! Owns the way back from a snapshot to a ledger: what [`super::snapshot`] writes, read in the same
//! order into a fresh one of the same bounds; here the money, and that it adds up.
//! Knows nothing of files. Invariant: bytes that are let in are a sound ledger, and their snapshot
//! is these bytes again; all that is not written is built anew.
//!
//! Movements were written with their transactions, so those of one that ended later than it began
//! stand elsewhere than before. Nobody sees where.

mod records;

use std::collections::BTreeMap;

use engine::limits::{ASSET_SCALE_MAX, REFERENCE_ID_MAX};
use engine::{Amount, AssetCode, AssetId, RestoreError, SignedAmount, SnapshotReader};

use super::Ledger;
use super::books::{AssetBook, Leg};
use super::snapshot::FORMAT;
use super::types::{Account, UserId, WalletId, WalletStatus};
use crate::limits::OWNED_MAX;

/// A refusal of the bytes, or what was read.
type Restored<T> = Result<T, RestoreError>;

/// What the movements of two accounts of one owner come to, modulo 2^128: sums over a part of the
/// movements need not fit, the sum over all of them is a balance.
type Pair = [SignedAmount; 2];

/// A ledger on its way back, and what is to be compared when all of it is there.
struct Restoration<'a> {
    ledger: Ledger,
    from: SnapshotReader<'a>,
    /// Of each wallet, available and reserved.
    moved_wallets: Vec<Pair>,
    /// Of each asset, fees and the world outside.
    moved_assets: BTreeMap<AssetId, Pair>,
    /// What orders have set aside, by wallet.
    held: Vec<Amount>,
    /// Transactions that wait for trading.
    pending: usize,
    /// Transactions that set money aside for an order.
    reserves: usize,
}

/// Gives a fresh ledger the state of a snapshot.
pub(super) fn restored(ledger: Ledger, bytes: &[u8]) -> Restored<Ledger> {
    assert_eq!(ledger.last_sequence, 0, "only a fresh ledger takes another one's state");
    let mut restoration = Restoration {
        ledger,
        from: SnapshotReader::new(bytes),
        moved_wallets: Vec::new(),
        moved_assets: BTreeMap::new(),
        held: Vec::new(),
        pending: 0,
        reserves: 0,
    };
    restoration.head()?;
    restoration.assets()?;
    restoration.wallets()?;
    restoration.transactions()?;
    restoration.keys()?;
    restoration.reservations()?;
    restoration.burned()?;
    restoration.pending()?;
    restoration.from.finish()?;
    restoration.check_money()?;
    Ok(restoration.ledger)
}

impl Restoration<'_> {
    fn head(&mut self) -> Restored<()> {
        let format: u16 = self.from.read("format")?;
        self.from.check(format == FORMAT, "format")?;
        (self.ledger.last_sequence, self.ledger.now_ns, self.ledger.chain) =
            self.from.read("sequence, time and hash chain")?;
        Ok(())
    }

    fn assets(&mut self) -> Restored<()> {
        let mut previous = AssetId(0);
        for _ in 0..self.from.count("number of assets", self.ledger.capacity.assets)? {
            let (id, code, scale, amount_min, amount_max, fees, external, withdrawals_frozen): (
                AssetId,
                AssetCode,
                u8,
                Amount,
                Amount,
                SignedAmount,
                SignedAmount,
                bool,
            ) = self.from.read("asset")?;
            self.from.check(id > previous && id.0 <= REFERENCE_ID_MAX, "order of assets")?;
            let is_new = self.ledger.books.assets().all(|known| known.code != code);
            let is_named = is_new && code.is_valid() && scale <= ASSET_SCALE_MAX;
            self.from.check(is_named, "asset")?;
            let bounds = 0 < amount_min && amount_min <= amount_max && amount_max <= OWNED_MAX;
            self.from.check(bounds, "amounts of an asset")?;
            let fits = |balance: SignedAmount| balance.unsigned_abs() <= 2 * OWNED_MAX;
            self.from.check(fits(fees) && fits(external), "balances of an asset")?;
            self.ledger.books.add_asset(AssetBook {
                id,
                code,
                scale,
                amount_min,
                amount_max,
                fees,
                external,
                owned: 0,
                withdrawals_frozen,
            });
            self.moved_assets.insert(id, [0; 2]);
            previous = id;
        }
        Ok(())
    }

    fn wallets(&mut self) -> Restored<()> {
        for _ in 0..self.from.count("number of wallets", self.ledger.capacity.wallets)? {
            let (user, asset, status, available, reserved, pool, opened_ns): (
                UserId,
                AssetId,
                WalletStatus,
                Amount,
                Amount,
                Amount,
                u64,
            ) = self.from.read("wallet")?;
            let books = &mut self.ledger.books;
            let is_new = user != UserId(0) && books.wallet_of(user, asset).is_none();
            let is_sound = is_new && opened_ns <= self.ledger.now_ns && pool <= reserved;
            self.from.check(is_sound, "wallet")?;
            let book = books.asset_mut(asset);
            let book = book.ok_or_else(|| self.from.illegal("asset of a wallet"))?;
            let owned = available.checked_add(reserved).and_then(|sum| sum.checked_add(book.owned));
            let owned = owned.filter(|owned| *owned <= OWNED_MAX);
            book.owned = owned.ok_or_else(|| self.from.illegal("money of a wallet"))?;
            let id = books.open(user, asset, opened_ns);
            let wallet = books.wallet_mut(id).expect("opened");
            (wallet.status, wallet.available) = (status, available);
            (wallet.reserved, wallet.pool) = (reserved, pool);
            self.moved_wallets.push([0; 2]);
            self.held.push(0);
        }
        for asset in self.ledger.books.assets() {
            let sum = asset.owned.cast_signed() + asset.fees + asset.external;
            self.from.check(sum == 0, "sum of an asset")?;
        }
        Ok(())
    }

    /// The one asset of two different accounts that exist, and an amount that can move.
    fn is_movement(&self, debit: Account, credit: Account, amount: Amount) -> bool {
        let asset = self.ledger.books.asset_of(debit);
        let is_one = asset.is_some() && self.ledger.books.asset_of(credit) == asset;
        is_one && debit != credit && (1..=OWNED_MAX).contains(&amount)
    }

    fn note_movement(&mut self, leg: &Leg) {
        let amount = leg.amount.cast_signed();
        for (account, change) in [(leg.debit, -amount), (leg.credit, amount)] {
            let sum = self.moved(account);
            *sum = sum.wrapping_add(change);
        }
    }

    /// What the movements of an account of which the caller knows that it exists come to.
    fn moved(&mut self, account: Account) -> &mut SignedAmount {
        match account {
            Account::Available(id) => &mut self.moved_wallets[place(id)][0],
            Account::Reserved(id) => &mut self.moved_wallets[place(id)][1],
            Account::Fees(id) => &mut self.moved_assets.entry(id).or_default()[0],
            Account::External(id) => &mut self.moved_assets.entry(id).or_default()[1],
        }
    }

    /// Balances are what the movements come to, and reserved money is the pool's or an order's.
    fn check_money(&self) -> Restored<()> {
        let moved = self.moved_wallets.iter().zip(&self.held);
        for ((_, wallet), (moved, held)) in self.ledger.books.wallets().zip(moved) {
            let balances = [wallet.available, wallet.reserved].map(Amount::cast_signed);
            self.from.check(*moved == balances, "movements of a wallet")?;
            let reserved = wallet.pool.checked_add(*held);
            self.from.check(reserved == Some(wallet.reserved), "reserved money of a wallet")?;
        }
        for (asset, moved) in self.ledger.books.assets().zip(self.moved_assets.values()) {
            self.from.check(*moved == [asset.fees, asset.external], "movements of an asset")?;
        }
        let no_past = self.ledger.transactions.is_empty() && self.ledger.chain != [0; 32];
        self.from.check(!no_past, "hash chain")
    }
}

/// Of a wallet that exists.
fn place(id: WalletId) -> usize {
    id.0 as usize - 1
}
