//! Owns the checks of a new order, each where its code puts it among the others.
//! Knows nothing of matching. Invariant: a check changes nothing, and the first that fails is the
//! one reported.

use engine::command::NewOrder;
use engine::{
    AccountStatus, Amount, Event, InstrumentSpec, OrderId, OrderType, Price, Quantity,
    RejectReason, SelfTradePolicy, Side, TimeInForce, TradingStatus,
};

use super::arithmetic::{
    ORDER_VALUE_MAX, band, base_value, cap, cost, exact_quote_value, quote_value,
};
use super::funding::{Intent, ORDER_INTENTS_MAX};
use super::order::Order;
use super::{Instrument, Model, Verdict, hold_asset, is_key};

/// The first code that an idempotency key remembers.
const FIRST_BUSINESS_CODE: u16 = 19;

fn refuse_if(broken: bool, reason: RejectReason) -> Verdict {
    if broken { Err(reason) } else { Ok(()) }
}

/// Where the money of an order comes from.
#[derive(Clone, Copy)]
pub(super) enum Purse<'a> {
    /// The account, and what the order brings.
    Account,
    /// Somewhere else, later: the order only asks.
    Promised,
    /// Somewhere else, now.
    Intent(&'a Intent),
}

/// What an order that is let in works with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Worst price that it may trade at.
    pub(super) limit: i64,
    pub(super) hold: Amount,
    pub(super) maker_fee_ppm: i32,
    pub(super) taker_fee_ppm: i32,
    pub(super) funded: bool,
}

impl Model {
    pub(super) fn new_order(&mut self, order: &NewOrder) -> Verdict {
        self.take(order, Purse::Account)
    }

    /// An order that enters the exchange: placed at once, or announced.
    pub(super) fn take(&mut self, order: &NewOrder, purse: Purse) -> Verdict {
        self.account(order.account)?;
        if !order.client_order_id.is_empty() {
            self.forget_old_client_ids();
            if let Some(known) = self.client_id_entry(order.account, &order.client_order_id) {
                refuse_if(known.order != *order, RejectReason::IdempotencyConflict)?;
                let (account, order_id, reason) = (order.account, known.order_id, known.reason);
                self.emit(Event::OrderDuplicate { account, order_id, reason });
                return Ok(());
            }
        }
        if is_key(order.credit_id) {
            self.forget_old_transfers();
            refuse_if(self.transfer_is_known(order.credit_id), RejectReason::IdempotencyConflict)?;
        }
        let verdict = self.check(order, purse);
        match verdict {
            Ok(()) => {
                self.remember_order(order, None);
                let terms = self.terms(order, purse);
                if matches!(purse, Purse::Promised) {
                    self.announce(order, &terms);
                } else {
                    self.accept(order, &terms);
                }
            }
            Err(RejectReason::WindowFull) => {}
            Err(reason) if reason.code() >= FIRST_BUSINESS_CODE => {
                self.remember_order(order, Some(reason));
            }
            Err(_) => {}
        }
        verdict
    }

    /// Codes 5 and higher.
    pub(super) fn check(&self, order: &NewOrder, purse: Purse) -> Verdict {
        self.check_shape(order, purse)?;
        self.check_business(order, purse)
    }

    /// Codes 5 to 17.
    fn check_shape(&self, order: &NewOrder, purse: Purse) -> Verdict {
        let spec = self.instrument(order.instrument)?.spec;
        let triggered = !matches!(order.order_type, OrderType::Limit | OrderType::Market);
        let brings_money = order.credit_amount != 0 || is_key(order.credit_id);
        if brings_money && !triggered && !matches!(purse, Purse::Account) {
            return Err(RejectReason::InvalidField);
        }
        match order.order_type {
            OrderType::Limit => check_limit_shape(order, &spec)?,
            OrderType::Market => check_market_shape(order)?,
            OrderType::Stop
            | OrderType::StopLimit
            | OrderType::TakeProfit
            | OrderType::TakeProfitLimit
            | OrderType::TrailingStop => return Err(RejectReason::Unsupported),
        }
        refuse_if(
            order.time_in_force == TimeInForce::Gtd && order.expire_at_ns <= self.now_ns,
            RejectReason::InvalidExpiry,
        )?;
        refuse_if(
            is_key(order.credit_id) && order.credit_amount == 0,
            RejectReason::InvalidAmount,
        )?;
        let reserved = matches!(order.time_in_force, TimeInForce::Gtd | TimeInForce::Day)
            || order.display.0 != 0;
        refuse_if(reserved, RejectReason::Unsupported)
    }

    /// Codes 19 to 39.
    fn check_business(&self, order: &NewOrder, purse: Purse) -> Verdict {
        let instrument = *self.instrument(order.instrument)?;
        let best = self.best_price(order.instrument, order.side.opposite());
        let suspended = self.account(order.account)?.status == AccountStatus::Suspended;
        refuse_if(suspended, RejectReason::AccountSuspended)?;
        match instrument.status {
            TradingStatus::Trading => {}
            TradingStatus::CancelOnly => return Err(RejectReason::CancelOnly),
            TradingStatus::Halted | TradingStatus::Auction => {
                return Err(RejectReason::TradingHalted);
            }
        }
        check_value(order, &instrument.spec, best)?;
        check_band(order, &instrument, best)?;
        self.check_room(order, &instrument.spec)?;
        let terms = self.terms(order, purse);
        if let Some(best) = best
            && is_by_budget(order)
        {
            let value = quote_value(&instrument.spec, Price(best), Quantity(1));
            let one_lot = cost(value, 0, terms.taker_fee_ppm);
            refuse_if(one_lot > order.quote_budget, RejectReason::BudgetTooSmall)?;
        }
        self.check_keys_and_money(order, &instrument, purse, terms.hold)?;
        let crosses = best.is_some_and(|best| match order.side {
            Side::Buy => best <= order.price.0,
            Side::Sell => best >= order.price.0,
        });
        refuse_if(order.post_only && crosses, RejectReason::PostOnlyWouldCross)?;
        refuse_if(
            order.time_in_force == TimeInForce::Fok && !self.can_fill(order, terms.limit),
            RejectReason::FokUnfillable,
        )
    }

    /// Codes 32 and 33.
    fn check_room(&self, order: &NewOrder, spec: &InstrumentSpec) -> Verdict {
        if matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok) {
            return Ok(());
        }
        let book = || self.orders.iter().filter(|o| o.instrument == order.instrument);
        let own = book().filter(|o| o.account == order.account).count();
        refuse_if(own >= spec.max_open_orders as usize, RejectReason::TooManyOpenOrders)?;
        refuse_if(book().count() >= spec.max_book_orders as usize, RejectReason::BookFull)
    }

    /// Codes 35 to 37.
    fn check_keys_and_money(
        &self,
        order: &NewOrder,
        instrument: &Instrument,
        purse: Purse,
        hold: Amount,
    ) -> Verdict {
        let asset = hold_asset(&instrument.spec, order.side);
        let keyed = !order.client_order_id.is_empty();
        let no_room = keyed && self.no_room_for_client_id(order.account);
        match purse {
            Purse::Account => {
                let funded = is_key(order.credit_id);
                let full = no_room || (funded && self.transfers_are_full());
                refuse_if(full, RejectReason::WindowFull)?;
                let mut spendable = self.available(order.account, asset);
                if funded {
                    let overflows = self.supply_overflows(asset, order.credit_amount);
                    refuse_if(overflows, RejectReason::BalanceOverflow)?;
                    spendable += order.credit_amount;
                }
                refuse_if(spendable < hold, RejectReason::InsufficientBalance)
            }
            Purse::Promised => {
                let full = no_room || self.intents.len() == ORDER_INTENTS_MAX;
                refuse_if(full, RejectReason::WindowFull)?;
                refuse_if(self.supply_overflows(asset, hold), RejectReason::BalanceOverflow)
            }
            // Its key has its place since it was announced.
            Purse::Intent(_) => {
                refuse_if(self.supply_overflows(asset, hold), RejectReason::BalanceOverflow)
            }
        }
    }

    /// The terms of an order that has passed the codes up to 31.
    pub(super) fn terms(&self, order: &NewOrder, purse: Purse) -> Terms {
        let instrument = *self.instrument(order.instrument).expect("checked");
        let spec = instrument.spec;
        let best = self.best_price(order.instrument, order.side.opposite());
        let limit = limit_price(order, &instrument, best);
        match purse {
            Purse::Account | Purse::Promised => Terms {
                limit,
                hold: first_hold(order, &spec, limit),
                maker_fee_ppm: spec.maker_fee_ppm,
                taker_fee_ppm: spec.taker_fee_ppm,
                funded: false,
            },
            Purse::Intent(intent) => Terms {
                limit: match order.side {
                    Side::Buy => intent.terms.limit.min(limit),
                    Side::Sell => intent.terms.limit.max(limit),
                },
                funded: true,
                ..intent.terms
            },
        }
    }

    /// Whether all of the order can trade at once within the step bound. Whole levels are counted,
    /// up to the one that suffices; an order that ends at its owner's counts no further than that.
    fn can_fill(&self, order: &NewOrder, limit: i64) -> bool {
        use SelfTradePolicy::{CancelBoth, CancelMaker, CancelTaker, Decrement};
        let mode = order.self_trade_policy;
        let own = |maker: &Order| self.same_owner(maker.account, order.account);
        let mut makers = self.queue(order.instrument, order.side.opposite());
        makers.retain(|maker| maker.is_met_by(order.side, limit));
        let (mut got, mut steps) = (0, 0);
        for level in makers.chunk_by(|left, right| left.price == right.price) {
            let end = match mode {
                CancelTaker | CancelBoth | Decrement => level.iter().position(own),
                SelfTradePolicy::None | CancelMaker => None,
            };
            for maker in &level[..end.unwrap_or(level.len())] {
                // An own order in the way gives nothing, but it takes a step to remove.
                let removed = mode == CancelMaker && own(maker);
                got += if removed { 0 } else { maker.open.0 };
                steps += 1;
            }
            if got >= order.quantity.0 || end.is_some() {
                break;
            }
        }
        got >= order.quantity.0 && steps <= self.config.max_steps_per_order
    }

    fn accept(&mut self, order: &NewOrder, terms: &Terms) {
        if is_key(order.credit_id) {
            self.fund(order, hold_asset(&self.spec(order.instrument), order.side));
        }
        let id = OrderId(self.last_sequence);
        self.start(id, order, terms);
        self.execute(id);
    }
}

pub(super) fn is_by_budget(order: &NewOrder) -> bool {
    order.quote_budget != 0
}

/// Worst price that the order may trade at. Without a best price a MARKET order is never asked.
fn limit_price(order: &NewOrder, instrument: &Instrument, best: Option<i64>) -> i64 {
    match (order.order_type, best) {
        (OrderType::Market, Some(best)) => {
            cap(&instrument.spec, instrument.last_price, order.side, best)
        }
        _ => order.price.0,
    }
}

fn first_hold(order: &NewOrder, spec: &InstrumentSpec, limit: i64) -> Amount {
    match order.side {
        Side::Sell => base_value(spec, order.quantity),
        Side::Buy if is_by_budget(order) => order.quote_budget,
        Side::Buy => {
            let rate = spec.maker_fee_ppm.max(spec.taker_fee_ppm);
            cost(quote_value(spec, Price(limit), order.quantity), 0, rate)
        }
    }
}

fn trails_or_triggers(order: &NewOrder) -> bool {
    order.trigger.0 != 0 || order.trail_ticks != 0 || order.trail_bps != 0
}

/// An expiry without GTD, or a credit amount without its key.
fn has_stray_field(order: &NewOrder) -> bool {
    let stray_expiry = order.expire_at_ns != 0 && order.time_in_force != TimeInForce::Gtd;
    stray_expiry || (order.credit_amount != 0 && !is_key(order.credit_id))
}

/// Codes 6 to 10 of a LIMIT order.
fn check_limit_shape(order: &NewOrder, spec: &InstrumentSpec) -> Verdict {
    refuse_if(
        trails_or_triggers(order) || is_by_budget(order) || has_stray_field(order),
        RejectReason::InvalidField,
    )?;
    let immediate = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
    refuse_if(
        immediate && (order.post_only || order.display.0 != 0),
        RejectReason::InvalidTimeInForce,
    )?;
    let smallest_part = order.quantity.0.div_ceil(spec.max_iceberg_parts.into());
    let bad_display =
        order.display.0 != 0 && !(smallest_part..=order.quantity.0).contains(&order.display.0);
    refuse_if(order.quantity.0 == 0 || bad_display, RejectReason::InvalidQuantity)?;
    let legal = 1..=spec.max_price.0;
    refuse_if(!legal.contains(&order.price.0), RejectReason::InvalidPrice)
}

/// Codes 6 to 9 of a MARKET order.
fn check_market_shape(order: &NewOrder) -> Verdict {
    let budget_forbidden = order.side == Side::Sell
        || order.quantity.0 != 0
        || order.self_trade_policy == SelfTradePolicy::Decrement;
    let forbidden = order.price.0 != 0
        || order.post_only
        || order.display.0 != 0
        || (is_by_budget(order) && budget_forbidden);
    refuse_if(
        forbidden || trails_or_triggers(order) || has_stray_field(order),
        RejectReason::InvalidField,
    )?;
    let tif_fits = match order.time_in_force {
        TimeInForce::Ioc => true,
        TimeInForce::Fok => !is_by_budget(order),
        TimeInForce::Gtc | TimeInForce::Gtd | TimeInForce::Day => false,
    };
    refuse_if(!tif_fits, RejectReason::InvalidTimeInForce)?;
    let nothing = order.quantity.0 == 0 && !is_by_budget(order);
    refuse_if(nothing, RejectReason::InvalidQuantity)
}

/// Codes 23, 24, 27, 28 and 29.
fn check_value(order: &NewOrder, spec: &InstrumentSpec, best: Option<i64>) -> Verdict {
    if !is_by_budget(order) {
        check_quantity(order.quantity, spec)?;
    }
    let price = if order.order_type == OrderType::Market {
        Price(best.ok_or(RejectReason::NoLiquidity)?)
    } else {
        order.price
    };
    if is_by_budget(order) {
        return check_notional(Some(order.quote_budget), spec);
    }
    check_notional(exact_quote_value(spec, price, order.quantity), spec)
}

pub(super) fn check_quantity(quantity: Quantity, spec: &InstrumentSpec) -> Verdict {
    refuse_if(quantity < spec.min_quantity, RejectReason::QuantityBelowMin)?;
    refuse_if(quantity > spec.max_quantity, RejectReason::QuantityAboveMax)
}

/// `None` is a value that no integer here holds.
pub(super) fn check_notional(notional: Option<Amount>, spec: &InstrumentSpec) -> Verdict {
    let Some(notional) = notional else { return Err(RejectReason::NotionalAboveMax) };
    refuse_if(notional < spec.min_notional, RejectReason::NotionalBelowMin)?;
    let above = spec.max_notional != 0 && notional > spec.max_notional;
    refuse_if(above || notional > ORDER_VALUE_MAX, RejectReason::NotionalAboveMax)
}

/// Code 30: a limit price must lie in the band, a best opposite price on the near side of it.
fn check_band(order: &NewOrder, instrument: &Instrument, best: Option<i64>) -> Verdict {
    let Some((low, high)) = band(&instrument.spec, instrument.last_price) else { return Ok(()) };
    let outside = match (order.order_type, best) {
        (OrderType::Market, Some(best)) => match order.side {
            Side::Buy => best > high,
            Side::Sell => best < low,
        },
        _ => !(low..=high).contains(&order.price.0),
    };
    refuse_if(outside, RejectReason::PriceBand)
}
