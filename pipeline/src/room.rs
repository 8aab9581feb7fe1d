//! Owns what is known of the room that both logs have, and what may still be accepted with it.
//! Knows nothing of files. Invariant: each log has one stage that writes it and says how it stands;
//! what was accepted before is never dropped, it waits for room.

use std::thread;

use journal::{JournalError, JournalWriter, Space};

use crate::clock::Clock;
use crate::counters::Counter;
use crate::limits::{ROOM_RETRY, ROOM_RETRY_NS};

/// The room of each log: 0 ample, 1 none for another segment, 2 next to none.
#[derive(Debug, Default)]
pub struct Room {
    pub journal: Counter,
    pub events: Counter,
    /// Whether the next segment of each lies ready: 1 if it does.
    pub journal_spare: Counter,
    pub events_spare: Counter,
}

/// One of the two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Journal,
    Events,
}

impl Room {
    /// The worse of both.
    #[must_use]
    pub fn space(&self) -> Space {
        match self.journal.get().max(self.events.get()) {
            0 => Space::Ample,
            1 => Space::Tight,
            _ => Space::Last,
        }
    }

    fn of(&self, log: Log) -> &Counter {
        match log {
            Log::Journal => &self.journal,
            Log::Events => &self.events,
        }
    }

    fn note_spare(&self, log: Log, is_ready: bool) {
        let place = match log {
            Log::Journal => &self.journal_spare,
            Log::Events => &self.events_spare,
        };
        if place.get() != u64::from(is_ready) {
            place.set(u64::from(is_ready));
        }
    }

    fn note(&self, log: Log, space: Space) {
        let place = self.of(log);
        if place.get() != space as u64 {
            place.set(space as u64);
            match space {
                Space::Ample => tracing::info!(?log, "there is room again"),
                Space::Tight => tracing::error!(?log, "no space for a segment: no new orders"),
                Space::Last => tracing::error!(?log, "no space left: only queries are answered"),
            }
        }
    }
}

/// Looks after the room of one log.
#[derive(Debug)]
pub(crate) struct RoomWatch {
    log: Log,
    /// When space for a segment was last looked for after there had been none.
    tried_ns: u64,
}

impl RoomWatch {
    pub(crate) const fn new(log: Log) -> Self {
        Self { log, tried_ns: 0 }
    }

    /// Says how the log stands. After each command, because a small segment is used up in no time;
    /// where there is no room, space is looked for again now and then.
    pub(crate) fn look(&mut self, writer: &mut JournalWriter, room: &Room, clock: &dyn Clock) {
        let space = writer.space();
        room.note(self.log, space);
        // Where there was no space, asking looks for it again.
        let asks = space == Space::Ample || self.is_due(clock.monotonic_ns());
        room.note_spare(self.log, asks && writer.spare_ready());
    }

    /// Whether space is to be looked for again; if so, the next time is later.
    const fn is_due(&mut self, now_ns: u64) -> bool {
        let is_due = now_ns.saturating_sub(self.tried_ns) >= ROOM_RETRY_NS;
        if is_due {
            self.tried_ns = now_ns;
        }
        is_due
    }

    /// Stores what was accepted, and waits for room where there is none: a full disk is no reason
    /// to drop it.
    ///
    /// # Errors
    /// As [`JournalWriter::store`], but for the want of space.
    pub(crate) fn store(
        &mut self,
        writer: &mut JournalWriter,
        room: &Room,
    ) -> Result<(), JournalError> {
        loop {
            match writer.store() {
                Err(JournalError::Full { .. }) => {
                    room.note(self.log, Space::Last);
                    thread::sleep(ROOM_RETRY);
                }
                outcome => return outcome,
            }
        }
    }
}
