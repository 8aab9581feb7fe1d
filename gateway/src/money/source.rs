//! Owns the reading of the exchange's event log for settlement.
//! Knows nothing of trades. Invariant: an event is shown only when its cause cannot be lost any
//! more and the views, which name what it numbers, have seen it.

use std::sync::Arc;

use engine::Engine;
use journal::SyncPolicy;
use pipeline::{Cursors, EventLogReader};
use settlement::{EventSource, SourceError, SourcedEvent};

use super::Venue;

/// A reader with a position of its own.
pub(super) struct EventLogSource {
    reader: EventLogReader<Engine>,
    cursors: Arc<Cursors>,
    sync: SyncPolicy,
    /// Read too early.
    ahead: Option<SourcedEvent>,
    /// Everything up to this command has been read.
    done: u64,
}

impl EventLogSource {
    /// The first event read is `from`.
    pub(super) fn open(venue: &Venue, from: u64) -> Result<Self, SourceError> {
        let reader = EventLogReader::open(&venue.data_dir, from);
        let reader = reader.map_err(|error| SourceError(error.to_string()))?;
        let cursors = Arc::clone(&venue.cursors);
        Ok(Self { reader, cursors, sync: venue.sync, ahead: None, done: 0 })
    }

    fn next(&mut self) -> Result<Option<SourcedEvent>, SourceError> {
        if let Some(event) = self.ahead.take() {
            return Ok(Some(event));
        }
        let logged = self.reader.next_event().map_err(|error| SourceError(error.to_string()))?;
        Ok(logged.map(|logged| SourcedEvent {
            event_sequence: logged.event_sequence,
            sequence: logged.input_sequence,
            timestamp_ns: logged.timestamp_ns,
            event: logged.event,
        }))
    }
}

impl EventSource for EventLogSource {
    fn read(&mut self, max: usize, into: &mut Vec<SourcedEvent>) -> Result<u64, SourceError> {
        // Taken before anything is read: what comes later belongs to the next reading.
        let until = self.cursors.lasting(self.sync).min(self.cursors.acked());
        // A look at the end of a log is a look into a directory: not for every poll.
        if until == self.done {
            return Ok(until);
        }
        while into.len() < max {
            match self.next()? {
                Some(event) if event.sequence <= until => into.push(event),
                late => {
                    (self.ahead, self.done) = (late, until);
                    break;
                }
            }
        }
        Ok(until)
    }
}
