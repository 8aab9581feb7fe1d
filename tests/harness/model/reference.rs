//! Owns the lists that trading refers to: settings, assets, instruments and accounts.
//! Knows nothing of orders. Invariant: what is listed is never removed, and ids never change.

use engine::command::EngineConfig;
use engine::limits::{ASSET_SCALE_MAX, IDEMPOTENCY_CAPACITY_MAX, REFERENCE_ID_MAX};
use engine::{
    AccountId, AccountStatus, AssetCode, AssetId, Event, InstrumentId, InstrumentSpec,
    RejectReason, TradingStatus,
};

use super::arithmetic::spec_is_valid;
use super::{Account, Asset, Instrument, Model, Verdict};

impl Model {
    pub(super) fn configure(&mut self, config: EngineConfig) -> Verdict {
        let zero = config.max_triggers_per_command == 0
            || config.max_steps_per_order == 0
            || config.client_id_capacity == 0
            || config.client_ids_per_account == 0
            || config.dedup_window_ns == 0
            || config.transfer_capacity == 0
            || config.transfer_window_ns == 0;
        let large = config
            .client_id_capacity
            .max(config.client_ids_per_account)
            .max(config.transfer_capacity);
        if zero || large > IDEMPOTENCY_CAPACITY_MAX {
            return Err(RejectReason::InvalidField);
        }
        self.config = config;
        self.emit(Event::ConfigChanged(config));
        Ok(())
    }

    pub(super) fn add_asset(&mut self, id: AssetId, code: AssetCode, scale: u8) -> Verdict {
        let legal_id = (1..=REFERENCE_ID_MAX).contains(&id.0);
        if !legal_id || !code.is_valid() || scale > ASSET_SCALE_MAX {
            return Err(RejectReason::InvalidField);
        }
        if self.assets.iter().any(|a| a.id == id || a.code == code) {
            return Err(RejectReason::AlreadyExists);
        }
        self.assets.push(Asset { id, code, supply: 0, fees: 0 });
        self.emit(Event::AssetAdded { asset: id, code, scale });
        Ok(())
    }

    pub(super) fn add_instrument(&mut self, spec: InstrumentSpec) -> Verdict {
        self.asset(spec.base_asset)?;
        self.asset(spec.quote_asset)?;
        if !spec_is_valid(&spec) || spec.instrument.0 > REFERENCE_ID_MAX {
            return Err(RejectReason::InvalidSpec);
        }
        if self.instrument(spec.instrument).is_ok() {
            return Err(RejectReason::AlreadyExists);
        }
        self.instruments.push(Instrument {
            spec,
            status: TradingStatus::Halted,
            killed: false,
            last_price: 0,
            band_reference: spec.reference_price.0,
        });
        self.emit(Event::InstrumentAdded(spec));
        Ok(())
    }

    pub(super) fn update_instrument(&mut self, spec: InstrumentSpec) -> Verdict {
        self.asset(spec.base_asset)?;
        self.asset(spec.quote_asset)?;
        let old = self.instrument(spec.instrument)?.spec;
        if !spec_is_valid(&spec) {
            return Err(RejectReason::InvalidSpec);
        }
        if old.base_asset != spec.base_asset
            || old.quote_asset != spec.quote_asset
            || old.base_per_lot != spec.base_per_lot
            || old.quote_per_tick_lot != spec.quote_per_tick_lot
        {
            return Err(RejectReason::SpecLocked);
        }
        if old == spec {
            return Err(RejectReason::NoChange);
        }
        self.instrument_mut(spec.instrument)?.spec = spec;
        self.emit(Event::InstrumentUpdated(spec));
        Ok(())
    }

    pub(super) fn set_trading_status(
        &mut self,
        instrument: InstrumentId,
        status: TradingStatus,
    ) -> Verdict {
        let before = self.instrument(instrument)?.status;
        if status == TradingStatus::Auction {
            return Err(RejectReason::Unsupported);
        }
        if before == status {
            return Err(RejectReason::NoChange);
        }
        self.instrument_mut(instrument)?.status = status;
        self.emit(Event::StatusChanged { instrument, status });
        Ok(())
    }

    pub(super) fn register_account(&mut self, uuid: u128, stp_group: u32) -> Verdict {
        if uuid == 0 {
            return Err(RejectReason::InvalidField);
        }
        if self.accounts.iter().any(|a| a.uuid == uuid) {
            return Err(RejectReason::AlreadyExists);
        }
        self.accounts.push(Account {
            uuid,
            stp_group,
            status: AccountStatus::Active,
            killed: false,
            available: Vec::new(),
            volume_day: 0,
            volumes: Vec::new(),
        });
        let account = AccountId(u32::try_from(self.accounts.len()).expect("few accounts"));
        self.emit(Event::AccountRegistered { account, uuid, stp_group });
        Ok(())
    }

    pub(super) fn set_account_status(&mut self, id: AccountId, status: AccountStatus) -> Verdict {
        if self.account(id)?.status == status {
            return Err(RejectReason::NoChange);
        }
        self.accounts[id.0 as usize - 1].status = status;
        self.emit(Event::AccountStatusChanged { account: id, status });
        Ok(())
    }
}
