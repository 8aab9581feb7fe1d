//! One record as callers see it.
//!
//! Must not know: what the payload means. Invariant: kinds below 0x100 consume a sequence, others
//! carry that of the sequenced record before them.

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum RecordKind {
    /// An input of the state machine; in an event log, an event.
    Command = 1,
    /// Start of an epoch, configuration, halt, request for a state hash.
    Control = 2,
    /// Time that passed.
    Timer = 3,
    /// A reply from outside.
    External = 4,
    /// Rolling digest of the events so far.
    Digest = 0x101,
    /// End of a segment; written by the log itself.
    Seal = 0x102,
}

impl RecordKind {
    /// The one sequenced kind of an event log; its number is that of `Command`.
    pub const EVENT: Self = Self::Command;

    /// Whether a record of this kind consumes a sequence.
    #[must_use]
    pub const fn is_sequenced(self) -> bool {
        (self as u16) < 0x100
    }

    /// The kind with this number in a log of this machine; event logs know fewer kinds.
    pub(crate) const fn from_number(number: u16, machine_id: u32) -> Option<Self> {
        let events = machine_id & 0x100 != 0;
        match number {
            1 => Some(Self::Command),
            2 if !events => Some(Self::Control),
            3 if !events => Some(Self::Timer),
            4 if !events => Some(Self::External),
            0x101 => Some(Self::Digest),
            0x102 => Some(Self::Seal),
            _ => None,
        }
    }
}

/// A verified record, borrowed from the reader's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub kind: RecordKind,
    /// Reserved, 0.
    pub flags: u16,
    /// Sequence of this record, or of the sequenced record before it.
    pub seq: u64,
    /// Time of the state machine, ns; never decreases within a log.
    pub ts_ns: u64,
    pub payload: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_per_log() {
        for number in 0..0x200u16 {
            let commands = RecordKind::from_number(number, 1);
            assert_eq!(commands.is_some(), matches!(number, 1..=4 | 0x101 | 0x102), "{number}");
            assert!(commands.is_none_or(|kind| kind as u16 == number));
            let events = RecordKind::from_number(number, 0x101);
            assert_eq!(events.is_some(), matches!(number, 1 | 0x101 | 0x102), "{number}");
        }
        assert!(RecordKind::External.is_sequenced());
        assert!(!RecordKind::Digest.is_sequenced());
    }
}
