//! Owns what a live order is: its terms, its progress and the money it needs.
//! Knows nothing of other orders. Invariant: the hold is never stored, it follows from the rest.

use engine::command::NewOrder;
use engine::{
    AccountId, Amount, InstrumentId, InstrumentSpec, OrderId, OrderType, Price, Quantity,
    SelfTradePolicy, Side, SignedAmount, TimeInForce,
};

use super::admission::{Terms, is_by_budget};
use super::arithmetic::{base_value, cost, quote_value, trailing_trigger};

/// Where a live order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Being matched.
    Active,
    /// In its level, behind all of lower place.
    Resting { place: u64 },
    /// A stop that no price has met yet.
    Dormant,
    /// A stop that waits for its turn to be matched, behind all of lower place.
    Triggered { place: u64 },
}

/// A live order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) account: AccountId,
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) time_in_force: TimeInForce,
    /// What happens when it meets an order of its owner.
    pub(super) self_trade_policy: SelfTradePolicy,
    pub(super) post_only: bool,
    pub(super) state: State,
    /// Its limit, or the cap of an order that has none.
    pub(super) price: i64,
    /// Of a stop, also after it was met; else 0.
    pub(super) trigger: i64,
    pub(super) trail: Option<Trail>,
    pub(super) quantity: Quantity,
    pub(super) filled: Quantity,
    /// Lots that it did not trade with its owner and lost.
    pub(super) prevented: Quantity,
    pub(super) open: Quantity,
    /// Most lots that it shows; 0 if it shows all.
    pub(super) display: Quantity,
    /// Lots that it shows now; 0 while it does not rest.
    pub(super) visible: Quantity,
    /// What an order by budget may still spend; `None` for an order by quantity.
    pub(super) budget_left: Option<Amount>,
    /// Millionths of a quote unit that its fills cost so far, never rounded.
    pub(super) fee_basis: SignedAmount,
    pub(super) maker_fee_ppm: i32,
    pub(super) taker_fee_ppm: i32,
    /// When it ends, 0 for never.
    pub(super) expire_at_ns: u64,
    /// Sequence of the command that put it where it lies dormant.
    pub(super) entry_sequence: u64,
    /// Of an order whose funds were reserved outside.
    pub(super) funds: Option<Funds>,
}

/// How a trailing stop follows the price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trail {
    ticks: i64,
    bps: u32,
    /// The best price for its owner since it was accepted.
    reference: i64,
}

/// The money of an order that spends no other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Funds {
    pub(super) given: Amount,
    /// What its trades took so far.
    pub(super) taken: Amount,
}

/// Whether an order of this type waits for a price before it is matched.
pub(super) fn is_stop(order_type: OrderType) -> bool {
    !matches!(order_type, OrderType::Limit | OrderType::Market)
}

/// Whether an order of this type has no limit of its own and never rests.
pub(super) fn is_market_form(order_type: OrderType) -> bool {
    !matches!(order_type, OrderType::Limit | OrderType::StopLimit | OrderType::TakeProfitLimit)
}

impl Order {
    /// An order as it enters, before anything happened to it.
    pub(super) fn new(id: OrderId, new: &NewOrder, terms: &Terms, sequence: u64) -> Self {
        let trails = new.order_type == OrderType::TrailingStop;
        let reference = terms.trail_reference;
        let trail = Trail { ticks: new.trail_ticks, bps: new.trail_bps, reference };
        Self {
            id,
            account: new.account,
            instrument: new.instrument,
            side: new.side,
            order_type: new.order_type,
            time_in_force: new.time_in_force,
            self_trade_policy: new.self_trade_policy,
            post_only: new.post_only,
            state: State::Active,
            price: terms.limit,
            trigger: terms.trigger,
            trail: trails.then_some(trail),
            quantity: new.quantity,
            filled: Quantity(0),
            prevented: Quantity(0),
            open: new.quantity,
            display: new.display,
            visible: Quantity(0),
            budget_left: is_by_budget(new).then_some(new.quote_budget),
            fee_basis: 0,
            maker_fee_ppm: terms.maker_fee_ppm,
            taker_fee_ppm: terms.taker_fee_ppm,
            expire_at_ns: new.expire_at_ns,
            entry_sequence: sequence,
            funds: terms.funded.then_some(Funds { given: terms.hold, taken: 0 }),
        }
    }

    /// Its place among all that rest.
    pub(super) fn resting_place(&self) -> Option<u64> {
        if let State::Resting { place } = self.state { Some(place) } else { None }
    }

    /// Its place among all that were met and wait.
    pub(super) fn queue_place(&self) -> Option<u64> {
        if let State::Triggered { place } = self.state { Some(place) } else { None }
    }

    /// The limit that it was given, 0 if none.
    pub(super) fn limit(&self) -> Price {
        Price(if is_market_form(self.order_type) { 0 } else { self.price })
    }

    /// The cap of an order without a limit, else 0.
    pub(super) fn cap(&self) -> Price {
        Price(if is_market_form(self.order_type) { self.price } else { 0 })
    }

    /// What it shows when it enters a level.
    pub(super) fn part(&self) -> Quantity {
        if self.display.0 == 0 { self.open } else { self.open.min(self.display) }
    }

    /// The price that its value is taken at for bounds: its limit, or the trigger if it has none.
    pub(super) fn valued_at(&self) -> i64 {
        if is_market_form(self.order_type) { self.trigger } else { self.price }
    }

    /// Whether it waits for a price at or above its trigger; else for one at or below.
    pub(super) fn waits_for_rise(&self) -> bool {
        let profit = matches!(self.order_type, OrderType::TakeProfit | OrderType::TakeProfitLimit);
        (self.side == Side::Buy) != profit
    }

    /// Whether a trade at this price triggers it.
    pub(super) fn is_triggered_by(&self, price: i64) -> bool {
        if self.waits_for_rise() { price >= self.trigger } else { price <= self.trigger }
    }

    /// Lets a trailing stop follow a trade at this price: `both_ways`, or only as it should.
    pub(super) fn follow(&mut self, price: i64, both_ways: bool) {
        let Some(trail) = &mut self.trail else { return };
        let better = match self.side {
            Side::Buy => price < trail.reference,
            Side::Sell => price > trail.reference,
        };
        if better || both_ways {
            trail.reference = price;
            let trigger = trailing_trigger(self.side, price, trail.ticks, trail.bps);
            self.trigger = i64::try_from(trigger).expect("a trigger between prices");
        }
    }

    /// What is held for it, in units of its hold asset.
    pub(super) fn hold(&self, spec: &InstrumentSpec) -> Amount {
        self.funds.map_or_else(|| self.required_hold(spec), |funds| funds.given - funds.taken)
    }

    /// What it can still cost, in units of its hold asset.
    pub(super) fn required_hold(&self, spec: &InstrumentSpec) -> Amount {
        match (self.side, self.budget_left) {
            (Side::Sell, _) => base_value(spec, self.open),
            (Side::Buy, Some(budget_left)) => budget_left,
            (Side::Buy, None) => {
                let value = quote_value(spec, Price(self.price), self.open);
                cost(value, self.fee_basis, self.maker_fee_ppm.max(self.taker_fee_ppm))
            }
        }
    }

    /// Whether a taker of this side and limit reaches its price.
    pub(super) fn is_met_by(&self, taker: Side, limit: i64) -> bool {
        match taker {
            Side::Buy => self.price <= limit,
            Side::Sell => self.price >= limit,
        }
    }

    /// Most lots, up to `most`, whose cost as a taker at `price` fits the budget.
    pub(super) fn affordable(
        &self,
        spec: &InstrumentSpec,
        budget: Amount,
        price: i64,
        most: u64,
    ) -> u64 {
        let fits = |lots: u64| {
            let value = quote_value(spec, Price(price), Quantity(lots));
            cost(value, self.fee_basis, self.taker_fee_ppm) <= budget
        };
        let (mut fitting, mut too_many) = (0, most + 1);
        while fitting + 1 < too_many {
            let middle = fitting + (too_many - fitting) / 2;
            if fits(middle) { fitting = middle } else { too_many = middle }
        }
        fitting
    }
}
