//! What belongs here: what the lives that are ended at every call and in every place begin with: a
//! fast file system, and logs that are about to roll.

use std::fs;
use std::path::Path;

use journal::JournalReader;
use journal::limits::{BLOCK_BYTES, SEGMENT_BYTES_MIN};
use pipeline::{Instance, Options};
use tempfile::TempDir;
use tests::drive::Script;
use tests::oracle::Heard;

use crate::life::Life;

pub(crate) const SEED: u64 = 5;
pub(crate) const COMMANDS: u64 = 200;
pub(crate) const WINDOW: u64 = 6;

/// A fast file system, where there is one.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("matchring-").tempdir_in(place).expect("a directory")
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let place = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).expect("a copy");
        }
    }
}

/// Segments that were begun, and the part of the last one that is used, bytes.
pub(crate) fn ends_at(log: &Path, machine_id: u32) -> (u64, u64) {
    let mut reader = JournalReader::open(log, machine_id, 1).expect("a log");
    while reader.next_record().expect("a sound log").is_some() {}
    let position = reader.position();
    (position.segment, position.offset)
}

pub(crate) fn logs<S: Script>(dir: &Path) -> [(u64, u64); 2] {
    let journal = ends_at(&dir.join("journal"), S::MACHINE_ID);
    [journal, ends_at(&dir.join("events"), 0x100 | S::MACHINE_ID)]
}

/// Up to where the last segments of journal and events are used, bytes: one life needs more than
/// is left.
const NEARLY: [u64; 2] = [SEGMENT_BYTES_MIN - (24 << 10), SEGMENT_BYTES_MIN - (40 << 10)];

/// Bytes of a group without records, in either.
const GROUP_BYTES: [u64; 2] = [BLOCK_BYTES, 64];

/// A directory of which both logs are about to roll: a few commands, then groups without any.
pub(crate) fn nearly_full<S: Script>(machine: &str, dir: &Path) -> Heard {
    let mut heard = Heard::default();
    let (policy, seed, first, commands, window) = ("group", SEED, 0, 30, WINDOW);
    let (allow_fs, wait, snapshots, arm) = (true, false, true, None);
    Life { dir, machine, policy, seed, first, commands, window, allow_fs, wait, snapshots, arm }
        .live(&mut heard);
    let mut options = Options::new(dir);
    options.journal.segment_bytes = SEGMENT_BYTES_MIN;
    options.journal.allow_fs = true;
    let used = logs::<S>(dir).map(|(_, used)| used);
    let mut recovered =
        pipeline::recover(&options, || Instance::bare(S::fresh())).expect("a sound log");
    let (journal, events) = recovered.writers_mut();
    for ((log, used), (nearly, group_bytes)) in
        [journal, events].into_iter().zip(used).zip(NEARLY.into_iter().zip(GROUP_BYTES))
    {
        for _ in 0..(nearly - used).div_ceil(group_bytes) {
            log.store_idle().expect("room");
        }
        log.sync().expect("a disk that works");
    }
    drop(recovered);
    let [journal, events] = logs::<S>(dir);
    assert_eq!((journal.0, events.0), (1, 1), "{journal:?}, {events:?}");
    assert!(journal.1 >= NEARLY[0] && events.1 >= NEARLY[1], "{journal:?}, {events:?}");
    heard
}
