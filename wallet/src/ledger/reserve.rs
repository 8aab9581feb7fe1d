//! Owns setting money aside and giving back what is left of it.
//! Knows nothing of what an order does. Invariant: an order has one reservation in an asset, made
//! once and ended once, however often and in whatever order both are asked for.

use super::books::Leg;
use super::command::{Command, Release, Reserve};
use super::event::Event;
use super::reject::RejectReason;
use super::reservations::Reservation;
use super::transactions::{Funding, Key};
use super::types::{
    Account, FundingDirection, ReserveReason, TransactionId, TransactionKind, WalletId,
};
use super::{Checked, Draft, Events, Ledger, fingerprint};

impl Ledger {
    pub(super) fn reserve(&mut self, reserve: &Reserve, events: &mut Events) -> Checked<()> {
        let Reserve { user, asset, amount, order, reason } = *reserve;
        let body = fingerprint(&Command::Reserve(*reserve));
        let key = Key::reservation(order, asset);
        if let Some(transaction) = self.known(key, body)? {
            self.repeat(transaction, events);
            return Ok(());
        }
        self.books.asset(asset).ok_or(RejectReason::UnknownAsset)?;
        if order == 0 {
            return Err(RejectReason::InvalidRequest);
        }
        if amount == 0 {
            return Err(RejectReason::InvalidAmount);
        }
        if self.reservations.is_burned(order) {
            return Err(RejectReason::ReservationSpent);
        }
        self.has_room_for_requests()?;
        let full = self.reservations.len() >= self.capacity.reservations;
        if full && reason == ReserveReason::OrderPlacement {
            return Err(RejectReason::CapacityExhausted);
        }
        if !self.books.knows(user) {
            return Err(RejectReason::UnknownUser);
        }
        if self.missing_wallets(&[(user, asset)]) > self.free_wallets() {
            return Err(RejectReason::CapacityExhausted);
        }
        // A refusal for want of money belongs to a wallet, too.
        let wallet = self.wallet_for(user, asset, events);
        let draft = Draft {
            key: Some(key),
            fingerprint: body,
            subject: order,
            ..Draft::new(TransactionKind::Reserve, wallet, amount)
        };
        self.set_aside(reserve, draft, wallet, events)
    }

    fn set_aside(
        &mut self,
        reserve: &Reserve,
        mut draft: Draft,
        wallet: WalletId,
        events: &mut Events,
    ) -> Checked<()> {
        let Reserve { user, asset, amount, order, reason } = *reserve;
        let pooled = reason == ReserveReason::TradingFunding;
        let (debit, credit) = (Account::Available(wallet), Account::Reserved(wallet));
        let leg = Leg { debit, credit, amount, pooled };
        let done = self.check_active(wallet).and_then(|()| self.books.apply(&[leg]));
        if let Err(reason) = done {
            if !reason.is_final() {
                return Err(reason);
            }
            self.record(&draft.failed(reason), &[], events);
            return Ok(());
        }
        if pooled {
            draft.funding = Funding::Funded;
        }
        let id = self.record(&draft, &[leg], events);
        if pooled {
            events.push(Event::FundingRequested {
                transaction: id,
                direction: FundingDirection::Fund,
                wallet,
                user,
                asset,
                amount,
                begun_ns: self.begun_ns(id),
            });
            return Ok(());
        }
        let reservation = Reservation {
            order,
            wallet,
            original: amount,
            remaining: amount,
            released: 0,
            ended_by: TransactionId(0),
        };
        events.push(Event::ReservationChanged(reservation.state(id)));
        self.reservations.add(id, asset, reservation);
        Ok(())
    }

    pub(super) fn release(&mut self, release: &Release, events: &mut Events) -> Checked<()> {
        let id = self.find_reservation(release)?;
        let reservation = self.reservations.get(id).expect("found");
        let (captured, remaining) = (reservation.captured(), reservation.remaining);
        if let Some(total) = release.captured_total {
            if captured < total {
                return Err(RejectReason::CapturePending);
            }
            if captured > total {
                return Err(RejectReason::IdempotencyMismatch);
            }
        }
        if !reservation.is_active() {
            self.repeat(reservation.ended_by, events);
            return Ok(());
        }
        self.has_room()?;
        let wallet = reservation.wallet;
        let (debit, credit) = (Account::Reserved(wallet), Account::Available(wallet));
        let leg = Leg { debit, credit, amount: remaining, pooled: false };
        let legs: &[Leg] = if remaining > 0 { &[leg] } else { &[] };
        self.books.apply(legs)?;
        let draft = Draft {
            subject: reservation.order,
            link: id,
            ..Draft::new(TransactionKind::Release, wallet, remaining)
        };
        let ended_by = self.record(&draft, legs, events);
        let reservation = self.reservations.get_mut(id).expect("found");
        reservation.released = remaining;
        reservation.remaining = 0;
        reservation.ended_by = ended_by;
        events.push(Event::ReservationChanged(reservation.state(id)));
        Ok(())
    }

    /// The reservation that a release names. One that does not exist is never made any more: its
    /// request may still be on its way.
    fn find_reservation(&mut self, release: &Release) -> Checked<TransactionId> {
        let Release { reservation, order, .. } = *release;
        if reservation == TransactionId(0) && order == 0 {
            return Err(RejectReason::InvalidRequest);
        }
        if reservation != TransactionId(0) {
            let found = self.reservations.get(reservation);
            let found = found.ok_or(RejectReason::UnknownReservation)?;
            let fits = order == 0 || order == found.order;
            return if fits { Ok(reservation) } else { Err(RejectReason::InvalidRequest) };
        }
        match self.reservations.find_only(order) {
            Some(id) => Ok(id),
            None if self.reservations.has_any(order) => Err(RejectReason::InvalidRequest),
            None => {
                // A table that is full takes no reservation that could come late, either.
                if self.reservations.len() < self.capacity.reservations {
                    self.reservations.burn(order);
                }
                Err(RejectReason::UnknownReservation)
            }
        }
    }
}
