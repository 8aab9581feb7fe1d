//! Owns the carrying out of movements in the trading accounts. Knows nothing of what follows.
//! Invariant: the movements of one user are made in the order in which the wallet asked for them,
//! for what a deposit brings may be asked back right after it.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use journal::fail_point;
use uuid::Uuid;
use wallet::client::FundingEvent;
use wallet::ledger::types::FundingDirection;

use super::{Moved, Trading, movement_id};
use crate::limits::FUNDING_WINDOW;
use crate::options::RetryPolicy;

/// One movement, and how trading has answered: the sequence of a command at or behind it, or why
/// it never will be made.
pub(super) type Answered = (FundingEvent, Result<u64, String>);

/// Moves the money of every event; users do not wait for each other.
pub(super) async fn carry_out(
    trading: &dyn Trading,
    page: Vec<FundingEvent>,
    retry: RetryPolicy,
) -> Vec<Answered> {
    let mut by_user = BTreeMap::<Uuid, Vec<FundingEvent>>::new();
    for event in page {
        by_user.entry(event.user_id).or_default().push(event);
    }
    let each = |events: Vec<FundingEvent>| async move {
        let mut answered = Vec::with_capacity(events.len());
        for event in events {
            answered.push((event, carry(trading, &event, retry).await));
        }
        answered
    };
    let all = stream::iter(by_user.into_values()).map(each).buffer_unordered(FUNDING_WINDOW);
    all.concat().await
}

/// Moves the money of one event; asks until there is an answer.
async fn carry(
    trading: &dyn Trading,
    event: &FundingEvent,
    retry: RetryPolicy,
) -> Result<u64, String> {
    let id = movement_id(event);
    let FundingEvent { user_id, asset, amount, .. } = *event;
    let mut attempt = 0;
    loop {
        let [before, made] = match event.direction {
            FundingDirection::Fund => ["credit-before", "credit-made"],
            FundingDirection::Recall => ["debit-before", "debit-made"],
        };
        fail_point::hit(before);
        let moved = match event.direction {
            FundingDirection::Fund => trading.credit(id, user_id, asset, amount).await,
            FundingDirection::Recall => trading.debit(id, user_id, asset, amount).await,
        };
        fail_point::hit(made);
        match moved {
            Moved::Done { sequence } => return Ok(sequence),
            Moved::Refused(reason) => return Err(reason),
            Moved::Unknown(reason) => {
                attempt += 1;
                tracing::warn!(transaction = %event.transaction_id, reason, "trading: no answer");
                tokio::time::sleep(retry.pause(attempt)).await;
            }
        }
    }
}
