//! Reads a log record by record, also while it is being written.
//!
//! Must not know: the writer; it uses plain reads of the files, wherever they are kept, and takes
//! no lock. Invariant: a
//! record is delivered once, in order, and only out of a whole verified group; at the live end
//! there is nothing, and later there may be more.

use crate::error::JournalError;
use crate::format::{GROUP_HEADER, GROUP_SEAL};
use crate::record::Record;
use crate::record_scan::{record_at, seal_of};
use crate::retention::{is_kept, kept, open_kept};
use crate::scan::{Chain, Fault, SegmentScan, Step};
use crate::segment::{FIRST_SEGMENT, SegmentFile, check_header};
use crate::window::Window;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read at once.
const WINDOW_BYTES: usize = 256 << 10;

/// Where a reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Segment being read, or the one that will be.
    pub segment: u64,
    /// Offset of the next group.
    pub offset: u64,
    /// Sequence of the last record that was passed, delivered or skipped.
    pub last_seq: u64,
}

/// A sequential reader. What it delivers is stored, not necessarily synced: a caller that must not
/// see more than a cursor allows stops there by itself.
#[derive(Debug)]
pub struct JournalReader {
    dir: PathBuf,
    machine_id: u32,
    from_seq: u64,
    chain: Chain,
    window: Window,
    open: Option<Open>,
    /// Segment to open when none is.
    next_segment: u64,
    /// The end was met; look with small reads until something is there.
    idle: bool,
    /// Group being delivered.
    group: Group,
    passed_seq: u64,
}

#[derive(Debug)]
struct Open {
    segment: SegmentFile,
    scan: SegmentScan,
    uuid: [u8; 16],
}

/// A verified group in the window.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    offset: u64,
    len: usize,
    used: usize,
    /// Offset of the next record within the group.
    next: usize,
}

impl JournalReader {
    /// A reader of the log in `dir`, from the record with sequence `from_seq` on (0 and 1 are both
    /// the beginning).
    ///
    /// # Errors
    /// `Io` when the directory cannot be read; `Corrupt` when it holds another machine's log, or
    /// does not hold that record any more.
    pub fn open(dir: &Path, machine_id: u32, from_seq: u64) -> Result<Self, JournalError> {
        let mut reader = Self {
            dir: dir.to_owned(),
            machine_id,
            from_seq,
            chain: Chain::start(),
            window: Window::new(WINDOW_BYTES),
            open: None,
            next_segment: FIRST_SEGMENT,
            idle: false,
            group: Group::default(),
            passed_seq: 0,
        };
        let mut oldest = None;
        for id in kept(dir)?.into_iter().rev() {
            let segment = open_kept(dir, id)?;
            if !segment.is_active() {
                continue;
            }
            check_header(&segment, machine_id)?;
            let header = segment.header.as_ref().expect("an active segment has a header");
            if header.first_seq.get() <= from_seq.max(1) {
                reader.next_segment = id;
                return Ok(reader);
            }
            oldest = Some((id, header.first_seq.get()));
        }
        let Some((id, first)) = oldest else { return Ok(reader) };
        let detail = format!("the log is kept from {first} on, {from_seq} is asked for");
        Err(JournalError::corrupt("R3", id, 0, detail))
    }

    /// The next record, or `None` at the end of what was stored so far. Seals are not delivered.
    ///
    /// # Errors
    /// `Corrupt` when a segment that was left behind by the writer is damaged or missing.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        let machine_id = self.machine_id;
        loop {
            if self.group.next >= self.group.used && !self.next_group()? {
                return Ok(None);
            }
            let at = self.group.next;
            let (record, next) = record_at(self.group_bytes()?, at, machine_id);
            let seq = record.seq;
            self.group.next = next;
            self.passed_seq = seq;
            if seq >= self.from_seq {
                return Ok(Some(record_at(self.group_bytes()?, at, machine_id).0));
            }
        }
    }

    /// Where the reader stands.
    #[must_use]
    pub fn position(&self) -> Position {
        let segment = self.open.as_ref().map_or(self.next_segment, |open| open.segment.id);
        let offset = self.open.as_ref().map_or(0, |open| open.scan.offset);
        Position { segment, offset, last_seq: self.passed_seq }
    }

    /// The group being delivered; it stays in the window until the next one is looked for.
    fn group_bytes(&mut self) -> Result<&[u8], JournalError> {
        let open = self.open.as_ref().expect("a group stands in a segment");
        let limit = open.scan.segment_len;
        self.window
            .load(&open.segment.file, self.group.offset, self.group.len, limit)
            .map_err(JournalError::io("read", &open.segment.path))
    }

    /// Moves to the next group with records. `false`: there is none yet.
    fn next_group(&mut self) -> Result<bool, JournalError> {
        self.group = Group::default();
        let mut fresh = false;
        let mut successor_seen = false;
        loop {
            if self.open.is_none() && !self.enter_segment()? {
                return Ok(false);
            }
            if self.idle && !self.has_news()? {
                return Ok(false);
            }
            if self.idle {
                self.window.discard();
                self.idle = false;
                fresh = true;
            }
            let open = self.open.as_mut().expect("entered above");
            let at = open.scan.offset;
            let step = open
                .scan
                .step(&open.segment.file, &mut self.window, &mut self.chain)
                .map_err(|error| error.at(&open.segment.path))?;
            let header = match step {
                Step::Group(header) => header,
                // What was read earlier may be older than what is stored by now.
                Step::End(_) if !fresh => {
                    self.window.discard();
                    fresh = true;
                    continue;
                }
                Step::End(fault) => {
                    if successor_seen {
                        return Err(self.damaged(at, fault));
                    }
                    if !self.successor_is_active()? {
                        self.idle = true;
                        return Ok(false);
                    }
                    // The writer has left this segment, so all of it is there: look once more.
                    successor_seen = true;
                    self.window.discard();
                    continue;
                }
            };
            let len = header.group_len.get() as usize;
            let used = header.used_len.get() as usize;
            self.group = Group { offset: at, len, used, next: GROUP_HEADER };
            if header.flags.get() & GROUP_SEAL != 0 {
                self.leave_segment()?;
                (fresh, successor_seen) = (false, false);
            } else if used > GROUP_HEADER {
                return Ok(true);
            }
        }
    }

    fn damaged(&self, at: u64, fault: Fault) -> JournalError {
        let id = self.open.as_ref().map_or(0, |open| open.segment.id);
        let detail = format!("a segment that is not the last ends without a seal ({fault:?})");
        JournalError::corrupt("R8", id, at, detail)
    }

    /// Whether anything stands at the end that was met before.
    fn has_news(&self) -> Result<bool, JournalError> {
        let open = self.open.as_ref().expect("an end stands in a segment");
        if open.scan.offset + GROUP_HEADER as u64 > open.scan.segment_len {
            return Ok(true);
        }
        let mut header = [0; GROUP_HEADER];
        open.segment
            .file
            .read_exact_at(&mut header, open.scan.offset)
            .map_err(JournalError::io("read", &open.segment.path))?;
        Ok(header != [0; GROUP_HEADER])
    }

    /// Opens the next segment once it is in use.
    fn enter_segment(&mut self) -> Result<bool, JournalError> {
        if !is_kept(&self.dir, self.next_segment) {
            return self.check_end().map(|()| false);
        }
        let segment = open_kept(&self.dir, self.next_segment)?;
        if !segment.is_active() {
            return Ok(false);
        }
        check_header(&segment, self.machine_id)?;
        let header = segment.header.as_ref().expect("an active segment has a header");
        let begins = self.chain.policy.is_none();
        if begins {
            let prev_crc = (segment.id == FIRST_SEGMENT).then_some(0);
            self.chain = Chain { prev_crc, ..Chain::before(header) };
        } else if header.first_seq.get() != self.chain.last_seq + 1
            || header.first_group_no.get() != self.chain.next_group_no
        {
            let detail = "the segment does not continue the one before";
            return Err(JournalError::corrupt("R3", segment.id, 0, detail));
        }
        let (scan, uuid) = (SegmentScan::new(header), header.exchange_uuid);
        self.window.discard();
        self.open = Some(Open { segment, scan, uuid });
        Ok(true)
    }

    /// Where the next segment is not there, none behind it may be.
    fn check_end(&self) -> Result<(), JournalError> {
        let wanted = self.next_segment;
        match kept(&self.dir)?.into_iter().find(|id| *id > wanted) {
            Some(id) => {
                let detail = format!("segment {wanted} is missing, the next one is {id}");
                Err(JournalError::corrupt("R3", wanted, 0, detail))
            }
            None => Ok(()),
        }
    }

    /// Checks the seal that was just met and turns to the next segment.
    fn leave_segment(&mut self) -> Result<(), JournalError> {
        let body_end = self.group.offset;
        let machine_id = self.machine_id;
        let seal = seal_of(self.group_bytes()?, machine_id);
        let open = self.open.take().expect("a seal stands in a segment");
        self.group = Group::default();
        self.next_segment = open.segment.id + 1;
        let right = seal.is_some_and(|seal| {
            seal.body_end.get() == body_end && seal.last_seq.get() == self.chain.last_seq
        });
        if right {
            return Ok(());
        }
        let detail = "the seal does not agree with its segment";
        Err(JournalError::corrupt("R8", open.segment.id, body_end, detail))
    }

    fn successor_is_active(&self) -> Result<bool, JournalError> {
        let open = self.open.as_ref().expect("an end stands in a segment");
        let id = open.segment.id + 1;
        if !is_kept(&self.dir, id) {
            return Ok(false);
        }
        let next = open_kept(&self.dir, id)?;
        let alien = next.header.as_ref().is_some_and(|header| header.exchange_uuid != open.uuid);
        if alien {
            return Err(JournalError::corrupt("R3", id, 0, "exchange uuid is alien"));
        }
        Ok(next.is_active())
    }
}
