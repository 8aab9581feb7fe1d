//! Owns the money of a fill: fees, what the two orders hold from then on, and the exchange.
//! Knows nothing of priority. Invariant: after every fill both orders hold exactly what their
//! formula says (a funded one all that its funds have left), so no balance can go below zero and
//! nothing is left behind.

use crate::balances::Assets;
use crate::engine::Instrument;
use crate::fees;
use crate::instrument::InstrumentSpec;
use crate::order::Order;
use crate::types::{AccountId, Amount, Price, Quantity, Side, SignedAmount};

/// What one fill did to one of its two orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FillSide {
    pub(crate) fee: SignedAmount,
    pub(crate) released: Amount,
    /// Its order's funds were reserved outside.
    pub(crate) funded: bool,
}

/// Accounts for a fill in one order: fee on its running total, and what its hold sets free.
///
/// `open` is what is left of it; `limit` is the price its hold is computed at.
#[expect(clippy::too_many_arguments, reason = "two orders and one fill, called twice")]
pub(crate) fn fill(
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
pub(crate) fn exchange(
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
