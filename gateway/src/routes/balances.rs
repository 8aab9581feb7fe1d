//! Owns `/balances`: the caller's trading money. Knows nothing of orders.

use axum::extract::State;
use axum::response::Response;
use engine::fees::signed;

use crate::api::{BalanceBody, DecimalText, at_sequence};
use crate::auth::Reader;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::routes::orders::reach;
use crate::state::AppState;
use crate::views::Read;

pub(crate) async fn list(
    State(state): State<AppState>,
    Reader(caller): Reader,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let min_seq = query.number("min_seq", 0, 0..=u64::MAX)?;
    query.finish()?;
    reach(&state, min_seq).await?;
    let Some(account) = state.views.account(caller.user) else {
        let sequence = state.views.sequence();
        return Ok(at_sequence(&Read { sequence, value: Vec::<BalanceBody>::new() }));
    };
    let read = state.views.balances(account);
    let products = state.views.products();
    let body = |(id, balance): &(engine::AssetId, engine::balances::Balance)| {
        let asset = products.asset(*id)?;
        Some(BalanceBody {
            asset: asset.code.to_string(),
            available: DecimalText(asset.amount(signed(balance.available))),
            held: DecimalText(asset.amount(signed(balance.held))),
        })
    };
    let value: Vec<_> = read.value.iter().filter_map(body).collect();
    Ok(at_sequence(&Read { sequence: read.sequence, value }))
}
