//! Snapshots of a state beside the log that it comes from: written, read back, put in force.
//!
//! Must not know: what the parts of a state mean. Invariant: a file with the name of a snapshot was
//! whole on the disk before it had that name, and what is loaded is, to the bit, what was written.

use crate::control::ControlFile;
use crate::error::JournalError;
use crate::fail_point;
use crate::format::BLOCK;
use crate::segment::{UNFINISHED, sync_directory};
use crate::snapshot_file::{Contents, read_file, refused, write_file};
use crate::snapshot_format::{SNAPSHOT_FORMAT, SNAPSHOT_MAGIC, SnapshotHeader};
use crate::window::{AlignedBuffer, View};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use zerocopy::FromZeros;
use zerocopy::byteorder::little_endian::{U16, U32, U64};

const PREFIX: &str = "snap-";
const ENDING: &str = ".snp";
/// Ending of a snapshot that turned out to be none.
const BAD: &str = ".bad";

/// What a snapshot says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// Last input that the state has applied.
    pub seq: u64,
    /// Last event of that input or of one before it.
    pub event_seq: u64,
    /// Number of the start that the state was taken in.
    pub epoch: u64,
    /// Time of the state, ns.
    pub ts_ns: u64,
    /// BLAKE3 of the canonical encoding of the state machine.
    pub state_hash: [u8; 32],
    /// Snapshot that it was reached from, 0 for none.
    pub previous_seq: u64,
}

/// A snapshot in memory.
#[derive(Debug)]
pub struct Snapshot {
    meta: SnapshotMeta,
    bytes: AlignedBuffer,
    parts: Vec<(String, Range<usize>)>,
}

impl Snapshot {
    #[must_use]
    pub const fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// The bytes of one part; `None` if it has no such part.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&[u8]> {
        let (_, range) = self.parts.iter().find(|(part, _)| part == name)?;
        Some(&self.bytes.as_slice()[BLOCK..][range.clone()])
    }

    /// Length of the file, bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.bytes.as_slice().len() as u64
    }
}

/// The snapshots of one log.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    dir: PathBuf,
    machine_id: u32,
    schema_hash: [u8; 32],
    exchange_uuid: [u8; 16],
    view: View,
}

impl SnapshotStore {
    /// The snapshots beside the log in `dir`; `None` where there is no log. `allow_fs` as in
    /// [`crate::Options`].
    ///
    /// # Errors
    /// The control file of the log cannot be used.
    pub fn open(
        dir: &Path,
        machine_id: u32,
        schema_hash: [u8; 32],
        allow_fs: bool,
    ) -> Result<Option<Self>, JournalError> {
        if !dir.is_dir() {
            return Ok(None);
        }
        let Some(control) = ControlFile::open(dir, false)? else { return Ok(None) };
        let (dir, exchange_uuid) = (dir.to_owned(), control.slot.exchange_uuid);
        let view = View::Disk { or_cache: allow_fs };
        Ok(Some(Self { dir, machine_id, schema_hash, exchange_uuid, view }))
    }

    /// Sequences of all snapshots, the newest first. None of them is looked into.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<u64>, JournalError> {
        list(&self.dir)
    }

    /// Where the snapshot at a sequence is.
    #[must_use]
    pub fn path(&self, seq: u64) -> PathBuf {
        self.dir.join(file_name(seq))
    }

    /// Reads a snapshot from the disk and checks all of it but the meaning of its parts.
    ///
    /// # Errors
    /// `Corrupt` for anything that `write` does not write or that belongs elsewhere;
    /// `VersionUnsupported` for another format or schema.
    pub fn load(&self, seq: u64) -> Result<Snapshot, JournalError> {
        let path = self.path(seq);
        let snapshot = self.read(&path)?;
        if snapshot.meta.seq == seq {
            return Ok(snapshot);
        }
        Err(refused(&path, format!("it is of sequence {}", snapshot.meta.seq)))
    }

    /// Writes a draft and waits until it is on the disk; it has no effect before it is put in
    /// force. `leave`: bytes that others will need, for which there must be room besides.
    ///
    /// # Errors
    /// `Full` when there is no space for both, `Io` when a system call failed: nothing of it stays
    /// then. `Configuration` for parts that no snapshot can have.
    pub fn write(
        &self,
        meta: &SnapshotMeta,
        parts: &[(&str, &[u8])],
        leave: u64,
    ) -> Result<Draft<'_>, JournalError> {
        let path = self.dir.join(file_name(meta.seq) + UNFINISHED);
        let draft = Draft { store: self, meta: meta.clone(), path, ended: false };
        write_file(&draft.path, self.header(meta), parts, leave)?;
        Ok(draft)
    }

    /// Takes a snapshot that cannot be used out of the way; the file stays for people to look at.
    ///
    /// # Errors
    /// A system call failed.
    pub fn set_bad(&self, seq: u64) -> Result<(), JournalError> {
        self.rename(&self.path(seq), &self.dir.join(file_name(seq) + BAD))
    }

    /// Removes all snapshots before that at `oldest`, and all files of bad ones but the newest.
    ///
    /// # Errors
    /// A system call failed.
    pub fn prune(&self, oldest: u64) -> Result<(), JournalError> {
        let bad = named(&self.dir, BAD)?.into_iter().skip(1);
        let bad = bad.map(|seq| self.dir.join(file_name(seq) + BAD));
        let old = self.list()?.into_iter().filter(|seq| *seq < oldest);
        let old = old.map(|seq| self.path(seq));
        for path in old.chain(bad) {
            fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
        fail_point::hit("snapshots-pruned");
        sync_directory(&self.dir)
    }

    /// Everything in a header that does not depend on the parts.
    fn header(&self, meta: &SnapshotMeta) -> SnapshotHeader {
        let mut header = SnapshotHeader::new_zeroed();
        header.magic = SNAPSHOT_MAGIC;
        header.format = U16::new(SNAPSHOT_FORMAT);
        header.machine_id = U32::new(self.machine_id);
        header.exchange_uuid = self.exchange_uuid;
        header.seq = U64::new(meta.seq);
        header.event_seq = U64::new(meta.event_seq);
        header.epoch = U64::new(meta.epoch);
        header.ts_ns = U64::new(meta.ts_ns);
        header.schema_hash = self.schema_hash;
        header.state_hash = meta.state_hash;
        header.previous_seq = U64::new(meta.previous_seq);
        header
    }

    fn read(&self, path: &Path) -> Result<Snapshot, JournalError> {
        let Contents { header, bytes, parts } = read_file(path, self.view)?;
        for (good, what) in [
            (header.machine_id.get() == self.machine_id, "it is of another machine"),
            (header.exchange_uuid == self.exchange_uuid, "exchange uuid is alien"),
        ] {
            if !good {
                return Err(refused(path, what));
            }
        }
        if header.schema_hash != self.schema_hash {
            let known = [self.schema_hash];
            return Err(JournalError::unknown_schema(path, &header.schema_hash, &known));
        }
        let meta = SnapshotMeta {
            seq: header.seq.get(),
            event_seq: header.event_seq.get(),
            epoch: header.epoch.get(),
            ts_ns: header.ts_ns.get(),
            state_hash: header.state_hash,
            previous_seq: header.previous_seq.get(),
        };
        Ok(Snapshot { meta, bytes, parts })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), JournalError> {
        fs::rename(from, to).map_err(JournalError::io("rename", from))?;
        fail_point::hit("snapshot-renamed");
        sync_directory(&self.dir)
    }
}

/// A snapshot that was written and is not in force. Dropping it removes it.
#[derive(Debug)]
pub struct Draft<'a> {
    store: &'a SnapshotStore,
    meta: SnapshotMeta,
    path: PathBuf,
    ended: bool,
}

impl Draft<'_> {
    /// Reads it back, from the disk, as [`SnapshotStore::load`] does.
    ///
    /// # Errors
    /// As there; also if it says something else than what was written.
    pub fn load(&self) -> Result<Snapshot, JournalError> {
        let snapshot = self.store.read(&self.path)?;
        if snapshot.meta == self.meta {
            return Ok(snapshot);
        }
        Err(refused(&self.path, "it says something else than what was written"))
    }

    /// Gives it its name: from here on a start may rely on it.
    ///
    /// # Errors
    /// A system call failed; whether it is in force is not known.
    pub fn put_in_force(mut self) -> Result<(), JournalError> {
        self.ended = true;
        self.store.rename(&self.path, &self.store.path(self.meta.seq))?;
        fail_point::hit("snapshot-in-force");
        Ok(())
    }

    /// Keeps it for people to look at, and for nothing else.
    ///
    /// # Errors
    /// A system call failed.
    pub fn set_bad(mut self) -> Result<(), JournalError> {
        self.ended = true;
        self.store.rename(&self.path, &self.store.dir.join(file_name(self.meta.seq) + BAD))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // The next start removes what stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// File name of the snapshot at a sequence.
fn file_name(seq: u64) -> String {
    format!("{PREFIX}{seq:020}{ENDING}")
}

/// Sequences of the snapshots in a directory, the newest first.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    named(dir, "")
}

/// Sequences of the files whose name is that of a snapshot and `ending`, the newest first.
fn named(dir: &Path, ending: &str) -> Result<Vec<u64>, JournalError> {
    let mut seqs = Vec::new();
    for entry in fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let name = entry.map_err(JournalError::io("list", dir))?.file_name();
        let Some(name) = name.to_str() else { continue };
        let digits = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(ending));
        let digits = digits.and_then(|rest| rest.strip_suffix(ENDING));
        if let Some(seq) = digits.and_then(|digits| digits.parse().ok())
            && file_name(seq) + ending == name
        {
            seqs.push(seq);
        }
    }
    seqs.sort_unstable_by(|a, b| b.cmp(a));
    Ok(seqs)
}
