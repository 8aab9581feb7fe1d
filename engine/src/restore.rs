//! Owns the way back from a snapshot to a state: what [`crate::snapshot`] writes, read in the same
//! order into a fresh engine; here settings, assets, accounts, instruments and the sums.
//! Knows nothing of files. Invariant: bytes that are let in are a sound state, and their snapshot
//! is these bytes again; all that is not written is built anew.
//!
//! What is built anew may lie elsewhere in memory, and lists that nobody sees the order of have
//! another one: places in slabs, an account's orders, instruments by ascending id.

mod funding;
mod keys;
mod order_checks;
mod orders;

use std::collections::BTreeMap;

use crate::command::EngineConfig;
use crate::dedup::ClientKey;
use crate::engine::{DAY_NS, Engine};
use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::limits::{ACCOUNTS_MAX, ASSETS_MAX, INSTRUMENTS_MAX, PRICE_TICKS_MAX, SUPPLY_MAX};
use crate::reference_data::{asset_slots, is_acceptable, is_asset};
use crate::snapshot::FORMAT;
use crate::snapshot_reader::{RestoreError, RestoreFault, SnapshotReader};
use crate::types::{
    AccountId, AccountStatus, Amount, AssetCode, AssetId, InstrumentId, OrderId, Price, Quantity,
    SignedAmount, TradeId,
};

/// A refusal of the bytes, or what was read.
type Restored<T> = Result<T, RestoreError>;

/// An engine on its way back, and what is known of it that is to be checked or used later.
struct Restoration<'a> {
    engine: Engine,
    from: SnapshotReader<'a>,
    /// Lots that accounts have traded in instruments, which come after them.
    traded: Vec<Traded>,
    /// What live orders hold: by slot of the asset, then by account.
    held: Vec<Vec<Amount>>,
    /// Orders that hold more than they need, which only funded ones do, and their offsets.
    ample: Vec<(OrderId, usize)>,
    /// Keys of orders that are not live: those that wait for their funds.
    announced: BTreeMap<OrderId, ClientKey>,
}

/// What an account has traded on its latest trading day.
struct Traded {
    account: AccountId,
    instrument: InstrumentId,
    day: u64,
    lots: Quantity,
    offset: usize,
}

/// Gives a fresh engine the state of a snapshot.
pub(crate) fn restored(engine: Engine, bytes: &[u8]) -> Restored<Engine> {
    assert_eq!(engine.last_sequence, 0, "only a fresh engine takes another one's state");
    let mut restoration = Restoration {
        engine,
        from: SnapshotReader::new(bytes),
        traded: Vec::new(),
        held: Vec::new(),
        ample: Vec::new(),
        announced: BTreeMap::new(),
    };
    restoration.head()?;
    restoration.assets()?;
    restoration.accounts()?;
    restoration.instruments()?;
    restoration.books()?;
    restoration.keys()?;
    restoration.funding()?;
    restoration.from.finish()?;
    restoration.check_money()?;
    Ok(restoration.engine)
}

impl Restoration<'_> {
    fn head(&mut self) -> Restored<()> {
        let format: u16 = self.from.read("format")?;
        self.from.check(format == FORMAT, "format")?;
        let (last_sequence, now_ns, next_trade_id): (u64, u64, TradeId) =
            self.from.read("sequence, time and next trade")?;
        self.from.check(next_trade_id > TradeId(0), "next trade")?;
        let config: EngineConfig = self.from.read("configuration")?;
        self.from.check(config.is_legal(), "configuration")?;
        let engine = &mut self.engine;
        (engine.last_sequence, engine.now_ns, engine.day) =
            (last_sequence, now_ns, now_ns / DAY_NS);
        (engine.next_trade_id, engine.config) = (next_trade_id, config);
        Ok(())
    }

    fn assets(&mut self) -> Restored<()> {
        let mut previous = AssetId(0);
        for slot in 0..self.from.count("number of assets", ASSETS_MAX)? {
            let (id, code, scale, supply, fees): (_, AssetCode, u8, SignedAmount, SignedAmount) =
                self.from.read("asset")?;
            self.from.check(id > previous, "order of assets")?;
            let is_named = is_asset(id, code, scale) && self.engine.assets.find(code).is_none();
            self.from.check(is_named, "asset")?;
            self.from.check(supply <= SUPPLY_MAX.cast_signed(), "supply")?;
            self.engine.assets.add(id, code, scale);
            let asset = self.engine.assets.at_mut(slot);
            (asset.supply, asset.fees) = (supply, fees);
            self.held.push(Vec::new());
            previous = id;
        }
        Ok(())
    }

    fn accounts(&mut self) -> Restored<()> {
        for _ in 0..self.from.count("number of accounts", ACCOUNTS_MAX as usize)? {
            let (id, uuid, stp_group, status, killed): (AccountId, u128, _, AccountStatus, bool) =
                self.from.read("account")?;
            let is_new = uuid != 0 && self.engine.accounts.find(uuid).is_none();
            self.from.check(is_new, "uuid of an account")?;
            let given = self.engine.accounts.register(uuid, stp_group);
            self.from.check(given == id, "order of accounts")?;
            if let Some(account) = self.engine.accounts.get_mut(id) {
                (account.status, account.killed) = (status, killed);
            }
            self.balances(id)?;
            self.traded(id)?;
        }
        Ok(())
    }

    fn balances(&mut self, account: AccountId) -> Restored<()> {
        let mut previous = AssetId(0);
        for _ in 0..self.from.count("number of balances", ASSETS_MAX)? {
            let (asset, available, held): (AssetId, Amount, Amount) = self.from.read("balance")?;
            self.from.check(asset > previous && (available, held) != (0, 0), "balance")?;
            let slot = self.engine.assets.slot(asset);
            let slot = slot.ok_or_else(|| self.from.illegal("asset of a balance"))?;
            let balance = self.engine.assets.at_mut(slot).balance_mut(account);
            (balance.available, balance.held) = (available, held);
            previous = asset;
        }
        Ok(())
    }

    fn traded(&mut self, account: AccountId) -> Restored<()> {
        let mut previous: Option<(InstrumentId, u64)> = None;
        for _ in 0..self.from.count("number of traded instruments", INSTRUMENTS_MAX)? {
            let (instrument, day, lots): (InstrumentId, u64, Quantity) =
                self.from.read("lots traded")?;
            let follows = previous.is_none_or(|(id, same)| instrument > id && day == same);
            let is_sound = lots > Quantity(0) && day <= self.engine.day;
            self.from.check(follows && is_sound, "lots traded")?;
            let offset = self.from.offset();
            self.traded.push(Traded { account, instrument, day, lots, offset });
            previous = Some((instrument, day));
        }
        Ok(())
    }

    fn instruments(&mut self) -> Restored<()> {
        let mut previous = InstrumentId(0);
        for slot in 0..self.from.count("number of instruments", INSTRUMENTS_MAX)? {
            let (spec, status, killed, last_price): (InstrumentSpec, TradingStatus, bool, Price) =
                self.from.read("instrument")?;
            self.from.check(spec.instrument > previous, "order of instruments")?;
            self.from.check(is_acceptable(&spec), "spec of an instrument")?;
            let slots = asset_slots(&self.engine.assets, &spec);
            let (base, quote) = slots.map_err(|_| self.from.illegal("assets of an instrument"))?;
            let is_sound =
                status != TradingStatus::Auction && (0..=PRICE_TICKS_MAX).contains(&last_price.0);
            self.from.check(is_sound, "status of an instrument")?;
            self.engine.list(&spec, base, quote);
            let instrument = &mut self.engine.instruments[slot];
            (instrument.status, instrument.killed) = (status, killed);
            instrument.last_price = last_price;
            previous = spec.instrument;
        }
        self.engine.killed = self.from.read("switch of the venue")?;
        for Traded { account, instrument, day, lots, offset } in std::mem::take(&mut self.traded) {
            let slot = self.engine.slot_of(instrument);
            let field = "instrument of lots traded";
            let slot = slot.ok_or(RestoreError { field, offset, fault: RestoreFault::Illegal })?;
            self.engine.accounts.note_traded(account, slot, day, lots);
        }
        Ok(())
    }

    /// Counts what a live order holds, which is looked at when all are read.
    fn note_hold(&mut self, asset_slot: usize, account: AccountId, hold: Amount) -> Restored<()> {
        let (held, place) = (&mut self.held[asset_slot], account.0 as usize);
        if place >= held.len() {
            held.resize(place + 1, 0);
        }
        let sum = held[place].checked_add(hold);
        held[place] = sum.ok_or_else(|| self.from.illegal("hold of a live order"))?;
        Ok(())
    }

    /// Each asset adds up, and what is held of it is held by orders.
    fn check_money(&self) -> Restored<()> {
        for (asset, held) in self.engine.assets.iter().zip(&self.held) {
            self.from.check(asset.holds(held), "sum of the holds of an account")?;
            self.from.check(asset.is_conserved(), "sum of an asset")?;
        }
        for (id, offset) in &self.ample {
            if !self.engine.funded.contains_key(id) {
                let field = "hold of a live order";
                return Err(RestoreError { field, offset: *offset, fault: RestoreFault::Illegal });
            }
        }
        Ok(())
    }
}
