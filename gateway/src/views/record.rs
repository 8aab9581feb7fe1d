//! Owns what is known of one order, and how the command that placed or refused it is told.
//! Knows nothing of tables and locks. Invariant: the first answer stays what it was.

use std::sync::Arc;

use engine::{
    AccountId, Amount, ClientOrderId, CloseReason, Event, Frame, InstrumentId, NewOrder, OrderId,
    OrderType, Quantity, RejectReason, SelfTradePolicy, Side, TimeInForce,
};

use crate::views::state::{Ended, Fill, OrderState};

/// One order with its first answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    pub id: OrderId,
    pub account: AccountId,
    pub instrument: InstrumentId,
    pub side: Side,
    pub order_type: OrderType,
    pub time_in_force: TimeInForce,
    pub post_only: bool,
    pub self_trade_policy: SelfTradePolicy,
    /// Quote units that a buy at any price may spend; 0 for an order by quantity.
    pub quote_budget: Amount,
    /// Offset of a trailing stop: one of the two, both 0 for any other order.
    pub trail_ticks: i64,
    pub trail_bps: u32,
    /// Most that an iceberg shows, lots; 0 for an order that shows all.
    pub display: Quantity,
    /// When a GTD order ends, nanoseconds since the Unix epoch; 0 for any other order.
    pub expire_at_ns: u64,
    pub client_order_id: ClientOrderId,
    /// Journal time of its command, nanoseconds since the Unix epoch.
    pub created_ns: u64,
    /// Sequence of the command that placed or refused it: its own, or, if its funds were reserved
    /// outside, a later one; 0 while it waits for them.
    pub decided: u64,
    pub state: OrderState,
    /// The state right after that command: what a repeated request is answered with.
    pub first: OrderState,
    /// The fills of that command. Each of them ended this order or another one, so over all
    /// records there are not many more of them than orders. Shared, as records are copied under a
    /// lock.
    pub first_fills: Arc<[Fill]>,
}

impl OrderRecord {
    /// The order that this command made, right after it: accepted, waiting for its funds, or
    /// refused and kept.
    ///
    /// `None` if the command made no order: a repeated key, or an account that does not exist.
    #[must_use]
    pub fn placed<C>(frame: &Frame<C>, order: &NewOrder, events: &[Event]) -> Option<Self> {
        let (id, now_ns) = (OrderId(frame.sequence), frame.timestamp_ns);
        let state = OrderState::new(order, now_ns);
        let mut record = Self {
            id,
            account: order.account,
            instrument: order.instrument,
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            post_only: order.post_only,
            self_trade_policy: order.self_trade_policy,
            quote_budget: order.quote_budget,
            trail_ticks: order.trail_ticks,
            trail_bps: order.trail_bps,
            display: order.display,
            expire_at_ns: order.expire_at_ns,
            client_order_id: order.client_order_id,
            created_ns: now_ns,
            decided: 0,
            state,
            first: state,
            first_fills: Arc::default(),
        };
        let announces = |event: &Event| match event {
            Event::OrderReserving { order_id, .. } => *order_id == id,
            _ => false,
        };
        (record.decide(frame, events) || events.iter().any(announces)).then_some(record)
    }

    /// Applies the command that places, refuses or gives up the order; false if it does neither.
    pub(super) fn decide<C>(&mut self, frame: &Frame<C>, events: &[Event]) -> bool {
        let (id, now_ns) = (self.id, frame.timestamp_ns);
        let mut fills = Vec::new();
        let mut decided = false;
        for event in events {
            match event {
                Event::OrderAccepted(accepted) if accepted.order_id == id => {
                    decided = true;
                    self.state.trigger = accepted.trigger;
                }
                Event::OrderTriggered { order_id, trigger, .. } if *order_id == id => {
                    self.state.start(*trigger, now_ns);
                }
                Event::CommandRejected { reason, .. } if makes_order(*reason) => {
                    decided = true;
                    self.state.end(Ended::Rejected(*reason), now_ns);
                }
                Event::OrderAbandoned { order_id, reason, .. } if *order_id == id => {
                    decided = true;
                    self.state.end(Ended::Rejected(*reason), now_ns);
                }
                // Its own trades may start a stop order that meets what is left of it.
                Event::Trade(trade)
                    if [trade.taker_order_id, trade.maker_order_id].contains(&id) =>
                {
                    self.state.fill(trade, now_ns);
                    fills.push(Fill::of(trade, id));
                }
                Event::SelfTradePrevented {
                    mode: SelfTradePolicy::Decrement,
                    maker_order_id,
                    taker_order_id,
                    taker_quantity: quantity,
                    ..
                } if [*taker_order_id, *maker_order_id].contains(&id) => {
                    self.state.prevent(*quantity, now_ns);
                }
                Event::OrderClosed { order_id, reason, .. } if *order_id == id => {
                    self.state.end(Ended::Closed(*reason), now_ns);
                }
                _ => {}
            }
        }
        if decided {
            self.decided = frame.sequence;
            self.state.updated_ns = now_ns;
            self.first = self.state;
            self.first_fills = fills.into();
        }
        decided
    }

    /// Whether its funds are still being reserved outside.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.decided == 0
    }

    /// Whether it is a stop order whose trigger was not met, or whose turn has not come.
    #[must_use]
    pub fn awaits_trigger(&self) -> bool {
        self.order_type.is_stop() && self.state.triggered_ns == 0
    }

    /// The end of an order that a later command closed, maybe before it was placed.
    pub(super) fn close<C>(&mut self, frame: &Frame<C>, reason: CloseReason) {
        self.state.end(Ended::Closed(reason), frame.timestamp_ns);
        if self.waits() {
            self.decided = frame.sequence;
            self.first = self.state;
        }
    }

    /// The order as its first answer showed it.
    #[must_use]
    pub fn first_answer(mut self) -> Self {
        self.state = self.first;
        self
    }

    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.state.ended {
            Some(Ended::Rejected(_)) => "REJECTED",
            Some(Ended::Closed(CloseReason::Filled)) => "FILLED",
            Some(Ended::Closed(CloseReason::BudgetSpent)) if self.state.filled.0 > 0 => "FILLED",
            Some(Ended::Closed(_)) => "CANCELLED",
            None if self.waits() || self.awaits_trigger() => "PENDING",
            None if self.state.filled.0 == 0 => "OPEN",
            None => "PARTIALLY_FILLED",
        }
    }
}

/// A refused order is kept, unless it was not an order at all: its key belongs to another one,
/// nobody owns it, or it was decided before; or it was not looked at, and then its key may be that
/// of a live order, which it must not hide.
fn makes_order(reason: RejectReason) -> bool {
    !matches!(
        reason,
        RejectReason::IdempotencyConflict
            | RejectReason::UnknownAccount
            | RejectReason::UnknownOrder
            | RejectReason::RecvWindow
    )
}
