//! Moves a whole log out of the way.
//!
//! Must not know: why nobody wants it, or who writes it again. Invariant: the log is at every
//! moment whole, under its old name or under its new one; nothing is overwritten.

use crate::error::JournalError;
use crate::lock::create_directory;
use crate::segment::sync_directory;
use std::path::{Path, PathBuf};

/// Moves the directory of a log into the directory `quarantine`, as its own name with the first
/// number from 1 on that is free there. Returns the new place once that is durable. Nobody may have
/// the log open for writing.
///
/// # Errors
/// A system call failed.
///
/// # Panics
/// If `dir` has no name or no parent.
pub fn set_aside(dir: &Path, quarantine: &Path) -> Result<PathBuf, JournalError> {
    let name = dir.file_name().expect("a log directory has a name").to_string_lossy();
    let parent = dir.parent().expect("a log directory stands in another one");
    create_directory(quarantine)?;
    let mut number = 1u64;
    let mut place = quarantine.join(format!("{name}-{number}"));
    while place.try_exists().map_err(JournalError::io("stat", &place))? {
        number += 1;
        place = quarantine.join(format!("{name}-{number}"));
    }
    std::fs::rename(dir, &place).map_err(JournalError::io("rename", dir))?;
    sync_directory(quarantine)?;
    sync_directory(parent)?;
    Ok(place)
}

/// Gives a whole log the name of one that was set aside, for good.
///
/// # Errors
/// A system call failed.
///
/// # Panics
/// If `dir` has no parent.
pub fn put_in_place(draft: &Path, dir: &Path) -> Result<(), JournalError> {
    std::fs::rename(draft, dir).map_err(JournalError::io("rename", draft))?;
    sync_directory(dir.parent().expect("a log directory stands in another one"))
}

/// Removes a log that was to replace another one, and does not.
///
/// # Errors
/// A system call failed.
pub fn remove_draft(draft: &Path) -> Result<(), JournalError> {
    std::fs::remove_dir_all(draft).map_err(JournalError::io("remove", draft))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_moved_whole_and_never_over_each_other() {
        let root = tempfile::tempdir().unwrap();
        let (log, quarantine) = (root.path().join("events"), root.path().join("quarantine"));
        for number in 1..=3u8 {
            std::fs::create_dir(&log).unwrap();
            std::fs::write(log.join("content"), [number]).unwrap();
            let place = set_aside(&log, &quarantine).unwrap();
            assert_eq!(place, quarantine.join(format!("events-{number}")));
            assert!(!log.exists());
        }
        for number in 1..=3u8 {
            let content = quarantine.join(format!("events-{number}")).join("content");
            assert_eq!(std::fs::read(content).unwrap(), [number]);
        }
        let error = set_aside(&log, &quarantine).unwrap_err();
        assert!(matches!(error, JournalError::Io { .. }), "nothing there to move: {error}");
    }
}
