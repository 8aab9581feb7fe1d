//! Removes a torn tail.
//!
//! Must not know: why a tail is torn. Invariant: at every moment either the whole tail lies in the
//! segment, or a synced copy of it lies in quarantine and the control file says that it is being
//! removed; a start that finds that mark removes it again.

use crate::cache::settle_file;
use crate::control::ControlFile;
use crate::error::JournalError;
use crate::fail_point;
use crate::format::{BLOCK, CONTROL_PENDING_TRIM, ControlSlot};
use crate::segment::{SegmentFile, create_file, sync_directory};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zerocopy::byteorder::little_endian::{U16, U64};

/// Bytes copied or zeroed at once.
const PIECE: u64 = 1 << 20;

/// A trim that was begun: segment, offset, length.
pub(crate) fn pending(slot: &ControlSlot) -> Option<(u64, u64, u64)> {
    (slot.flags.get() & CONTROL_PENDING_TRIM != 0)
        .then(|| (slot.trim_segment.get(), slot.trim_offset.get(), slot.trim_len.get()))
}

/// Copies `len` bytes from `offset` on to quarantine, then removes them, and with them the rest of
/// their last block: a power cut that comes while it is written may leave anything in all of it,
/// and the next start must find nothing behind what is marked. Returns the copy.
pub(crate) fn trim(
    dir: &Path,
    control: &mut ControlFile,
    segment: &SegmentFile,
    offset: u64,
    len: u64,
) -> Result<PathBuf, JournalError> {
    let copy = quarantine(dir, control.slot.generation.get(), segment, offset, len)?;
    fail_point::hit("trim-copied");
    let len = (offset + len).next_multiple_of(BLOCK as u64) - offset;
    control.update(|slot| {
        slot.flags = U16::new(slot.flags.get() | CONTROL_PENDING_TRIM);
        slot.trim_segment = U64::new(segment.id);
        slot.trim_offset = U64::new(offset);
        slot.trim_len = U64::new(len);
    })?;
    fail_point::hit("trim-marked");
    finish(control, segment, offset, len)?;
    Ok(copy)
}

/// Puts zeros over a tail that is marked in the control file, and takes the mark back.
pub(crate) fn finish(
    control: &mut ControlFile,
    segment: &SegmentFile,
    offset: u64,
    len: u64,
) -> Result<(), JournalError> {
    assert_eq!(pending(&control.slot), Some((segment.id, offset, len)), "a trim is marked first");
    let zeros = vec![0; usize::try_from(PIECE).expect("a small constant")];
    for (at, part) in pieces(offset, len) {
        segment
            .file
            .write_all_at(&zeros[..part], at)
            .map_err(JournalError::io("trim", &segment.path))?;
    }
    fail_point::hit("trim-zeroed");
    settle_file(&segment.file, &segment.path)?;
    fail_point::hit("trim-settled");
    control.update(|slot| {
        slot.flags = U16::new(slot.flags.get() & !CONTROL_PENDING_TRIM);
        slot.trim_segment = U64::new(0);
        slot.trim_offset = U64::new(0);
        slot.trim_len = U64::new(0);
    })
}

fn quarantine(
    dir: &Path,
    generation: u64,
    segment: &SegmentFile,
    offset: u64,
    len: u64,
) -> Result<PathBuf, JournalError> {
    let folder = dir.join("quarantine");
    crate::lock::create_directory(&folder)?;
    let id = segment.id;
    let path = folder.join(format!("tail-{id:016x}-{offset:010}-{generation}.bin"));
    let copy = create_file(&path).map_err(JournalError::io("create", &path))?;
    let mut bytes = Vec::new();
    for (at, part) in pieces(offset, len) {
        bytes.resize(part, 0);
        let read = segment.file.read_exact_at(&mut bytes, at);
        read.map_err(JournalError::io("read", &segment.path))?;
        copy.write_all_at(&bytes, at - offset).map_err(JournalError::io("write", &path))?;
    }
    copy.sync_all().map_err(JournalError::io("sync", &path))?;
    sync_directory(&folder)?;
    Ok(path)
}

/// Offsets and lengths of the pieces of a range.
fn pieces(offset: u64, len: u64) -> impl Iterator<Item = (u64, usize)> {
    let end = offset + len;
    std::iter::successors(Some(offset), |at| Some(at + PIECE))
        .take_while(move |at| *at < end)
        .map(move |at| (at, usize::try_from((end - at).min(PIECE)).expect("a small piece")))
}
