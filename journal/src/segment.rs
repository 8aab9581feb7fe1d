//! Segment files: names, headers, preparation and activation.
//!
//! Must not know: groups and records. Invariant: a file has its final name only when its whole
//! length was written and synced, so a rotation needs no directory operation and no allocation.

use crate::error::JournalError;
use crate::format::{
    BLOCK, FORMAT, SEGMENT_MAGIC, STATE_ACTIVE, STATE_PREPARED, SegmentHeader, is_zero,
};
use crate::limits::{BODY_OFFSET, PADS, PREPARE_BYTES_PER_SECOND};
use crate::options::Options;
use crate::sink::{GroupSink, Storing, open_sink};
use rustix::fs::{Advice, FallocateFlags};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zerocopy::FromZeros;
use zerocopy::byteorder::little_endian::{U16, U32, U64};

/// Number of the first segment of a log; 0 means none.
pub(crate) const FIRST_SEGMENT: u64 = 1;
/// Ending of a file that has not been finished.
const UNFINISHED: &str = ".tmp";
/// Bytes per write while a segment is filled.
const FILL_BYTES: usize = 1 << 20;

/// File name of a segment.
pub(crate) fn file_name(id: u64) -> String {
    format!("jrnl-{id:016x}.seg")
}

/// A segment file on disk, with its header where one of the two copies is whole.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) file_len: u64,
    pub(crate) header: Option<SegmentHeader>,
    /// One of the two header copies is damaged, or older than the other one.
    pub(crate) copy_damaged: bool,
}

impl SegmentFile {
    /// Opens a segment by number, for reading and, where asked, for storing.
    pub(crate) fn open(dir: &Path, id: u64, writable: bool) -> Result<Self, JournalError> {
        let path = dir.join(file_name(id));
        let file = OpenOptions::new()
            .read(true)
            .write(writable)
            .open(&path)
            .map_err(JournalError::io("open", &path))?;
        let file_len = file.metadata().map_err(JournalError::io("stat", &path))?.len();
        let mut segment = Self { id, path, file, file_len, header: None, copy_damaged: false };
        segment.read_header()?;
        Ok(segment)
    }

    /// Reads the header: the first copy, or the second one where the first is damaged. Copies that
    /// differ come from a death between their two stores; the first one is the newer.
    pub(crate) fn read_header(&mut self) -> Result<(), JournalError> {
        let mut copies = [None, None];
        for (index, copy) in copies.iter_mut().enumerate() {
            let mut block = vec![0; BLOCK];
            match self.file.read_exact_at(&mut block, (index * BLOCK) as u64) {
                Ok(()) => *copy = SegmentHeader::from_block(&block),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(JournalError::io("read", &self.path)(error)),
            }
        }
        let [first, second] = copies;
        let block = |copy: &Option<SegmentHeader>| copy.as_ref().map(SegmentHeader::to_block);
        self.copy_damaged = block(&first) != block(&second);
        self.header = first.or(second);
        Ok(())
    }

    /// Whether the segment was taken into use.
    pub(crate) fn is_active(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.state.get() == STATE_ACTIVE)
    }

    /// Offset of the first byte from `offset` on that is not zero, and the end of the last one.
    pub(crate) fn find_non_zero(&self, offset: u64) -> Result<Option<(u64, u64)>, JournalError> {
        let mut chunk = vec![0; FILL_BYTES];
        let mut at = offset;
        let mut found: Option<(u64, u64)> = None;
        while at < self.file_len {
            let len = usize::try_from(self.file_len - at).unwrap_or(FILL_BYTES).min(FILL_BYTES);
            let part = &mut chunk[..len];
            self.file.read_exact_at(part, at).map_err(JournalError::io("read", &self.path))?;
            for (block, start) in part.chunks(BLOCK).zip((at..).step_by(BLOCK)) {
                if !is_zero(block) {
                    let is_set = |byte: &u8| *byte != 0;
                    let first = block.iter().position(is_set).expect("a byte that is set") as u64;
                    let last = block.iter().rposition(is_set).expect("a byte that is set") as u64;
                    let from = found.map_or(start + first, |(from, _)| from);
                    found = Some((from, start + last + 1));
                }
            }
            at += len as u64;
        }
        Ok(found)
    }
}

/// Numbers of all segments of a directory, ascending.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let name = entry.map_err(JournalError::io("list", dir))?.file_name();
        let Some(name) = name.to_str() else { continue };
        if !name.starts_with("jrnl-") || name.ends_with(UNFINISHED) {
            continue;
        }
        let id = name
            .strip_prefix("jrnl-")
            .and_then(|rest| rest.strip_suffix(".seg"))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match id {
            Some(id) if file_name(id) == name => ids.push(id),
            _ => {
                let detail = format!("{name} is no segment name");
                return Err(JournalError::corrupt("R3", 0, 0, detail));
            }
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Removes what an interrupted preparation left behind.
pub(crate) fn remove_unfinished(dir: &Path) -> Result<(), JournalError> {
    for entry in std::fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let path = entry.map_err(JournalError::io("list", dir))?.path();
        if path.extension().is_some_and(|ending| ending == "tmp") {
            std::fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Makes names created or removed in a directory durable.
pub(crate) fn sync_directory(dir: &Path) -> Result<(), JournalError> {
    File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(JournalError::io("sync directory", dir))
}

/// Writes back what an earlier process left in the page cache and drops the cache, so that what is
/// read next comes from the disk: after a failed sync the cache shows bytes that never got there.
pub(crate) fn settle_file(file: &File, path: &Path) -> Result<(), JournalError> {
    file.sync_all().map_err(JournalError::io("sync", path))?;
    drop_cache(file, path)
}

/// Random bytes for an identity or a salt.
pub(crate) fn draw_random<const N: usize>(dir: &Path) -> Result<[u8; N], JournalError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        JournalError::io("draw random bytes for", dir)(std::io::Error::other(error.to_string()))
    })?;
    Ok(bytes)
}

fn drop_cache(file: &File, path: &Path) -> Result<(), JournalError> {
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed)
        .map_err(|errno| JournalError::io("drop cache of", path)(errno.into()))
}

/// Writes zeros over whole pages, one page at a time. The cache keeps what it is given in one call
/// together and later writes all of it back for one changed byte: with large writes here every sync
/// of a small group would write a MiB.
fn write_zero_pages(file: &File, from: u64, to: u64) -> std::io::Result<()> {
    assert!(from.is_multiple_of(BLOCK as u64) && to.is_multiple_of(BLOCK as u64));
    for offset in (from..to).step_by(BLOCK) {
        file.write_all_at(&[0; BLOCK], offset)?;
    }
    Ok(())
}

/// Makes the unused rest of a segment fit to be mapped again after it was read: reading has left it
/// in the cache in large pieces, so it leaves the cache and comes back page by page, zeros as
/// before.
pub(crate) fn refresh_rest(segment: &SegmentFile, offset: u64) -> Result<(), JournalError> {
    settle_file(&segment.file, &segment.path)?;
    write_zero_pages(&segment.file, offset.next_multiple_of(BLOCK as u64), segment.file_len)
        .and_then(|()| segment.file.sync_data())
        .map_err(JournalError::io("refresh", &segment.path))
}

/// What all segments of a log that this process makes have in common.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) dir: PathBuf,
    pub(crate) exchange_uuid: [u8; 16],
    pub(crate) segment_bytes: u64,
    pub(crate) pad: u32,
    pub(crate) machine_id: u32,
    pub(crate) schema_hash: [u8; 32],
    storing: Storing,
    build_id: [u8; 20],
    wall_ns: u64,
}

/// Why and how fast a preparation goes on.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Somebody waits for the segment: write as fast as the disk takes it.
    pub(crate) hurry: AtomicBool,
    /// Nobody will ask for the segment: give up.
    pub(crate) stop: AtomicBool,
}

/// A prepared segment: all zeros, not yet taken into use.
pub(crate) struct Spare {
    pub(crate) header: SegmentHeader,
    pub(crate) sink: Box<dyn GroupSink>,
    /// A second handle on the same file, for reading it back.
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

impl Template {
    pub(crate) fn new(dir: &Path, exchange_uuid: [u8; 16], options: &Options) -> Self {
        Self {
            dir: dir.to_owned(),
            exchange_uuid,
            segment_bytes: options.segment_bytes,
            pad: options.pad,
            machine_id: options.machine_id,
            schema_hash: options.schema_hash,
            storing: options.storing,
            build_id: options.build_id,
            wall_ns: options.wall_ns,
        }
    }

    fn header(&self, id: u64) -> Result<SegmentHeader, JournalError> {
        let salt = draw_random(&self.dir)?;
        let mut header = SegmentHeader::new_zeroed();
        header.magic = SEGMENT_MAGIC;
        header.format = U16::new(FORMAT);
        header.header_len = U16::new(4096);
        header.pad = U32::new(self.pad);
        header.exchange_uuid = self.exchange_uuid;
        header.segment_id = U64::new(id);
        header.segment_len = U64::new(self.segment_bytes);
        header.salt = U64::from_bytes(salt);
        header.schema_hash = self.schema_hash;
        header.build_id = self.build_id;
        header.machine_id = U32::new(self.machine_id);
        header.created_wall_ns = U64::new(self.wall_ns);
        header.state = U16::new(STATE_PREPARED);
        Ok(header)
    }

    /// Makes a segment file ready for use: the space is reserved, and for a mapping really written,
    /// under a temporary name, and only a complete file gets its final one.
    pub(crate) fn prepare(&self, id: u64, pace: &Pace) -> Result<Spare, JournalError> {
        let path = self.dir.join(file_name(id));
        let temporary = self.dir.join(format!("{}{UNFINISHED}", file_name(id)));
        let header = self.header(id)?;
        let filled = self.fill(&temporary, &header, pace);
        let file = match filled {
            Ok(file) => file,
            Err(error) => {
                // What was reserved goes back at once; the error that matters is the first one.
                let _ = std::fs::remove_file(&temporary);
                return Err(error);
            }
        };
        std::fs::rename(&temporary, &path).map_err(JournalError::io("rename", &temporary))?;
        sync_directory(&self.dir)?;
        Spare::open(self.storing, file, path, header)
    }

    fn fill(&self, path: &Path, header: &SegmentHeader, pace: &Pace) -> Result<File, JournalError> {
        let failed = |doing| move |error| space_or_io(doing, path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(failed("create"))?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.segment_bytes)
            .map_err(|errno| space_or_io("reserve", path, errno.into()))?;
        assert!(self.segment_bytes.is_multiple_of(BLOCK as u64), "segments are whole blocks");
        if self.storing == Storing::Mapped {
            self.fill_with_zeros(&file, path, pace)?;
        }
        write_header(&file, path, header)?;
        file.sync_all().map_err(failed("sync"))?;
        Ok(file)
    }

    fn fill_with_zeros(&self, file: &File, path: &Path, pace: &Pace) -> Result<(), JournalError> {
        let failed = |doing| move |error| space_or_io(doing, path, error);
        let mut offset = 0;
        while offset < self.segment_bytes {
            let end = self.segment_bytes.min(offset + FILL_BYTES as u64);
            write_zero_pages(file, offset, end).map_err(failed("fill"))?;
            if pace.stop.load(Ordering::Relaxed) {
                return Err(failed("fill")(std::io::ErrorKind::Interrupted.into()));
            }
            if !pace.hurry.load(Ordering::Relaxed) {
                // Writing back as we go keeps the journaler's own syncs from queueing behind this.
                file.sync_data().map_err(failed("sync"))?;
                let nanoseconds = (end - offset) * 1_000_000_000 / PREPARE_BYTES_PER_SECOND;
                std::thread::sleep(Duration::from_nanos(nanoseconds));
            }
            offset = end;
        }
        Ok(())
    }
}

/// No room and quota are told apart from other failures: they heal.
fn space_or_io(doing: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(source.kind(), StorageFull | QuotaExceeded) {
        return JournalError::Full { path: path.to_owned(), source };
    }
    JournalError::Io { doing, path: path.to_owned(), source }
}

/// Writes both copies of a header.
pub(crate) fn write_header(
    file: &File,
    path: &Path,
    header: &SegmentHeader,
) -> Result<(), JournalError> {
    let block = header.to_block();
    for offset in [0, BLOCK as u64] {
        file.write_all_at(&block, offset).map_err(|error| space_or_io("write", path, error))?;
    }
    Ok(())
}

impl std::fmt::Debug for Spare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spare").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Spare {
    /// Takes a segment file that is complete and not in use.
    pub(crate) fn open(
        storing: Storing,
        file: File,
        path: PathBuf,
        header: SegmentHeader,
    ) -> Result<Self, JournalError> {
        assert_eq!(header.state.get(), STATE_PREPARED);
        let second = file.try_clone().map_err(JournalError::io("duplicate handle of", &path))?;
        let sink = open_sink(storing, file, 0).map_err(JournalError::io("map", &path))?;
        Ok(Self { header, sink, file: second, path })
    }
}

/// Refuses a header that is whole but does not belong here, or is of a version unknown here.
pub(crate) fn check_header(segment: &SegmentFile, machine_id: u32) -> Result<(), JournalError> {
    let header = segment.header.as_ref().expect("a readable header");
    if header.format.get() != FORMAT {
        return Err(JournalError::VersionUnsupported {
            what: "segment format",
            path: segment.path.clone(),
            found: header.format.get().to_string(),
            known: FORMAT.to_string(),
        });
    }
    let refuse = |rule, detail: String| Err(JournalError::corrupt(rule, segment.id, 0, detail));
    if header.segment_id.get() != segment.id {
        let found = header.segment_id.get();
        return refuse("R3", format!("the header says segment {found}"));
    }
    if header.segment_len.get() != segment.file_len {
        let (found, len) = (segment.file_len, header.segment_len.get());
        return refuse("R3", format!("file of {found} bytes, header says {len}"));
    }
    if header.machine_id.get() != machine_id {
        let found = header.machine_id.get();
        return refuse("R3", format!("machine id {found:#x}, expected {machine_id:#x}"));
    }
    let sound = header.header_len.get() == 4096
        && PADS.contains(&header.pad.get())
        && segment.file_len >= crate::limits::SEGMENT_BYTES_MIN
        && segment.file_len <= crate::limits::SEGMENT_BYTES_MAX
        && segment.file_len.is_multiple_of(BODY_OFFSET / 2)
        && matches!(header.state.get(), STATE_PREPARED | STATE_ACTIVE)
        && header.flags.get() == 0
        && is_zero(&header.reserved);
    if sound { Ok(()) } else { refuse("R4", "a field of the header has no meaning".to_owned()) }
}
