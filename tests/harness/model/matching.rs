//! Owns the life of an order in the book: start, walk, trade, rest, close, and the money of each.
//! Knows nothing of checks. Invariant: whatever changes an order moves the difference of its hold
//! to or from the available balance in the same breath.

use engine::command::NewOrder;
use engine::event::{OrderAccepted, Trade};
use engine::{
    AccountId, Amount, CloseReason, Event, InstrumentId, InstrumentSpec, OrderId, Price, Quantity,
    SelfTradePolicy, Side, SignedAmount, TimeInForce, TradeId,
};

use super::admission::Terms;
use super::arithmetic::{base_value, quote_value, signed, unsigned, whole, whole_rounded_down};
use super::order::{Order, State, is_market_form};
use super::{Defect, Model, hold_asset};

impl Model {
    pub(super) fn order(&self, id: OrderId) -> Order {
        *self.orders.iter().find(|o| o.id == id).expect("a live order")
    }

    pub(super) fn order_mut(&mut self, id: OrderId) -> &mut Order {
        self.orders.iter_mut().find(|o| o.id == id).expect("a live order")
    }

    /// The resting orders of one side, in the order in which they would trade.
    pub(super) fn queue(&self, instrument: InstrumentId, side: Side) -> Vec<Order> {
        let here = |o: &&Order| o.instrument == instrument && o.side == side;
        let rests = |o: &&Order| here(o) && o.resting_place().is_some();
        let mut queue: Vec<Order> = self.orders.iter().filter(rests).copied().collect();
        queue.sort_by_key(|o| match side {
            Side::Buy => (-o.price, o.resting_place()),
            Side::Sell => (o.price, o.resting_place()),
        });
        queue
    }

    /// Whether an order would trade at once within its limit.
    pub(super) fn crosses(&self, taker: &Order) -> bool {
        let queue = self.queue(taker.instrument, taker.side.opposite());
        queue.first().is_some_and(|maker| maker.is_met_by(taker.side, taker.price))
    }

    pub(super) fn best_price(&self, instrument: InstrumentId, side: Side) -> Option<i64> {
        self.queue(instrument, side).first().map(|o| o.price)
    }

    /// Replaces an order, moves what its hold lost (or gained) to (or from) the available balance
    /// and returns the new hold.
    pub(super) fn replace(&mut self, order: Order) -> Amount {
        let spec = self.spec(order.instrument);
        let before = self.order(order.id).hold(&spec);
        let after = order.hold(&spec);
        *self.order_mut(order.id) = order;
        let asset = hold_asset(&spec, order.side);
        self.move_available(order.account, asset, signed(before) - signed(after));
        after
    }

    /// Takes the hold of an order that passed every check and says that it is in.
    pub(super) fn start(&mut self, id: OrderId, new: &NewOrder, terms: &Terms) {
        let spec = self.spec(new.instrument);
        let hold = terms.hold;
        let order = Order::new(id, new, terms, self.last_sequence);
        self.orders.push(order);
        self.orders.sort_by_key(|o| o.id);
        self.move_available(new.account, hold_asset(&spec, new.side), -signed(hold));
        self.emit(Event::OrderAccepted(OrderAccepted {
            order_id: id,
            account: new.account,
            instrument: new.instrument,
            side: new.side,
            order_type: new.order_type,
            time_in_force: new.time_in_force,
            self_trade_policy: new.self_trade_policy,
            post_only: new.post_only,
            price: new.price,
            trigger: Price(terms.trigger),
            cap: order.cap(),
            quantity: new.quantity,
            display: new.display,
            quote_budget: new.quote_budget,
            expire_at_ns: new.expire_at_ns,
            hold,
            client_order_id: new.client_order_id,
        }));
    }

    /// Lets an active order trade as far as it goes; then it rests or closes, and its trades wake
    /// stops. Returns the steps that it took.
    pub(super) fn execute(&mut self, id: OrderId) -> u32 {
        let instrument = self.order(id).instrument;
        let mut walk = Walk { steps: 0, prices: Vec::new() };
        match self.walk(id, &mut walk) {
            Some(reason) => self.close(id, reason),
            None => self.rest(id),
        }
        self.elect(instrument, &walk.prices);
        walk.steps
    }

    /// Why the order ends after its trades; `None` if it goes to the book.
    fn walk(&mut self, id: OrderId, walk: &mut Walk) -> Option<CloseReason> {
        loop {
            let taker = self.order(id);
            match taker.budget_left {
                None if taker.open.0 == 0 => return Some(CloseReason::Filled),
                Some(0) => return Some(CloseReason::BudgetSpent),
                _ => {}
            }
            let queue = self.queue(taker.instrument, taker.side.opposite());
            let head = queue.first().filter(|m| m.is_met_by(taker.side, taker.price));
            let Some(maker) = head.copied() else {
                return after_last_trade(&taker, queue.is_empty());
            };
            let spec = self.spec(taker.instrument);
            let quantity = taker.budget_left.map_or_else(
                || taker.open.0.min(maker.visible.0),
                |budget| taker.affordable(&spec, budget, maker.price, maker.visible.0),
            );
            if quantity == 0 {
                return Some(CloseReason::BudgetSpent);
            }
            if walk.steps == self.config.max_steps_per_order {
                return Some(CloseReason::MatchLimit);
            }
            walk.steps += 1;
            let quantity = Quantity(quantity);
            let refuses = taker.self_trade_policy != SelfTradePolicy::None;
            if refuses && self.same_owner(taker.account, maker.account) {
                let end = self.prevent(&taker, &maker, quantity);
                if end.is_some() {
                    return end;
                }
            } else {
                self.trade(&taker, &maker, quantity);
                walk.prices.push(maker.price);
            }
        }
    }

    fn trade(&mut self, taker: &Order, maker: &Order, quantity: Quantity) {
        let spec = self.spec(taker.instrument);
        let price = Price(maker.price);
        let base = base_value(&spec, quantity);
        let quote = quote_value(&spec, price, quantity);
        let maker_fill = self.fill(maker, quantity, quote, maker.maker_fee_ppm);
        let taker_fill = self.fill(taker, quantity, quote, taker.taker_fee_ppm);
        let (buyer, seller) = match taker.side {
            Side::Buy => ((taker, taker_fill), (maker, maker_fill)),
            Side::Sell => ((maker, maker_fill), (taker, taker_fill)),
        };
        let buyer_released =
            signed(buyer.1.hold_before) - signed(quote) - buyer.1.fee - signed(buyer.1.hold_after);
        self.move_available(buyer.0.account, spec.quote_asset, buyer_released);
        self.move_available(buyer.0.account, spec.base_asset, signed(base));
        self.move_available(seller.0.account, spec.quote_asset, signed(quote) - seller.1.fee);
        self.asset_mut(spec.quote_asset).fees += buyer.1.fee + seller.1.fee;
        self.trades += 1;
        self.note_volume(maker.account, taker.account, &spec, quantity);
        self.instrument_mut(taker.instrument).expect("listed").last_price = maker.price;
        self.emit(Event::Trade(Trade {
            trade_id: TradeId(self.trades),
            instrument: taker.instrument,
            price,
            quantity,
            maker_order_id: maker.id,
            taker_order_id: taker.id,
            maker_account: maker.account,
            taker_account: taker.account,
            taker_side: taker.side,
            base,
            quote,
            maker_fee: maker_fill.fee,
            taker_fee: taker_fill.fee,
            buyer_released: unsigned(buyer_released),
            maker_open: maker_fill.open,
            taker_open: taker_fill.open,
        }));
        self.pay_out(TradeId(self.trades), buyer.0, seller.0, base, signed(quote) - seller.1.fee);
        if maker_fill.open.0 == 0 {
            self.close(maker.id, CloseReason::Filled);
        } else {
            self.show_less(maker.id, quantity);
        }
    }

    /// Takes lots off what a maker shows. When nothing is left of it the next part comes up, behind
    /// all others of the level.
    pub(super) fn show_less(&mut self, id: OrderId, quantity: Quantity) {
        let place = self.next_place();
        let keeps_place = self.has(Defect::RefreshKeepsPlace);
        let order = self.order_mut(id);
        order.visible.0 -= quantity.0;
        if order.visible.0 == 0 {
            order.visible = order.part();
            let visible = order.visible;
            if !keeps_place {
                order.state = State::Resting { place };
            }
            self.emit(Event::IcebergRefreshed { order_id: id, visible });
        }
    }

    /// Adds a trade to what its accounts traded today, which forgets all earlier days.
    fn note_volume(
        &mut self,
        maker: AccountId,
        taker: AccountId,
        spec: &InstrumentSpec,
        quantity: Quantity,
    ) {
        let today = self.today();
        let once = maker == taker && self.has(Defect::OwnVolumeCountsOnce);
        for id in if once { vec![maker] } else { vec![maker, taker] } {
            let account = &mut self.accounts[id.0 as usize - 1];
            if account.volume_day != today {
                account.volume_day = today;
                account.volumes.clear();
            }
            let row = account.volumes.iter().position(|(id, _)| *id == spec.instrument);
            match row {
                Some(row) => {
                    let lots = &mut account.volumes[row].1;
                    *lots = lots.saturating_add(quantity.0);
                }
                None => account.volumes.push((spec.instrument, quantity.0)),
            }
        }
    }

    /// Books one fill in the order itself; the money is moved by the caller.
    fn fill(&mut self, order: &Order, quantity: Quantity, quote: Amount, rate_ppm: i32) -> Fill {
        let spec = self.spec(order.instrument);
        let basis = order.fee_basis + signed(quote) * i128::from(rate_ppm);
        let round = if self.has(Defect::FeesRoundDown) { whole_rounded_down } else { whole };
        let fee = round(basis) - round(order.fee_basis);
        let after = self.order_mut(order.id);
        after.filled.0 += quantity.0;
        after.fee_basis = basis;
        if let Some(funds) = &mut after.funds {
            funds.taken += match order.side {
                Side::Buy => unsigned(signed(quote) + fee),
                Side::Sell => base_value(&spec, quantity),
            };
        }
        match &mut after.budget_left {
            Some(budget_left) => *budget_left -= unsigned(signed(quote) + fee),
            None => after.open.0 -= quantity.0,
        }
        Fill {
            fee,
            open: after.open,
            hold_before: order.hold(&spec),
            hold_after: after.hold(&spec),
        }
    }

    /// Puts an order at the tail of its level.
    fn rest(&mut self, id: OrderId) {
        let place = self.next_place();
        let order = self.order_mut(id);
        order.state = State::Resting { place };
        order.visible = order.part();
        let Order { instrument, side, open, visible, price, .. } = *order;
        let price = Price(price);
        self.emit(Event::OrderRested { order_id: id, instrument, side, price, open, visible });
    }

    pub(super) fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    pub(super) fn close(&mut self, id: OrderId, reason: CloseReason) {
        let order = self.order(id);
        let spec = self.spec(order.instrument);
        let released = order.hold(&spec);
        self.orders.retain(|o| o.id != id);
        assert!(self.closed.insert(id), "order {id} ends twice");
        self.move_available(order.account, hold_asset(&spec, order.side), signed(released));
        self.retire_client_id(id);
        self.emit(Event::OrderClosed {
            order_id: id,
            account: order.account,
            instrument: order.instrument,
            reason,
            filled: order.filled,
            open: order.open,
            prevented: order.prevented,
            released,
        });
        if let Some(funds) = order.funds {
            self.return_funds(&order, funds);
        }
    }
}

/// What a taker did so far.
struct Walk {
    steps: u32,
    /// Of its trades, in their order.
    prices: Vec<i64>,
}

/// What one fill did to one of its two orders.
#[derive(Clone, Copy)]
struct Fill {
    fee: SignedAmount,
    open: Quantity,
    hold_before: Amount,
    hold_after: Amount,
}

/// What becomes of an order that is not finished and finds nothing more within its limit.
fn after_last_trade(taker: &Order, other_side_is_empty: bool) -> Option<CloseReason> {
    if is_market_form(taker.order_type) {
        let empty = other_side_is_empty;
        return Some(if empty { CloseReason::NoLiquidity } else { CloseReason::PriceCollar });
    }
    match taker.time_in_force {
        TimeInForce::Gtc | TimeInForce::Gtd | TimeInForce::Day => None,
        TimeInForce::Ioc => Some(CloseReason::IocRemainder),
        TimeInForce::Fok => panic!("a fill-or-kill order was let in and did not fill"),
    }
}
