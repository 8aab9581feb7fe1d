//! Owns the checks of a new order, each where its code puts it among the others.
//! Knows nothing of matching. Invariant: a check changes nothing, and the first that fails is the
//! one reported.

use engine::command::NewOrder;
use engine::{
    AccountId, AccountStatus, Amount, Event, InstrumentId, InstrumentSpec, OrderId, OrderType,
    Price, Quantity, RejectReason, SelfTradePolicy, Side, TimeInForce, TradingStatus,
};

use super::arithmetic::{
    ORDER_VALUE_MAX, band, base_value, cap, collar, cost, exact_quote_value, quote_value, tighter,
    trailing_trigger,
};
use super::funding::{Intent, ORDER_INTENTS_MAX};
use super::order::{Order, is_market_form, is_stop};
use super::shape::check_fields;
use super::{Defect, Instrument, Model, Verdict, hold_asset, is_key, refuse_if};

/// The first code that an idempotency key remembers.
const FIRST_BUSINESS_CODE: u16 = 19;

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
    /// Price that wakes a stop, else 0.
    pub(super) trigger: i64,
    /// Price that a trailing stop starts from, else 0.
    pub(super) trail_reference: i64,
    pub(super) hold: Amount,
    pub(super) maker_fee_ppm: i32,
    pub(super) taker_fee_ppm: i32,
    pub(super) funded: bool,
}

impl Model {
    pub(super) fn new_order(&mut self, order: &NewOrder) -> Verdict {
        self.take(order, Purse::Account)
    }

    /// The same, unless its latest moment has passed.
    pub(super) fn new_order_by(&mut self, order: &NewOrder, latest_ns: u64) -> Verdict {
        let at_once = u64::from(self.has(Defect::LateAtTheMoment));
        if self.now_ns.saturating_add(at_once) > latest_ns {
            let late = RejectReason::RecvWindow;
            let known = self.client_id_entry(order.account, &order.client_order_id).is_some();
            if self.has(Defect::LateTakesKey) && !known && self.account(order.account).is_ok() {
                self.remember_order(order, Some(late));
            }
            return Err(late);
        }
        self.new_order(order)
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

    /// Codes 5 to 13.
    fn check_shape(&self, order: &NewOrder, purse: Purse) -> Verdict {
        let spec = self.instrument(order.instrument)?.spec;
        let brings_money = order.credit_amount != 0 || is_key(order.credit_id);
        if brings_money && !matches!(purse, Purse::Account) {
            return Err(RejectReason::InvalidField);
        }
        check_fields(order, &spec)?;
        refuse_if(
            order.time_in_force == TimeInForce::Gtd && order.expire_at_ns <= self.now_ns,
            RejectReason::InvalidExpiry,
        )?;
        refuse_if(is_key(order.credit_id) && order.credit_amount == 0, RejectReason::InvalidAmount)
    }

    /// Codes 19 to 39.
    fn check_business(&self, order: &NewOrder, purse: Purse) -> Verdict {
        let instrument = *self.instrument(order.instrument)?;
        let best = self.best_price(order.instrument, order.side.opposite());
        self.check_may_trade(order.account, order.instrument)?;
        match instrument.status {
            TradingStatus::Trading => {}
            TradingStatus::CancelOnly => return Err(RejectReason::CancelOnly),
            TradingStatus::Halted | TradingStatus::Auction => {
                return Err(RejectReason::TradingHalted);
            }
        }
        let value_price = check_value(order, &instrument, best)?;
        check_band(order, &instrument, best)?;
        let lots = if is_by_budget(order) {
            lots_of_budget(order.quote_budget, value_price, &instrument.spec)
        } else {
            order.quantity.0.into()
        };
        self.check_daily_volume(order.account, &instrument.spec, lots)?;
        self.check_room(order, &instrument.spec)?;
        let terms = self.terms(order, purse);
        if is_by_budget(order) {
            let value = exact_quote_value(&instrument.spec, Price(value_price), Quantity(1));
            let one_lot = cost(value.expect("one lot"), 0, terms.taker_fee_ppm);
            refuse_if(one_lot > order.quote_budget, RejectReason::BudgetTooSmall)?;
        }
        self.check_keys_and_money(order, &instrument, purse, terms.hold)?;
        if is_stop(order.order_type) {
            // What it meets is looked at when it is triggered.
            return Ok(());
        }
        let taker = Order::new(OrderId(0), order, &terms, 0);
        let crosses = order.post_only && self.crosses(&taker);
        refuse_if(crosses, RejectReason::PostOnlyWouldCross)?;
        let must_fill = order.time_in_force == TimeInForce::Fok;
        refuse_if(must_fill && !self.can_fill(&taker), RejectReason::FokUnfillable)
    }

    /// Codes 19 and 20.
    pub(super) fn check_may_trade(&self, account: AccountId, instrument: InstrumentId) -> Verdict {
        let account = self.account(account)?;
        let killed = self.killed || account.killed || self.instrument(instrument)?.killed;
        refuse_if(killed, RejectReason::KillSwitch)?;
        refuse_if(account.status == AccountStatus::Suspended, RejectReason::AccountSuspended)
    }

    /// Code 31, for an order that could still trade so many lots.
    pub(super) fn check_daily_volume(
        &self,
        account: AccountId,
        spec: &InstrumentSpec,
        lots: u128,
    ) -> Verdict {
        let traded = u128::from(self.daily_volume(account, spec.instrument));
        let bounded = spec.max_daily_volume != 0;
        let above = traded.saturating_add(lots) > u128::from(spec.max_daily_volume);
        refuse_if(bounded && above, RejectReason::DailyVolume)
    }

    /// Codes 32 and 33.
    fn check_room(&self, order: &NewOrder, spec: &InstrumentSpec) -> Verdict {
        let immediate = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        if immediate && !is_stop(order.order_type) {
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
        let trigger = first_trigger(order, &instrument).expect("checked");
        let trails = order.order_type == OrderType::TrailingStop;
        let trail_reference = if trails { instrument.last_price } else { 0 };
        let limit = limit_price(order, &instrument, best, trigger);
        match purse {
            Purse::Account | Purse::Promised => Terms {
                limit,
                trigger,
                trail_reference,
                hold: first_hold(order, &spec, limit),
                maker_fee_ppm: spec.maker_fee_ppm,
                taker_fee_ppm: spec.taker_fee_ppm,
                funded: false,
            },
            Purse::Intent(intent) => Terms {
                limit: tighter(order.side, intent.terms.limit, limit),
                trigger,
                trail_reference,
                funded: true,
                ..intent.terms
            },
        }
    }

    /// Whether all of the order can trade at once within the step bound. Whole levels are counted,
    /// up to the one that suffices; an order that ends at its owner's counts no further than that.
    /// The hidden part of an order counts only where it can come up before the taker ends.
    pub(super) fn can_fill(&self, taker: &Order) -> bool {
        use SelfTradePolicy::{CancelBoth, CancelMaker, CancelTaker, Decrement};
        let mode = taker.self_trade_policy;
        let own = |maker: &Order| self.same_owner(maker.account, taker.account);
        let mut makers = self.queue(taker.instrument, taker.side.opposite());
        makers.retain(|maker| maker.is_met_by(taker.side, taker.price));
        let (mut got, mut steps) = (0, 0);
        for level in makers.chunk_by(|left, right| left.price == right.price) {
            let end = match mode {
                CancelTaker | CancelBoth | Decrement => level.iter().position(own),
                SelfTradePolicy::None | CancelMaker => None,
            };
            for maker in &level[..end.unwrap_or(level.len())] {
                let removed = mode == CancelMaker && own(maker);
                let hidden = maker.open.0 - maker.visible.0;
                steps += 1;
                if removed {
                    // An own order in the way gives nothing, but it takes a step to remove.
                } else if end.is_some() || (hidden > 0 && self.has(Defect::ReserveForgotten)) {
                    got += maker.visible.0;
                } else {
                    got += maker.open.0;
                    steps += if hidden == 0 { 0 } else { hidden.div_ceil(maker.display.0) };
                }
            }
            if got >= taker.open.0 || end.is_some() {
                break;
            }
        }
        got >= taker.open.0 && steps <= self.config.max_steps_per_order.into()
    }

    fn accept(&mut self, order: &NewOrder, terms: &Terms) {
        if is_key(order.credit_id) {
            self.fund(order, hold_asset(&self.spec(order.instrument), order.side));
        }
        let id = OrderId(self.last_sequence);
        self.start(id, order, terms);
        self.set_going(id);
    }
}

pub(super) fn is_by_budget(order: &NewOrder) -> bool {
    order.quote_budget != 0
}

/// Price at which a stop would be triggered, 0 for other orders.
fn first_trigger(order: &NewOrder, instrument: &Instrument) -> Result<i64, RejectReason> {
    if order.order_type != OrderType::TrailingStop {
        return Ok(order.trigger.0);
    }
    let reference = instrument.last_price;
    refuse_if(reference == 0, RejectReason::NoReferencePrice)?;
    let trigger = trailing_trigger(order.side, reference, order.trail_ticks, order.trail_bps);
    let in_range = (1..=i128::from(instrument.spec.max_price.0)).contains(&trigger);
    refuse_if(!in_range, RejectReason::TriggerOutOfRange)?;
    Ok(i64::try_from(trigger).expect("just compared"))
}

/// Worst price that the order may trade at. Without a best price a MARKET order is never asked.
fn limit_price(order: &NewOrder, instrument: &Instrument, best: Option<i64>, trigger: i64) -> i64 {
    let Instrument { spec, band_reference, .. } = instrument;
    match (order.order_type, best) {
        (OrderType::Market, Some(best)) => cap(spec, *band_reference, order.side, best),
        (OrderType::Market, None) => 0,
        _ if is_market_form(order.order_type) => collar(spec, order.side, trigger),
        _ => order.price.0,
    }
}

/// Whole lots that a budget pays at a price, fees left aside.
pub(super) fn lots_of_budget(budget: Amount, price: i64, spec: &InstrumentSpec) -> u128 {
    budget / exact_quote_value(spec, Price(price), Quantity(1)).expect("one lot")
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

/// Codes 23 to 29; gives the price that the order's value is taken at.
fn check_value(
    order: &NewOrder,
    instrument: &Instrument,
    best: Option<i64>,
) -> Result<i64, RejectReason> {
    let spec = &instrument.spec;
    if !is_by_budget(order) {
        check_quantity(order.quantity, spec)?;
    }
    let trigger = first_trigger(order, instrument)?;
    let price = match order.order_type {
        OrderType::Market => best.ok_or(RejectReason::NoLiquidity)?,
        market_form if is_market_form(market_form) => trigger,
        _ => order.price.0,
    };
    let notional = if is_by_budget(order) {
        Some(order.quote_budget)
    } else {
        exact_quote_value(spec, Price(price), order.quantity)
    };
    check_notional(notional, spec)?;
    Ok(price)
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

/// Code 30: a limit price must lie in the band, that of a stop in the band around its trigger, a
/// best opposite price on the near side of it. A stop without a limit has nothing to compare.
fn check_band(order: &NewOrder, instrument: &Instrument, best: Option<i64>) -> Verdict {
    let Instrument { spec, band_reference, .. } = instrument;
    let stop = is_stop(order.order_type);
    let reference = if stop { order.trigger.0 } else { *band_reference };
    let Some((low, high)) = band(spec, reference) else { return Ok(()) };
    let outside = match (order.order_type, best) {
        (OrderType::Market, Some(best)) => match order.side {
            Side::Buy => best > high,
            Side::Sell => best < low,
        },
        (market_form, _) if is_market_form(market_form) => false,
        _ => !(low..=high).contains(&order.price.0),
    };
    refuse_if(outside, RejectReason::PriceBand)
}
