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
use crate::order::{Order, OrderHandle, OrderMoney};
use crate::risk::budget_quantity;
use crate::types::{AccountId, Amount, Price, Quantity, Side, SignedAmount, TradeId};

/// An order while it takes: not in the slab, for most incoming orders never get there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker {
    pub(crate) order: Order,
    pub(crate) money: OrderMoney,
    /// Worst price it may trade at.
    pub(crate) limit: Price,
    /// Quote units that an order by budget may still spend.
    pub(crate) budget_left: Option<Amount>,
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
        let mut steps = 0;
        loop {
            match taker.budget_left {
                None if taker.order.open == Quantity(0) => return Some(CloseReason::Filled),
                Some(0) => return Some(CloseReason::BudgetSpent),
                _ => {}
            }
            let instrument = &self.instruments[taker.order.instrument_slot as usize];
            let level = instrument.book.best(opposite)?;
            if !is_within(taker.order.side, taker.limit, level.price) {
                return None;
            }
            let maker = level.first;
            let quantity = taker.wanted(instrument, level.price).min(self.orders.get(maker).open);
            if quantity == Quantity(0) {
                return Some(CloseReason::BudgetSpent);
            }
            if steps == self.config.max_steps_per_order {
                return Some(CloseReason::MatchLimit);
            }
            steps += 1;
            if self.must_prevent(&taker.order, self.orders.get(maker).account) {
                if let Some(reason) = self.prevent(taker, maker, quantity, events) {
                    return Some(reason);
                }
                continue;
            }
            self.trade(taker, maker, quantity, events);
        }
    }

    fn trade(
        &mut self,
        taker: &mut Taker,
        maker_handle: OrderHandle,
        quantity: Quantity,
        events: &mut Events,
    ) {
        let instrument = &mut self.instruments[taker.order.instrument_slot as usize];
        let spec = &instrument.spec;
        let price = self.orders.get(maker_handle).price;
        let (base, quote) = (spec.base_value(quantity), spec.quote_value(price, quantity));
        instrument.last_price = price;
        instrument.book.reduce(&mut self.orders, maker_handle, quantity);

        let (maker, maker_money) = self.orders.both_mut(maker_handle);
        let maker_rate = maker.maker_fee_ppm;
        let made = fill(spec, maker, maker_money, None, price, quantity, quote, maker_rate);
        if taker.budget_left.is_none() {
            taker.order.open.0 -= quantity.0;
        }
        let Taker { order, money, limit, budget_left } = taker;
        let taker_rate = order.taker_fee_ppm;
        let took =
            fill(spec, order, money, budget_left.as_mut(), *limit, quantity, quote, taker_rate);

        let (buyer, bought, seller, sold) = match order.side {
            Side::Buy => (order.account, took, maker.account, made),
            Side::Sell => (maker.account, made, order.account, took),
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
            maker_order_id: maker.id,
            taker_order_id: order.id,
            maker_account: maker.account,
            taker_account: order.account,
            taker_side: order.side,
            base,
            quote,
            maker_fee: made.fee,
            taker_fee: took.fee,
            buyer_released: bought.released,
            maker_open: maker.open,
            taker_open: order.open,
        }));
        let maker_is_filled = maker.open == Quantity(0);
        if bought.funded || sold.funded {
            self.pay_out(trade_id, taker.order.instrument_slot, &parties, base, quote, events);
        }
        if maker_is_filled {
            self.close(maker_handle, CloseReason::Filled, events);
        }
    }

    /// Puts a live order at the tail of its level.
    pub(crate) fn rest(&mut self, handle: OrderHandle, events: &mut Events) {
        let instrument = &mut self.instruments[self.orders.get(handle).instrument_slot as usize];
        instrument.book.add(&mut self.orders, handle);
        let order = self.orders.get(handle);
        events.push(Event::OrderRested {
            order_id: order.id,
            instrument: instrument.spec.instrument,
            side: order.side,
            price: order.price,
            open: order.open,
            visible: order.open,
        });
    }
}

impl Taker {
    /// Lots it would trade at `price`, however many are there.
    fn wanted(&self, instrument: &Instrument, price: Price) -> Quantity {
        match self.budget_left {
            None => self.order.open,
            Some(budget) => budget_quantity(
                budget,
                self.money.fee_basis,
                self.order.taker_fee_ppm,
                instrument,
                price,
            ),
        }
    }
}

/// Accounts for a fill in one order: fee on its running total, and what its hold sets free.
///
/// `order.open` is already lowered; `limit` is the price its hold is computed at.
#[expect(clippy::too_many_arguments, reason = "two orders and one fill, called twice")]
fn fill(
    spec: &InstrumentSpec,
    order: &Order,
    money: &mut OrderMoney,
    budget_left: Option<&mut Amount>,
    limit: Price,
    quantity: Quantity,
    quote: Amount,
    rate_ppm: i32,
) -> FillSide {
    let basis_before = money.fee_basis;
    money.fee_basis += fees::basis(quote, rate_ppm);
    money.filled.0 += quantity.0;
    let fee = fees::fee(basis_before, money.fee_basis);
    let held = money.hold;
    let spent = match order.side {
        Side::Sell => spec.base_value(quantity),
        Side::Buy => fees::unsigned(fees::signed(quote) + fee),
    };
    money.hold = match (order.side, budget_left) {
        (Side::Buy, Some(budget)) => {
            *budget -= spent;
            *budget
        }
        _ if order.funded => held - spent,
        _ => required_hold(spec, order, money, limit),
    };
    FillSide { fee, released: held - spent - money.hold, funded: order.funded }
}

/// What a live order by quantity must hold from now on; a funded one holds at least this.
pub(crate) fn required_hold(
    spec: &InstrumentSpec,
    order: &Order,
    money: &OrderMoney,
    limit: Price,
) -> Amount {
    let dearer = order.maker_fee_ppm.max(order.taker_fee_ppm);
    hold_for(spec, order.side, order.open, limit, money.fee_basis, dearer)
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
