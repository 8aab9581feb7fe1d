//! Makes segment files fit to be stored into: space for all of them, zeros where syncs are waited
//! for, and for a mapping all of it in the page cache, page by page.
//!
//! Must not know: groups and records. Invariant: a file has its final name only when its whole
//! length was written and synced, so a rotation needs no directory operation and no allocation.

use crate::cache::{Cached, lay_in_pages};
use crate::error::JournalError;
use crate::fail_point;
use crate::format::{BLOCK, FORMAT, SEGMENT_MAGIC, STATE_PREPARED, SegmentHeader};
use crate::limits::{BODY_OFFSET, FETCH_FIRST_BYTES, PREPARE_BYTES_PER_SECOND};
use crate::options::Options;
use crate::segment::{
    SegmentFile, UNFINISHED, check_room, create_file, file_name, space_or_io, sync_directory,
    write_header,
};
use crate::sink::{GroupSink, Storing, open_sink};
use rustix::fs::{FallocateFlags, SeekFrom};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zerocopy::FromZeros;
use zerocopy::byteorder::little_endian::{U16, U32, U64};

/// Bytes per write while a segment is filled.
const FILL_BYTES: usize = 1 << 20;
/// Unit in which the system counts the space of a file.
const SPACE_UNIT: u64 = 512;

/// Random bytes for an identity or a salt.
pub(crate) fn draw_random<const N: usize>(dir: &Path) -> Result<[u8; N], JournalError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        JournalError::io("draw random bytes for", dir)(io::Error::other(error.to_string()))
    })?;
    Ok(bytes)
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
    /// Somebody waits for the segment: go as fast as the disk does.
    pub(crate) hurry: AtomicBool,
    /// Nobody will ask for the segment: give up.
    pub(crate) stop: AtomicBool,
}

impl Pace {
    fn is_hurried(&self) -> bool {
        self.hurry.load(Ordering::Relaxed)
    }

    /// Leaves the disk to others after so many bytes; an error when there is no point in going on.
    pub(crate) fn rest(&self, bytes: u64) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if !self.is_hurried() {
            let nanoseconds = bytes * 1_000_000_000 / PREPARE_BYTES_PER_SECOND;
            std::thread::sleep(Duration::from_nanos(nanoseconds));
        }
        Ok(())
    }
}

/// A prepared segment: all zeros, not yet taken into use.
pub(crate) struct Spare {
    /// With a salt of its own, whatever header the file has: it gets this one when it is taken into
    /// use.
    pub(crate) header: SegmentHeader,
    pub(crate) sink: Box<dyn GroupSink>,
    /// A second handle on the same file, for reading it back.
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// Up to where the file lies in the cache, if it is mapped: where somebody waited, not all.
    pub(crate) fetched: u64,
}

impl std::fmt::Debug for Spare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spare").field("path", &self.path).finish_non_exhaustive()
    }
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

    /// Makes a segment ready for use: out of `found`, an unused one, where that will do, else as a
    /// new file.
    pub(crate) fn prepare(
        &self,
        id: u64,
        found: Option<SegmentFile>,
        pace: &Pace,
    ) -> Result<Spare, JournalError> {
        let header = self.header(id)?;
        let path = self.dir.join(file_name(id));
        let lay = |file: &File, to: u64| match self.storing {
            Storing::Mapped => lay_in_pages(file, 0, to, |bytes| pace.rest(bytes))
                .map_err(JournalError::io("bring into the cache", &path)),
            Storing::Filled | Storing::Reserved => Ok(()),
        };
        let mut fetched = self.segment_bytes;
        let file = if let Some(found) = self.reuse(found)? {
            lay(&found.file, fetched)?;
            // What is in the cache now has just come from the disk.
            if let Some((at, _)) = found.find_non_zero(BODY_OFFSET, found.file_len)? {
                let detail = "a segment that is not in use has bytes in its body";
                return Err(JournalError::corrupt("R3", id, at, detail));
            }
            if self.storing != Storing::Mapped {
                found.file.forget().map_err(JournalError::io("drop cache of", &path))?;
            }
            found.file
        } else {
            let made = self.make(&path, &header, pace)?;
            if pace.is_hurried() && self.storing == Storing::Mapped {
                fetched = fetched.min(FETCH_FIRST_BYTES);
            }
            lay(&made, fetched)?;
            made
        };
        let second = file.try_clone().map_err(JournalError::io("duplicate handle of", &path))?;
        let sink =
            open_sink(self.storing, file, 0..fetched).map_err(JournalError::io("map", &path))?;
        Ok(Spare { header, sink, file: second, path, fetched })
    }

    /// The spare of an earlier process, if it is what would be made now; else it is removed.
    fn reuse(&self, found: Option<SegmentFile>) -> Result<Option<SegmentFile>, JournalError> {
        let Some(found) = found else { return Ok(None) };
        let is_ours = |header: &SegmentHeader| header.exchange_uuid == self.exchange_uuid;
        let usable = found.header.as_ref().is_some_and(is_ours)
            && !found.copy_damaged
            && found.file_len == self.segment_bytes
            && !has_holes(&found.file, &found.path, self.storing)?;
        if usable {
            return SegmentFile::open(&self.dir, found.id, true).map(Some);
        }
        std::fs::remove_file(&found.path).map_err(JournalError::io("remove", &found.path))?;
        sync_directory(&self.dir)?;
        Ok(None)
    }

    /// Makes the file of a segment: the space is reserved and, where that is asked for, really
    /// written, under a temporary name, and only a complete file gets its final one.
    fn make(&self, path: &Path, header: &SegmentHeader, pace: &Pace) -> Result<File, JournalError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(UNFINISHED);
        let temporary = PathBuf::from(temporary);
        let file = match self.fill(&temporary, header, pace) {
            Ok(file) => file,
            Err(error) => {
                // What was reserved goes back at once; the error that matters is the first one.
                let _ = std::fs::remove_file(&temporary);
                return Err(error);
            }
        };
        fail_point::hit("prepare-synced");
        std::fs::rename(&temporary, path).map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            space_or_io("rename", &temporary, error)
        })?;
        fail_point::hit("prepare-renamed");
        sync_directory(&self.dir)?;
        fail_point::hit("prepare-done");
        Ok(file)
    }

    fn fill(&self, path: &Path, header: &SegmentHeader, pace: &Pace) -> Result<File, JournalError> {
        let failed = |doing| move |error| space_or_io(doing, path, error);
        let file = create_file(path).map_err(failed("create"))?;
        assert!(self.segment_bytes.is_multiple_of(BLOCK as u64), "segments are whole blocks");
        reserve(&file, 0, self.segment_bytes).map_err(failed("reserve"))?;
        fail_point::hit("prepare-reserved");
        if self.storing.is_filled() {
            write_zeros(&file, 0, self.segment_bytes, |bytes| {
                if !pace.is_hurried() {
                    // Writing back as we go keeps the journaler's own syncs from queueing behind.
                    file.sync_data()?;
                }
                pace.rest(bytes)
            })
            .map_err(failed("fill"))?;
        }
        fail_point::hit("prepare-filled");
        write_header(&file, path, header)?;
        file.sync_all().map_err(failed("sync"))?;
        // Zeros that nobody reads only stand in the way of what is written over them.
        file.forget().map_err(failed("drop cache of"))?;
        Ok(file)
    }
}

/// Reserves the space of `from..to` of a file, so that nothing that is put there later lacks it.
/// Asks first: a call that cannot have all would take what there is, and give it back.
fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    check_room(file, to - from)?;
    Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), from, to - from)?)
}

/// Writes zeros to `from..to` of a file, so that no later sync has to change how the space is kept.
/// `pause` is called behind every piece.
fn write_zeros(
    file: &File,
    from: u64,
    to: u64,
    mut pause: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<()> {
    let zeros = vec![0; FILL_BYTES];
    let mut offset = from;
    while offset < to {
        let len = (FILL_BYTES as u64).min(to - offset);
        file.write_all_at(&zeros[..usize::try_from(len).map_err(io::Error::other)?], offset)?;
        pause(len)?;
        offset += len;
    }
    Ok(())
}

/// Whether a file takes less space than it is long: whoever copied it has left out zeros, and what
/// is put there may find no space. Where it has to be filled also whether some of its space was
/// only reserved: each sync of a store there would change how the space is kept.
fn has_holes(file: &File, path: &Path, storing: Storing) -> Result<bool, JournalError> {
    let stat = file.metadata().map_err(JournalError::io("stat", path))?;
    if !storing.is_filled() {
        return Ok(stat.blocks() * SPACE_UNIT < stat.len());
    }
    let hole = rustix::fs::seek(file, SeekFrom::Hole(0)).map_err(io::Error::from);
    Ok(hole.map_err(JournalError::io("look for holes in", path))? < stat.len())
}

/// A segment in use that is opened again.
pub(crate) struct Reopened {
    pub(crate) sink: Box<dyn GroupSink>,
    /// A second handle on the same file.
    pub(crate) file: File,
    /// Up to where the file lies in the cache, if it is mapped; the rest is still to be fetched.
    pub(crate) fetched: u64,
}

/// Opens a segment that is in use, to be stored into from `offset` on. What follows there is zero
/// and may have been read, which leaves it in the cache in large pieces: not for a mapping.
pub(crate) fn open_again(
    storing: Storing,
    segment: SegmentFile,
    offset: u64,
) -> Result<Reopened, JournalError> {
    let SegmentFile { path, file, file_len, .. } = segment;
    let from = offset.next_multiple_of(BLOCK as u64);
    if has_holes(&file, &path, storing)? && from < file_len {
        reserve(&file, from, file_len)
            .and_then(|()| write_zeros(&file, from, file_len, |_| Ok(())))
            .and_then(|()| file.write_back())
            .and_then(|()| file.forget())
            .map_err(|error| space_or_io("fill", &path, error))?;
    }
    let first = offset - offset % BLOCK as u64;
    let fetched = file_len.min(first + FETCH_FIRST_BYTES);
    if storing == Storing::Mapped {
        lay_in_pages(&file, first, fetched, |_| Ok(()))
            .map_err(JournalError::io("bring into the cache", &path))?;
    }
    let second = file.try_clone().map_err(JournalError::io("duplicate handle of", &path))?;
    let sink = open_sink(storing, file, first..fetched).map_err(JournalError::io("map", &path))?;
    Ok(Reopened { sink, file: second, fetched })
}
