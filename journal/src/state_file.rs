//! Owns one small file that is replaced as a whole: a reader's position and what it keeps with it.
//! Must not know: what the bytes mean. Invariant: the file is at every moment whole, old or new;
//! whoever opens it shuts out everybody who opened it before.
//!
//! ```text
//! 0 magic "MRSTAT01"   8 format u16 = 1   10 zero u16   12 length of the body u32
//! 16 epoch u64   24 generation u64   32 crc32c of bytes 0..32 and of the body   36 body
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::JournalError;
use crate::fail_point;
use crate::limits::STATE_BYTES_MAX;
use crate::segment::{create_file, space_or_io, sync_directory};

const MAGIC: &[u8; 8] = b"MRSTAT01";
const FORMAT: u16 = 1;
const HEAD_BYTES: usize = 36;
const CRC_AT: usize = 32;

/// The writing end; one at a time has the file.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    epoch: u64,
    generation: u64,
}

/// What stands in front of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    epoch: u64,
    generation: u64,
}

impl StateFile {
    /// Takes the file over, or makes it, and returns its last body. Everybody who opened it before
    /// is refused from now on.
    ///
    /// # Errors
    /// The file is damaged, or a system call failed.
    pub fn open(path: &Path) -> Result<(Self, Option<Vec<u8>>), JournalError> {
        let (head, body) = match load(path)? {
            Some((head, body)) => (head, Some(body)),
            None => (Head::default(), None),
        };
        let mut file =
            Self { path: path.to_owned(), epoch: head.epoch + 1, generation: head.generation };
        file.replace(body.as_deref().unwrap_or_default())?;
        Ok((file, body.filter(|body| !body.is_empty())))
    }

    /// The last body of a file that somebody else may have; `None` if there is none.
    ///
    /// # Errors
    /// The file is damaged, or a system call failed.
    pub fn peek(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(load(path)?.map(|(_, body)| body).filter(|body| !body.is_empty()))
    }

    /// Replaces the body; it is durable when this returns.
    ///
    /// # Errors
    /// [`JournalError::Locked`] if somebody else has opened the file since; the body is too long;
    /// a system call failed.
    pub fn save(&mut self, body: &[u8]) -> Result<(), JournalError> {
        if load_head(&self.path)?.is_some_and(|head| head.epoch != self.epoch) {
            return Err(JournalError::Locked { path: self.path.clone() });
        }
        self.replace(body)
    }

    fn replace(&mut self, body: &[u8]) -> Result<(), JournalError> {
        let Some(len) = u32::try_from(body.len()).ok().filter(|_| body.len() <= STATE_BYTES_MAX)
        else {
            let what = format!("{} bytes of state; at most {STATE_BYTES_MAX}", body.len());
            return Err(JournalError::Configuration { what });
        };
        self.generation += 1;
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(MAGIC);
        head[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        head[12..16].copy_from_slice(&len.to_le_bytes());
        head[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        head[24..32].copy_from_slice(&self.generation.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..CRC_AT]), body);
        head[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        // The epoch makes the name of each owner's draft its own.
        let draft = self.path.with_extension(format!("draft-{}", self.epoch));
        let failed = {
            let draft = draft.as_path();
            move |doing| move |error| space_or_io(doing, draft, error)
        };
        let mut file = create_file(&draft).map_err(failed("create"))?;
        file.write_all(&head).map_err(failed("write"))?;
        file.write_all(body).map_err(failed("write"))?;
        file.sync_all().map_err(failed("sync"))?;
        fail_point::hit("state-drafted");
        fs::rename(&draft, &self.path).map_err(failed("rename"))?;
        fail_point::hit("state-renamed");
        sync_directory(self.path.parent().unwrap_or(Path::new(".")))
    }
}

fn load(path: &Path) -> Result<Option<(Head, Vec<u8>)>, JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JournalError::io("read", path)(error)),
    };
    let head = read_head(path, &bytes)?;
    let body = bytes.get(HEAD_BYTES..).unwrap_or_default();
    let len = u32::from_le_bytes(field(&bytes, 12)) as usize;
    let crc = u32::from_le_bytes(field(&bytes, CRC_AT));
    if len != body.len() || crc32c::crc32c_append(crc32c::crc32c(&bytes[..CRC_AT]), body) != crc {
        return Err(damaged(path, "its checksum does not fit"));
    }
    Ok(Some((head, body.to_vec())))
}

fn load_head(path: &Path) -> Result<Option<Head>, JournalError> {
    let mut bytes = [0; HEAD_BYTES];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    match read {
        Ok(()) => read_head(path, &bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(JournalError::io("read", path)(error)),
    }
}

fn read_head(path: &Path, bytes: &[u8]) -> Result<Head, JournalError> {
    if bytes.len() < HEAD_BYTES || &bytes[..8] != MAGIC {
        return Err(damaged(path, "it is not a state file"));
    }
    let format = u16::from_le_bytes(field(bytes, 8));
    if format != FORMAT {
        return Err(JournalError::VersionUnsupported {
            what: "format",
            path: path.to_owned(),
            found: format.to_string(),
            known: FORMAT.to_string(),
        });
    }
    let epoch = u64::from_le_bytes(field(bytes, 16));
    Ok(Head { epoch, generation: u64::from_le_bytes(field(bytes, 24)) })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn damaged(path: &Path, what: &str) -> JournalError {
    JournalError::corrupt("state file", 0, 0, format!("{}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor.state");
        (directory, path)
    }

    #[test]
    fn the_last_body_comes_back() {
        let (_directory, path) = directory();
        let (mut file, body) = StateFile::open(&path).unwrap();
        assert_eq!(body, None);
        assert_eq!(StateFile::peek(&path).unwrap(), None);
        file.save(b"one").unwrap();
        file.save(b"two").unwrap();
        assert_eq!(StateFile::peek(&path).unwrap().unwrap(), b"two");
        let (_file, body) = StateFile::open(&path).unwrap();
        assert_eq!(body.unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn whoever_opened_it_before_is_shut_out() {
        let (_directory, path) = directory();
        let (mut stale, _) = StateFile::open(&path).unwrap();
        stale.save(b"one").unwrap();
        let (mut owner, body) = StateFile::open(&path).unwrap();
        assert_eq!(body.unwrap(), b"one");
        let refused = stale.save(b"late").unwrap_err();
        assert!(matches!(refused, JournalError::Locked { .. }), "{refused}");
        owner.save(b"two").unwrap();
        assert_eq!(StateFile::peek(&path).unwrap().unwrap(), b"two");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (_directory, path) = directory();
        let (mut file, _) = StateFile::open(&path).unwrap();
        file.save(b"position 42").unwrap();
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            assert!(StateFile::peek(&path).is_err(), "bit {bit}");
        }
        for len in 0..good.len() {
            fs::write(&path, &good[..len]).unwrap();
            assert!(StateFile::peek(&path).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_body_is_bounded() {
        let (_directory, path) = directory();
        let (mut file, _) = StateFile::open(&path).unwrap();
        file.save(&vec![1; STATE_BYTES_MAX]).unwrap();
        let refused = file.save(&vec![1; STATE_BYTES_MAX + 1]).unwrap_err();
        assert!(matches!(refused, JournalError::Configuration { .. }), "{refused}");
    }
}
