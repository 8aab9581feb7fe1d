//! Owns what an operator decides: settings, assets, instruments, accounts and their status.
//! Knows nothing of orders. Invariant: all checks precede any change, lowest reason first.

use crate::balances::Assets;
use crate::command::EngineConfig;
use crate::engine::{Checked, Engine, Events, Instrument};
use crate::event::Event;
use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::limits::{ASSET_SCALE_MAX, IDEMPOTENCY_CAPACITY_MAX, INSTRUMENTS_MAX, REFERENCE_ID_MAX};
use crate::order_book::OrderBook;
use crate::reject::RejectReason;
use crate::stop_orders::StopOrders;
use crate::types::{AccountId, AccountStatus, AssetCode, AssetId, InstrumentId, Price};

impl EngineConfig {
    pub(crate) fn is_legal(&self) -> bool {
        let capacities =
            [self.client_id_capacity, self.client_ids_per_account, self.transfer_capacity];
        let bounds = [self.max_triggers_per_command, self.max_steps_per_order];
        let windows = [self.dedup_window_ns, self.transfer_window_ns];
        capacities.iter().all(|c| (1..=IDEMPOTENCY_CAPACITY_MAX).contains(c))
            && bounds.iter().all(|bound| *bound > 0)
            && windows.iter().all(|window| *window > 0)
    }
}

impl Engine {
    pub(crate) fn configure(&mut self, config: &EngineConfig, events: &mut Events) -> Checked<()> {
        if !config.is_legal() {
            return Err(RejectReason::InvalidField);
        }
        self.config = *config;
        events.push(Event::ConfigChanged(*config));
        Ok(())
    }

    pub(crate) fn add_asset(
        &mut self,
        asset: AssetId,
        code: AssetCode,
        scale: u8,
        events: &mut Events,
    ) -> Checked<()> {
        if !is_asset(asset, code, scale) || self.assets.is_full() {
            return Err(RejectReason::InvalidField);
        }
        if self.assets.get(asset).is_some() || self.assets.find(code).is_some() {
            return Err(RejectReason::AlreadyExists);
        }
        self.assets.add(asset, code, scale);
        events.push(Event::AssetAdded { asset, code, scale });
        Ok(())
    }

    pub(crate) fn add_instrument(
        &mut self,
        spec: &InstrumentSpec,
        events: &mut Events,
    ) -> Checked<()> {
        let (base_slot, quote_slot) = asset_slots(&self.assets, spec)?;
        if !is_acceptable(spec) || self.instruments.len() >= INSTRUMENTS_MAX {
            return Err(RejectReason::InvalidSpec);
        }
        if self.slot_of(spec.instrument).is_some() {
            return Err(RejectReason::AlreadyExists);
        }
        self.list(spec, base_slot, quote_slot);
        events.push(Event::InstrumentAdded(*spec));
        Ok(())
    }

    /// Lists an instrument that has passed the checks; it is halted.
    pub(crate) fn list(&mut self, spec: &InstrumentSpec, base_slot: usize, quote_slot: usize) {
        let place = spec.instrument.0 as usize;
        if place >= self.instrument_slots.len() {
            self.instrument_slots.resize(place + 1, 0);
        }
        self.instruments.push(Instrument {
            spec: *spec,
            status: TradingStatus::Halted,
            last_price: Price(0),
            book: OrderBook::default(),
            orders: 0,
            killed: false,
            icebergs: 0,
            stops: StopOrders::default(),
            frozen_reference: None,
            base_slot,
            quote_slot,
        });
        self.instrument_slots[place] = u16::try_from(self.instruments.len()).unwrap_or(u16::MAX);
        // Room to list every instrument, so that a drain never allocates.
        self.with_triggered.reserve(self.instruments.len());
    }

    pub(crate) fn update_instrument(
        &mut self,
        spec: &InstrumentSpec,
        events: &mut Events,
    ) -> Checked<()> {
        asset_slots(&self.assets, spec)?;
        let slot = self.slot_of(spec.instrument).ok_or(RejectReason::UnknownSymbol)?;
        let present = &mut self.instruments[usize::from(slot)].spec;
        if !is_acceptable(spec) {
            return Err(RejectReason::InvalidSpec);
        }
        if !present.same_units(spec) {
            return Err(RejectReason::SpecLocked);
        }
        if present == spec {
            return Err(RejectReason::NoChange);
        }
        *present = *spec;
        events.push(Event::InstrumentUpdated(*spec));
        Ok(())
    }

    pub(crate) fn set_trading_status(
        &mut self,
        instrument: InstrumentId,
        status: TradingStatus,
        events: &mut Events,
    ) -> Checked<()> {
        let slot = self.slot_of(instrument).ok_or(RejectReason::UnknownSymbol)?;
        if status == TradingStatus::Auction {
            return Err(RejectReason::Unsupported);
        }
        let present = &mut self.instruments[usize::from(slot)].status;
        if *present == status {
            return Err(RejectReason::NoChange);
        }
        *present = status;
        events.push(Event::StatusChanged { instrument, status });
        Ok(())
    }

    /// A command about an instrument that has its place in the format and nothing behind it yet.
    pub(crate) fn reserved_for_instrument(&self, instrument: InstrumentId) -> Checked<()> {
        self.slot_of(instrument).ok_or(RejectReason::UnknownSymbol)?;
        Err(RejectReason::Unsupported)
    }

    pub(crate) fn register_account(
        &mut self,
        uuid: u128,
        stp_group: u32,
        events: &mut Events,
    ) -> Checked<()> {
        if uuid == 0 || self.accounts.is_full() {
            return Err(RejectReason::InvalidField);
        }
        if self.accounts.find(uuid).is_some() {
            return Err(RejectReason::AlreadyExists);
        }
        let account = self.accounts.register(uuid, stp_group);
        events.push(Event::AccountRegistered { account, uuid, stp_group });
        Ok(())
    }

    pub(crate) fn set_account_status(
        &mut self,
        account: AccountId,
        status: AccountStatus,
        events: &mut Events,
    ) -> Checked<()> {
        let present = self.accounts.get_mut(account).ok_or(RejectReason::UnknownAccount)?;
        if present.status == status {
            return Err(RejectReason::NoChange);
        }
        present.status = status;
        events.push(Event::AccountStatusChanged { account, status });
        Ok(())
    }
}

/// Whether an asset may be called so.
pub(crate) fn is_asset(id: AssetId, code: AssetCode, scale: u8) -> bool {
    (1..=REFERENCE_ID_MAX).contains(&id.0) && code.is_valid() && scale <= ASSET_SCALE_MAX
}

/// Places of base and quote asset.
pub(crate) fn asset_slots(assets: &Assets, spec: &InstrumentSpec) -> Checked<(usize, usize)> {
    let slot = |asset| assets.slot(asset).ok_or(RejectReason::UnknownAsset);
    Ok((slot(spec.base_asset)?, slot(spec.quote_asset)?))
}

pub(crate) fn is_acceptable(spec: &InstrumentSpec) -> bool {
    spec.is_valid() && spec.instrument.0 <= REFERENCE_ID_MAX
}
