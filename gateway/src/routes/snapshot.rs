//! Owns the request for a snapshot of everything that this process keeps in memory.
//! Knows nothing of how one is taken. Invariant: trading goes on meanwhile, and a request that is
//! not waited for any more is seen through.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pipeline::{SnapshotDesk, SnapshotError, SnapshotTaken};
use serde_json::{Value, json};

use super::admin::hex;
use crate::auth::Operator;
use crate::error::{ApiError, ErrorCode};
use crate::fields::NoQuery;
use crate::state::AppState;

type Outcome = Result<SnapshotTaken, SnapshotError>;

/// Takes one of the exchange, and of the wallet where that is in this process.
pub(crate) async fn take(
    State(state): State<AppState>,
    _: Operator,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    let exchange = state.snapshots.clone().ok_or(ErrorCode::ServiceUnavailable)?;
    let wallet = state.money.teller.as_ref().and_then(|teller| teller.snapshots()).cloned();
    let both = tokio::task::spawn_blocking(move || {
        let taken = ask(&exchange);
        (taken, wallet.as_ref().map(ask))
    });
    let Ok(both) = tokio::time::timeout(state.exchange.timeout(), both).await else {
        let body = json!({"status": "UNDER_WAY"});
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    };
    let (exchange, wallet) = both.map_err(|_| ErrorCode::ServiceUnavailable)?;
    let mut body = json!({"status": "TAKEN", "exchange": shown(exchange)?});
    if let Some(wallet) = wallet {
        body["wallet"] = shown(wallet)?;
    }
    Ok(Json(body).into_response())
}

fn ask(desk: &SnapshotDesk) -> Outcome {
    // Nobody answers who has been stopped.
    desk.ask()?.recv().unwrap_or(Err(SnapshotError::Closed))
}

fn shown(outcome: Outcome) -> Result<Value, ApiError> {
    match outcome {
        Ok(SnapshotTaken { sequence, bytes, state_hash }) => {
            Ok(json!({"sequence": sequence, "bytes": bytes, "state_hash": hex(&state_hash)}))
        }
        Err(SnapshotError::Busy) => Err(ErrorCode::Overloaded.into()),
        Err(SnapshotError::Closed) => Err(ErrorCode::ServiceUnavailable.into()),
        Err(error) if error.is_for_want_of_space() => Err(ErrorCode::NoSpace.into()),
        // The log says why; what is in force stays so.
        Err(SnapshotError::Pipeline(_) | SnapshotError::Panicked) => {
            Err(ErrorCode::SnapshotFailed.into())
        }
    }
}
