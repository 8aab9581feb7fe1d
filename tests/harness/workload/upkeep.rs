//! Owns the random commands that concern no order: money, statuses, switches and listings.
//! Knows nothing of orders. Invariant: what stops trading is undone more often than it is done.

use engine::{AccountStatus, Amount, AssetCode, AssetId, Command, KillSwitchScope, TradingStatus};

use super::Workload;

impl Workload {
    pub(super) fn switches_on(&self) -> Vec<(KillSwitchScope, u32)> {
        let scopes = KillSwitchScope::ALL.iter();
        let all = scopes.flat_map(|scope| (0..5).map(|id| (*scope, id)));
        all.filter(|(scope, id)| self.model.is_killed(*scope, *id)).collect()
    }

    pub(super) fn transfer_amount(&mut self, asset: AssetId) -> Amount {
        match self.random.below(100) {
            0..3 => 0,
            3..5 => 1 << 120,
            5 => Amount::MAX,
            _ => self.market.amount(&mut self.random, asset),
        }
    }

    pub(super) fn credit(&mut self) -> Command {
        let (transfer_id, account, asset) = (self.transfer_id(), self.account(), self.asset());
        let amount = self.transfer_amount(asset);
        Command::Credit { transfer_id, account, asset, amount }
    }

    pub(super) fn debit(&mut self) -> Command {
        let (transfer_id, account, asset) = (self.transfer_id(), self.account(), self.asset());
        let available = self.model.balance(account, asset).0;
        let amount = match self.random.below(10) {
            0..3 => available,
            3 => available + 1,
            _ => self.transfer_amount(asset),
        };
        Command::Debit { transfer_id, account, asset, amount }
    }

    pub(super) fn trading_status(&mut self) -> Command {
        let instrument = self.instrument();
        let status = match self.random.below(100) {
            0..89 => TradingStatus::Trading,
            89..93 => TradingStatus::CancelOnly,
            93..98 => TradingStatus::Halted,
            _ => TradingStatus::Auction,
        };
        Command::SetTradingStatus { instrument, status }
    }

    pub(super) fn account_status(&mut self) -> Command {
        let account = self.account();
        let active = self.random.chance(92);
        let status = if active { AccountStatus::Active } else { AccountStatus::Suspended };
        Command::SetAccountStatus { account, status }
    }

    /// Listings, most of them refused.
    pub(super) fn reference_command(&mut self) -> Command {
        match self.random.below(4) {
            0 => {
                let asset = AssetId(u32::try_from(self.random.below(7)).expect("small"));
                let code = AssetCode::new(&format!("A{}", self.random.below(9)));
                let code = code.expect("a legal code");
                let code = if self.random.chance(20) { AssetCode::default() } else { code };
                let scale = self.random.pick(&[8, 18, 19]);
                Command::AddAsset { asset, code, scale }
            }
            1 => {
                let uuid = u128::from(self.random.below(12));
                let stp_group = self.random.pick(&[0, 1]);
                Command::RegisterAccount { uuid, stp_group }
            }
            _ => {
                let mut spec = self.changed_spec();
                spec.instrument.0 = u32::try_from(self.random.below(9)).expect("small");
                Command::AddInstrument(spec)
            }
        }
    }

    pub(super) fn kill_switch(&mut self) -> Command {
        let scope = self.random.pick(KillSwitchScope::ALL);
        let id = match scope {
            KillSwitchScope::Account => self.account().0,
            KillSwitchScope::Instrument => self.instrument().0,
            KillSwitchScope::Venue => u32::from(self.random.chance(10)),
        };
        Command::SetKillSwitch { scope, id, on: self.random.chance(90) }
    }
}
