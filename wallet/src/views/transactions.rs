//! Owns transactions in full, for whoever asks for one. Knows nothing of balances.
//! Invariant: bounded; what trading does cannot push out what people asked for, because each has a
//! ring of its own.

mod saved;

use std::collections::{BTreeMap, VecDeque};

use engine::{Frame, Usage};

use crate::ledger::types::{TransactionId, TransactionKind, TransactionStatus, UserId};
use crate::ledger::{Command, Committed, Outcome, Posted};
use crate::limits::{REQUESTS_KEPT_MAX, TRADING_KEPT_MAX};

/// A transaction as queries see it; amounts in units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionView {
    /// What it has come to so far.
    pub outcome: Outcome,
    pub caller: UserId,
    pub reference: String,
    pub description: String,
    /// Trade, order or transaction that it is for.
    pub subject: u128,
    pub link: TransactionId,
    pub legs: Vec<Posted>,
}

/// What is kept of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    Whole(Box<TransactionView>),
    /// It happened, but too long ago.
    Forgotten,
    Never,
}

/// The latest transactions.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    whole: BTreeMap<TransactionId, TransactionView>,
    requests: VecDeque<TransactionId>,
    trading: VecDeque<TransactionId>,
    last: TransactionId,
}

impl Transactions {
    pub(super) fn get(&self, id: TransactionId) -> Kept {
        match self.whole.get(&id) {
            Some(transaction) => Kept::Whole(Box::new(transaction.clone())),
            None if id > self.last || id == TransactionId(0) => Kept::Never,
            None => Kept::Forgotten,
        }
    }

    pub(super) fn usage(&self) -> [Usage; 2] {
        [
            Usage::new("requests_kept", self.requests.len(), REQUESTS_KEPT_MAX),
            Usage::new("trading_kept", self.trading.len(), TRADING_KEPT_MAX),
        ]
    }

    pub(super) fn begun_ns(&self, id: TransactionId) -> Option<u64> {
        self.whole.get(&id).map(|transaction| transaction.outcome.timestamp_ns)
    }

    pub(super) fn note(&mut self, id: TransactionId, text: &str) {
        if let Some(transaction) = self.whole.get_mut(&id) {
            transaction.description.push_str(text);
        }
    }

    pub(super) fn add(&mut self, frame: &Frame<Command>, head: &Committed, legs: Vec<Posted>) {
        if let Some(pending) = self.whole.get_mut(&head.transaction) {
            // It keeps the time at which it began: its id is made of it.
            let Outcome { sequence, timestamp_ns, .. } = pending.outcome;
            pending.outcome = head.outcome(sequence, timestamp_ns);
            pending.legs = legs;
        } else {
            self.insert(frame, head, legs);
        }
        if head.kind == TransactionKind::Reversal
            && head.status == TransactionStatus::Completed
            && let Some(original) = self.whole.get_mut(&head.link)
        {
            original.outcome.status = TransactionStatus::Reversed;
            original.link = head.transaction;
        }
    }

    fn insert(&mut self, frame: &Frame<Command>, head: &Committed, legs: Vec<Posted>) {
        use TransactionKind::{Release, Reserve, Settlement};
        let view = TransactionView {
            outcome: head.outcome(frame.sequence, frame.timestamp_ns),
            caller: head.caller,
            reference: head.reference.to_text(),
            description: String::new(),
            subject: head.subject,
            link: head.link,
            legs,
        };
        self.last = self.last.max(head.transaction);
        self.whole.insert(head.transaction, view);
        let (ring, bound) = match head.kind {
            Reserve | Release | Settlement => (&mut self.trading, TRADING_KEPT_MAX),
            _ => (&mut self.requests, REQUESTS_KEPT_MAX),
        };
        ring.push_back(head.transaction);
        if ring.len() > bound
            && let Some(oldest) = ring.pop_front()
        {
            self.whole.remove(&oldest);
        }
    }
}
