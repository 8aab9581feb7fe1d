//! Owns which kill switches are on. Knows nothing of what they stop.
//! Invariant: as many entries as switches that are on.

use std::collections::BTreeSet;

use engine::codec::append as put;
use engine::limits::{ACCOUNTS_MAX, INSTRUMENTS_MAX};
use engine::{AccountId, Event, InstrumentId, KillSwitchScope, RestoreError, SnapshotReader};

/// The switches that are on.
#[derive(Debug, Default)]
pub struct Switches {
    venue: bool,
    instruments: BTreeSet<InstrumentId>,
    accounts: BTreeSet<AccountId>,
    sequence: u64,
}

impl Switches {
    /// Sequence of the last command that changed anything here.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether the one of the whole venue is on.
    #[must_use]
    pub fn venue(&self) -> bool {
        self.venue
    }

    /// In ascending id.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentId> {
        self.instruments.iter().copied()
    }

    /// In ascending number.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = AccountId> {
        self.accounts.iter().copied()
    }

    pub(super) fn apply(&mut self, sequence: u64, events: &[Event]) {
        self.sequence = sequence;
        for event in events {
            let Event::KillSwitchChanged { scope, id, on, .. } = *event else { continue };
            match scope {
                KillSwitchScope::Venue => self.venue = on,
                KillSwitchScope::Instrument => set(&mut self.instruments, InstrumentId(id), on),
                KillSwitchScope::Account => set(&mut self.accounts, AccountId(id), on),
            }
        }
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let Self { venue, instruments, accounts, sequence } = self;
        put(&(sequence, venue), out);
        put(&(instruments, accounts), out);
    }

    pub(super) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let (sequence, venue) = from.read("switch of the venue")?;
        let instruments = from.map("switches of instruments", INSTRUMENTS_MAX)?;
        let accounts = from.map("switches of accounts", ACCOUNTS_MAX as usize)?;
        let instruments = instruments.into_iter().map(|(id, ())| id).collect();
        let accounts = accounts.into_iter().map(|(id, ())| id).collect();
        Ok(Self { venue, instruments, accounts, sequence })
    }
}

fn set<T: Ord>(those_on: &mut BTreeSet<T>, id: T, on: bool) {
    if on {
        those_on.insert(id);
    } else {
        those_on.remove(&id);
    }
}
