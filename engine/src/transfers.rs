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

/// Money on its way in or out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) id: TransferId,
    pub(crate) kind: TransferKind,
    pub(crate) account: AccountId,
    pub(crate) asset: AssetId,
    pub(crate) amount: Amount,
    /// Fingerprint of the command that asked for it.
    pub(crate) body: u64,
}

impl Engine {
    /// Applies a Credit or a Debit.
    pub(crate) fn transfer(&mut self, command: &Command, events: &mut Events) {
        let (id, kind, account, asset, amount) = match *command {
            Command::Credit { transfer_id, account, asset, amount } => {
                (transfer_id, TransferKind::Credit, account, asset, amount)
            }
            Command::Debit { transfer_id, account, asset, amount } => {
                (transfer_id, TransferKind::Debit, account, asset, amount)
            }
            _ => unreachable!("dispatched by kind"),
        };
        let body = command_fingerprint(command);
        let transfer = Transfer { id, kind, account, asset, amount, body };
        match self.check_transfer(&transfer) {
            Ok(Some(duplicate)) => events.push(duplicate),
            Ok(None) => self.apply_transfer(&transfer, events),
            Err(reason) => {
                use RejectReason::{BalanceOverflow, InsufficientBalance};
                if matches!(reason, BalanceOverflow | InsufficientBalance) {
                    self.remember_transfer(&transfer, Some(reason));
                }
                events.push(rejected(command, reason));
            }
        }
    }

    /// `Some` event if the same request was answered before.
    fn check_transfer(&mut self, transfer: &Transfer) -> Checked<Option<Event>> {
        let Transfer { id, account, amount, .. } = *transfer;
        self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        self.transfers.expire(self.now_ns, self.config.transfer_window_ns);
        if let Some(entry) = self.transfers.find(&id) {
            return if entry.fingerprint == transfer.body {
                Ok(Some(Event::TransferDuplicate { transfer_id: id, reason: entry.reason }))
            } else {
                Err(RejectReason::IdempotencyConflict)
            };
        }
        let money = self.assets.get(transfer.asset).ok_or(RejectReason::UnknownAsset)?;
        if id == TransferId(0) {
            return Err(RejectReason::InvalidField);
        }
        if amount == 0 {
            return Err(RejectReason::InvalidAmount);
        }
        if self.transfers.len() >= self.config.transfer_capacity {
            return Err(RejectReason::WindowFull);
        }
        if transfer.kind == TransferKind::Debit {
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

    fn remember_transfer(&mut self, transfer: &Transfer, reason: Option<RejectReason>) {
        let capacity = Capacity { table: self.config.transfer_capacity, owner: u32::MAX };
        let body = transfer.body;
        let place = self.transfers.insert(transfer.id, OrderId(0), reason, body, capacity);
        self.transfers.retire(place, self.now_ns);
    }

    /// Moves the money of a transfer that was checked.
    pub(crate) fn apply_transfer(&mut self, transfer: &Transfer, events: &mut Events) {
        self.remember_transfer(transfer, None);
        let Transfer { id, kind, account, asset, amount, .. } = *transfer;
        let Some(slot) = self.assets.slot(asset) else { unreachable!("checked") };
        let money = self.assets.at_mut(slot);
        if kind == TransferKind::Debit {
            money.supply -= amount;
            money.balance_mut(account).available -= amount;
        } else {
            money.supply += amount;
            money.balance_mut(account).available += amount;
        }
        let available = money.balance(account).available;
        let transfer_id = id;
        events.push(Event::TransferApplied {
            transfer_id,
            kind,
            account,
            asset,
            amount,
            available,
        });
    }
}

/// Fingerprint of a whole command: two requests with the same one are the same request.
pub(crate) fn command_fingerprint(command: &Command) -> u64 {
    let mut bytes = [0; ENCODED_BYTES_MAX];
    let len = command.encode_into(&mut bytes);
    fingerprint(&bytes[..len])
}
