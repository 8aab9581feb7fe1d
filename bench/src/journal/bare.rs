//! Owns the yardsticks of `bench journal`: bytes with a checksum into a mapped file, and three ways
//! to have a block on the disk. Knows nothing of logs. Invariant: the files were filled before, and
//! lie in the page cache as a segment does: in single pages where they are mapped, else not at all.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use journal::{GroupSink, MapSink};
use rustix::fs::OFlags;

pub(crate) const GROUP_HEADER: usize = 64;
pub(crate) const RECORD_HEADER: usize = 24;
/// A file is filled by writes of this size: the page cache keeps what one write brings together.
const PAGE: usize = 4_096;
/// Bytes that blocks are written to one behind the other, and again from the beginning.
const ROUND: u64 = 16 << 20;

/// The payload of a record: bytes that tell its number.
pub(crate) fn fill(place: &mut [u8], number: u64) {
    for (part, salt) in place.chunks_mut(8).zip(0u64..) {
        let word = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(salt).to_le_bytes();
        part.copy_from_slice(&word[..part.len()]);
    }
}

/// A file of zeros, on the disk.
fn filled(path: &Path, bytes: u64) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
    let file = file.with_context(|| format!("making {}", path.display()))?;
    let page = [0; PAGE];
    for offset in (0..bytes).step_by(PAGE) {
        file.write_all_at(&page, offset)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Copies the bytes of all records into a mapping, group by group, each with a checksum.
pub(crate) fn appended(
    path: &Path,
    bytes: u64,
    records: u64,
    group: u64,
    payload: usize,
) -> Result<Duration> {
    let mut sink = MapSink::new(filled(path, bytes)?, 0..bytes)?;
    let record_bytes = RECORD_HEADER + payload;
    let mut buffer = vec![0; GROUP_HEADER + usize::try_from(group)? * record_bytes];
    let (mut used, mut offset) = (GROUP_HEADER, 0);
    let start = Instant::now();
    for number in 1..=records {
        let (header, rest) = buffer[used..].split_at_mut(RECORD_HEADER);
        header[8..16].copy_from_slice(&number.to_le_bytes());
        header[16..].copy_from_slice(&number.to_le_bytes());
        fill(&mut rest[..payload], number);
        used += record_bytes;
        if number % group == 0 || number == records {
            let crc = crc32c::crc32c(&buffer[..used]);
            buffer[60..GROUP_HEADER].copy_from_slice(&crc.to_le_bytes());
            sink.put(offset, &buffer[..used])?;
            offset += used as u64;
            used = GROUP_HEADER;
        }
    }
    Ok(start.elapsed())
}

/// How a block gets to the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// A store into a mapping, then fdatasync.
    MappedThenSync,
    /// A write, then fdatasync.
    WrittenThenSync,
    /// One write to a file that was opened with `O_DSYNC`.
    WrittenInOne,
}

impl Way {
    pub(crate) const ALL: [Self; 3] =
        [Self::MappedThenSync, Self::WrittenThenSync, Self::WrittenInOne];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MappedThenSync => "mapped store, fdatasync",
            Self::WrittenThenSync => "write, fdatasync",
            Self::WrittenInOne => "write with O_DSYNC",
        }
    }
}

/// A file for each way, and where its next block goes.
pub(crate) struct Block {
    bytes: Vec<u8>,
    written: u64,
    mapped: MapSink,
    file: File,
    in_one: File,
}

impl Block {
    pub(crate) fn prepare(path: &Path, bytes: usize) -> Result<Self> {
        let of = |name: &str| path.with_extension(name);
        let mapped = MapSink::new(filled(&of("mapped"), ROUND)?, 0..ROUND)?;
        let file = filled(&of("written"), ROUND)?;
        filled(&of("dsync"), ROUND)?;
        let flags = i32::try_from(OFlags::DSYNC.bits())?;
        let in_one = OpenOptions::new().write(true).custom_flags(flags).open(of("dsync"))?;
        for written in [&file, &in_one] {
            rustix::fs::fadvise(written, 0, None, rustix::fs::Advice::DontNeed)?;
        }
        for name in ["mapped", "written", "dsync"] {
            // Nobody else needs the name; the room is free again when the file is closed.
            std::fs::remove_file(of(name))?;
        }
        Ok(Self { bytes: vec![1; bytes], written: 0, mapped, file, in_one })
    }

    /// Has the next block on the disk.
    pub(crate) fn write(&mut self, way: Way) -> Result<()> {
        self.written += 1;
        fill(&mut self.bytes, self.written);
        let len = self.bytes.len() as u64;
        let offset = self.written * len % (ROUND - len) / len * len;
        match way {
            Way::MappedThenSync => {
                self.mapped.put(offset, &self.bytes)?;
                self.mapped.sync()?;
            }
            Way::WrittenThenSync => {
                self.file.write_all_at(&self.bytes, offset)?;
                self.file.sync_data()?;
            }
            Way::WrittenInOne => self.in_one.write_all_at(&self.bytes, offset)?,
        }
        Ok(())
    }
}
