//! Owns snapshots of a pipeline: which one a start begins with, and how one is written and proved.
//! Knows nothing of when. Invariant: a snapshot is in force only after a fresh instance that was
//! made from what the disk gives back has the same state, and both logs have reached the disk.

use std::path::Path;

use engine::StateMachine;
use journal::limits::SNAPSHOTS_KEPT_MIN;
use journal::{Draft, JournalError, SnapshotMeta, SnapshotStore, retire_segments, sync_stored};

use crate::configuration_hash::ConfigurationHash;
use crate::error::PipelineError;
use crate::instance::Instance;
use crate::options::{Options, events_dir, journal_dir};
use crate::recovery::Recovered;
use crate::snapshot_desk::SnapshotPolicy;

/// Part of a snapshot that says what the process was told.
const CONFIGURATION_PART: &str = "configuration";

/// Where a replay begins.
pub(crate) struct Base<S: StateMachine> {
    pub(crate) instance: Instance<S>,
    /// Last command and last event that it holds; 0 at the very beginning.
    pub(crate) sequence: u64,
    pub(crate) event_sequence: u64,
    /// What the process that took it was told.
    pub(crate) configuration: ConfigurationHash,
    /// Snapshots that were found damaged.
    pub(crate) bad: Vec<u64>,
    /// Event up to which the event log need not be judged, because all of it that matters is
    /// compared: one in its last segment.
    pub(crate) judged_after: u64,
    /// Last command in the newest snapshot, also if it cannot be begun with: what it holds had been
    /// on the disk.
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
        let (logged, judged_after) = end_of_events(&events_dir(&options.data_dir))?;
        let store = store::<S>(options)?;
        let snapshots = store.as_ref().map_or(Ok(Vec::new()), SnapshotStore::list)?;
        // Whether or not it can be used: it had its name only when its inputs were on the disk.
        let witness = snapshots.first().copied().unwrap_or(0);
        let (mut bad, mut found) = (Vec::new(), None);
        for (store, sequence) in store.iter().flat_map(|s| snapshots.iter().map(move |at| (s, *at)))
        {
            match load(store, sequence, fresh()) {
                Ok(loaded) if loaded.event_sequence > logged => {
                    tracing::warn!(sequence, "events before a snapshot are not in the event log");
                }
                Ok(loaded) => {
                    found = Some((loaded, sequence));
                    break;
                }
                Err(error) => {
                    tracing::error!(sequence, %error, "a snapshot cannot be used");
                    if is_damage(&error) {
                        bad.push(sequence);
                    }
                }
            }
        }
        // The last one made is the one used: whoever makes them keeps a way to its outlets.
        let (loaded, sequence) = found.unwrap_or_else(|| (Loaded::fresh(fresh()), 0));
        let Loaded { instance, event_sequence, configuration } = loaded;
        let judged_after = judged_after.max(event_sequence);
        Ok(Self { instance, sequence, event_sequence, configuration, bad, judged_after, witness })
    }
}

/// The last event that is logged, and one in the last segment of the log: up to there it need not
/// be judged before it is compared. A log that cannot be looked at, or does not begin with its
/// first segment, is judged by the start itself, from its beginning.
fn end_of_events(dir: &Path) -> Result<(u64, u64), PipelineError> {
    if !dir.is_dir() {
        return Ok((0, 0));
    }
    // Of the disk, not of what a failed sync has left in memory.
    journal::settle(dir)?;
    Ok(match journal::stat(dir) {
        Ok(log) if log.first_seq <= 1 => (log.last_seq, log.last_seq.min(log.newest_segment_seq)),
        Ok(_) | Err(_) => (0, 0),
    })
}

/// Whether the file will never be of use: not where another build, or another attempt, may read it.
const fn is_damage(error: &PipelineError) -> bool {
    matches!(
        error,
        PipelineError::Journal(JournalError::Corrupt { .. })
            | PipelineError::SnapshotPart { .. }
            | PipelineError::SnapshotRestore { .. }
            | PipelineError::SnapshotElsewhere { .. }
    )
}

/// What is in a snapshot.
struct Loaded<S: StateMachine> {
    instance: Instance<S>,
    /// The last event that it has caused.
    event_sequence: u64,
    configuration: ConfigurationHash,
}

impl<S: StateMachine> Loaded<S> {
    /// Where there is no snapshot.
    fn fresh(instance: Instance<S>) -> Self {
        Self { instance, event_sequence: 0, configuration: ConfigurationHash::default() }
    }
}

/// Gives a fresh instance the state of a snapshot.
fn load<S: StateMachine>(
    store: &SnapshotStore,
    sequence: u64,
    fresh: Instance<S>,
) -> Result<Loaded<S>, PipelineError> {
    let snapshot = store.load(sequence)?;
    let instance = fresh.restored(&snapshot)?;
    // Snapshots of earlier builds do not have it, and nothing depends on it.
    let configuration = snapshot.part(CONFIGURATION_PART).and_then(|part| part.try_into().ok());
    Ok(Loaded {
        instance,
        event_sequence: snapshot.meta().event_seq,
        configuration: ConfigurationHash(configuration.unwrap_or_default()),
    })
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
    configuration: ConfigurationHash,
    meta: SnapshotMeta,
) -> Result<Written<'a>, PipelineError> {
    let sequence = instance.machine.last_sequence();
    let (mut parts, state_hash) = instance.parts();
    // The record of the start comes before the snapshot, and the next start reads only behind it.
    parts.push((CONFIGURATION_PART, configuration.0.to_vec()));
    let ts_ns = instance.machine.last_timestamp_ns();
    let meta = SnapshotMeta { seq: sequence, ts_ns, state_hash, ..meta };
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, part)| (*name, &part[..])).collect();
    let leave = SEGMENTS_LEFT * options.journal.segment_bytes;
    let draft = store.write(&meta, &parts, leave)?;
    Ok(Written { draft, sequence, state_hash })
}

/// Makes a `fresh` instance from what the disk gives back, puts the snapshot in force if it has the
/// state that was written, and clears away what it replaces. What does not pass is kept under
/// another name.
///
/// # Errors
/// Nothing is in force that was not before.
pub(crate) fn put_in_force<S: StateMachine>(
    options: &Options,
    policy: &SnapshotPolicy,
    store: &SnapshotStore,
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
            if let Err(error) = clear(options, policy, store, sequence) {
                // The snapshot is in force whatever comes of this.
                tracing::error!(%error, "what a snapshot replaces could not be cleared away");
            }
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
    let written = write(options, &store, &instance, report.configuration, meta)?;
    drop(instance);
    let taken = put_in_force(options, policy, &store, written, fresh)?;
    drop(lock);
    Ok(taken)
}

/// Removes what is not needed besides the newest snapshots that can be read, as many as are to be
/// kept: older ones, and segments of the journal that come before all of them. The one at `proved`
/// was just read.
///
/// # Errors
/// A system call failed; nothing that is needed is gone.
fn clear(
    options: &Options,
    policy: &SnapshotPolicy,
    store: &SnapshotStore,
    proved: u64,
) -> Result<(), PipelineError> {
    let mut good = Vec::new();
    for sequence in store.list()? {
        if good.len() == policy.kept.max(SNAPSHOTS_KEPT_MIN) {
            break;
        }
        let read = if sequence == proved { Ok(()) } else { store.load(sequence).map(drop) };
        match read {
            Ok(()) => good.push(sequence),
            Err(JournalError::VersionUnsupported { .. }) => {}
            Err(error @ JournalError::Corrupt { .. }) => {
                tracing::error!(sequence, %error, "a snapshot cannot be used");
                store.set_bad(sequence)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // With the commands before it gone the oldest is what a start falls back to.
    let Some(oldest) = good.last().filter(|_| good.len() >= SNAPSHOTS_KEPT_MIN) else {
        return Ok(());
    };
    store.prune(*oldest)?;
    let retired = retire_segments(&journal_dir(&options.data_dir), *oldest, policy.retention)?;
    if retired > 0 {
        tracing::info!(retired, needed = oldest, "segments of the journal were taken out");
    }
    Ok(())
}
