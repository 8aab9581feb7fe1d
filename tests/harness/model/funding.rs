//! Owns the orders whose money comes from somewhere else: asked for, then placed or given up, and
//! what they bring and take away. Knows nothing of other orders. Invariant: what such an order was
//! given is what its trades took plus what goes back.

use engine::command::NewOrder;
use engine::event::TransferKind;
use engine::{
    AccountId, Amount, AssetId, CloseReason, Event, OrderId, Quantity, RejectReason, SignedAmount,
    TradeId, TransferId,
};

use super::admission::{Purse, Terms};
use super::arithmetic::unsigned;
use super::order::{Funds, Order};
use super::{Defect, Model, Verdict, hold_asset};

/// Most orders that may wait.
pub(super) const ORDER_INTENTS_MAX: usize = 65_536;

/// Kinds of movement, written above the 64 bits of an order or trade number.
const RETURN: u128 = 1 << 64;
const BUYER_PROCEEDS: u128 = 2 << 64;
const SELLER_PROCEEDS: u128 = 3 << 64;

/// An order that waits for its money, with the terms that it was promised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intent {
    pub(super) id: OrderId,
    pub(super) order: NewOrder,
    pub(super) terms: Terms,
}

impl Model {
    pub(super) fn reserve_order(&mut self, order: &NewOrder) -> Verdict {
        self.take(order, Purse::Promised)
    }

    pub(super) fn announce(&mut self, order: &NewOrder, terms: &Terms) {
        let id = OrderId(self.last_sequence);
        self.intents.push(Intent { id, order: *order, terms: *terms });
        self.emit(Event::OrderReserving {
            order_id: id,
            account: order.account,
            instrument: order.instrument,
            side: order.side,
            asset: hold_asset(&self.spec(order.instrument), order.side),
            amount: terms.hold,
            client_order_id: order.client_order_id,
        });
    }

    fn end_intent(&mut self, id: OrderId) -> Result<Intent, RejectReason> {
        let index = self.intents.iter().position(|intent| intent.id == id);
        Ok(self.intents.remove(index.ok_or(RejectReason::UnknownOrder)?))
    }

    pub(super) fn place_reserved(&mut self, id: OrderId) -> Verdict {
        let intent = self.end_intent(id)?;
        let order = intent.order;
        if let Err(reason) = self.check(&order, Purse::Intent(&intent)) {
            let (account, instrument) = (order.account, order.instrument);
            self.emit(Event::CommandRejected { reason, account, instrument, target: id });
            self.give_up(&intent, reason);
            return Ok(());
        }
        let terms = self.terms(&order, Purse::Intent(&intent));
        let asset = hold_asset(&self.spec(order.instrument), order.side);
        let transfer_id = TransferId(id.0.into());
        let kind = TransferKind::FundedOrder;
        self.bring_in(transfer_id, kind, order.account, asset, terms.hold);
        self.start(id, &order, &terms);
        self.set_going(id);
        Ok(())
    }

    pub(super) fn abandon_reserved(&mut self, id: OrderId, reason: RejectReason) -> Verdict {
        let intent = self.end_intent(id)?;
        let NewOrder { account, instrument, .. } = intent.order;
        self.emit(Event::OrderAbandoned { order_id: id, account, instrument, reason });
        self.give_up(&intent, reason);
        Ok(())
    }

    /// Ends every waiting order that `in_scope` picks, in ascending id; returns how many.
    pub(super) fn cancel_intents(
        &mut self,
        reason: CloseReason,
        in_scope: impl Fn(&NewOrder) -> bool,
    ) -> usize {
        let picked = self.intents.iter().filter(|intent| in_scope(&intent.order));
        let mut ids: Vec<OrderId> = picked.map(|intent| intent.id).collect();
        ids.sort_unstable();
        for id in &ids {
            self.cancel_intent(*id, reason).expect("it waits");
        }
        ids.len()
    }

    /// Its owner does not want it any more, before it had its money.
    pub(super) fn cancel_intent(&mut self, id: OrderId, reason: CloseReason) -> Verdict {
        let intent = self.end_intent(id)?;
        let NewOrder { account, instrument, quantity, .. } = intent.order;
        self.retire_client_id(id);
        self.emit(Event::OrderClosed {
            order_id: id,
            account,
            instrument,
            reason,
            filled: Quantity(0),
            open: quantity,
            prevented: Quantity(0),
            released: 0,
        });
        self.emit_unused(&intent);
        Ok(())
    }

    fn give_up(&mut self, intent: &Intent, reason: RejectReason) {
        self.refuse_client_id(intent.id, reason);
        self.emit_unused(intent);
    }

    fn emit_unused(&mut self, intent: &Intent) {
        let order = intent.order;
        let asset = hold_asset(&self.spec(order.instrument), order.side);
        let funds = Funds { given: intent.terms.hold, taken: 0 };
        self.emit_return(intent.id, order.account, asset, funds);
    }

    /// What a closed order did not use, and its account has just been given back, goes away.
    pub(super) fn return_funds(&mut self, order: &Order, funds: Funds) {
        let asset = hold_asset(&self.spec(order.instrument), order.side);
        let left = funds.given - funds.taken;
        if left != 0 {
            let id = TransferId(RETURN | u128::from(order.id.0));
            self.take_out(id, TransferKind::FundsReturned, order.account, asset, left);
        }
        self.emit_return(order.id, order.account, asset, funds);
    }

    fn emit_return(&mut self, order_id: OrderId, account: AccountId, asset: AssetId, funds: Funds) {
        let Funds { given: reserved, taken: captured } = funds;
        let returned = reserved - captured;
        self.emit(Event::FundsReturned { order_id, account, asset, reserved, captured, returned });
    }

    /// What a trade gave to the sides that are funded from elsewhere goes away.
    pub(super) fn pay_out(
        &mut self,
        trade: TradeId,
        buyer: &Order,
        seller: &Order,
        base: Amount,
        received: SignedAmount,
    ) {
        let spec = self.spec(buyer.instrument);
        let kind = TransferKind::Proceeds;
        if buyer.funds.is_some() && !self.has(Defect::ProceedsStay) {
            let id = TransferId(BUYER_PROCEEDS | u128::from(trade.0));
            self.take_out(id, kind, buyer.account, spec.base_asset, base);
        }
        if seller.funds.is_some() && received != 0 {
            let id = TransferId(SELLER_PROCEEDS | u128::from(trade.0));
            self.take_out(id, kind, seller.account, spec.quote_asset, unsigned(received));
        }
    }
}
