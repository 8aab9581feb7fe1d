//! Owns the 64 bits that stand for a request's body: two bodies of one key with the same
//! fingerprint count as the same request.
//! Knows nothing of keys. Invariant: a fingerprint is state, so what it is made of never changes.
//!
//! A body is a fixed number of little-endian words, taken in turn by four lanes that the processor
//! works on side by side; each word goes into its lane, and then each lane into the result, by
//!
//! h = rotl((h xor w) * 0x9E3779B97F4A7C15 mod 2^64, 29), from h = 0xCBF29CE484222325.
//!
//! A step is a bijection of w, so bodies that differ in one word never have one fingerprint. Keys
//! and their owners are compared whole elsewhere and are left out.

use crate::command::NewOrder;
use crate::order::Halves;
use crate::transfers::Transfer;

const LANES: usize = 4;
const START: u64 = 0xCBF2_9CE4_8422_2325;
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

#[inline]
fn step(state: u64, word: u64) -> u64 {
    (state ^ word).wrapping_mul(FACTOR).rotate_left(29)
}

#[inline]
fn of_words(turns: &[[u64; LANES]]) -> u64 {
    let mut lanes = [START; LANES];
    for words in turns {
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, *word);
        }
    }
    lanes.into_iter().fold(START, step)
}

/// Two small numbers as one word.
#[inline]
fn both(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << u32::BITS
}

/// Of an order: all but its account and its client order id, which are its key.
#[inline]
pub(crate) fn of_order(order: &NewOrder) -> u64 {
    let NewOrder {
        account: _,
        client_order_id: _,
        instrument,
        side,
        order_type,
        time_in_force,
        self_trade_policy,
        post_only,
        price,
        trigger,
        trail_ticks,
        trail_bps,
        quantity,
        display,
        quote_budget,
        expire_at_ns,
        credit_id,
        credit_amount,
    } = *order;
    let kind = u32::from_le_bytes([
        side.code(),
        order_type.code(),
        time_in_force.code(),
        self_trade_policy.code(),
    ]);
    let flags = both(trail_bps, u32::from(post_only));
    let [budget, budget_high] = Halves::of(quote_budget).words();
    let [credit, credit_high] = Halves::of(credit_amount).words();
    let [credited, credited_high] = Halves::of(credit_id.0).words();
    of_words(&[
        [both(instrument.0, kind), price.0.cast_unsigned(), quantity.0, flags],
        [trigger.0.cast_unsigned(), trail_ticks.cast_unsigned(), display.0, expire_at_ns],
        [budget, budget_high, credit, credit_high],
        [credited, credited_high, 0, 0],
    ])
}

/// Of money that comes in or leaves: all but its id, which is its key.
pub(crate) fn of_transfer(transfer: &Transfer) -> u64 {
    let Transfer { id: _, kind, account, asset, amount } = *transfer;
    let [low, high] = Halves::of(amount).words();
    of_words(&[[kind.code().into(), both(account.0, asset.0), low, high]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TransferKind;
    use crate::types::{
        AccountId, AssetId, ClientOrderId, InstrumentId, OrderType, Price, Quantity,
        SelfTradePolicy, Side, TimeInForce, TransferId,
    };

    fn order() -> NewOrder {
        NewOrder::limit(AccountId(7), InstrumentId(1), Side::Buy, Quantity(5), Price(100))
    }

    #[test]
    fn every_field_but_the_key_counts() {
        let changes: [fn(&mut NewOrder); 16] = [
            |o| o.instrument = InstrumentId(2),
            |o| o.side = Side::Sell,
            |o| o.order_type = OrderType::Market,
            |o| o.time_in_force = TimeInForce::Ioc,
            |o| o.self_trade_policy = SelfTradePolicy::CancelBoth,
            |o| o.post_only = true,
            |o| o.price = Price(101),
            |o| o.trigger = Price(100),
            |o| o.trail_ticks = 1,
            |o| o.trail_bps = 1,
            |o| o.quantity = Quantity(6),
            |o| o.display = Quantity(5),
            |o| o.quote_budget = 1 << 64,
            |o| o.expire_at_ns = 1,
            |o| o.credit_id = TransferId(1 << 64),
            |o| o.credit_amount = 1,
        ];
        let mut seen = vec![of_order(&order())];
        for change in changes {
            let mut other = order();
            change(&mut other);
            let fingerprint = of_order(&other);
            assert!(!seen.contains(&fingerprint), "{other:?}");
            seen.push(fingerprint);
        }
        let mut other = order();
        (other.account, other.client_order_id) = (AccountId(8), ClientOrderId::new(b"x").unwrap());
        assert_eq!(of_order(&other), seen[0]);
    }

    #[test]
    fn fingerprints_are_frozen() {
        assert_eq!(of_order(&order()), ORDER);
        let transfer = Transfer {
            id: TransferId(9),
            kind: TransferKind::Debit,
            account: AccountId(7),
            asset: AssetId(2),
            amount: 1 << 70,
        };
        assert_eq!(of_transfer(&transfer), TRANSFER);
    }

    const ORDER: u64 = 4_854_014_281_206_058_006;
    const TRANSFER: u64 = 16_040_042_455_272_488_233;
}
