//! Owns which path leads where. Knows nothing of sockets.
//! Invariant: the public router has no admin path, and whatever no path matches is refused with the
//! same body as everything else.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use wallet::traffic::Traffic;

use crate::error::{ApiError, ErrorCode};
use crate::rate_limit::limited;
use crate::request;
use crate::routes::{
    admin, balances, credits, health, market_data, order_changes, order_list, order_trades, orders,
    settlements, snapshot, switches, trading_limits,
};
use crate::state::AppState;

/// What clients reach.
pub fn public(state: AppState) -> Router {
    let api = Router::new()
        .route(
            "/orders",
            get(order_list::list).post(orders::place).delete(order_changes::cancel_all),
        )
        .route(
            "/orders/{id}",
            get(orders::get).patch(order_changes::amend).delete(order_changes::cancel),
        )
        .route("/orders/{id}/trades", get(order_trades::list))
        .route("/orders/by-client-id/{client_order_id}", get(orders::get_by_client_id))
        .route("/orderbook/{symbol}", get(market_data::order_book))
        .route("/trades/{symbol}/recent", get(market_data::recent_trades))
        .route("/symbols", get(market_data::symbols))
        .route("/balances", get(balances::list));
    let traffic = Arc::clone(&state.metrics.public);
    let router = Router::new().nest("/api/v1", api);
    finish(router, state, traffic, true)
}

/// What operators reach, on a listener of its own.
pub fn operators(state: AppState) -> Router {
    let api = Router::new()
        .route("/credits", post(credits::credit))
        .route("/state-hash", get(admin::state_hash))
        .route("/snapshot", post(snapshot::take))
        .route("/limits", get(trading_limits::list).post(trading_limits::change))
        .route("/kill-switches", get(switches::list))
        .route("/kill-switch", put(switches::venue))
        .route("/symbols/{symbol}/kill-switch", put(switches::symbol))
        .route("/symbols/{symbol}/end-session", post(switches::end_session))
        .route("/symbols/{symbol}/status", post(admin::symbol_status))
        .route("/accounts", post(admin::open_account))
        .route("/accounts/{user}/status", post(admin::account_status))
        .route("/accounts/{user}/kill-switch", put(switches::account))
        .route("/settlements", get(settlements::status))
        .route("/settlements/trades/{trade_id}", get(settlements::trade))
        .route("/settlements/dlq", get(settlements::dead_letters))
        .route("/settlements/dlq/requeue", post(settlements::requeue_class))
        .route("/settlements/dlq/{trade_id}/requeue", post(settlements::requeue))
        .route("/settlements/dlq/{trade_id}", delete(settlements::discard))
        .route("/reconciliation", get(settlements::reconciliation))
        .route("/reconciliation/run", post(settlements::reconcile));
    let router = Router::new().nest("/api/v1/admin", api).route("/metrics", get(health::metrics));
    let traffic = Arc::clone(&state.metrics.admin);
    finish(router, state, traffic, false)
}

fn finish(
    router: Router<AppState>,
    state: AppState,
    traffic: Arc<Traffic>,
    is_limited: bool,
) -> Router {
    let router = router
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .fallback(|| async { ApiError::new(ErrorCode::NotFound) })
        .method_not_allowed_fallback(|| async { ApiError::new(ErrorCode::MethodNotAllowed) });
    let router = match is_limited {
        true => router.layer(from_fn_with_state(state.clone(), limited)),
        false => router,
    };
    router
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(from_fn_with_state((state.clone(), traffic), request::envelope))
        .with_state(state)
}
