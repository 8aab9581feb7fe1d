//! Owns how the mock settles a trade. Knows nothing of reserving and releasing.
//! Invariant: a trade is settled as a whole or not at all, and a refusal is not remembered.

use engine::{Amount, SignedAmount};

use super::{Answer, Books, conflict, invalid, signed};
use crate::client::{SettleRequest, Settlement, WalletError};
use crate::ledger::types::CreditTo;
use crate::wire::quote_of;

impl Books {
    pub(in crate::client::mock) fn settle(
        &mut self,
        request: &SettleRequest,
    ) -> Answer<Settlement> {
        let base_scale = self.check_asset(request.base)?;
        let quote_scale = self.check_asset(request.quote)?;
        let value = quote_of(request.base_amount, base_scale, request.price, quote_scale);
        if value != Some(request.quote_amount) {
            return Err(invalid("quote amount is not base amount times price"));
        }
        if let Some((first, answer)) = self.settlements.get(&request.trade_id) {
            let same = first == request;
            return if same { Ok(*answer) } else { Err(conflict("trade was settled otherwise")) };
        }
        let is_empty = request.base_amount == 0 || request.quote_amount == 0;
        if request.trade_id.is_nil() || request.base == request.quote || is_empty {
            return Err(invalid("not a trade"));
        }
        if !self.knows(request.buyer_id) || !self.knows(request.seller_id) {
            return Err(WalletError::UserNotFound);
        }
        let quote = signed(request.quote_amount)?;
        let due = |sum: Option<SignedAmount>| {
            let due = sum.and_then(|sum| Amount::try_from(sum).ok());
            due.ok_or_else(|| invalid("a fee is larger than its trade"))
        };
        let pays = due(quote.checked_add(request.buyer_fee))?;
        let receives = due(quote.checked_sub(request.seller_fee))?;
        let released = match request.credit_to {
            CreditTo::Available => self.settle_reservations(request, pays, receives)?,
            CreditTo::Reserved => {
                self.settle_pools(request, pays, receives)?;
                [false, false]
            }
        };
        *self.fees.entry(request.quote).or_default() += request.buyer_fee + request.seller_fee;
        let settlement = Settlement {
            settlement_id: self.next_id(),
            settled_at_ns: self.next(),
            buyer_reservation_released: released[0],
            seller_reservation_released: released[1],
        };
        self.settlements.insert(request.trade_id, (*request, settlement));
        Ok(settlement)
    }

    /// From the orders' reservations to what the parties can take out; says which are used up.
    fn settle_reservations(
        &mut self,
        request: &SettleRequest,
        pays: Amount,
        receives: Amount,
    ) -> Answer<[bool; 2]> {
        let sides = [
            (request.buyer_id, (request.buyer_order_id, request.quote), pays),
            (request.seller_id, (request.seller_order_id, request.base), request.base_amount),
        ];
        for (user, key, amount) in sides {
            if !self.accounts.contains_key(&(user, key.1)) {
                return Err(WalletError::InsufficientBalance);
            }
            let reservation = self.reservations.get(&key).filter(|found| found.user_id == user);
            let reservation = reservation.ok_or(WalletError::ReservationNotFound)?;
            if reservation.ended || reservation.remaining < amount {
                return Err(conflict("reservation is spent"));
            }
        }
        let used_up = sides.map(|(user, key, amount)| {
            self.accounts.entry((user, key.1)).or_default().reserved -= amount;
            let reservation = self.reservations.get_mut(&key);
            reservation.is_some_and(|reservation| {
                reservation.remaining -= amount;
                reservation.captured += amount;
                reservation.remaining == 0
            })
        });
        let credit = [
            (request.seller_id, request.quote, receives),
            (request.buyer_id, request.base, request.base_amount),
        ];
        for (user, asset, amount) in credit {
            self.accounts.entry((user, asset)).or_default().available += amount;
        }
        Ok(used_up)
    }

    /// From the pools lent to trading back into them.
    fn settle_pools(
        &mut self,
        request: &SettleRequest,
        pays: Amount,
        receives: Amount,
    ) -> Answer<()> {
        let debit = [
            ((request.buyer_id, request.quote), pays),
            ((request.seller_id, request.base), request.base_amount),
        ];
        let credit = [
            ((request.seller_id, request.quote), receives),
            ((request.buyer_id, request.base), request.base_amount),
        ];
        for (key, amount) in debit {
            if self.accounts.get(&key).is_none_or(|account| account.pool < amount) {
                return Err(WalletError::InsufficientBalance);
            }
        }
        for (key, amount) in debit {
            let account = self.accounts.entry(key).or_default();
            account.reserved -= amount;
            account.pool -= amount;
        }
        for (key, amount) in credit {
            let account = self.accounts.entry(key).or_default();
            account.reserved += amount;
            account.pool += amount;
        }
        Ok(())
    }
}
