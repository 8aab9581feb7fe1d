//! Tests of the log as a whole, with the fixture they share.
//!
//! Must not know: anything that a caller could not do, but for planted damage. Invariant: every
//! test owns its directory; dropping a writer without `close` stands for the death of the process.

mod crash_images;
mod damage;
mod failing_sink;
mod live_reader;
mod refusals;
mod repair;
mod rotation;
mod round_trip;
mod scrubbing;
mod snapshots;
mod torn_tail;

pub(crate) use crash_images::passed;

use crate::control::ControlFile;
use crate::{
    JournalError, JournalWriter, Options, RecordKind, RecoverError, RecoveryReport, SyncPolicy,
    recover,
};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A record by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) kind: RecordKind,
    pub(crate) seq: u64,
    pub(crate) ts_ns: u64,
    pub(crate) payload: Vec<u8>,
}

impl From<crate::Record<'_>> for Owned {
    fn from(record: crate::Record<'_>) -> Self {
        let crate::Record { kind, flags, seq, ts_ns, payload } = record;
        assert_eq!(flags, 0);
        Self { kind, seq, ts_ns, payload: payload.to_vec() }
    }
}

/// A directory with the options its log is opened with.
pub(crate) struct Log {
    root: TempDir,
    pub(crate) options: Options,
}

pub(crate) type Recovered = (JournalWriter, RecoveryReport, Vec<Owned>);

/// Free memory that a log in memory asks for, bytes: the tests that run at once need far less.
const MEMORY_FREE_MIN: u64 = 1 << 30;

/// A directory of the test's own, in memory where there is enough. Thousands of segments come and
/// go here; a disk gives the room of a deleted file back only with its next commit, and refuses
/// more until then, which a busy machine shows as a failure of the test.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let has_room = |stat: rustix::fs::StatVfs| stat.f_bavail * stat.f_frsize >= MEMORY_FREE_MIN;
    if rustix::fs::statvfs(memory).is_ok_and(has_room)
        && let Ok(root) = tempfile::tempdir_in(memory)
    {
        return root;
    }
    tempfile::tempdir().unwrap()
}

impl Log {
    pub(crate) fn new(sync: SyncPolicy) -> Self {
        Self::rooted_in(scratch(), sync)
    }

    /// A log where temporary files belong, mostly on a disk.
    pub(crate) fn on_disk(sync: SyncPolicy) -> Self {
        Self::rooted_in(tempfile::tempdir().unwrap(), sync)
    }

    fn rooted_in(root: TempDir, sync: SyncPolicy) -> Self {
        let options = Options {
            segment_bytes: crate::limits::SEGMENT_BYTES_MIN,
            allow_fs: true,
            exchange_uuid: Some([9; 16]),
            ..Options::new(1, sync)
        };
        Self { root, options }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("log")
    }

    pub(crate) fn open(&self) -> Result<Recovered, JournalError> {
        open(&self.dir(), &self.options)
    }

    /// The writer of a log that must open.
    pub(crate) fn writer(&self) -> JournalWriter {
        self.open().unwrap().0
    }

    pub(crate) fn segment(&self, id: u64) -> PathBuf {
        self.dir().join(crate::segment::file_name(id))
    }

    /// Opens the log, expects it to be refused by `rule`, and nothing to have changed by that.
    pub(crate) fn refused(&self, rule: &str) -> JournalError {
        let before = contents(&self.dir());
        let error = self.open().expect_err("the log must be refused");
        assert_eq!(error.exit_code(), 70, "{error}");
        assert!(error.to_string().contains(rule), "expected {rule}, got: {error}");
        assert!(before == contents(&self.dir()), "a refused log was changed");
        error
    }

    /// Removes the spare of a log with one segment, where looking at it again and again costs time.
    pub(crate) fn remove_spare(&self) {
        let spare = self.segment(2);
        if spare.exists() {
            std::fs::remove_file(spare).unwrap();
        }
    }

    /// Changes the control file like a process that died afterwards.
    pub(crate) fn control(&self, change: impl FnOnce(&mut crate::format::ControlSlot)) {
        ControlFile::open(&self.dir(), true).unwrap().unwrap().update(change).unwrap();
    }
}

pub(crate) fn open(dir: &Path, options: &Options) -> Result<Recovered, JournalError> {
    let mut records = Vec::new();
    let opened = recover::<Infallible>(dir, options, |record| {
        records.push(Owned::from(record));
        Ok(())
    });
    match opened {
        Ok((writer, report)) => Ok((writer, report, records)),
        Err(RecoverError::Journal(error)) => Err(error),
        Err(RecoverError::Visit(never)) => match never {},
    }
}

/// All files of a directory with their bytes.
pub(crate) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The payload that every test gives to a sequence: its own bytes, of varying length.
pub(crate) fn payload_of(seq: u64) -> Vec<u8> {
    let len = usize::try_from(seq % 50).unwrap();
    seq.to_le_bytes().iter().copied().cycle().take(8 + len).collect()
}

pub(crate) fn command(seq: u64) -> Owned {
    Owned { kind: RecordKind::Command, seq, ts_ns: seq * 10, payload: payload_of(seq) }
}

pub(crate) fn append(writer: &mut JournalWriter, record: &Owned) {
    let len = record.payload.len();
    writer
        .append(record.kind, record.seq, record.ts_ns, len, |place| {
            place.copy_from_slice(&record.payload);
            len
        })
        .unwrap();
}

/// Appends the next `count` commands as one group and stores it.
pub(crate) fn store_group(writer: &mut JournalWriter, count: u64) {
    for _ in 0..count {
        append(writer, &command(writer.last_seq() + 1));
    }
    writer.store().unwrap();
}

/// Appends one large record as a group of its own, stores and syncs it.
pub(crate) fn store_large(writer: &mut JournalWriter, bytes: usize) {
    let seq = writer.last_seq() + 1;
    let fill = u8::try_from(seq % 251).unwrap();
    let payload = vec![fill; bytes];
    append(writer, &Owned { kind: RecordKind::Command, seq, ts_ns: seq * 10, payload });
    writer.store().unwrap();
    writer.sync().unwrap();
}

/// Overwrites bytes of a file.
pub(crate) fn plant(path: &Path, offset: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

/// Bytes of a file.
pub(crate) fn peek(path: &Path, offset: u64, len: usize) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; len];
    std::fs::File::open(path).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

/// Reads a log like a start does, without changing anything: records, and what its end is.
pub(crate) fn look(
    dir: &Path,
    machine_id: u32,
) -> Result<(Vec<Owned>, crate::survey::Survey), JournalError> {
    let control = ControlFile::open(dir, false)?.expect("a control file");
    let expect = crate::survey::Expect {
        machine_id,
        schemas: None,
        witness_seq: 0,
        begin: crate::survey::Begin::After(0),
        control: &control.slot,
        view: crate::window::View::Cache,
    };
    let mut records = Vec::new();
    let found = crate::survey::survey::<Infallible>(dir, &expect, |record| {
        records.push(Owned::from(record));
        Ok(())
    });
    match found {
        Ok(found) => Ok((records, found)),
        Err(RecoverError::Journal(error)) => Err(error),
        Err(RecoverError::Visit(never)) => match never {},
    }
}

/// Offset of a group of the first segment, counted from 0, by walking the stored lengths.
pub(crate) fn group_offset(path: &Path, index: usize) -> u64 {
    let mut offset = crate::limits::BODY_OFFSET;
    for _ in 0..index {
        offset += u64::from(group_len(path, offset));
    }
    offset
}

/// Stored length of the group at an offset.
pub(crate) fn group_len(path: &Path, offset: u64) -> u32 {
    let bytes = peek(path, offset, 8);
    assert_eq!(bytes[..4], *b"MGRP", "no group at {offset}");
    u32::from_le_bytes(bytes[4..].try_into().unwrap())
}
