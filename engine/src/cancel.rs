//! Owns cancels: of one order, of an account's orders, of all that something concerns.
//! Knows nothing of how an order closes. Invariant: several orders close by ascending id.

use crate::command::NewOrder;
use crate::engine::{Checked, Engine, Events};
use crate::event::{CloseReason, Event};
use crate::order::{Order, OrderHandle};
use crate::reject::RejectReason;
use crate::types::{AccountId, ClientOrderId, InstrumentId, OrderId, Side};

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
            let key = self.client_ids.key(account.0, client_order_id);
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
        self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        let slot = match instrument {
            InstrumentId(0) => None,
            id => Some(self.slot_of(id).ok_or(RejectReason::UnknownSymbol)?),
        };
        let matches = |order: &Order| {
            slot.is_none_or(|slot| order.instrument_slot == slot)
                && side.is_none_or(|side| order.side == side)
        };
        let live = self.close_all_of(account, matches, CloseReason::MassCancel, events);
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

    /// Closes the account's live orders that match; returns their number.
    pub(crate) fn close_all_of(
        &mut self,
        account: AccountId,
        matches: impl Fn(&Order) -> bool,
        reason: CloseReason,
        events: &mut Events,
    ) -> usize {
        let mut closing = std::mem::take(&mut self.closing);
        let owner = self.accounts.get(account);
        let live = owner.into_iter().flat_map(|owner| owner.orders(&self.orders));
        closing.extend(live.filter(|handle| matches(self.orders.get(*handle))));
        self.close_each(closing, reason, events)
    }

    /// Closes the live orders of an instrument that match; returns their number.
    pub(crate) fn close_all_in(
        &mut self,
        slot: u16,
        matches: impl Fn(&Order) -> bool,
        reason: CloseReason,
        events: &mut Events,
    ) -> usize {
        let mut closing = std::mem::take(&mut self.closing);
        let live = self.instruments[usize::from(slot)].live_orders(&self.orders);
        closing.extend(live.filter(|handle| matches(self.orders.get(*handle))));
        self.close_each(closing, reason, events)
    }

    /// Closes all live orders of the venue; returns their number.
    pub(crate) fn close_all(&mut self, reason: CloseReason, events: &mut Events) -> usize {
        let mut closing = std::mem::take(&mut self.closing);
        closing.extend(self.orders.handles());
        self.close_each(closing, reason, events)
    }

    fn close_each(
        &mut self,
        mut closing: Vec<OrderHandle>,
        reason: CloseReason,
        events: &mut Events,
    ) -> usize {
        closing.sort_unstable_by_key(|handle| self.orders.queued(*handle).id);
        for handle in &closing {
            self.close(*handle, reason, events);
        }
        let count = closing.len();
        closing.clear();
        self.closing = closing;
        count
    }
}
