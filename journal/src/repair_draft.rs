//! The files of a log that is being repaired: a directory with the log as it would be, made of
//! links to what stays and of new files for what changes.
//!
//! Must not know: what is damaged. Invariant: until all of it is put in place no file of the log
//! is changed; each is then replaced by one that is on the disk, and kept under another name.

use crate::control::{self, ControlFile};
use crate::error::JournalError;
use crate::format::{BLOCK, ControlSlot};
use crate::lock::create_directory;
use crate::segment::{SegmentFile, create_file, file_name, sync_directory};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const FOLDER: &str = "repair";
const QUARANTINE: &str = "quarantine";
/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// The log as it would be. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    log: PathBuf,
    dir: PathBuf,
    /// Names of the files that are not those of the log.
    changed: Vec<String>,
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What is left of it is removed by the next repair; no start looks into it.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Draft {
    /// An empty one in the directory of the log.
    pub(crate) fn begin(log: &Path) -> Result<Self, JournalError> {
        let dir = log.join(FOLDER);
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(JournalError::io("remove", &dir))?;
        }
        create_directory(&dir)?;
        Ok(Self { log: log.to_owned(), dir, changed: Vec::new() })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A segment of `len` bytes, as it is in the log, where it is there.
    pub(crate) fn image(
        &mut self,
        id: u64,
        original: Option<SegmentFile>,
        len: u64,
    ) -> Result<Image<'_>, JournalError> {
        let fits = original.as_ref().is_some_and(|segment| segment.file_len == len);
        let mut image = Image { draft: self, id, original, new: None, len };
        if !fits {
            image.make()?;
        }
        Ok(image)
    }

    /// A segment stays as it is, if it is there.
    pub(crate) fn keep_segment(&self, id: u64) -> Result<(), JournalError> {
        let name = file_name(id);
        if self.log.join(&name).exists() { self.keep(&name) } else { Ok(()) }
    }

    /// The control file stays as it is.
    pub(crate) fn keep_control(&self) -> Result<(), JournalError> {
        self.keep(control::FILE_NAME)
    }

    fn keep(&self, name: &str) -> Result<(), JournalError> {
        let from = self.log.join(name);
        fs::hard_link(&from, self.dir.join(name)).map_err(JournalError::io("link", &from))
    }

    /// Makes a control file that says this.
    pub(crate) fn put_control(
        &mut self,
        machine_id: u32,
        exchange_uuid: [u8; 16],
        say: impl FnOnce(&mut ControlSlot),
    ) -> Result<(), JournalError> {
        ControlFile::create(&self.dir, machine_id, exchange_uuid)?.update(say)?;
        self.changed.push(control::FILE_NAME.to_owned());
        Ok(())
    }

    /// Replaces the files of the log that are different here. What they were is kept; returns
    /// where. After a death in the middle the same repair goes on with the rest.
    pub(crate) fn put_in_place(&mut self) -> Result<Vec<PathBuf>, JournalError> {
        let quarantine = self.log.join(QUARANTINE);
        create_directory(&quarantine)?;
        let mut kept = Vec::new();
        for name in &self.changed {
            let (new, old) = (self.dir.join(name), self.log.join(name));
            if old.exists() {
                let place = free_place(&quarantine, name);
                fs::hard_link(&old, &place).map_err(JournalError::io("link", &old))?;
                sync_directory(&quarantine)?;
                kept.push(place);
            }
            fs::rename(&new, &old).map_err(JournalError::io("rename", &new))?;
            sync_directory(&self.log)?;
        }
        Ok(kept)
    }
}

/// The first name with a number that nothing has.
fn free_place(quarantine: &Path, name: &str) -> PathBuf {
    let named = |number: u64| quarantine.join(format!("{name}.damaged-{number}"));
    (1..).map(named).find(|place| !place.exists()).expect("a free number")
}

/// One segment of the draft: a link to that of the log until something is put into it.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    draft: &'a mut Draft,
    id: u64,
    original: Option<SegmentFile>,
    new: Option<SegmentFile>,
    len: u64,
}

impl Image<'_> {
    /// The segment as it is now.
    pub(crate) fn segment(&self) -> &SegmentFile {
        self.new.as_ref().or(self.original.as_ref()).expect("one that is not there was made")
    }

    /// Puts bytes at a place of it.
    pub(crate) fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), JournalError> {
        self.make()?;
        let SegmentFile { file, path, .. } = self.segment();
        file.write_all_at(bytes, offset).map_err(JournalError::io("write", path))
    }

    /// Done with it: what was made is on the disk.
    pub(crate) fn finish(self) -> Result<(), JournalError> {
        match &self.new {
            Some(new) => {
                new.file.sync_all().map_err(JournalError::io("sync", &new.path))?;
                self.draft.changed.push(file_name(self.id));
                Ok(())
            }
            None => self.draft.keep_segment(self.id),
        }
    }

    /// A file of its own, with the bytes of the log and zeros behind them. None of it is a hole:
    /// a store into a hole of a full disk would end the process.
    fn make(&mut self) -> Result<(), JournalError> {
        if self.new.is_some() {
            return Ok(());
        }
        let path = self.draft.dir.join(file_name(self.id));
        let file = create_file(&path).map_err(JournalError::io("create", &path))?;
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        while at < self.len {
            piece.resize(PIECE.min(usize::try_from(self.len - at).unwrap_or(PIECE)), 0);
            piece.fill(0);
            if let Some(original) = &self.original {
                read_what_is_there(&original.file, at, &mut piece)
                    .map_err(JournalError::io("read", &original.path))?;
            }
            file.write_all_at(&piece, at).map_err(JournalError::io("write", &path))?;
            at += piece.len() as u64;
        }
        self.new = Some(SegmentFile::open(&self.draft.dir, self.id, true)?);
        Ok(())
    }
}

/// Whether the disk does not give these bytes back any more.
pub(crate) fn is_unreadable(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// Fills as much of `piece` as the file has; blocks that cannot be read stay zero.
fn read_what_is_there(file: &File, at: u64, piece: &mut [u8]) -> std::io::Result<()> {
    match read_all(file, at, piece) {
        Err(error) if is_unreadable(&error) && piece.len() > BLOCK => {
            for (block, at) in piece.chunks_mut(BLOCK).zip((at..).step_by(BLOCK)) {
                read_what_is_there(file, at, block)?;
            }
            Ok(())
        }
        Err(error) if is_unreadable(&error) => {
            piece.fill(0);
            Ok(())
        }
        read => read,
    }
}

fn read_all(file: &File, at: u64, piece: &mut [u8]) -> std::io::Result<()> {
    let mut filled = 0;
    while filled < piece.len() {
        match file.read_at(&mut piece[filled..], at + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(())
}
