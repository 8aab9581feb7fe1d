//! Ends a segment and begins the next one.
//!
//! Must not know: how a segment is prepared. Invariant: a segment is left only sealed and synced,
//! and the next one gets its first group only when its header is synced.

use super::{ActiveSegment, JournalWriter};
use crate::error::JournalError;
use crate::fail_point;
use crate::format::{
    BLOCK, GROUP_HEADER, GROUP_SEAL, RECORD_HEADER, STATE_ACTIVE, SealPayload, SegmentHeader,
    close_group,
};
use crate::limits::BODY_OFFSET;
use crate::prepare::Spare;
use crate::record::RecordKind;
use crate::record_scan::close_record;
use crate::scan::Chain;
use crate::segment::file_name;
use zerocopy::IntoBytes;
use zerocopy::byteorder::little_endian::{U16, U64};

impl JournalWriter {
    /// Ends the active segment and goes on in the next one: seal, sync, header, sync. A crash
    /// between any two steps is told apart at the next start.
    pub(crate) fn roll(&mut self) -> Result<(), JournalError> {
        // First of all, because it is the only step that may fail and be repeated.
        let spare = self.keeper.take(self.active.id + 1)?;
        self.sync_predecessor()?;
        let hash = self.seal()?;
        fail_point::hit("roll-sealed");
        self.sync_segment()?;
        fail_point::hit("roll-seal-synced");
        let previous = Some((self.active.id, hash));
        let (active, spare) = begin_segment(spare, &self.chain, previous);
        let file = spare.file;
        let block = spare.header.to_block();
        // The first segment after a start may have had the alignment of an earlier configuration.
        self.pad = u64::from(spare.header.pad.get());
        let retired = self.sinks.replace(active.id, spare.sink);
        self.keeper.retire(retired);
        self.active = active;
        for (offset, stored) in [(0, "roll-header-1"), (BLOCK as u64, "roll-header-2")] {
            self.sinks
                .current
                .put(offset, &block)
                .map_err(JournalError::io("activate", &spare.path))?;
            fail_point::hit(stored);
        }
        self.sync_segment()?;
        fail_point::hit("roll-header-synced");
        self.keeper.begin_hash(file, block);
        let (id, synced_seq) = (self.active.id, self.synced_seq);
        self.control.update(|slot| {
            slot.active_segment = U64::new(id);
            slot.last_sealed = U64::new(id - 1);
            slot.durable_seq = U64::new(synced_seq);
        })?;
        fail_point::hit("roll-done");
        self.keeper.request(id + 1, None);
        Ok(())
    }

    /// Stores the seal; returns the hash of the segment.
    fn seal(&mut self) -> Result<[u8; 32], JournalError> {
        let path = self.dir.join(file_name(self.active.id));
        let body_end = self.active.offset;
        let hash = self
            .keeper
            .finish_hash(body_end)
            .map_err(JournalError::io("read back for the seal", &path))?;
        let seal = SealPayload {
            last_seq: U64::new(self.chain.last_seq),
            group_count: U64::new(self.active.group_count),
            record_count: U64::new(self.active.record_count),
            body_end: U64::new(body_end),
            segment_hash: hash,
        };
        let mut group = [0; BLOCK];
        let start = GROUP_HEADER + RECORD_HEADER;
        group[start..start + size_of::<SealPayload>()].copy_from_slice(seal.as_bytes());
        let used = close_record(
            &mut group,
            GROUP_HEADER,
            RecordKind::Seal,
            self.chain.last_seq,
            self.chain.last_ts_ns,
            size_of::<SealPayload>(),
        );
        let pad = usize::try_from(self.pad).expect("at most one block");
        let group = &mut group[..used.next_multiple_of(pad)];
        let header = self.group_header(group.len(), used, 0, 1, GROUP_SEAL);
        let crc = close_group(group, &header, self.seed());
        self.sinks.current.put(body_end, group).map_err(JournalError::io("seal", &path))?;
        self.link(crc, group.len() as u64);
        Ok(hash)
    }
}

/// Fills in the header with which a spare is taken into use after `previous` (number and hash). The
/// header is not stored yet.
pub(crate) fn begin_segment(
    mut spare: Spare,
    chain: &Chain,
    previous: Option<(u64, [u8; 32])>,
) -> (ActiveSegment, Spare) {
    let header: &mut SegmentHeader = &mut spare.header;
    let (previous_id, previous_hash) = previous.unwrap_or((0, [0; 32]));
    assert_eq!(header.segment_id.get(), previous_id + 1, "segments follow each other");
    header.state = U16::new(STATE_ACTIVE);
    header.first_seq = U64::new(chain.last_seq + 1);
    header.first_group_no = U64::new(chain.next_group_no);
    header.epoch = U64::new(chain.epoch);
    header.prev_segment_id = U64::new(previous_id);
    header.prev_segment_hash = previous_hash;
    let active = ActiveSegment {
        id: header.segment_id.get(),
        salt: header.salt.get(),
        len: header.segment_len.get(),
        offset: BODY_OFFSET,
        group_count: 0,
        record_count: 0,
        hash_told: BODY_OFFSET,
    };
    (active, spare)
}
