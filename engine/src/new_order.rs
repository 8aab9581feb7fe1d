//! Owns the way of a new order: known key, checks, hold, match, and what becomes of the rest.
//! Knows nothing of the walk itself, nor of what an announced order waits for. Invariant: a refused
//! order changes only the table of keys.

use crate::command::{Command, EngineConfig, NewOrder};
use crate::dedup::{ClientKey, Key};
use crate::dedup_table::Capacity;
use crate::engine::{Checked, Engine, Events};
use crate::event::{CloseReason, Event, OrderAccepted, TransferKind};
use crate::fingerprint;
use crate::matching::Taker;
use crate::order::Order;
use crate::order_details::OrderDetails;
use crate::reject::RejectReason;
use crate::risk::{Admission, Funds};
use crate::transfers::Transfer;
use crate::types::{OrderId, Price, Quantity, TransferId};

/// What an order that is let in goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) id: OrderId,
    pub(crate) client_key: ClientKey,
    /// Its funds were reserved outside.
    pub(crate) funded: bool,
}

/// What an order is known by if it is sent again: its client order id, if it has one, and its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) key: Option<Key<'a>>,
    pub(crate) body: u64,
}

impl Engine {
    /// Applies a command that an order enters by: at once, announced, or with the reserved funds of
    /// its intent, which ends whatever becomes of the order.
    pub(crate) fn enter(&mut self, command: &Command, events: &mut Events) -> Checked<()> {
        let intent;
        let (order, funds) = match command {
            Command::NewOrder(order) => (order, Funds::Own),
            // Before its key is looked at: who repeats an order too late learns nothing of it.
            Command::NewOrderBy { latest_ns, .. } if self.now_ns > *latest_ns => {
                return Err(RejectReason::RecvWindow);
            }
            Command::NewOrderBy { order, .. } => (order, Funds::Own),
            Command::ReserveOrder(order) => (order, Funds::Announced),
            Command::PlaceReserved { order_id } => {
                intent = self.intents.end(*order_id).ok_or(RejectReason::UnknownOrder)?;
                (&intent.order, Funds::Reserved(&intent))
            }
            _ => unreachable!("dispatched by kind"),
        };
        self.new_order(order, funds, events);
        Ok(())
    }

    /// Lets an order in or says why not: one to place, one to announce, or one that was announced.
    ///
    /// The fingerprint does not tell an order that is announced from one that is placed at once: a
    /// request that is repeated after the venue changed its way of funding is the same request.
    fn new_order(&mut self, order: &NewOrder, funds: Funds<'_>, events: &mut Events) {
        let request = self.request(order);
        // An announced order has shown its key already.
        if !matches!(funds, Funds::Reserved(_)) {
            match self.known_key(order, &request) {
                Ok(None) => {}
                Ok(Some(duplicate)) => return events.push(duplicate),
                Err(reason) => return events.push(refused(order, reason)),
            }
        }
        let admission = match self.admit(order, funds) {
            Ok(admission) => admission,
            Err(reason) => return self.refuse(order, funds, reason, &request, events),
        };
        let entry = match funds {
            Funds::Own => self.bring_own_funds(order, admission, &request, events),
            Funds::Announced => return self.announce(order, admission, &request, events),
            Funds::Reserved(intent) => self.bring_reserved_funds(intent, events),
        };
        self.place(order, admission, entry, events);
    }

    fn request<'a>(&self, order: &'a NewOrder) -> Request<'a> {
        let id = &order.client_order_id;
        let key = (!id.is_empty()).then(|| self.client_ids.key(order.account.0, id));
        // Only an order that is remembered pays for its fingerprint.
        let is_remembered = key.is_some() || order.credit_id != TransferId(0);
        let body = if is_remembered { fingerprint::of_order(order) } else { 0 };
        Request { key, body }
    }

    /// Reasons 1 and 3; `Some` event if the same order was answered before.
    fn known_key(&mut self, order: &NewOrder, request: &Request<'_>) -> Checked<Option<Event>> {
        let account = order.account;
        self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        if let Some(key) = &request.key {
            self.client_ids.expire(self.now_ns, self.config.dedup_window_ns);
            if let Some(entry) = self.client_ids.find(key) {
                let (order_id, reason) = (entry.order_id, entry.reason);
                return if entry.fingerprint == request.body {
                    Ok(Some(Event::OrderDuplicate { account, order_id, reason }))
                } else {
                    Err(RejectReason::IdempotencyConflict)
                };
            }
        }
        if order.credit_id != TransferId(0) {
            self.transfers.expire(self.now_ns, self.config.transfer_window_ns);
            if self.known_transfer(order.credit_id).is_some() {
                return Err(RejectReason::IdempotencyConflict);
            }
        }
        Ok(None)
    }

    pub(crate) fn client_id_capacity(&self) -> Capacity {
        let EngineConfig { client_id_capacity, client_ids_per_account, .. } = self.config;
        Capacity { table: client_id_capacity, owner: client_ids_per_account }
    }

    /// Remembers the client order id of this command's order, if it has one.
    pub(crate) fn remember(
        &mut self,
        request: &Request<'_>,
        reason: Option<RejectReason>,
    ) -> ClientKey {
        let Some(key) = &request.key else { return ClientKey::NONE };
        let (order_id, capacity) = (OrderId(self.last_sequence), self.client_id_capacity());
        ClientKey(self.client_ids.insert(key, order_id, reason, request.body, capacity))
    }

    fn refuse(
        &mut self,
        order: &NewOrder,
        funds: Funds<'_>,
        reason: RejectReason,
        request: &Request<'_>,
        events: &mut Events,
    ) {
        if let Funds::Reserved(intent) = funds {
            return self.refuse_reserved(intent, reason, events);
        }
        self.remember_refusal(order, reason, request);
        events.push(refused(order, reason));
    }

    /// A business refusal is the order's outcome for good; a malformed order may be sent again.
    fn remember_refusal(&mut self, order: &NewOrder, reason: RejectReason, request: &Request<'_>) {
        let final_outcome = !reason.is_malformed() && reason != RejectReason::WindowFull;
        let (owner, capacity) = (order.account.0, self.client_id_capacity());
        if final_outcome && self.client_ids.has_room(owner, capacity) {
            let key = self.remember(request, Some(reason));
            if key != ClientKey::NONE {
                self.client_ids.retire(key.0, self.now_ns);
            }
        }
    }

    /// Remembers an order that is let in, and credits what it brings.
    fn bring_own_funds(
        &mut self,
        order: &NewOrder,
        admission: Admission,
        request: &Request<'_>,
        events: &mut Events,
    ) -> Entry {
        let client_key = self.remember(request, None);
        if order.credit_id != TransferId(0) {
            let instrument = &self.instruments[usize::from(admission.instrument_slot)];
            let funding = Transfer {
                id: order.credit_id,
                kind: TransferKind::FundedOrder,
                account: order.account,
                asset: self.assets.at(instrument.hold_slot(order.side)).id,
                amount: order.credit_amount,
            };
            self.remember_transfer(funding.id, None, request.body);
            self.move_money(&funding, events);
        }
        Entry { id: OrderId(self.last_sequence), client_key, funded: false }
    }

    /// Holds for an order that was let in, and lets it trade, or wait for its trigger.
    fn place(&mut self, order: &NewOrder, admission: Admission, entry: Entry, events: &mut Events) {
        let instrument = &self.instruments[usize::from(admission.instrument_slot)];
        let hold_slot = instrument.hold_slot(order.side);
        self.assets.at_mut(hold_slot).balance_mut(order.account).hold(admission.hold);
        events.push(Event::OrderAccepted(accepted(order, entry.id, admission)));
        let mut taker = taker(order, admission, entry);
        if order.has_details() {
            let details = self.details(order, admission);
            taker.order.details = self.orders.details_table().add(details);
        }
        if order.order_type.is_stop() {
            let handle = self.enlist(&taker);
            return self.await_trigger(handle);
        }
        let ended = self.walk(&mut taker, events);
        self.finish(&taker, ended, events);
    }

    /// Closes or rests what the walk has left, and elects what its trades meet.
    fn finish(&mut self, taker: &Taker, ended: Option<CloseReason>, events: &mut Events) {
        let reason = ended.or_else(|| self.remainder_reason(taker));
        match reason {
            Some(reason) => self.close_taker(taker, reason, events),
            None => {
                let handle = self.enlist(taker);
                self.rest(handle, events);
            }
        }
        self.elect(taker);
    }

    #[cold]
    fn details(&self, order: &NewOrder, admission: Admission) -> OrderDetails {
        let instrument = &self.instruments[usize::from(admission.instrument_slot)];
        let is_stop = order.order_type.is_stop();
        OrderDetails {
            display: order.display,
            expire_at_ns: order.expire_at_ns,
            trigger: admission.trigger,
            limit: if is_stop { admission.limit } else { Price(0) },
            trail_ticks: order.trail_ticks,
            trail_bps: order.trail_bps,
            trail_reference: if order.is_trailing() { instrument.last_price } else { Price(0) },
            entry_sequence: if is_stop { self.last_sequence } else { 0 },
            quote_budget: if is_stop { order.quote_budget } else { 0 },
            ..OrderDetails::default()
        }
    }
}

impl NewOrder {
    /// Whether it has what few orders have.
    pub(crate) fn has_details(&self) -> bool {
        self.order_type.is_stop() || self.display > Quantity(0) || self.expire_at_ns > 0
    }
}

fn refused(order: &NewOrder, reason: RejectReason) -> Event {
    let NewOrder { account, instrument, .. } = *order;
    Event::CommandRejected { reason, account, instrument, target: OrderId(0) }
}

fn taker(order: &NewOrder, admission: Admission, entry: Entry) -> Taker {
    let mut terms = Order {
        price: order.price,
        quantity: order.quantity,
        maker_fee_ppm: admission.maker_fee_ppm,
        taker_fee_ppm: admission.taker_fee_ppm,
        client_key: entry.client_key,
        instrument_slot: admission.instrument_slot,
        side: order.side,
        order_type: order.order_type,
        time_in_force: order.time_in_force,
        self_trade_policy: order.self_trade_policy,
        post_only: order.post_only,
        funded: entry.funded,
        ..Order::default()
    };
    terms.set_hold(admission.hold);
    Taker {
        id: entry.id,
        account: order.account,
        open: order.quantity,
        order: terms,
        limit: admission.limit,
        budget_left: order.is_by_budget().then_some(order.quote_budget),
        steps: 0,
        traded: None,
    }
}

fn accepted(order: &NewOrder, order_id: OrderId, admission: Admission) -> OrderAccepted {
    let has_price = order.order_type.has_price();
    OrderAccepted {
        order_id,
        account: order.account,
        instrument: order.instrument,
        side: order.side,
        order_type: order.order_type,
        time_in_force: order.time_in_force,
        self_trade_policy: order.self_trade_policy,
        post_only: order.post_only,
        price: order.price,
        trigger: admission.trigger,
        cap: if has_price { Price(0) } else { admission.limit },
        quantity: order.quantity,
        display: order.display,
        quote_budget: order.quote_budget,
        expire_at_ns: order.expire_at_ns,
        hold: admission.hold,
        client_order_id: order.client_order_id,
    }
}

#[cfg(test)]
mod tests;
