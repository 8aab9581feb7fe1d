//! Owns what a pipeline can be told. Knows nothing of where the values come from.
//! Invariant: every value is checked before a file is touched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Codec, StateMachine};
use journal::{Storing, SyncPolicy};

use crate::bell::WaitMode;
use crate::configuration_hash::ConfigurationHash;
use crate::error::PipelineError;
use crate::limits;
use crate::progress::Listener;
use crate::slot::Control;

/// Bit that tells the event log of a machine from its journal.
const EVENT_LOG_BIT: u32 = 0x100;

/// How the journal and the event log are kept.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Size of new segment files of both logs, bytes.
    pub segment_bytes: u64,
    /// When a command counts as durable.
    pub sync: SyncPolicy,
    /// Alignment of journal groups, bytes; `None` takes what suits the policy.
    pub pad: Option<u32>,
    /// Accept any file system. For tests.
    pub allow_fs: bool,
    /// Commit of the build, kept in file headers for people.
    pub build_id: [u8; 20],
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: journal::limits::SEGMENT_BYTES_DEFAULT,
            sync: SyncPolicy::default(),
            pad: None,
            allow_fs: false,
            build_id: [0; 20],
        }
    }
}

/// Everything a pipeline is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Holds the lock, `journal/`, `events/` and, after a loss of power, `quarantine/`.
    pub data_dir: PathBuf,
    pub journal: JournalOptions,
    /// Slots of the input ring: a power of two.
    pub input_slots: usize,
    /// Slots of the output ring: a power of two.
    pub output_slots: usize,
    pub wait: WaitMode,
    /// Cores of [core, journaler, publisher], as positions in the list of allowed cores.
    pub pin: Option<[usize; 3]>,
    /// Threads that can publish at the same moment without waiting for each other.
    pub producers: usize,
    /// Replies that can wait at the same time.
    pub replies_max: usize,
    /// Most commands that a stage takes from the ring at once; for the publisher also the most
    /// whose output it keeps until they are durable.
    pub core_batch_max: usize,
    pub journaler_batch_max: usize,
    pub publisher_batch_max: usize,
    /// What this process was told: recorded with its start, and compared with the last one's.
    pub configuration: ConfigurationHash,
    /// Highest sequence that somebody outside has acted on and kept. A journal that ends before it
    /// has lost what was promised to last: the start is refused and nothing is trimmed. 0: nobody.
    pub witness_sequence: u64,
    /// Time from the begin of one reading of all sealed segments to that of the next; `None`:
    /// nobody reads them until a start needs them.
    pub scrub_every: Option<Duration>,
    /// Is told how far a start has come.
    pub progress: Option<Listener>,
}

impl Options {
    /// Defaults for one data directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            journal: JournalOptions::default(),
            input_slots: limits::INPUT_SLOTS_DEFAULT,
            output_slots: limits::OUTPUT_SLOTS_DEFAULT,
            wait: WaitMode::default(),
            pin: None,
            producers: limits::PRODUCERS_DEFAULT,
            replies_max: limits::REPLIES_DEFAULT,
            core_batch_max: limits::CORE_BATCH_DEFAULT,
            journaler_batch_max: limits::JOURNALER_BATCH_DEFAULT,
            publisher_batch_max: limits::PUBLISHER_BATCH_DEFAULT,
            configuration: ConfigurationHash::default(),
            witness_sequence: 0,
            scrub_every: None,
            progress: None,
        }
    }

    /// Refuses values outside their bounds. The journal checks its own part.
    pub(crate) fn check(&self) -> Result<(), PipelineError> {
        let slots = [
            ("input_slots", self.input_slots, limits::INPUT_SLOTS_MIN, limits::INPUT_SLOTS_MAX),
            ("output_slots", self.output_slots, limits::OUTPUT_SLOTS_MIN, limits::OUTPUT_SLOTS_MAX),
        ];
        let counts = [
            ("producers", self.producers, limits::PRODUCERS_MAX),
            ("replies_max", self.replies_max, limits::REPLIES_MAX),
            ("core_batch_max", self.core_batch_max, limits::BATCH_MAX),
            ("journaler_batch_max", self.journaler_batch_max, limits::BATCH_MAX),
            ("publisher_batch_max", self.publisher_batch_max, limits::BATCH_MAX),
        ];
        for (name, value, min, max) in slots {
            if !value.is_power_of_two() || !(min..=max).contains(&value) {
                let what = format!("{name} = {value}: expected a power of two, {min} to {max}");
                return Err(PipelineError::Configuration { what });
            }
        }
        for (name, value, max) in counts {
            if !(1..=max).contains(&value) {
                let what = format!("{name} = {value}: expected 1 to {max}");
                return Err(PipelineError::Configuration { what });
            }
        }
        Ok(())
    }

    /// What the journal of this machine is opened with, by a start that has everything up to
    /// `read_after` from elsewhere.
    pub(crate) fn journal_options<S: StateMachine>(&self, read_after: u64) -> journal::Options {
        let sync = self.journal.sync;
        let pad = self.journal.pad.unwrap_or(sync.default_pad());
        journal::Options {
            pad,
            storing: Storing::suited(sync, pad),
            witness_seq: self.witness_sequence,
            read_after,
            ..self.log_options::<S>(S::MACHINE_ID, sync)
        }
    }

    /// The same of the event log: it can be derived again and nobody waits for its syncs, so it
    /// never needs whole blocks, nor a file that was filled beforehand.
    pub(crate) fn event_log_options<S: StateMachine>(&self, read_after: u64) -> journal::Options {
        journal::Options {
            storing: Storing::Reserved,
            read_after,
            ..self.log_options::<S>(event_log_id::<S>(), SyncPolicy::Os)
        }
    }

    fn log_options<S: StateMachine>(&self, machine_id: u32, sync: SyncPolicy) -> journal::Options {
        journal::Options {
            segment_bytes: self.journal.segment_bytes,
            allow_fs: self.journal.allow_fs,
            schema_hash: S::schema_hash(),
            build_id: self.journal.build_id,
            ..journal::Options::new(machine_id, sync)
        }
    }
}

pub(crate) fn journal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}

pub(crate) fn events_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("events")
}

/// Where an event log is written that will replace the one that is there.
pub(crate) fn events_draft_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("events.new")
}

/// Where an event log goes that has to be written anew.
pub(crate) fn quarantine_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("quarantine")
}

/// Names the event log of a machine in its file headers.
pub(crate) const fn event_log_id<S: StateMachine>() -> u32 {
    EVENT_LOG_BIT | S::MACHINE_ID
}

/// Longest payload of one journal record, bytes.
pub(crate) const fn input_bytes_max<C: Codec>() -> usize {
    let bytes = if C::BYTES_MAX > Control::BYTES_MAX { C::BYTES_MAX } else { Control::BYTES_MAX };
    assert!(bytes <= journal::limits::PAYLOAD_BYTES_MAX, "a command does not fit a record");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_met_and_not_passed() {
        type Set = fn(&mut Options, usize);
        let table: [(Set, usize, usize, usize); 7] = [
            (|o, v| o.input_slots = v, 64, 1 << 20, 2),
            (|o, v| o.output_slots = v, 2, 1 << 22, 2),
            (|o, v| o.producers = v, 1, 64, 1),
            (|o, v| o.replies_max = v, 1, 1 << 20, 1),
            (|o, v| o.core_batch_max = v, 1, 8192, 1),
            (|o, v| o.journaler_batch_max = v, 1, 8192, 1),
            (|o, v| o.publisher_batch_max = v, 1, 8192, 1),
        ];
        for (set, min, max, factor) in table {
            let verdict = |value| {
                let mut options = Options::new("unused");
                set(&mut options, value);
                options.check().map_err(|error| error.exit_code())
            };
            assert_eq!((verdict(min), verdict(max)), (Ok(()), Ok(())));
            assert_eq!((verdict(min / 2), verdict(max + 1)), (Err(78), Err(78)));
            assert_eq!(verdict(max * factor).is_err(), factor == 2, "the next power of two");
        }
    }

    #[test]
    fn rings_are_powers_of_two() {
        let options = Options { input_slots: 96, ..Options::new("unused") };
        assert_eq!(options.check().unwrap_err().exit_code(), 78);
    }
}
