//! Tells the end of a log from a torn end and from damage.
//!
//! Must not know: how a tail is removed. Invariant: bytes are called torn only when nothing shows
//! that they were ever durable; in doubt the log is refused.

use crate::error::JournalError;
use crate::format::{GROUP_POLICY_GROUP, GROUP_POLICY_MASK, GroupHeader};
use crate::scan::{Chain, Fault, SegmentScan};
use crate::segment::SegmentFile;
use crate::window::Window;
use std::fmt;

/// What was found behind the last good group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailCase {
    /// No segment had been in use.
    Fresh,
    /// Zeros to the end of the segment.
    Clean,
    /// The last segment is sealed; the next one had not been taken into use.
    Sealed,
    /// The header of the next group is not one.
    TornHeader,
    /// The header is one, the end of the group was never written.
    TornBody,
    /// The header is one, the checksum is wrong.
    BadChecksum,
    /// Later groups are whole: the machine lost power while several unsynced groups were on their
    /// way. Never under `group`.
    Hole,
    /// An earlier start was interrupted while it removed a tail.
    TrimResumed,
}

impl fmt::Display for TailCase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Fresh => "fresh log",
            Self::Clean => "clean end",
            Self::Sealed => "sealed, next segment not in use",
            Self::TornHeader => "torn group header",
            Self::TornBody => "torn group body",
            Self::BadChecksum => "bad group checksum",
            Self::Hole => "hole before unsynced groups",
            Self::TrimResumed => "interrupted trim resumed",
        })
    }
}

/// The end of the last segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    pub(crate) case: TailCase,
    /// Bytes from the end of the log to the last one that is not zero; 0 at a clean end.
    pub(crate) len: u64,
    /// Highest sequence of a whole group that lies behind a hole.
    pub(crate) lost_seq: Option<u64>,
}

impl Tail {
    pub(crate) const fn clean(case: TailCase) -> Self {
        Self { case, len: 0, lost_seq: None }
    }
}

/// Bytes read at once while looking for later groups.
const WINDOW_BYTES: usize = 2 << 20;

/// Decides about the bytes of a last segment from `offset` on. `witness_seq` is the highest
/// sequence known to have been durable.
pub(crate) fn classify(
    segment: &SegmentFile,
    offset: u64,
    chain: &Chain,
    fault: Fault,
    witness_seq: u64,
) -> Result<Tail, JournalError> {
    let Some((_, end)) = segment.find_non_zero(offset, segment.file_len)? else {
        return Ok(Tail::clean(TailCase::Clean));
    };
    let refuse = |at, detail: String| JournalError::corrupt("R6", segment.id, at, detail);
    if chain.last_seq < witness_seq {
        let last = chain.last_seq;
        return Err(refuse(
            offset,
            format!("{fault:?} after {last}, but {witness_seq} was durable"),
        ));
    }
    let mut lost_seq = None;
    let mut case = match fault {
        Fault::Blank | Fault::Header | Fault::SegmentEnd => TailCase::TornHeader,
        Fault::Body => TailCase::TornBody,
        Fault::Checksum => TailCase::BadChecksum,
        Fault::Link => TailCase::Hole,
    };
    let found = later_groups(segment, offset, end, |at, later| {
        let strict = [chain.policy, Some(later.flags.get() & GROUP_POLICY_MASK)]
            .contains(&Some(GROUP_POLICY_GROUP));
        let no = later.group_no.get();
        if strict {
            return Err(refuse(at, format!("{fault:?} at {offset}, but group {no} is whole")));
        }
        if later.durable_seq.get() > chain.last_seq {
            let durable = later.durable_seq.get();
            return Err(refuse(
                at,
                format!("{fault:?} at {offset}, group {no} says {durable} durable"),
            ));
        }
        let last = later.first_seq.get().saturating_add(u64::from(later.seq_count.get()));
        lost_seq = lost_seq.max(Some(last.saturating_sub(1)));
        Ok(())
    })?;
    if found {
        case = TailCase::Hole;
    }
    Ok(Tail { case, len: end - offset, lost_seq })
}

/// Looks for whole groups at every aligned offset. This only chooses between trimming and refusing:
/// no record of a group found here is ever used.
fn later_groups(
    segment: &SegmentFile,
    offset: u64,
    end: u64,
    mut found: impl FnMut(u64, &GroupHeader) -> Result<(), JournalError>,
) -> Result<bool, JournalError> {
    let header = segment.header.as_ref().expect("a segment in use has a header");
    let scan = SegmentScan::new(header);
    let mut window = Window::new(WINDOW_BYTES);
    let mut any = false;
    let mut at = offset;
    while at < end {
        let framed = scan
            .frame_at(segment.reading(), &mut window, at)
            .map_err(JournalError::io("read", &segment.path))?;
        let mut step = u64::from(scan.pad);
        if let Ok((group_header, group)) = framed
            && scan.is_whole(&group_header, group)
        {
            found(at, &group_header)?;
            any = true;
            step = u64::from(group_header.group_len.get());
        }
        at += step;
    }
    Ok(any)
}
