//! Owns the event log, the durable outbox: what happened, numbered without a gap, in a log of its
//! own. Knows nothing of who reads it. Invariant: the log can be derived from the journal, so it is
//! synced now and then instead of before each reply, and a lost tail is written again by recovery.
//!
//! Payload of a record: input sequence u64, index u32 (both little-endian), encoding of the event.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use engine::{Codec, StateMachine};
use journal::{JournalError, JournalReader, JournalWriter, Record, RecordKind, fail_point};

use crate::clock::Clock;
use crate::counters::Counters;
use crate::error::PipelineError;
use crate::limits::{EVENT_LOG_SYNC_NS, WRITE_BACK_BYTES};
use crate::options::{event_log_id, events_dir};
use crate::room::{Log, RoomWatch};

/// Bytes in front of the event.
const PREFIX_BYTES: usize = 12;

/// Longest payload of one event log record, bytes.
pub(crate) const fn event_bytes_max<E: Codec>() -> usize {
    let bytes = PREFIX_BYTES + E::BYTES_MAX;
    assert!(bytes <= journal::limits::PAYLOAD_BYTES_MAX, "an event does not fit a record");
    bytes
}

/// Writes the payload of one record to `out`; returns its length in bytes.
pub(crate) fn encode_event<E: Codec>(
    sequence: u64,
    index: u32,
    event: &E,
    out: &mut [u8],
) -> usize {
    out[..8].copy_from_slice(&sequence.to_le_bytes());
    out[8..PREFIX_BYTES].copy_from_slice(&index.to_le_bytes());
    PREFIX_BYTES + event.encode_into(&mut out[PREFIX_BYTES..])
}

/// Splits the payload of an event log record into input sequence, index and the encoding of the
/// event; `None` where it is too short.
#[must_use]
pub fn split_payload(payload: &[u8]) -> Option<(u64, u32, &[u8])> {
    let (sequence, rest) = payload.split_first_chunk()?;
    let (index, event) = rest.split_first_chunk()?;
    Some((u64::from_le_bytes(*sequence), u32::from_le_bytes(*index), event))
}

/// The writing end; belongs to the publisher.
#[derive(Debug)]
pub(crate) struct EventLog<E> {
    writer: JournalWriter,
    /// When the last sync began, monotonic nanoseconds; meaningful while `unsynced`.
    synced_ns: u64,
    /// What had been stored then, bytes.
    synced_bytes: u64,
    unsynced: bool,
    /// Once the log belongs to a running pipeline: what it says about its room.
    room: Option<(RoomWatch, Arc<Counters>)>,
    event: PhantomData<fn(E)>,
}

impl<E: Codec> EventLog<E> {
    pub(crate) fn new(writer: JournalWriter) -> Self {
        Self {
            writer,
            synced_ns: 0,
            synced_bytes: 0,
            unsynced: false,
            room: None,
            event: PhantomData,
        }
    }

    /// Sequence of the last event, 0 in an empty log.
    pub(crate) const fn last_sequence(&self) -> u64 {
        self.writer.last_seq()
    }

    pub(crate) const fn writer_mut(&mut self) -> &mut JournalWriter {
        &mut self.writer
    }

    /// Adds the events of the input with this sequence and time, from index `first` on; they reach
    /// the file with `store`.
    pub(crate) fn append(
        &mut self,
        input: u64,
        timestamp_ns: u64,
        first: usize,
        events: &[E],
    ) -> Result<(), JournalError> {
        let bytes_max = const { event_bytes_max::<E>() };
        for (index, event) in events.iter().enumerate().skip(first) {
            if self.writer.group_is_full(bytes_max) {
                self.store()?;
            }
            let sequence = self.writer.last_seq() + 1;
            let index = u32::try_from(index).expect("fewer than 2^32 events in one command");
            self.writer.append(RecordKind::EVENT, sequence, timestamp_ns, bytes_max, |out| {
                encode_event(input, index, event, out)
            })?;
            self.unsynced = true;
        }
        Ok(())
    }

    /// Takes over a record of another copy of this log; it reaches the file with `store`.
    pub(crate) fn copy(&mut self, record: &Record<'_>) -> Result<(), JournalError> {
        let len = record.payload.len();
        if self.writer.group_is_full(len) {
            self.store()?;
        }
        self.unsynced = true;
        self.writer.append(RecordKind::EVENT, record.seq, record.ts_ns, len, |out| {
            out.copy_from_slice(record.payload);
            len
        })
    }

    /// From here on, waits for room instead of failing for the want of it, and says so.
    pub(crate) fn wait_for_room(&mut self, counters: Arc<Counters>) {
        self.room = Some((RoomWatch::new(Log::Events), counters));
    }

    /// Says how the log stands.
    pub(crate) fn look_for_room(&mut self, clock: &dyn Clock) {
        if let Some((watch, counters)) = &mut self.room {
            watch.look(&mut self.writer, &counters.room, clock);
        }
    }

    pub(crate) fn store(&mut self) -> Result<(), JournalError> {
        match &mut self.room {
            Some((watch, counters)) => watch.store(&mut self.writer, &counters.room),
            None => self.writer.store(),
        }
    }

    /// Begins a sync in the background when that is due, and hears of the one before; returns
    /// whether it did. Asks for the monotonic time only where there is something to sync.
    pub(crate) fn sync_if_due(&mut self, clock: &dyn Clock) -> Result<bool, JournalError> {
        self.writer.poll_sync()?;
        if !self.unsynced {
            return Ok(false);
        }
        let now_ns = clock.monotonic_ns();
        let stored_bytes = self.writer.stored_bytes();
        let is_due = now_ns.saturating_sub(self.synced_ns) >= EVENT_LOG_SYNC_NS
            || stored_bytes - self.synced_bytes >= WRITE_BACK_BYTES;
        let begins = is_due && self.writer.begin_sync()?;
        if begins {
            fail_point::hit("event-log-sync");
            (self.unsynced, self.synced_ns, self.synced_bytes) = (false, now_ns, stored_bytes);
        }
        Ok(begins)
    }

    /// Syncs what was stored.
    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        (self.unsynced, self.synced_bytes) = (false, self.writer.stored_bytes());
        self.writer.sync()
    }

    /// Stores and syncs everything.
    pub(crate) fn close(self) -> Result<(), JournalError> {
        self.writer.close()
    }
}

/// One record of the event log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedEvent<E> {
    /// Position in the event log: contiguous, the first is 1.
    pub event_sequence: u64,
    /// Sequence of the command that caused it.
    pub input_sequence: u64,
    /// Position among the events of that command, from 0.
    pub index: u32,
    /// Engine time of the command, nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    pub event: E,
}

/// The reading end: a cursor of its own, beside the writer or without one.
#[derive(Debug)]
pub struct EventLogReader<S: StateMachine> {
    reader: JournalReader,
    machine: PhantomData<fn() -> S>,
}

impl<S: StateMachine> EventLogReader<S> {
    /// Opens the event log of this machine; the first event read is `from` (the first of all is 1).
    ///
    /// # Errors
    /// The log is missing, damaged or of another machine.
    pub fn open(data_dir: &Path, from: u64) -> Result<Self, PipelineError> {
        let reader = JournalReader::open(&events_dir(data_dir), event_log_id::<S>(), from)?;
        Ok(Self { reader, machine: PhantomData })
    }

    /// The next event; `None` at the end, where a later call may find more.
    ///
    /// # Errors
    /// The log is damaged or holds something that is not an event.
    pub fn next_event(&mut self) -> Result<Option<LoggedEvent<S::Event>>, PipelineError> {
        let Some(record) = self.reader.next_record()? else { return Ok(None) };
        let event_sequence = record.seq;
        let malformed = |source| PipelineError::Event { event_sequence, source };
        let Some((input_sequence, index, bytes)) = split_payload(record.payload) else {
            let cause = "shorter than its prefix".to_owned();
            return Err(malformed(engine::CodecError::Malformed(cause)));
        };
        let event = S::Event::decode_from(bytes).map_err(malformed)?;
        let timestamp_ns = record.ts_ns;
        Ok(Some(LoggedEvent { event_sequence, input_sequence, index, timestamp_ns, event }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_bytes_are_frozen() {
        struct Byte(u8);
        impl Codec for Byte {
            const BYTES_MAX: usize = 1;
            fn encode_into(&self, out: &mut [u8]) -> usize {
                out[0] = self.0;
                1
            }
            fn decode_from(bytes: &[u8]) -> Result<Self, engine::CodecError> {
                Ok(Self(bytes[0]))
            }
        }
        let mut out = [0xFF; event_bytes_max::<Byte>()];
        let len = encode_event(0x0102, 3, &Byte(9), &mut out);
        assert_eq!(&out[..len], [2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9]);
        assert_eq!(split_payload(&out[..len]), Some((0x0102, 3, &[9][..])));
        assert_eq!(split_payload(&out[..11]), None);
    }
}
