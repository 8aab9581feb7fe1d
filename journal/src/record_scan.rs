//! Records inside of a group: their rules, where they are, how they are written.
//!
//! Must not know: how a group is found. Invariant: a record is taken out of a group only when every
//! record of it was checked.

use crate::error::JournalError;
use crate::format::{
    GROUP_HEADER, GroupHeader, RECORD_HEADER, RecordHeader, SealPayload, is_zero, record_room,
};
use crate::limits::RECORD_BYTES_MAX;
use crate::record::{Record, RecordKind};
use crate::scan::{Chain, SegmentScan};
use zerocopy::{FromBytes, IntoBytes};

impl SegmentScan {
    /// Checks the records of a group and their counts; moves sequence and time of the chain.
    pub(crate) fn check_records(
        &self,
        header: &GroupHeader,
        mut bytes: &[u8],
        is_seal: bool,
        chain: &mut Chain,
    ) -> Result<(), JournalError> {
        let (mut sequenced, mut count) = (0u32, 0u32);
        let group_no = header.group_no.get();
        while !bytes.is_empty() {
            let refuse = |what: &str| {
                let detail = format!("{what} of record {count} of group {group_no} is wrong");
                JournalError::corrupt("R4", self.id, self.offset, detail)
            };
            let Ok((record, _)) = RecordHeader::read_from_prefix(bytes) else {
                return Err(refuse("header"));
            };
            let len = record.len.get() as usize;
            if !(RECORD_HEADER..=RECORD_BYTES_MAX).contains(&len) || record_room(len) > bytes.len()
            {
                return Err(refuse("length"));
            }
            let Some(kind) = RecordKind::from_number(record.kind.get(), self.machine_id) else {
                return Err(refuse(&format!("kind {:#x}", record.kind.get())));
            };
            let expected = chain.last_seq + u64::from(kind.is_sequenced());
            if record.seq.get() != expected {
                return Err(refuse("sequence"));
            }
            if record.ts_ns.get() < chain.last_ts_ns {
                return Err(refuse("time"));
            }
            if record.flags.get() != 0 || !is_zero(&bytes[len..record_room(len)]) {
                return Err(refuse("reserved part"));
            }
            if (kind == RecordKind::Seal) != is_seal {
                return Err(refuse("kind in a seal group"));
            }
            chain.last_seq = expected;
            chain.last_ts_ns = record.ts_ns.get();
            sequenced += u32::from(kind.is_sequenced());
            count += 1;
            bytes = &bytes[record_room(len)..];
        }
        let counts_right = sequenced == header.seq_count.get()
            && count == header.record_count.get()
            && (!is_seal || count == 1);
        if counts_right {
            return Ok(());
        }
        let detail = format!("counts of group {group_no} are wrong");
        Err(JournalError::corrupt("R4", self.id, self.offset, detail))
    }
}

/// The record at an offset of a verified group, and the offset of the next one.
pub(crate) fn record_at(group: &[u8], offset: usize, machine_id: u32) -> (Record<'_>, usize) {
    let (header, rest) = RecordHeader::read_from_prefix(&group[offset..]).expect("verified");
    let len = header.len.get() as usize;
    let kind = RecordKind::from_number(header.kind.get(), machine_id).expect("verified");
    let record = Record {
        kind,
        flags: header.flags.get(),
        seq: header.seq.get(),
        ts_ns: header.ts_ns.get(),
        payload: &rest[..len - RECORD_HEADER],
    };
    (record, offset + record_room(len))
}

/// The payload of a verified seal group.
pub(crate) fn seal_of(group: &[u8], machine_id: u32) -> Option<SealPayload> {
    let (record, _) = record_at(group, GROUP_HEADER, machine_id);
    assert_eq!(record.kind, RecordKind::Seal);
    SealPayload::read_from_bytes(record.payload).ok()
}

/// Writes a record's header in front of its payload, and zeros behind it; returns the next offset.
#[inline]
pub(crate) fn close_record(
    group: &mut [u8],
    offset: usize,
    kind: RecordKind,
    seq: u64,
    ts_ns: u64,
    payload_len: usize,
) -> usize {
    let len = RECORD_HEADER + payload_len;
    assert!(len <= RECORD_BYTES_MAX);
    let header = RecordHeader {
        len: u32::try_from(len).expect("bounded above").into(),
        kind: (kind as u16).into(),
        flags: 0.into(),
        seq: seq.into(),
        ts_ns: ts_ns.into(),
    };
    group[offset..offset + RECORD_HEADER].copy_from_slice(header.as_bytes());
    let end = offset + record_room(len);
    if offset + len < end {
        group[offset + len..end].fill(0);
    }
    end
}
