//! Owns the requests by which the exchange reserves, releases and settles, alone and in batches.
//! Knows nothing of what each asks for. Invariant: the requests of a batch enter the ledger in the
//! order of its list, before any is waited for, and none after one that found no room.

use axum::extract::State;

use super::answers::Reply;
use super::caller::OperatorWriter;
use super::error::{ApiError, ErrorCode};
use super::extract::{JsonBody, NoQuery};
use super::state::ServiceState;
use super::trading_requests::TradingRequest;
use crate::bank::{Answer, Answered, HandOverError};
use crate::client::limits::BATCH_MAX;
use crate::ledger::Command;
use crate::wire::{BatchAnswer, BatchBody, BatchResult};

/// What a request was answered, and whether for the second time.
struct Done<T> {
    answer: T,
    again: bool,
    sequence: u64,
}

fn done<R: TradingRequest>(
    state: &ServiceState,
    answered: &Answered,
) -> Result<Done<R::Answer>, ApiError> {
    let sequence = answered.sequence;
    match answered.answer {
        Answer::Transaction { outcome, again } => match outcome.reason {
            None => Ok(Done { answer: R::answer(state, &outcome)?, again, sequence }),
            Some(reason) => {
                let refusal = ApiError::from(reason).for_trading();
                Err(refusal.replayed(again).at(sequence))
            }
        },
        Answer::Rejected(reason) => Err(ApiError::from(reason).for_trading().at(sequence)),
        _ => Err(ErrorCode::InternalError.into()),
    }
}

/// One request.
pub(super) async fn one<R: TradingRequest>(
    State(state): State<ServiceState>,
    _: OperatorWriter,
    _: NoQuery,
    JsonBody(body): JsonBody<R>,
) -> Result<Reply, ApiError> {
    let answered = state.submit_lasting(body.command(&state)?).await?;
    let Done { answer, again, sequence } = done::<R>(&state, &answered)?;
    Ok(Reply::ok(&answer).replayed(again).at(sequence))
}

/// Several requests, each on its own.
pub(super) async fn batch<R: TradingRequest>(
    State(state): State<ServiceState>,
    _: OperatorWriter,
    _: NoQuery,
    JsonBody(body): JsonBody<BatchBody<R>>,
) -> Result<Reply, ApiError> {
    if !(1..=BATCH_MAX).contains(&body.items.len()) {
        return Err(ApiError::invalid("items", format!("a batch has 1 to {BATCH_MAX} items")));
    }
    let deadline = state.deadline();
    let commands = body.items.iter().map(|item| item.command(&state));
    let handed = in_order(commands, |command| state.teller().hand_over(command))?;
    let mut results = Vec::with_capacity(handed.len());
    let (mut all_again, mut last) = (true, 0);
    for item in handed {
        let result = match item {
            Ok(receiver) => {
                let answered = state.answer_lasting(deadline, receiver).await;
                answered.and_then(|answered| done::<R>(&state, &answered))
            }
            Err(error) => Err(error),
        };
        results.push(match result {
            Ok(Done { answer, again, sequence }) => {
                all_again &= again;
                last = last.max(sequence);
                BatchResult::Done(answer)
            }
            Err(error) => {
                all_again &= error.is_replayed();
                let (error, code) = (error.text().to_owned(), error.code().name().to_owned());
                BatchResult::Refused { error, code }
            }
        });
    }
    let sequence = last.max(state.views().sequence());
    Ok(Reply::ok(&BatchAnswer { results }).replayed(all_again).at(sequence))
}

/// Hands commands over in their order. Where one finds no room, those after it do not try: they
/// may build on it. The whole is refused if nothing was handed over by then.
fn in_order<T>(
    commands: impl Iterator<Item = Result<Command, ApiError>>,
    hand_over: impl Fn(Command) -> Result<T, HandOverError>,
) -> Result<Vec<Result<T, ApiError>>, ApiError> {
    let mut handed = Vec::with_capacity(BATCH_MAX);
    let mut full: Option<HandOverError> = None;
    for command in commands {
        handed.push(match (full, command) {
            (_, Err(refusal)) => Err(refusal),
            (Some(error), Ok(_)) => Err(error.into()),
            (None, Ok(command)) => hand_over(command).map_err(|error| {
                full = Some(error);
                error.into()
            }),
        });
    }
    match full {
        Some(error) if handed.iter().all(Result::is_err) => Err(error.into()),
        _ => Ok(handed),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ledger::types::TransactionId;

    /// What becomes of commands of which some are refused, where those from `room` on find none.
    fn codes(commands: &[Result<u64, ErrorCode>], room: u64) -> Result<Vec<u64>, ErrorCode> {
        let asked = Cell::new(0);
        let commands = commands.iter().map(|command| match *command {
            Ok(id) => Ok(Command::Reverse { transaction: TransactionId(id) }),
            Err(code) => Err(code.into()),
        });
        let handed = in_order(commands, |command| {
            asked.set(asked.get() + 1);
            match command {
                Command::Reverse { transaction } if transaction.0 != room => Ok(transaction.0),
                _ => Err(HandOverError::Overloaded),
            }
        });
        let handed = handed.map_err(|error| error.code())?;
        assert_eq!(asked.get(), room.min(3), "none is tried behind the first without room");
        Ok(handed
            .into_iter()
            .map(|item| item.unwrap_or_else(|e| e.code().status().into()))
            .collect())
    }

    #[test]
    fn none_follows_one_without_room() {
        let wrong = Err(ErrorCode::InvalidAmount);
        assert_eq!(codes(&[Ok(1), wrong, Ok(2), Ok(3)], 9), Ok(vec![1, 400, 2, 3]));
        assert_eq!(codes(&[Ok(1), wrong, Ok(2), Ok(3)], 3), Ok(vec![1, 400, 2, 503]));
        assert_eq!(codes(&[Ok(1), wrong, Ok(2), Ok(3)], 2), Ok(vec![1, 400, 503, 503]));
        assert_eq!(codes(&[wrong, Ok(1), Ok(2), Ok(3)], 1), Err(ErrorCode::Overloaded));
    }
}
