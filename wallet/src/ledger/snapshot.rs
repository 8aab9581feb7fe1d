//! Owns the canonical encoding of the whole state, whose BLAKE3 is the state hash.
//! Knows nothing of files. Invariant: equal states give equal bytes: every list has a defined
//! order, every width is fixed, and nothing derived or merely reserved is written.

use engine::codec::append as put;

use super::Ledger;
use super::books::{AssetBook, Leg, Wallet};
use super::command::Posting;
use super::reservations::Reservation;
use super::transactions::Transaction;

/// Version of this encoding.
pub(super) const FORMAT: u16 = 1;

pub(super) fn append(ledger: &Ledger, out: &mut Vec<u8>) {
    put(&(FORMAT, ledger.last_sequence, ledger.now_ns, ledger.chain), out);
    put(&(ledger.books.assets().len() as u64), out);
    ledger.books.assets().for_each(|asset| append_asset(asset, out));
    put(&(ledger.books.wallet_count() as u64), out);
    ledger.books.wallets().for_each(|(_, wallet)| append_wallet(wallet, out));
    put(&(ledger.transactions.len() as u64), out);
    for (_, transaction) in ledger.transactions.iter() {
        append_transaction(transaction, out);
        ledger.transactions.legs(transaction).for_each(|leg| append_leg(&leg, out));
    }
    put(&(ledger.transactions.keys().len() as u64), out);
    ledger.transactions.keys().for_each(|(key, id)| put(&(key.0, *id), out));
    put(&(ledger.reservations.iter().len() as u64), out);
    ledger.reservations.iter().for_each(|(id, r)| append_reservation(id.0, r, out));
    put(&(ledger.reservations.burned().count() as u64), out);
    ledger.reservations.burned().for_each(|order| put(&order, out));
    put(&(ledger.pending.len() as u64), out);
    for (id, Posting { debit, credit, amount }) in &ledger.pending {
        put(&(*id, *debit, *credit, *amount), out);
    }
}

fn append_asset(asset: &AssetBook, out: &mut Vec<u8>) {
    let AssetBook {
        id,
        code,
        scale,
        amount_min,
        amount_max,
        fees,
        external,
        owned: _,
        withdrawals_frozen,
    } = asset;
    put(&(id, code, scale, amount_min, amount_max, fees, external, withdrawals_frozen), out);
}

fn append_wallet(wallet: &Wallet, out: &mut Vec<u8>) {
    let Wallet { user, asset, status, available, reserved, pool, pending: _, opened_ns } = wallet;
    put(&(user, asset, status, available, reserved, pool, opened_ns), out);
}

fn append_transaction(transaction: &Transaction, out: &mut Vec<u8>) {
    let Transaction {
        kind,
        status,
        reason,
        funding,
        sequence,
        timestamp_ns,
        fingerprint,
        wallet,
        amount,
        new_balance,
        available,
        first_leg: _,
        legs,
        link,
        used_up,
    } = transaction;
    put(&(kind, status, reason, funding, sequence, timestamp_ns, fingerprint), out);
    put(&(wallet, amount, new_balance, available, legs, link, used_up), out);
}

fn append_leg(leg: &Leg, out: &mut Vec<u8>) {
    let Leg { debit, credit, amount, pooled } = leg;
    put(&(debit, credit, amount, pooled), out);
}

fn append_reservation(id: u64, reservation: &Reservation, out: &mut Vec<u8>) {
    let Reservation { order, wallet, original, remaining, released, ended_by } = reservation;
    put(&(id, order, wallet, original, remaining, released, ended_by), out);
}
