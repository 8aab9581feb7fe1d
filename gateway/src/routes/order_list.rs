//! Owns the listing of the caller's own orders: filter, sorting, page.
//! Knows nothing of how orders change. Invariant: a row shows one state of its order, and that
//! state is one that was asked for.

use axum::extract::State;
use axum::response::Response;
use engine::{AccountId, InstrumentId, OrderId};

use crate::api::{OrderBody, at_sequence};
use crate::auth::Reader;
use crate::convert;
use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::limits::{
    ORDERS_LIMIT_DEFAULT, ORDERS_LIMIT_MAX, ORDERS_OFFSET_MAX, ORDERS_VISITED_MAX,
};
use crate::routes::orders::{instrument_of, reach};
use crate::state::AppState;
use crate::views::{OrderRecord, Orders, Products, Read, Views};

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OrderBy {
    by_update: bool,
    ascending: bool,
}

/// Which orders a list shows.
struct ListQuery {
    instrument: Option<InstrumentId>,
    status: Option<String>,
    limit: usize,
    offset: usize,
    order_by: OrderBy,
    min_seq: u64,
}

impl ListQuery {
    fn read(mut query: Fields, products: &Products) -> Result<Self, ApiError> {
        let instrument = query
            .parameter("symbol")
            .map(|symbol| convert::symbol(&symbol, products))
            .transpose()?
            .map(|instrument| instrument.spec.instrument);
        let status = query.parameter("status");
        let known = ["PENDING", "OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "REJECTED"];
        if status.as_deref().is_some_and(|status| !known.contains(&status)) {
            let text = "unknown status";
            return Err(ApiError::field(ErrorCode::ValidationError, "status", text));
        }
        let order_by = read_order_by(query.parameter("order_by").as_deref())?;
        let limit = query.count("limit", ORDERS_LIMIT_DEFAULT, 1..=ORDERS_LIMIT_MAX)?;
        let offset = query.count("offset", 0, 0..=ORDERS_OFFSET_MAX)?;
        let min_seq = query.number("min_seq", 0, 0..=u64::MAX)?;
        query.finish()?;
        Ok(Self { instrument, status, limit, offset, order_by, min_seq })
    }

    fn wants(&self, record: &OrderRecord) -> bool {
        self.instrument.is_none_or(|id| record.instrument == id)
            && self.status.as_deref().is_none_or(|status| record.status() == status)
    }

    /// Newest first is the order in which the orders come, so it needs no more than one page.
    fn is_newest_first(&self) -> bool {
        !self.order_by.by_update && !self.order_by.ascending
    }
}

fn read_order_by(text: Option<&str>) -> Result<OrderBy, ApiError> {
    let (by_update, ascending) = match text {
        None | Some("created_at" | "created_at:desc" | "created_at_desc") => (false, false),
        Some("created_at:asc" | "created_at_asc") => (false, true),
        Some("updated_at" | "updated_at:desc" | "updated_at_desc") => (true, false),
        Some("updated_at:asc" | "updated_at_asc") => (true, true),
        Some(_) => {
            let text = "order_by must be created_at or updated_at, with :asc or :desc";
            return Err(ApiError::field(ErrorCode::ValidationError, "order_by", text));
        }
    };
    Ok(OrderBy { by_update, ascending })
}

pub(crate) async fn list(
    State(state): State<AppState>,
    Reader(caller): Reader,
    query: Fields,
) -> Result<Response, ApiError> {
    let products = state.views.products();
    let query = ListQuery::read(query, &products)?;
    reach(&state, query.min_seq).await?;
    let Some(account) = state.views.account(caller.user) else {
        let sequence = state.views.sequence();
        return Ok(at_sequence(&Read { sequence, value: Vec::<OrderBody>::new() }));
    };
    let found = query.find(&state.views, account, ORDERS_VISITED_MAX);
    let rows = state.views.orders(|orders| query.rows(orders, &found.value));
    // Each row is as of the copy, the choice of rows as of the first look.
    let body = |record: &OrderRecord| {
        let instrument = instrument_of(&products, record.instrument)?;
        Ok::<_, ApiError>(OrderBody::new(record, instrument, rows.sequence))
    };
    let value = rows.value.iter().map(body).collect::<Result<Vec<_>, _>>()?;
    Ok(at_sequence(&Read { sequence: found.sequence, value }))
}

/// What matched while the orders were looked at: the key to sort by, and the order.
type Found = Vec<(u64, OrderId)>;

impl ListQuery {
    /// Looks at up to `visited_max` of the account's orders, newest first, and gives the sequence
    /// shown at least.
    fn find(&self, views: &Views, account: AccountId, visited_max: usize) -> Read<Found> {
        let enough = self.offset + self.limit;
        let mut found = Vec::new();
        let mut visited = 0;
        let sequence = views.visit_orders(account, |record| {
            if self.wants(record) {
                found.push((record.state.updated_ns, record.id));
            }
            visited += 1;
            let is_complete = self.is_newest_first() && found.len() == enough;
            !is_complete && visited < visited_max
        });
        if self.order_by.by_update {
            found.sort_unstable_by(|a, b| b.cmp(a));
        }
        if self.order_by.ascending {
            found.reverse();
        }
        Read { sequence, value: found }
    }

    /// The page of what was found. Orders may have changed since, and those that are not asked for
    /// any more are left out.
    fn rows(&self, orders: &Orders, found: &Found) -> Vec<OrderRecord> {
        let ids = found.iter().skip(self.offset).map(|(_, id)| *id);
        let records = ids.filter_map(|id| orders.get(id)).filter(|record| self.wants(record));
        records.take(self.limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use engine::{Command, NewOrder, Price, Quantity, Side};

    use super::*;
    use crate::views::tests::Both;

    fn query(status: Option<&str>) -> ListQuery {
        ListQuery {
            instrument: None,
            status: status.map(str::to_owned),
            limit: 50,
            offset: 0,
            order_by: OrderBy { by_update: false, ascending: false },
            min_seq: 0,
        }
    }

    fn order(account: u32, side: Side) -> NewOrder {
        NewOrder::limit(AccountId(account), InstrumentId(1), side, Quantity(1), Price(100))
    }

    #[test]
    fn an_order_that_changes_in_between_is_left_out() {
        let mut both = Both::new();
        both.apply(Command::NewOrder(order(1, Side::Sell)));
        let open = query(Some("OPEN"));
        let found = open.find(&both.feed.0, AccountId(1), 1);
        assert_eq!((found.value.len(), found.sequence), (1, both.sequence));
        let rows = |both: &Both| both.feed.0.orders(|orders| open.rows(orders, &found.value));
        assert_eq!(rows(&both).value.len(), 1);
        both.apply(Command::NewOrder(order(2, Side::Buy)));
        assert_eq!(rows(&both).value, []);
    }

    #[test]
    fn one_list_looks_at_a_bounded_number_of_orders() {
        let mut both = Both::new();
        let first = OrderId(both.sequence + 1);
        for _ in 0..3 {
            both.apply(Command::NewOrder(order(1, Side::Buy)));
        }
        let order_by = OrderBy { by_update: true, ascending: true };
        let oldest_first = ListQuery { order_by, ..query(None) };
        let ids = |visited_max| {
            let found = oldest_first.find(&both.feed.0, AccountId(1), visited_max).value;
            found.iter().map(|(_, id)| id.0).collect::<Vec<_>>()
        };
        assert_eq!(ids(3), [first.0, first.0 + 1, first.0 + 2], "at the bound");
        assert_eq!(ids(2), [first.0 + 1, first.0 + 2], "one past it");
    }

    #[test]
    fn an_order_is_pending_while_it_waits_for_its_funds() {
        let mut both = Both::new();
        both.apply(Command::NewOrder(order(1, Side::Buy)));
        let pending = |both: &Both| {
            let found = query(Some("PENDING")).find(&both.feed.0, AccountId(1), 9).value;
            found.iter().map(|(_, id)| *id).collect::<Vec<_>>()
        };
        assert_eq!(pending(&both), []);
        both.apply(Command::ReserveOrder(order(1, Side::Buy)));
        let order_id = OrderId(both.sequence);
        assert_eq!(pending(&both), [order_id]);
        both.apply(Command::PlaceReserved { order_id });
        assert_eq!(pending(&both), []);
    }
}
