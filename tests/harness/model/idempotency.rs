//! Owns what is remembered by key: client order ids and transfer ids, and the credits and debits
//! that the latter protect. Knows nothing of why an order was refused. Invariant: entries stand in
//! the order in which they may be forgotten; a live order's entry may not be forgotten at all.

use engine::command::NewOrder;
use engine::event::TransferKind;
use engine::{
    AccountId, Amount, AssetId, ClientOrderId, Command, Event, OrderId, RejectReason, TransferId,
};

use super::arithmetic::{SUPPLY_MAX, signed};
use super::{Defect, Model, Verdict, is_key};

/// Old entries that one command may forget.
const FORGOTTEN_PER_COMMAND: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct ClientIdEntry {
    pub(super) order: NewOrder,
    pub(super) order_id: OrderId,
    pub(super) reason: Option<RejectReason>,
    /// `None` while the order lives.
    retired_at_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TransferEntry {
    id: TransferId,
    recorded_at_ns: u64,
    /// The whole command that used the key.
    command: Command,
    reason: Option<RejectReason>,
}

impl Model {
    pub(super) fn client_id_entry(
        &self,
        account: AccountId,
        client_order_id: &ClientOrderId,
    ) -> Option<&ClientIdEntry> {
        let same = |e: &&ClientIdEntry| {
            e.order.account == account && e.order.client_order_id == *client_order_id
        };
        self.client_ids.iter().find(same)
    }

    fn oldest_retired(&self) -> Option<usize> {
        self.client_ids.iter().position(|e| e.retired_at_ns.is_some())
    }

    pub(super) fn forget_old_client_ids(&mut self) {
        for _ in 0..FORGOTTEN_PER_COMMAND {
            let Some(index) = self.oldest_retired() else { return };
            let retired_at_ns = self.client_ids[index].retired_at_ns.unwrap_or(self.now_ns);
            if self.now_ns - retired_at_ns <= self.config.dedup_window_ns {
                return;
            }
            self.client_ids.remove(index);
        }
    }

    /// Whether the account may have no more keys.
    fn share_is_used(&self, account: AccountId) -> bool {
        let own = self.client_ids.iter().filter(|e| e.order.account == account).count();
        own >= self.config.client_ids_per_account as usize
    }

    /// The entry that has to go before one of this account can come: `Some(None)` if one has to and
    /// none may.
    fn in_the_way(&self, account: AccountId) -> Option<Option<usize>> {
        let own_retired =
            |e: &ClientIdEntry| e.order.account == account && e.retired_at_ns.is_some();
        if self.share_is_used(account) {
            Some(self.client_ids.iter().position(own_retired))
        } else if self.client_ids.len() >= self.config.client_id_capacity as usize {
            Some(self.oldest_retired())
        } else {
            None
        }
    }

    /// Whether an order with a key could not be remembered.
    pub(super) fn no_room_for_client_id(&self, account: AccountId) -> bool {
        self.in_the_way(account) == Some(None)
    }

    /// Remembers an order that was accepted (`reason` is `None`) or refused. A refusal that finds
    /// no room stays what it is and is not remembered.
    pub(super) fn remember_order(&mut self, order: &NewOrder, reason: Option<RejectReason>) {
        let forgets = self.has(Defect::RefusalsForgotten) && reason.is_some();
        if order.client_order_id.is_empty() || self.no_room_for_client_id(order.account) || forgets
        {
            return;
        }
        if let Some(Some(index)) = self.in_the_way(order.account) {
            self.client_ids.remove(index);
        }
        self.client_ids.push(ClientIdEntry {
            order: *order,
            order_id: OrderId(self.last_sequence),
            reason,
            retired_at_ns: reason.is_some().then_some(self.now_ns),
        });
    }

    /// The order that was announced will not be placed: that is its outcome.
    pub(super) fn refuse_client_id(&mut self, order_id: OrderId, reason: RejectReason) {
        // Whoever keeps the money has not said no: the key is as good as new.
        let undecided =
            [RejectReason::FundsUnavailable, RejectReason::FundsDegraded, RejectReason::RecvWindow];
        if undecided.contains(&reason) {
            return self.client_ids.retain(|e| e.order_id != order_id);
        }
        if let Some(entry) = self.client_ids.iter_mut().find(|e| e.order_id == order_id) {
            entry.reason = Some(reason);
        }
        self.retire_client_id(order_id);
    }

    /// The order closed: its key may be forgotten from now on, after all that retired before it.
    pub(super) fn retire_client_id(&mut self, order_id: OrderId) {
        if let Some(index) = self.client_ids.iter().position(|e| e.order_id == order_id) {
            let mut entry = self.client_ids.remove(index);
            entry.retired_at_ns = Some(self.now_ns);
            self.client_ids.push(entry);
        }
    }

    pub(super) fn forget_old_transfers(&mut self) {
        for _ in 0..FORGOTTEN_PER_COMMAND {
            let Some(oldest) = self.transfers.first() else { return };
            if self.now_ns - oldest.recorded_at_ns <= self.config.transfer_window_ns {
                return;
            }
            self.transfers.remove(0);
        }
    }

    pub(super) fn transfer_is_known(&self, id: TransferId) -> bool {
        self.transfers.iter().any(|t| t.id == id)
    }

    pub(super) fn transfers_are_full(&self) -> bool {
        self.transfers.len() >= self.config.transfer_capacity as usize
    }

    fn remember_transfer(
        &mut self,
        id: TransferId,
        command: Command,
        reason: Option<RejectReason>,
    ) {
        let recorded_at_ns = self.now_ns;
        self.transfers.push(TransferEntry { id, recorded_at_ns, command, reason });
    }

    /// Credit and Debit.
    pub(super) fn transfer(
        &mut self,
        command: &Command,
        id: TransferId,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
    ) -> Verdict {
        self.account(account)?;
        self.forget_old_transfers();
        if let Some(known) = self.transfers.iter().find(|t| t.id == id).copied() {
            if known.command != *command {
                return Err(RejectReason::IdempotencyConflict);
            }
            self.emit(Event::TransferDuplicate { transfer_id: id, reason: known.reason });
            return Ok(());
        }
        self.asset(asset)?;
        if !is_key(id) {
            return Err(RejectReason::InvalidField);
        }
        if amount == 0 {
            return Err(RejectReason::InvalidAmount);
        }
        if self.transfers_are_full() {
            return Err(RejectReason::WindowFull);
        }
        let credit = matches!(command, Command::Credit { .. });
        let refusal = if credit {
            self.supply_overflows(asset, amount).then_some(RejectReason::BalanceOverflow)
        } else {
            // No more can leave than came in, whatever rebates an account was paid.
            let supply = self.asset(asset).map_or(0, |a| a.supply);
            let covered = amount <= self.available(account, asset) && signed(amount) <= supply;
            (!covered).then_some(RejectReason::InsufficientBalance)
        };
        self.remember_transfer(id, *command, refusal);
        if let Some(reason) = refusal {
            return Err(reason);
        }
        if credit {
            self.bring_in(id, TransferKind::Credit, account, asset, amount);
        } else {
            self.take_out(id, TransferKind::Debit, account, asset, amount);
        }
        Ok(())
    }

    pub(super) fn supply_overflows(&self, asset: AssetId, amount: Amount) -> bool {
        let supply = self.asset(asset).map_or(0, |a| a.supply);
        amount > SUPPLY_MAX || supply + signed(amount) > signed(SUPPLY_MAX)
    }

    /// The credit of a funded order, after all of its checks.
    pub(super) fn fund(&mut self, order: &NewOrder, asset: AssetId) {
        let id = order.credit_id;
        self.remember_transfer(id, Command::NewOrder(*order), None);
        self.bring_in(id, TransferKind::FundedOrder, order.account, asset, order.credit_amount);
    }

    pub(super) fn bring_in(
        &mut self,
        id: TransferId,
        kind: TransferKind,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
    ) {
        self.move_available(account, asset, signed(amount));
        self.asset_mut(asset).supply += signed(amount);
        self.emit_transfer(id, kind, account, asset, amount);
    }

    pub(super) fn take_out(
        &mut self,
        id: TransferId,
        kind: TransferKind,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
    ) {
        self.move_available(account, asset, -signed(amount));
        self.asset_mut(asset).supply -= signed(amount);
        self.emit_transfer(id, kind, account, asset, amount);
    }

    fn emit_transfer(
        &mut self,
        transfer_id: TransferId,
        kind: TransferKind,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
    ) {
        let available = self.available(account, asset);
        self.emit(Event::TransferApplied { transfer_id, kind, account, asset, amount, available });
    }
}
