//! Owns the listing of the trades of one own order, with how far each is settled.
//! Knows nothing of how trades are settled. Invariant: only the caller's side of a trade is shown,
//! and a page asks the wallet for no longer than one answer may take.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use settlement::SettlementStatus;
use uuid::Uuid;
use wallet::client::{CallContext, Settlement};

use crate::api::{OwnTradeBody, at_sequence};
use crate::auth::Reader;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::ids::Id;
use crate::limits::{OWN_TRADES_LIMIT_DEFAULT, OWN_TRADES_LIMIT_MAX, PROBE_TIMEOUT};
use crate::request::PathText;
use crate::routes::orders::{account_of, find, instrument_of, reach};
use crate::state::AppState;
use crate::views::{OwnTrade, Read};

/// One trade of the caller's order.
#[derive(Debug, Serialize)]
struct OrderTradeBody {
    #[serde(flatten)]
    trade: OwnTradeBody,
    order_id: String,
    side: &'static str,
    settlement_status: &'static str,
    settlement_id: Option<Uuid>,
    settled_at: Option<String>,
}

/// The order's trades, newest first.
pub(crate) async fn list(
    State(state): State<AppState>,
    Reader(caller): Reader,
    PathText(id): PathText,
    mut query: Fields,
) -> Result<Response, ApiError> {
    let limit = query.count("limit", OWN_TRADES_LIMIT_DEFAULT, 1..=OWN_TRADES_LIMIT_MAX)?;
    let min_seq = query.number("min_seq", 0, 0..=u64::MAX)?;
    let before = query.parameter("before").map(|text| {
        let text = Id::parse_trade(&text);
        text.ok_or_else(|| ApiError::field(ErrorCode::ValidationError, "before", "not a trade id"))
    });
    let before = before.transpose()?;
    query.finish()?;
    reach(&state, min_seq).await?;
    let account = account_of(&state, &caller)?;
    let order = find(&state, account, &id)?.value;
    let products = state.views.products();
    let instrument = instrument_of(&products, order.instrument)?;
    let read = state.views.own_trades(order.id, before, limit);
    let mut settlements = Settlements::of(&state);
    let mut value = Vec::with_capacity(read.value.len());
    for trade in &read.value {
        let (status, settlement) = settlements.find(trade).await;
        value.push(OrderTradeBody {
            trade: OwnTradeBody::new(&trade.fill, instrument, trade.executed_ns),
            order_id: id.clone(),
            side: convert::side_word(order.side),
            settlement_status: status.name(),
            settlement_id: settlement.map(|(id, _)| id),
            settled_at: settlement.map(|(_, at_ns)| convert::time(at_ns)),
        });
    }
    Ok(at_sequence(&Read { sequence: read.sequence, value }))
}

/// Finds settlements for one answer.
struct Settlements<'a> {
    state: &'a AppState,
    context: CallContext,
    /// Whether the wallet has answered so far.
    answers: bool,
}

impl<'a> Settlements<'a> {
    fn of(state: &'a AppState) -> Self {
        Self { state, context: CallContext::within(PROBE_TIMEOUT), answers: true }
    }

    /// How far the trade is; id and time of its settlement, unless only the wallet remembers them
    /// and it does not answer.
    async fn find(&mut self, trade: &OwnTrade) -> (SettlementStatus, Option<(Uuid, u64)>) {
        let known = self.state.money.desk.board().trade(trade.fill.trade_id);
        let told = known.settlement_id.zip(known.settled_at_ns);
        if known.status != SettlementStatus::Settled || told.is_some() || !self.answers {
            return (known.status, told);
        }
        let id = Id::trade(trade.fill.trade_id, trade.executed_ns).uuid();
        let asked = self.state.money.client.settlement_of_trade(self.context, id).await;
        self.answers = asked.is_ok();
        let found = asked.ok().flatten();
        let found = found
            .map(|Settlement { settlement_id, settled_at_ns, .. }| (settlement_id, settled_at_ns));
        (known.status, found)
    }
}
