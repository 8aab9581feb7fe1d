//! Owns the check that the whole state is sound. Walks everything: for tests and tools, not for the
//! hot path, where the parts assert what they can see.

use std::collections::BTreeMap;

use crate::dedup::ClientKey;
use crate::engine::{Engine, Instrument};
use crate::fill::required_hold;
use crate::limits::ORDER_INTENTS_MAX;
use crate::order::OrderHandle;
use crate::order_details::OrderState;
use crate::types::{AccountId, Amount, Quantity, Side};

impl Engine {
    /// Checks every invariant of books, orders and money.
    ///
    /// # Panics
    /// On the first one that is broken, naming it.
    pub fn assert_invariants(&self) {
        let mut held: BTreeMap<(usize, AccountId), Amount> = BTreeMap::new();
        let (mut live, mut detailed, mut expiring) = (0, 0, 0);
        for (slot, instrument) in (0u16..).zip(&self.instruments) {
            assert!(instrument.book.is_consistent(&self.orders), "book of slot {slot}");
            let handles = self.handles(instrument);
            assert_eq!(handles.len(), instrument.orders as usize, "orders of slot {slot}");
            live += instrument.orders;
            let mut icebergs = 0;
            for handle in handles {
                self.assert_order(handle, slot);
                let order = self.orders.get(handle);
                let key = (instrument.hold_slot(order.side), self.orders.queued(handle).account);
                *held.entry(key).or_default() += order.hold();
                if let Some(details) = self.orders.details(handle) {
                    detailed += 1;
                    expiring += usize::from(details.expire_at_ns > 0);
                    icebergs += u32::from(details.display > Quantity(0));
                }
            }
            assert_eq!(icebergs, instrument.icebergs, "icebergs of slot {slot}");
            let listed = self.with_triggered.binary_search(&instrument.spec.instrument).is_ok();
            assert_eq!(listed, instrument.stops.has_triggered(), "queue of slot {slot}");
        }
        assert_eq!(live, self.orders.len(), "every live order is in one place");
        assert_eq!(detailed, self.orders.details_in_use(), "details end with their order");
        assert_eq!(expiring, self.expiries.live(), "moments end with their order");
        self.assert_balances(&held);
        self.assert_account_lists();
        self.assert_intents();
        let funded = self.orders.handles().filter(|handle| self.orders.get(*handle).funded);
        assert_eq!(funded.count(), self.funded.len(), "only live orders have funds");
    }

    /// All live orders of an instrument, each where its state says.
    fn handles(&self, instrument: &Instrument) -> Vec<OrderHandle> {
        let is = |state| move |handle: OrderHandle| self.orders.state(handle) == state;
        let mut resting = Side::ALL.iter().flat_map(|s| instrument.book.resting(&self.orders, *s));
        assert!(resting.all(is(OrderState::Resting)), "a book holds resting orders only");
        let (id, stops) = (instrument.spec.instrument, &instrument.stops);
        assert!(stops.dormant(&self.orders).all(is(OrderState::Dormant)), "dormant orders");
        assert!(stops.triggered(&self.orders).all(is(OrderState::Triggered)), "elected orders");
        let consistent = stops.is_consistent(&self.orders, instrument.last_price);
        assert!(consistent, "dormant orders of instrument {id}");
        instrument.live_orders(&self.orders).collect()
    }

    fn assert_order(&self, handle: OrderHandle, slot: u16) {
        let (id, order) = (self.orders.queued(handle).id, self.orders.get(handle));
        let open = self.orders.open(handle);
        assert_eq!(self.order_index.get(&self.orders, id), Some(handle), "index of {id}");
        assert_eq!(order.instrument_slot, slot, "book of {id}");
        // The rest is what self-trade prevention took.
        assert!(order.filled.0 + open.0 <= order.quantity.0, "sum of {id}");
        let spec = &self.instruments[usize::from(slot)].spec;
        let details = self.orders.details(handle);
        let waits = details.filter(|details| details.state != OrderState::Resting);
        let limit = waits.map_or(order.price, |details| details.limit);
        let needed = match waits.filter(|details| details.quote_budget > 0) {
            Some(details) => details.quote_budget,
            None => required_hold(spec, order, open, limit),
        };
        match self.funded.get(&id) {
            None => assert_eq!(order.hold(), needed, "hold of {id}"),
            Some(given) => {
                let fits = needed <= order.hold() && order.hold() <= *given;
                assert!(fits, "{id} holds {} of {given}", order.hold());
            }
        }
        assert_eq!(order.funded, self.funded.contains_key(&id), "funds of {id}");
    }

    fn assert_intents(&self) {
        assert!(self.intents.len() <= ORDER_INTENTS_MAX);
        for intent in self.intents() {
            let id = intent.id;
            assert!(self.order_index.get(&self.orders, id).is_none(), "{id} is placed already");
            assert!(intent.amount > 0 && id.0 <= self.last_sequence, "intent {id}");
            assert_eq!(
                intent.client_key == ClientKey::NONE,
                intent.order.client_order_id.is_empty()
            );
            if intent.client_key != ClientKey::NONE {
                let entry = self.client_ids.entry(intent.client_key.0);
                assert_eq!((entry.order_id, entry.reason), (id, None), "key of intent {id}");
            }
        }
    }

    fn assert_balances(&self, held: &BTreeMap<(usize, AccountId), Amount>) {
        for (slot, asset) in self.assets.iter().enumerate() {
            assert!(asset.is_conserved(), "{} is not conserved", asset.code);
            for (account, _) in self.accounts.iter() {
                let expected = held.get(&(slot, account)).copied().unwrap_or_default();
                assert_eq!(asset.balance(account).held, expected, "{} of {account}", asset.code);
            }
        }
    }

    fn assert_account_lists(&self) {
        let mut listed = 0u32;
        for (id, account) in self.accounts.iter() {
            for handle in account.orders(&self.orders) {
                assert_eq!(self.orders.queued(handle).account, id, "list of account {id}");
                listed += 1;
            }
            let counted: u32 =
                (0u16..).zip(&self.instruments).map(|(slot, _)| account.open_orders(slot)).sum();
            let walked = account.orders(&self.orders).count();
            assert_eq!(counted as usize, walked, "count of account {id}");
        }
        assert_eq!(listed, self.orders.len(), "every live order is in one account's list");
    }
}
