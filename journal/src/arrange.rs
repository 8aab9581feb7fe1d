//! Tells the segments of a log that are in use from the one that is not.
//!
//! Must not know: groups. Invariant: no segment is missing between those that it returns, and the
//! spare holds no bytes where groups would stand.

use crate::error::JournalError;
use crate::limits::BODY_OFFSET;
use crate::segment::{FIRST_SEGMENT, LOOK_BYTES, SegmentFile, check_header, list};
use crate::survey::Expect;
use crate::window::View;
use std::path::Path;

/// Opens all segments and tells those in use from the spare; every gap is an error.
pub(crate) fn arrange(
    dir: &Path,
    expect: &Expect<'_>,
) -> Result<(Vec<SegmentFile>, Option<SegmentFile>), JournalError> {
    let used_up_to = expect.control.active_segment.get();
    let ids = list(dir)?;
    let mut active: Vec<SegmentFile> = Vec::with_capacity(ids.len());
    let mut spare = None;
    for (wanted, id) in (FIRST_SEGMENT..).zip(&ids) {
        if *id != wanted {
            let detail = format!("segment {wanted} is missing, the next one is {id}");
            return Err(JournalError::corrupt("R3", wanted, 0, detail));
        }
        let mut segment = SegmentFile::open(dir, *id, false)?;
        if segment.header.is_some() {
            check_header(&segment, expect.machine_id)?;
        }
        if segment.is_active() && spare.is_none() {
            active.push(segment);
            continue;
        }
        if *id <= used_up_to || spare.is_some() {
            let detail = "a segment that was in use has no header of one in use";
            return Err(JournalError::corrupt("R3", *id, 0, detail));
        }
        // Unused segments are all zero behind their headers, however torn those are. Groups would
        // stand at the beginning of the body; the rest of it is looked at before it is used.
        segment.set_view(expect.view)?;
        let end = match expect.view {
            View::Disk { .. } if segment.header.is_some() => BODY_OFFSET + LOOK_BYTES as u64,
            _ => segment.file_len,
        };
        if let Some((at, _)) = segment.find_non_zero(BODY_OFFSET, end)? {
            let detail = "a segment that is not in use has bytes in its body";
            return Err(JournalError::corrupt("R3", *id, at, detail));
        }
        spare = Some(segment);
    }
    let last = active.last().map_or(0, |segment| segment.id);
    if last < used_up_to {
        let detail = format!("the segment is missing, it was in use: found up to {last}");
        return Err(JournalError::corrupt("R3", used_up_to, 0, detail));
    }
    Ok((active, spare))
}
