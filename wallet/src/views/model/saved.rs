//! Owns how the model is saved and restored. Knows nothing of locks.
//! Invariant: an index is built anew from what it leads to, but for which of an order's
//! reservations changed last.

use engine::codec::append as put;
use engine::limits::ASSET_SCALE_MAX;
use engine::{AssetCode, RestoreError, SnapshotReader};
use uuid::Uuid;

use super::{Model, index};
use crate::client::FundingEvent;
use crate::ledger::ReservationState;
use crate::ledger::types::{FundingDirection, TransactionId};
use crate::limits::{
    ASSETS_MAX, FUNDING_EVENTS_KEPT, RESERVATIONS_MAX, SETTLEMENTS_KEPT_MAX, WALLETS_MAX,
};
use crate::views::shown::{AssetView, SettlementView, WalletView};
use crate::views::tally::Tally;
use crate::views::transactions::Transactions;

/// Of a reservation, and whether its order names it.
const RESERVATION_BYTES: usize = 8 + 16 + 1 + 4 + 3 * 16 + 1 + 1;

/// A refusal of the bytes, or what was read.
type Restored<T> = Result<T, RestoreError>;

impl Model {
    pub(in crate::views) fn save(&self, out: &mut Vec<u8>) {
        let Self {
            sequence,
            assets,
            wallets,
            by_owner: _,
            history,
            transactions,
            settlements: _,
            settled: _,
            has_forgotten: _,
            reservations: _,
            by_order: _,
            funding: _,
            funding_floor: _,
            tally,
        } = self;
        put(sequence, out);
        put(&assets.values().collect::<Vec<_>>(), out);
        history.save(out);
        put(wallets, out);
        transactions.save(out);
        tally.save(out);
        self.save_settlements(out);
        self.save_reservations(out);
        self.save_funding(out);
    }

    fn save_settlements(&self, out: &mut Vec<u8>) {
        put(&(self.has_forgotten, self.settled.len() as u64), out);
        for trade in &self.settled {
            put(&(trade, self.settlements[trade]), out);
        }
    }

    /// By ascending id.
    fn save_reservations(&self, out: &mut Vec<u8>) {
        let mut all: Vec<_> = self.reservations.iter().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        let mut named: Vec<TransactionId> = self.by_order.values().copied().collect();
        named.sort_unstable();
        let mut named = named.into_iter().peekable();
        out.reserve(all.len() * RESERVATION_BYTES);
        put(&(all.len() as u64), out);
        for (id, state) in all {
            put(&(state, named.next_if_eq(id).is_some()), out);
        }
    }

    fn save_funding(&self, out: &mut Vec<u8>) {
        put(&(self.funding_floor, self.funding.len() as u64), out);
        for event in &self.funding {
            let FundingEvent { cursor, transaction_id, direction, user_id, asset, amount } = event;
            put(&(cursor, transaction_id.as_u128(), direction), out);
            put(&(user_id.as_u128(), asset, amount), out);
        }
    }

    /// A fresh model, with what was saved of one whose history kept no more.
    pub(in crate::views) fn filled(mut self, from: &mut SnapshotReader<'_>) -> Restored<Self> {
        self.sequence = from.read("sequence of the model")?;
        for asset in from.list::<AssetView>("assets", ASSETS_MAX)? {
            let is_next = self.assets.last_key_value().is_none_or(|(last, _)| *last < asset.id);
            let is_named = asset.code.is_valid() && asset.scale <= ASSET_SCALE_MAX;
            from.check(is_next && is_named, "asset")?;
            self.assets.insert(asset.id, asset);
        }
        self.history = self.history.filled(from, self.sequence)?;
        for place in 0..from.count("number of wallets", WALLETS_MAX)? {
            let wallet: WalletView = from.read("wallet")?;
            let is_next = index(wallet.id) == Some(place) && self.history.has(wallet.head);
            from.check(is_next, "wallet")?;
            let before = self.by_owner.insert((wallet.user, wallet.asset), wallet.id);
            let is_new = before.is_none() && self.assets.contains_key(&wallet.asset);
            from.check(is_new, "owner of a wallet")?;
            self.wallets.push(wallet);
        }
        self.transactions = Transactions::restored(from)?;
        self.tally = Tally::restored(from)?;
        self.fill_settlements(from)?;
        self.fill_reservations(from)?;
        self.fill_funding(from)?;
        Ok(self)
    }

    fn fill_settlements(&mut self, from: &mut SnapshotReader<'_>) -> Restored<()> {
        self.has_forgotten = from.read("whether trades are forgotten")?;
        for _ in 0..from.count("settled trades", SETTLEMENTS_KEPT_MAX)? {
            let (trade, settlement): (u128, SettlementView) = from.read("settled trade")?;
            let before = self.settlements.insert(trade, settlement);
            from.check(before.is_none(), "settled trade")?;
            self.settled.push_back(trade);
        }
        Ok(())
    }

    fn fill_reservations(&mut self, from: &mut SnapshotReader<'_>) -> Restored<()> {
        let count = from.count_of("reservations", RESERVATIONS_MAX, RESERVATION_BYTES)?;
        self.reservations.reserve(count);
        self.by_order.reserve(count);
        let mut previous = TransactionId(0);
        let mut unnamed = Vec::new();
        for _ in 0..count {
            let (state, named): (ReservationState, bool) = from.read("reservation")?;
            from.check(state.reservation > previous, "order of reservations")?;
            from.check(self.wallet(state.wallet).is_some(), "wallet of a reservation")?;
            if named {
                let before = self.by_order.insert(state.order, state.reservation);
                from.check(before.is_none(), "order of a reservation")?;
            } else {
                unnamed.push(state.order);
            }
            self.reservations.insert(state.reservation, state);
            previous = state.reservation;
        }
        let is_known = unnamed.iter().all(|order| self.by_order.contains_key(order));
        from.check(is_known, "reservation of an order")
    }

    fn fill_funding(&mut self, from: &mut SnapshotReader<'_>) -> Restored<()> {
        self.funding_floor = from.read("last forgotten funding event")?;
        let mut last = self.funding_floor;
        for _ in 0..from.count("funding events", FUNDING_EVENTS_KEPT)? {
            let (cursor, transaction, direction): (u64, u128, FundingDirection) =
                from.read("funding event")?;
            let in_turn = (last..=self.sequence).contains(&cursor);
            from.check(in_turn, "order of funding events")?;
            let (user, asset, amount): (u128, AssetCode, _) = from.read("money of a funding")?;
            from.check(asset.is_valid(), "asset of a funding")?;
            let (transaction_id, user_id) = (Uuid::from_u128(transaction), Uuid::from_u128(user));
            let event = FundingEvent { cursor, transaction_id, direction, user_id, asset, amount };
            self.funding.push_back(event);
            last = cursor;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use engine::{Frame, RestoreFault};

    use super::*;
    use crate::ledger::types::{ReserveReason, UsedUp, UserId, WalletId};
    use crate::ledger::{Command, Event};

    fn restored(model: &Model) -> Restored<Model> {
        let mut bytes = Vec::new();
        model.save(&mut bytes);
        Model::new(9).filled(&mut SnapshotReader::new(&bytes))
    }

    fn is_too_many(model: &Model) -> bool {
        let fault = restored(model).map_err(|error| error.fault);
        matches!(fault, Err(RestoreFault::TooMany { .. }))
    }

    /// One order with reservations in two assets, of which the first one changed last.
    #[test]
    fn an_order_names_the_reservation_that_changed_last() {
        let mut model = Model::new(9);
        let asset = engine::AssetId(1);
        let code = AssetCode::new("BTC").unwrap();
        let event = Event::AssetAdded { asset, code, scale: 8, amount_min: 1, amount_max: 1 };
        let opened = Event::WalletOpened { wallet: WalletId(1), user: UserId(1), asset };
        let state = |id| ReservationState {
            reservation: TransactionId(id),
            order: 7,
            reason: ReserveReason::OrderPlacement,
            wallet: WalletId(1),
            original: 1,
            remaining: 1,
            released: 0,
            ended: false,
        };
        let changed = [1, 2, 1].map(|id| Event::ReservationChanged(state(id)));
        let frame = Frame { sequence: 1, timestamp_ns: 1, command: Command::Tick };
        model.apply(&frame, &[event, opened, changed[0], changed[1], changed[2]]);
        let same = restored(&model).unwrap();
        let named = |model: &Model| model.reservation_of_order(7).map(|(state, _)| state);
        assert_eq!((named(&model), named(&same)), (Some(state(1)), Some(state(1))));
        assert_eq!(same.reservations.len(), 2);
        model.by_order.clear();
        let error = restored(&model).err().map(|error| error.field);
        assert_eq!(error, Some("reservation of an order"), "an order that names none");
    }

    #[test]
    fn no_more_trades_are_restored_than_are_kept() {
        let mut model = Model::new(9);
        let (transaction, used_up) = (TransactionId(1), UsedUp::default());
        let settlement = SettlementView { transaction, settled_ns: 1, used_up };
        for trade in 0..SETTLEMENTS_KEPT_MAX as u128 {
            model.settlements.insert(trade, settlement);
            model.settled.push_back(trade);
        }
        assert!(restored(&model).is_ok(), "at the bound");
        model.settled.push_back(0);
        assert!(is_too_many(&model), "one past it");
    }

    #[test]
    fn no_more_funding_events_are_restored_than_are_kept() {
        let mut model = Model::new(9);
        let event = FundingEvent {
            cursor: 0,
            transaction_id: Uuid::nil(),
            direction: FundingDirection::Fund,
            user_id: Uuid::nil(),
            asset: AssetCode::new("BTC").unwrap(),
            amount: 1,
        };
        model.funding.extend(std::iter::repeat_n(event, FUNDING_EVENTS_KEPT));
        assert!(restored(&model).is_ok(), "at the bound");
        model.funding.push_back(event);
        assert!(is_too_many(&model), "one past it");
    }
}
