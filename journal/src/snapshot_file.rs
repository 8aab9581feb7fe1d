//! One snapshot file: how it gets onto the disk and how it is read from there.
//!
//! Must not know: names of snapshots, or which one is in force. Invariant: what is read has every
//! hash and length right, or is refused; the page cache is not believed.

use crate::cache::settle_file;
use crate::error::JournalError;
use crate::fail_point;
use crate::format::BLOCK;
use crate::limits::{SNAPSHOT_BYTES_MAX, SNAPSHOT_PARTS_MAX, SNAPSHOT_STEP_BYTES};
use crate::segment::{check_room, create_file, space_or_io};
use crate::snapshot_format::{SNAPSHOT_FORMAT, SnapshotHeader, part_head, parts_of};
use crate::window::{AlignedBuffer, View, open_direct};
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use zerocopy::byteorder::little_endian::{U32, U64};

/// Rule named when a snapshot cannot be used.
const RULE: &str = "R10";

/// A whole file in memory.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) header: SnapshotHeader,
    /// The header block and the body.
    pub(crate) bytes: AlignedBuffer,
    /// Names of the parts, and where they stand in the body.
    pub(crate) parts: Vec<(String, Range<usize>)>,
}

/// Writes header and parts and waits until they are on the disk. Lengths, counts and the hash of
/// the body are put into the header here. The disk must have room for it and for `leave` bytes
/// more.
pub(crate) fn write_file(
    path: &Path,
    mut header: SnapshotHeader,
    parts: &[(&str, &[u8])],
    leave: u64,
) -> Result<(), JournalError> {
    let mut heads = Vec::with_capacity(parts.len());
    for (name, bytes) in parts {
        heads.push(part_head(name, bytes.len())?);
    }
    let pieces = || heads.iter().zip(parts).flat_map(|(head, part)| [&head[..], part.1]);
    let body_len: u64 = pieces().map(|piece| piece.len() as u64).sum();
    let part_count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    if part_count > SNAPSHOT_PARTS_MAX || body_len > SNAPSHOT_BYTES_MAX {
        let what = format!("a snapshot of {part_count} parts and {body_len} bytes");
        return Err(JournalError::Configuration { what });
    }
    let mut hasher = blake3::Hasher::new();
    for piece in pieces() {
        hasher.update(piece);
    }
    header.body_len = U64::new(body_len);
    header.part_count = U32::new(part_count);
    header.body_hash = *hasher.finalize().as_bytes();
    let block = header.to_block();
    let failed = |doing| move |error| space_or_io(doing, path, error);
    let mut file = create_file(path).map_err(failed("create"))?;
    fail_point::hit("snapshot-begun");
    // A snapshot can wait for space, a log cannot.
    check_room(&file, body_len.saturating_add(leave)).map_err(failed("make room for"))?;
    let mut unsynced = 0;
    for chunk in std::iter::once(&block[..])
        .chain(pieces())
        .flat_map(|piece| piece.chunks(SNAPSHOT_STEP_BYTES))
    {
        file.write_all(chunk).map_err(failed("write"))?;
        unsynced += chunk.len();
        if unsynced >= SNAPSHOT_STEP_BYTES {
            file.sync_data().map_err(failed("sync"))?;
            unsynced = 0;
        }
    }
    file.sync_all().map_err(failed("sync"))?;
    fail_point::hit("snapshot-synced");
    Ok(())
}

/// Reads a file from the disk and checks everything that can be checked without knowing what it is
/// of.
pub(crate) fn read_file(path: &Path, view: View) -> Result<Contents, JournalError> {
    let file = File::open(path).map_err(JournalError::io("open", path))?;
    settle_file(&file, path)?;
    let len = file.metadata().map_err(JournalError::io("stat", path))?.len();
    if !(BLOCK as u64..=SNAPSHOT_BYTES_MAX + BLOCK as u64).contains(&len) {
        return Err(refused(path, format!("a file of {len} bytes")));
    }
    let direct = open_direct(path, view).map_err(JournalError::io("open", path))?;
    let file = direct.unwrap_or(file);
    let len = usize::try_from(len).expect("bounded above");
    let mut bytes = AlignedBuffer::default();
    bytes.resize(len.next_multiple_of(BLOCK));
    bytes.fill_from(&file, 0).map_err(JournalError::io("read", path))?;
    if bytes.as_slice().len() != len {
        return Err(refused(path, "its length changed while it was read"));
    }
    let (block, body) = bytes.as_slice().split_at(BLOCK);
    let header = SnapshotHeader::from_block(block);
    let header = header.ok_or_else(|| refused(path, "the header is damaged"))?;
    if header.format.get() != SNAPSHOT_FORMAT {
        return Err(JournalError::VersionUnsupported {
            what: "snapshot format",
            path: path.to_owned(),
            found: header.format.get().to_string(),
            known: SNAPSHOT_FORMAT.to_string(),
        });
    }
    if !header.is_sound() {
        return Err(refused(path, "a field of the header has no meaning"));
    }
    if header.body_len.get() != body.len() as u64 {
        return Err(refused(path, "the body has another length"));
    }
    if header.body_hash != *blake3::hash(body).as_bytes() {
        return Err(refused(path, "the body is damaged"));
    }
    let parts = parts_of(body, header.part_count.get());
    let parts = parts.ok_or_else(|| refused(path, "the parts do not fill the body"))?;
    Ok(Contents { header, bytes, parts })
}

/// The refusal of a file.
pub(crate) fn refused(path: &Path, detail: impl Display) -> JournalError {
    JournalError::corrupt(RULE, 0, 0, format!("{}: {detail}", path.display()))
}
