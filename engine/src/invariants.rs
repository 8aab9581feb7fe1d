//! Owns the check that the whole state is sound. Walks everything: for tests and tools, not for the
//! hot path, where the parts assert what they can see.

use std::collections::BTreeMap;

use crate::dedup::ClientKey;
use crate::engine::{Engine, Instrument};
use crate::limits::ORDER_INTENTS_MAX;
use crate::matching::required_hold;
use crate::order::OrderHandle;
use crate::types::{AccountId, Amount, Side};

impl Engine {
    /// Checks every invariant of books, orders and money.
    ///
    /// # Panics
    /// On the first one that is broken, naming it.
    pub fn assert_invariants(&self) {
        let mut held: BTreeMap<(usize, AccountId), Amount> = BTreeMap::new();
        let mut resting = 0;
        for (slot, instrument) in (0u32..).zip(&self.instruments) {
            assert!(instrument.book.is_consistent(&self.orders), "book of slot {slot}");
            let handles = self.handles(instrument);
            assert_eq!(handles.len(), instrument.orders as usize, "orders of slot {slot}");
            resting += instrument.orders;
            for handle in handles {
                self.assert_order(handle, slot);
                let order = self.orders.get(handle);
                let key = (instrument.hold_slot(order.side), order.account);
                *held.entry(key).or_default() += self.orders.money(handle).hold;
            }
        }
        assert_eq!(resting, self.orders.len(), "every live order rests in a book");
        self.assert_balances(&held);
        self.assert_account_lists();
        self.assert_intents();
        let funded = self.orders.handles().filter(|handle| self.orders.get(*handle).funded);
        assert_eq!(funded.count(), self.funded.len(), "only live orders have funds");
    }

    fn handles(&self, instrument: &Instrument) -> Vec<OrderHandle> {
        let levels = Side::ALL.iter().flat_map(|side| instrument.book.side(*side).levels());
        let queues = levels.flat_map(|level| instrument.book.queue(&self.orders, level));
        queues.map(|(handle, _)| handle).collect()
    }

    fn assert_order(&self, handle: OrderHandle, slot: u32) {
        let (order, money) = (self.orders.get(handle), self.orders.money(handle));
        assert_eq!(
            self.order_index.get(&self.orders, order.id),
            Some(handle),
            "index of {}",
            order.id
        );
        assert_eq!(order.instrument_slot, slot, "book of {}", order.id);
        // The rest is what self-trade prevention took.
        assert!(money.filled.0 + order.open.0 <= money.quantity.0, "sum of {}", order.id);
        let spec = &self.instruments[slot as usize].spec;
        let needed = required_hold(spec, order, money, order.price);
        match self.funded.get(&order.id) {
            None => assert_eq!(money.hold, needed, "hold of {}", order.id),
            Some(given) => {
                let fits = needed <= money.hold && money.hold <= *given;
                assert!(fits, "{} holds {} of {given}", order.id, money.hold);
            }
        }
        assert_eq!(order.funded, self.funded.contains_key(&order.id), "funds of {}", order.id);
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
                let entry = self.client_ids.live(intent.client_key.0);
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
                assert_eq!(self.orders.get(handle).account, id, "list of account {id}");
                listed += 1;
            }
            let counted: u32 =
                (0u32..).zip(&self.instruments).map(|(slot, _)| account.open_orders(slot)).sum();
            let walked = account.orders(&self.orders).count();
            assert_eq!(counted as usize, walked, "count of account {id}");
        }
        assert_eq!(listed, self.orders.len(), "every live order is in one account's list");
    }
}
