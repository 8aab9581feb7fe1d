//! Owns `/balances`: the money that the caller's orders can use. Knows nothing of orders.
//! Invariant: where orders are paid from the wallet, its books are what is shown.

use axum::extract::State;
use axum::response::Response;
use engine::AssetId;
use engine::balances::Balance;
use engine::fees::signed;

use crate::api::{BalanceBody, DecimalText, at_sequence};
use crate::auth::Reader;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::routes::orders::reach;
use crate::state::AppState;
use crate::views::{Products, Read};

pub(crate) async fn list(
    State(state): State<AppState>,
    Reader(caller): Reader,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let min_seq = query.number("min_seq", 0, 0..=u64::MAX)?;
    query.finish()?;
    reach(&state, min_seq).await?;
    let products = state.views.products();
    if let Some(orders) = state.money.funds.orders() {
        let sequence = state.views.sequence();
        let balances = orders.balances(caller.user).await?;
        return Ok(at_sequence(&Read { sequence, value: rows(&balances, &products) }));
    }
    let Some(account) = state.views.account(caller.user) else {
        let sequence = state.views.sequence();
        return Ok(at_sequence(&Read { sequence, value: Vec::<BalanceBody>::new() }));
    };
    let read = state.views.balances(account);
    let value = rows(&read.value, &products);
    Ok(at_sequence(&Read { sequence: read.sequence, value }))
}

fn rows(balances: &[(AssetId, Balance)], products: &Products) -> Vec<BalanceBody> {
    let body = |(id, balance): &(AssetId, Balance)| {
        let asset = products.asset(*id)?;
        Some(BalanceBody {
            asset: asset.code.to_string(),
            available: DecimalText(asset.amount(signed(balance.available))),
            held: DecimalText(asset.amount(signed(balance.held))),
        })
    };
    balances.iter().filter_map(body).collect()
}
