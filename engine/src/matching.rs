//! Owns the price-time walk of one incoming order, and the money of each fill.
//! Knows nothing of why the order came in. Invariant: after every fill both orders hold exactly
//! what their formula says (a funded one all that its funds have left), so no balance can go below
//! zero and nothing is left behind.

use crate::balances::Assets;
use crate::book_side::is_within;
use crate::engine::{Engine, Events, Instrument};
use crate::event::{CloseReason, Event, Trade};
use crate::fees;
use crate::instrument::InstrumentSpec;
use crate::order::{Order, OrderHandle};
use crate::risk::budget_quantity;
use crate::types::{
    AccountId, Amount, OrderId, Price, Quantity, Side, SignedAmount, TimeInForce, TradeId,
};

/// An order while it takes: not in the slab, for most incoming orders never get there.
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

/// What one fill did to one of its two orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FillSide {
    fee: SignedAmount,
    released: Amount,
    /// Its order's funds were reserved outside.
    pub(crate) funded: bool,
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
        self.orders.queued_mut(handle).visible = taker.open;
        let order = self.orders.get_mut(handle);
        order.filled = taker.order.filled;
        order.set_hold(taker.order.hold());
        order.set_fee_basis(taker.order.fee_basis());
        if let Some(details) = self.orders.details_mut(handle) {
            details.hidden = Quantity(0);
        }
        match reason {
            Some(reason) => self.close(handle, reason, events),
            None => self.rest(handle, events),
        }
        self.elect(&taker);
        taker.steps
    }

    /// Puts a listed order at the tail of its level, showing what it is to show.
    pub(crate) fn rest(&mut self, handle: OrderHandle, events: &mut Events) {
        let open = self.orders.open(handle);
        let visible = self.show(handle, open);
        let Order { instrument_slot, side, price, .. } = *self.orders.get(handle);
        let instrument = &mut self.instruments[usize::from(instrument_slot)];
        instrument.book.add(&mut self.orders, handle, side, price);
        events.push(Event::OrderRested {
            order_id: self.orders.queued(handle).id,
            instrument: instrument.spec.instrument,
            side,
            price,
            open,
            visible,
        });
    }

    /// Splits what is open of an order in no level into what the book shows and the reserve.
    fn show(&mut self, handle: OrderHandle, open: Quantity) -> Quantity {
        let mut visible = open;
        if let Some(details) = self.orders.details_mut(handle) {
            if details.display > Quantity(0) {
                visible = open.min(details.display);
            }
            details.hidden = Quantity(open.0 - visible.0);
        }
        self.orders.queued_mut(handle).visible = visible;
        visible
    }

    /// Shows the next part of an iceberg's reserve, at the tail of its level.
    #[cold]
    pub(crate) fn refresh(&mut self, handle: OrderHandle, events: &mut Events) {
        let order = self.orders.get(handle);
        let (slot, side, price) = (order.instrument_slot, order.side, order.price);
        let instrument = usize::from(slot);
        self.instruments[instrument].book.remove(&mut self.orders, handle);
        let open = self.orders.open(handle);
        let visible = self.show(handle, open);
        self.instruments[instrument].book.add(&mut self.orders, handle, side, price);
        let order_id = self.orders.queued(handle).id;
        events.push(Event::IcebergRefreshed { order_id, visible });
    }

    /// Why the rest of an order that ran out of makers ends; `None` if it may rest.
    pub(crate) fn remainder_reason(&self, taker: &Taker) -> Option<CloseReason> {
        let order = &taker.order;
        if !order.order_type.has_price() {
            let book = &self.instruments[usize::from(order.instrument_slot)].book;
            let empty = book.best(order.side.opposite()).is_none();
            return Some(if empty { CloseReason::NoLiquidity } else { CloseReason::PriceCollar });
        }
        match order.time_in_force {
            TimeInForce::Ioc => Some(CloseReason::IocRemainder),
            TimeInForce::Fok => unreachable!("a FOK order was checked to fill"),
            TimeInForce::Gtc | TimeInForce::Gtd | TimeInForce::Day => None,
        }
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

/// Accounts for a fill in one order: fee on its running total, and what its hold sets free.
///
/// `open` is what is left of it; `limit` is the price its hold is computed at.
#[expect(clippy::too_many_arguments, reason = "two orders and one fill, called twice")]
fn fill(
    spec: &InstrumentSpec,
    order: &mut Order,
    open: Quantity,
    budget_left: Option<&mut Amount>,
    limit: Price,
    quantity: Quantity,
    quote: Amount,
    rate_ppm: i32,
) -> FillSide {
    let basis_before = order.fee_basis();
    let basis = basis_before + fees::basis(quote, rate_ppm);
    order.set_fee_basis(basis);
    order.filled.0 += quantity.0;
    let fee = fees::fee(basis_before, basis);
    let held = order.hold();
    let spent = match order.side {
        Side::Sell => spec.base_value(quantity),
        Side::Buy => fees::unsigned(fees::signed(quote) + fee),
    };
    let hold = match (order.side, budget_left) {
        (Side::Buy, Some(budget)) => {
            *budget -= spent;
            *budget
        }
        _ if order.funded => held - spent,
        _ => required_hold(spec, order, open, limit),
    };
    order.set_hold(hold);
    FillSide { fee, released: held - spent - hold, funded: order.funded }
}

/// What a live order by quantity must hold from now on; a funded one holds at least this.
pub(crate) fn required_hold(
    spec: &InstrumentSpec,
    order: &Order,
    open: Quantity,
    limit: Price,
) -> Amount {
    let dearer = order.maker_fee_ppm.max(order.taker_fee_ppm);
    hold_for(spec, order.side, open, limit, order.fee_basis(), dearer)
}

/// The hold formula: base units of a sell; of a buy the quote value at its limit, with the fee that
/// this brings at the dearer of its rates on top of `fee_basis`. Nothing open needs nothing.
pub(crate) fn hold_for(
    spec: &InstrumentSpec,
    side: Side,
    open: Quantity,
    limit: Price,
    fee_basis: SignedAmount,
    dearer_ppm: i32,
) -> Amount {
    match side {
        Side::Sell => spec.base_value(open),
        Side::Buy => fees::buy_hold(spec.quote_value(limit, open), fee_basis, dearer_ppm),
    }
}

/// The two sides of a fill by what they give.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parties {
    pub(crate) buyer: AccountId,
    pub(crate) bought: FillSide,
    pub(crate) seller: AccountId,
    pub(crate) sold: FillSide,
}

impl Parties {
    /// Quote units that the seller gets for a trade of this value.
    pub(crate) fn received(&self, quote: Amount) -> Amount {
        fees::unsigned(fees::signed(quote) - self.sold.fee)
    }
}

/// Moves base one way and quote the other, and takes the fees.
fn exchange(
    assets: &mut Assets,
    instrument: &Instrument,
    parties: &Parties,
    base: Amount,
    quote: Amount,
) {
    let Parties { buyer, bought, seller, sold } = *parties;
    let base_asset = assets.at_mut(instrument.base_slot);
    base_asset.balance_mut(seller).spend(base);
    base_asset.balance_mut(buyer).available += base;

    let quote_asset = assets.at_mut(instrument.quote_slot);
    let paid = fees::unsigned(fees::signed(quote) + bought.fee);
    let buyer_balance = quote_asset.balance_mut(buyer);
    buyer_balance.spend(paid);
    buyer_balance.release(bought.released);
    quote_asset.balance_mut(seller).available += parties.received(quote);
    quote_asset.fees += bought.fee + sold.fee;
}
