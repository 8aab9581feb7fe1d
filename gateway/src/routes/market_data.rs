//! Owns what anybody may ask without a token: symbols, depth, latest trades.
//! Knows nothing of accounts.

use axum::extract::State;
use axum::response::Response;

use crate::api::{BookBody, LevelBody, SymbolBody, TradeBody, at_sequence};
use crate::convert;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::limits::{DEPTH_DEFAULT, DEPTH_MAX, RECENT_TRADES_MAX, TRADES_LIMIT_DEFAULT};
use crate::request::PathText;
use crate::state::AppState;
use crate::views::Read;

pub(crate) async fn symbols(
    State(state): State<AppState>,
    query: Fields,
) -> Result<Response, ApiError> {
    query.finish()?;
    let sequence = state.views.sequence();
    let products = state.views.products();
    let value: Vec<_> = products.instruments().iter().map(|i| SymbolBody::new(i)).collect();
    Ok(at_sequence(&Read { sequence, value }))
}

pub(crate) async fn order_book(
    State(state): State<AppState>,
    PathText(symbol): PathText,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let instrument = convert::symbol(&symbol, &state.views.products())?;
    let count = query.count("depth", DEPTH_DEFAULT, 1..=DEPTH_MAX)?;
    query.finish()?;
    let read = state.views.market(|market| market.depth(instrument.spec.instrument, count));
    let (bids, asks) = &read.value;
    let levels = |side: &[_]| side.iter().map(|level| LevelBody::new(level, &instrument)).collect();
    let symbol = instrument.symbol.clone();
    let (seq, bids, asks) = (read.sequence, levels(bids), levels(asks));
    Ok(at_sequence(&Read { sequence: seq, value: BookBody { symbol, seq, bids, asks } }))
}

pub(crate) async fn recent_trades(
    State(state): State<AppState>,
    PathText(symbol): PathText,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let instrument = convert::symbol(&symbol, &state.views.products())?;
    let most = RECENT_TRADES_MAX as u64;
    let count = query.count("limit", TRADES_LIMIT_DEFAULT, 1..=most)?;
    query.finish()?;
    let read = state.views.market(|market| market.trades(instrument.spec.instrument, count));
    let value: Vec<_> = read.value.iter().map(|t| TradeBody::new(t, &instrument)).collect();
    Ok(at_sequence(&Read { sequence: read.sequence, value }))
}
