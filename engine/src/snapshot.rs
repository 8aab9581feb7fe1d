//! Owns the canonical encoding of the whole state, whose BLAKE3 is the state hash.
//! Knows nothing of files. Invariant: equal states give equal bytes: every list has a defined
//! order, every width is fixed, and nothing derived or merely reserved is written.

use crate::accounts::Account;
use crate::balances::{Assets, Balance};
use crate::codec::append as put;
use crate::dedup::{ClientKey, transfer_of};
use crate::engine::{Engine, Instrument};
use crate::intents::Intent;
use crate::order::OrderHandle;
use crate::order_details::OrderState;
use crate::types::{AccountId, InstrumentId, OrderId, Quantity, Side};

/// Version of this encoding.
pub(crate) const FORMAT: u16 = 1;

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
    put(&(id, account.uuid, account.stp_group, account.status, account.killed), out);
    let balances = || {
        let balance = |asset: &crate::balances::Asset| (asset.id, asset.balance(id));
        engine.assets.by_id().map(balance).filter(|(_, b)| *b != Balance::default())
    };
    put(&(balances().count() as u64), out);
    for (asset, balance) in balances() {
        put(&(asset, balance.available, balance.held), out);
    }
    append_traded(engine, account, out);
}

/// Lots by instrument, ascending, of the account's latest trading day.
fn append_traded(engine: &Engine, account: &Account, out: &mut Vec<u8>) {
    let (day, traded) = account.traded_lately();
    let instrument = |slot: u16| engine.instruments[usize::from(slot)].spec.instrument;
    let mut traded: Vec<_> = traded.map(|(slot, lots)| (instrument(slot), lots)).collect();
    traded.sort_unstable_by_key(|(instrument, _)| *instrument);
    put(&(traded.len() as u64), out);
    for (instrument, lots) in traded {
        put(&(instrument, day, lots), out);
    }
}

fn append_instruments(engine: &Engine, out: &mut Vec<u8>) {
    let in_order = || {
        let slots = engine.instrument_slots.iter().filter_map(|s| s.checked_sub(1));
        slots.map(|slot| &engine.instruments[usize::from(slot)])
    };
    put(&(engine.instruments.len() as u64), out);
    for Instrument { spec, status, killed, last_price, .. } in in_order() {
        put(&(*spec, *status, *killed, *last_price), out);
    }
    put(&engine.killed, out);
    for instrument in in_order() {
        for side in Side::ALL {
            append_side(engine, instrument, *side, out);
        }
        append_waiting(engine, instrument.spec.instrument, instrument, out);
    }
}

fn append_side(engine: &Engine, instrument: &Instrument, side: Side, out: &mut Vec<u8>) {
    let levels = instrument.book.side(side).levels();
    put(&levels.map(|level| u64::from(level.queue.len)).sum::<u64>(), out);
    for handle in instrument.book.resting(&engine.orders, side) {
        append_order(engine, handle, out);
    }
}

/// Dormant orders by ascending id, then elected ones in the order in which they start.
fn append_waiting(engine: &Engine, id: InstrumentId, instrument: &Instrument, out: &mut Vec<u8>) {
    let dormant = engine.dormant_handles(id);
    put(&(dormant.len() as u64), out);
    dormant.into_iter().for_each(|handle| append_order(engine, handle, out));
    let triggered = || instrument.stops.triggered(&engine.orders);
    put(&(triggered().count() as u64), out);
    triggered().for_each(|handle| append_order(engine, handle, out));
}

fn append_order(engine: &Engine, handle: OrderHandle, out: &mut Vec<u8>) {
    let (queued, order) = (engine.orders.queued(handle), engine.orders.get(handle));
    let details = engine.details_now(handle);
    let open = engine.orders.open(handle);
    put(&(queued.id, queued.account, order.side, order.order_type, order.time_in_force), out);
    put(&(order.self_trade_policy, order.post_only, details.state as u8), out);
    let rests = details.state == OrderState::Resting;
    let limit = if rests { order.price } else { details.limit };
    let trail = (details.trail_ticks, details.trail_bps, details.trail_reference);
    put(&(order.price, details.trigger, limit, trail.0, trail.1, trail.2), out);
    let (filled, prevented) = (order.filled, order.prevented(open));
    let visible = if rests { queued.visible } else { Quantity(0) };
    put(&(order.quantity, open, visible, details.display, filled, prevented), out);
    // A dormant order has spent nothing, and one that trades by budget never rests.
    let (quote_budget, budget_left) = (details.quote_budget, details.quote_budget);
    put(&(quote_budget, budget_left, order.fee_basis()), out);
    let rates = (order.maker_fee_ppm, order.taker_fee_ppm);
    put(&(rates.0, rates.1, details.expire_at_ns, details.entry_sequence, order.hold()), out);
}

fn append_keys(engine: &Engine, out: &mut Vec<u8>) {
    let keyed = |order: &(OrderId, ClientKey)| order.1 != ClientKey::NONE;
    let placed = engine
        .orders
        .handles()
        .map(|handle| (engine.orders.queued(handle).id, engine.orders.get(handle).client_key));
    let announced = engine.intents().map(|intent| (intent.id, intent.client_key));
    let mut live: Vec<(OrderId, ClientKey)> = placed.chain(announced).filter(keyed).collect();
    live.sort_unstable_by_key(|(id, _)| *id);
    put(&(live.len() as u64), out);
    for (_, key) in live {
        append_client_key(engine, key.0, 0, out);
    }
    put(&(engine.client_ids.retired().count() as u64), out);
    let retired = engine.client_ids.retired();
    retired.for_each(|(at, at_ns)| append_client_key(engine, at, at_ns, out));
    put(&(engine.transfers.retired().count() as u64), out);
    for (at, retired_at_ns) in engine.transfers.retired() {
        let (entry, (_, text)) = (engine.transfers.entry(at), engine.transfers.key_of(at));
        let code = entry.reason.map_or(0, |reason| reason.code());
        put(&(transfer_of(&text), retired_at_ns, code, entry.fingerprint), out);
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

fn append_client_key(engine: &Engine, at: u32, retired_at_ns: u64, out: &mut Vec<u8>) {
    let (entry, (owner, text)) = (engine.client_ids.entry(at), engine.client_ids.key_of(at));
    let code = entry.reason.map_or(0, |reason| reason.code());
    put(&(AccountId(owner), text, entry.order_id, code), out);
    put(&(entry.fingerprint, retired_at_ns), out);
}
