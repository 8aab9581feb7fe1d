//! One process per data directory.
//!
//! Must not know: what the directory holds. Invariant: the lock is taken before any other file of
//! the directory is touched, and the locked file is the one that the name still leads to.

use crate::error::JournalError;
use crate::segment::sync_directory;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries to meet the same file under the name and in the hand, when somebody keeps replacing it.
const ATTEMPTS: u32 = 8;
/// Pause between two looks at a lock that somebody holds.
const RETRY: Duration = Duration::from_millis(20);

/// Exclusive claim on a data directory, held until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
    path: PathBuf,
}

impl DirectoryLock {
    /// Locks `<dir>/lock`, creating the directory (mode 0700) and the file (0600) where missing.
    ///
    /// # Errors
    /// `Locked` at once when another process, or another handle of this one, holds the lock.
    pub fn acquire(dir: &Path) -> Result<Self, JournalError> {
        create_directory(dir)?;
        let path = dir.join("lock");
        for _ in 0..ATTEMPTS {
            // The standard library opens everything close-on-exec: no child inherits the lock.
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(JournalError::io("open lock", &path))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(JournalError::Locked { path }),
                Err(errno) => return Err(JournalError::io("lock", &path)(errno.into())),
            }
            if is_same_file(&file, &path)? {
                return Ok(Self { _file: file, path });
            }
        }
        Err(JournalError::Locked { path })
    }

    /// Like [`Self::acquire`], but asks again for up to `patience` while the lock is held: a
    /// process that was killed keeps it until the system has taken its mappings apart.
    ///
    /// # Errors
    /// As `acquire`; `Locked` when the patience is used up.
    pub fn acquire_within(dir: &Path, patience: Duration) -> Result<Self, JournalError> {
        let mut left = patience;
        loop {
            match Self::acquire(dir) {
                Err(JournalError::Locked { .. }) if left > Duration::ZERO => {
                    std::thread::sleep(RETRY.min(left));
                    left = left.saturating_sub(RETRY);
                }
                outcome => return outcome,
            }
        }
    }

    /// The locked file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A lock on a file that was deleted or replaced under its name protects nothing.
fn is_same_file(file: &File, path: &Path) -> Result<bool, JournalError> {
    let held = file.metadata().map_err(JournalError::io("stat lock", path))?;
    match std::fs::metadata(path) {
        Ok(named) => Ok(held.ino() == named.ino() && held.dev() == named.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(JournalError::io("stat lock", path)(error)),
    }
}

/// Creates a directory readable by its owner only, with its parents, and makes each new name
/// durable; an existing directory is left alone.
pub(crate) fn create_directory(dir: &Path) -> Result<(), JournalError> {
    // The parent of a relative name of one part is the empty path: the working directory.
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(Path::new(""));
    create_directory(parent)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => {
            return Err(JournalError::io("create directory", dir)(error));
        }
        // Made here, or by somebody else a moment ago, who may not have synced it yet.
        _ => {}
    }
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    sync_directory(parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn second_lock_is_refused_and_freed_on_drop() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        let first = DirectoryLock::acquire(&dir).unwrap();
        let before = std::fs::metadata(first.path()).unwrap().modified().unwrap();
        let second = DirectoryLock::acquire(&dir).unwrap_err();
        assert!(matches!(second, JournalError::Locked { .. }));
        assert_eq!(second.exit_code(), 75);
        assert_eq!(std::fs::metadata(first.path()).unwrap().modified().unwrap(), before);
        drop(first);
        assert!(DirectoryLock::acquire(&dir).is_ok());
    }

    #[test]
    fn patience_waits_for_a_holder_that_goes_away_and_no_longer() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        let first = DirectoryLock::acquire(&dir).unwrap();
        let refused = DirectoryLock::acquire_within(&dir, RETRY).unwrap_err();
        assert_eq!(refused.exit_code(), 75);
        let waiting = std::thread::spawn({
            let dir = dir.clone();
            move || DirectoryLock::acquire_within(&dir, Duration::from_secs(60)).map(drop)
        });
        drop(first);
        assert!(waiting.join().unwrap().is_ok());
    }

    #[test]
    fn modes_are_private() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        let lock = DirectoryLock::acquire(&dir).unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(lock.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn directories_are_made_with_their_parents_but_not_over_files() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b/c");
        create_directory(&dir).unwrap();
        create_directory(&dir).unwrap();
        for made in ["a", "a/b", "a/b/c"] {
            let mode = std::fs::metadata(root.path().join(made)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{made}");
        }
        let file = root.path().join("file");
        File::create(&file).unwrap();
        for taken in [file.clone(), file.join("below")] {
            let error = create_directory(&taken).unwrap_err();
            assert!(matches!(error, JournalError::Io { .. }), "{error}");
        }
    }

    #[test]
    fn replaced_lock_file_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let old = File::create(&path).unwrap();
        assert!(is_same_file(&old, &path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!is_same_file(&old, &path).unwrap());
        File::create(&path).unwrap();
        assert!(!is_same_file(&old, &path).unwrap());
    }
}
