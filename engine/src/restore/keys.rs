//! Owns how remembered keys come back: those of live orders at their orders, the others in the
//! queue that they are forgotten in.
//! Knows nothing of requests. Invariant: a key stands for one thing, and a live order has one key
//! at most.

use super::{Restoration, Restored};
use crate::dedup::{ClientKey, OPERATORS, text_of};
use crate::limits::IDEMPOTENCY_CAPACITY_MAX;
use crate::reject::RejectReason;
use crate::types::{AccountId, ClientOrderId, OrderId, TransferId};

/// A client order id that was read and remembered.
struct SavedKey {
    at: u32,
    owner: AccountId,
    order_id: OrderId,
    reason: Option<RejectReason>,
    retired_at_ns: u64,
}

impl Restoration<'_> {
    pub(super) fn keys(&mut self) -> Restored<()> {
        self.live_keys()?;
        self.retired_keys()?;
        self.transfers()
    }

    /// By ascending order id.
    fn live_keys(&mut self) -> Restored<()> {
        let mut previous = OrderId(0);
        for _ in 0..self.from.count("number of live keys", IDEMPOTENCY_CAPACITY_MAX as usize)? {
            let SavedKey { at, owner, order_id, reason, retired_at_ns } = self.client_key()?;
            let is_live = reason.is_none() && retired_at_ns == 0 && order_id > previous;
            self.from.check(is_live, "key of a live order")?;
            let engine = &mut self.engine;
            if let Some(handle) = engine.order_index.get(&engine.orders, order_id) {
                let is_owner = engine.orders.queued(handle).account == owner;
                self.from.check(is_owner, "owner of a live key")?;
                engine.orders.get_mut(handle).client_key = ClientKey(at);
            } else {
                self.announced.insert(order_id, ClientKey(at));
            }
            previous = order_id;
        }
        Ok(())
    }

    /// The oldest first.
    fn retired_keys(&mut self) -> Restored<()> {
        let mut previous_ns = 0;
        let most = IDEMPOTENCY_CAPACITY_MAX as usize;
        for _ in 0..self.from.count("number of retired keys", most)? {
            let SavedKey { at, retired_at_ns, .. } = self.client_key()?;
            let in_turn = (previous_ns..=self.engine.now_ns).contains(&retired_at_ns);
            self.from.check(in_turn, "order of retired keys")?;
            self.engine.client_ids.retire(at, retired_at_ns);
            previous_ns = retired_at_ns;
        }
        Ok(())
    }

    fn client_key(&mut self) -> Restored<SavedKey> {
        let (owner, text, order_id, code): (AccountId, ClientOrderId, OrderId, u16) =
            self.from.read("client order id")?;
        let is_known = self.engine.accounts.get(owner).is_some() && !text.is_empty();
        self.from.check(is_known, "client order id")?;
        let is_order = (1..=self.engine.last_sequence).contains(&order_id.0);
        self.from.check(is_order, "order of a client order id")?;
        let reason = self.reason(code)?;
        let (fingerprint, retired_at_ns): (u64, u64) = self.from.read("client order id")?;
        let table = &mut self.engine.client_ids;
        let at = table.restore((owner.0, &text), order_id, reason, fingerprint);
        let at = at.ok_or_else(|| self.from.illegal("client order id"))?;
        Ok(SavedKey { at, owner, order_id, reason, retired_at_ns })
    }

    /// The oldest first.
    fn transfers(&mut self) -> Restored<()> {
        let mut previous_ns = 0;
        let most = IDEMPOTENCY_CAPACITY_MAX as usize;
        for _ in 0..self.from.count("number of transfers", most)? {
            let (id, retired_at_ns, code, fingerprint): (TransferId, u64, u16, u64) =
                self.from.read("transfer")?;
            let in_turn = (previous_ns..=self.engine.now_ns).contains(&retired_at_ns);
            self.from.check(in_turn && id != TransferId(0), "transfer")?;
            let (reason, text) = (self.reason(code)?, text_of(id));
            let table = &mut self.engine.transfers;
            let at = table.restore((OPERATORS, &text), OrderId(0), reason, fingerprint);
            let at = at.ok_or_else(|| self.from.illegal("transfer"))?;
            self.engine.transfers.retire(at, retired_at_ns);
            previous_ns = retired_at_ns;
        }
        Ok(())
    }

    /// The refusal that a code stands for, 0 for none.
    fn reason(&self, code: u16) -> Restored<Option<RejectReason>> {
        let reason = RejectReason::from_code(code);
        self.from.check(code == 0 || reason.is_some(), "refusal of a key")?;
        Ok(reason)
    }
}
