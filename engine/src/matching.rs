//! Owns the price-time walk of one order that takes, and what each of its trades does.
//! Knows nothing of why the order came in. Invariant: the best price trades first, and within it
//! who came first.

use crate::book_side::is_within;
use crate::engine::{Engine, Events, Instrument};
use crate::event::{CloseReason, Event, Trade};
use crate::fill::{Parties, exchange, fill};
use crate::order::{Order, OrderHandle};
use crate::types::{AccountId, Amount, OrderId, Price, Quantity, Side, TradeId};
use crate::valuation::budget_quantity;

/// An order while it takes. Most incoming orders are in the slab neither before nor after; one
/// that was amended or triggered is, and what its walk changed is written back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker {
    pub(crate) id: OrderId,
    pub(crate) account: AccountId,
    pub(crate) open: Quantity,
    pub(crate) order: Order,
    /// Worst price it may trade at.
    pub(crate) limit: Price,
    /// Quote units that an order by budget may still spend.
    pub(crate) budget_left: Option<Amount>,
    /// Makers that it has met.
    pub(crate) steps: u32,
    /// First and last price at which it has traded.
    pub(crate) traded: Option<[Price; 2]>,
}

impl Engine {
    /// Matches the taker until it is done or no maker is left within its limit.
    ///
    /// Gives the reason if the taker is finished, `None` if what is left is for its type to decide.
    pub(crate) fn walk(&mut self, taker: &mut Taker, events: &mut Events) -> Option<CloseReason> {
        let opposite = taker.order.side.opposite();
        loop {
            match taker.budget_left {
                None if taker.open == Quantity(0) => return Some(CloseReason::Filled),
                Some(0) => return Some(CloseReason::BudgetSpent),
                _ => {}
            }
            let instrument = &self.instruments[usize::from(taker.order.instrument_slot)];
            let level = instrument.book.best(opposite)?;
            let (price, maker) = (level.price, level.queue.first);
            if !is_within(taker.order.side, taker.limit, price) {
                return None;
            }
            let queued = self.orders.queued(maker);
            let quantity = taker.wanted(instrument, price).min(queued.visible);
            if quantity == Quantity(0) {
                return Some(CloseReason::BudgetSpent);
            }
            if taker.steps == self.config.max_steps_per_order {
                return Some(CloseReason::MatchLimit);
            }
            taker.steps += 1;
            if self.must_prevent(taker, queued.account) {
                if let Some(reason) = self.prevent(taker, maker, price, quantity, events) {
                    return Some(reason);
                }
                continue;
            }
            self.trade(taker, maker, price, quantity, events);
        }
    }

    fn trade(
        &mut self,
        taker: &mut Taker,
        maker_handle: OrderHandle,
        price: Price,
        quantity: Quantity,
        events: &mut Events,
    ) {
        let slot = taker.order.instrument_slot;
        let instrument = &mut self.instruments[usize::from(slot)];
        let spec = &instrument.spec;
        let (base, quote) = (spec.base_value(quantity), spec.quote_value(price, quantity));
        instrument.last_price = price;
        instrument.book.reduce(&mut self.orders, maker_handle, quantity);
        taker.traded = Some([taker.traded.map_or(price, |[first, _]| first), price]);

        let maker_open = self.orders.open(maker_handle);
        let (maker_id, maker_account) = {
            let queued = self.orders.queued(maker_handle);
            (queued.id, queued.account)
        };
        let maker = self.orders.get_mut(maker_handle);
        let maker_rate = maker.maker_fee_ppm;
        let made = fill(spec, maker, maker_open, None, price, quantity, quote, maker_rate);
        if taker.budget_left.is_none() {
            taker.open.0 -= quantity.0;
        }
        let Taker { id, account, open, order, limit, budget_left, .. } = taker;
        let (taker_rate, budget_left) = (order.taker_fee_ppm, budget_left.as_mut());
        let took = fill(spec, order, *open, budget_left, *limit, quantity, quote, taker_rate);

        let (buyer, bought, seller, sold) = match order.side {
            Side::Buy => (*account, took, maker_account, made),
            Side::Sell => (maker_account, made, *account, took),
        };
        let parties = Parties { buyer, bought, seller, sold };
        exchange(&mut self.assets, instrument, &parties, base, quote);
        let trade_id = self.next_trade_id;
        self.next_trade_id = TradeId(trade_id.0 + 1);
        events.push(Event::Trade(Trade {
            trade_id,
            instrument: instrument.spec.instrument,
            price,
            quantity,
            maker_order_id: maker_id,
            taker_order_id: *id,
            maker_account,
            taker_account: *account,
            taker_side: order.side,
            base,
            quote,
            maker_fee: made.fee,
            taker_fee: took.fee,
            buyer_released: bought.released,
            maker_open,
            taker_open: *open,
        }));
        for party in [buyer, seller] {
            self.accounts.note_traded(party, slot, self.day, quantity);
        }
        if bought.funded || sold.funded {
            self.pay_out(trade_id, slot, &parties, base, quote, events);
        }
        if maker_open == Quantity(0) {
            self.close(maker_handle, CloseReason::Filled, events);
        } else if self.orders.queued(maker_handle).visible == Quantity(0) {
            self.refresh(maker_handle, events);
        }
    }

    /// Takes an order that is listed, or was, as the taker that it is to become; whoever calls has
    /// taken it out of its level or queue.
    pub(crate) fn taker_of(&self, handle: OrderHandle, limit: Price) -> Taker {
        let queued = self.orders.queued(handle);
        Taker {
            id: queued.id,
            account: queued.account,
            open: self.orders.open(handle),
            order: *self.orders.get(handle),
            limit,
            budget_left: None,
            steps: 0,
            traded: None,
        }
    }

    /// Lets a listed order take, then rests or closes what is left, and elects what its trades
    /// meet; gives the steps of its walk.
    pub(crate) fn take_and_settle(
        &mut self,
        handle: OrderHandle,
        mut taker: Taker,
        events: &mut Events,
    ) -> u32 {
        let ended = self.walk(&mut taker, events);
        let reason = ended.or_else(|| self.remainder_reason(&taker));
        // The walk may have closed neighbours in the account's list: those links stay the slab's.
        self.orders.set_open(handle, taker.open);
        let order = self.orders.get_mut(handle);
        order.filled = taker.order.filled;
        order.set_hold(taker.order.hold());
        order.set_fee_basis(taker.order.fee_basis());
        match reason {
            Some(reason) => self.close(handle, reason, events),
            None => self.rest(handle, events),
        }
        self.elect(&taker);
        taker.steps
    }
}

impl Taker {
    /// Lots it would trade at `price`, however many are there.
    fn wanted(&self, instrument: &Instrument, price: Price) -> Quantity {
        match self.budget_left {
            None => self.open,
            Some(budget) => budget_quantity(
                budget,
                self.order.fee_basis(),
                self.order.taker_fee_ppm,
                instrument,
                price,
            ),
        }
    }
}
