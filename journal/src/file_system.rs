//! Which file systems may hold a log.
//!
//! Must not know: what is stored. Invariant: where a returned sync is not known to cover stores
//! through a mapping, the log is refused before anything is created in it.

use crate::error::JournalError;
use std::fs::File;
use std::path::Path;

/// `f_type` of ext4 and of xfs.
const ALLOWED: [u64; 2] = [0xEF53, 0x5846_5342];

/// Refuses a directory on any file system but ext4 and xfs, unless `allow_any` (for tests).
pub(crate) fn check(dir: &Path, allow_any: bool) -> Result<(), JournalError> {
    let handle = File::open(dir).map_err(JournalError::io("open directory", dir))?;
    let stat = rustix::fs::fstatfs(&handle)
        .map_err(|errno| JournalError::io("statfs", dir)(errno.into()))?;
    // The kernel's magic numbers are 32-bit patterns; the field is wider and signed.
    let kind = u64::from_ne_bytes(stat.f_type.to_ne_bytes()) & 0xFFFF_FFFF;
    if allow_any || ALLOWED.contains(&kind) {
        return Ok(());
    }
    Err(JournalError::FileSystemRefused { path: dir.to_owned(), kind })
}
