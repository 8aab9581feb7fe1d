//! Puts back what is damaged in a log from a copy of it.
//!
//! Must not know: how files are replaced. Invariant: bytes of the copy are taken only where those
//! of the log are not the next group, and only if they continue the log by its own checksums; the
//! outcome is put in place only when a start would read all of it.

use crate::control::ControlFile;
use crate::error::JournalError;
use crate::format::{GROUP_SEAL, SegmentHeader};
use crate::inspect::{VerifyReport, look};
use crate::limits::BODY_OFFSET;
use crate::repair_draft::{Draft, Image};
use crate::scan::{Chain, ScanError, SegmentScan, Step};
use crate::segment::{FIRST_SEGMENT, SegmentFile, check_fields, check_header, list};
use crate::settle::settle;
use crate::snapshot;
use crate::window::Window;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zerocopy::byteorder::little_endian::U64;

/// Bytes read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// What stood at a place that was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The control file cannot be read: it is made anew from the segments.
    Control,
    /// The segment is not there.
    Missing,
    /// The file is shorter or longer than its header says.
    Length,
    /// Neither copy of the header is one of a segment in use.
    Header,
    /// The next group is not there.
    Group,
    /// There are bytes behind the seal.
    BehindSeal,
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Control => "control file",
            Self::Missing => "missing segment",
            Self::Length => "length of the file",
            Self::Header => "segment header",
            Self::Group => "group",
            Self::BehindSeal => "bytes behind the seal",
        })
    }
}

/// A place that was damaged, and how many bytes were put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mended {
    pub damage: Damage,
    pub segment: u64,
    pub offset: u64,
    pub bytes: u64,
}

/// Outcome of a repair.
#[derive(Clone, Debug)]
pub struct RepairReport {
    /// In the order of the log; empty: nothing was damaged.
    pub mended: Vec<Mended>,
    /// The log as it is with all of that.
    pub verified: VerifyReport,
    /// Where the damaged files are kept; empty: nothing was replaced.
    pub quarantined: Vec<PathBuf>,
}

/// Mends the log in `dir` with the bytes of `copy`, an older or newer copy of the same log; without
/// `apply` only says what it would do. The damaged files are kept in `quarantine`. The caller holds
/// the lock of the data directory.
///
/// # Errors
/// `Corrupt` when the copy is of another log or does not have what is damaged: the place is named
/// and nothing was changed. Otherwise a system call failed.
pub fn repair(dir: &Path, copy: &Path, apply: bool) -> Result<RepairReport, JournalError> {
    settle(dir)?;
    let mut draft = Draft::begin(dir)?;
    let mut repair = Repair::begin(dir, copy)?;
    let mut goes_on = true;
    for id in repair.segments()? {
        if goes_on {
            goes_on = repair.segment(id, &mut draft)?;
        } else {
            draft.keep_segment(id)?;
        }
    }
    repair.control(&mut draft)?;
    let verified = look(draft.dir())?;
    let mut quarantined = Vec::new();
    if apply && !repair.mended.is_empty() {
        quarantined = draft.put_in_place()?;
    }
    Ok(RepairReport { mended: repair.mended, verified, quarantined })
}

/// The walk through both logs.
struct Repair<'a> {
    dir: &'a Path,
    copy: &'a Path,
    control: Option<ControlFile>,
    uuid: [u8; 16],
    machine_id: u32,
    chain: Chain,
    window: Window,
    copy_window: Window,
    last_active: u64,
    mended: Vec<Mended>,
}

impl<'a> Repair<'a> {
    /// Refuses a copy of another log.
    fn begin(dir: &'a Path, copy: &'a Path) -> Result<Self, JournalError> {
        let control = readable(ControlFile::open(dir, false))?;
        let theirs = readable(ControlFile::open(copy, false))?;
        let identity = |file: &ControlFile| (file.slot.exchange_uuid, file.slot.machine_id.get());
        let (ours, theirs) = (control.as_ref().map(identity), theirs.as_ref().map(identity));
        if ours.is_some() && theirs.is_some() && ours != theirs {
            return Err(JournalError::corrupt("R1", 0, 0, "the copy is of another log"));
        }
        let Some((uuid, machine_id)) = ours.or(theirs) else {
            let detail = "neither the log nor the copy has a control file";
            return Err(JournalError::corrupt("R1", 0, 0, detail));
        };
        Ok(Self {
            dir,
            copy,
            control,
            uuid,
            machine_id,
            chain: Chain::start(),
            window: Window::new(WINDOW_BYTES),
            copy_window: Window::new(WINDOW_BYTES),
            last_active: 0,
            mended: Vec::new(),
        })
    }

    /// Numbers of the segments that the mended log may have. Where there are snapshots, the oldest
    /// ones may be gone on purpose.
    fn segments(&self) -> Result<BTreeSet<u64>, JournalError> {
        let (ours, theirs) = (list(self.dir)?, list(self.copy)?);
        let begins_later = !snapshot::list(self.dir)?.is_empty();
        let oldest = ours.first().copied().filter(|_| begins_later).unwrap_or(FIRST_SEGMENT);
        let in_use = self.control.as_ref().map_or(0, |file| file.slot.active_segment.get());
        let ids = ours.into_iter().chain(theirs).chain(oldest..=in_use);
        Ok(ids.filter(|id| *id >= oldest).collect())
    }

    /// Mends one segment; returns whether the log may go on behind it.
    fn segment(&mut self, id: u64, draft: &mut Draft) -> Result<bool, JournalError> {
        let ours = opened(self.dir, id)?;
        let theirs = opened(self.copy, id)?;
        let theirs = theirs.filter(|segment| {
            self.is_usable(segment) && check_header(segment, self.machine_id).is_ok()
        });
        let usable = ours.as_ref().filter(|segment| self.is_usable(segment));
        let Some(header) = usable.or(theirs.as_ref()).and_then(|segment| segment.header.clone())
        else {
            // Not in use, or not in the copy: then the check of the outcome says so.
            return draft.keep_segment(id).map(|()| false);
        };
        let len = header.segment_len.get();
        let has_header = usable.is_some();
        match &ours {
            None => self.note(Damage::Missing, id, 0, len),
            Some(segment) if segment.file_len != len => self.note(Damage::Length, id, 0, len),
            Some(_) => {}
        }
        let mut image = draft.image(id, ours, len)?;
        if !has_header {
            let theirs = theirs.as_ref().expect("one of them has the header");
            let mut block = vec![0; usize::try_from(BODY_OFFSET).expect("two blocks")];
            let read = theirs.file.read_exact_at(&mut block, 0);
            read.map_err(JournalError::io("read", &theirs.path))?;
            image.put(0, &block)?;
            self.note(Damage::Header, id, 0, BODY_OFFSET);
        }
        self.last_active = id;
        let sealed = self.groups(&header, theirs.as_ref(), &mut image)?;
        image.finish()?;
        Ok(sealed)
    }

    /// Walks the groups of a segment up to its seal or to what neither has.
    fn groups(
        &mut self,
        header: &SegmentHeader,
        theirs: Option<&SegmentFile>,
        image: &mut Image<'_>,
    ) -> Result<bool, JournalError> {
        if self.chain.next_group_no == 1 && header.segment_id.get() != FIRST_SEGMENT {
            self.chain = Chain::before(header);
        }
        self.chain.epoch = header.epoch.get();
        self.window.discard();
        self.copy_window.discard();
        let mut scan = SegmentScan::new(header);
        loop {
            let at = scan.offset;
            let mut group =
                group_of(scan.step(&image.segment().file, &mut self.window, &mut self.chain))
                    .map_err(JournalError::io("read", &image.segment().path))?;
            if group.is_none()
                && let Some(theirs) = theirs
            {
                group = group_of(scan.step(&theirs.file, &mut self.copy_window, &mut self.chain))
                    .map_err(JournalError::io("read", &theirs.path))?;
                if let Some((len, _)) = group {
                    let bytes = self.copy_window.load(&theirs.file, at, len, scan.segment_len);
                    image.put(at, bytes.map_err(JournalError::io("read", &theirs.path))?)?;
                    self.window.discard();
                    self.note(Damage::Group, scan.id, at, len as u64);
                }
            }
            match group {
                None => return Ok(false),
                Some((_, false)) => {}
                Some((_, true)) => {
                    let behind = image.segment().find_non_zero(scan.offset, scan.segment_len)?;
                    if let Some((at, end)) = behind {
                        let len = usize::try_from(end - at).expect("within a segment");
                        image.put(at, &vec![0; len])?;
                        self.note(Damage::BehindSeal, scan.id, at, end - at);
                    }
                    return Ok(true);
                }
            }
        }
    }

    /// Makes the control file anew where it cannot be read, from what the segments say.
    fn control(&mut self, draft: &mut Draft) -> Result<(), JournalError> {
        if self.control.is_some() {
            return draft.keep_control();
        }
        let (chain, last) = (&self.chain, self.last_active);
        draft.put_control(self.machine_id, self.uuid, |slot| {
            slot.epoch = U64::new(chain.epoch);
            slot.boot_count = U64::new(chain.epoch);
            slot.active_segment = U64::new(last);
            slot.last_sealed = U64::new(last.saturating_sub(1));
            slot.durable_seq = U64::new(chain.durable_seq);
        })?;
        self.note(Damage::Control, 0, 0, BODY_OFFSET);
        Ok(())
    }

    /// Whether a segment says that it is in use, of this log, and where the walk stands.
    fn is_usable(&self, segment: &SegmentFile) -> bool {
        let in_place = |header: &SegmentHeader| {
            let begins = self.chain.next_group_no == 1
                || (header.first_seq.get() == self.chain.last_seq + 1
                    && header.first_group_no.get() == self.chain.next_group_no);
            begins && header.exchange_uuid == self.uuid
        };
        let is_ours =
            |header: &SegmentHeader| check_fields(segment, header, self.machine_id).is_ok();
        let header = segment.header.as_ref().filter(|_| segment.is_active());
        header.is_some_and(|header| is_ours(header) && in_place(header))
    }

    /// What follows at once is one place; a segment that was missing is one as a whole.
    fn note(&mut self, damage: Damage, segment: u64, offset: u64, bytes: u64) {
        let last = self.mended.last_mut().filter(|last| last.segment == segment);
        match last {
            Some(last) if last.damage == Damage::Missing => {}
            Some(last) if last.damage == damage && last.offset + last.bytes == offset => {
                last.bytes += bytes;
            }
            _ => self.mended.push(Mended { damage, segment, offset, bytes }),
        }
    }
}

/// A control file whose bytes are damaged counts as none.
fn readable(
    opened: Result<Option<ControlFile>, JournalError>,
) -> Result<Option<ControlFile>, JournalError> {
    match opened {
        Err(JournalError::Corrupt { .. }) => Ok(None),
        opened => opened,
    }
}

/// A segment that is there.
fn opened(dir: &Path, id: u64) -> Result<Option<SegmentFile>, JournalError> {
    match SegmentFile::open(dir, id, false) {
        Err(JournalError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Bytes of the group that was found, and whether it is the seal.
fn group_of(step: Result<Step, ScanError>) -> io::Result<Option<(usize, bool)>> {
    match step {
        Ok(Step::Group(header)) => {
            let is_seal = header.flags.get() & GROUP_SEAL != 0;
            Ok(Some((header.group_len.get() as usize, is_seal)))
        }
        Ok(Step::End(_)) | Err(ScanError::Rule(_)) => Ok(None),
        Err(ScanError::Read(error)) => Err(error),
    }
}
