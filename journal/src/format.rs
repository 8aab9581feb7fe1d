//! Byte maps of segment, group, record and seal headers and of a control slot.
//!
//! Must not know: files, or when something is written. Integers are little-endian, reserved bytes
//! are zero and checked. Invariant: every structure has the size and offsets that are asserted
//! below it and pinned by golden bytes, so a layout cannot change unnoticed.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of everything below.
pub(crate) const FORMAT: u16 = 1;
/// First bytes of a segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"MRJRNL01";
/// First bytes of a control slot.
pub(crate) const CONTROL_MAGIC: [u8; 8] = *b"MRCTRL01";
/// First bytes of a group.
pub(crate) const GROUP_MAGIC: [u8; 4] = *b"MGRP";
/// Segment states.
pub(crate) const STATE_PREPARED: u16 = 1;
pub(crate) const STATE_ACTIVE: u16 = 2;
/// Group flags: two policy bits, idle, seal.
pub(crate) const GROUP_POLICY_MASK: u16 = 0b11;
pub(crate) const GROUP_POLICY_GROUP: u16 = 2;
pub(crate) const GROUP_IDLE: u16 = 1 << 2;
pub(crate) const GROUP_SEAL: u16 = 1 << 3;
/// Control flags.
pub(crate) const CONTROL_CLEAN: u16 = 1;
pub(crate) const CONTROL_PENDING_TRIM: u16 = 1 << 1;

pub(crate) const BLOCK: usize = 4096;
pub(crate) const GROUP_HEADER: usize = 64;
pub(crate) const RECORD_HEADER: usize = 24;
const CRC_AT: usize = BLOCK - 4;

/// Header of a segment; two identical copies stand in its first two blocks.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SegmentHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) format: U16,
    pub(crate) header_len: U16,
    pub(crate) pad: U32,
    pub(crate) exchange_uuid: [u8; 16],
    pub(crate) segment_id: U64,
    pub(crate) segment_len: U64,
    pub(crate) first_seq: U64,
    pub(crate) first_group_no: U64,
    pub(crate) epoch: U64,
    pub(crate) salt: U64,
    pub(crate) prev_segment_id: U64,
    pub(crate) prev_segment_hash: [u8; 32],
    pub(crate) schema_hash: [u8; 32],
    pub(crate) build_id: [u8; 20],
    pub(crate) machine_id: U32,
    pub(crate) created_wall_ns: U64,
    pub(crate) snapshot_hint_seq: U64,
    pub(crate) state: U16,
    pub(crate) flags: U16,
    pub(crate) reserved: [u8; 3896],
    pub(crate) crc: U32,
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<SegmentHeader>() == BLOCK);
    assert!(offset_of!(SegmentHeader, exchange_uuid) == 16);
    assert!(offset_of!(SegmentHeader, segment_id) == 32);
    assert!(offset_of!(SegmentHeader, first_seq) == 48);
    assert!(offset_of!(SegmentHeader, epoch) == 64);
    assert!(offset_of!(SegmentHeader, salt) == 72);
    assert!(offset_of!(SegmentHeader, prev_segment_id) == 80);
    assert!(offset_of!(SegmentHeader, prev_segment_hash) == 88);
    assert!(offset_of!(SegmentHeader, schema_hash) == 120);
    assert!(offset_of!(SegmentHeader, build_id) == 152);
    assert!(offset_of!(SegmentHeader, machine_id) == 172);
    assert!(offset_of!(SegmentHeader, created_wall_ns) == 176);
    assert!(offset_of!(SegmentHeader, state) == 192);
    assert!(offset_of!(SegmentHeader, reserved) == 196);
    assert!(offset_of!(SegmentHeader, crc) == CRC_AT);
};

/// Header of a group.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct GroupHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) group_len: U32,
    pub(crate) group_no: U64,
    pub(crate) first_seq: U64,
    pub(crate) seq_count: U32,
    pub(crate) record_count: U32,
    pub(crate) durable_seq: U64,
    pub(crate) epoch: U64,
    pub(crate) used_len: U32,
    pub(crate) flags: U16,
    pub(crate) reserved: U16,
    pub(crate) prev_crc: U32,
    pub(crate) crc: U32,
}

/// Bytes 0..60 and from 64 on are under the checksum, which stands between them.
const GROUP_CRC_AT: usize = 60;
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<GroupHeader>() == GROUP_HEADER);
    assert!(offset_of!(GroupHeader, group_no) == 8);
    assert!(offset_of!(GroupHeader, seq_count) == 24);
    assert!(offset_of!(GroupHeader, durable_seq) == 32);
    assert!(offset_of!(GroupHeader, used_len) == 48);
    assert!(offset_of!(GroupHeader, flags) == 52);
    assert!(offset_of!(GroupHeader, prev_crc) == 56);
    assert!(offset_of!(GroupHeader, crc) == GROUP_CRC_AT);
};

/// Header of a record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RecordHeader {
    pub(crate) len: U32,
    pub(crate) kind: U16,
    pub(crate) flags: U16,
    pub(crate) seq: U64,
    pub(crate) ts_ns: U64,
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<RecordHeader>() == RECORD_HEADER);
    assert!(offset_of!(RecordHeader, kind) == 4);
    assert!(offset_of!(RecordHeader, seq) == 8);
    assert!(offset_of!(RecordHeader, ts_ns) == 16);
};

/// Payload of the seal record: counts of the segment without the seal's own group.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SealPayload {
    pub(crate) last_seq: U64,
    pub(crate) group_count: U64,
    pub(crate) record_count: U64,
    pub(crate) body_end: U64,
    pub(crate) segment_hash: [u8; 32],
}

const _: () = {
    assert!(size_of::<SealPayload>() == 64);
    assert!(std::mem::offset_of!(SealPayload, segment_hash) == 32);
    assert!(GROUP_HEADER + RECORD_HEADER + size_of::<SealPayload>() <= BLOCK);
};

/// One of the two slots of the control file.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct ControlSlot {
    pub(crate) magic: [u8; 8],
    pub(crate) format: U16,
    pub(crate) flags: U16,
    pub(crate) machine_id: U32,
    pub(crate) exchange_uuid: [u8; 16],
    pub(crate) generation: U64,
    pub(crate) epoch: U64,
    pub(crate) boot_count: U64,
    pub(crate) active_segment: U64,
    pub(crate) last_sealed: U64,
    pub(crate) durable_seq: U64,
    pub(crate) snapshot_seq: U64,
    pub(crate) snapshot_hash: [u8; 32],
    pub(crate) trim_segment: U64,
    pub(crate) trim_offset: U64,
    pub(crate) trim_len: U64,
    pub(crate) crash_seq: U64,
    pub(crate) crash_count: U32,
    pub(crate) reserved: [u8; 3936],
    pub(crate) crc: U32,
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ControlSlot>() == BLOCK);
    assert!(offset_of!(ControlSlot, exchange_uuid) == 16);
    assert!(offset_of!(ControlSlot, generation) == 32);
    assert!(offset_of!(ControlSlot, active_segment) == 56);
    assert!(offset_of!(ControlSlot, durable_seq) == 72);
    assert!(offset_of!(ControlSlot, snapshot_hash) == 88);
    assert!(offset_of!(ControlSlot, trim_segment) == 120);
    assert!(offset_of!(ControlSlot, crash_seq) == 144);
    assert!(offset_of!(ControlSlot, reserved) == 156);
    assert!(offset_of!(ControlSlot, crc) == CRC_AT);
};

/// Whether the last four bytes of a block are the checksum of the rest.
pub(crate) fn block_is_whole(block: &[u8]) -> bool {
    assert_eq!(block.len(), BLOCK);
    let (body, crc) = block.split_at(CRC_AT);
    crc32c::crc32c(body).to_le_bytes() == crc
}

/// Closes a block with its checksum.
pub(crate) fn close_block(block: &mut [u8]) {
    assert_eq!(block.len(), BLOCK);
    let crc = crc32c::crc32c(&block[..CRC_AT]);
    block[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
}

impl SegmentHeader {
    /// The block as stored, checksum included.
    pub(crate) fn to_block(&self) -> Vec<u8> {
        let mut block = self.as_bytes().to_vec();
        close_block(&mut block);
        block
    }

    /// The header in a block whose magic and checksum are right; `None` for anything else.
    pub(crate) fn from_block(block: &[u8]) -> Option<Self> {
        let header = Self::read_from_bytes(block).ok()?;
        (header.magic == SEGMENT_MAGIC && block_is_whole(block)).then_some(header)
    }
}

impl ControlSlot {
    /// The block as stored, checksum included.
    pub(crate) fn to_block(&self) -> Vec<u8> {
        let mut block = self.as_bytes().to_vec();
        close_block(&mut block);
        block
    }

    /// The slot in a block whose magic and checksum are right; `None` for anything else.
    pub(crate) fn from_block(block: &[u8]) -> Option<Self> {
        let slot = Self::read_from_bytes(block).ok()?;
        (slot.magic == CONTROL_MAGIC && block_is_whole(block)).then_some(slot)
    }
}

/// Low half of `x ^ (x >> 32)`.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
const fn fold32(x: u64) -> u32 {
    (x ^ (x >> 32)) as u32
}

/// Where the checksum of a group starts: other segments, other places in the chain and other
/// exchanges give other values, so bytes that were valid elsewhere are not valid here.
pub(crate) const fn crc_seed(salt: u64, segment_id: u64, prev_crc: u32) -> u32 {
    fold32(salt) ^ fold32(segment_id) ^ prev_crc
}

/// Checksum of a group, continued from `seed` as if that were the checksum of earlier bytes.
pub(crate) fn group_crc(seed: u32, group: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(seed, &group[..GROUP_CRC_AT]);
    crc32c::crc32c_append(head, &group[GROUP_HEADER..])
}

/// Puts header and checksum in front of a group whose records are in place; returns the checksum.
pub(crate) fn close_group(group: &mut [u8], header: &GroupHeader, seed: u32) -> u32 {
    assert_eq!(u64::from(header.group_len.get()), group.len() as u64);
    let used = header.used_len.get() as usize;
    assert!((GROUP_HEADER..=group.len()).contains(&used));
    group[used..].fill(0);
    group[..GROUP_HEADER].copy_from_slice(header.as_bytes());
    let crc = group_crc(seed, group);
    group[GROUP_CRC_AT..GROUP_HEADER].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// Bytes that a record of this length occupies: records start at multiples of eight.
pub(crate) const fn record_room(len: usize) -> usize {
    len.next_multiple_of(8)
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    bytes.chunks(BLOCK).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
