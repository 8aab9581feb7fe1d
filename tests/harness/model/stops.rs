//! Owns the life of a stop before it is matched: dormant, met by a price, waiting its turn, fired.
//! Knows nothing of how it then trades. Invariant: after each order that traded, no stop lies
//! dormant that one of its prices meets.

use engine::{CloseReason, Event, InstrumentId, OrderId, Price, TimeInForce, TradingStatus};

use super::arithmetic::{collar, tighter};
use super::order::{Order, State, is_market_form, is_stop};
use super::{Defect, Model};

/// What the drains of one command did so far, together.
#[derive(Debug, Default)]
pub(super) struct Drained {
    orders: u32,
    steps: u64,
}

impl Model {
    /// Matches an order that has just come in, or lays it down if it waits for a price.
    pub(super) fn set_going(&mut self, id: OrderId) {
        let order = self.order(id);
        if is_stop(order.order_type) {
            self.order_mut(id).state = State::Dormant;
            self.elect_if_met(id);
        } else {
            self.execute(id);
        }
    }

    /// Sends a dormant order to the queue if the last price meets its trigger already.
    pub(super) fn elect_if_met(&mut self, id: OrderId) {
        let order = self.order(id);
        let last_price = self.instrument(order.instrument).expect("listed").last_price;
        if last_price != 0 && order.is_triggered_by(last_price) {
            let place = self.next_place();
            self.order_mut(id).state = State::Triggered { place };
        }
    }

    /// Sends the dormant orders that these trades met to the queue: first those that waited for a
    /// rise, lowest trigger first, then those that waited for a fall, highest trigger first.
    pub(super) fn elect(&mut self, instrument: InstrumentId, prices: &[i64]) {
        let mut met: Vec<Order> = Vec::new();
        for price in prices {
            for id in self.dormant(instrument) {
                let goes_back = self.has(Defect::TrailGoesBack);
                let order = self.order_mut(id);
                order.follow(*price, goes_back);
                if order.is_triggered_by(*price) {
                    order.state = State::Active;
                    met.push(*order);
                }
            }
        }
        met.sort_by_key(|order| {
            let rises = order.waits_for_rise();
            let group = rises == self.has(Defect::FallsFireFirst);
            let trigger = if rises { order.trigger } else { -order.trigger };
            let trigger = if self.has(Defect::StopsFireByAge) { 0 } else { trigger };
            (group, trigger, order.entry_sequence)
        });
        for order in met {
            let place = self.next_place();
            self.order_mut(order.id).state = State::Triggered { place };
        }
    }

    /// Dormant orders of one book, in ascending id.
    pub(super) fn dormant(&self, instrument: InstrumentId) -> Vec<OrderId> {
        let here = self.orders.iter().filter(|o| o.instrument == instrument);
        here.filter(|o| o.state == State::Dormant).map(|o| o.id).collect()
    }

    /// Orders of one book that were met and wait, first to be matched first.
    pub(super) fn triggered(&self, instrument: InstrumentId) -> Vec<OrderId> {
        let here = self.orders.iter().filter(|o| o.instrument == instrument);
        let mut waiting: Vec<&Order> = here.filter(|o| o.queue_place().is_some()).collect();
        waiting.sort_by_key(|o| o.queue_place());
        waiting.iter().map(|o| o.id).collect()
    }

    /// Fires waiting orders, book after book, until none is left or the command has done its share.
    pub(super) fn drain(&mut self, drained: &mut Drained) {
        let trading = |i: &&super::Instrument| i.status == TradingStatus::Trading;
        let open = self.instruments.iter().filter(trading);
        let mut books: Vec<InstrumentId> = open.map(|i| i.spec.instrument).collect();
        books.sort_unstable();
        for book in books {
            while let Some(head) = self.triggered(book).first() {
                let extra = u32::from(self.has(Defect::OneStopTooMany));
                let most = self.config.max_triggers_per_command + extra;
                if drained.orders >= most || drained.steps >= self.config.max_steps_per_order.into()
                {
                    return;
                }
                drained.orders += 1;
                drained.steps += u64::from(self.fire(*head));
            }
        }
    }

    /// Matches an order whose turn has come; returns the steps that it took.
    fn fire(&mut self, id: OrderId) -> u32 {
        let before = self.order(id);
        let spec = self.spec(before.instrument);
        let mut order = Order { state: State::Active, ..before };
        if is_market_form(order.order_type) && !self.has(Defect::CapStays) {
            let fresh = collar(&spec, order.side, order.trigger);
            order.price = tighter(order.side, order.price, fresh);
        }
        let released = before.hold(&spec) - self.replace(order);
        let (trigger, limit) = (Price(order.trigger), Price(order.price));
        self.emit(Event::OrderTriggered { order_id: id, trigger, limit, released });
        if order.post_only && self.crosses(&order) {
            self.close(id, CloseReason::PostOnlyWouldCross);
            return 0;
        }
        if order.time_in_force == TimeInForce::Fok && !self.can_fill(&order) {
            self.close(id, CloseReason::FokUnfillable);
            return 0;
        }
        self.execute(id)
    }
}
