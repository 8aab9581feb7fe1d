//! Verification of groups, one after the other, from the bytes of a file.
//!
//! Must not know: which segment is the last one, or what to do about damage. Invariant: a group is
//! passed on only when its checksum, its place in the chain and all of its records are right; the
//! scan never looks for a next group behind a bad one.

use crate::error::JournalError;
use crate::format::{
    BLOCK, GROUP_HEADER, GROUP_IDLE, GROUP_MAGIC, GROUP_POLICY_GROUP, GROUP_POLICY_MASK,
    GROUP_SEAL, GroupHeader, RECORD_HEADER, SegmentHeader, crc_seed, group_crc, is_zero,
};
use crate::limits::{GROUP_RECORDS_MAX, group_bytes_max};
use crate::window::Window;
use std::fs::File;
use std::io;
use zerocopy::FromBytes;

/// What the next group must continue.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) next_group_no: u64,
    /// `None` only for a reader that starts behind the beginning of a log.
    pub(crate) prev_crc: Option<u32>,
    pub(crate) last_seq: u64,
    pub(crate) last_ts_ns: u64,
    pub(crate) epoch: u64,
    pub(crate) durable_seq: u64,
    /// Policy bits of the last group.
    pub(crate) policy: Option<u16>,
}

impl Chain {
    /// The chain as a segment continues it, by its own word.
    pub(crate) fn before(header: &SegmentHeader) -> Self {
        Self {
            next_group_no: header.first_group_no.get(),
            prev_crc: None,
            last_seq: header.first_seq.get().saturating_sub(1),
            epoch: header.epoch.get(),
            ..Self::start()
        }
    }

    /// The chain of a log without groups.
    pub(crate) const fn start() -> Self {
        Self {
            next_group_no: 1,
            prev_crc: Some(0),
            last_seq: 0,
            last_ts_ns: 0,
            epoch: 0,
            durable_seq: 0,
            policy: None,
        }
    }
}

/// Why the bytes at an offset are not the next group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No room for another group.
    SegmentEnd,
    /// All bytes of the header are zero.
    Blank,
    /// The header makes no sense.
    Header,
    /// Header good, checksum wrong, and the end of the group was never written.
    Body,
    /// Header good, checksum wrong.
    Checksum,
    /// A whole group that does not continue the one before it.
    Link,
}

/// Outcome of one step.
#[derive(Debug)]
pub(crate) enum Step {
    Group(GroupHeader),
    End(Fault),
}

/// Position in the body of one segment.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    pub(crate) id: u64,
    pub(crate) salt: u64,
    pub(crate) pad: u32,
    pub(crate) segment_len: u64,
    pub(crate) machine_id: u32,
    /// Where the next group is expected.
    pub(crate) offset: u64,
}

impl SegmentScan {
    pub(crate) fn new(header: &SegmentHeader) -> Self {
        Self {
            id: header.segment_id.get(),
            salt: header.salt.get(),
            pad: header.pad.get(),
            segment_len: header.segment_len.get(),
            machine_id: header.machine_id.get(),
            offset: crate::limits::BODY_OFFSET,
        }
    }

    /// Takes the next group into the chain, or says why there is none. A group that is whole but
    /// breaks a rule is an error: its checksum shows that this log wrote it.
    pub(crate) fn step(
        &mut self,
        file: &File,
        window: &mut Window,
        chain: &mut Chain,
    ) -> Result<Step, ScanError> {
        let (header, group) = match self.frame_at(file, window, self.offset)? {
            Ok(found) => found,
            Err(fault) => return Ok(Step::End(fault)),
        };
        if chain.prev_crc.is_some_and(|crc| crc != header.prev_crc.get()) {
            let whole = self.is_whole(&header, group);
            return Ok(Step::End(if whole { Fault::Link } else { body_or_checksum(group) }));
        }
        if !self.is_whole(&header, group) {
            return Ok(Step::End(body_or_checksum(group)));
        }
        self.check(&header, group, chain).map_err(ScanError::Rule)?;
        chain.next_group_no += 1;
        chain.prev_crc = Some(header.crc.get());
        chain.epoch = header.epoch.get();
        chain.durable_seq = header.durable_seq.get();
        chain.policy = Some(header.flags.get() & GROUP_POLICY_MASK);
        self.offset += u64::from(header.group_len.get());
        Ok(Step::Group(header))
    }

    /// The group whose header stands at an offset, if the header makes sense; checksum not looked
    /// at.
    pub(crate) fn frame_at<'w>(
        &self,
        file: &File,
        window: &'w mut Window,
        offset: u64,
    ) -> io::Result<Result<(GroupHeader, &'w [u8]), Fault>> {
        if offset + GROUP_HEADER as u64 > self.segment_len {
            return Ok(Err(Fault::SegmentEnd));
        }
        let bytes = window.load(file, offset, GROUP_HEADER, self.segment_len)?;
        if is_zero(bytes) {
            return Ok(Err(Fault::Blank));
        }
        let header = GroupHeader::read_from_bytes(bytes).expect("64 bytes");
        let group_len = u64::from(header.group_len.get());
        let used = u64::from(header.used_len.get());
        let sane = header.magic == GROUP_MAGIC
            && header.reserved.get() == 0
            && group_len <= group_bytes_max(self.segment_len)
            && group_len.is_multiple_of(u64::from(self.pad))
            && offset + group_len <= self.segment_len
            && (GROUP_HEADER as u64..=group_len).contains(&used)
            && group_len - used < u64::from(self.pad);
        if !sane {
            return Ok(Err(Fault::Header));
        }
        let len = usize::try_from(group_len).map_err(io::Error::other)?;
        let group = window.load(file, offset, len, self.segment_len)?;
        Ok(Ok((header, group)))
    }

    /// Whether a group carries the checksum of its bytes for this segment and for the predecessor
    /// that it names itself.
    pub(crate) fn is_whole(&self, header: &GroupHeader, group: &[u8]) -> bool {
        let seed = crc_seed(self.salt, self.id, header.prev_crc.get());
        group_crc(seed, group) == header.crc.get()
    }

    /// Checks everything that a checksum cannot show; moves sequence and time of the chain.
    fn check(
        &self,
        header: &GroupHeader,
        group: &[u8],
        chain: &mut Chain,
    ) -> Result<(), JournalError> {
        let refuse = |detail: String| JournalError::corrupt("R4", self.id, self.offset, detail);
        let flags = header.flags.get();
        let policy = flags & GROUP_POLICY_MASK;
        let durable = header.durable_seq.get();
        let used = header.used_len.get() as usize;
        let no = header.group_no.get();
        for (good, what) in [
            (no == chain.next_group_no, "group number"),
            (header.first_seq.get() == chain.last_seq + 1, "first sequence"),
            (header.epoch.get() >= chain.epoch, "epoch"),
            (durable >= chain.durable_seq && durable <= chain.last_seq, "durable sequence"),
            (policy != GROUP_POLICY_GROUP || durable == chain.last_seq, "durable sequence"),
            (policy <= GROUP_POLICY_GROUP, "policy"),
            (flags & !(GROUP_POLICY_MASK | GROUP_IDLE | GROUP_SEAL) == 0, "flags"),
            (header.record_count.get() <= GROUP_RECORDS_MAX, "record count"),
            ((flags & GROUP_IDLE != 0) == (header.record_count.get() == 0), "idle flag"),
            (is_zero(&group[used..]), "padding"),
        ] {
            if !good {
                return Err(refuse(format!("{what} of group {no} is wrong: {header:?}")));
            }
        }
        let is_seal = flags & GROUP_SEAL != 0;
        let end = self.offset + u64::from(header.group_len.get());
        if !is_seal && end > self.segment_len - BLOCK as u64 {
            return Err(refuse(format!("group {no} is in the room of the seal")));
        }
        self.check_records(header, &group[GROUP_HEADER..used], is_seal, chain)
    }
}

/// A group whose last sector was never written was torn; otherwise its bytes were changed.
fn body_or_checksum(group: &[u8]) -> Fault {
    let used = GroupHeader::read_from_prefix(group).expect("a header").0.used_len.get() as usize;
    let last_record_end = &group[used.saturating_sub(RECORD_HEADER).max(GROUP_HEADER)..used];
    if is_zero(last_record_end) { Fault::Body } else { Fault::Checksum }
}

/// Why a scan could not go on.
#[derive(Debug)]
pub(crate) enum ScanError {
    Read(io::Error),
    Rule(JournalError),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl ScanError {
    /// The error for callers, with the file that was being read.
    pub(crate) fn at(self, path: &std::path::Path) -> JournalError {
        match self {
            Self::Read(error) => JournalError::io("read", path)(error),
            Self::Rule(error) => error,
        }
    }
}
