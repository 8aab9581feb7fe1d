//! Owns how stop orders come alive: election by the prices of a walk, and the drain that starts the
//! elected ones, one after the other, until none is left or the command's allowance is used up.
//! Knows nothing of how orders are filed while they wait. Invariant: the dormant set only shrinks
//! in a drain, so a cascade ends.

use crate::book_side::tighter;
use crate::command::EngineConfig;
use crate::engine::{Engine, Events};
use crate::event::{CloseReason, Event};
use crate::fill::required_hold;
use crate::fok::Wanted;
use crate::instrument::TradingStatus;
use crate::matching::Taker;
use crate::order::OrderHandle;
use crate::order_details::OrderState;
use crate::stop_orders::{Elected, is_met, rises, stop_details, stop_details_mut};
use crate::types::{Amount, OrderType, Price, TimeInForce};

/// What one command has started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Started {
    orders: u32,
    steps: u32,
}

impl Started {
    /// Whether no further order may be started.
    fn is_all(self, config: &EngineConfig) -> bool {
        self.orders >= config.max_triggers_per_command || self.steps >= config.max_steps_per_order
    }
}

impl OrderType {
    /// Whether an order waits for a trigger before it is matched.
    #[must_use]
    pub fn is_stop(self) -> bool {
        !matches!(self, Self::Limit | Self::Market)
    }

    /// Whether an order has a limit price; the others trade within a cap and never rest.
    #[must_use]
    pub fn has_price(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit | Self::TakeProfitLimit)
    }
}

impl Engine {
    /// Files a live stop order: dormant, or elected at once if the last price meets its trigger.
    pub(crate) fn await_trigger(&mut self, handle: OrderHandle) {
        let order = self.orders.get(handle);
        let (slot, side, order_type) = (order.instrument_slot, order.side, order.order_type);
        let trigger = stop_details(&self.orders, handle).trigger;
        let instrument = &mut self.instruments[usize::from(slot)];
        let last = instrument.last_price;
        let met = last != Price(0)
            && order_type != OrderType::TrailingStop
            && is_met(rises(order_type, side), trigger, last);
        if met {
            self.queue_triggered(handle);
        } else {
            instrument.stops.add_dormant(&mut self.orders, handle);
        }
    }

    /// Puts an order at the end of its book's queue of elected ones.
    pub(crate) fn queue_triggered(&mut self, handle: OrderHandle) {
        let instrument =
            &mut self.instruments[usize::from(self.orders.get(handle).instrument_slot)];
        instrument.stops.add_triggered(&mut self.orders, handle);
        let id = instrument.spec.instrument;
        if let Err(place) = self.with_triggered.binary_search(&id) {
            self.with_triggered.insert(place, id);
        }
    }

    /// Takes out an order that waits in its book's queue of elected ones.
    pub(crate) fn unqueue_triggered(&mut self, handle: OrderHandle) {
        let instrument =
            &mut self.instruments[usize::from(self.orders.get(handle).instrument_slot)];
        instrument.stops.remove_triggered(&mut self.orders, handle);
        if !instrument.stops.has_triggered() {
            let id = instrument.spec.instrument;
            self.with_triggered.retain(|waiting| *waiting != id);
        }
    }

    /// Elects the dormant orders that the trades of one walk meet. The prices of a walk go one way,
    /// so its first and its last one say it all.
    #[inline]
    pub(crate) fn elect(&mut self, taker: &Taker) {
        let slot = usize::from(taker.order.instrument_slot);
        if let Some(prices) = taker.traded
            && self.instruments[slot].stops.has_dormant()
        {
            self.elect_at(slot, prices);
        }
    }

    #[cold]
    fn elect_at(&mut self, slot: usize, [first, last]: [Price; 2]) {
        let mut elected = std::mem::take(&mut self.elected);
        let stops = &mut self.instruments[slot].stops;
        stops.pass(&mut self.orders, first, &mut elected);
        if last != first {
            stops.pass(&mut self.orders, last, &mut elected);
        }
        elected.sort_unstable_by_key(Elected::rank);
        for order in &elected {
            self.queue_triggered(order.handle);
        }
        elected.clear();
        self.elected = elected;
    }

    /// Starts elected orders, book by book in ascending id, those of halted books excepted.
    #[inline]
    pub(crate) fn drain(&mut self, started: &mut Started, events: &mut Events) {
        if !self.with_triggered.is_empty() {
            self.drain_queues(started, events);
        }
    }

    #[cold]
    fn drain_queues(&mut self, started: &mut Started, events: &mut Events) {
        let mut place = 0;
        while let Some(id) = self.with_triggered.get(place).copied() {
            let Some(slot) = self.slot_of(id) else { unreachable!("a listed instrument") };
            let sequence = self.last_sequence;
            let instrument = &mut self.instruments[usize::from(slot)];
            if instrument.status == TradingStatus::Trading {
                instrument.freeze_reference(sequence);
                while let Some(handle) = self.instruments[usize::from(slot)].stops.next_triggered()
                {
                    if started.is_all(&self.config) {
                        return;
                    }
                    started.orders += 1;
                    started.steps = started.steps.saturating_add(self.start(handle, events));
                }
            }
            // A book that was drained has left the list, and the next one has its place.
            if self.with_triggered.get(place) == Some(&id) {
                place += 1;
            }
        }
    }

    /// Starts one elected order as a taker; gives the steps that its walk did.
    fn start(&mut self, handle: OrderHandle, events: &mut Events) -> u32 {
        self.unqueue_triggered(handle);
        let limit = self.limit_at_start(handle);
        let released = self.tighten_hold(handle, limit);
        let details = stop_details_mut(&mut self.orders, handle);
        (details.state, details.limit) = (OrderState::Resting, limit);
        let (trigger, budget) = (details.trigger, details.quote_budget);
        let order_id = self.orders.queued(handle).id;
        events.push(Event::OrderTriggered { order_id, trigger, limit, released });
        if let Some(reason) = self.refusal_at_start(handle, limit) {
            self.close(handle, reason, events);
            return 0;
        }
        let mut taker = self.taker_of(handle, limit);
        taker.budget_left = (budget > 0).then_some(budget);
        self.take_and_settle(handle, taker, events)
    }

    /// Worst price that an elected order may trade at: its own, or the tighter of the cap that it
    /// was accepted with and the one that today's collar gives around the trigger that elected it.
    fn limit_at_start(&self, handle: OrderHandle) -> Price {
        let order = self.orders.get(handle);
        let details = stop_details(&self.orders, handle);
        if order.order_type.has_price() {
            return order.price;
        }
        let spec = &self.instruments[usize::from(order.instrument_slot)].spec;
        let today = spec.collar(order.side, details.trigger);
        tighter(order.side, details.limit, today)
    }

    /// Releases what an order holds above its need at `limit`; an order by budget keeps its budget
    /// and a funded one all that its funds have left.
    fn tighten_hold(&mut self, handle: OrderHandle, limit: Price) -> Amount {
        let open = self.orders.open(handle);
        let by_budget = self.orders.details(handle).is_some_and(|d| d.quote_budget > 0);
        let account = self.orders.queued(handle).account;
        let order = self.orders.get_mut(handle);
        if order.funded || by_budget {
            return 0;
        }
        let instrument = &self.instruments[usize::from(order.instrument_slot)];
        let needed = required_hold(&instrument.spec, order, open, limit);
        let released = order.hold() - needed;
        order.set_hold(needed);
        let slot = instrument.hold_slot(order.side);
        self.assets.at_mut(slot).balance_mut(account).release(released);
        released
    }

    /// Why an elected order ends before it trades.
    fn refusal_at_start(&self, handle: OrderHandle, limit: Price) -> Option<CloseReason> {
        let order = self.orders.get(handle);
        let instrument = &self.instruments[usize::from(order.instrument_slot)];
        if order.post_only && instrument.book.would_trade(order.side, limit) {
            return Some(CloseReason::PostOnlyWouldCross);
        }
        let wanted = Wanted {
            account: self.orders.queued(handle).account,
            side: order.side,
            self_trade_policy: order.self_trade_policy,
            quantity: self.orders.open(handle),
            limit,
        };
        let killed = order.time_in_force == TimeInForce::Fok && !self.can_fill(&wanted, instrument);
        killed.then_some(CloseReason::FokUnfillable)
    }
}
