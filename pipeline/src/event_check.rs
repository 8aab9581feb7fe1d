//! Owns the comparison of events that a machine says again with those that were logged.
//! Knows nothing of why. Invariant: events are compared in the order of the log, byte for byte.

use engine::{Frame, StateMachine};
use journal::{JournalError, JournalReader, Record};
use std::path::Path;

use crate::error::PipelineError;
use crate::event_log::{encode_event, event_bytes_max};
use crate::options::{event_log_id, events_dir};

/// A reader of an event log that knows what comes next.
pub(crate) struct EventCheck<S: StateMachine> {
    reader: JournalReader,
    /// Last event that was compared.
    compared: u64,
    payload: Vec<u8>,
    machine: std::marker::PhantomData<fn() -> S>,
}

impl<S: StateMachine> EventCheck<S> {
    /// Compares from the event behind `after` on.
    pub(crate) fn open(data_dir: &Path, after: u64) -> Result<Self, JournalError> {
        Ok(Self {
            reader: JournalReader::open(&events_dir(data_dir), event_log_id::<S>(), after + 1)?,
            compared: after,
            payload: vec![0; event_bytes_max::<S::Event>()],
            machine: std::marker::PhantomData,
        })
    }

    /// Sequence of the last event that was compared.
    pub(crate) const fn compared(&self) -> u64 {
        self.compared
    }

    /// The next event of the log, without a comparison; `None` at its end.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        self.reader.next_record()
    }

    /// Compares the event at `position` of a frame with the next one of the log, which is there.
    ///
    /// # Errors
    /// They differ, or the log ends or cannot be read.
    pub(crate) fn check(
        &mut self,
        frame: &Frame<S::Command>,
        position: usize,
        event: &S::Event,
    ) -> Result<(), PipelineError> {
        let sequence = frame.sequence;
        let index = u32::try_from(position).expect("fewer than 2^32 events in one command");
        let missing = PipelineError::EventMissing { sequence, index };
        let logged = self.reader.next_record()?.ok_or(missing)?;
        let len = encode_event(sequence, index, event, &mut self.payload);
        if logged.payload != &self.payload[..len] || logged.ts_ns != frame.timestamp_ns {
            let event_sequence = logged.seq;
            return Err(PipelineError::EventMismatch { sequence, index, event_sequence });
        }
        self.compared += 1;
        Ok(())
    }
}
