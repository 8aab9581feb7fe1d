//! Owns what is done to live orders: cancel, mass cancel and amend.
//! Knows nothing of new orders. Invariant: a refused amend leaves the order, its place and its hold
//! as they were.

use engine::command::AmendOrder;
use engine::{
    AccountId, AccountStatus, ClientOrderId, CloseReason, Event, InstrumentId, OrderId, Price,
    Quantity, RejectReason, Side, TradingStatus,
};

use super::admission::{check_notional, check_quantity};
use super::arithmetic::{band, exact_quote_value};
use super::funding::Intent;
use super::order::Order;
use super::{Defect, Model, Verdict, hold_asset};

impl Model {
    /// A live order of this account.
    fn own_order(&self, account: AccountId, id: OrderId) -> Result<Order, RejectReason> {
        let found = self.orders.iter().find(|o| o.id == id && o.account == account);
        found.copied().ok_or(RejectReason::UnknownOrder)
    }

    pub(super) fn cancel_order(
        &mut self,
        account: AccountId,
        order_id: OrderId,
        client_order_id: &ClientOrderId,
    ) -> Verdict {
        self.account(account)?;
        let id = if order_id.0 != 0 || client_order_id.is_empty() {
            order_id
        } else {
            let known = self.client_id_entry(account, client_order_id);
            known.ok_or(RejectReason::UnknownOrder)?.order_id
        };
        if self.intents.iter().any(|i| i.id == id && i.order.account == account) {
            self.cancel_intent(id, CloseReason::UserCancel)?;
            return Ok(());
        }
        let order = self.own_order(account, id)?;
        self.close(order.id, CloseReason::UserCancel);
        Ok(())
    }

    pub(super) fn mass_cancel(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        side: Option<Side>,
    ) -> Verdict {
        self.account(account)?;
        if instrument.0 != 0 {
            self.instrument(instrument)?;
        }
        let mut ids: Vec<OrderId> = Vec::new();
        for order in &self.orders {
            let in_scope = instrument.0 == 0 || order.instrument == instrument;
            if order.account == account && in_scope && side.is_none_or(|s| s == order.side) {
                ids.push(order.id);
            }
        }
        ids.sort_unstable();
        for id in &ids {
            self.close(*id, CloseReason::MassCancel);
        }
        // Orders that still wait for their money come after those that have it.
        let mut waiting: Vec<OrderId> = Vec::new();
        for Intent { id, order, .. } in &self.intents {
            let in_scope = instrument.0 == 0 || order.instrument == instrument;
            if order.account == account && in_scope && side.is_none_or(|s| s == order.side) {
                waiting.push(*id);
            }
        }
        for id in &waiting {
            self.cancel_intent(*id, CloseReason::MassCancel)?;
        }
        let closed = u32::try_from(ids.len() + waiting.len()).expect("few orders");
        self.emit(Event::MassCancelled { account, instrument, side, closed });
        Ok(())
    }

    pub(super) fn amend_order(&mut self, amend: &AmendOrder) -> Verdict {
        self.account(amend.account)?;
        let order = self.own_order(amend.account, amend.order_id)?;
        let instrument = *self.instrument(order.instrument)?;
        let spec = instrument.spec;
        let nothing = amend.new_price.0 == 0 && amend.new_quantity.0 == 0;
        if nothing || amend.new_trigger.0 != 0 {
            return Err(RejectReason::InvalidField);
        }
        if !(0..=spec.max_price.0).contains(&amend.new_price.0) {
            return Err(RejectReason::InvalidPrice);
        }
        let price = if amend.new_price.0 == 0 { order.price } else { amend.new_price.0 };
        let keeps_quantity = amend.new_quantity.0 == 0;
        let quantity = if keeps_quantity { order.quantity } else { amend.new_quantity };
        if price == order.price && quantity == order.quantity {
            return Err(RejectReason::NoChange);
        }
        let prevented = match self.defect {
            Some(Defect::PreventedComesBack) => 0,
            _ => order.prevented.0,
        };
        let done = order.filled.0 + prevented;
        let away = quantity.0 <= done;
        let open = Quantity(quantity.0.saturating_sub(done));
        let in_place = price == order.price && open < order.open;
        if self.account(amend.account)?.status == AccountStatus::Suspended {
            return Err(RejectReason::AccountSuspended);
        }
        match instrument.status {
            TradingStatus::Trading => {}
            TradingStatus::CancelOnly if away || in_place => {}
            TradingStatus::CancelOnly => return Err(RejectReason::CancelOnly),
            TradingStatus::Halted | TradingStatus::Auction => {
                return Err(RejectReason::TradingHalted);
            }
        }
        if away {
            self.close(order.id, CloseReason::AmendedAway);
            return Ok(());
        }
        check_quantity(quantity, &spec)?;
        check_notional(exact_quote_value(&spec, Price(price), quantity), &spec)?;
        let amended = Order { price, quantity, open, ..order };
        self.check_amended(&order, &amended)?;
        self.apply_amend(&order, amended, in_place);
        Ok(())
    }

    /// Codes 30, 37 and 38.
    fn check_amended(&self, order: &Order, amended: &Order) -> Verdict {
        let instrument = self.instrument(order.instrument)?;
        let moves = amended.price != order.price;
        let band = band(&instrument.spec, instrument.last_price);
        if moves && band.is_some_and(|(low, high)| !(low..=high).contains(&amended.price)) {
            return Err(RejectReason::PriceBand);
        }
        let asset = hold_asset(&instrument.spec, order.side);
        let own = self.available(order.account, asset);
        let spare = if order.funds.is_some() { 0 } else { own };
        if amended.required_hold(&instrument.spec) > order.hold(&instrument.spec) + spare {
            return Err(RejectReason::InsufficientBalance);
        }
        let best = self.queue(order.instrument, order.side.opposite()).first().copied();
        let crosses = best.is_some_and(|best| best.is_met_by(order.side, amended.price));
        if moves && order.post_only && crosses {
            return Err(RejectReason::PostOnlyWouldCross);
        }
        Ok(())
    }

    fn apply_amend(&mut self, order: &Order, mut amended: Order, in_place: bool) {
        let grows = amended.price == order.price && !in_place;
        let kept = in_place || (grows && self.defect == Some(Defect::GrowthKeepsPlace));
        if !kept {
            amended.place = None;
        }
        let hold = self.replace(amended);
        self.emit(Event::OrderAmended {
            order_id: order.id,
            price: Price(amended.price),
            trigger: Price(0),
            cap: Price(0),
            quantity: amended.quantity,
            open: amended.open,
            visible: if kept { amended.open } else { Quantity(0) },
            kept,
            hold,
        });
        if !kept {
            self.execute(order.id);
        }
    }
}
