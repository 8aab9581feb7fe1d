//! Owns how orders come back that wait for their funds, and what funded ones were given.
//! Knows nothing of the wallet. Invariant: an intent is for exactly what its order will hold, and
//! only live orders have funds.

use super::order_checks::{checked_hold, is_price};
use super::{Restoration, Restored};
use crate::command::NewOrder;
use crate::dedup::ClientKey;
use crate::instrument::fees_are_valid;
use crate::intents::Intent;
use crate::limits::{LIVE_ORDERS_MAX, ORDER_INTENTS_MAX, ORDER_VALUE_MAX};
use crate::shape::may_have_entered;
use crate::types::{Amount, AssetId, OrderId};

impl Restoration<'_> {
    pub(super) fn funding(&mut self) -> Restored<()> {
        self.intents()?;
        self.from.check(self.announced.is_empty(), "key of an order that is not there")?;
        self.funds()
    }

    /// By ascending id.
    fn intents(&mut self) -> Restored<()> {
        let mut previous = OrderId(0);
        for _ in 0..self.from.count("number of intents", ORDER_INTENTS_MAX)? {
            let (id, order): (OrderId, NewOrder) = self.from.read("intent")?;
            self.from.check(id > previous, "order of intents")?;
            let slot = self.engine.slot_of(order.instrument);
            let slot = slot.ok_or_else(|| self.from.illegal("instrument of an intent"))?;
            self.check_owner(id, order.account, slot)?;
            self.from.check(may_have_entered(&order), "order of an intent")?;
            let client_key = self.announced_key(id, &order)?;
            let (asset, amount, limit, maker_fee_ppm, taker_fee_ppm): (AssetId, _, _, _, _) =
                self.from.read("funds of an intent")?;
            let intent = Intent {
                id,
                order,
                asset,
                amount,
                limit,
                maker_fee_ppm,
                taker_fee_ppm,
                client_key,
            };
            self.from.check(self.is_for_its_order(&intent, slot), "funds of an intent")?;
            self.engine.intents.add(intent);
            previous = id;
        }
        Ok(())
    }

    /// The key of an announced order, read before.
    fn announced_key(&mut self, id: OrderId, order: &NewOrder) -> Restored<ClientKey> {
        let key = self.announced.remove(&id);
        let named = key.map(|key| self.engine.client_ids.key_of(key.0));
        let text = order.client_order_id;
        let expected = (!text.is_empty()).then_some((order.account.0, text));
        self.from.check(named == expected, "key of an intent")?;
        Ok(key.unwrap_or(ClientKey::NONE))
    }

    fn is_for_its_order(&self, intent: &Intent, slot: u16) -> bool {
        let Intent { order, asset, amount, limit, maker_fee_ppm, taker_fee_ppm, .. } = intent;
        let instrument = &self.engine.instruments[usize::from(slot)];
        let limit_is_sound =
            if order.order_type.has_price() { *limit == order.price } else { is_price(*limit) };
        let rates = (*maker_fee_ppm, *taker_fee_ppm);
        let expected = || match order.is_by_budget() {
            true => Some(order.quote_budget),
            false => checked_hold(&instrument.spec, (order.side, order.quantity, *limit), 0, rates),
        };
        self.engine.assets.at(instrument.hold_slot(order.side)).id == *asset
            && fees_are_valid(rates.0, rates.1)
            && limit_is_sound
            && expected() == Some(*amount)
    }

    /// What live funded orders were given, by ascending id.
    fn funds(&mut self) -> Restored<()> {
        let mut previous = OrderId(0);
        for _ in 0..self.from.count("number of funded orders", LIVE_ORDERS_MAX as usize)? {
            let (id, given): (OrderId, Amount) = self.from.read("funded order")?;
            let engine = &mut self.engine;
            let handle = engine.order_index.get(&engine.orders, id);
            let handle = handle.ok_or_else(|| self.from.illegal("id of a funded order"))?;
            let order = engine.orders.get_mut(handle);
            let is_enough = (order.hold()..=2 * ORDER_VALUE_MAX).contains(&given);
            self.from.check(id > previous && is_enough, "funds of an order")?;
            order.funded = true;
            engine.funded.insert(id, given);
            previous = id;
        }
        Ok(())
    }
}
