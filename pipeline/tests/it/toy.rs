//! Owns a state machine small enough to predict: a running sum.
//! Invariant: its events tell the sequence and the time of their frame, so tests can check both.

use engine::{Codec, CodecError, EventBuffer, Frame, RestoreError, SnapshotReader, StateMachine};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Command {
    #[default]
    Noop,
    /// Adds to the sum; one event.
    Add(u64),
    /// Adds to the sum; no event.
    AddSilently(u64),
    /// This many events.
    Burst(u64),
    /// A broken invariant.
    Panic,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) timestamp_ns: u64,
    pub(crate) value: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) total: u64,
    last_sequence: u64,
    last_timestamp_ns: u64,
}

fn malformed(bytes: &[u8]) -> CodecError {
    CodecError::Malformed(format!("{} bytes", bytes.len()))
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

impl Codec for Command {
    const BYTES_MAX: usize = 9;

    fn encode_into(&self, out: &mut [u8]) -> usize {
        let (tag, value) = match *self {
            Self::Noop => (0, 0),
            Self::Add(value) => (1, value),
            Self::AddSilently(value) => (2, value),
            Self::Burst(count) => (3, count),
            Self::Panic => (4, 0),
        };
        out[0] = tag;
        out[1..9].copy_from_slice(&u64::to_le_bytes(value));
        9
    }

    fn decode_from(bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.len() != Self::BYTES_MAX {
            return Err(malformed(bytes));
        }
        let value = word(&bytes[1..]);
        match bytes[0] {
            0 => Ok(Self::Noop),
            1 => Ok(Self::Add(value)),
            2 => Ok(Self::AddSilently(value)),
            3 => Ok(Self::Burst(value)),
            4 => Ok(Self::Panic),
            _ => Err(malformed(bytes)),
        }
    }
}

impl Codec for Event {
    const BYTES_MAX: usize = 24;

    fn encode_into(&self, out: &mut [u8]) -> usize {
        for (place, value) in
            out.chunks_exact_mut(8).zip([self.sequence, self.timestamp_ns, self.value])
        {
            place.copy_from_slice(&value.to_le_bytes());
        }
        Self::BYTES_MAX
    }

    fn decode_from(bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.len() != Self::BYTES_MAX {
            return Err(malformed(bytes));
        }
        let (sequence, rest) = bytes.split_at(8);
        let (timestamp_ns, value) = rest.split_at(8);
        Ok(Self { sequence: word(sequence), timestamp_ns: word(timestamp_ns), value: word(value) })
    }
}

impl StateMachine for Sum {
    type Command = Command;
    type Event = Event;

    const MACHINE_ID: u32 = 1;

    const TABLES: &'static [&'static str] = &["total"];

    fn tables(&self, mut show: impl FnMut(u64, u64)) {
        show(self.total, u64::MAX);
    }

    fn schema_hash() -> [u8; 32] {
        [7; 32]
    }

    fn apply(&mut self, frame: &Frame<Command>, events: &mut EventBuffer<Event>) {
        assert_eq!(frame.sequence, self.last_sequence + 1, "gap");
        assert!(frame.timestamp_ns >= self.last_timestamp_ns, "time runs backwards");
        self.last_sequence = frame.sequence;
        self.last_timestamp_ns = frame.timestamp_ns;
        let event =
            |value| Event { sequence: frame.sequence, timestamp_ns: frame.timestamp_ns, value };
        match frame.command {
            Command::Noop => {}
            Command::Add(value) => {
                self.total += value;
                events.push(event(self.total));
            }
            Command::AddSilently(value) => self.total += value,
            Command::Burst(count) => (0..count).for_each(|value| events.push(event(value))),
            Command::Panic => panic!("asked to panic"),
        }
    }

    fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn last_timestamp_ns(&self) -> u64 {
        self.last_timestamp_ns
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        for value in [self.total, self.last_sequence, self.last_timestamp_ns] {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn restore(self, bytes: &[u8]) -> Result<Self, RestoreError> {
        assert_eq!(self, Self::default(), "not a fresh one");
        let mut from = SnapshotReader::new(bytes);
        let (total, last_sequence, last_timestamp_ns) = from.read("sum")?;
        from.finish()?;
        Ok(Self { total, last_sequence, last_timestamp_ns })
    }
}
