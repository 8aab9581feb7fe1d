//! Owns what happens when an order meets one of its own owner.
//! Knows nothing of ordinary trades. Invariant: the incoming order's policy decides, maker by
//! maker, and what was traded before stands; nothing changes hands and no fee is taken.

use crate::engine::{Engine, Events};
use crate::event::{CloseReason, Event};
use crate::matching::{Taker, required_hold};
use crate::order::{Order, OrderHandle, OrderMoney};
use crate::types::{AccountId, Amount, Price, Quantity, SelfTradePolicy};

impl Engine {
    /// Whether this order may not trade with a maker of that account.
    #[inline]
    pub(crate) fn must_prevent(&self, taker: &Order, maker: AccountId) -> bool {
        taker.self_trade_policy != SelfTradePolicy::None && self.same_owner(taker.account, maker)
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
        quantity: Quantity,
        events: &mut Events,
    ) -> Option<CloseReason> {
        let mode = taker.order.self_trade_policy;
        let (maker_open, taker_open) = (self.orders.get(maker).open, taker.order.open);
        let (maker_quantity, taker_quantity) = match mode {
            SelfTradePolicy::None => unreachable!("asked before"),
            SelfTradePolicy::CancelTaker => (Quantity(0), taker_open),
            SelfTradePolicy::CancelMaker => (maker_open, Quantity(0)),
            SelfTradePolicy::CancelBoth => (maker_open, taker_open),
            SelfTradePolicy::Decrement => (quantity, quantity),
        };
        let decrements = mode == SelfTradePolicy::Decrement;
        let (maker_released, taker_released) =
            if decrements { self.decrement(taker, maker, quantity) } else { (0, 0) };
        let order = self.orders.get(maker);
        let maker_ends = match mode {
            SelfTradePolicy::CancelTaker => false,
            SelfTradePolicy::Decrement => order.open == Quantity(0),
            _ => true,
        };
        events.push(Event::SelfTradePrevented {
            instrument: self.instruments[taker.order.instrument_slot as usize].spec.instrument,
            price: order.price,
            maker_order_id: order.id,
            taker_order_id: taker.order.id,
            mode,
            maker_quantity,
            taker_quantity,
            maker_released,
            taker_released,
        });
        if maker_ends {
            self.close(maker, CloseReason::SelfTrade, events);
        }
        let taker_ends = match mode {
            SelfTradePolicy::CancelMaker => false,
            SelfTradePolicy::Decrement => taker.order.open == Quantity(0),
            _ => true,
        };
        taker_ends.then_some(CloseReason::SelfTrade)
    }

    /// Takes `quantity` from both; gives what each of them sets free.
    fn decrement(
        &mut self,
        taker: &mut Taker,
        maker: OrderHandle,
        quantity: Quantity,
    ) -> (Amount, Amount) {
        let instrument = &mut self.instruments[taker.order.instrument_slot as usize];
        instrument.book.reduce(&mut self.orders, maker, quantity);
        taker.order.open.0 -= quantity.0;
        let spec = &instrument.spec;
        let lower = |order: &Order, money: &mut OrderMoney, limit: Price| {
            // A funded order keeps what its funds have left until its end.
            if order.funded {
                return 0;
            }
            let needed = required_hold(spec, order, money, limit);
            std::mem::replace(&mut money.hold, needed) - needed
        };
        let taker_released = lower(&taker.order, &mut taker.money, taker.limit);
        let (order, money) = self.orders.both_mut(maker);
        let maker_released = lower(order, money, order.price);
        for (side, account, released) in [
            (taker.order.side, taker.order.account, taker_released),
            (order.side, order.account, maker_released),
        ] {
            let slot = instrument.hold_slot(side);
            self.assets.at_mut(slot).balance_mut(account).release(released);
        }
        (maker_released, taker_released)
    }
}

impl OrderMoney {
    /// Lots that self-trade prevention took from an order that has `open` left; 0 for one by
    /// budget.
    pub(crate) fn prevented(&self, open: Quantity) -> Quantity {
        Quantity(self.quantity.0.saturating_sub(self.filled.0 + open.0))
    }
}
