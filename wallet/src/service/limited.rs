//! Owns the refusal of requests that come too fast. Knows nothing of how tokens are counted.
//! Invariant: operators, the exchange among them, and probes are never refused here.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::Caller;
use super::error::{ApiError, ErrorCode};
use super::state::ServiceState;
use crate::wire::paths::HEALTH;

/// Ask how the process is.
const PROBES: [&str; 3] = [HEALTH, "/ready", "/metrics"];

pub(super) async fn limited(
    State(state): State<ServiceState>,
    request: Request,
    next: Next,
) -> Response {
    let caller = request.extensions().get::<Caller>();
    if caller.is_some_and(|caller| caller.is_operator) || PROBES.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match state.rates().admit(caller.map(|caller| caller.user)) {
        Ok(()) => next.run(request).await,
        Err(_) => ApiError::new(ErrorCode::RateLimited).into_response(),
    }
}
