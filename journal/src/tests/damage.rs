//! Bit rot: each flipped bit is found, or stands where nothing was promised.

use super::{Log, command, group_offset, look, peek, plant, store_group, store_large};
use crate::format::SegmentHeader;
use crate::scan::{Chain, SegmentScan, Step};
use crate::segment::SegmentFile;
use crate::window::Window;
use crate::{SyncPolicy, TailCase};

#[test]
fn every_flipped_bit_of_a_small_log() {
    for sync in [SyncPolicy::Group, SyncPolicy::Os] {
        let mut log = Log::new(sync);
        log.options.pad = 64;
        let mut writer = log.writer();
        for count in [1, 2, 1] {
            store_group(&mut writer, count);
            writer.sync().unwrap();
        }
        writer.store_idle().unwrap();
        drop(writer);
        log.remove_spare();
        let segment = log.segment(1);
        let (proof, end) = (group_offset(&segment, 3), group_offset(&segment, 4));
        let good = peek(&segment, 8192, usize::try_from(end - 8192).unwrap());
        let all: Vec<_> = (1..=4).map(command).collect();
        for (at, byte) in (8192..end).zip(&good) {
            // All bits under one policy, one bit of each byte under the other.
            let bits = if sync == SyncPolicy::Group { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                plant(&segment, at, &[byte ^ (1 << bit)]);
                // The last group shows that everything before it was durable, and nothing shows
                // that it was durable itself.
                match look(&log.dir(), 1) {
                    Ok((records, found)) => {
                        assert!(at >= proof, "bit {bit} of byte {at} was not noticed");
                        assert_eq!(records, all);
                        assert_ne!(found.tail.case, TailCase::Clean);
                    }
                    Err(error) => {
                        assert!(at < proof, "bit {bit} of byte {at}: {error}");
                        assert_eq!(error.exit_code(), 70);
                    }
                }
            }
            plant(&segment, at, &[*byte]);
        }
        assert_eq!(look(&log.dir(), 1).unwrap().1.tail.case, TailCase::Clean);
    }
}

#[test]
fn bits_set_behind_the_end_are_a_torn_tail() {
    let log = Log::new(SyncPolicy::Group);
    store_group(&mut log.writer(), 2);
    let segment = log.segment(1);
    for at in [12288, 12289, 20000, (1 << 20) - 4096, (1 << 20) - 1] {
        plant(&segment, at, &[0x10]);
        let (records, found) = look(&log.dir(), 1).unwrap();
        assert_eq!((records.len(), found.tail.case), (2, TailCase::TornHeader), "{at}");
        assert_eq!(found.tail.len, at + 1 - 12288);
        plant(&segment, at, &[0]);
    }
}

#[test]
fn one_header_copy_may_be_damaged_anywhere() {
    let log = Log::new(SyncPolicy::Group);
    store_group(&mut log.writer(), 2);
    let segment = log.segment(1);
    for block in [0, 4096] {
        for at in (0..256).chain((256..4096).step_by(61)).chain(4090..4096) {
            let byte = peek(&segment, block + at, 1)[0];
            plant(&segment, block + at, &[byte ^ 0x40]);
            let (records, found) = look(&log.dir(), 1).unwrap();
            assert_eq!((records.len(), found.copies_damaged), (2, 1), "byte {at} of {block}");
            plant(&segment, block + at, &[byte]);
        }
    }
    // Whichever it is, the other one is not written.
    for offset in [0, 4096] {
        plant(&segment, offset + 20, &[0xEE]);
        let file = SegmentFile::open(&log.dir(), 1, true).unwrap();
        let header = file.header.as_ref().unwrap();
        assert_eq!(file.mend_header(header).unwrap(), Some(offset));
        assert_eq!(file.mend_header(header).unwrap(), None);
    }
    plant(&segment, 20, &[0xEE]);
    let (_, report, records) = log.open().unwrap();
    assert_eq!((records.len(), report.header_copies_damaged), (2, 1));
    assert_eq!(peek(&segment, 0, 4096), peek(&segment, 4096, 4096), "the copy is repaired");
    plant(&segment, 20, &[0xEE]);
    plant(&segment, 4096 + 20, &[0xEE]);
    log.refused("R3");
}

#[test]
fn flipped_bits_of_a_sealed_segment() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    while writer.segment_id() < 3 {
        store_large(&mut writer, 60_000);
    }
    drop(writer);
    let segment = log.segment(1);
    let len = std::fs::metadata(&segment).unwrap().len();
    for at in (8192..len).step_by(7919).chain([len - 1]) {
        let byte = peek(&segment, at, 1)[0];
        plant(&segment, at, &[byte ^ 2]);
        let error = look(&log.dir(), 1).unwrap_err();
        assert!(error.to_string().contains("segment 1"), "byte {at}: {error}");
        assert_eq!(error.exit_code(), 70);
        plant(&segment, at, &[byte]);
    }
    assert!(look(&log.dir(), 1).is_ok());
}

/// Every bit of a sealed segment of a mebibyte, one at a time: both headers, each group in its
/// place in the chain, the seal, and the zeros behind it. Groups are checked where they stand, so
/// that eight million flips take seconds; what a start does with the verdict is tested above.
#[test]
fn every_flipped_bit_of_a_sealed_segment_is_found() {
    let mut log = Log::new(SyncPolicy::Os);
    log.options.pad = 64;
    let mut writer = log.writer();
    while writer.segment_id() < 2 {
        store_group(&mut writer, 8);
    }
    drop(writer);
    let path = log.segment(1);
    let mut segment = SegmentFile::open(&log.dir(), 1, true).unwrap();
    let header = segment.header.clone().unwrap();
    for block in [0, 4096] {
        let good = peek(&path, block, 4096);
        for bit in 0..8 * 4096 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::from_block(&bad).is_none(), "bit {bit} of the header");
        }
        plant(&path, block, &[good[0] ^ 1]);
        segment.read_header().unwrap();
        assert!(segment.header.is_some() && segment.copy_damaged);
        plant(&path, block, &good[..1]);
    }
    let sealed_end = flip_groups(&segment, &header);
    for at in sealed_end..segment.file_len {
        for bit in 0..8 {
            plant(&path, at, &[1 << bit]);
            let found = segment.find_non_zero(sealed_end, segment.file_len).unwrap();
            assert_eq!(found, Some((at, at + 1)));
        }
        plant(&path, at, &[0]);
    }
    assert!(look(&log.dir(), 1).is_ok());
}

/// Flips every bit of every group; returns where the last one ends.
fn flip_groups(segment: &SegmentFile, header: &SegmentHeader) -> u64 {
    let mut scan = SegmentScan::new(header);
    let (mut chain, mut window) = (Chain::start(), Window::new(1 << 20));
    let mut flips = 0u64;
    loop {
        let (at, before) = (scan.offset, chain.clone());
        let step = scan.step(&segment.file, &mut window, &mut chain).unwrap();
        let Step::Group(group) = step else { break };
        let end = scan.offset;
        for byte in at..end {
            for bit in 0..8 {
                window.flip(byte, bit);
                (scan.offset, chain) = (at, before.clone());
                let verdict = scan.step(&segment.file, &mut window, &mut chain);
                assert!(matches!(verdict, Ok(Step::End(_))), "bit {bit} of byte {byte}");
                window.flip(byte, bit);
                flips += 1;
            }
        }
        (scan.offset, chain) = (at, before);
        let again = scan.step(&segment.file, &mut window, &mut chain).unwrap();
        assert!(matches!(again, Step::Group(same) if same.crc == group.crc));
    }
    assert!(flips > 8_000_000, "{flips} flips are not those of a whole segment");
    scan.offset
}
