//! Owns how the mock moves money between wallets and trading accounts.
//! Knows nothing of trades. Invariant: what was concluded stays concluded.

use engine::{Amount, AssetCode};
use uuid::Uuid;

use super::{Answer, Books, Funding, conflict, invalid, signed};
use crate::client::{Concluded, FundingEvent, ReserveRequest, WalletError};
use crate::ledger::types::{FundingDirection, ReserveReason};

impl Books {
    pub(super) fn ask_trading(
        &mut self,
        id: Uuid,
        direction: FundingDirection,
        what: &ReserveRequest,
    ) {
        let event = FundingEvent {
            cursor: self.fundings.len() as u64 + 1,
            transaction_id: id,
            direction,
            user_id: what.user_id,
            asset: what.asset,
            amount: what.amount,
        };
        self.fundings.push(Funding { event, granted: None });
    }

    /// Asks trading for money that is to leave.
    pub(in crate::client::mock) fn recall(
        &mut self,
        user: Uuid,
        asset: AssetCode,
        amount: Amount,
    ) -> Answer<Uuid> {
        self.balance(user, asset)?;
        if self.frozen.contains(&asset) {
            return Err(invalid("withdrawals are frozen"));
        }
        let id = self.next_id();
        let (order_id, reason) = (id, ReserveReason::TradingFunding);
        let what = ReserveRequest { user_id: user, asset, amount, order_id, reason };
        self.ask_trading(id, FundingDirection::Recall, &what);
        Ok(id)
    }

    pub(in crate::client::mock) fn funding_events(
        &self,
        after: u64,
        max: usize,
    ) -> Vec<FundingEvent> {
        let events = self.fundings.iter().map(|funding| funding.event);
        events.filter(|event| event.cursor > after).take(max).collect()
    }

    pub(in crate::client::mock) fn conclude(
        &mut self,
        id: Uuid,
        granted: bool,
    ) -> Answer<Concluded> {
        let mut all = self.fundings.iter_mut();
        let funding = all.find(|funding| funding.event.transaction_id == id);
        let funding = funding.ok_or_else(|| invalid("no such transaction"))?;
        let FundingEvent { direction, user_id, asset, amount, .. } = funding.event;
        let moves = match (direction, funding.granted, granted) {
            (_, Some(before), now) if before != now => {
                return Err(conflict("was concluded the other way round"));
            }
            // What is lent may still be given back later, so nothing is decided yet.
            (FundingDirection::Fund, None, true) => return Ok(Concluded { completed: true }),
            (FundingDirection::Fund, None, false) | (FundingDirection::Recall, None, true) => true,
            _ => false,
        };
        if moves {
            let account = self.accounts.entry((user_id, asset)).or_default();
            account.pool =
                account.pool.checked_sub(amount).ok_or(WalletError::InsufficientBalance)?;
            account.reserved -= amount;
            match direction {
                FundingDirection::Fund => account.available += amount,
                FundingDirection::Recall => {
                    *self.external.entry(asset).or_default() += signed(amount)?;
                }
            }
        }
        funding.granted = Some(granted);
        Ok(Concluded { completed: granted })
    }

    pub(in crate::client::mock) fn freeze(&mut self, asset: AssetCode, frozen: bool) -> Answer<()> {
        self.check_asset(asset)?;
        if frozen {
            self.frozen.insert(asset);
        } else {
            self.frozen.remove(&asset);
        }
        Ok(())
    }
}
