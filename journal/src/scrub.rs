//! Reads sealed segments again, long after they were written, to find what the disk has lost.
//!
//! Must not know: when, or who is told. Invariant: nothing is changed, the page cache is neither
//! believed nor filled, and a log in use may be read.

use crate::control::ControlFile;
use crate::error::{JournalError, RecoverError};
use crate::limits::SCRUB_PIECE_BYTES;
use crate::retention::{kept, open_kept};
use crate::segment::check_header;
use crate::survey::{Begin, Expect, check_segment};
use crate::window::View;
use std::io::ErrorKind;
use std::path::Path;

/// What became of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrubbed {
    /// It is what its seal says; its length, bytes.
    Sound(u64),
    /// It is not there any more.
    Gone,
    /// `pause` said that there is no point in going on.
    GivenUp,
}

/// Numbers of the segments that are sealed, archived ones included, ascending.
///
/// # Errors
/// A system call failed, or the control file cannot be read.
pub fn sealed_segments(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let Some(control) = ControlFile::open(dir, false)? else { return Ok(Vec::new()) };
    let active = control.slot.active_segment.get();
    Ok(kept(dir)?.into_iter().filter(|id| *id < active).collect())
}

/// Checks a sealed segment as a start would: header, every group and record, hash. `pause` is
/// called behind every piece with its length in bytes; false ends it.
///
/// # Errors
/// `Corrupt` names the place. Otherwise a system call failed.
pub fn scrub(
    dir: &Path,
    id: u64,
    mut pause: impl FnMut(u64) -> bool,
) -> Result<Scrubbed, JournalError> {
    let Some(control) = ControlFile::open(dir, false)? else { return Ok(Scrubbed::Gone) };
    let view = View::Disk { or_cache: true };
    // It may be moved or deleted at any moment, also between the two.
    let opened = open_kept(dir, id).and_then(|mut segment| {
        segment.set_view(view)?;
        Ok(segment)
    });
    let segment = match opened {
        Err(JournalError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Ok(Scrubbed::Gone);
        }
        opened => opened?,
    };
    if !segment.is_active() {
        return Err(JournalError::corrupt("R3", id, 0, "neither copy of the header is whole"));
    }
    let machine_id = control.slot.machine_id.get();
    check_header(&segment, machine_id)?;
    let expect = Expect {
        machine_id,
        schemas: None,
        witness_seq: 0,
        begin: Begin::Oldest,
        control: &control.slot,
        view,
    };
    let bytes = segment.file_len;
    let mut piece = 0;
    let checked = check_segment(segment, &expect, |group_len| {
        piece += group_len;
        if piece < SCRUB_PIECE_BYTES || pause(std::mem::take(&mut piece)) {
            Ok(())
        } else {
            Err(())
        }
    });
    match checked {
        Ok(()) => Ok(Scrubbed::Sound(bytes)),
        Err(RecoverError::Visit(())) => Ok(Scrubbed::GivenUp),
        Err(RecoverError::Journal(error)) => Err(error),
    }
}
