//! About how far a log goes, without reading it.
//!
//! Must not know: what the answer is for. Invariant: nothing is verified, so nothing may be decided
//! by it; it is for people who wait.

use crate::error::JournalError;
use crate::format::{BLOCK, GROUP_HEADER, GROUP_MAGIC, GroupHeader, is_zero};
use crate::limits::{BODY_OFFSET, GROUP_BYTES_MAX};
use crate::segment::{SegmentFile, list};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use zerocopy::FromBytes;

/// Sequence of the last record, as the last group header says; of the one before the last segment
/// where that shows none. 0 for a log that is empty or not there.
///
/// # Errors
/// A system call failed.
pub fn newest_sequence(dir: &Path) -> Result<u64, JournalError> {
    if !dir.is_dir() {
        return Ok(0);
    }
    for id in list(dir)?.into_iter().rev() {
        let segment = SegmentFile::open(dir, id, false)?;
        let Some(header) = segment.header.as_ref().filter(|_| segment.is_active()) else {
            continue;
        };
        let before = header.first_seq.get().saturating_sub(1);
        let found = last_group(&segment).map_err(JournalError::io("read", &segment.path))?;
        let last = |group: GroupHeader| {
            let next = group.first_seq.get().saturating_add(group.seq_count.get().into());
            next.saturating_sub(1)
        };
        return Ok(found.map_or(before, |group| before.max(last(group))));
    }
    Ok(0)
}

/// The last header of a group that is no seal or idle group: groups are written one behind the
/// other, so the end is found by halving.
fn last_group(segment: &SegmentFile) -> io::Result<Option<GroupHeader>> {
    let block = BLOCK as u64;
    let (mut used, mut free) = (BODY_OFFSET / block, segment.file_len / block);
    let mut bytes = vec![0; BLOCK];
    while used < free {
        let middle = used.midpoint(free);
        segment.file.read_exact_at(&mut bytes, middle * block)?;
        if is_zero(&bytes) { free = middle } else { used = middle + 1 }
    }
    let end = used * block;
    let start = end.saturating_sub(2 * GROUP_BYTES_MAX).max(BODY_OFFSET);
    bytes.resize(usize::try_from(end - start).map_err(io::Error::other)?, 0);
    segment.file.read_exact_at(&mut bytes, start)?;
    let headers = bytes.chunks_exact(GROUP_HEADER).rev();
    let headers = headers.filter(|bytes| bytes.starts_with(&GROUP_MAGIC));
    let mut headers = headers.filter_map(|bytes| GroupHeader::read_from_bytes(bytes).ok());
    Ok(headers.find(|header| header.seq_count.get() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SyncPolicy;
    use crate::tests::{Log, store_group, store_large};

    #[test]
    fn the_end_is_found_wherever_it_is() {
        for sync in [SyncPolicy::Group, SyncPolicy::Os] {
            let log = Log::new(sync);
            assert_eq!(newest_sequence(&log.dir()).unwrap(), 0);
            let mut writer = log.writer();
            assert_eq!(newest_sequence(&log.dir()).unwrap(), 0);
            // Small groups, large ones, and the moments right behind a roll.
            for round in 0..60 {
                if round % 2 == 0 {
                    store_group(&mut writer, 1 + round % 7);
                } else {
                    store_large(&mut writer, 50_000);
                }
                assert_eq!(newest_sequence(&log.dir()).unwrap(), writer.last_seq(), "{round}");
            }
            assert!(writer.segment_id() > 1);
            writer.sync().unwrap();
            writer.store_idle().unwrap();
            assert_eq!(newest_sequence(&log.dir()).unwrap(), writer.last_seq());
        }
    }
}
