//! Walks a damaged log and a copy of it side by side, and drafts the log as it would be.
//!
//! Must not know: whether the outcome will do. Invariant: bytes of the copy are taken only where
//! those of the log are not the next group, and only if they continue the log by its own checksums;
//! bytes of the log are given up only where they cannot be read.

use crate::control::ControlFile;
use crate::error::JournalError;
use crate::format::{BLOCK, GROUP_HEADER, GROUP_SEAL, SegmentHeader};
use crate::limits::BODY_OFFSET;
use crate::repair::{Damage, Mended};
use crate::repair_draft::{Draft, Image, is_unreadable};
use crate::scan::{Chain, ScanError, SegmentScan, Step};
use crate::segment::{FIRST_SEGMENT, SegmentFile, check_fields, check_header, list};
use crate::snapshot;
use crate::trim;
use crate::window::Window;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use zerocopy::byteorder::little_endian::U64;

/// Bytes read at once, and where some of them cannot be read.
const WINDOW_BYTES: usize = 1 << 20;
const SMALL_WINDOW_BYTES: usize = BLOCK;

/// Where the drafted log ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    pub(crate) segment: u64,
    /// Behind the last group.
    pub(crate) offset: u64,
    pub(crate) is_sealed: bool,
    /// How long the file of this segment was, where that is less than it should be.
    short: Option<u64>,
}

impl End {
    /// Whether more may have stood behind the end, in what the file has lost. `tail_bytes` stand
    /// there that are no group.
    pub(crate) fn is_cut(&self, tail_bytes: u64) -> bool {
        self.short.is_some_and(|len| len < self.offset + GROUP_HEADER as u64 || tail_bytes > 0)
    }
}

/// The walk through both logs.
pub(crate) struct RepairWalk<'a> {
    dir: &'a Path,
    copy: &'a Path,
    control: Option<ControlFile>,
    uuid: [u8; 16],
    machine_id: u32,
    chain: Chain,
    window: Window,
    copy_window: Window,
    end: End,
    mended: Vec<Mended>,
}

impl<'a> RepairWalk<'a> {
    /// Refuses a copy of another log.
    pub(crate) fn begin(dir: &'a Path, copy: &'a Path) -> Result<Self, JournalError> {
        let control = readable(ControlFile::open(dir, false))?;
        let theirs = readable(ControlFile::open(copy, false))?;
        let (ours, theirs) = (identity(dir, control.as_ref())?, identity(copy, theirs.as_ref())?);
        if ours.is_some() && theirs.is_some() && ours != theirs {
            return Err(JournalError::corrupt("R1", 0, 0, "the copy is of another log"));
        }
        let Some((uuid, machine_id)) = ours.or(theirs) else {
            let detail = "neither the log nor the copy says which log it is";
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
            end: End::default(),
            mended: Vec::new(),
        })
    }

    /// Drafts all segments; returns where the log ends.
    pub(crate) fn all(&mut self, draft: &mut Draft) -> Result<End, JournalError> {
        let mut goes_on = true;
        for id in self.segments()? {
            if goes_on {
                goes_on = self.segment(id, draft)?;
            } else {
                draft.keep_segment(id)?;
            }
        }
        Ok(self.end)
    }

    /// Number of the last start, where it is known.
    pub(crate) fn started_epoch(&self) -> u64 {
        self.control.as_ref().map_or(0, |file| file.slot.epoch.get())
    }

    /// Numbers of the segments that the mended log may have.
    fn segments(&self) -> Result<BTreeSet<u64>, JournalError> {
        let (ours, theirs) = (list(self.dir)?, list(self.copy)?);
        let oldest = self.oldest(&ours)?;
        let in_use = self.control.as_ref().map_or(0, |file| file.slot.active_segment.get());
        let ids = ours.into_iter().chain(theirs).chain(oldest..=in_use);
        Ok(ids.filter(|id| *id >= oldest).collect())
    }

    /// The oldest one. Where there are snapshots, those before it may be gone on purpose: as far as
    /// the oldest snapshot holds what was in them.
    fn oldest(&self, ours: &[u64]) -> Result<u64, JournalError> {
        let (Some(first), Some(held)) = (ours.first(), snapshot::list(self.dir)?.last().copied())
        else {
            return Ok(FIRST_SEGMENT);
        };
        let segment = opened(self.dir, *first)?.filter(|segment| self.is_usable(segment));
        let header = segment.as_ref().and_then(|segment| segment.header.as_ref());
        let will_do = header.is_some_and(|header| header.first_seq.get() <= held);
        Ok(if will_do { *first } else { FIRST_SEGMENT })
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
        let found_len = ours.as_ref().map_or(0, |segment| segment.file_len);
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
        let short = (found_len < len).then_some(found_len);
        self.end = End { segment: id, offset: BODY_OFFSET, is_sealed: false, short };
        let sealed = self.groups(&header, theirs.as_ref(), &mut image)?;
        image.finish()?;
        self.end.is_sealed = sealed;
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
        self.window = Window::new(WINDOW_BYTES);
        self.copy_window.discard();
        let mut scan = SegmentScan::new(header);
        loop {
            self.end.offset = scan.offset;
            if let Some((len, is_seal)) = self.own_group(&mut scan, image.segment())? {
                self.end.offset += len;
                if is_seal {
                    return self.clear_behind(&scan, image).map(|()| true);
                }
            } else if let Some((len, is_seal)) = self.copied_group(&mut scan, theirs, image)? {
                self.end.offset += len;
                if is_seal {
                    // What stands behind a seal that is not the log's own may be its groups.
                    return Ok(true);
                }
            } else {
                return Ok(false);
            }
        }
    }

    /// The next group of the log itself: its length, and whether it is the seal.
    fn own_group(
        &mut self,
        scan: &mut SegmentScan,
        segment: &SegmentFile,
    ) -> Result<Option<(u64, bool)>, JournalError> {
        let file = &segment.file;
        let step = match group_of(scan.step(file, &mut self.window, &mut self.chain)) {
            Err(error) if is_unreadable(&error) => {
                // Not all of what was read at once is lost.
                self.window = Window::new(SMALL_WINDOW_BYTES);
                group_of(scan.step(file, &mut self.window, &mut self.chain))
            }
            step => step,
        };
        match step {
            Err(error) if is_unreadable(&error) => {
                self.window.discard();
                Ok(None)
            }
            step => step.map_err(JournalError::io("read", &segment.path)),
        }
    }

    /// The next group of the copy, put where it belongs. Not where a torn tail is being removed.
    fn copied_group(
        &mut self,
        scan: &mut SegmentScan,
        theirs: Option<&SegmentFile>,
        image: &mut Image<'_>,
    ) -> Result<Option<(u64, bool)>, JournalError> {
        let at = scan.offset;
        let pending = self.control.as_ref().and_then(|file| trim::pending(&file.slot));
        let is_trimmed = pending.is_some_and(|(id, offset, _)| (id, offset) == (scan.id, at));
        let Some(theirs) = theirs.filter(|_| !is_trimmed) else { return Ok(None) };
        let failed = || JournalError::io("read", &theirs.path);
        let group = group_of(scan.step(&theirs.file, &mut self.copy_window, &mut self.chain))
            .map_err(failed())?;
        if let Some((len, _)) = group {
            let len = usize::try_from(len).expect("a group is at most one MiB");
            let bytes = self.copy_window.load(&theirs.file, at, len, scan.segment_len);
            image.put(at, bytes.map_err(failed())?)?;
            self.window.discard();
            self.note(Damage::Group, scan.id, at, len as u64);
        }
        Ok(group)
    }

    /// Nothing stands behind a seal of the log's own.
    fn clear_behind(
        &mut self,
        scan: &SegmentScan,
        image: &mut Image<'_>,
    ) -> Result<(), JournalError> {
        let behind = image.segment().find_non_zero(scan.offset, scan.segment_len)?;
        if let Some((at, end)) = behind {
            let len = usize::try_from(end - at).expect("within a segment");
            image.put(at, &vec![0; len])?;
            self.note(Damage::BehindSeal, scan.id, at, end - at);
        }
        Ok(())
    }

    /// Makes the control file anew where it cannot be read, from what the segments say; returns
    /// what was mended.
    pub(crate) fn finish(mut self, draft: &mut Draft) -> Result<Vec<Mended>, JournalError> {
        if self.control.is_some() {
            draft.keep_control()?;
            return Ok(self.mended);
        }
        let (chain, last) = (&self.chain, self.end.segment);
        draft.put_control(self.machine_id, self.uuid, |slot| {
            slot.epoch = U64::new(chain.epoch);
            slot.boot_count = U64::new(chain.epoch);
            slot.active_segment = U64::new(last);
            slot.last_sealed = U64::new(last.saturating_sub(1));
            slot.durable_seq = U64::new(chain.durable_seq);
        })?;
        self.note(Damage::Control, 0, 0, BODY_OFFSET);
        Ok(self.mended)
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

/// A segment that is there, and whose header can be read from the disk.
fn opened(dir: &Path, id: u64) -> Result<Option<SegmentFile>, JournalError> {
    match SegmentFile::open(dir, id, false) {
        Err(JournalError::Io { source, .. })
            if source.kind() == ErrorKind::NotFound || is_unreadable(&source) =>
        {
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

/// Exchange and machine of a log: by its control file, or else by its oldest readable header.
fn identity(
    dir: &Path,
    control: Option<&ControlFile>,
) -> Result<Option<([u8; 16], u32)>, JournalError> {
    if let Some(ControlFile { slot, .. }) = control {
        return Ok(Some((slot.exchange_uuid, slot.machine_id.get())));
    }
    for id in list(dir)? {
        if let Some(header) = opened(dir, id)?.and_then(|segment| segment.header) {
            return Ok(Some((header.exchange_uuid, header.machine_id.get())));
        }
    }
    Ok(None)
}

/// Bytes of the group that was found, and whether it is the seal.
fn group_of(step: Result<Step, ScanError>) -> io::Result<Option<(u64, bool)>> {
    match step {
        Ok(Step::Group(header)) => {
            let is_seal = header.flags.get() & GROUP_SEAL != 0;
            Ok(Some((header.group_len.get().into(), is_seal)))
        }
        Ok(Step::End(_)) | Err(ScanError::Rule(_)) => Ok(None),
        Err(ScanError::Read(error)) => Err(error),
    }
}
