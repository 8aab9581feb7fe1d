//! Owns what a wallet has and had. Knows nothing of what changed it.
//! Invariant: an answer says which sequence or moment it shows; what is not kept any more is said
//! to be so, and never answered with something else.

use axum::extract::State;

use super::answers::{PastBalanceAnswer, Reply, WalletBalanceAnswer, text, time};
use super::bodies::{MinSeqQuery, PastQuery};
use super::caller::Reader;
use super::error::{ApiError, ErrorCode};
use super::extract::{PathId, QueryOf};
use super::fields;
use super::state::ServiceState;
use crate::views::{Moment, Past, Read, Until};

pub(super) async fn balance(
    State(state): State<ServiceState>,
    Reader(caller): Reader,
    PathId(id): PathId,
    QueryOf(query): QueryOf<MinSeqQuery>,
) -> Result<Reply, ApiError> {
    let Read { sequence, value: wallet } = state.wallet_at(&caller, id, query.min_seq).await?;
    let asset = state.asset_of(&wallet)?;
    let answer = WalletBalanceAnswer {
        wallet_id: wallet.uuid(),
        currency: asset.code.as_str().to_owned(),
        balance: text(wallet.total(), asset.scale),
        available: text(wallet.available, asset.scale),
        reserved: text(wallet.reserved, asset.scale),
        seq: sequence,
    };
    Ok(Reply::ok(&answer).at(sequence))
}

/// What the wallet had at a moment, what happened at that very moment included.
pub(super) async fn past_balance(
    State(state): State<ServiceState>,
    Reader(caller): Reader,
    PathId(id): PathId,
    QueryOf(query): QueryOf<PastQuery>,
) -> Result<Reply, ApiError> {
    let until = until(&state, &query)?;
    let wallet = state.wallet(&caller, id)?;
    let asset = state.asset_of(&wallet)?;
    let read = state.report(move |state| Ok(state.views().past(wallet.id, until))).await?;
    let moment = kept(read.value.ok_or(ErrorCode::InternalError)?)?;
    let (available, reserved) = moment.map_or((0, 0), |moment| (moment.available, moment.reserved));
    let (timestamp, as_of_seq) = match until {
        Until::Time(ns) => (Some(time(ns)), None),
        Until::Sequence(sequence) => (None, Some(sequence)),
    };
    let answer = PastBalanceAnswer {
        wallet_id: wallet.uuid(),
        currency: asset.code.as_str().to_owned(),
        balance: text(available.saturating_add(reserved), asset.scale),
        available: text(available, asset.scale),
        reserved: text(reserved, asset.scale),
        timestamp,
        as_of_seq,
        since: moment.map(|moment| time(moment.timestamp_ns)),
        since_seq: moment.map(|moment| moment.sequence),
    };
    Ok(Reply::ok(&answer).at(read.sequence))
}

/// The moment that was found; `None` before the first one.
fn kept(past: Past) -> Result<Option<Moment>, ErrorCode> {
    match past {
        Past::At(moment) => Ok(Some(moment)),
        Past::Before => Ok(None),
        Past::Forgotten => Err(ErrorCode::NotKept),
    }
}

/// The moment that a query asks about, which must have passed: later it could look different.
fn until(state: &ServiceState, query: &PastQuery) -> Result<Until, ApiError> {
    match (query.timestamp.as_deref(), query.as_of_seq) {
        (Some(timestamp), None) => {
            let at = fields::moment(timestamp)?;
            if at > state.wall_ns() {
                return Err(ApiError::invalid("timestamp", "timestamp lies in the future"));
            }
            Ok(Until::Time(at))
        }
        (None, Some(sequence)) => {
            if sequence > state.views().sequence() {
                return Err(ApiError::invalid("asOfSeq", "asOfSeq lies in the future"));
            }
            Ok(Until::Sequence(sequence))
        }
        _ => Err(ApiError::invalid("timestamp", "one of timestamp and asOfSeq is required")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::types::TransactionId;

    #[test]
    fn what_is_not_kept_is_not_nothing() {
        let transaction = TransactionId(1);
        let moment =
            Moment { sequence: 1, timestamp_ns: 1, available: 1, reserved: 0, transaction };
        assert_eq!(kept(Past::At(moment)), Ok(Some(moment)));
        assert_eq!(kept(Past::Before), Ok(None));
        assert_eq!(kept(Past::Forgotten), Err(ErrorCode::NotKept));
        assert_eq!(ErrorCode::NotKept.status(), 410);
    }
}
