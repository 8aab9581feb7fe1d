//! Owns rebuilding the machine from its journal and proving the event log by it.
//! Knows nothing of threads and rings; calls the same body as the core does.
//! Invariant: both logs are read and judged, and what the event log holds is compared, before
//! anything is changed in either of them.

use std::path::{Path, PathBuf};

use engine::{Codec, EventBuffer, Frame, StateMachine};
use journal::{
    DirectoryLock, JournalReader, JournalWriter, Record, RecordKind, RecoveryReport, TailCase,
    fail_point,
};

use crate::clock::{Clock, SystemClock};
use crate::configuration_hash::ConfigurationHash;
use crate::counters::ReplayCounters;
use crate::error::PipelineError;
use crate::event_log::EventLog;
use crate::instance::Instance;
use crate::limits::{EVENTS_RESERVED, LOCK_PATIENCE};
use crate::options::{Options, journal_dir};
use crate::progress::Telling;
use crate::proof::{Begin, Proof, Proven, finish_swap};
use crate::slot::Control;
use crate::snapshots::{self, Base};
use crate::stages::apply::apply_frame;

/// What replay went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    commands: u64,
    controls: u64,
    events: u64,
}

/// What recovery found and did.
#[derive(Debug)]
pub struct ReplayReport {
    /// Sequence of the snapshot that the replay began with; 0 for the beginning of the journal.
    pub snapshot: u64,
    /// Commands and control inputs replayed.
    pub commands: u64,
    pub controls: u64,
    /// Events that the event log held, byte for byte as replayed.
    pub events_compared: u64,
    /// Events that were lost from the event log and written again.
    pub events_appended: u64,
    pub last_sequence: u64,
    pub last_event_sequence: u64,
    /// What the last start was told; zeros where there was none, or it did not say.
    pub configuration: ConfigurationHash,
    /// What reading and replaying the journal took, nanoseconds.
    pub replay_ns: u64,
    /// What the logs themselves report.
    pub journal: RecoveryReport,
    pub event_log: RecoveryReport,
    /// Where the event log went that held events of commands lost from the journal.
    pub event_log_set_aside: Option<PathBuf>,
}

impl ReplayReport {
    /// Says what was found where a scrape looks for it.
    pub(crate) fn count(&self, counters: &ReplayCounters) {
        for (log, counters) in
            [(&self.journal, &counters.journal), (&self.event_log, &counters.events)]
        {
            counters.groups.set(log.groups);
            counters.trimmed_bytes.set(log.trimmed_bytes);
        }
        counters.inputs.set(self.commands + self.controls);
        counters.ns.set(self.replay_ns);
    }
}

/// A machine at the end of its journal, with both logs open behind it.
#[derive(Debug)]
pub struct Recovered<S: StateMachine> {
    pub instance: Instance<S>,
    pub report: ReplayReport,
    pub(crate) journal: JournalWriter,
    pub(crate) event_log: EventLog<S::Event>,
    pub(crate) lock: DirectoryLock,
}

impl<S: StateMachine> Recovered<S> {
    /// The writers of the journal and of the event log, for layers over their sinks that record or
    /// fail. Whoever appends here breaks the numbering.
    pub fn writers_mut(&mut self) -> (&mut JournalWriter, &mut JournalWriter) {
        (&mut self.journal, self.event_log.writer_mut())
    }
}

/// What a read-only replay came to.
#[derive(Debug)]
pub struct ReplaySummary<S> {
    pub machine: S,
    pub commands: u64,
    pub controls: u64,
    pub events: u64,
    pub last_sequence: u64,
}

/// Takes the lock of the data directory, gives a `fresh` instance the state of the newest snapshot
/// that can be used, replays what the journal has behind it, or all of it, compares the regenerated
/// events with the event log, writes those that are missing there, and shows every frame to the
/// outlets. `fresh` is asked again where a snapshot turns out to be none; the last instance that it
/// made is the one that is used.
///
/// A power cut under a policy that does not wait for syncs may leave an event log that knows of
/// commands which the journal has lost. That log is moved to `quarantine/` and written again up to
/// the end of the journal.
///
/// # Errors
/// Another process holds the directory; a log is damaged beyond a torn end; a record cannot be
/// decoded; the event log differs from the replayed events or goes on behind them. See
/// [`PipelineError::exit_code`].
///
/// # Panics
/// If the machine of a `fresh` instance has applied anything before.
pub fn recover<S: StateMachine>(
    options: &Options,
    fresh: impl FnMut() -> Instance<S>,
) -> Result<Recovered<S>, PipelineError> {
    options.check()?;
    let lock = DirectoryLock::acquire_within(&options.data_dir, LOCK_PATIENCE)?;
    finish_swap(options)?;
    let Base {
        mut instance,
        sequence: base,
        event_sequence,
        configuration,
        bad,
        judged_after,
        witness,
    } = Base::choose(options, fresh)?;
    fail_point::hit("snapshot-loaded");
    let witness_sequence = options.witness_sequence.max(witness);
    let options = &Options { witness_sequence, ..options.clone() };
    assert_eq!(instance.machine.last_sequence(), base, "recovery begins with something fresh");
    let begin = Begin { sequence: base, event_sequence, judged_after };
    let mut proof = Proof::<S>::open(options, begin)?;
    let mut replay = Replay::<S>::new();
    let dir = journal_dir(&options.data_dir);
    let mut telling = Telling::new(options.progress.as_ref(), &dir)?;
    let clock = SystemClock::new();
    let journal_options = options.journal_options::<S>(base);
    let mut examined = journal::examine(&dir, &journal_options, |record| {
        if let Some((frame, events)) = replay.apply(&mut instance.machine, &record)? {
            proof.check(&frame, events)?;
            instance.show(&frame, events);
            telling.replayed(frame.sequence);
        }
        Ok::<_, PipelineError>(())
    })?;
    let replay_ns = clock.monotonic_ns();
    fail_point::hit("replay-done");
    let last_sequence = instance.machine.last_sequence();
    telling.over(last_sequence);
    let Proven { event_log, compared, report: event_log_report, set_aside } =
        proof.finish(&mut examined, last_sequence)?;
    fail_point::hit("event-log-whole");
    let (journal, journal_report) = examined.open()?;
    set_bad::<S>(options, &bad)?;
    instance.end_batch();
    let Tally { commands, controls, events } = replay.tally;
    let report = ReplayReport {
        snapshot: base,
        commands,
        controls,
        events_compared: compared,
        events_appended: events - compared,
        last_sequence,
        last_event_sequence: event_log.last_sequence(),
        configuration: replay.configuration.unwrap_or(configuration),
        replay_ns,
        journal: journal_report,
        event_log: event_log_report,
        event_log_set_aside: set_aside,
    };
    tell(&report);
    Ok(Recovered { instance, report, journal, event_log, lock })
}

/// Takes what turned out to be no snapshot out of the way of the next start.
fn set_bad<S: StateMachine>(options: &Options, bad: &[u64]) -> Result<(), PipelineError> {
    if let Some(store) = snapshots::store::<S>(options)? {
        for sequence in bad {
            store.set_bad(*sequence)?;
        }
    }
    Ok(())
}

/// Tells people what a start came to.
fn tell(report: &ReplayReport) {
    warn_of_loss("journal", &report.journal);
    warn_of_loss("event log", &report.event_log);
    tell_sync_bytes(&report.journal);
    tracing::info!(
        snapshot = report.snapshot,
        commands = report.commands,
        last_sequence = report.last_sequence,
        events = report.events_compared + report.events_appended,
        events_appended = report.events_appended,
        "journal replayed"
    );
}

/// Tells people what a log has lost, and what was repaired in it.
fn warn_of_loss(log: &'static str, report: &RecoveryReport) {
    let is_whole = matches!(report.case, TailCase::Clean | TailCase::Fresh | TailCase::Sealed);
    if is_whole && report.header_copies_damaged == 0 {
        return;
    }
    tracing::warn!(
        log,
        case = %report.case,
        last_sequence = report.last_seq,
        trimmed_bytes = report.trimmed_bytes,
        quarantined = report.quarantined.as_deref().map(tracing::field::debug),
        lost_sequence = report.lost_seq,
        header_copies_damaged = report.header_copies_damaged,
        "a log was repaired"
    );
}

/// Tells people what one sync of a few bytes costs the device. Too much wears it out and makes the
/// exchange slow, but nothing is wrong; other writers on the device may have been counted, too.
fn tell_sync_bytes(journal: &RecoveryReport) {
    let Some(bytes) = journal.sync_bytes else {
        tracing::info!("what a sync writes to the device could not be measured");
        return;
    };
    if bytes > journal::limits::SYNC_BYTES_MAX {
        let expected = journal::limits::SYNC_BYTES_MAX;
        tracing::warn!(bytes, expected, "a sync of a few bytes writes a lot to the device");
    } else {
        tracing::info!(bytes, "a sync of a few bytes writes this to the device");
    }
}

/// Replays the journal into `machine` (a fresh one) and touches nothing: no lock, no repair, no
/// event log. A torn end is where the replay ends.
///
/// # Errors
/// The journal is missing, damaged, or holds what this build cannot read.
pub fn replay<S: StateMachine>(
    data_dir: &Path,
    mut machine: S,
) -> Result<ReplaySummary<S>, PipelineError> {
    let mut reader = JournalReader::open(&journal_dir(data_dir), S::MACHINE_ID, 1)?;
    let mut replay = Replay::<S>::new();
    while let Some(record) = reader.next_record()? {
        replay.apply(&mut machine, &record)?;
    }
    let Tally { commands, controls, events } = replay.tally;
    let last_sequence = machine.last_sequence();
    Ok(ReplaySummary { machine, commands, controls, events, last_sequence })
}

/// A frame with the events that it caused.
type Replayed<'a, S> = (Frame<<S as StateMachine>::Command>, &'a [<S as StateMachine>::Event]);

/// Feeds records to a machine.
pub(crate) struct Replay<S: StateMachine> {
    events: EventBuffer<S::Event>,
    tally: Tally,
    /// What the last start among the records was told.
    configuration: Option<ConfigurationHash>,
}

impl<S: StateMachine> Replay<S> {
    pub(crate) fn new() -> Self {
        let events = EventBuffer::with_capacity(EVENTS_RESERVED);
        Self { events, tally: Tally::default(), configuration: None }
    }

    /// Applies one record; returns its frame and events, or nothing for a record without an input.
    pub(crate) fn apply(
        &mut self,
        machine: &mut S,
        record: &Record<'_>,
    ) -> Result<Option<Replayed<'_, S>>, PipelineError> {
        let sequence = record.seq;
        let command = match record.kind {
            RecordKind::Command => {
                self.tally.commands += 1;
                S::Command::decode_from(record.payload)
                    .map_err(|source| PipelineError::Command { sequence, source })?
            }
            RecordKind::Control => {
                self.tally.controls += 1;
                let control = Control::decode_from(record.payload)
                    .map_err(|source| PipelineError::Control { sequence, source })?;
                if let Control::EpochStart { configuration, .. } = control {
                    self.configuration = Some(configuration);
                }
                S::Command::default()
            }
            RecordKind::Digest | RecordKind::Seal => return Ok(None),
            RecordKind::Timer | RecordKind::External => {
                return Err(PipelineError::Kind { sequence });
            }
        };
        let expected = machine.last_sequence() + 1;
        if sequence != expected {
            return Err(PipelineError::Gap { expected, found: sequence });
        }
        let frame = Frame { sequence, timestamp_ns: record.ts_ns, command };
        apply_frame(machine, &frame, &mut self.events);
        self.tally.events += self.events.len() as u64;
        Ok(Some((frame, self.events.as_slice())))
    }
}
