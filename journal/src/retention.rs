//! Takes segments out of a log that nobody needs any more.
//!
//! Must not know: who needs what. Invariant: the oldest goes first, so at every moment the rest is
//! a log without a gap; a segment goes only when the one behind it begins early enough.

use crate::error::JournalError;
use crate::lock::create_directory;
use crate::segment::{SegmentFile, file_name, list, sync_directory};
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

/// Folder of what is archived, beside the segments.
const ARCHIVE_DIR: &str = "archive";

/// What happens to segments that nobody needs any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// They stay: the whole log can be replayed.
    #[default]
    Keep,
    /// They are moved into the folder `archive`, where readers find them, but no start does.
    Archive,
    /// They are deleted.
    Delete,
}

/// A word that is none of `keep`, `archive`, `delete`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown retention {0:?}: expected keep, archive or delete")]
pub struct ParseRetentionError(pub String);

impl FromStr for Retention {
    type Err = ParseRetentionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "keep" => Ok(Self::Keep),
            "archive" => Ok(Self::Archive),
            "delete" => Ok(Self::Delete),
            other => Err(ParseRetentionError(other.to_owned())),
        }
    }
}

/// Takes out the segments of the log in `dir` whose records all come before `needed_seq`; the log
/// may be in use. Afterwards a start with [`crate::Options::read_after`] of `needed_seq` or more
/// finds all it reads. Returns the number of segments.
///
/// # Errors
/// A system call failed, or a segment cannot be read; what was done until then stays done.
pub fn retire_segments(
    dir: &Path,
    needed_seq: u64,
    retention: Retention,
) -> Result<u64, JournalError> {
    if retention == Retention::Keep {
        return Ok(0);
    }
    let ids = list(dir)?;
    let mut retired = 0;
    for (id, next) in ids.iter().zip(ids.iter().skip(1)) {
        let next = SegmentFile::open(dir, *next, false)?;
        let begin = next.header.as_ref().filter(|_| next.is_active());
        if begin.is_none_or(|header| header.first_seq.get() > needed_seq) {
            break;
        }
        let path = dir.join(file_name(*id));
        if retention == Retention::Archive {
            let archive = dir.join(ARCHIVE_DIR);
            create_directory(&archive)?;
            let place = archive.join(file_name(*id));
            fs::rename(&path, &place).map_err(JournalError::io("rename", &path))?;
            sync_directory(&archive)?;
        } else {
            fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
        // One at a time: a power cut must not bring an older one back without a newer one.
        sync_directory(dir)?;
        retired += 1;
    }
    Ok(retired)
}

/// Numbers of all segments that are kept, archived ones included, ascending.
pub(crate) fn kept(dir: &Path) -> Result<Vec<u64>, JournalError> {
    // What is moved meanwhile is in one of them, looked at in this order.
    let mut ids = list(dir)?;
    let archive = dir.join(ARCHIVE_DIR);
    if archive.is_dir() {
        ids.extend(list(&archive)?);
        ids.sort_unstable();
        ids.dedup();
    }
    Ok(ids)
}

/// Whether a segment is kept, here or in the archive.
pub(crate) fn is_kept(dir: &Path, id: u64) -> bool {
    let name = file_name(id);
    dir.join(&name).exists() || dir.join(ARCHIVE_DIR).join(name).exists()
}

/// Opens a segment for reading, wherever it is kept.
pub(crate) fn open_kept(dir: &Path, id: u64) -> Result<SegmentFile, JournalError> {
    let archive = dir.join(ARCHIVE_DIR);
    match SegmentFile::open(dir, id, false) {
        Err(JournalError::Io { source, .. })
            if source.kind() == io::ErrorKind::NotFound && archive.is_dir() =>
        {
            SegmentFile::open(&archive, id, false)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        for (word, retention) in [
            ("keep", Retention::Keep),
            ("archive", Retention::Archive),
            ("delete", Retention::Delete),
        ] {
            assert_eq!(word.parse(), Ok(retention));
        }
        assert_eq!("Keep".parse::<Retention>(), Err(ParseRetentionError("Keep".to_owned())));
    }
}
