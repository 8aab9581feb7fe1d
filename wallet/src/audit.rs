//! Owns the check of a ledger's events by themselves: the hash chain, the balance of every
//! transaction, and that each balance follows from the one before it.
//! Knows nothing of state or files. Invariant: the first event that does not fit is named.

use std::collections::BTreeMap;

use engine::SignedAmount;

use crate::ledger::types::{Account, TransactionId};
use crate::ledger::{Committed, Event, Posted, chain};

/// The first thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event_sequence}, transaction {}: {what}", transaction.0)]
pub struct AuditError {
    pub event_sequence: u64,
    pub transaction: TransactionId,
    pub what: String,
}

/// Follows the events of a ledger from its first one.
#[derive(Debug, Default)]
pub struct Audit {
    chain: [u8; 32],
    transactions: u64,
    balances: BTreeMap<Account, SignedAmount>,
    /// The transaction being read: where it began, its head, and its movements so far.
    open: Option<(u64, Committed, Vec<Posted>)>,
}

impl Audit {
    /// Head of the chain, and the number of transactions in it.
    #[must_use]
    pub fn head(&self) -> ([u8; 32], u64) {
        (self.chain, self.transactions)
    }

    /// Checks the next event.
    ///
    /// # Errors
    /// [`AuditError`]; nothing behind it can be trusted.
    pub fn follow(&mut self, event_sequence: u64, event: &Event) -> Result<(), AuditError> {
        match event {
            Event::Committed(head) => {
                self.finish(event_sequence)?;
                self.open = Some((event_sequence, *head, Vec::new()));
                self.close_if_whole()
            }
            Event::Posted(leg) => {
                let Some((_, head, legs)) = &mut self.open else {
                    return Err(error(event_sequence, leg.transaction, "a movement of nothing"));
                };
                let place = legs.len();
                if leg.transaction != head.transaction || usize::from(leg.leg) != place {
                    return Err(error(event_sequence, leg.transaction, "a movement out of place"));
                }
                legs.push(*leg);
                self.move_money(event_sequence, leg)?;
                self.close_if_whole()
            }
            _ => self.finish(event_sequence),
        }
    }

    /// To be called behind the last event.
    ///
    /// # Errors
    /// The last transaction is not whole.
    pub fn finish(&mut self, event_sequence: u64) -> Result<(), AuditError> {
        match &self.open {
            None => Ok(()),
            Some((_, head, _)) => {
                Err(error(event_sequence, head.transaction, "its movements are missing"))
            }
        }
    }

    fn close_if_whole(&mut self) -> Result<(), AuditError> {
        let Some((began, head, legs)) = self.open.take() else { return Ok(()) };
        if legs.len() < usize::from(head.legs) {
            self.open = Some((began, head, legs));
            return Ok(());
        }
        let expected = chain::next(&self.chain, &head, &legs);
        if expected != head.chain {
            return Err(error(began, head.transaction, "the hash chain breaks here"));
        }
        self.chain = head.chain;
        self.transactions += 1;
        Ok(())
    }

    fn move_money(&mut self, at: u64, leg: &Posted) -> Result<(), AuditError> {
        let amount = SignedAmount::try_from(leg.amount)
            .map_err(|_| error(at, leg.transaction, "an amount out of range"))?;
        for (account, change, after) in
            [(leg.debit, -amount, leg.debit_after), (leg.credit, amount, leg.credit_after)]
        {
            let balance = self.balances.entry(account).or_default();
            let sum = balance.checked_add(change);
            *balance = sum.ok_or_else(|| error(at, leg.transaction, "a balance out of range"))?;
            if *balance != after {
                let what = format!("{account:?} has {balance} units, the event says {after}");
                return Err(AuditError { event_sequence: at, transaction: leg.transaction, what });
            }
            let owned = matches!(account, Account::Available(_) | Account::Reserved(_));
            if owned && *balance < 0 {
                return Err(error(at, leg.transaction, "a wallet's account is below zero"));
            }
        }
        Ok(())
    }
}

fn error(event_sequence: u64, transaction: TransactionId, what: &str) -> AuditError {
    AuditError { event_sequence, transaction, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::history;

    fn audit(events: &[Event]) -> Result<([u8; 32], u64), AuditError> {
        let mut audit = Audit::default();
        for (event_sequence, event) in (1..).zip(events) {
            audit.follow(event_sequence, event)?;
        }
        audit.finish(events.len() as u64 + 1)?;
        Ok(audit.head())
    }

    #[test]
    fn an_honest_history_passes_up_to_the_ledgers_own_head() {
        let (events, ledger) = history();
        let (chain, transactions) = audit(&events).unwrap();
        assert_eq!(chain, ledger.chain());
        assert!(transactions >= 5);
    }

    #[test]
    fn the_first_bad_event_is_named() {
        let (events, _) = history();
        let places = |wanted: fn(&Event) -> bool| {
            (0..events.len()).filter(|at| wanted(&events[*at])).collect::<Vec<_>>()
        };
        for at in places(|event| matches!(event, Event::Committed(_))) {
            let mut bad = events.clone();
            let Event::Committed(head) = &mut bad[at] else { unreachable!() };
            head.amount += 1;
            assert_eq!(audit(&bad).unwrap_err().event_sequence, at as u64 + 1);
            let mut bad = events.clone();
            bad.remove(at);
            assert!(audit(&bad).is_err(), "a transaction without its head");
        }
        for at in places(|event| matches!(event, Event::Posted(_))) {
            let mut bad = events.clone();
            let Event::Posted(leg) = &mut bad[at] else { unreachable!() };
            leg.amount += 1;
            assert_eq!(audit(&bad).unwrap_err().event_sequence, at as u64 + 1);
            let mut bad = events.clone();
            bad.remove(at);
            assert!(audit(&bad).is_err(), "a movement is missing");
        }
    }
}
