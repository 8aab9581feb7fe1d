//! Owns what an operator's tools ask without a token: is it alive, may it get requests, what does
//! it count. Knows nothing of why not.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::{ApiError, ErrorCode};
use crate::fields::NoQuery;
use crate::state::AppState;

/// The process answers.
pub(crate) async fn health(_: NoQuery) -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// The process takes requests. Listeners open when it does, so only a drain makes it say no.
pub(crate) async fn ready(
    State(state): State<AppState>,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    if state.exchange.is_draining() {
        return Err(ErrorCode::ServiceUnavailable.into());
    }
    let body = json!({"status": "ready", "seq": state.views.sequence()});
    Ok(Json(body).into_response())
}

/// What the process counts. Without a token, as scrapers have none: only where operators ask.
pub(crate) async fn metrics(
    State(state): State<AppState>,
    NoQuery: NoQuery,
) -> Result<Response, ApiError> {
    state.metrics.scrape()
}
