//! Tells the segments of a log that are in use from the one that is not, and those that are read
//! from those before them.
//!
//! Must not know: groups. Invariant: no segment is missing between those that it returns, and the
//! spare holds no bytes where groups would stand.

use crate::error::JournalError;
use crate::limits::BODY_OFFSET;
use crate::segment::{FIRST_SEGMENT, LOOK_BYTES, SegmentFile, check_header, list};
use crate::survey::{Begin, Expect};
use crate::window::View;
use std::path::Path;

/// The segments of a log.
#[derive(Debug)]
pub(crate) struct Arranged {
    /// Those in use from the one on with which reading begins.
    pub(crate) active: Vec<SegmentFile>,
    pub(crate) spare: Option<SegmentFile>,
    /// Segments in use of which one of the two header copies is damaged.
    pub(crate) copies_damaged: u64,
}

/// Opens all segments and tells those in use from the spare; every gap is an error.
pub(crate) fn arrange(dir: &Path, expect: &Expect<'_>) -> Result<Arranged, JournalError> {
    let used_up_to = expect.control.active_segment.get();
    let ids = list(dir)?;
    let (mut active, mut spare, mut copies_damaged) = (Vec::new(), None, 0);
    let mut newest = 0;
    for (wanted, id) in (first_id(&ids, expect.begin)..).zip(&ids) {
        if *id != wanted {
            let detail = format!("segment {wanted} is missing, the next one is {id}");
            return Err(JournalError::corrupt("R3", wanted, 0, detail));
        }
        let segment = SegmentFile::open(dir, *id, false)?;
        if segment.header.is_some() {
            check_header(&segment, expect.machine_id)?;
        }
        if segment.is_active() && spare.is_none() {
            newest = *id;
            copies_damaged += u64::from(segment.copy_damaged);
            if begins_at(&segment, active.is_empty(), expect) {
                active.clear();
            }
            active.push(segment);
            continue;
        }
        if *id <= used_up_to || spare.is_some() {
            let detail = "a segment that was in use has no header of one in use";
            return Err(JournalError::corrupt("R3", *id, 0, detail));
        }
        spare = Some(check_unused(segment, expect.view)?);
    }
    if newest < used_up_to {
        let detail = format!("the segment is missing, it was in use: found up to {newest}");
        return Err(JournalError::corrupt("R3", used_up_to, 0, detail));
    }
    check_begin(&active, expect.begin)?;
    Ok(Arranged { active, spare, copies_damaged })
}

/// Number that the first segment must have: the oldest ones may be gone where nobody needs them.
fn first_id(ids: &[u64], begin: Begin) -> u64 {
    match begin {
        Begin::After(0) => FIRST_SEGMENT,
        Begin::After(_) | Begin::Oldest => ids.first().copied().unwrap_or(FIRST_SEGMENT),
    }
}

/// Whether those before this segment need not be read: it holds the last record that is not wanted
/// itself, or one before that. What a chain continues is thereby always read.
fn begins_at(segment: &SegmentFile, is_first: bool, expect: &Expect<'_>) -> bool {
    let first_seq = segment.header.as_ref().map_or(0, |header| header.first_seq.get());
    match expect.begin {
        Begin::After(after) => !is_first && first_seq <= after,
        Begin::Oldest => false,
    }
}

/// Refuses a log whose oldest segment begins behind what is wanted.
fn check_begin(active: &[SegmentFile], begin: Begin) -> Result<(), JournalError> {
    let (Some(first), Begin::After(after)) = (active.first(), begin) else { return Ok(()) };
    let first_seq = first.header.as_ref().map_or(0, |header| header.first_seq.get());
    if first.id == FIRST_SEGMENT || first_seq <= after {
        return Ok(());
    }
    let detail = format!("the oldest segment begins with {first_seq}, {after} is needed");
    Err(JournalError::corrupt("R3", first.id, 0, detail))
}

/// Unused segments are all zero behind their headers, however torn those are. Groups would stand
/// at the beginning of the body; the rest of it is looked at before it is used.
fn check_unused(mut segment: SegmentFile, view: View) -> Result<SegmentFile, JournalError> {
    segment.set_view(view)?;
    let end = match view {
        View::Disk { .. } if segment.header.is_some() => BODY_OFFSET + LOOK_BYTES as u64,
        _ => segment.file_len,
    };
    if let Some((at, _)) = segment.find_non_zero(BODY_OFFSET, end)? {
        let detail = "a segment that is not in use has bytes in its body";
        return Err(JournalError::corrupt("R3", segment.id, at, detail));
    }
    Ok(segment)
}
