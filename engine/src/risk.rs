//! Owns the checks of a new order, in the precedence of their reason codes.
//! Changes nothing. Invariant: an order that passes can be held for, and matched, without failing.

use crate::book_side::tighter;
use crate::command::NewOrder;
use crate::engine::{Checked, Engine, Instrument};
use crate::fill::hold_for;
use crate::fok::Wanted;
use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::intents::Intent;
use crate::reject::RejectReason;
use crate::shape::check_shape;
use crate::types::{
    AccountId, AccountStatus, Amount, Price, Quantity, Side, TimeInForce, TransferId,
};
use crate::valuation::{Value, budget_quantity, lots};

/// What the checks of a new order found out for the rest of its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    pub(crate) instrument_slot: u16,
    /// Worst price the order may trade at: its price, the collar of a MARKET order, or the cap
    /// around the trigger of one that trades like it.
    pub(crate) limit: Price,
    /// Price that elects a stop order; 0 for any other.
    pub(crate) trigger: Price,
    /// To be held: quote units of a buy, base units of a sell.
    pub(crate) hold: Amount,
    pub(crate) maker_fee_ppm: i32,
    pub(crate) taker_fee_ppm: i32,
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
    fn terms(self, order: &NewOrder, slot: u16, spec: &InstrumentSpec, value: Value) -> Admission {
        let Value { limit, trigger } = value;
        if let Self::Reserved(intent) = self {
            return Admission {
                instrument_slot: slot,
                limit: tighter(order.side, limit, intent.limit),
                trigger,
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
        Admission { instrument_slot: slot, limit, trigger, hold, maker_fee_ppm, taker_fee_ppm }
    }
}

impl Engine {
    /// Checks 5 and later; 1 and 3 have passed.
    pub(crate) fn admit(&self, order: &NewOrder, funds: Funds<'_>) -> Checked<Admission> {
        let slot = self.slot_of(order.instrument).ok_or(RejectReason::UnknownSymbol)?;
        let instrument = &self.instruments[usize::from(slot)];
        check_shape(order, instrument, self.now_ns, funds)?;
        self.check_trading(order.account, slot)?;
        check_status(instrument.status, false)?;
        check_quantity(order, instrument)?;
        let opposite = instrument.book.best(order.side.opposite()).map(|level| level.price);
        let value = self.check_value(order, instrument, opposite)?;
        let admission = funds.terms(order, slot, &instrument.spec, value);
        // What an order without a price is valued at.
        let at = if order.order_type.is_stop() { Some(value.trigger) } else { opposite };
        let lots = lots(order.quantity, order.quote_budget, instrument, at);
        self.check_daily_volume(order.account, slot, lots)?;
        self.check_limits(order, slot)?;
        if let (true, Some(price)) = (order.is_by_budget(), at) {
            let rate = admission.taker_fee_ppm;
            let most = budget_quantity(order.quote_budget, 0, rate, instrument, price);
            if most == Quantity(0) {
                return Err(RejectReason::BudgetTooSmall);
            }
        }
        self.check_windows(order, funds)?;
        self.check_money(order, instrument, admission.hold, funds)?;
        if !order.order_type.is_stop() {
            self.check_book(order, instrument, admission.limit)?;
        }
        Ok(admission)
    }

    /// Reasons 38 and 39 of an order that meets the book now; a stop order is asked when it starts.
    fn check_book(&self, order: &NewOrder, instrument: &Instrument, limit: Price) -> Checked<()> {
        if order.post_only && instrument.book.would_trade(order.side, order.price) {
            return Err(RejectReason::PostOnlyWouldCross);
        }
        if order.time_in_force == TimeInForce::Fok {
            let NewOrder { account, side, self_trade_policy, quantity, .. } = *order;
            let wanted = Wanted { account, side, self_trade_policy, quantity, limit };
            if !self.can_fill(&wanted, instrument) {
                return Err(RejectReason::FokUnfillable);
            }
        }
        Ok(())
    }

    /// Reasons 19 and 20.
    pub(crate) fn check_trading(&self, account: AccountId, slot: u16) -> Checked<()> {
        let account = self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        if self.killed || self.instruments[usize::from(slot)].killed || account.killed {
            return Err(RejectReason::KillSwitch);
        }
        if account.status == AccountStatus::Suspended {
            return Err(RejectReason::AccountSuspended);
        }
        Ok(())
    }

    /// Reason 31: whether `lots` more would take the account past its volume of this UTC day.
    pub(crate) fn check_daily_volume(
        &self,
        account: AccountId,
        slot: u16,
        lots: u128,
    ) -> Checked<()> {
        let most = self.instruments[usize::from(slot)].spec.max_daily_volume;
        if most == 0 {
            return Ok(());
        }
        let traded = self.accounts.get(account).map_or(Quantity(0), |a| a.traded(slot, self.day));
        let exceeds = u128::from(traded.0) + lots > u128::from(most);
        if exceeds { Err(RejectReason::DailyVolume) } else { Ok(()) }
    }

    /// Reasons 32 and 33.
    fn check_limits(&self, order: &NewOrder, slot: u16) -> Checked<()> {
        if !order.may_wait() {
            return Ok(());
        }
        let instrument = &self.instruments[usize::from(slot)];
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
            || self.client_ids.has_room(order.account.0, self.client_id_capacity());
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
}

impl Instrument {
    /// The asset that an order of `side` holds.
    pub(crate) fn hold_slot(&self, side: Side) -> usize {
        match side {
            Side::Buy => self.quote_slot,
            Side::Sell => self.base_slot,
        }
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
