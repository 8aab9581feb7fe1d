//! Owns what happens when an order meets one of its own owner.
//! Knows nothing of ordinary trades. Invariant: the incoming order's policy decides, maker by
//! maker, and what was traded before stands; nothing changes hands and no fee is taken.

use crate::engine::{Engine, Events};
use crate::event::{CloseReason, Event};
use crate::fill::required_hold;
use crate::matching::Taker;
use crate::order::{Order, OrderHandle};
use crate::types::{AccountId, Amount, Price, Quantity, SelfTradePolicy};

impl Engine {
    /// Whether this order may not trade with a maker of that account.
    #[inline]
    pub(crate) fn must_prevent(&self, taker: &Taker, maker: AccountId) -> bool {
        taker.order.self_trade_policy != SelfTradePolicy::None
            && self.same_owner(taker.account, maker)
    }

    /// One account, or two of one group.
    pub(crate) fn same_owner(&self, one: AccountId, other: AccountId) -> bool {
        let group = |account| self.accounts.get(account).map_or(0, |account| account.stp_group);
        one == other || group(one) != 0 && group(one) == group(other)
    }

    /// Applies the taker's policy to one maker, with which it would have traded `quantity`; gives
    /// the reason if the taker is finished.
    #[cold]
    pub(crate) fn prevent(
        &mut self,
        taker: &mut Taker,
        maker: OrderHandle,
        price: Price,
        quantity: Quantity,
        events: &mut Events,
    ) -> Option<CloseReason> {
        let mode = taker.order.self_trade_policy;
        let (maker_open, taker_open) = (self.orders.open(maker), taker.open);
        let (maker_quantity, taker_quantity) = match mode {
            SelfTradePolicy::None => unreachable!("asked before"),
            SelfTradePolicy::CancelTaker => (Quantity(0), taker_open),
            SelfTradePolicy::CancelMaker => (maker_open, Quantity(0)),
            SelfTradePolicy::CancelBoth => (maker_open, taker_open),
            SelfTradePolicy::Decrement => (quantity, quantity),
        };
        let decrements = mode == SelfTradePolicy::Decrement;
        let (maker_released, taker_released) =
            if decrements { self.decrement(taker, maker, price, quantity) } else { (0, 0) };
        let maker_ends = match mode {
            SelfTradePolicy::CancelTaker => false,
            SelfTradePolicy::Decrement => self.orders.open(maker) == Quantity(0),
            _ => true,
        };
        events.push(Event::SelfTradePrevented {
            instrument: self.instruments[usize::from(taker.order.instrument_slot)].spec.instrument,
            price,
            maker_order_id: self.orders.queued(maker).id,
            taker_order_id: taker.id,
            mode,
            maker_quantity,
            taker_quantity,
            maker_released,
            taker_released,
        });
        if maker_ends {
            self.close(maker, CloseReason::SelfTrade, events);
        } else if self.orders.queued(maker).visible == Quantity(0) {
            self.refresh(maker, events);
        }
        let taker_ends = match mode {
            SelfTradePolicy::CancelMaker => false,
            SelfTradePolicy::Decrement => taker.open == Quantity(0),
            _ => true,
        };
        taker_ends.then_some(CloseReason::SelfTrade)
    }

    /// Takes `quantity` from both; gives what each of them sets free.
    fn decrement(
        &mut self,
        taker: &mut Taker,
        maker: OrderHandle,
        price: Price,
        quantity: Quantity,
    ) -> (Amount, Amount) {
        let instrument = &mut self.instruments[usize::from(taker.order.instrument_slot)];
        instrument.book.reduce(&mut self.orders, maker, quantity);
        taker.open.0 -= quantity.0;
        let (spec, maker_open) = (&instrument.spec, self.orders.open(maker));
        let lower = |order: &mut Order, open: Quantity, limit: Price| {
            // A funded order keeps what its funds have left until its end.
            if order.funded {
                return 0;
            }
            let (held, needed) = (order.hold(), required_hold(spec, order, open, limit));
            order.set_hold(needed);
            held - needed
        };
        let taker_released = lower(&mut taker.order, taker.open, taker.limit);
        let account = self.orders.queued(maker).account;
        let order = self.orders.get_mut(maker);
        let maker_released = lower(order, maker_open, price);
        for (side, account, released) in [
            (taker.order.side, taker.account, taker_released),
            (order.side, account, maker_released),
        ] {
            let slot = instrument.hold_slot(side);
            self.assets.at_mut(slot).balance_mut(account).release(released);
        }
        (maker_released, taker_released)
    }
}
