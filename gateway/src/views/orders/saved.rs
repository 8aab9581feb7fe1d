//! Owns how the kept orders are saved and restored. Knows nothing of the other models.
//! Invariant: an index is built anew from the orders, but for what they do not say: in which order
//! they ended, and which of them their client order id names.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::codec::append as put;
use engine::limits::{LIVE_ORDERS_MAX, ORDER_INTENTS_MAX};
use engine::{OrderId, RestoreError, SnapshotReader};

use super::Orders;
use crate::views::record::OrderRecord;
use crate::views::saved::ascending;
use crate::views::state::Ended;

/// Of an order without a client order id and without fills; no order is encoded in less.
const ORDER_BYTES_MIN: usize = 237;

impl Orders {
    pub(in crate::views) fn save(&self, out: &mut Vec<u8>) {
        let Self {
            by_id,
            by_account: _,
            by_client_id,
            closed,
            rejected,
            has_announced,
            moments: _,
            sequence,
        } = self;
        put(&(sequence, has_announced), out);
        put(&(by_id.len() as u64), out);
        out.reserve(by_id.len() * ORDER_BYTES_MIN);
        let mut named: Vec<OrderId> = by_client_id.values().copied().collect();
        named.sort_unstable();
        let mut named = named.into_iter().peekable();
        for (id, record) in ascending(by_id) {
            append_record(record, out);
            put(&named.next_if_eq(&id).is_some(), out);
        }
        for history in [closed, rejected] {
            put(&history.ids().collect::<Vec<_>>(), out);
        }
    }

    pub(in crate::views) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        Self::default().filled(from)
    }

    /// A fresh model, with what was saved of one.
    pub(super) fn filled(mut self, from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        (self.sequence, self.has_announced) = from.read("sequence of orders")?;
        let ended = self.closed.bounds().all + self.rejected.bounds().all;
        let most = LIVE_ORDERS_MAX as usize + ORDER_INTENTS_MAX + ended;
        let mut previous = OrderId(0);
        let (mut closed, mut rejected) = (0, 0);
        let count = from.count_of("number of orders", most, ORDER_BYTES_MIN)?;
        self.by_id.reserve(count);
        self.by_client_id.reserve(count);
        for _ in 0..count {
            let record = read_record(from)?;
            let is_next = record.id > previous && record.id.0 <= self.sequence;
            from.check(is_next, "order of orders")?;
            from.check(!record.waits() || record.state.ended.is_none(), "end of an order")?;
            previous = record.id;
            match record.state.ended {
                Some(Ended::Closed(_)) => closed += 1,
                Some(Ended::Rejected(_)) => rejected += 1,
                None => {}
            }
            let named = from.read("whether an order is named")?;
            self.put_back(record, named).ok_or_else(|| from.illegal("name of an order"))?;
        }
        for (is_closed, count) in [(true, closed), (false, rejected)] {
            self.put_history_back(is_closed, count, from)?;
        }
        Ok(self)
    }

    /// `None` if it is said to have a name that it has not, or that is another one's.
    fn put_back(&mut self, record: OrderRecord, named: bool) -> Option<()> {
        let (id, account, is_live) = (record.id, record.account, record.state.ended.is_none());
        self.by_account.entry(account).or_default().insert(id);
        if named {
            let is_new = self.by_client_id.insert((account, record.client_order_id), id).is_none();
            (is_new && !record.client_order_id.is_empty()).then_some(())?;
        }
        let is_placed = is_live && !record.waits();
        self.by_id.insert(id, record);
        if is_placed {
            self.note_moment(id);
        }
        Some(())
    }

    /// Each of the `count` orders that ended one way or the other, once.
    fn put_history_back(
        &mut self,
        is_closed: bool,
        count: usize,
        from: &mut SnapshotReader<'_>,
    ) -> Result<(), RestoreError> {
        let history = if is_closed { &mut self.closed } else { &mut self.rejected };
        let ids: Vec<OrderId> = from.list("ended orders", history.bounds().all)?;
        let different: BTreeSet<_> = ids.iter().collect();
        from.check(ids.len() == count && different.len() == count, "number of ended orders")?;
        for id in ids {
            let record = self.by_id.get(&id).filter(|record| match record.state.ended {
                Some(Ended::Closed(_)) => is_closed,
                Some(Ended::Rejected(_)) => !is_closed,
                None => false,
            });
            let account = record.ok_or_else(|| from.illegal("ended order"))?.account;
            let forgotten = history.push(account, id);
            from.check(forgotten.is_none(), "ended orders of an account")?;
        }
        Ok(())
    }
}

fn append_record(record: &OrderRecord, out: &mut Vec<u8>) {
    let OrderRecord {
        id,
        account,
        instrument,
        side,
        order_type,
        time_in_force,
        post_only,
        self_trade_policy,
        quote_budget,
        trail_ticks,
        trail_bps,
        display,
        expire_at_ns,
        client_order_id,
        created_ns,
        decided,
        state,
        first,
        first_fills,
    } = record;
    put(&(id, account, instrument, side, order_type, time_in_force), out);
    put(&(post_only, self_trade_policy, quote_budget, trail_ticks, trail_bps, display), out);
    put(&(expire_at_ns, client_order_id, created_ns, decided, state, first), out);
    put(first_fills, out);
}

fn read_record(from: &mut SnapshotReader<'_>) -> Result<OrderRecord, RestoreError> {
    let (id, account, instrument, side, order_type, time_in_force) = from.read("order")?;
    let (post_only, self_trade_policy, quote_budget, trail_ticks, trail_bps, display) =
        from.read("terms of an order")?;
    let (expire_at_ns, client_order_id, created_ns, decided, state, first) =
        from.read("state of an order")?;
    // As many as the command made, which only the bytes bound.
    let fills = from.list("fills of an order", usize::MAX)?;
    let first_fills = if fills.is_empty() { Arc::default() } else { fills.into() };
    Ok(OrderRecord {
        id,
        account,
        instrument,
        side,
        order_type,
        time_in_force,
        post_only,
        self_trade_policy,
        quote_budget,
        trail_ticks,
        trail_bps,
        display,
        expire_at_ns,
        client_order_id,
        created_ns,
        decided,
        state,
        first,
        first_fills,
    })
}

#[cfg(test)]
mod tests {
    use engine::{AccountId, Command, Event, Frame, InstrumentId, NewOrder, RejectReason, Side};
    use engine::{Price, Quantity};

    use super::*;

    #[test]
    fn no_order_is_encoded_in_less() {
        let (account, instrument) = (AccountId(1), InstrumentId(1));
        let order = NewOrder::limit(account, instrument, Side::Buy, Quantity(1), Price(1));
        let frame = Frame { sequence: 1, timestamp_ns: 1, command: Command::NewOrder(order) };
        let (reason, target) = (RejectReason::BookFull, OrderId(0));
        let refused = Event::CommandRejected { reason, account, instrument, target };
        let mut record = OrderRecord::placed(&frame, &order, &[refused]).unwrap();
        (record.state.ended, record.first.ended) = (None, None);
        let mut bytes = Vec::new();
        append_record(&record, &mut bytes);
        put(&false, &mut bytes);
        assert_eq!(bytes.len(), ORDER_BYTES_MIN);
        bytes.splice(0..0, 1u64.to_le_bytes());
        let count = |bytes: &[u8]| {
            SnapshotReader::new(bytes).count_of("number of orders", 9, ORDER_BYTES_MIN)
        };
        assert_eq!(count(&bytes), Ok(1), "at the bound");
        assert!(count(&bytes[..bytes.len() - 1]).is_err(), "one byte short of it");
    }
}
