//! Owns the checks of a new order, in the precedence of their reason codes.
//! Changes nothing. Invariant: an order that passes can be held for, and matched, without failing.

use crate::book_side::{PriceLevel, is_within};
use crate::command::NewOrder;
use crate::engine::{Checked, Engine, Instrument};
use crate::fees;
use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::intents::Intent;
use crate::limits::ORDER_VALUE_MAX;
use crate::matching::hold_for;
use crate::new_order::client_order_key;
use crate::order::Order;
use crate::reject::RejectReason;
use crate::types::{
    AccountStatus, Amount, OrderType, Price, Quantity, SelfTradePolicy, Side, TimeInForce,
    TransferId,
};

/// What the checks of a new order found out for the rest of its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    pub(crate) instrument_slot: u32,
    /// Worst price the order may trade at: its price, or the collar of a MARKET order.
    pub(crate) limit: Price,
    /// To be held: quote units of a buy, base units of a sell.
    pub(crate) hold: Amount,
    pub(crate) maker_fee_ppm: i32,
    pub(crate) taker_fee_ppm: i32,
}

/// What a level has for an order that must fill completely.
#[derive(Clone, Copy, Debug)]
struct Offered {
    quantity: u128,
    /// Makers that it would meet.
    steps: u32,
    /// It would meet an order of its own owner here, which ends its way.
    ends_here: bool,
}

/// Where the money comes from that an order will hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Funds<'a> {
    /// From the account's available balance, with what the order itself brings.
    Own,
    /// To be reserved outside: the order is only announced.
    Announced,
    /// Reserved outside for this intent, which ends now.
    Reserved(&'a Intent),
}

impl Funds<'_> {
    /// What comes in for an order that needs `hold`.
    fn credit(self, order: &NewOrder, hold: Amount) -> Amount {
        match self {
            Self::Own => order.credit_amount,
            Self::Announced | Self::Reserved(_) => hold,
        }
    }

    /// Limit, hold and rates of an order that may trade at `limit` by today's rules.
    ///
    /// A placed intent keeps the hold and the rates that it was announced with, and the tighter of
    /// its limit and today's: it may neither outgrow its funds nor leave the band.
    fn terms(self, order: &NewOrder, slot: u32, spec: &InstrumentSpec, limit: Price) -> Admission {
        if let Self::Reserved(intent) = self {
            return Admission {
                instrument_slot: slot,
                limit: match order.side {
                    Side::Buy => limit.min(intent.limit),
                    Side::Sell => limit.max(intent.limit),
                },
                hold: intent.amount,
                maker_fee_ppm: intent.maker_fee_ppm,
                taker_fee_ppm: intent.taker_fee_ppm,
            };
        }
        let (maker_fee_ppm, taker_fee_ppm) = (spec.maker_fee_ppm, spec.taker_fee_ppm);
        let hold = if order.is_by_budget() {
            order.quote_budget
        } else {
            let dearer = maker_fee_ppm.max(taker_fee_ppm);
            hold_for(spec, order.side, order.quantity, limit, 0, dearer)
        };
        Admission { instrument_slot: slot, limit, hold, maker_fee_ppm, taker_fee_ppm }
    }
}

impl NewOrder {
    pub(crate) fn is_by_budget(&self) -> bool {
        self.quote_budget > 0
    }

    /// Whether what is left after matching may rest in the book.
    pub(crate) fn may_rest(&self) -> bool {
        self.order_type == OrderType::Limit
            && !matches!(self.time_in_force, TimeInForce::Ioc | TimeInForce::Fok)
    }
}

impl Engine {
    /// Checks 5 and later; 1 and 3 have passed.
    pub(crate) fn admit(&self, order: &NewOrder, funds: Funds<'_>) -> Checked<Admission> {
        let slot = self.slot_of(order.instrument).ok_or(RejectReason::UnknownSymbol)?;
        let instrument = &self.instruments[slot as usize];
        check_shape(order, instrument, self.now_ns, funds)?;
        self.check_trading(order, instrument)?;
        check_quantity(order, instrument)?;
        let opposite = instrument.book.best(order.side.opposite());
        let limit = check_value(order, instrument, opposite)?;
        let admission = funds.terms(order, slot, &instrument.spec, limit);
        self.check_limits(order, slot, instrument)?;
        if let (true, Some(best)) = (order.is_by_budget(), opposite) {
            let most = budget_quantity(
                order.quote_budget,
                0,
                admission.taker_fee_ppm,
                instrument,
                best.price,
            );
            if most == Quantity(0) {
                return Err(RejectReason::BudgetTooSmall);
            }
        }
        self.check_windows(order, funds)?;
        self.check_money(order, instrument, admission.hold, funds)?;
        let crosses = opposite.is_some_and(|best| is_within(order.side, order.price, best.price));
        if order.post_only && crosses {
            return Err(RejectReason::PostOnlyWouldCross);
        }
        if order.time_in_force == TimeInForce::Fok {
            self.check_fillable(order, instrument, admission.limit)?;
        }
        Ok(admission)
    }

    fn check_trading(&self, order: &NewOrder, instrument: &Instrument) -> Checked<()> {
        let account = self.accounts.get(order.account).ok_or(RejectReason::UnknownAccount)?;
        if account.status == AccountStatus::Suspended {
            return Err(RejectReason::AccountSuspended);
        }
        check_status(instrument.status, false)
    }

    fn check_limits(&self, order: &NewOrder, slot: u32, instrument: &Instrument) -> Checked<()> {
        if !order.may_rest() {
            return Ok(());
        }
        let open = self.accounts.get(order.account).map_or(0, |a| a.open_orders(slot));
        if open >= instrument.spec.max_open_orders {
            return Err(RejectReason::TooManyOpenOrders);
        }
        if instrument.orders >= instrument.spec.max_book_orders || self.orders.is_full() {
            return Err(RejectReason::BookFull);
        }
        Ok(())
    }

    fn check_windows(&self, order: &NewOrder, funds: Funds<'_>) -> Checked<()> {
        if let Funds::Reserved(_) = funds {
            // Its intent took the key, and its funds are keyed by its order id.
            return Ok(());
        }
        let intent_fits = matches!(funds, Funds::Own) || !self.intents.is_full();
        let client_id_fits = order.client_order_id.is_empty()
            || self.client_ids.has_room(&client_order_key(order), self.client_id_capacity());
        let transfer_fits = order.credit_id == TransferId(0)
            || self.transfers.len() < self.config.transfer_capacity;
        let fits = intent_fits && client_id_fits && transfer_fits;
        fits.then_some(()).ok_or(RejectReason::WindowFull)
    }

    fn check_money(
        &self,
        order: &NewOrder,
        instrument: &Instrument,
        hold: Amount,
        funds: Funds<'_>,
    ) -> Checked<()> {
        let asset = self.assets.at(instrument.hold_slot(order.side));
        let credit = funds.credit(order, hold);
        if !asset.accepts(credit) {
            return Err(RejectReason::BalanceOverflow);
        }
        if asset.balance(order.account).available + credit < hold {
            return Err(RejectReason::InsufficientBalance);
        }
        Ok(())
    }

    /// Whether a FOK order can fill completely: levels are counted whole, from the best on.
    fn check_fillable(
        &self,
        order: &NewOrder,
        instrument: &Instrument,
        limit: Price,
    ) -> Checked<()> {
        let wanted = u128::from(order.quantity.0);
        let mut quantity = 0;
        let mut steps = 0u32;
        for level in instrument.book.side(order.side.opposite()).levels() {
            if quantity >= wanted || !is_within(order.side, limit, level.price) {
                break;
            }
            let offered = self.offered(order, instrument, level);
            quantity += offered.quantity;
            steps = steps.saturating_add(offered.steps);
            if offered.ends_here {
                break;
            }
        }
        let fillable = quantity >= wanted && steps <= self.config.max_steps_per_order;
        if fillable { Ok(()) } else { Err(RejectReason::FokUnfillable) }
    }

    /// What a level has for a FOK order, as its policy on orders of its own owner counts it.
    fn offered(&self, order: &NewOrder, instrument: &Instrument, level: &PriceLevel) -> Offered {
        let whole = Offered { quantity: level.quantity, steps: level.orders, ends_here: false };
        if order.self_trade_policy == SelfTradePolicy::None {
            return whole;
        }
        let mut queue = instrument.book.queue(&self.orders, level).map(|(_, maker)| maker);
        let is_own = |maker: &Order| self.same_owner(order.account, maker.account);
        if order.self_trade_policy == SelfTradePolicy::CancelMaker {
            // An own order is met, too, and costs a step.
            let others = queue.filter(|maker| !is_own(maker));
            return Offered { quantity: others.map(|m| u128::from(m.open.0)).sum(), ..whole };
        }
        let mut before = Offered { quantity: 0, steps: 0, ends_here: true };
        for maker in &mut queue {
            if is_own(maker) {
                return before;
            }
            before.quantity += u128::from(maker.open.0);
            before.steps += 1;
        }
        whole
    }
}

impl Instrument {
    /// The asset that an order of `side` holds.
    pub(crate) fn hold_slot(&self, side: Side) -> usize {
        match side {
            Side::Buy => self.quote_slot,
            Side::Sell => self.base_slot,
        }
    }

    /// Reference of the price band: the last trade, or the spec's reference before the first.
    pub(crate) fn band_reference(&self) -> Price {
        if self.last_price.0 == 0 { self.spec.reference_price } else { self.last_price }
    }
}

/// Reasons 21 and 22; `reduces` tells an amend that only gives up quantity.
pub(crate) fn check_status(status: TradingStatus, reduces: bool) -> Checked<()> {
    match status {
        TradingStatus::Trading => Ok(()),
        TradingStatus::CancelOnly if reduces => Ok(()),
        TradingStatus::CancelOnly => Err(RejectReason::CancelOnly),
        TradingStatus::Halted | TradingStatus::Auction => Err(RejectReason::TradingHalted),
    }
}

/// Reasons 6 to 17: what the order says about itself.
fn check_shape(
    order: &NewOrder,
    instrument: &Instrument,
    now_ns: u64,
    funds: Funds<'_>,
) -> Checked<()> {
    let limit = match order.order_type {
        OrderType::Limit => true,
        OrderType::Market => false,
        OrderType::Stop
        | OrderType::StopLimit
        | OrderType::TakeProfit
        | OrderType::TakeProfitLimit
        | OrderType::TrailingStop => return Err(RejectReason::Unsupported),
    };
    if !fields_are_legal(order, limit, funds) {
        return Err(RejectReason::InvalidField);
    }
    check_time_in_force(order, limit)?;
    if order.quantity.0 == 0 && !order.is_by_budget() {
        return Err(RejectReason::InvalidQuantity);
    }
    let parts = u64::from(instrument.spec.max_iceberg_parts);
    let display = order.display.0;
    if display > order.quantity.0 || display > 0 && display < order.quantity.0.div_ceil(parts) {
        return Err(RejectReason::InvalidQuantity);
    }
    if limit && !(1..=instrument.spec.max_price.0).contains(&order.price.0) {
        return Err(RejectReason::InvalidPrice);
    }
    if order.time_in_force == TimeInForce::Gtd && order.expire_at_ns <= now_ns {
        return Err(RejectReason::InvalidExpiry);
    }
    if order.credit_id != TransferId(0) && order.credit_amount == 0 {
        return Err(RejectReason::InvalidAmount);
    }
    let rests_until = matches!(order.time_in_force, TimeInForce::Gtd | TimeInForce::Day);
    if rests_until || display > 0 {
        return Err(RejectReason::Unsupported);
    }
    Ok(())
}

fn fields_are_legal(order: &NewOrder, limit: bool, funds: Funds<'_>) -> bool {
    let no_trigger = order.trigger.0 == 0 && order.trail_ticks == 0 && order.trail_bps == 0;
    let by_type = if limit {
        order.quote_budget == 0
    } else {
        let by_budget = order.is_by_budget();
        order.price.0 == 0
            && order.display.0 == 0
            && !order.post_only
            && !(by_budget && (order.side == Side::Sell || order.quantity.0 > 0))
            && !(by_budget && order.self_trade_policy == SelfTradePolicy::Decrement)
    };
    let expiry_matches = order.time_in_force == TimeInForce::Gtd || order.expire_at_ns == 0;
    let credit_matches = if order.credit_id == TransferId(0) {
        order.credit_amount == 0
    } else {
        matches!(funds, Funds::Own)
    };
    no_trigger && by_type && expiry_matches && credit_matches
}

fn check_time_in_force(order: &NewOrder, limit: bool) -> Checked<()> {
    let at_once = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
    let legal = if limit {
        !(at_once && (order.post_only || order.display.0 > 0))
    } else {
        at_once && !(order.is_by_budget() && order.time_in_force == TimeInForce::Fok)
    };
    if legal { Ok(()) } else { Err(RejectReason::InvalidTimeInForce) }
}

/// Reasons 23 and 24.
fn check_quantity(order: &NewOrder, instrument: &Instrument) -> Checked<()> {
    if order.is_by_budget() {
        return Ok(());
    }
    check_quantity_bounds(order.quantity, instrument)
}

pub(crate) fn check_quantity_bounds(quantity: Quantity, instrument: &Instrument) -> Checked<()> {
    if quantity < instrument.spec.min_quantity {
        return Err(RejectReason::QuantityBelowMin);
    }
    if quantity > instrument.spec.max_quantity {
        return Err(RejectReason::QuantityAboveMax);
    }
    Ok(())
}

/// Reasons 27 to 30; gives the worst price that the order may trade at.
fn check_value(
    order: &NewOrder,
    instrument: &Instrument,
    opposite: Option<&PriceLevel>,
) -> Checked<Price> {
    let spec = &instrument.spec;
    let band = spec.band(instrument.band_reference());
    if order.order_type == OrderType::Limit {
        check_notional(spec.checked_quote_value(order.price, order.quantity), instrument)?;
        check_band(order.price, instrument)?;
        return Ok(order.price);
    }
    let best = opposite.ok_or(RejectReason::NoLiquidity)?.price;
    let notional = if order.is_by_budget() {
        Some(order.quote_budget)
    } else {
        spec.checked_quote_value(best, order.quantity)
    };
    check_notional(notional, instrument)?;
    let collar = spec.collar(order.side, best);
    match (order.side, band) {
        (Side::Buy, Some((_, high))) if best > high => Err(RejectReason::PriceBand),
        (Side::Sell, Some((low, _))) if best < low => Err(RejectReason::PriceBand),
        (Side::Buy, Some((_, high))) => Ok(collar.min(high)),
        (Side::Sell, Some((low, _))) => Ok(collar.max(low)),
        (_, None) => Ok(collar),
    }
}

/// Reasons 28 and 29. A valid spec keeps its own orders below the absolute bound, but a resting
/// order may have entered under an older spec, so its price times a new quantity may pass it.
pub(crate) fn check_notional(notional: Option<Amount>, instrument: &Instrument) -> Checked<()> {
    let spec = &instrument.spec;
    let notional = notional.ok_or(RejectReason::NotionalAboveMax)?;
    if notional < spec.min_notional {
        return Err(RejectReason::NotionalBelowMin);
    }
    let above_limit = spec.max_notional > 0 && notional > spec.max_notional;
    if above_limit || notional > ORDER_VALUE_MAX {
        return Err(RejectReason::NotionalAboveMax);
    }
    Ok(())
}

/// Reason 30 for a limit price.
pub(crate) fn check_band(price: Price, instrument: &Instrument) -> Checked<()> {
    match instrument.spec.band(instrument.band_reference()) {
        Some((low, high)) if price < low || price > high => Err(RejectReason::PriceBand),
        _ => Ok(()),
    }
}

/// Most lots that `budget` pays for at `price`, fee included.
pub(crate) fn budget_quantity(
    budget: Amount,
    fee_basis: i128,
    rate_ppm: i32,
    instrument: &Instrument,
    price: Price,
) -> Quantity {
    let lots = fees::affordable(budget, fee_basis, rate_ppm)
        / instrument.spec.quote_value(price, Quantity(1));
    Quantity(u64::try_from(lots).unwrap_or(u64::MAX))
}
