//! Owns how live orders come back: each in its level, among the dormant ones or in its queue.
//! Knows nothing of keys, nor of which orders are funded. Invariant: levels and queues have the
//! order in which they were written, and dormant orders enter in the order of their entry.

use super::order_checks::Saved;
use super::{Restoration, Restored};
use crate::book_side::is_better;
use crate::command::NewOrder;
use crate::limits::LIVE_ORDERS_MAX;
use crate::matching::Taker;
use crate::order::{Order, OrderHandle};
use crate::order_details::{DetailsHandle, OrderDetails, OrderState};
use crate::stop_orders::stop_details;
use crate::trailing_range::height;
use crate::types::{
    AccountId, Amount, ClientOrderId, OrderId, OrderType, Price, Quantity, SelfTradePolicy, Side,
    SignedAmount, TimeInForce, TransferId,
};

impl Restoration<'_> {
    pub(super) fn books(&mut self) -> Restored<()> {
        for slot in (0u16..).take(self.engine.instruments.len()) {
            for side in Side::ALL {
                self.side(slot, *side)?;
            }
            let book = &self.engine.instruments[usize::from(slot)].book;
            let crossed = match (book.best(Side::Buy), book.best(Side::Sell)) {
                (Some(bid), Some(ask)) => bid.price >= ask.price,
                _ => false,
            };
            self.from.check(!crossed, "best prices of a book")?;
            self.dormant(slot)?;
            self.triggered(slot)?;
        }
        Ok(())
    }

    /// Orders from the best price to the worst, at each price in the order of their queue.
    fn side(&mut self, slot: u16, side: Side) -> Restored<()> {
        let mut previous: Option<Price> = None;
        for _ in 0..self.from.count("number of resting orders", LIVE_ORDERS_MAX as usize)? {
            let saved = self.order(slot, OrderState::Resting)?;
            let (own_side, price) = (saved.terms.side, saved.terms.price);
            let follows = previous.is_none_or(|previous| !is_better(side, price, previous));
            self.from.check(own_side == side && follows, "order of resting orders")?;
            let handle = self.enlist(slot, &saved)?;
            let book = &mut self.engine.instruments[usize::from(slot)].book;
            book.add(&mut self.engine.orders, handle, side, price);
            previous = Some(price);
        }
        Ok(())
    }

    /// Orders by ascending id. Of two trailing ones of a side that with the better reference has
    /// entered first; where references are equal, nothing depends on it.
    fn dormant(&mut self, slot: u16) -> Restored<()> {
        let mut previous = OrderId(0);
        let mut entries = Vec::new();
        for _ in 0..self.from.count("number of dormant orders", LIVE_ORDERS_MAX as usize)? {
            let saved = self.order(slot, OrderState::Dormant)?;
            self.from.check(saved.id > previous, "order of dormant orders")?;
            let last = self.engine.instruments[usize::from(slot)].last_price;
            self.from.check(saved.waits_at(last), "trigger of a dormant order")?;
            entries.push(self.enlist(slot, &saved)?);
            previous = saved.id;
        }
        let orders = &self.engine.orders;
        entries.sort_unstable_by_key(|handle| {
            let details = stop_details(orders, *handle);
            let behind = height(orders.get(*handle).side, details.trail_reference).wrapping_neg();
            (behind, details.entry_sequence)
        });
        let stops = &mut self.engine.instruments[usize::from(slot)].stops;
        for handle in entries {
            stops.add_dormant(&mut self.engine.orders, handle);
        }
        Ok(())
    }

    fn triggered(&mut self, slot: u16) -> Restored<()> {
        for _ in 0..self.from.count("number of elected orders", LIVE_ORDERS_MAX as usize)? {
            let saved = self.order(slot, OrderState::Triggered)?;
            let handle = self.enlist(slot, &saved)?;
            self.engine.queue_triggered(handle);
        }
        Ok(())
    }

    /// Reads one live order, and checks what can be said of it alone.
    fn order(&mut self, slot: u16, state: OrderState) -> Restored<Saved> {
        const FIELD: &str = "live order";
        let (id, account, side, order_type, time_in_force): (
            OrderId,
            AccountId,
            Side,
            OrderType,
            TimeInForce,
        ) = self.from.read(FIELD)?;
        let offset = self.from.offset();
        self.check_owner(id, account, slot)?;
        let (self_trade_policy, post_only, code): (SelfTradePolicy, bool, u8) =
            self.from.read(FIELD)?;
        self.from.check(code == state as u8, "state of a live order")?;
        let (price, trigger, limit, trail_ticks, trail_bps, reference): (
            Price,
            Price,
            Price,
            i64,
            u32,
            Price,
        ) = self.from.read(FIELD)?;
        let [quantity, open, visible, display, filled, prevented]: [Quantity; 6] =
            self.from.read(FIELD)?;
        let (quote_budget, budget_left, fee_basis): (Amount, Amount, SignedAmount) =
            self.from.read(FIELD)?;
        let (maker_fee_ppm, taker_fee_ppm, expire_at_ns, entry_sequence, hold) =
            self.from.read(FIELD)?;
        let terms = NewOrder {
            account,
            instrument: self.engine.instruments[usize::from(slot)].spec.instrument,
            side,
            order_type,
            time_in_force,
            self_trade_policy,
            post_only,
            price,
            // A trailing order follows from its reference, and names none.
            trigger: if order_type == OrderType::TrailingStop { Price(0) } else { trigger },
            trail_ticks,
            trail_bps,
            quantity,
            display,
            quote_budget,
            expire_at_ns,
            credit_id: TransferId(0),
            credit_amount: 0,
            client_order_id: ClientOrderId::EMPTY,
        };
        let rates = (maker_fee_ppm, taker_fee_ppm);
        let saved = Saved {
            offset,
            id,
            state,
            terms,
            trigger,
            limit,
            reference,
            open,
            visible,
            filled,
            prevented,
            budget_left,
            fee_basis,
            rates,
            entry_sequence,
            hold,
        };
        self.check_order(&saved, slot)?;
        Ok(saved)
    }

    /// Lists an order that passed: it is in no level and in no queue yet.
    fn enlist(&mut self, slot: u16, saved: &Saved) -> Restored<OrderHandle> {
        let Saved { id, terms, hold, .. } = saved;
        let hold_slot = self.engine.instruments[usize::from(slot)].hold_slot(terms.side);
        self.note_hold(hold_slot, terms.account, *hold)?;
        let mut order = saved.terms_of(slot);
        order.details = self.details(saved);
        let shown = if saved.state == OrderState::Resting { saved.visible } else { saved.open };
        Ok(self.engine.enlist(&Taker {
            id: *id,
            account: terms.account,
            open: shown,
            order,
            limit: saved.limit,
            budget_left: None,
            steps: 0,
            traded: None,
        }))
    }

    fn details(&mut self, saved: &Saved) -> DetailsHandle {
        let Saved { terms, trigger, limit, state, .. } = saved;
        if !terms.has_details() {
            return DetailsHandle::NONE;
        }
        let rests = *state == OrderState::Resting;
        self.engine.orders.details_table().add(OrderDetails {
            display: terms.display,
            hidden: Quantity(if rests { saved.open.0 - saved.visible.0 } else { 0 }),
            expire_at_ns: terms.expire_at_ns,
            trigger: *trigger,
            limit: if terms.order_type.is_stop() { *limit } else { Price(0) },
            trail_ticks: terms.trail_ticks,
            trail_bps: terms.trail_bps,
            trail_reference: saved.reference,
            trail_place: 0,
            entry_sequence: saved.entry_sequence,
            quote_budget: terms.quote_budget,
            state: *state,
        })
    }
}

impl Saved {
    /// The record that a fill, an amend or a close goes by.
    fn terms_of(&self, instrument_slot: u16) -> Order {
        let terms = &self.terms;
        let mut order = Order {
            price: terms.price,
            quantity: terms.quantity,
            filled: self.filled,
            maker_fee_ppm: self.rates.0,
            taker_fee_ppm: self.rates.1,
            instrument_slot,
            side: terms.side,
            order_type: terms.order_type,
            time_in_force: terms.time_in_force,
            self_trade_policy: terms.self_trade_policy,
            post_only: terms.post_only,
            ..Order::default()
        };
        order.set_hold(self.hold);
        order.set_fee_basis(self.fee_basis);
        order
    }
}
