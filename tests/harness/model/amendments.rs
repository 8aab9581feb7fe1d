//! Owns what is done to live orders: cancel, mass cancel and amend.
//! Knows nothing of new orders. Invariant: a refused amend leaves the order, its place and its hold
//! as they were.

use engine::command::AmendOrder;
use engine::limits::ORDER_VALUE_MAX;
use engine::{
    AccountId, ClientOrderId, CloseReason, Event, InstrumentId, InstrumentSpec, OrderId, OrderType,
    Price, Quantity, RejectReason, Side, TradingStatus,
};

use super::admission::{check_notional, check_quantity, lots_of_budget};
use super::arithmetic::{band, collar, exact_quote_value};
use super::order::{Order, State, is_market_form, is_stop};
use super::shape::check_display;
use super::{Defect, Instrument, Model, Verdict, hold_asset, refuse_if};

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
        let in_scope = |a, i, s| {
            let here = instrument.0 == 0 || i == instrument;
            a == account && here && side.is_none_or(|side| side == s)
        };
        let reason = CloseReason::MassCancel;
        let live = self.close_all(reason, |o| in_scope(o.account, o.instrument, o.side));
        // Orders that still wait for their money come after those that have it.
        let waiting = self.cancel_intents(reason, |o| in_scope(o.account, o.instrument, o.side));
        let closed = u32::try_from(live + waiting).expect("few orders");
        self.emit(Event::MassCancelled { account, instrument, side, closed });
        Ok(())
    }

    pub(super) fn amend_order(&mut self, amend: &AmendOrder) -> Verdict {
        self.account(amend.account)?;
        let order = self.own_order(amend.account, amend.order_id)?;
        let instrument = *self.instrument(order.instrument)?;
        check_fields(amend, &order, &instrument.spec)?;
        let amended = self.amended(amend, &order, &instrument.spec);
        let moved = amended.limit() != order.limit() || amended.trigger != order.trigger;
        refuse_if(!moved && amended.quantity == order.quantity, RejectReason::NoChange)?;
        let away = order.budget_left.is_none() && amended.open.0 == 0;
        let in_place = !moved && amended.open < order.open;
        self.check_may_trade(order.account, order.instrument)?;
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
        self.check_bounds(&order, &amended, &instrument)?;
        self.check_money_and_book(&order, &amended, &instrument)?;
        self.apply_amend(&order, amended, in_place);
        Ok(())
    }

    /// The order as the amend wants it.
    fn amended(&self, amend: &AmendOrder, order: &Order, spec: &InstrumentSpec) -> Order {
        let mut amended = *order;
        if amend.new_trigger.0 != 0 && amend.new_trigger.0 != order.trigger {
            amended.trigger = amend.new_trigger.0;
            if is_market_form(order.order_type) {
                amended.price = collar(spec, order.side, amended.trigger);
            }
        }
        if amend.new_price.0 != 0 {
            amended.price = amend.new_price.0;
        }
        if amend.new_quantity.0 != 0 {
            amended.quantity = amend.new_quantity;
            let prevented =
                if self.has(Defect::PreventedComesBack) { 0 } else { order.prevented.0 };
            amended.open.0 = amended.quantity.0.saturating_sub(order.filled.0 + prevented);
        }
        amended
    }

    /// Codes 23 to 31.
    fn check_bounds(&self, order: &Order, amended: &Order, instrument: &Instrument) -> Verdict {
        let spec = &instrument.spec;
        let price = amended.valued_at();
        if amended.budget_left.is_none() {
            check_quantity(amended.quantity, spec)?;
            check_notional(exact_quote_value(spec, Price(price), amended.quantity), spec)?;
            // The cap may come from an older spec, the quantity from this one.
            let most = exact_quote_value(spec, Price(amended.price), amended.open);
            let beyond = most.is_none_or(|value| value > ORDER_VALUE_MAX);
            refuse_if(beyond, RejectReason::NotionalAboveMax)?;
        }
        if !is_market_form(order.order_type) {
            // While a stop is dormant its own trigger is what its limit is compared with.
            let dormant = order.state == State::Dormant;
            let reference = if dormant { amended.trigger } else { instrument.band_reference };
            let moved = amended.price != order.price || amended.trigger != order.trigger;
            let band = band(spec, reference);
            let outside = band.is_some_and(|(low, high)| !(low..=high).contains(&amended.price));
            refuse_if(moved && outside, RejectReason::PriceBand)?;
        }
        let lots = match amended.budget_left {
            Some(budget) => lots_of_budget(budget, price, spec),
            None => amended.open.0.into(),
        };
        self.check_daily_volume(order.account, spec, lots)
    }

    /// Codes 37 and 38.
    fn check_money_and_book(
        &self,
        order: &Order,
        amended: &Order,
        instrument: &Instrument,
    ) -> Verdict {
        let spec = &instrument.spec;
        let own = self.available(order.account, hold_asset(spec, order.side));
        let spare = if order.funds.is_some() { 0 } else { own };
        let short = amended.required_hold(spec) > order.hold(spec) + spare;
        refuse_if(short, RejectReason::InsufficientBalance)?;
        let moves = order.state != State::Dormant && amended.price != order.price;
        let crosses = moves && order.post_only && self.crosses(amended);
        refuse_if(crosses, RejectReason::PostOnlyWouldCross)
    }

    fn apply_amend(&mut self, order: &Order, mut amended: Order, in_place: bool) {
        let dormant = order.state == State::Dormant;
        let grows = amended.price == order.price && !in_place;
        let kept = in_place || (!dormant && grows && self.has(Defect::GrowthKeepsPlace));
        if dormant && !kept {
            amended.entry_sequence = self.last_sequence;
        }
        if !dormant && !kept {
            amended.state = State::Active;
        }
        amended.visible = match (dormant, kept) {
            (false, true) if amended.display.0 == 0 => amended.open,
            (false, true) => order.visible.min(amended.open),
            (_, _) => Quantity(0),
        };
        let hold = self.replace(amended);
        self.emit(Event::OrderAmended {
            order_id: order.id,
            price: amended.limit(),
            trigger: Price(amended.trigger),
            cap: amended.cap(),
            quantity: amended.quantity,
            open: amended.open,
            visible: amended.visible,
            kept,
            hold,
        });
        if !dormant && !kept {
            self.execute(order.id);
        }
        if amended.trigger != order.trigger && !self.has(Defect::AmendedStopWaits) {
            self.elect_if_met(order.id);
        }
    }
}

/// Codes 6 to 11: what may be amended depends on what the order is and where it is.
fn check_fields(amend: &AmendOrder, order: &Order, spec: &InstrumentSpec) -> Verdict {
    let AmendOrder { new_price, new_quantity, new_trigger, .. } = *amend;
    let market_form = is_market_form(order.order_type);
    let fixed_trigger = !is_stop(order.order_type)
        || order.order_type == OrderType::TrailingStop
        || order.resting_place().is_some();
    let nothing = new_price.0 == 0 && new_quantity.0 == 0 && new_trigger.0 == 0;
    let forbidden = (new_price.0 != 0 && market_form)
        || (new_quantity.0 != 0 && order.budget_left.is_some())
        || (new_trigger.0 != 0 && fixed_trigger);
    refuse_if(nothing || forbidden, RejectReason::InvalidField)?;
    refuse_if(order.queue_place().is_some(), RejectReason::NotAmendable)?;
    if new_quantity.0 != 0 {
        check_display(order.display, new_quantity, spec)?;
    }
    let legal = 0..=spec.max_price.0;
    refuse_if(!legal.contains(&new_price.0), RejectReason::InvalidPrice)?;
    refuse_if(!legal.contains(&new_trigger.0), RejectReason::InvalidStop)
}
