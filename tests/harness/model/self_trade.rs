//! Owns the meeting of two orders of one owner: who counts as one, and what the taker's mode does
//! to both. Knows nothing of fees or of what else a walk meets. Invariant: nothing changes hands,
//! and the mode of the maker is never asked.

use engine::{AccountId, Amount, CloseReason, Event, Price, Quantity, SelfTradePolicy};

use super::order::Order;
use super::{Defect, Model};

impl Model {
    /// Whether orders of these accounts are of one owner: the same account, or the same group.
    pub(super) fn same_owner(&self, left: AccountId, right: AccountId) -> bool {
        let group = |id| self.account(id).expect("orders have registered accounts").stp_group;
        let grouped = group(left) != 0 && group(left) == group(right);
        left == right || (grouped && !self.has(Defect::GroupsIgnored))
    }

    /// One step of a taker with a maker that it must not trade `quantity` lots with. Returns why
    /// the taker ends, `None` if it goes on.
    pub(super) fn prevent(
        &mut self,
        taker: &Order,
        maker: &Order,
        quantity: Quantity,
    ) -> Option<CloseReason> {
        const NOTHING: Quantity = Quantity(0);
        let mode = taker.self_trade_policy;
        let (maker_quantity, taker_quantity) = match mode {
            SelfTradePolicy::None => panic!("an order without a mode trades with anybody"),
            SelfTradePolicy::CancelTaker => (NOTHING, taker.open),
            SelfTradePolicy::CancelMaker => (maker.open, NOTHING),
            SelfTradePolicy::CancelBoth => (maker.open, taker.open),
            SelfTradePolicy::Decrement => (quantity, quantity),
        };
        let (mut maker_released, mut taker_released) = (0, 0);
        if mode == SelfTradePolicy::Decrement {
            maker_released = self.decrement(maker, quantity);
            taker_released = self.decrement(taker, quantity);
        }
        self.emit(Event::SelfTradePrevented {
            instrument: taker.instrument,
            price: Price(maker.price),
            maker_order_id: maker.id,
            taker_order_id: taker.id,
            mode,
            maker_quantity,
            taker_quantity,
            maker_released,
            taker_released,
        });
        let (maker_ends, taker_ends) = match mode {
            SelfTradePolicy::None | SelfTradePolicy::CancelTaker => (false, true),
            SelfTradePolicy::CancelMaker => (true, false),
            SelfTradePolicy::CancelBoth => (true, true),
            SelfTradePolicy::Decrement => (quantity == maker.open, quantity == taker.open),
        };
        if maker_ends {
            self.close(maker.id, CloseReason::SelfTrade);
        } else if mode == SelfTradePolicy::Decrement {
            self.show_less(maker.id, quantity);
        }
        taker_ends.then_some(CloseReason::SelfTrade)
    }

    /// Takes lots away from an order without a trade; returns what that sets free of its hold.
    fn decrement(&mut self, order: &Order, quantity: Quantity) -> Amount {
        let before = order.hold(&self.spec(order.instrument));
        let open = Quantity(order.open.0 - quantity.0);
        let prevented = Quantity(order.prevented.0 + quantity.0);
        before - self.replace(Order { open, prevented, ..*order })
    }
}
