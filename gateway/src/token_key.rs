//! Owns the secret that signs tokens: `token.key` in the data directory.
//! Knows nothing of tokens. Invariant: the file is complete the moment it has its name, only its
//! owner can read it, and it is never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::limits::SECRET_BYTES;

const FILE_NAME: &str = "token.key";

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeyError {
    #[error("{doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} must hold {SECRET_BYTES} bytes, found {found}", path.display())]
    Length { path: PathBuf, found: usize },
    #[error("{} may be read by others; its mode must be 0600", path.display())]
    Mode { path: PathBuf },
    #[error("no random bytes from the system: {0}")]
    Random(getrandom::Error),
}

/// Reads the secret of this data directory; makes it, and the directory, if there is none.
///
/// # Errors
/// The file cannot be read or made, is of another length, or is open to others.
pub fn load_or_create(data_dir: &Path) -> Result<[u8; SECRET_BYTES], TokenKeyError> {
    let path = data_dir.join(FILE_NAME);
    if !path.exists() {
        create(data_dir, &path)?;
    }
    let failed = |doing| {
        let path = path.clone();
        move |source| TokenKeyError::Io { doing, path, source }
    };
    let mode = fs::metadata(&path).map_err(failed("read"))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(TokenKeyError::Mode { path });
    }
    let bytes = fs::read(&path).map_err(failed("read"))?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| TokenKeyError::Length { path, found })
}

/// Writes a file of its own and links it to the name, which fails if somebody was faster.
fn create(data_dir: &Path, path: &Path) -> Result<(), TokenKeyError> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(TokenKeyError::Random)?;
    // A name of its own even where every process has the same id, so that the draft of a process
    // that died is in nobody's way.
    let suffix = getrandom::u64().map_err(TokenKeyError::Random)?;
    let draft = data_dir.join(format!(".{FILE_NAME}.{suffix:016x}"));
    let write = || -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
        let made = write_draft(&draft, &secret).and_then(|()| name_draft(&draft, path));
        // Also where writing failed; there is none if it could not even be opened.
        let removed = fs::remove_file(&draft);
        made?;
        removed?;
        File::open(data_dir)?.sync_all()
    };
    write().map_err(|source| TokenKeyError::Io { doing: "create", path: path.to_owned(), source })
}

fn write_draft(draft: &Path, secret: &[u8; SECRET_BYTES]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(secret)?;
    file.sync_all()
}

fn name_draft(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_only_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let secret = load_or_create(&data).unwrap();
        assert_eq!(load_or_create(&data).unwrap(), secret);
        assert_ne!(secret, [0; SECRET_BYTES]);
        let path = data.join(FILE_NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_draft_left_behind_is_in_nobody_s_way() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(format!(".{FILE_NAME}.{}", std::process::id()));
        fs::write(&left, b"half").unwrap();
        load_or_create(dir.path()).unwrap();
        assert_eq!(fs::read(&left).unwrap(), b"half");
    }

    #[test]
    fn a_failed_attempt_leaves_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = dir.path().join("nowhere").join(FILE_NAME);
        let error = create(dir.path(), &nowhere).unwrap_err();
        assert!(matches!(error, TokenKeyError::Io { doing: "create", .. }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_bad_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path()).unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_create(dir.path()), Err(TokenKeyError::Mode { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for len in [SECRET_BYTES - 1, SECRET_BYTES + 1] {
            fs::write(&path, vec![1; len]).unwrap();
            let error = load_or_create(dir.path()).unwrap_err();
            assert!(matches!(error, TokenKeyError::Length { found, .. } if found == len));
        }
    }
}
