//! Owns orders whose funds are reserved outside before they trade: announced, then placed or given
//! up, and the money that they bring and take away.
//! Knows nothing of the wallet that reserves. Invariant: of a funded order's money the account can
//! spend nothing elsewhere: its funds come in when it is placed and are held by it alone, its
//! proceeds leave with each trade, what is left leaves at its end, and each end is told once.
//!
//! A wallet that others share can be asked only over a network, and either side may stop at any
//! moment. So the order is announced in the log first: whoever finds an announced order after a
//! restart asks the wallet for the reservation of that order id and then places or abandons it.
//! Whichever of the two comes first in the log, or a cancel before either, ends the intent; what
//! comes later is refused for ever.

use crate::command::NewOrder;
use crate::dedup::ClientKey;
use crate::engine::{Checked, Engine, Events};
use crate::event::{CloseReason, Event, TransferKind};
use crate::fill::Parties;
use crate::intents::Intent;
use crate::new_order::{Entry, Request};
use crate::order::Order;
use crate::reject::RejectReason;
use crate::risk::Admission;
use crate::transfers::Transfer;
use crate::types::{AccountId, Amount, OrderId, Quantity, Side, TradeId, TransferId};

impl Engine {
    /// Announces an order that passed its checks.
    #[cold]
    pub(crate) fn announce(
        &mut self,
        order: &NewOrder,
        admission: Admission,
        request: &Request<'_>,
        events: &mut Events,
    ) {
        let Admission { instrument_slot, limit, hold, maker_fee_ppm, taker_fee_ppm, .. } =
            admission;
        let client_key = self.remember(request, None);
        let order_id = OrderId(self.last_sequence);
        let slot = self.instruments[usize::from(instrument_slot)].hold_slot(order.side);
        let asset = self.assets.at(slot).id;
        let intent = Intent {
            id: order_id,
            order: *order,
            asset,
            amount: hold,
            limit,
            maker_fee_ppm,
            taker_fee_ppm,
            client_key,
        };
        self.intents.add(intent);
        events.push(Event::OrderReserving {
            order_id,
            account: order.account,
            instrument: order.instrument,
            side: order.side,
            asset,
            amount: hold,
            client_order_id: order.client_order_id,
        });
    }

    /// Credits the funds of an announced order that is let in.
    #[cold]
    pub(crate) fn bring_reserved_funds(&mut self, intent: &Intent, events: &mut Events) -> Entry {
        let funds = Transfer {
            id: TransferId::of_funds(intent.id),
            kind: TransferKind::FundedOrder,
            account: intent.order.account,
            asset: intent.asset,
            amount: intent.amount,
        };
        self.move_money(&funds, events);
        self.funded.insert(intent.id, intent.amount);
        Entry { id: intent.id, client_key: intent.client_key, funded: true }
    }

    /// Refuses an announced order that can no longer be placed.
    #[cold]
    pub(crate) fn refuse_reserved(
        &mut self,
        intent: &Intent,
        reason: RejectReason,
        events: &mut Events,
    ) {
        let NewOrder { account, instrument, .. } = intent.order;
        events.push(Event::CommandRejected { reason, account, instrument, target: intent.id });
        self.give_up(intent, reason, events);
    }

    /// Ends an intent whose funds will not come.
    pub(crate) fn abandon_reserved(
        &mut self,
        order_id: OrderId,
        reason: RejectReason,
        events: &mut Events,
    ) -> Checked<()> {
        let intent = self.intents.end(order_id).ok_or(RejectReason::UnknownOrder)?;
        let NewOrder { account, instrument, .. } = intent.order;
        events.push(Event::OrderAbandoned { order_id, account, instrument, reason });
        self.give_up(&intent, reason, events);
        Ok(())
    }

    /// Ends, before it is placed, every intent that `matches`; returns their number. Whoever comes
    /// to place one of them later is told that there is none.
    pub(crate) fn close_intents(
        &mut self,
        matches: impl Fn(&NewOrder) -> bool,
        reason: CloseReason,
        events: &mut Events,
    ) -> usize {
        let matching = self.intents.iter().filter(|intent| matches(&intent.order));
        let ids: Vec<OrderId> = matching.map(|intent| intent.id).collect();
        for id in &ids {
            self.close_intent(*id, reason, events);
        }
        ids.len()
    }

    /// Ends an intent of which the caller knows that there is one.
    #[cold]
    pub(crate) fn close_intent(&mut self, id: OrderId, reason: CloseReason, events: &mut Events) {
        let Some(intent) = self.intents.end(id) else { unreachable!("an intent waits") };
        if intent.client_key != ClientKey::NONE {
            self.client_ids.retire(intent.client_key.0, self.now_ns);
        }
        let NewOrder { account, instrument, quantity, .. } = intent.order;
        events.push(Event::OrderClosed {
            order_id: id,
            account,
            instrument,
            reason,
            filled: Quantity(0),
            open: quantity,
            prevented: Quantity(0),
            released: 0,
        });
        push_unused(&intent, events);
    }

    /// The end of an order that was never placed. No money came in for it, so none leaves.
    fn give_up(&mut self, intent: &Intent, reason: RejectReason, events: &mut Events) {
        match intent.client_key {
            ClientKey::NONE => {}
            // Whoever was told so will ask again, and means the same order.
            ClientKey(place) if reason.is_undecided() => self.client_ids.forget(place),
            ClientKey(place) => {
                self.client_ids.refuse(place, reason);
                self.client_ids.retire(place, self.now_ns);
            }
        }
        push_unused(intent, events);
    }

    /// The end of a placed order: what it held to its end, just released, leaves the account.
    #[cold]
    pub(crate) fn return_funds(
        &mut self,
        order_id: OrderId,
        account: AccountId,
        order: &Order,
        events: &mut Events,
    ) {
        let Some(reserved) = self.funded.remove(&order_id) else {
            unreachable!("a funded order was given something")
        };
        let slot = self.instruments[usize::from(order.instrument_slot)].hold_slot(order.side);
        let (asset, returned) = (self.assets.at(slot).id, order.hold());
        self.take_out(
            TransferId::of_return(order_id),
            TransferKind::FundsReturned,
            account,
            slot,
            returned,
            events,
        );
        let captured = reserved - returned;
        events.push(Event::FundsReturned {
            order_id,
            account,
            asset,
            reserved,
            captured,
            returned,
        });
    }

    /// What a trade gave to funded orders leaves at once: base of the buyer, quote of the seller.
    #[cold]
    pub(crate) fn pay_out(
        &mut self,
        trade_id: TradeId,
        instrument_slot: u16,
        parties: &Parties,
        base: Amount,
        quote: Amount,
        events: &mut Events,
    ) {
        let instrument = &self.instruments[usize::from(instrument_slot)];
        let (base_slot, quote_slot) = (instrument.base_slot, instrument.quote_slot);
        let sides = [
            (Side::Buy, parties.bought.funded, parties.buyer, base_slot, base),
            (Side::Sell, parties.sold.funded, parties.seller, quote_slot, parties.received(quote)),
        ];
        for (side, funded, account, slot, amount) in sides {
            if funded {
                let id = TransferId::of_proceeds(trade_id, side);
                self.take_out(id, TransferKind::Proceeds, account, slot, amount, events);
            }
        }
    }

    /// Takes available money out; nothing is not worth an event (a fee may eat all of a proceed).
    fn take_out(
        &mut self,
        id: TransferId,
        kind: TransferKind,
        account: AccountId,
        asset_slot: usize,
        amount: Amount,
        events: &mut Events,
    ) {
        if amount > 0 {
            let asset = self.assets.at(asset_slot).id;
            self.move_money(&Transfer { id, kind, account, asset, amount }, events);
        }
    }
}

/// Tells that all the funds of an order that was never placed are to go back.
fn push_unused(intent: &Intent, events: &mut Events) {
    events.push(Event::FundsReturned {
        order_id: intent.id,
        account: intent.order.account,
        asset: intent.asset,
        reserved: intent.amount,
        captured: 0,
        returned: intent.amount,
    });
}

/// Where the kind of movement stands in an id, above the 64 bits of an order or trade id.
const KIND_SHIFT: u32 = u64::BITS;

/// Ids of the movements that funded orders cause. They are all below 2^66, and a client's id is a
/// UUID, which is at least 2^76 because its version is not 0: the two never meet, and neither do
/// two of these. The engine does not look them up: an intent ends once and a trade happens once.
impl TransferId {
    /// Of the credit that funds an order when it is placed: the order's own number.
    #[must_use]
    pub const fn of_funds(order_id: OrderId) -> Self {
        Self::numbered(0, order_id.0)
    }

    /// Of the debit of what the order has left at its end.
    #[must_use]
    pub const fn of_return(order_id: OrderId) -> Self {
        Self::numbered(1, order_id.0)
    }

    /// Of the debit of what a trade gave to one of its sides.
    #[must_use]
    pub const fn of_proceeds(trade_id: TradeId, side: Side) -> Self {
        match side {
            Side::Buy => Self::numbered(2, trade_id.0),
            Side::Sell => Self::numbered(3, trade_id.0),
        }
    }

    const fn numbered(kind: u128, number: u64) -> Self {
        Self(kind << KIND_SHIFT | number as u128)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_movements_meet_neither_each_other_nor_a_uuid() {
        let uuid_min = 1u128 << 76;
        let mut ids = Vec::new();
        for number in [1, 2, u64::MAX - 1, u64::MAX] {
            ids.push(TransferId::of_funds(OrderId(number)));
            ids.push(TransferId::of_return(OrderId(number)));
            ids.extend(Side::ALL.iter().map(|s| TransferId::of_proceeds(TradeId(number), *s)));
        }
        assert_eq!(ids[0], TransferId(1), "funds come under the order's own number");
        assert!(ids.iter().all(|id| id.0 < uuid_min));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 16);
    }
}
