//! Owns the way of a new order: known key, checks, hold, match, and what becomes of the rest.
//! Knows nothing of the walk itself. Invariant: a refused order changes only the table of keys.

use crate::command::{Command, EngineConfig, NewOrder};
use crate::dedup::{Capacity, ClientKey, ClientOrderKey};
use crate::engine::{Checked, Engine, Events, rejected};
use crate::event::{CloseReason, Event, OrderAccepted, TransferKind};
use crate::matching::Taker;
use crate::order::{Order, OrderMoney};
use crate::reject::RejectReason;
use crate::risk::Admission;
use crate::transfers::{Transfer, command_fingerprint};
use crate::types::{OrderId, OrderType, Price, TimeInForce, TransferId};

impl Engine {
    pub(crate) fn new_order(&mut self, order: &NewOrder, events: &mut Events) {
        // Only a keyed order pays for its fingerprint.
        let keyed = !order.client_order_id.is_empty() || order.credit_id != TransferId(0);
        let command = Command::NewOrder(*order);
        let body = if keyed { command_fingerprint(&command) } else { 0 };
        match self.known_key(order, body) {
            Ok(None) => {}
            Ok(Some(duplicate)) => return events.push(duplicate),
            Err(reason) => return events.push(rejected(&command, reason)),
        }
        match self.admit(order) {
            Ok(admission) => self.accept(order, admission, body, events),
            Err(reason) => {
                self.remember_refusal(order, reason, body);
                events.push(rejected(&command, reason));
            }
        }
    }

    /// Reasons 1 and 3; `Some` event if the same order was answered before.
    fn known_key(&mut self, order: &NewOrder, body: u64) -> Checked<Option<Event>> {
        let account = order.account;
        self.accounts.get(account).ok_or(RejectReason::UnknownAccount)?;
        if !order.client_order_id.is_empty() {
            self.client_ids.expire(self.now_ns, self.config.dedup_window_ns);
            if let Some(entry) = self.client_ids.find(&client_order_key(order)) {
                let (order_id, reason) = (entry.order_id, entry.reason);
                return if entry.fingerprint == body {
                    Ok(Some(Event::OrderDuplicate { account, order_id, reason }))
                } else {
                    Err(RejectReason::IdempotencyConflict)
                };
            }
        }
        if order.credit_id != TransferId(0) {
            self.transfers.expire(self.now_ns, self.config.transfer_window_ns);
            if self.transfers.find(&order.credit_id).is_some() {
                return Err(RejectReason::IdempotencyConflict);
            }
        }
        Ok(None)
    }

    pub(crate) fn client_id_capacity(&self) -> Capacity {
        let EngineConfig { client_id_capacity, client_ids_per_account, .. } = self.config;
        Capacity { table: client_id_capacity, owner: client_ids_per_account }
    }

    fn remember(&mut self, order: &NewOrder, reason: Option<RejectReason>, body: u64) -> ClientKey {
        if order.client_order_id.is_empty() {
            return ClientKey::NONE;
        }
        let (key, order_id) = (client_order_key(order), OrderId(self.last_sequence));
        let capacity = self.client_id_capacity();
        ClientKey(self.client_ids.insert(key, order_id, reason, body, capacity))
    }

    /// A business refusal is the order's outcome for good; a malformed order may be sent again.
    fn remember_refusal(&mut self, order: &NewOrder, reason: RejectReason, body: u64) {
        let final_outcome = !reason.is_malformed() && reason != RejectReason::WindowFull;
        let key = client_order_key(order);
        if final_outcome && self.client_ids.has_room(&key, self.client_id_capacity()) {
            let key = self.remember(order, Some(reason), body);
            if key != ClientKey::NONE {
                self.client_ids.retire(key.0, self.now_ns);
            }
        }
    }

    fn accept(&mut self, order: &NewOrder, admission: Admission, body: u64, events: &mut Events) {
        let client_key = self.remember(order, None, body);
        let instrument = &self.instruments[admission.instrument_slot as usize];
        let hold_slot = instrument.hold_slot(order.side);
        if order.credit_id != TransferId(0) {
            let funding = Transfer {
                id: order.credit_id,
                kind: TransferKind::FundedOrder,
                account: order.account,
                asset: self.assets.at(hold_slot).id,
                amount: order.credit_amount,
                body,
            };
            self.apply_transfer(&funding, events);
        }
        self.assets.at_mut(hold_slot).balance_mut(order.account).hold(admission.hold);
        events.push(Event::OrderAccepted(accepted(order, self.last_sequence, admission)));
        let mut taker = self.taker(order, admission, client_key);
        let ended = self.walk(&mut taker, events);
        self.finish(taker, ended, events);
    }

    fn taker(&self, order: &NewOrder, admission: Admission, client_key: ClientKey) -> Taker {
        let spec = &self.instruments[admission.instrument_slot as usize].spec;
        Taker {
            order: Order {
                id: OrderId(self.last_sequence),
                price: order.price,
                open: order.quantity,
                account: order.account,
                instrument_slot: admission.instrument_slot,
                maker_fee_ppm: spec.maker_fee_ppm,
                taker_fee_ppm: spec.taker_fee_ppm,
                side: order.side,
                order_type: order.order_type,
                time_in_force: order.time_in_force,
                self_trade_policy: order.self_trade_policy,
                post_only: order.post_only,
                ..Order::default()
            },
            money: OrderMoney {
                hold: admission.hold,
                quantity: order.quantity,
                client_key,
                ..OrderMoney::default()
            },
            limit: admission.limit,
            budget_left: order.is_by_budget().then_some(order.quote_budget),
        }
    }

    /// Closes or rests what the walk has left.
    fn finish(&mut self, mut taker: Taker, ended: Option<CloseReason>, events: &mut Events) {
        let reason = ended.or_else(|| self.remainder_reason(&taker));
        match reason {
            Some(reason) => self.close_taker(&mut taker, reason, events),
            None => {
                let handle = self.orders.insert(taker.order);
                *self.orders.money_mut(handle) = taker.money;
                self.order_index.insert(&self.orders, handle);
                self.accounts.add_order(&mut self.orders, handle);
                self.instruments[taker.order.instrument_slot as usize].orders += 1;
                self.rest(handle, events);
            }
        }
    }

    /// Why the rest of an order that ran out of makers ends; `None` if it may rest.
    fn remainder_reason(&self, taker: &Taker) -> Option<CloseReason> {
        let order = &taker.order;
        match (order.order_type, order.time_in_force) {
            (OrderType::Market, _) => {
                let book = &self.instruments[order.instrument_slot as usize].book;
                let empty = book.best(order.side.opposite()).is_none();
                Some(if empty { CloseReason::NoLiquidity } else { CloseReason::PriceCollar })
            }
            (_, TimeInForce::Ioc) => Some(CloseReason::IocRemainder),
            (_, TimeInForce::Fok) => unreachable!("a FOK order was checked to fill"),
            (_, TimeInForce::Gtc | TimeInForce::Gtd | TimeInForce::Day) => None,
        }
    }
}

pub(crate) fn client_order_key(order: &NewOrder) -> ClientOrderKey {
    ClientOrderKey { account: order.account, id: order.client_order_id }
}

fn accepted(order: &NewOrder, sequence: u64, admission: Admission) -> OrderAccepted {
    let is_market = order.order_type == OrderType::Market;
    OrderAccepted {
        order_id: OrderId(sequence),
        account: order.account,
        instrument: order.instrument,
        side: order.side,
        order_type: order.order_type,
        time_in_force: order.time_in_force,
        self_trade_policy: order.self_trade_policy,
        post_only: order.post_only,
        price: order.price,
        trigger: order.trigger,
        cap: if is_market { admission.limit } else { Price(0) },
        quantity: order.quantity,
        display: order.display,
        quote_budget: order.quote_budget,
        expire_at_ns: order.expire_at_ns,
        hold: admission.hold,
        client_order_id: order.client_order_id,
    }
}
