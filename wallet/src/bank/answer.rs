//! Owns what a command came to, as its sender is told.
//! Knows nothing of the way there. Invariant: one answer for each command, made of its events.

use engine::{Amount, Frame};
use pipeline::Reply;
use tokio::sync::oneshot;

use crate::ledger::types::WalletId;
use crate::ledger::{Command, Event, Ledger, Outcome, RejectReason, ReservationState};

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A transaction was recorded (also one that failed), now or, if `again`, before.
    Transaction {
        outcome: Outcome,
        again: bool,
    },
    /// Nothing was changed.
    Rejected(RejectReason),
    Wallet {
        wallet: WalletId,
        opened: bool,
    },
    WouldCommit {
        wallet: WalletId,
        new_balance: Amount,
    },
    StateHash([u8; 32]),
    /// Everything else that was done as asked.
    Done,
}

/// An answer and its place in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub sequence: u64,
    pub answer: Answer,
    /// The reservation that the command made or ended, as it is now.
    pub reservation: Option<ReservationState>,
}

/// The publisher's end of a waiting request.
#[derive(Debug)]
pub struct Waiter(pub(super) oneshot::Sender<Answered>);

impl Reply<Ledger> for Waiter {
    fn complete(self, frame: &Frame<Command>, outcome: pipeline::Outcome<'_, Event>) {
        let (mut answer, mut reservation) = (Answer::Done, None);
        match outcome {
            pipeline::Outcome::StateHash(hash) => answer = Answer::StateHash(hash),
            pipeline::Outcome::Events(events) => {
                for event in events {
                    match *event {
                        Event::ReservationChanged(state) => reservation = Some(state),
                        _ => answer = answer_of(frame, event).unwrap_or(answer),
                    }
                }
            }
        }
        // The request may have timed out or its connection may be gone.
        let _ = self.0.send(Answered { sequence: frame.sequence, answer, reservation });
    }
}

/// What one event says of its command's outcome.
fn answer_of(frame: &Frame<Command>, event: &Event) -> Option<Answer> {
    Some(match *event {
        Event::Committed(head) => {
            let outcome = head.outcome(frame.sequence, frame.timestamp_ns);
            Answer::Transaction { outcome, again: false }
        }
        Event::Repeated(outcome) => Answer::Transaction { outcome, again: true },
        Event::CommandRejected { reason } => Answer::Rejected(reason),
        // Settlements open wallets, too, on their way to something else.
        Event::WalletOpened { wallet, .. } => Answer::Wallet { wallet, opened: true },
        Event::WalletExists { wallet } => Answer::Wallet { wallet, opened: false },
        Event::WouldCommit { wallet, new_balance } => Answer::WouldCommit { wallet, new_balance },
        _ => return None,
    })
}
