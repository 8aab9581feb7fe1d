//! Owns changes to live orders: which are allowed, and which keep the place in the queue.
//! Knows nothing of the walk. Invariant: a refused amend leaves order, place and hold untouched.

use crate::command::AmendOrder;
use crate::engine::{Checked, Engine, Events, Instrument};
use crate::event::{CloseReason, Event};
use crate::fill::required_hold;
use crate::limits::ORDER_VALUE_MAX;
use crate::order::{Order, OrderHandle};
use crate::order_details::{OrderDetails, OrderState};
use crate::reject::RejectReason;
use crate::risk::{check_quantity_bounds, check_status};
use crate::shape::check_display;
use crate::types::{Amount, OrderType, Price, Quantity};
use crate::valuation::{check_band, lots};

/// An order as it is.
#[derive(Clone, Copy, Debug)]
struct Present {
    open: Quantity,
    order: Order,
    /// All zero where the order has none.
    details: OrderDetails,
}

impl Present {
    fn is_dormant(&self) -> bool {
        self.details.state == OrderState::Dormant
    }

    /// 0 if it never had one.
    fn trigger(&self) -> Price {
        self.details.trigger
    }
}

/// What an order would become.
#[derive(Clone, Copy, Debug)]
struct Amended {
    price: Price,
    /// 0 if it never had one.
    trigger: Price,
    /// Worst price that it may trade at.
    limit: Price,
    quantity: Quantity,
    /// 0 if the new total is already filled.
    open: Quantity,
    /// Only less of the same: the order keeps its place.
    in_place: bool,
}

impl Engine {
    pub(crate) fn amend_order(&mut self, amend: &AmendOrder, events: &mut Events) -> Checked<()> {
        self.accounts.get(amend.account).ok_or(RejectReason::UnknownAccount)?;
        let handle = self.live_order(amend.account, amend.order_id)?;
        let present = Present {
            open: self.orders.open(handle),
            order: *self.orders.get(handle),
            details: self.details_now(handle),
        };
        let slot = present.order.instrument_slot;
        let instrument = &self.instruments[usize::from(slot)];
        check_amend_shape(amend, &present, instrument)?;
        self.check_trading(amend.account, slot)?;
        let amended = amended(amend, &present, instrument);
        let gone = amended.open == Quantity(0) && !is_by_budget(&present);
        check_status(instrument.status, gone || amended.in_place)?;
        if gone {
            self.close(handle, CloseReason::AmendedAway, events);
            return Ok(());
        }
        let hold = self.check_amended(handle, &present, amended)?;
        match (present.is_dormant(), amended.in_place) {
            (false, true) => self.reduce_in_place(handle, amended, hold, events),
            (false, false) => self.re_enter(handle, amended, hold, events),
            (true, true) => self.reduce_dormant(handle, &present, amended, hold, events),
            (true, false) => self.file_again(handle, amended, hold, events),
        }
        Ok(())
    }

    /// Reasons 23 and later; gives what the amended order will hold.
    fn check_amended(
        &self,
        handle: OrderHandle,
        present: &Present,
        amended: Amended,
    ) -> Checked<Amount> {
        let Present { order, .. } = present;
        let instrument = &self.instruments[usize::from(order.instrument_slot)];
        let account = self.orders.queued(handle).account;
        let held = order.hold();
        let moved = amended.price != order.price;
        if !is_by_budget(present) {
            check_quantity_bounds(amended.quantity, instrument)?;
            let at = if order.order_type.has_price() { amended.price } else { amended.trigger };
            instrument.check_notional_at(at, amended.quantity)?;
            // A cap may be of an older spec, and the quantity of this one.
            let most = instrument.spec.checked_quote_value(amended.limit, amended.open);
            if most.is_none_or(|value| value > ORDER_VALUE_MAX) {
                return Err(RejectReason::NotionalAboveMax);
            }
        }
        if present.is_dormant() {
            let moved = moved || amended.trigger != present.trigger();
            if moved && order.order_type.has_price() {
                check_band(amended.price, instrument.spec.band(amended.trigger))?;
            }
        } else if moved {
            check_band(amended.price, instrument.band(self.last_sequence))?;
        }
        let budget = present.details.quote_budget;
        let lots = lots(amended.open, budget, instrument, Some(amended.trigger));
        self.check_daily_volume(account, order.instrument_slot, lots)?;
        let hold = if is_by_budget(present) {
            held
        } else {
            let needed = required_hold(&instrument.spec, order, amended.open, amended.limit);
            let asset = self.assets.at(instrument.hold_slot(order.side));
            // A funded order has what it was given and nothing else, and keeps it.
            let more = if order.funded { 0 } else { asset.balance(account).available };
            if needed.saturating_sub(held) > more {
                return Err(RejectReason::InsufficientBalance);
            }
            if order.funded { held } else { needed }
        };
        let asked = order.post_only && moved && !present.is_dormant();
        if asked && instrument.book.would_trade(order.side, amended.price) {
            return Err(RejectReason::PostOnlyWouldCross);
        }
        Ok(hold)
    }

    /// Writes the new terms into the order, moves its hold and says so.
    fn apply_terms(
        &mut self,
        handle: OrderHandle,
        amended: Amended,
        hold: Amount,
        events: &mut Events,
    ) {
        let in_a_level = self.orders.state(handle) == OrderState::Resting;
        let (order_id, account, visible) = {
            let queued = self.orders.queued(handle);
            (queued.id, queued.account, queued.visible)
        };
        let order = self.orders.get_mut(handle);
        (order.price, order.quantity) = (amended.price, amended.quantity);
        let held = order.hold();
        order.set_hold(hold);
        let slot = self.instruments[usize::from(order.instrument_slot)].hold_slot(order.side);
        let cap = if order.order_type.has_price() { Price(0) } else { amended.limit };
        self.assets.at_mut(slot).balance_mut(account).adjust_hold(held, hold);
        events.push(Event::OrderAmended {
            order_id,
            price: amended.price,
            trigger: amended.trigger,
            cap,
            quantity: amended.quantity,
            open: amended.open,
            visible: if amended.in_place && in_a_level { visible } else { Quantity(0) },
            kept: amended.in_place,
            hold,
        });
    }

    /// Lowers what is open of a resting order; an iceberg gives up its reserve first.
    fn reduce_in_place(
        &mut self,
        handle: OrderHandle,
        amended: Amended,
        hold: Amount,
        events: &mut Events,
    ) {
        let visible = self.orders.queued(handle).visible;
        let by = Quantity(visible.0.saturating_sub(amended.open.0));
        let slot = usize::from(self.orders.get(handle).instrument_slot);
        self.instruments[slot].book.reduce(&mut self.orders, handle, by);
        if let Some(details) = self.orders.details_mut(handle) {
            details.hidden = Quantity(amended.open.0.saturating_sub(visible.0));
        }
        self.apply_terms(handle, amended, hold, events);
    }

    /// Takes the order out, lets it take at its new terms, and rests or closes what is left.
    fn re_enter(
        &mut self,
        handle: OrderHandle,
        amended: Amended,
        hold: Amount,
        events: &mut Events,
    ) {
        let slot = usize::from(self.orders.get(handle).instrument_slot);
        self.instruments[slot].book.remove(&mut self.orders, handle);
        self.orders.set_open(handle, amended.open);
        self.apply_terms(handle, amended, hold, events);
        let taker = self.taker_of(handle, amended.limit);
        self.take_and_settle(handle, taker, events);
    }

    fn reduce_dormant(
        &mut self,
        handle: OrderHandle,
        present: &Present,
        amended: Amended,
        hold: Amount,
        events: &mut Events,
    ) {
        let by = Quantity(present.open.0 - amended.open.0);
        let slot = usize::from(present.order.instrument_slot);
        self.instruments[slot].stops.reduce(&mut self.orders, handle, by);
        self.apply_terms(handle, amended, hold, events);
    }

    /// Files a dormant order anew under its terms, which may elect it at once. A trailing one stays
    /// where it is: it goes on with its trigger, and is the youngest of those that have the same.
    fn file_again(
        &mut self,
        handle: OrderHandle,
        amended: Amended,
        hold: Amount,
        events: &mut Events,
    ) {
        let order = self.orders.get(handle);
        let trails = order.order_type == OrderType::TrailingStop;
        if !trails {
            let stops = &mut self.instruments[usize::from(order.instrument_slot)].stops;
            stops.remove_dormant(&mut self.orders, handle);
        }
        self.orders.set_open(handle, amended.open);
        self.apply_terms(handle, amended, hold, events);
        let sequence = self.last_sequence;
        if let Some(details) = self.orders.details_mut(handle) {
            (details.trigger, details.limit) = (amended.trigger, amended.limit);
            details.entry_sequence = sequence;
        }
        if !trails {
            self.await_trigger(handle);
        }
    }
}

fn is_by_budget(present: &Present) -> bool {
    present.details.quote_budget > 0
}

/// Reasons 6 to 18.
fn check_amend_shape(
    amend: &AmendOrder,
    present: &Present,
    instrument: &Instrument,
) -> Checked<()> {
    let Present { order, details, .. } = present;
    let AmendOrder { new_price, new_quantity, new_trigger, .. } = *amend;
    let sets_price = new_price != Price(0);
    let sets_quantity = new_quantity != Quantity(0);
    let sets_trigger = new_trigger != Price(0);
    let waits = details.state != OrderState::Resting;
    let takes_trigger = waits && order.order_type != OrderType::TrailingStop;
    if !(sets_price || sets_quantity || sets_trigger)
        || sets_price && !order.order_type.has_price()
        || sets_quantity && is_by_budget(present)
        || sets_trigger && !takes_trigger
    {
        return Err(RejectReason::InvalidField);
    }
    if details.state == OrderState::Triggered {
        return Err(RejectReason::NotAmendable);
    }
    if sets_quantity {
        check_display(details.display, new_quantity, instrument)?;
    }
    let highest = instrument.spec.max_price.0;
    if !(0..=highest).contains(&new_price.0) {
        return Err(RejectReason::InvalidPrice);
    }
    if !(0..=highest).contains(&new_trigger.0) {
        return Err(RejectReason::InvalidStop);
    }
    let same_price = !sets_price || new_price == order.price;
    let same_quantity = !sets_quantity || new_quantity == order.quantity;
    let same_trigger = !sets_trigger || new_trigger == details.trigger;
    if same_price && same_quantity && same_trigger {
        return Err(RejectReason::NoChange);
    }
    Ok(())
}

fn amended(amend: &AmendOrder, present: &Present, instrument: &Instrument) -> Amended {
    let Present { open, order, details } = *present;
    let or = |new: Price, old: Price| if new == Price(0) { old } else { new };
    let price = or(amend.new_price, order.price);
    let trigger = or(amend.new_trigger, present.trigger());
    let keeps_quantity = amend.new_quantity == Quantity(0);
    let quantity = if keeps_quantity { order.quantity } else { amend.new_quantity };
    let gone = order.filled.0 + order.prevented(open).0;
    let new_open = Quantity(quantity.0.saturating_sub(gone));
    let limit = if order.order_type.has_price() {
        price
    } else if trigger == present.trigger() {
        details.limit
    } else {
        instrument.spec.collar(order.side, trigger)
    };
    let in_place = price == order.price && trigger == present.trigger() && new_open < open;
    Amended { price, trigger, limit, quantity, open: new_open, in_place }
}
