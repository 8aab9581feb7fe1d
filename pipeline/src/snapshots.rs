//! Owns snapshots of a pipeline: which one a start begins with, and how one is written and proved.
//! Knows nothing of when. Invariant: a snapshot is in force only after a fresh instance that was
//! made from what the disk gives back has the same state, and both logs have reached the disk.

use engine::StateMachine;
use journal::limits::SNAPSHOTS_KEPT_MIN;
use journal::{
    Draft, JournalError, Retention, SnapshotMeta, SnapshotStore, retire_segments, sync_stored,
};

use crate::error::PipelineError;
use crate::instance::Instance;
use crate::options::{Options, events_dir, journal_dir};
use crate::recovery::Recovered;
use crate::snapshot_desk::SnapshotPolicy;

/// Where a replay begins.
pub(crate) struct Base<S: StateMachine> {
    pub(crate) instance: Instance<S>,
    /// Last command and last event that it holds; 0 at the very beginning.
    pub(crate) sequence: u64,
    pub(crate) event_sequence: u64,
    /// Snapshots that were found damaged.
    pub(crate) bad: Vec<u64>,
    /// Event up to which the event log need not be judged, because all of it that matters is
    /// compared: one in its last segment.
    pub(crate) judged_after: u64,
    /// Last command of a newer snapshot that lacks its events: it cannot be begun with, but what it
    /// holds had been on the disk.
    pub(crate) witness: u64,
}

/// What was put in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotTaken {
    /// Last command in it.
    pub sequence: u64,
    /// Length of the file.
    pub bytes: u64,
    /// BLAKE3 of the machine's canonical encoding.
    pub state_hash: [u8; 32],
}

/// The snapshots of a data directory; `None` where there is no journal yet.
pub(crate) fn store<S: StateMachine>(
    options: &Options,
) -> Result<Option<SnapshotStore>, JournalError> {
    let dir = journal_dir(&options.data_dir);
    SnapshotStore::open(&dir, S::MACHINE_ID, S::schema_hash(), options.journal.allow_fs)
}

impl<S: StateMachine> Base<S> {
    /// The newest snapshot that can be used, or else the beginning. Nothing is changed.
    pub(crate) fn choose(
        options: &Options,
        mut fresh: impl FnMut() -> Instance<S>,
    ) -> Result<Self, PipelineError> {
        let (mut bad, mut witness) = (Vec::new(), 0);
        // A log that cannot be looked at is judged by the start itself, from its beginning.
        let log = journal::stat(&events_dir(&options.data_dir));
        let (logged, newest) = log.map_or((0, 0), |log| (log.last_seq, log.newest_segment_seq));
        let judged_after = logged.min(newest);
        if let Some(store) = store::<S>(options)? {
            for sequence in store.list()? {
                match load(&store, sequence, fresh()) {
                    Ok((_, event_sequence)) if event_sequence > logged => {
                        witness = witness.max(sequence);
                        tracing::warn!(
                            sequence,
                            "events before a snapshot are not in the event log"
                        );
                    }
                    Ok((instance, event_sequence)) => {
                        let judged_after = judged_after.max(event_sequence);
                        return Ok(Self {
                            instance,
                            sequence,
                            event_sequence,
                            bad,
                            judged_after,
                            witness,
                        });
                    }
                    Err(error) => {
                        tracing::error!(sequence, %error, "a snapshot cannot be used");
                        if !is_of_another_version(&error) {
                            bad.push(sequence);
                        }
                    }
                }
            }
        }
        let (sequence, event_sequence) = (0, 0);
        Ok(Self { instance: fresh(), sequence, event_sequence, bad, judged_after, witness })
    }
}

/// A build of another version may be able to use it.
const fn is_of_another_version(error: &PipelineError) -> bool {
    matches!(error, PipelineError::Journal(JournalError::VersionUnsupported { .. }))
}

/// Gives a fresh instance the state of a snapshot; returns it with the last event it has caused.
fn load<S: StateMachine>(
    store: &SnapshotStore,
    sequence: u64,
    fresh: Instance<S>,
) -> Result<(Instance<S>, u64), PipelineError> {
    let snapshot = store.load(sequence)?;
    let instance = fresh.restored(&snapshot)?;
    Ok((instance, snapshot.meta().event_seq))
}

/// A snapshot on the disk that nobody has read yet.
pub(crate) struct Written<'a> {
    draft: Draft<'a>,
    sequence: u64,
    state_hash: [u8; 32],
}

/// Segments that both logs must find room for besides a snapshot.
const SEGMENTS_LEFT: u64 = 4;

/// Writes a snapshot of an instance. `meta` tells what the instance does not know of itself.
///
/// # Errors
/// It could not be written; nothing of it stays.
pub(crate) fn write<'a, S: StateMachine>(
    options: &Options,
    store: &'a SnapshotStore,
    instance: &Instance<S>,
    meta: SnapshotMeta,
) -> Result<Written<'a>, PipelineError> {
    let sequence = instance.machine.last_sequence();
    let state_hash = instance.machine.state_hash();
    let ts_ns = instance.machine.last_timestamp_ns();
    let meta = SnapshotMeta { seq: sequence, ts_ns, state_hash, ..meta };
    let parts = instance.parts();
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, part)| (*name, &part[..])).collect();
    let leave = SEGMENTS_LEFT * options.journal.segment_bytes;
    let draft = store.write(&meta, &parts, leave)?;
    Ok(Written { draft, sequence, state_hash })
}

/// Makes a `fresh` instance from what the disk gives back, and puts the snapshot in force if it has
/// the state that was written. What does not pass is kept under another name.
///
/// # Errors
/// Nothing is in force that was not before.
pub(crate) fn put_in_force<S: StateMachine>(
    options: &Options,
    written: Written<'_>,
    fresh: Instance<S>,
) -> Result<SnapshotTaken, PipelineError> {
    let Written { draft, sequence, state_hash } = written;
    let proved = draft.load().map_err(PipelineError::from).and_then(|snapshot| {
        let read_back = fresh.restored(&snapshot)?;
        let is_same = read_back.machine.state_hash() == state_hash;
        let differs = PipelineError::SnapshotDiffers { sequence };
        if is_same { Ok(snapshot.file_bytes()) } else { Err(differs) }
    });
    match proved {
        Ok(bytes) => {
            // A start from here does not make up for events or commands that came before it.
            sync_stored(&journal_dir(&options.data_dir))?;
            sync_stored(&events_dir(&options.data_dir))?;
            draft.put_in_force()?;
            Ok(SnapshotTaken { sequence, bytes, state_hash })
        }
        Err(error) => {
            draft.set_bad()?;
            Err(error)
        }
    }
}

/// Takes a snapshot of what recovery came to, closes both logs and gives the directory back.
///
/// # Errors
/// As [`crate::SnapshotPolicy::check`]; or there is no snapshot that was not there before.
pub fn take_snapshot<S: StateMachine>(
    recovered: Recovered<S>,
    options: &Options,
    policy: &SnapshotPolicy,
    fresh: Instance<S>,
) -> Result<SnapshotTaken, PipelineError> {
    policy.check()?;
    let Recovered { instance, report, journal, event_log, lock } = recovered;
    let meta = SnapshotMeta {
        event_seq: report.last_event_sequence,
        previous_seq: report.snapshot,
        epoch: journal.epoch(),
        ..SnapshotMeta::default()
    };
    journal.close()?;
    event_log.close()?;
    let store = store::<S>(options)?.expect("what was recovered has a journal");
    let written = write(options, &store, &instance, meta)?;
    drop(instance);
    let taken = put_in_force(options, written, fresh)?;
    clear(options, &store, policy.kept, policy.retention)?;
    drop(lock);
    Ok(taken)
}

/// Removes what is not needed besides the newest `kept` snapshots: older ones, and segments of the
/// journal that come before all of them, as `retention` says.
///
/// # Errors
/// The oldest snapshot that stays cannot be read; or a system call failed.
pub(crate) fn clear(
    options: &Options,
    store: &SnapshotStore,
    kept: usize,
    retention: Retention,
) -> Result<(), PipelineError> {
    store.prune(kept)?;
    let snapshots = store.list()?;
    if retention == Retention::Keep || snapshots.len() < SNAPSHOTS_KEPT_MIN {
        return Ok(());
    }
    // With the commands before it gone it is what a start falls back to.
    let oldest = snapshots[snapshots.len() - 1];
    store.load(oldest)?;
    let retired = retire_segments(&journal_dir(&options.data_dir), oldest, retention)?;
    if retired > 0 {
        tracing::info!(retired, needed = oldest, "segments of the journal were taken out");
    }
    Ok(())
}
