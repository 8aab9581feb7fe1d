//! Owns how orders end: by cancel, by mass cancel, and the one way in which any order closes.
//! Knows nothing of matching. Invariant: each order closes once, and what it held and did not spend
//! is available again in the same step, or leaves with the funds of a funded order.

use crate::command::NewOrder;
use crate::dedup::{ClientKey, ClientOrderKey};
use crate::engine::{Checked, Engine, Events};
use crate::event::{CloseReason, Event};
use crate::matching::Taker;
use crate::order::{Order, OrderHandle, OrderMoney};
use crate::reject::RejectReason;
use crate::types::{AccountId, ClientOrderId, InstrumentId, OrderId, Quantity, Side};

impl Engine {
    pub(crate) fn cancel_order(
        &mut self,
        account: AccountId,
        order_id: OrderId,
        client_order_id: &ClientOrderId,
        events: &mut Events,
    ) -> Checked<()> {
        self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        let order_id = if order_id == OrderId(0) {
            let key = ClientOrderKey { account, id: *client_order_id };
            self.client_ids.find(&key).ok_or(RejectReason::UnknownOrder)?.order_id
        } else {
            order_id
        };
        if self.intents.get(order_id).is_some_and(|intent| intent.order.account == account) {
            self.close_intent(order_id, CloseReason::UserCancel, events);
            return Ok(());
        }
        let handle = self.live_order(account, order_id)?;
        self.close(handle, CloseReason::UserCancel, events);
        Ok(())
    }

    pub(crate) fn mass_cancel(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        side: Option<Side>,
        events: &mut Events,
    ) -> Checked<()> {
        let owner = self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        let slot = match instrument {
            InstrumentId(0) => None,
            id => Some(self.slot_of(id).ok_or(RejectReason::UnknownSymbol)?),
        };
        let matches = |order: &Order| {
            slot.is_none_or(|slot| order.instrument_slot == slot)
                && side.is_none_or(|side| order.side == side)
        };
        let live = owner.orders(&self.orders).map(|handle| (self.orders.get(handle), handle));
        let matching = live.filter(|(order, _)| matches(order));
        let mut closing = std::mem::take(&mut self.closing);
        closing.extend(matching.map(|(order, handle)| (order.id, handle)));
        closing.sort_unstable_by_key(|(id, _)| *id);
        for (_, handle) in &closing {
            self.close(*handle, CloseReason::MassCancel, events);
        }
        let live = closing.len();
        closing.clear();
        self.closing = closing;
        let of_scope = |order: &NewOrder| {
            order.account == account
                && (instrument == InstrumentId(0) || order.instrument == instrument)
                && side.is_none_or(|side| order.side == side)
        };
        let waiting = self.close_intents(of_scope, CloseReason::MassCancel, events);
        let closed = u32::try_from(live + waiting).unwrap_or(u32::MAX);
        events.push(Event::MassCancelled { account, instrument, side, closed });
        Ok(())
    }

    /// A live order of this account; another account's is as unknown as none.
    pub(crate) fn live_order(&self, account: AccountId, id: OrderId) -> Checked<OrderHandle> {
        let handle = self.order_index.get(&self.orders, id).ok_or(RejectReason::UnknownOrder)?;
        let is_owner = self.orders.get(handle).account == account;
        is_owner.then_some(handle).ok_or(RejectReason::UnknownOrder)
    }

    /// Closes a live order, resting or about to.
    pub(crate) fn close(&mut self, handle: OrderHandle, reason: CloseReason, events: &mut Events) {
        let (order, money) = (*self.orders.get(handle), *self.orders.money(handle));
        let instrument = &mut self.instruments[order.instrument_slot as usize];
        instrument.orders -= 1;
        if !order.level.is_none() {
            instrument.book.remove(&mut self.orders, handle);
        }
        self.order_index.remove(&self.orders, handle);
        self.accounts.remove_order(&mut self.orders, handle);
        self.orders.remove(handle);
        self.settle_close(&order, &money, reason, events);
    }

    /// Closes an order that never got into the slab.
    pub(crate) fn close_taker(
        &mut self,
        taker: &mut Taker,
        reason: CloseReason,
        events: &mut Events,
    ) {
        self.settle_close(&taker.order, &taker.money, reason, events);
    }

    fn settle_close(
        &mut self,
        order: &Order,
        money: &OrderMoney,
        reason: CloseReason,
        events: &mut Events,
    ) {
        debug_assert!(reason != CloseReason::Filled || order.open == Quantity(0));
        let instrument = &self.instruments[order.instrument_slot as usize];
        if money.hold > 0 {
            let slot = instrument.hold_slot(order.side);
            self.assets.at_mut(slot).balance_mut(order.account).release(money.hold);
        }
        if money.client_key != ClientKey::NONE {
            self.client_ids.retire(money.client_key.0, self.now_ns);
        }
        events.push(Event::OrderClosed {
            order_id: order.id,
            account: order.account,
            instrument: instrument.spec.instrument,
            reason,
            filled: money.filled,
            open: order.open,
            prevented: money.prevented(order.open),
            released: money.hold,
        });
        if order.funded {
            self.return_funds(order, money.hold, events);
        }
    }
}
