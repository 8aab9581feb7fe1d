//! Byte map of a snapshot: one header block, then the parts, each with its name and length.
//!
//! Must not know: files, or what a part holds. Integers are little-endian, reserved bytes are zero
//! and checked. Invariant: as in [`crate::format`], sizes and offsets are asserted and pinned by
//! golden bytes.

use crate::error::JournalError;
use crate::format::{BLOCK, block_is_whole, close_block, is_zero};
use crate::limits::{SNAPSHOT_NAME_BYTES, SNAPSHOT_PARTS_MAX};
use std::ops::Range;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of everything below.
pub(crate) const SNAPSHOT_FORMAT: u16 = 1;
/// First bytes of a snapshot.
pub(crate) const SNAPSHOT_MAGIC: [u8; 8] = *b"MRSNAP01";
/// Name and length in front of a part.
const PART_HEAD: usize = SNAPSHOT_NAME_BYTES + 8;

/// First block of a snapshot.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SnapshotHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) format: U16,
    pub(crate) flags: U16,
    pub(crate) machine_id: U32,
    pub(crate) exchange_uuid: [u8; 16],
    pub(crate) seq: U64,
    pub(crate) event_seq: U64,
    pub(crate) epoch: U64,
    pub(crate) ts_ns: U64,
    pub(crate) body_len: U64,
    pub(crate) segment_id: U64,
    pub(crate) schema_hash: [u8; 32],
    pub(crate) body_hash: [u8; 32],
    pub(crate) state_hash: [u8; 32],
    pub(crate) event_digest: [u8; 16],
    pub(crate) previous_seq: U64,
    pub(crate) part_count: U32,
    pub(crate) reserved: [u8; 3888],
    pub(crate) crc: U32,
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<SnapshotHeader>() == BLOCK);
    assert!(offset_of!(SnapshotHeader, exchange_uuid) == 16);
    assert!(offset_of!(SnapshotHeader, seq) == 32);
    assert!(offset_of!(SnapshotHeader, ts_ns) == 56);
    assert!(offset_of!(SnapshotHeader, segment_id) == 72);
    assert!(offset_of!(SnapshotHeader, schema_hash) == 80);
    assert!(offset_of!(SnapshotHeader, body_hash) == 112);
    assert!(offset_of!(SnapshotHeader, state_hash) == 144);
    assert!(offset_of!(SnapshotHeader, event_digest) == 176);
    assert!(offset_of!(SnapshotHeader, previous_seq) == 192);
    assert!(offset_of!(SnapshotHeader, part_count) == 200);
    assert!(offset_of!(SnapshotHeader, reserved) == 204);
    assert!(offset_of!(SnapshotHeader, crc) == BLOCK - 4);
};

impl SnapshotHeader {
    /// The block as stored, checksum included.
    pub(crate) fn to_block(&self) -> Vec<u8> {
        let mut block = self.as_bytes().to_vec();
        close_block(&mut block);
        block
    }

    /// The header in a block whose magic and checksum are right; `None` for anything else.
    pub(crate) fn from_block(block: &[u8]) -> Option<Self> {
        let header = Self::read_from_bytes(block).ok()?;
        (header.magic == SNAPSHOT_MAGIC && block_is_whole(block)).then_some(header)
    }

    /// Whether every field that has one meaning only has it.
    pub(crate) fn is_sound(&self) -> bool {
        self.flags.get() == 0 && self.event_digest == [0; 16] && is_zero(&self.reserved)
    }
}

/// What stands in front of a part's bytes.
///
/// # Errors
/// The name is empty, too long or not of visible ASCII.
pub(crate) fn part_head(name: &str, len: usize) -> Result<[u8; PART_HEAD], JournalError> {
    let fits = (1..=SNAPSHOT_NAME_BYTES).contains(&name.len());
    if !fits || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("{name:?} is no name for a part of a snapshot");
        return Err(JournalError::Configuration { what });
    }
    let mut head = [0; PART_HEAD];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[SNAPSHOT_NAME_BYTES..].copy_from_slice(&(len as u64).to_le_bytes());
    Ok(head)
}

/// Finds the parts of a body; `None` if they do not fill it exactly, or two have one name.
pub(crate) fn parts_of(body: &[u8], count: u32) -> Option<Vec<(String, Range<usize>)>> {
    if count > SNAPSHOT_PARTS_MAX {
        return None;
    }
    let mut parts: Vec<(String, Range<usize>)> = Vec::new();
    let mut at = 0usize;
    for _ in 0..count {
        let head = body.get(at..at.checked_add(PART_HEAD)?)?;
        let (name, len) = head.split_at(SNAPSHOT_NAME_BYTES);
        let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
        let used = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let name = std::str::from_utf8(&name[..used]).ok()?.to_owned();
        // The one way to write this head is the one that is read.
        if part_head(&name, len).ok()? != *head || parts.iter().any(|(other, _)| *other == name) {
            return None;
        }
        let begin = at + PART_HEAD;
        at = begin.checked_add(len).filter(|end| *end <= body.len())?;
        parts.push((name, begin..at));
    }
    (at == body.len()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a, to pin a block in a line.
    fn fingerprint(bytes: &[u8]) -> u64 {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
    }

    fn sample() -> SnapshotHeader {
        SnapshotHeader {
            magic: SNAPSHOT_MAGIC,
            format: U16::new(SNAPSHOT_FORMAT),
            flags: U16::new(0),
            machine_id: U32::new(2),
            exchange_uuid: [3; 16],
            seq: U64::new(0x0102_0304),
            event_seq: U64::new(0x0506),
            epoch: U64::new(7),
            ts_ns: U64::new(8),
            body_len: U64::new(9),
            segment_id: U64::new(10),
            schema_hash: [11; 32],
            body_hash: [12; 32],
            state_hash: [13; 32],
            event_digest: [0; 16],
            previous_seq: U64::new(14),
            part_count: U32::new(15),
            reserved: [0; 3888],
            crc: U32::new(0),
        }
    }

    #[test]
    fn header_bytes_are_frozen() {
        let block = sample().to_block();
        assert_eq!(&block[..16], b"MRSNAP01\x01\0\0\0\x02\0\0\0");
        assert_eq!(block[32..42], [4, 3, 2, 1, 0, 0, 0, 0, 6, 5]);
        assert_eq!(block[192..208], [14, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(fingerprint(&block), 0xf75b_189c_8f98_f272);
        let read = SnapshotHeader::from_block(&block).unwrap();
        assert!(read.is_sound());
        assert_eq!(read.to_block(), block);
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_found() {
        let good = sample().to_block();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SnapshotHeader::from_block(&bad).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn what_has_no_meaning_yet_is_refused() {
        let flagged = SnapshotHeader { flags: U16::new(1), ..sample() };
        let digested = SnapshotHeader { event_digest: [1; 16], ..sample() };
        let mut filled = sample();
        filled.reserved[3887] = 1;
        for header in [flagged, digested, filled] {
            assert!(!SnapshotHeader::from_block(&header.to_block()).unwrap().is_sound());
        }
    }

    fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, bytes) in parts {
            body.extend(part_head(name, bytes.len()).unwrap());
            body.extend(*bytes);
        }
        body
    }

    #[test]
    fn parts_are_found_and_fill_the_body() {
        let bytes = body(&[("machine", b"abc"), ("views", b"")]);
        assert_eq!(&bytes[..24], b"machine\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0");
        let parts = parts_of(&bytes, 2).unwrap();
        assert_eq!(parts[0], ("machine".to_owned(), 24..27));
        assert_eq!(parts[1], ("views".to_owned(), 51..51));
        for count in [0, 1, 3, SNAPSHOT_PARTS_MAX, SNAPSHOT_PARTS_MAX + 1] {
            assert!(parts_of(&bytes, count).is_none(), "{count}");
        }
        for len in 0..bytes.len() {
            assert!(parts_of(&bytes[..len], 2).is_none(), "{len}");
        }
        assert!(parts_of(&body(&[("a", b""), ("a", b"")]), 2).is_none(), "two of one name");
        let mut endless = bytes.clone();
        endless[16..24].fill(0xFF);
        assert!(parts_of(&endless, 2).is_none());
        let mut odd = bytes;
        odd[9] = b'x';
        assert!(parts_of(&odd, 2).is_none(), "bytes behind the end of a name");
    }

    #[test]
    fn names_have_bounds() {
        for (name, good) in
            [("a", true), ("sixteen-letters-", true), ("", false), ("seventeen-letters", false)]
        {
            assert_eq!(part_head(name, 0).is_ok(), good, "{name}");
        }
        assert!(part_head("a b", 0).is_err() && part_head("\u{e4}", 0).is_err());
    }
}
