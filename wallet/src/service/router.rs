//! Owns the router: the list of operations with the layers around it. Knows nothing of sockets.
//! Invariant: whatever no path matches is refused with the same body as everything else.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::envelope::{envelope, panicked};
use super::error::{ApiError, ErrorCode};
use super::limited::limited;
use super::routes::{DOCUMENT, all};
use super::state::ServiceState;

/// Where people read the document.
const PAGE: &str = "/q/swagger-ui";

/// Everything that the service answers. Whoever serves it puts a [`super::Caller`] into the
/// extensions of each request that has a valid token; a request without one is refused with 401,
/// but for the probes and the document.
pub fn router(state: ServiceState) -> Router {
    router_with(state, Router::new())
}

/// The same with paths of the server's own, within the same layers.
pub fn router_with(state: ServiceState, mut router: Router<ServiceState>) -> Router {
    for route in all(state.options()) {
        router = router.route(&route.path, route.handler);
    }
    // A page to read the document in, with nothing from elsewhere.
    let page = SwaggerUi::new(PAGE).config(Config::from(DOCUMENT));
    finished(router.merge(page), state)
}

/// Puts the layers around all paths.
pub(super) fn finished(router: Router<ServiceState>, state: ServiceState) -> Router {
    router
        .fallback(|| async { ApiError::new(ErrorCode::NotFound) })
        .method_not_allowed_fallback(|| async { ApiError::new(ErrorCode::MethodNotAllowed) })
        .layer(DefaultBodyLimit::max(state.options().body_bytes))
        .layer(from_fn_with_state(state.clone(), limited))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), envelope))
        .with_state(state)
}
