//! Owns the orders that wait for their funds: announced, and neither placed nor given up yet.
//! Knows nothing of who reserves the funds or of how an intent ends. Invariant: an intent is added
//! once and ended once, and there are never more than [`ORDER_INTENTS_MAX`].

use std::collections::BTreeMap;

use crate::command::NewOrder;
use crate::dedup::ClientKey;
use crate::limits::ORDER_INTENTS_MAX;
use crate::types::{Amount, AssetId, OrderId, Price};

/// An order that waits for its funds. What its hold was computed from is fixed here, so that the
/// funds suffice whatever becomes of the instrument's spec or of the best price meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Intent {
    /// The sequence of the command that announced it.
    pub id: OrderId,
    pub order: NewOrder,
    /// The asset that it pays with.
    pub asset: AssetId,
    /// Everything that it will hold, units of `asset`.
    pub amount: Amount,
    /// Worst price that it may trade at: its price, the collar of a MARKET order, or the cap around
    /// the trigger of one that trades like it.
    pub limit: Price,
    pub maker_fee_ppm: i32,
    pub taker_fee_ppm: i32,
    pub(crate) client_key: ClientKey,
}

/// All intents, in ascending order id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intents {
    by_id: BTreeMap<OrderId, Intent>,
}

impl Intents {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= ORDER_INTENTS_MAX
    }

    /// # Panics
    /// If there is no room or the id is taken: callers ask [`Self::is_full`] first, and an order id
    /// is the sequence of its command.
    pub(crate) fn add(&mut self, intent: Intent) {
        assert!(!self.is_full());
        let replaced = self.by_id.insert(intent.id, intent);
        assert!(replaced.is_none(), "order {} is announced twice", intent.id);
    }

    pub(crate) fn get(&self, id: OrderId) -> Option<&Intent> {
        self.by_id.get(&id)
    }

    /// Takes an intent out for good.
    pub(crate) fn end(&mut self, id: OrderId) -> Option<Intent> {
        self.by_id.remove(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Intent> {
        self.by_id.values()
    }
}
