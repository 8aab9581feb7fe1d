//! Owns the refusal of clients' requests that come too fast. Knows nothing of how tokens are
//! counted. Invariant: operators and probes are never refused here, and a token is verified once.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::auth::{Scope, caller_of};
use crate::error::{ApiError, ErrorCode};
use crate::state::AppState;

/// Ask how the process is.
const PROBES: [&str; 2] = ["/health", "/ready"];

/// A layer of the public listener.
pub(crate) async fn limited(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let rates = &state.bounds.rates;
    if !rates.limit_anything() || PROBES.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let caller = caller_of(request.headers(), &state);
    let is_operator = caller.as_ref().is_some_and(|caller| caller.may(Scope::Admin));
    if !is_operator && rates.admit(caller.as_ref().map(|caller| caller.user)).is_err() {
        return ApiError::new(ErrorCode::RateLimited).into_response();
    }
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}
