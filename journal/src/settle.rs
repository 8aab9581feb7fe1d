//! Makes the disk and the page cache agree about a whole log, in one direction or the other.
//!
//! Must not know: groups. Invariant: nothing that is on the disk changes.

use crate::cache::settle_file;
use crate::error::JournalError;
use crate::segment::{SegmentFile, list, sync_directory};
use std::path::Path;

/// Before anything is believed: what is in the page cache goes to the disk and out of the cache.
/// The control file does so by itself when it is opened to be written.
///
/// # Errors
/// A system call failed.
pub fn settle(dir: &Path) -> Result<(), JournalError> {
    for id in list(dir)? {
        let segment = SegmentFile::open(dir, id, false)?;
        settle_file(&segment.file, &segment.path)?;
    }
    sync_directory(dir)
}

/// Waits until all that was stored in the log so far is on the disk, whatever its policy says, and
/// without its writer. A failure that the writer has not met yet is met here, and is left for the
/// writer to meet as well.
///
/// # Errors
/// A system call failed.
pub fn sync_stored(dir: &Path) -> Result<(), JournalError> {
    for id in list(dir)? {
        let segment = SegmentFile::open(dir, id, false)?;
        segment.file.sync_data().map_err(JournalError::io("sync", &segment.path))?;
    }
    Ok(())
}
