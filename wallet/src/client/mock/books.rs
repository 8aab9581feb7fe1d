//! Owns the mock's money and its rules, which are those of the ledger.
//! Knows nothing of faults and calls. Invariant: for each asset, what users own, the fees and the
//! world outside add up to zero; a key stands for one request for ever.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Amount, AssetCode, SignedAmount};
use uuid::Uuid;

use crate::client::{
    FundingEvent, ReleaseRequest, Released, Reservation, ReserveRequest, Reserved, SettleRequest,
    Settlement, WalletBalance, WalletError,
};
use crate::ledger::types::{FundingDirection, ReserveReason};
use crate::wire::Assets;

mod funding;
mod settle;

/// One user's money in one asset.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    available: Amount,
    reserved: Amount,
    /// The part of `reserved` that is lent to trading as a whole.
    pool: Amount,
}

impl Account {
    fn balance(self) -> WalletBalance {
        WalletBalance { available: self.available, reserved: self.reserved }
    }
}

/// A request to move money between wallet and trading account, and how it ended.
#[derive(Clone, Copy, Debug)]
struct Funding {
    event: FundingEvent,
    /// `None` while a recall waits, and while money that was lent stays lent.
    granted: Option<bool>,
}

type Answer<T> = Result<T, WalletError>;

/// Everything the mock remembers. Nothing is ever forgotten: it lives as long as a test.
#[derive(Debug, Default)]
pub(super) struct Books {
    assets: Assets,
    accounts: BTreeMap<(Uuid, AssetCode), Account>,
    fees: BTreeMap<AssetCode, SignedAmount>,
    external: BTreeMap<AssetCode, SignedAmount>,
    /// Reserves by key, with their answers, refusals included.
    reserves: BTreeMap<(Uuid, AssetCode), (ReserveRequest, Answer<Reserved>)>,
    /// By order and asset.
    reservations: BTreeMap<(Uuid, AssetCode), Reservation>,
    /// Orders that were released before they were reserved for.
    burned: BTreeSet<Uuid>,
    settlements: BTreeMap<Uuid, (SettleRequest, Settlement)>,
    fundings: Vec<Funding>,
    frozen: BTreeSet<AssetCode>,
    ids: u64,
}

fn conflict(text: &str) -> WalletError {
    WalletError::Conflict(text.to_owned())
}

fn invalid(text: &str) -> WalletError {
    WalletError::InvalidRequest(text.to_owned())
}

fn signed(amount: Amount) -> Answer<SignedAmount> {
    SignedAmount::try_from(amount).map_err(|_| invalid("amount is too large"))
}

impl Books {
    pub(super) fn new(assets: Assets) -> Self {
        Self { assets, ..Self::default() }
    }

    pub(super) fn assets(&self) -> &Assets {
        &self.assets
    }

    /// A number that was not used before; it also stands in for time.
    fn next(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn next_id(&mut self) -> Uuid {
        let number = self.next();
        Uuid::new_v8(u128::from(number).to_be_bytes())
    }

    fn check_asset(&self, asset: AssetCode) -> Answer<u8> {
        self.assets.scale(asset).ok_or_else(|| invalid("unknown asset"))
    }

    fn knows(&self, user: Uuid) -> bool {
        self.accounts.keys().any(|(owner, _)| *owner == user)
    }

    /// Makes what the user can take out this much; the difference comes from outside.
    pub(super) fn set_balance(&mut self, user: Uuid, asset: AssetCode, available: Amount) {
        let account = self.accounts.entry((user, asset)).or_default();
        let before = account.available;
        account.available = available;
        *self.external.entry(asset).or_default() += before.cast_signed() - available.cast_signed();
    }

    pub(super) fn fees(&self, asset: AssetCode) -> SignedAmount {
        self.fees.get(&asset).copied().unwrap_or(0)
    }

    /// Sum over all that own the asset, fees and the world outside: always 0.
    pub(super) fn total(&self, asset: AssetCode) -> SignedAmount {
        let owned = self.accounts.iter().filter(|((_, of), _)| *of == asset);
        let owned: Amount = owned.map(|(_, account)| account.available + account.reserved).sum();
        let external = self.external.get(&asset).copied().unwrap_or(0);
        owned.cast_signed() + self.fees(asset) + external
    }

    pub(super) fn balance(&self, user: Uuid, asset: AssetCode) -> Answer<WalletBalance> {
        self.check_asset(asset)?;
        match self.accounts.get(&(user, asset)) {
            Some(account) => Ok(account.balance()),
            None if self.knows(user) => Ok(Account::default().balance()),
            None => Err(WalletError::UserNotFound),
        }
    }

    pub(super) fn reserve(&mut self, request: &ReserveRequest) -> Answer<Reserved> {
        let key = (request.order_id, request.asset);
        self.check_asset(request.asset)?;
        if let Some((first, answer)) = self.reserves.get(&key) {
            let same = first == request;
            return if same { answer.clone() } else { Err(conflict("order was used before")) };
        }
        if request.order_id.is_nil() || request.amount == 0 {
            return Err(invalid("order or amount is missing"));
        }
        if self.burned.contains(&request.order_id) {
            return Err(conflict("order was released before"));
        }
        let known = self.knows(request.user_id);
        let Some(account) = self.accounts.get_mut(&(request.user_id, request.asset)) else {
            let known_without = WalletError::InsufficientBalance;
            return Err(if known { known_without } else { WalletError::UserNotFound });
        };
        let Some(available) = account.available.checked_sub(request.amount) else {
            self.reserves.insert(key, (*request, Err(WalletError::InsufficientBalance)));
            return Err(WalletError::InsufficientBalance);
        };
        account.available = available;
        account.reserved += request.amount;
        if request.reason == ReserveReason::TradingFunding {
            account.pool += request.amount;
        }
        let balance = account.balance();
        let reservation_id = self.next_id();
        match request.reason {
            ReserveReason::TradingFunding => {
                self.ask_trading(reservation_id, FundingDirection::Fund, request);
            }
            ReserveReason::OrderPlacement => {
                self.reservations.insert(key, new_reservation(reservation_id, request));
            }
        }
        let answer = Reserved { reservation_id, balance };
        self.reserves.insert(key, (*request, Ok(answer)));
        Ok(answer)
    }

    pub(super) fn release(&mut self, request: &ReleaseRequest) -> Answer<Released> {
        let key = self.find_reservation(request)?;
        let reservation =
            self.reservations.get_mut(&key).ok_or(WalletError::ReservationNotFound)?;
        match request.captured_total {
            Some(total) if reservation.captured < total => {
                return Err(WalletError::CapturePending);
            }
            Some(total) if reservation.captured > total => {
                return Err(conflict("more was captured"));
            }
            _ => {}
        }
        if !reservation.ended {
            let rest = reservation.remaining;
            let account = self.accounts.entry((reservation.user_id, key.1)).or_default();
            account.reserved -= rest;
            account.available += rest;
            *reservation =
                Reservation { remaining: 0, released: rest, ended: true, ..*reservation };
        }
        Ok(Released { released: reservation.released })
    }

    /// Where the reservation is. An order that has none must not get one any more: the request for
    /// it may still be on its way.
    fn find_reservation(&mut self, request: &ReleaseRequest) -> Answer<(Uuid, AssetCode)> {
        if let Some(id) = request.reservation_id {
            let mut all = self.reservations.iter();
            let found = all.find(|(_, reservation)| reservation.reservation_id == id);
            let (key, _) = found.ok_or(WalletError::ReservationNotFound)?;
            let fits = request.order_id.is_none_or(|order| order == key.0);
            return if fits { Ok(*key) } else { Err(invalid("reservation is of another order")) };
        }
        let order = request.order_id.ok_or_else(|| invalid("nothing says what to release"))?;
        let mut all = self.reservations.keys().filter(|(of, _)| *of == order);
        match (all.next(), all.next()) {
            (Some(key), None) => Ok(*key),
            (Some(_), Some(_)) => Err(invalid("the order has several reservations")),
            (None, _) => {
                self.burned.insert(order);
                Err(WalletError::ReservationNotFound)
            }
        }
    }

    pub(super) fn reservation_of_order(&self, order: Uuid) -> Option<Reservation> {
        let mut all = self.reservations.values().filter(|found| found.order_id == order);
        all.next().copied()
    }

    pub(super) fn settlement_of_trade(&self, trade: Uuid) -> Option<Settlement> {
        self.settlements.get(&trade).map(|(_, settlement)| *settlement)
    }
}

fn new_reservation(id: Uuid, request: &ReserveRequest) -> Reservation {
    Reservation {
        reservation_id: id,
        order_id: request.order_id,
        user_id: request.user_id,
        asset: request.asset,
        original: request.amount,
        remaining: request.amount,
        captured: 0,
        released: 0,
        ended: false,
    }
}
