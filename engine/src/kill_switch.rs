//! Owns the switch that stops an account, an instrument or the venue.
//! Knows nothing of who throws it. Invariant: while it is on, no order in its scope is live and
//! none gets in; balances are not touched.

use crate::command::NewOrder;
use crate::engine::{Checked, Engine, Events};
use crate::event::{CloseReason, Event};
use crate::reject::RejectReason;
use crate::types::{AccountId, InstrumentId, KillSwitchScope};

impl Engine {
    pub(crate) fn set_kill_switch(
        &mut self,
        scope: KillSwitchScope,
        id: u32,
        on: bool,
        events: &mut Events,
    ) -> Checked<()> {
        let switch = self.switch_mut(scope, id)?;
        if *switch == on {
            return Err(RejectReason::NoChange);
        }
        *switch = on;
        let closed = if on { self.close_scope(scope, id, events) } else { 0 };
        let closed = u32::try_from(closed).unwrap_or(u32::MAX);
        events.push(Event::KillSwitchChanged { scope, id, on, closed });
        Ok(())
    }

    fn switch_mut(&mut self, scope: KillSwitchScope, id: u32) -> Checked<&mut bool> {
        match scope {
            KillSwitchScope::Account => self
                .accounts
                .get_mut(AccountId(id))
                .map(|account| &mut account.killed)
                .ok_or(RejectReason::UnknownAccount),
            KillSwitchScope::Instrument => {
                let slot = self.slot_of(InstrumentId(id)).ok_or(RejectReason::UnknownSymbol)?;
                Ok(&mut self.instruments[usize::from(slot)].killed)
            }
            KillSwitchScope::Venue if id == 0 => Ok(&mut self.killed),
            KillSwitchScope::Venue => Err(RejectReason::InvalidField),
        }
    }

    fn close_scope(&mut self, scope: KillSwitchScope, id: u32, events: &mut Events) -> usize {
        let reason = CloseReason::KillSwitch;
        match scope {
            KillSwitchScope::Account => {
                let account = AccountId(id);
                let live = self.close_all_of(account, |_| true, reason, events);
                let waiting = |order: &NewOrder| order.account == account;
                live + self.close_intents(waiting, reason, events)
            }
            KillSwitchScope::Instrument => {
                let instrument = InstrumentId(id);
                let live = match self.slot_of(instrument) {
                    Some(slot) => self.close_all_in(slot, |_| true, reason, events),
                    None => 0,
                };
                let waiting = |order: &NewOrder| order.instrument == instrument;
                live + self.close_intents(waiting, reason, events)
            }
            KillSwitchScope::Venue => {
                let live = self.close_all(reason, events);
                live + self.close_intents(|_| true, reason, events)
            }
        }
    }

    /// Whether a switch is on; false where account or instrument is unknown.
    #[must_use]
    pub fn is_killed(&self, scope: KillSwitchScope, id: u32) -> bool {
        match scope {
            KillSwitchScope::Account => {
                self.accounts.get(AccountId(id)).is_some_and(|account| account.killed)
            }
            KillSwitchScope::Instrument => {
                self.instrument(InstrumentId(id)).is_some_and(|instrument| instrument.killed)
            }
            KillSwitchScope::Venue => id == 0 && self.killed,
        }
    }
}
