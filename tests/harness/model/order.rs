//! Owns what a live order is: its terms, its progress and the money it needs.
//! Knows nothing of other orders. Invariant: the hold is never stored, it follows from the rest.

use engine::{
    AccountId, Amount, InstrumentId, InstrumentSpec, OrderId, OrderType, Price, Quantity,
    SelfTradePolicy, Side, SignedAmount, TimeInForce,
};

use super::arithmetic::{base_value, cost, quote_value};

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
    /// Its limit, or the cap of a MARKET order.
    pub(super) price: i64,
    pub(super) quantity: Quantity,
    pub(super) filled: Quantity,
    /// Lots that it did not trade with its owner and lost.
    pub(super) prevented: Quantity,
    pub(super) open: Quantity,
    /// What an order by budget may still spend; `None` for an order by quantity.
    pub(super) budget_left: Option<Amount>,
    /// Millionths of a quote unit that its fills cost so far, never rounded.
    pub(super) fee_basis: SignedAmount,
    pub(super) maker_fee_ppm: i32,
    pub(super) taker_fee_ppm: i32,
    /// Its place among all that rest; `None` while it does not.
    pub(super) place: Option<u64>,
    /// Of an order whose funds were reserved outside.
    pub(super) funds: Option<Funds>,
}

/// The money of an order that spends no other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Funds {
    pub(super) given: Amount,
    /// What its trades took so far.
    pub(super) taken: Amount,
}

impl Order {
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
