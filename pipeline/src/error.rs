//! Owns what can stop a pipeline from starting. Knows nothing of business refusals.
//! Invariant: each error says what was found where, and which exit status it deserves.

use std::io;

use engine::{CodecError, RestoreError};
use journal::{JournalError, RecoverError};

use crate::slot::ControlError;

/// Exit status when a person has to look. No log was modified, with one exception: where the event
/// log ended before the journal, events may have been appended to it before a record was met that
/// is whole, but that this build cannot read.
const EXIT_HALT: i32 = 70;
/// Exit status when configuration or system refuse.
const EXIT_CONFIGURATION: i32 = 78;

/// Why a pipeline does not start, or a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A log cannot be opened, read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An option is out of its bounds.
    #[error("configuration: {what}")]
    Configuration { what: String },
    /// The system refuses a thread.
    #[error("starting stage thread {name}")]
    Thread { name: &'static str, source: io::Error },
    /// A stored command that this build cannot read, although the schema matches.
    #[error("journal: command at sequence {sequence} cannot be decoded")]
    Command { sequence: u64, source: CodecError },
    /// A stored control record that this build cannot read.
    #[error("journal: control record at sequence {sequence} cannot be decoded")]
    Control { sequence: u64, source: ControlError },
    /// A record kind that this pipeline never writes.
    #[error("journal: record of an unexpected kind at sequence {sequence}")]
    Kind { sequence: u64 },
    /// The journal does not begin where the machine stands, or leaves something out.
    #[error("journal: sequence {found} where {expected} was expected")]
    Gap { expected: u64, found: u64 },
    /// A snapshot without something that this build needs.
    #[error("snapshot {sequence} has no part {part}")]
    SnapshotPart { sequence: u64, part: &'static str },
    /// A whole part of a snapshot that no sound state has.
    #[error("snapshot {sequence}, part {part}: {source}")]
    SnapshotRestore { sequence: u64, part: &'static str, source: RestoreError },
    /// A state that is not where its snapshot says.
    #[error("snapshot {sequence} holds the state at {found}")]
    SnapshotElsewhere { sequence: u64, found: u64 },
    /// A state that was read back and is not the one that was written.
    #[error("snapshot {sequence} read back is another state")]
    SnapshotDiffers { sequence: u64 },
    /// A stored event that this build cannot read.
    #[error("event log: event {event_sequence} cannot be decoded")]
    Event { event_sequence: u64, source: CodecError },
    /// The event log holds something else than what replay produces.
    #[error(
        "event log: event {event_sequence} differs from event {index} of sequence {sequence} as \
         replayed"
    )]
    EventMismatch { sequence: u64, index: u32, event_sequence: u64 },
    /// The event log ends before an event that it had promised to hold.
    #[error("event log: event {index} of sequence {sequence} is not there")]
    EventMissing { sequence: u64, index: u32 },
    /// The event log goes on where the journal has ended, and the journal had promised to keep what
    /// it has lost, or the last command has caused more events than replay produces.
    #[error(
        "event log: event {event_sequence} belongs to sequence {sequence}, but replay ended at \
         {replayed}"
    )]
    EventLogAhead { event_sequence: u64, sequence: u64, replayed: u64 },
}

impl PipelineError {
    /// Status with which the process should exit: 70 a person has to look and no log was modified
    /// (but for events completed before a record that cannot be decoded), 75 another process holds
    /// the directory, 78 configuration or file system, 134 an I/O failure for which a restart is
    /// right.
    #[must_use]
    pub const fn exit_code(&self) -> i32 {
        match self {
            Self::Journal(error) => error.exit_code(),
            Self::Configuration { .. } | Self::Thread { .. } => EXIT_CONFIGURATION,
            Self::Command { .. }
            | Self::Control { .. }
            | Self::Kind { .. }
            | Self::Gap { .. }
            | Self::SnapshotPart { .. }
            | Self::SnapshotRestore { .. }
            | Self::SnapshotElsewhere { .. }
            | Self::SnapshotDiffers { .. }
            | Self::Event { .. }
            | Self::EventMismatch { .. }
            | Self::EventMissing { .. }
            | Self::EventLogAhead { .. } => EXIT_HALT,
        }
    }
}

impl From<RecoverError<Self>> for PipelineError {
    fn from(error: RecoverError<Self>) -> Self {
        match error {
            RecoverError::Journal(error) => Self::Journal(error),
            RecoverError::Visit(error) => error,
        }
    }
}
