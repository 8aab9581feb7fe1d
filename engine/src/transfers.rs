//! Owns money that enters and leaves: credits and debits, each applied once.
//! Knows nothing of orders or of where the money comes from. Invariant: an id moves money once, and
//! a repeated request gets the first outcome.

use crate::codec::Codec;
use crate::command::Command;
use crate::dedup::{Capacity, fingerprint};
use crate::engine::{Checked, Engine, Events, rejected};
use crate::event::{Event, TransferKind};
use crate::limits::ENCODED_BYTES_MAX;
use crate::reject::RejectReason;
use crate::types::{AccountId, Amount, AssetId, OrderId, TransferId};

impl Engine {
    /// Applies a Credit or a Debit.
    pub(crate) fn transfer(&mut self, command: &Command, events: &mut Events) {
        let (transfer_id, kind, account, asset, amount) = match *command {
            Command::Credit { transfer_id, account, asset, amount } => {
                (transfer_id, TransferKind::Credit, account, asset, amount)
            }
            Command::Debit { transfer_id, account, asset, amount } => {
                (transfer_id, TransferKind::Debit, account, asset, amount)
            }
            _ => unreachable!("dispatched by kind"),
        };
        let body = command_fingerprint(command);
        let reason = match self.check_transfer(transfer_id, kind, account, asset, amount, body) {
            Ok(None) => None,
            Ok(Some(duplicate)) => return events.push(duplicate),
            Err(reason) => Some(reason),
        };
        let remembered = matches!(
            reason,
            None | Some(RejectReason::BalanceOverflow | RejectReason::InsufficientBalance)
        );
        if remembered {
            self.remember_transfer(transfer_id, reason, body);
        }
        match reason {
            Some(reason) => events.push(rejected(command, reason)),
            None => self.move_money(transfer_id, kind, account, asset, amount, events),
        }
    }

    /// `Some` event if the same request was answered before.
    fn check_transfer(
        &mut self,
        transfer_id: TransferId,
        kind: TransferKind,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        body: u64,
    ) -> Checked<Option<Event>> {
        self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        self.transfers.expire(self.now_ns, self.config.transfer_window_ns);
        if let Some(entry) = self.transfers.find(&transfer_id) {
            return if entry.fingerprint == body {
                Ok(Some(Event::TransferDuplicate { transfer_id, reason: entry.reason }))
            } else {
                Err(RejectReason::IdempotencyConflict)
            };
        }
        let money = self.assets.get(asset).ok_or(RejectReason::UnknownAsset)?;
        if transfer_id == TransferId(0) {
            return Err(RejectReason::InvalidField);
        }
        if amount == 0 {
            return Err(RejectReason::InvalidAmount);
        }
        if self.transfers.len() >= self.config.transfer_capacity {
            return Err(RejectReason::WindowFull);
        }
        if kind == TransferKind::Debit {
            // Rebates are paid before the fees that cover them may have come in: an account can
            // own more than was ever credited, and only what was credited can leave.
            if money.balance(account).available < amount || money.supply < amount {
                return Err(RejectReason::InsufficientBalance);
            }
        } else if !money.accepts(amount) {
            return Err(RejectReason::BalanceOverflow);
        }
        Ok(None)
    }

    fn remember_transfer(&mut self, id: TransferId, reason: Option<RejectReason>, body: u64) {
        let capacity = Capacity { table: self.config.transfer_capacity, owner: u32::MAX };
        let place = self.transfers.insert(id, OrderId(0), reason, body, capacity);
        self.transfers.retire(place, self.now_ns);
    }

    fn move_money(
        &mut self,
        transfer_id: TransferId,
        kind: TransferKind,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        events: &mut Events,
    ) {
        let Some(slot) = self.assets.slot(asset) else { unreachable!("checked") };
        let money = self.assets.at_mut(slot);
        let balance = money.balance_mut(account);
        let available = if kind == TransferKind::Debit {
            balance.available -= amount;
            balance.available
        } else {
            balance.available += amount;
            balance.available
        };
        if kind == TransferKind::Debit {
            money.supply -= amount;
        } else {
            money.supply += amount;
        }
        events.push(Event::TransferApplied {
            transfer_id,
            kind,
            account,
            asset,
            amount,
            available,
        });
    }

    /// Credits what a funded order brings along, as part of that order's command.
    pub(crate) fn credit_funded_order(
        &mut self,
        transfer_id: TransferId,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        body: u64,
        events: &mut Events,
    ) {
        self.remember_transfer(transfer_id, None, body);
        self.move_money(transfer_id, TransferKind::FundedOrder, account, asset, amount, events);
    }
}

/// Fingerprint of a whole command: two requests with the same one are the same request.
pub(crate) fn command_fingerprint(command: &Command) -> u64 {
    let mut bytes = [0; ENCODED_BYTES_MAX];
    let len = command.encode_into(&mut bytes);
    fingerprint(&bytes[..len])
}
