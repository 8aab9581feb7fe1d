//! Segment files: names, headers, what stands behind the last group.
//!
//! Must not know: groups and records, or how a file is made. Invariant: a header is believed only
//! where its checksum is right, and taken only where it belongs to this file.

use crate::error::JournalError;
use crate::format::{BLOCK, FORMAT, STATE_ACTIVE, STATE_PREPARED, SegmentHeader, is_zero};
use crate::limits::{BODY_OFFSET, PADS, SEGMENT_BYTES_MAX, SEGMENT_BYTES_TAKEN_MIN};
use crate::window::{AlignedBuffer, View, open_direct};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Number of the first segment of a log; 0 means none.
pub(crate) const FIRST_SEGMENT: u64 = 1;
/// Ending of a file that has not been finished.
pub(crate) const UNFINISHED: &str = ".tmp";
/// Bytes read at once while zeros are looked through.
pub(crate) const LOOK_BYTES: usize = 1 << 20;

/// File name of a segment.
pub(crate) fn file_name(id: u64) -> String {
    format!("jrnl-{id:016x}.seg")
}

/// A segment file on disk, with its header where one of the two copies is whole.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// A handle for reads that bypass the page cache.
    direct: Option<File>,
    pub(crate) file_len: u64,
    pub(crate) header: Option<SegmentHeader>,
    /// One of the two header copies is damaged, or older than the other one.
    pub(crate) copy_damaged: bool,
}

impl SegmentFile {
    /// Opens a segment by number, for reading and, where asked, for storing.
    pub(crate) fn open(dir: &Path, id: u64, writable: bool) -> Result<Self, JournalError> {
        let path = dir.join(file_name(id));
        let file = OpenOptions::new()
            .read(true)
            .write(writable)
            .open(&path)
            .map_err(JournalError::io("open", &path))?;
        let file_len = file.metadata().map_err(JournalError::io("stat", &path))?.len();
        let (direct, header, copy_damaged) = (None, None, false);
        let mut segment = Self { id, path, file, direct, file_len, header, copy_damaged };
        segment.read_header()?;
        Ok(segment)
    }

    /// From here on the body is read as `view` says.
    pub(crate) fn set_view(&mut self, view: View) -> Result<(), JournalError> {
        self.direct =
            open_direct(&self.path, view).map_err(JournalError::io("open", &self.path))?;
        Ok(())
    }

    /// The handle to read the body through, by whole blocks.
    pub(crate) fn reading(&self) -> &File {
        self.direct.as_ref().unwrap_or(&self.file)
    }

    /// Reads the header: the first copy, or the second one where the first is damaged. Copies that
    /// differ come from a death between their two stores; the first one is the newer.
    pub(crate) fn read_header(&mut self) -> Result<(), JournalError> {
        let mut copies = [None, None];
        for (index, copy) in copies.iter_mut().enumerate() {
            let mut block = vec![0; BLOCK];
            match self.file.read_exact_at(&mut block, (index * BLOCK) as u64) {
                Ok(()) => *copy = SegmentHeader::from_block(&block),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(JournalError::io("read", &self.path)(error)),
            }
        }
        let [first, second] = copies;
        let block = |copy: &Option<SegmentHeader>| copy.as_ref().map(SegmentHeader::to_block);
        self.copy_damaged = block(&first) != block(&second);
        self.header = first.or(second);
        Ok(())
    }

    /// Writes the copy of a header that is not it; the offset of that one, if there is any. The
    /// other one is left alone: a power cut may destroy what is being written.
    pub(crate) fn mend_header(&self, header: &SegmentHeader) -> Result<Option<u64>, JournalError> {
        let block = header.to_block();
        for offset in [0, BLOCK as u64] {
            let mut copy = vec![0; BLOCK];
            let read = self.file.read_exact_at(&mut copy, offset);
            read.map_err(JournalError::io("read", &self.path))?;
            if copy != block {
                let written = self.file.write_all_at(&block, offset);
                written.map_err(JournalError::io("write", &self.path))?;
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// Whether the segment was taken into use.
    pub(crate) fn is_active(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.state.get() == STATE_ACTIVE)
    }

    /// Offset of the first byte from `offset` on that is not zero, and the end of the last one. It
    /// looks as far as `end`, rounded up to what is read at once, or to the end of the file.
    pub(crate) fn find_non_zero(
        &self,
        offset: u64,
        end: u64,
    ) -> Result<Option<(u64, u64)>, JournalError> {
        let is_set = |byte: &u8| *byte != 0;
        let mut chunk = AlignedBuffer::default();
        let mut at = offset - offset % BLOCK as u64;
        let mut skip = usize::try_from(offset - at).expect("less than a block");
        let mut found: Option<(u64, u64)> = None;
        while at < end.min(self.file_len) {
            let rest = (self.file_len - at).next_multiple_of(BLOCK as u64);
            chunk.resize(LOOK_BYTES.min(usize::try_from(rest).unwrap_or(LOOK_BYTES)));
            chunk.fill_from(self.reading(), at).map_err(JournalError::io("read", &self.path))?;
            let bytes = chunk.as_slice();
            if bytes.is_empty() {
                let ended = std::io::ErrorKind::UnexpectedEof.into();
                return Err(JournalError::io("read", &self.path)(ended));
            }
            for (block, start) in bytes.chunks(BLOCK).zip((at..).step_by(BLOCK)) {
                let part = &block[std::mem::take(&mut skip).min(block.len())..];
                if !is_zero(part) {
                    let start = start + (block.len() - part.len()) as u64;
                    let first = part.iter().position(is_set).expect("a byte that is set") as u64;
                    let last = part.iter().rposition(is_set).expect("a byte that is set") as u64;
                    let from = found.map_or(start + first, |(from, _)| from);
                    found = Some((from, start + last + 1));
                }
            }
            at += bytes.len() as u64;
        }
        Ok(found)
    }
}

/// Numbers of all segments of a directory, ascending.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let name = entry.map_err(JournalError::io("list", dir))?.file_name();
        let Some(name) = name.to_str() else { continue };
        if !name.starts_with("jrnl-") || name.ends_with(UNFINISHED) {
            continue;
        }
        let id = name
            .strip_prefix("jrnl-")
            .and_then(|rest| rest.strip_suffix(".seg"))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match id {
            Some(id) if file_name(id) == name => ids.push(id),
            _ => {
                let detail = format!("{name} is no segment name");
                return Err(JournalError::corrupt("R3", 0, 0, detail));
            }
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Removes what an interrupted preparation left behind.
pub(crate) fn remove_unfinished(dir: &Path) -> Result<(), JournalError> {
    for entry in std::fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let path = entry.map_err(JournalError::io("list", dir))?.path();
        if path.extension().is_some_and(|ending| ending == "tmp") {
            std::fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Makes names created or removed in a directory durable.
pub(crate) fn sync_directory(dir: &Path) -> Result<(), JournalError> {
    File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(JournalError::io("sync directory", dir))
}

/// Makes an empty file for its owner alone, or empties the one that is there.
pub(crate) fn create_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Refuses where the file system has not this much room: asking first takes nothing away, while
/// others need it.
pub(crate) fn check_room(file: &File, bytes: u64) -> std::io::Result<()> {
    let system = rustix::fs::fstatvfs(file)?;
    if system.f_bavail.saturating_mul(system.f_frsize) < bytes {
        return Err(std::io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

/// No room and quota are told apart from other failures: they heal.
pub(crate) fn space_or_io(
    doing: &'static str,
    path: &Path,
    source: std::io::Error,
) -> JournalError {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(source.kind(), StorageFull | QuotaExceeded) {
        return JournalError::Full { path: path.to_owned(), source };
    }
    JournalError::Io { doing, path: path.to_owned(), source }
}

/// Writes both copies of a header.
pub(crate) fn write_header(
    file: &File,
    path: &Path,
    header: &SegmentHeader,
) -> Result<(), JournalError> {
    let block = header.to_block();
    for offset in [0, BLOCK as u64] {
        file.write_all_at(&block, offset).map_err(|error| space_or_io("write", path, error))?;
    }
    Ok(())
}

/// Refuses a header that is whole but does not belong here, or is of a version unknown here.
pub(crate) fn check_header(segment: &SegmentFile, machine_id: u32) -> Result<(), JournalError> {
    let header = segment.header.as_ref().expect("a readable header");
    check_fields(segment, header, machine_id)?;
    let (found, len) = (segment.file_len, header.segment_len.get());
    if found != len {
        let detail = format!("file of {found} bytes, header says {len}");
        return Err(JournalError::corrupt("R3", segment.id, 0, detail));
    }
    Ok(())
}

/// The same, however long the file is.
pub(crate) fn check_fields(
    segment: &SegmentFile,
    header: &SegmentHeader,
    machine_id: u32,
) -> Result<(), JournalError> {
    if header.format.get() != FORMAT {
        return Err(JournalError::VersionUnsupported {
            what: "segment format",
            path: segment.path.clone(),
            found: header.format.get().to_string(),
            known: FORMAT.to_string(),
        });
    }
    let refuse = |rule, detail: String| Err(JournalError::corrupt(rule, segment.id, 0, detail));
    if header.segment_id.get() != segment.id {
        let found = header.segment_id.get();
        return refuse("R3", format!("the header says segment {found}"));
    }
    if header.machine_id.get() != machine_id {
        let found = header.machine_id.get();
        return refuse("R3", format!("machine id {found:#x}, expected {machine_id:#x}"));
    }
    let len = header.segment_len.get();
    let sound = header.header_len.get() == 4096
        && PADS.contains(&header.pad.get())
        && (SEGMENT_BYTES_TAKEN_MIN..=SEGMENT_BYTES_MAX).contains(&len)
        && len.is_multiple_of(BODY_OFFSET / 2)
        && matches!(header.state.get(), STATE_PREPARED | STATE_ACTIVE)
        && header.flags.get() == 0
        && is_zero(&header.reserved);
    if sound { Ok(()) } else { refuse("R4", "a field of the header has no meaning".to_owned()) }
}
