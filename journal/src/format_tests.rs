//! Golden bytes: each literal was computed by a program that shares nothing with this crate, from
//! the byte maps alone. A changed literal is a new format version.
//!
//! Must not know: files. Invariant: none of these literals ever changes within version 1.

use super::*;
use crate::record::RecordKind;
use crate::record_scan::close_record;
use zerocopy::FromZeros;

const SEGMENT: &str = "\
    4d524a524e4c30310100001000020000000102030405060708090a0b0c0d0e0f210000000000000000001000\
    0000000022000000000000002300000000000000240000000000000088776655443322112000000000000000\
    a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a2a2a2a2a2a2a2a2a2a2a2a2\
    a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a301010000\
    2500000000000000260000000000000002000000";
const SEGMENT_CRC: &str = "\
    af2a40c3";
const CONTROL: &str = "\
    4d524354524c30310100030002000000000102030405060708090a0b0c0d0e0f310000000000000032000000\
    0000000033000000000000003400000000000000350000000000000036000000000000003700000000000000\
    b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1380000000000000039000000\
    000000003a000000000000003b000000000000003c000000";
const CONTROL_CRC: &str = "\
    67cbb9c8";
const RECORD: &str = "\
    1d000000010000000700000000000000341200000000000068656c6c6f000000";
const GROUP: &str = "\
    4d47525080000000030000000000000007000000000000000100000001000000060000000000000002000000\
    000000006000000002000000efbeadde02dd15851d0000000100000007000000000000003412000000000000\
    68656c6c6f0000000000000000000000000000000000000000000000000000000000000000000000";
const SEAL: &str = "\
    4d475250c0000000040000000000000008000000000000000000000001000000070000000000000002000000\
    00000000980000000a0000000403020195c407b0580000000201000007000000000000003412000000000000\
    0700000000000000030000000000000009000000000000000030000000000000c1c1c1c1c1c1c1c1c1c1c1c1\
    c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1000000000000000000000000000000000000000000000000\
    00000000000000000000000000000000";

const SALT: u64 = 0x1122_3344_5566_7788;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counting() -> [u8; 16] {
    std::array::from_fn(|at| u8::try_from(at).unwrap())
}

fn segment_header() -> SegmentHeader {
    let mut header = SegmentHeader::new_zeroed();
    header.magic = SEGMENT_MAGIC;
    header.format = U16::new(FORMAT);
    header.header_len = U16::new(4096);
    header.pad = U32::new(512);
    header.exchange_uuid = counting();
    header.segment_id = U64::new(0x21);
    header.segment_len = U64::new(1 << 20);
    header.first_seq = U64::new(0x22);
    header.first_group_no = U64::new(0x23);
    header.epoch = U64::new(0x24);
    header.salt = U64::new(SALT);
    header.prev_segment_id = U64::new(0x20);
    header.prev_segment_hash = [0xA1; 32];
    header.schema_hash = [0xA2; 32];
    header.build_id = [0xA3; 20];
    header.machine_id = U32::new(0x101);
    header.created_wall_ns = U64::new(0x25);
    header.snapshot_hint_seq = U64::new(0x26);
    header.state = U16::new(STATE_ACTIVE);
    header
}

#[test]
fn segment_header_bytes() {
    let block = segment_header().to_block();
    assert_eq!(hex(&block[..196]), SEGMENT);
    assert!(is_zero(&block[196..4092]));
    assert_eq!(hex(&block[4092..]), SEGMENT_CRC);
    let read = SegmentHeader::from_block(&block).unwrap();
    assert_eq!(read.to_block(), block);
}

#[test]
fn control_slot_bytes() {
    let mut slot = ControlSlot::new_zeroed();
    slot.magic = CONTROL_MAGIC;
    slot.format = U16::new(FORMAT);
    slot.flags = U16::new(CONTROL_CLEAN | CONTROL_PENDING_TRIM);
    slot.machine_id = U32::new(2);
    slot.exchange_uuid = counting();
    slot.generation = U64::new(0x31);
    slot.epoch = U64::new(0x32);
    slot.boot_count = U64::new(0x33);
    slot.active_segment = U64::new(0x34);
    slot.last_sealed = U64::new(0x35);
    slot.durable_seq = U64::new(0x36);
    slot.snapshot_seq = U64::new(0x37);
    slot.snapshot_hash = [0xB1; 32];
    slot.trim_segment = U64::new(0x38);
    slot.trim_offset = U64::new(0x39);
    slot.trim_len = U64::new(0x3A);
    slot.crash_seq = U64::new(0x3B);
    slot.crash_count = U32::new(0x3C);
    let block = slot.to_block();
    assert_eq!(hex(&block[..156]), CONTROL);
    assert!(is_zero(&block[156..4092]));
    assert_eq!(hex(&block[4092..]), CONTROL_CRC);
    assert_eq!(ControlSlot::from_block(&block).unwrap().to_block(), block);
}

#[test]
fn record_and_group_bytes() {
    let mut group = vec![0xFF; 128];
    group[88..93].copy_from_slice(b"hello");
    let used = close_record(&mut group, GROUP_HEADER, RecordKind::Command, 7, 0x1234, 5);
    assert_eq!(hex(&group[GROUP_HEADER..used]), RECORD);
    let header = GroupHeader {
        magic: GROUP_MAGIC,
        group_len: U32::new(128),
        group_no: U64::new(3),
        first_seq: U64::new(7),
        seq_count: U32::new(1),
        record_count: U32::new(1),
        durable_seq: U64::new(6),
        epoch: U64::new(2),
        used_len: U32::new(u32::try_from(used).unwrap()),
        flags: U16::new(GROUP_POLICY_GROUP),
        reserved: U16::new(0),
        prev_crc: U32::new(0xDEAD_BEEF),
        crc: U32::new(0),
    };
    close_group(&mut group, &header, crc_seed(SALT, 0x21, 0xDEAD_BEEF));
    assert_eq!(hex(&group), GROUP);
}

#[test]
fn seal_bytes() {
    let seal = SealPayload {
        last_seq: U64::new(7),
        group_count: U64::new(3),
        record_count: U64::new(9),
        body_end: U64::new(0x3000),
        segment_hash: [0xC1; 32],
    };
    let mut group = vec![0; 192];
    group[88..152].copy_from_slice(seal.as_bytes());
    let used = close_record(&mut group, GROUP_HEADER, RecordKind::Seal, 7, 0x1234, 64);
    let header = GroupHeader {
        magic: GROUP_MAGIC,
        group_len: U32::new(192),
        group_no: U64::new(4),
        first_seq: U64::new(8),
        seq_count: U32::new(0),
        record_count: U32::new(1),
        durable_seq: U64::new(7),
        epoch: U64::new(2),
        used_len: U32::new(u32::try_from(used).unwrap()),
        flags: U16::new(GROUP_POLICY_GROUP | GROUP_SEAL),
        reserved: U16::new(0),
        prev_crc: U32::new(0x0102_0304),
        crc: U32::new(0),
    };
    close_group(&mut group, &header, crc_seed(SALT, 0x21, 0x0102_0304));
    assert_eq!(hex(&group), SEAL);
}

#[test]
fn block_that_is_not_a_header() {
    let good = segment_header().to_block();
    for at in [0, 7, 100, 4091, 4092, 4095] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(SegmentHeader::from_block(&bad).is_none(), "byte {at}");
    }
    assert!(ControlSlot::from_block(&good).is_none());
}

#[test]
fn zeros_are_told_from_everything_else() {
    for len in [0, 1, 31, 32, 4095, 4096, 4097, 10_000] {
        let mut bytes = vec![0; len];
        assert!(is_zero(&bytes));
        for at in [0, len / 2, len.saturating_sub(1)] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = 1;
                assert!(!is_zero(&bytes), "{at} of {len}");
                bytes[at] = 0;
            }
        }
    }
}
