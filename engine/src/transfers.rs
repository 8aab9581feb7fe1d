//! Owns money that enters and leaves: credits and debits, each applied once.
//! Knows nothing of orders or of where the money comes from. Invariant: an id moves money once, and
//! a repeated request gets the first outcome.

use crate::command::Command;
use crate::dedup::{OPERATORS, text_of};
use crate::dedup_table::{Capacity, DedupEntry};
use crate::engine::{Checked, Engine, Events, rejected};
use crate::event::{Event, TransferKind};
use crate::fees::signed;
use crate::fingerprint;
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
        let transfer = Transfer { id, kind, account, asset, amount };
        let body = fingerprint::of_transfer(&transfer);
        match self.check_transfer(&transfer, body) {
            Ok(Some(duplicate)) => events.push(duplicate),
            Ok(None) => {
                self.remember_transfer(id, None, body);
                self.move_money(&transfer, events);
            }
            Err(reason) => {
                use RejectReason::{BalanceOverflow, InsufficientBalance};
                if matches!(reason, BalanceOverflow | InsufficientBalance) {
                    self.remember_transfer(id, Some(reason), body);
                }
                events.push(rejected(command, reason));
            }
        }
    }

    /// `Some` event if the same request was answered before.
    fn check_transfer(&mut self, transfer: &Transfer, body: u64) -> Checked<Option<Event>> {
        let Transfer { id, account, amount, .. } = *transfer;
        self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        self.transfers.expire(self.now_ns, self.config.transfer_window_ns);
        if let Some(entry) = self.known_transfer(id) {
            return if entry.fingerprint == body {
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
            let available = money.balance(account).available;
            if available < amount || money.supply < signed(amount) {
                return Err(RejectReason::InsufficientBalance);
            }
        } else if !money.accepts(amount) {
            return Err(RejectReason::BalanceOverflow);
        }
        Ok(None)
    }

    /// What is remembered of a transfer id.
    pub(crate) fn known_transfer(&self, id: TransferId) -> Option<&DedupEntry> {
        let text = text_of(id);
        self.transfers.find(&self.transfers.key(OPERATORS, &text))
    }

    /// Remembers an id, and how it was refused if it was.
    pub(crate) fn remember_transfer(
        &mut self,
        id: TransferId,
        reason: Option<RejectReason>,
        body: u64,
    ) {
        let capacity = Capacity { table: self.config.transfer_capacity, owner: u32::MAX };
        let text = text_of(id);
        let key = self.transfers.key(OPERATORS, &text);
        let place = self.transfers.insert(&key, OrderId(0), reason, body, capacity);
        self.transfers.retire(place, self.now_ns);
    }

    /// Moves the money of a transfer that may happen, and says so.
    pub(crate) fn move_money(&mut self, transfer: &Transfer, events: &mut Events) {
        let Transfer { id, kind, account, asset, amount } = *transfer;
        let Some(slot) = self.assets.slot(asset) else { unreachable!("checked") };
        let money = self.assets.at_mut(slot);
        if kind.brings_in() {
            money.supply += signed(amount);
            money.balance_mut(account).available += amount;
        } else {
            money.supply -= signed(amount);
            money.balance_mut(account).available -= amount;
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
