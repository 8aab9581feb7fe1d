//! Owns what must be true of a live order for an engine to have written it.
//! Changes nothing but the list of those that must turn out to be funded. Invariant: an order that
//! passes can be matched, amended and closed without a broken assertion.

use super::{Restoration, Restored};
use crate::command::NewOrder;
use crate::fill::hold_for;
use crate::instrument::{InstrumentSpec, fees_are_valid};
use crate::limits::{ORDER_VALUE_MAX, PRICE_TICKS_MAX};
use crate::order_details::OrderState;
use crate::shape::may_have_entered;
use crate::stop_orders::{is_met, rises};
use crate::trailing_range::{height, trailing_trigger};
use crate::types::{AccountId, Amount, OrderId, Price, Quantity, Side, SignedAmount};

/// Far above what the fees of one order can come to, and far below what the arithmetic takes,
/// millionths of a quote unit.
const FEE_BASIS_MAX: u128 = 1 << 125;

/// A live order as it was written.
pub(super) struct Saved {
    /// Where it begins.
    pub(super) offset: usize,
    pub(super) id: OrderId,
    pub(super) state: OrderState,
    pub(super) terms: NewOrder,
    /// As it is now, also of a trailing stop; 0 for none.
    pub(super) trigger: Price,
    pub(super) limit: Price,
    pub(super) reference: Price,
    pub(super) open: Quantity,
    pub(super) visible: Quantity,
    pub(super) filled: Quantity,
    pub(super) prevented: Quantity,
    pub(super) budget_left: Amount,
    pub(super) fee_basis: SignedAmount,
    /// Of a maker and of a taker, parts per million.
    pub(super) rates: (i32, i32),
    pub(super) entry_sequence: u64,
    pub(super) hold: Amount,
}

pub(super) fn is_price(price: Price) -> bool {
    (1..=PRICE_TICKS_MAX).contains(&price.0)
}

/// What an order that may trade at `limit` at worst must hold; `None` if that is more than any may
/// be worth.
pub(super) fn checked_hold(
    spec: &InstrumentSpec,
    (side, open, limit): (Side, Quantity, Price),
    fee_basis: SignedAmount,
    (maker_ppm, taker_ppm): (i32, i32),
) -> Option<Amount> {
    let quote = spec.checked_quote_value(limit, open)?;
    let fits = quote <= ORDER_VALUE_MAX && spec.base_value(open) <= ORDER_VALUE_MAX;
    fits.then(|| hold_for(spec, side, open, limit, fee_basis, maker_ppm.max(taker_ppm)))
}

impl Restoration<'_> {
    /// Whether there can be an order of this id, account and instrument.
    pub(super) fn check_owner(&self, id: OrderId, account: AccountId, slot: u16) -> Restored<()> {
        let engine = &self.engine;
        let is_new = (1..=engine.last_sequence).contains(&id.0)
            && engine.order_index.get(&engine.orders, id).is_none();
        self.from.check(is_new && !engine.orders.is_full(), "id of an order")?;
        let stopped = engine.killed || engine.instruments[usize::from(slot)].killed;
        let may_trade = engine.accounts.get(account).is_some_and(|owner| !owner.killed);
        self.from.check(may_trade && !stopped, "account of an order")
    }

    pub(super) fn check_order(&mut self, saved: &Saved, slot: u16) -> Restored<()> {
        let spec = &self.engine.instruments[usize::from(slot)].spec;
        let is_entry = if saved.terms.order_type.is_stop() {
            (saved.id.0..=self.engine.last_sequence).contains(&saved.entry_sequence)
        } else {
            saved.entry_sequence == 0
        };
        self.from.check(is_entry, "entry of a live order")?;
        self.from.check(saved.lives_at(self.engine.now_ns), "end of a live order")?;
        self.from.check(saved.terms_are_sound(), "terms of a live order")?;
        self.from.check(saved.prices_are_sound(), "prices of a live order")?;
        self.from.check(saved.quantities_are_sound(), "quantities of a live order")?;
        self.from.check(saved.fees_are_sound(spec), "fees of a live order")?;
        let Some(needed) = saved.needed(spec).filter(|needed| *needed <= saved.hold) else {
            return Err(self.from.illegal("hold of a live order"));
        };
        if needed < saved.hold {
            self.ample.push((saved.id, saved.offset));
        }
        Ok(())
    }
}

impl Saved {
    fn rests(&self) -> bool {
        self.state == OrderState::Resting
    }

    /// Its time has not come.
    fn lives_at(&self, now_ns: u64) -> bool {
        self.terms.expire_at_ns == 0 || self.terms.expire_at_ns > now_ns
    }

    fn terms_are_sound(&self) -> bool {
        let terms = &self.terms;
        let in_place = if self.rests() {
            terms.order_type.has_price() && terms.stays()
        } else {
            terms.order_type.is_stop()
        };
        in_place
            && terms.may_wait()
            && may_have_entered(terms)
            && self.budget_left == terms.quote_budget
    }

    fn prices_are_sound(&self) -> bool {
        let NewOrder { side, order_type, price, trail_ticks, trail_bps, .. } = self.terms;
        let limit_is_sound =
            if order_type.has_price() { self.limit == price } else { is_price(self.limit) };
        let trigger_is_sound = if self.terms.is_trailing() {
            let follows = || trailing_trigger(side, self.reference, trail_ticks, trail_bps);
            is_price(self.reference) && is_price(self.trigger) && follows() == Some(self.trigger)
        } else {
            self.reference == Price(0) && self.trigger == self.terms.trigger
        };
        limit_is_sound && trigger_is_sound
    }

    /// Whether a dormant order has not met its trigger after a trade at `last`, 0 for none yet.
    pub(super) fn waits_at(&self, last: Price) -> bool {
        let NewOrder { side, order_type, .. } = self.terms;
        if self.terms.is_trailing() {
            let follows = height(side, self.reference) >= height(side, last);
            return is_price(last) && follows && !is_met(side == Side::Buy, self.trigger, last);
        }
        last == Price(0) || !is_met(rises(order_type, side), self.trigger, last)
    }

    fn quantities_are_sound(&self) -> bool {
        let Self { open, visible, filled, prevented, .. } = self;
        let parts = [open, filled, prevented].map(|part| u128::from(part.0));
        let shown_is_sound = match (self.rests(), self.terms.display) {
            (false, _) => *visible == Quantity(0) && *open == self.terms.quantity,
            (true, Quantity(0)) => visible == open && *open > Quantity(0),
            (true, display) => (1..=display.min(*open).0).contains(&visible.0),
        };
        parts.iter().sum::<u128>() == u128::from(self.terms.quantity.0) && shown_is_sound
    }

    fn fees_are_sound(&self, spec: &InstrumentSpec) -> bool {
        let (maker, taker) = self.rates;
        let rate = maker.unsigned_abs().max(taker.unsigned_abs());
        let most_quote = u128::from(self.filled.0)
            .saturating_mul(PRICE_TICKS_MAX.unsigned_abs().into())
            .saturating_mul(spec.quote_per_tick_lot.into());
        let most = most_quote.saturating_mul(rate.into()).min(FEE_BASIS_MAX);
        fees_are_valid(maker, taker) && self.fee_basis.unsigned_abs() <= most
    }

    fn needed(&self, spec: &InstrumentSpec) -> Option<Amount> {
        if self.terms.is_by_budget() {
            return Some(self.terms.quote_budget);
        }
        let at = (self.terms.side, self.open, self.limit);
        checked_hold(spec, at, self.fee_basis, self.rates)
    }
}

const _: () = {
    // A fee on top of it fits.
    assert!(FEE_BASIS_MAX < i128::MAX.unsigned_abs() / 2);
};
