//! Owns the canonical encoding of the whole state, whose BLAKE3 is the state hash.
//! Knows nothing of files. Invariant: equal states give equal bytes: every list has a defined
//! order, every width is fixed, and nothing derived or merely reserved is written.

use crate::accounts::Account;
use crate::balances::{Assets, Balance};
use crate::codec::append as put;
use crate::dedup::{ClientKey, ClientOrderKey, DedupEntry};
use crate::engine::{Engine, Instrument};
use crate::intents::Intent;
use crate::order::{Order, OrderMoney};
use crate::types::{AccountId, OrderId, Price, Quantity, Side};

/// Version of this encoding.
const FORMAT: u16 = 1;
/// State code of a resting order.
const RESTING: u8 = 2;

pub(crate) fn append(engine: &Engine, out: &mut Vec<u8>) {
    put(&(FORMAT, engine.last_sequence, engine.now_ns, engine.next_trade_id), out);
    put(&engine.config, out);
    append_assets(&engine.assets, out);
    append_accounts(engine, out);
    append_instruments(engine, out);
    append_keys(engine, out);
    append_funding(engine, out);
}

fn append_assets(assets: &Assets, out: &mut Vec<u8>) {
    put(&(assets.iter().count() as u64), out);
    for asset in assets.by_id() {
        put(&(asset.id, asset.code, asset.scale, asset.supply, asset.fees), out);
    }
}

fn append_accounts(engine: &Engine, out: &mut Vec<u8>) {
    put(&(engine.accounts.iter().count() as u64), out);
    for (id, account) in engine.accounts.iter() {
        append_account(engine, id, account, out);
    }
}

fn append_account(engine: &Engine, id: AccountId, account: &Account, out: &mut Vec<u8>) {
    let killed = false;
    put(&(id, account.uuid, account.stp_group, account.status, killed), out);
    let balances = || {
        let balance = |asset: &crate::balances::Asset| (asset.id, asset.balance(id));
        engine.assets.by_id().map(balance).filter(|(_, b)| *b != Balance::default())
    };
    put(&(balances().count() as u64), out);
    for (asset, balance) in balances() {
        put(&(asset, balance.available, balance.held), out);
    }
    let days_traded = 0u64;
    put(&days_traded, out);
}

fn append_instruments(engine: &Engine, out: &mut Vec<u8>) {
    let in_order = || {
        let slots = engine.instrument_slots.iter().filter_map(|s| (*s as usize).checked_sub(1));
        slots.map(|slot| &engine.instruments[slot])
    };
    let killed = false;
    put(&(engine.instruments.len() as u64), out);
    for Instrument { spec, status, last_price, .. } in in_order() {
        put(&(*spec, *status, killed, *last_price), out);
    }
    put(&killed, out);
    for instrument in in_order() {
        for side in Side::ALL {
            append_side(engine, instrument, *side, out);
        }
        let (dormant, triggered) = (0u64, 0u64);
        put(&(dormant, triggered), out);
    }
}

fn append_side(engine: &Engine, instrument: &Instrument, side: Side, out: &mut Vec<u8>) {
    let levels = || instrument.book.side(side).levels();
    put(&levels().map(|level| u64::from(level.orders)).sum::<u64>(), out);
    for level in levels() {
        for (handle, order) in instrument.book.queue(&engine.orders, level) {
            append_order(order, engine.orders.money(handle), out);
        }
    }
}

fn append_order(order: &Order, money: &OrderMoney, out: &mut Vec<u8>) {
    let no_price = Price(0);
    let none = Quantity(0);
    put(&(order.id, order.account, order.side, order.order_type, order.time_in_force), out);
    put(&(order.self_trade_policy, order.post_only, RESTING), out);
    let (trigger, trail_ticks, trail_bps, trail_reference) = (no_price, 0i64, 0u32, no_price);
    put(&(order.price, trigger, order.price, trail_ticks, trail_bps, trail_reference), out);
    let (visible, display, prevented) = (order.open, none, money.prevented(order.open));
    put(&(money.quantity, order.open, visible, display, money.filled, prevented), out);
    let (quote_budget, budget_left) = (0u128, 0u128);
    put(&(quote_budget, budget_left, money.fee_basis), out);
    let (expire_at_ns, entry_sequence) = (0u64, 0u64);
    let (maker_rate, taker_rate) = (order.maker_fee_ppm, order.taker_fee_ppm);
    put(&(maker_rate, taker_rate, expire_at_ns, entry_sequence, money.hold), out);
}

fn append_keys(engine: &Engine, out: &mut Vec<u8>) {
    let keyed = |order: &(OrderId, ClientKey)| order.1 != ClientKey::NONE;
    let placed = engine
        .orders
        .handles()
        .map(|handle| (engine.orders.get(handle).id, engine.orders.money(handle).client_key));
    let announced = engine.intents().map(|intent| (intent.id, intent.client_key));
    let mut live: Vec<(OrderId, ClientKey)> = placed.chain(announced).filter(keyed).collect();
    live.sort_unstable_by_key(|(id, _)| *id);
    put(&(live.len() as u64), out);
    for (_, key) in live {
        append_client_key(engine.client_ids.live(key.0), out);
    }
    put(&(engine.client_ids.retired().count() as u64), out);
    engine.client_ids.retired().for_each(|entry| append_client_key(entry, out));
    put(&(engine.transfers.retired().count() as u64), out);
    for entry in engine.transfers.retired() {
        let code = entry.reason.map_or(0, |reason| reason.code());
        put(&(entry.key, entry.retired_at_ns, code, entry.fingerprint), out);
    }
}

/// Orders that wait for their funds, then what each live funded order was given.
fn append_funding(engine: &Engine, out: &mut Vec<u8>) {
    put(&(engine.intents.len() as u64), out);
    for intent in engine.intents() {
        let Intent { id, order, asset, amount, limit, maker_fee_ppm, taker_fee_ppm, .. } = *intent;
        put(&(id, order), out);
        put(&(asset, amount, limit, maker_fee_ppm, taker_fee_ppm), out);
    }
    put(&(engine.funded.len() as u64), out);
    for (id, given) in &engine.funded {
        put(&(*id, *given), out);
    }
}

fn append_client_key(entry: &DedupEntry<ClientOrderKey>, out: &mut Vec<u8>) {
    let code = entry.reason.map_or(0, |reason| reason.code());
    put(&(entry.key.account, entry.key.id, entry.order_id, code), out);
    put(&(entry.fingerprint, entry.retired_at_ns), out);
}
