//! Owns changes to live orders: which are allowed, and which keep the place in the queue.
//! Knows nothing of the walk. Invariant: a refused amend leaves order, place and hold untouched.

use crate::book_side::is_within;
use crate::command::AmendOrder;
use crate::engine::{Checked, Engine, Events};
use crate::event::{CloseReason, Event};
use crate::matching::{Taker, required_hold};
use crate::order::{Order, OrderHandle, OrderMoney};
use crate::reject::RejectReason;
use crate::risk::{check_band, check_notional, check_quantity_bounds, check_status};
use crate::types::{AccountStatus, Amount, Price, Quantity};

/// What an order would become.
#[derive(Clone, Copy, Debug)]
struct Amended {
    price: Price,
    quantity: Quantity,
    /// 0 if the new total is already filled.
    open: Quantity,
    /// Only less of the same: the order keeps its place.
    in_place: bool,
}

impl Engine {
    pub(crate) fn amend_order(&mut self, amend: &AmendOrder, events: &mut Events) -> Checked<()> {
        let account = self.accounts.get(amend.account).ok_or(RejectReason::UnknownAccount)?;
        let status = account.status;
        let handle = self.live_order(amend.account, amend.order_id)?;
        let (order, money) = (self.orders.get(handle), self.orders.money(handle));
        let instrument = &self.instruments[order.instrument_slot as usize];
        check_amend_shape(amend, order, money, instrument.spec.max_price)?;
        if status == AccountStatus::Suspended {
            return Err(RejectReason::AccountSuspended);
        }
        let amended = amended(amend, order, money);
        let gone = amended.open == Quantity(0);
        check_status(instrument.status, gone || amended.in_place)?;
        if gone {
            self.close(handle, CloseReason::AmendedAway, events);
            return Ok(());
        }
        let hold = self.check_amended(order, money, amended)?;
        if amended.in_place {
            self.reduce_in_place(handle, amended, hold, events);
        } else {
            self.re_enter(handle, amended, hold, events);
        }
        Ok(())
    }

    /// Reasons 23 and later; gives what the amended order will hold.
    fn check_amended(
        &self,
        order: &Order,
        money: &OrderMoney,
        amended: Amended,
    ) -> Checked<Amount> {
        let instrument = &self.instruments[order.instrument_slot as usize];
        let spec = &instrument.spec;
        check_quantity_bounds(amended.quantity, instrument)?;
        check_notional(spec.checked_quote_value(amended.price, amended.quantity), instrument)?;
        let moved = amended.price != order.price;
        if moved {
            check_band(amended.price, instrument)?;
        }
        let resulting = Order { open: amended.open, ..*order };
        let needed = required_hold(spec, &resulting, money, amended.price);
        let asset = self.assets.at(instrument.hold_slot(order.side));
        // A funded order has what it was given and nothing else, and keeps it.
        let (hold, more) = if order.funded {
            (money.hold, 0)
        } else {
            (needed, asset.balance(order.account).available)
        };
        if needed.saturating_sub(money.hold) > more {
            return Err(RejectReason::InsufficientBalance);
        }
        let opposite = instrument.book.best(order.side.opposite());
        let crosses = opposite.is_some_and(|best| is_within(order.side, amended.price, best.price));
        if order.post_only && moved && crosses {
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
        let (order, money) = self.orders.both_mut(handle);
        (order.price, money.quantity) = (amended.price, amended.quantity);
        let held = std::mem::replace(&mut money.hold, hold);
        let slot = self.instruments[order.instrument_slot as usize].hold_slot(order.side);
        self.assets.at_mut(slot).balance_mut(order.account).adjust_hold(held, hold);
        events.push(Event::OrderAmended {
            order_id: order.id,
            price: amended.price,
            trigger: Price(0),
            cap: Price(0),
            quantity: amended.quantity,
            open: amended.open,
            visible: if amended.in_place { amended.open } else { Quantity(0) },
            kept: amended.in_place,
            hold,
        });
    }

    fn reduce_in_place(
        &mut self,
        handle: OrderHandle,
        amended: Amended,
        hold: Amount,
        events: &mut Events,
    ) {
        let order = self.orders.get(handle);
        let by = Quantity(order.open.0 - amended.open.0);
        let book = &mut self.instruments[order.instrument_slot as usize].book;
        book.reduce(&mut self.orders, handle, by);
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
        let slot = self.orders.get(handle).instrument_slot as usize;
        self.instruments[slot].book.remove(&mut self.orders, handle);
        self.orders.get_mut(handle).open = amended.open;
        self.apply_terms(handle, amended, hold, events);
        let mut taker = Taker {
            order: *self.orders.get(handle),
            money: *self.orders.money(handle),
            limit: amended.price,
            budget_left: None,
        };
        let ended = self.walk(&mut taker, events);
        let (order, money) = self.orders.both_mut(handle);
        // The walk may have closed neighbours in the account's list: those links stay the slab's.
        order.open = taker.order.open;
        (money.hold, money.filled) = (taker.money.hold, taker.money.filled);
        money.fee_basis = taker.money.fee_basis;
        match ended {
            Some(reason) => self.close(handle, reason, events),
            None => self.rest(handle, events),
        }
    }
}

/// Reasons 6 to 18.
fn check_amend_shape(
    amend: &AmendOrder,
    order: &Order,
    money: &OrderMoney,
    max_price: Price,
) -> Checked<()> {
    let nothing = amend.new_price == Price(0) && amend.new_quantity == Quantity(0);
    if amend.new_trigger != Price(0) || nothing {
        return Err(RejectReason::InvalidField);
    }
    if !(0..=max_price.0).contains(&amend.new_price.0) {
        return Err(RejectReason::InvalidPrice);
    }
    let same_price = amend.new_price == Price(0) || amend.new_price == order.price;
    let same_quantity = amend.new_quantity == Quantity(0) || amend.new_quantity == money.quantity;
    if same_price && same_quantity {
        return Err(RejectReason::NoChange);
    }
    Ok(())
}

fn amended(amend: &AmendOrder, order: &Order, money: &OrderMoney) -> Amended {
    let price = if amend.new_price == Price(0) { order.price } else { amend.new_price };
    let quantity =
        if amend.new_quantity == Quantity(0) { money.quantity } else { amend.new_quantity };
    let gone = money.filled.0 + money.prevented(order.open).0;
    let open = Quantity(quantity.0.saturating_sub(gone));
    Amended { price, quantity, open, in_place: price == order.price && open < order.open }
}
