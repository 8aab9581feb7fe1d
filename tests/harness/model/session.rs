//! Owns what ends many orders at once, and what they end by: time, the session, a kill switch.
//! Knows nothing of matching. Invariant: what ends together ends in ascending id (by expiry first,
//! where time ends it), and orders that wait for their funds end after those that have them.

use engine::{
    AccountId, CloseReason, Event, InstrumentId, KillSwitchScope, OrderId, RejectReason,
    TimeInForce,
};

use super::order::{Order, State};
use super::{Defect, Model, Verdict, refuse_if};

impl Model {
    /// Ends every order whose time has come.
    pub(super) fn expire(&mut self) {
        let late = u64::from(self.has(Defect::ExpiryAfterInstant));
        let due =
            |o: &&Order| o.expire_at_ns != 0 && o.expire_at_ns.saturating_add(late) <= self.now_ns;
        let expired = self.orders.iter().filter(due);
        let mut expired: Vec<(u64, OrderId)> = expired.map(|o| (o.expire_at_ns, o.id)).collect();
        expired.sort_unstable();
        for (_, id) in expired {
            self.close(id, CloseReason::Expired);
        }
    }

    /// Ends every live order that `in_scope` picks, in ascending id; returns how many.
    pub(super) fn close_all(
        &mut self,
        reason: CloseReason,
        in_scope: impl Fn(&Order) -> bool,
    ) -> usize {
        let picked = self.orders.iter().filter(|order| in_scope(order));
        let mut ids: Vec<OrderId> = picked.map(|order| order.id).collect();
        ids.sort_unstable();
        for id in &ids {
            self.close(*id, reason);
        }
        ids.len()
    }

    pub(super) fn end_session(&mut self, instrument: InstrumentId) -> Verdict {
        self.instrument(instrument)?;
        let day = |id, tif| id == instrument && tif == TimeInForce::Day;
        let reason = CloseReason::SessionEnd;
        let live = self.close_all(reason, |o| day(o.instrument, o.time_in_force));
        let waiting = self.cancel_intents(reason, |o| day(o.instrument, o.time_in_force));
        let closed = u32::try_from(live + waiting).expect("few orders");
        self.emit(Event::SessionEnded { instrument, closed });
        Ok(())
    }

    pub(super) fn set_kill_switch(&mut self, scope: KillSwitchScope, id: u32, on: bool) -> Verdict {
        let (account, instrument) = (AccountId(id), InstrumentId(id));
        match scope {
            KillSwitchScope::Account => self.account(account).map(|_| ())?,
            KillSwitchScope::Instrument => self.instrument(instrument).map(|_| ())?,
            KillSwitchScope::Venue => refuse_if(id != 0, RejectReason::InvalidField)?,
        }
        refuse_if(self.is_killed(scope, id) == on, RejectReason::NoChange)?;
        match scope {
            KillSwitchScope::Account => self.accounts[id as usize - 1].killed = on,
            KillSwitchScope::Instrument => self.instrument_mut(instrument)?.killed = on,
            KillSwitchScope::Venue => self.killed = on,
        }
        let in_scope = |a, i| match scope {
            KillSwitchScope::Account => a == account,
            KillSwitchScope::Instrument => i == instrument,
            KillSwitchScope::Venue => true,
        };
        let mut closed = 0;
        if on {
            let reason = CloseReason::KillSwitch;
            let spares = self.has(Defect::KillSparesDormant);
            let spared = |o: &Order| spares && o.state == State::Dormant;
            closed += self.close_all(reason, |o| in_scope(o.account, o.instrument) && !spared(o));
            closed += self.cancel_intents(reason, |o| in_scope(o.account, o.instrument));
        }
        let closed = u32::try_from(closed).expect("few orders");
        self.emit(Event::KillSwitchChanged { scope, id, on, closed });
        Ok(())
    }

    /// Whether a switch is on; one that does not exist is off.
    #[must_use]
    pub fn is_killed(&self, scope: KillSwitchScope, id: u32) -> bool {
        match scope {
            KillSwitchScope::Account => self.account(AccountId(id)).is_ok_and(|a| a.killed),
            KillSwitchScope::Instrument => {
                self.instrument(InstrumentId(id)).is_ok_and(|i| i.killed)
            }
            KillSwitchScope::Venue => id == 0 && self.killed,
        }
    }
}
