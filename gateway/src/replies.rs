//! Owns the way of an outcome from the publisher's thread to the request that waits for it.
//! Knows nothing of bodies. Invariant: an answer is complete when it is sent; whoever has stopped
//! waiting is no concern of the publisher.

use engine::{
    AccountId, Amount, AssetId, CloseReason, Command, Engine, Event, Frame, OrderId, RejectReason,
    TransferKind,
};
use pipeline::{Outcome, Reply};
use tokio::sync::oneshot;

use crate::fair_share::Place;
use crate::views::OrderRecord;

/// What a command came to, as far as any request asks.
#[derive(Debug)]
pub enum Answer {
    /// The order right after its own command, also when it was refused and kept.
    Placed(Box<OrderRecord>),
    /// The order waits for this much to be reserved outside.
    Announced {
        order_id: OrderId,
        asset: AssetId,
        /// Units of the asset.
        amount: Amount,
    },
    /// The key was used before, by an equal request for this order.
    OrderDuplicate {
        order_id: OrderId,
        reason: Option<RejectReason>,
    },
    Rejected(RejectReason),
    /// Orders that a mass cancel closed, ascending.
    Closed(Vec<OrderId>),
    /// How many orders a kill switch or the end of a session closed.
    ClosedCount(u32),
    /// Available balance right after a transfer.
    Transferred {
        available: Amount,
    },
    /// An equal transfer was decided before.
    TransferDuplicate {
        reason: Option<RejectReason>,
    },
    Registered(AccountId),
    StateHash([u8; 32]),
    /// Everything else that was done as asked.
    Done,
}

/// An answer and its place in the journal.
#[derive(Debug)]
pub struct Answered {
    pub sequence: u64,
    pub answer: Answer,
}

/// The publisher's end of a waiting request.
#[derive(Debug)]
pub struct Waiter {
    pub(crate) answer: oneshot::Sender<Answered>,
    /// Counted among what its account has in flight.
    pub(crate) place: Option<Place>,
}

impl Reply<Engine> for Waiter {
    fn complete(self, frame: &Frame<Command>, outcome: Outcome<'_, Event>) {
        let answer = match outcome {
            Outcome::StateHash(hash) => Answer::StateHash(hash),
            Outcome::Events(events) => answer_of(frame, events),
        };
        // Whoever hears of the outcome may count on the place.
        drop(self.place);
        // The request may have timed out or its connection may be gone.
        drop(self.answer.send(Answered { sequence: frame.sequence, answer }));
    }
}

fn answer_of(frame: &Frame<Command>, events: &[Event]) -> Answer {
    match &frame.command {
        Command::NewOrder(order)
        | Command::NewOrderBy { order, .. }
        | Command::ReserveOrder(order) => {
            if let Some(announced) = events.iter().find_map(announced) {
                return announced;
            }
            if let Some(record) = OrderRecord::placed(frame, order, events) {
                return Answer::Placed(Box::new(record));
            }
        }
        // Whatever became of the order is in the views.
        Command::PlaceReserved { .. } | Command::AbandonReserved { .. } => return Answer::Done,
        _ => {}
    }
    // Orders may have expired before the command took effect, so its own event is searched for.
    for event in events {
        match event {
            Event::CommandRejected { reason, .. } => return Answer::Rejected(*reason),
            Event::OrderDuplicate { order_id, reason, .. } => {
                return Answer::OrderDuplicate { order_id: *order_id, reason: *reason };
            }
            // Other movements follow from what happens to orders.
            Event::TransferApplied {
                kind: TransferKind::Credit | TransferKind::Debit,
                available,
                ..
            } => {
                return Answer::Transferred { available: *available };
            }
            Event::TransferDuplicate { reason, .. } => {
                return Answer::TransferDuplicate { reason: *reason };
            }
            Event::AccountRegistered { account, .. } => return Answer::Registered(*account),
            Event::KillSwitchChanged { closed, .. } | Event::SessionEnded { closed, .. } => {
                return Answer::ClosedCount(*closed);
            }
            Event::MassCancelled { .. } => return Answer::Closed(mass_cancelled(events)),
            _ => {}
        }
    }
    Answer::Done
}

fn announced(event: &Event) -> Option<Answer> {
    let Event::OrderReserving { order_id, asset, amount, .. } = *event else { return None };
    Some(Answer::Announced { order_id, asset, amount })
}

fn mass_cancelled(events: &[Event]) -> Vec<OrderId> {
    let closed = |event: &Event| match event {
        Event::OrderClosed { order_id, reason: CloseReason::MassCancel, .. } => Some(*order_id),
        _ => None,
    };
    events.iter().filter_map(closed).collect()
}
