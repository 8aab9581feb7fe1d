//! The end of the last segment: which ends are taken for torn, which refuse the log, and how a torn
//! one is removed.

use super::{Log, append, command, group_len, group_offset, look, peek, plant, store_group};
use crate::format::CONTROL_PENDING_TRIM;
use crate::{SyncPolicy, TailCase};
use zerocopy::byteorder::little_endian::{U16, U64};

/// A log of `groups` groups with two commands each, killed without a sync after the last.
fn killed(sync: SyncPolicy, groups: u64) -> Log {
    let log = Log::new(sync);
    let mut writer = log.writer();
    for _ in 0..groups {
        store_group(&mut writer, 2);
    }
    log
}

fn first_commands(count: u64) -> Vec<super::Owned> {
    (1..=count).map(command).collect()
}

#[test]
fn every_torn_length_of_the_last_group() {
    for (pad, sync) in [(64, SyncPolicy::Os), (512, SyncPolicy::Group)] {
        let mut log = Log::new(sync);
        log.options.pad = pad;
        let mut writer = log.writer();
        store_group(&mut writer, 2);
        store_group(&mut writer, 3);
        drop(writer);
        log.remove_spare();
        let segment = log.segment(1);
        let offset = group_offset(&segment, 1);
        let len = group_len(&segment, offset) as usize;
        let group = peek(&segment, offset, len);
        let written = group.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for torn in 0..=len {
            let mut bytes = group.clone();
            bytes[torn..].fill(0);
            plant(&segment, offset, &bytes);
            let (records, found) = look(&log.dir(), 1).unwrap();
            let whole = torn >= written;
            assert_eq!(records, first_commands(if whole { 5 } else { 2 }), "length {torn}");
            let clean = whole || torn == 0;
            assert_eq!(found.tail.case == TailCase::Clean, clean, "length {torn}");
            assert_eq!(found.tail.len > 0, !clean, "length {torn}");
        }
    }
}

#[test]
fn torn_ends_have_names_and_are_removed() {
    type Damage = fn(&mut [u8]);
    let cases: [(TailCase, Damage); 5] = [
        (TailCase::TornHeader, |group| group[4..].fill(0)),
        (TailCase::TornHeader, |group| group[..64].fill(0)),
        (TailCase::TornHeader, |group| group[0] = b'X'),
        (TailCase::TornBody, |group| group[100..].fill(0)),
        (TailCase::BadChecksum, |group| group[100] ^= 1),
    ];
    for (case, damage) in cases {
        for sync in [SyncPolicy::Group, SyncPolicy::Os] {
            let log = killed(sync, 2);
            let segment = log.segment(1);
            let offset = group_offset(&segment, 1);
            let len = group_len(&segment, offset) as usize;
            let mut bytes = peek(&segment, offset, len);
            damage(&mut bytes);
            plant(&segment, offset, &bytes);

            let (mut writer, report, records) = log.open().unwrap();
            assert_eq!((report.case, &records), (case, &first_commands(2)), "{sync}");
            let trimmed = usize::try_from(report.trimmed_bytes).unwrap();
            let copy = std::fs::read(report.quarantined.unwrap()).unwrap();
            assert_eq!(copy, bytes[..trimmed]);
            assert!(bytes[trimmed..].iter().all(|byte| *byte == 0));
            assert!(peek(&segment, offset, len).iter().all(|byte| *byte == 0));

            store_group(&mut writer, 3);
            drop(writer);
            let (_, report, records) = log.open().unwrap();
            assert_eq!((report.case, records), (TailCase::Clean, first_commands(5)));
            assert_eq!((report.trimmed_bytes, report.quarantined), (0, None));
        }
    }
}

#[test]
fn whole_group_behind_a_bad_one_refuses_the_log_under_group() {
    let log = killed(SyncPolicy::Group, 3);
    let segment = log.segment(1);
    plant(&segment, group_offset(&segment, 1) + 100, &[0xFF]);
    let error = log.refused("R6").to_string();
    assert!(error.contains("group 3 is whole"), "{error}");
}

#[test]
fn idle_group_proves_the_group_before_it() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    store_group(&mut writer, 2);
    writer.sync().unwrap();
    writer.store_idle().unwrap();
    writer.sync().unwrap();
    drop(writer);
    plant(&log.segment(1), 8192 + 100, &[0xFF]);
    log.refused("R6");
}

#[test]
fn unsynced_groups_behind_a_hole_are_given_up() {
    let log = killed(SyncPolicy::Os, 4);
    let segment = log.segment(1);
    plant(&segment, group_offset(&segment, 1) + 70, &[0xFF]);
    let (_, report, records) = log.open().unwrap();
    assert_eq!((report.case, records), (TailCase::Hole, first_commands(2)));
    assert_eq!(report.lost_seq, Some(8));
    assert!(report.quarantined.is_some());
}

#[test]
fn group_behind_a_hole_that_says_more_was_durable_refuses_the_log() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    store_group(&mut writer, 2);
    store_group(&mut writer, 2);
    writer.sync().unwrap();
    store_group(&mut writer, 2);
    drop(writer);
    let segment = log.segment(1);
    plant(&segment, group_offset(&segment, 1) + 70, &[0xFF]);
    let error = log.refused("R6").to_string();
    assert!(error.contains("says 4 durable"), "{error}");
}

#[test]
fn witnesses_refuse_a_log_that_ends_before_them() {
    for zeroed in [false, true] {
        let mut log = killed(SyncPolicy::Os, 2);
        let segment = log.segment(1);
        let offset = group_offset(&segment, 1);
        if zeroed {
            plant(&segment, offset, &vec![0; group_len(&segment, offset) as usize]);
        } else {
            plant(&segment, offset + 70, &[0xFF]);
        }
        log.options.witness_seq = 3;
        log.refused("R6");
        log.options.witness_seq = 0;
        log.control(|slot| slot.durable_seq = U64::new(4));
        log.refused("R6");
        log.control(|slot| slot.durable_seq = U64::new(2));
        log.options.witness_seq = 2;
        assert_eq!(log.open().unwrap().1.last_seq, 2);
    }
}

#[test]
fn damage_after_a_clean_shutdown_refuses_the_log() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    store_group(&mut writer, 2);
    writer.close().unwrap();
    plant(&log.segment(1), 8192 + 70, &[0xFF]);
    log.refused("R6");
}

#[test]
fn group_in_the_wrong_place_is_never_delivered() {
    for sync in [SyncPolicy::Group, SyncPolicy::Os] {
        let log = killed(sync, 2);
        let segment = log.segment(1);
        let end = group_offset(&segment, 2);
        let stale = peek(&segment, 8192, group_len(&segment, 8192) as usize);
        plant(&segment, end, &stale);
        if sync == SyncPolicy::Group {
            log.refused("R6");
        } else {
            let (_, report, records) = log.open().unwrap();
            assert_eq!((report.case, records), (TailCase::Hole, first_commands(4)));
        }
    }
}

#[test]
fn groups_of_another_log_are_no_groups_here() {
    let other = killed(SyncPolicy::Os, 3);
    let foreign = peek(&other.segment(1), 8192, 3 * 192);
    let log = killed(SyncPolicy::Os, 1);
    let end = group_offset(&log.segment(1), 1);
    plant(&log.segment(1), end, &foreign);
    let (_, report, records) = log.open().unwrap();
    assert_eq!((report.case, records), (TailCase::BadChecksum, first_commands(2)));
    assert_eq!(report.lost_seq, None);
}

#[test]
fn payload_that_imitates_a_group_is_not_read_behind_a_hole() {
    let source = killed(SyncPolicy::Os, 2);
    let imitation = peek(&source.segment(1), 8192, 384);
    let log = killed(SyncPolicy::Os, 1);
    let mut writer = log.writer();
    // 40 bytes bring the imitation to a multiple of 64, where a header would stand.
    let payload = [vec![1; 40], imitation].concat();
    append(&mut writer, &super::Owned { payload, ..command(3) });
    writer.store().unwrap();
    drop(writer);
    let segment = log.segment(1);
    let offset = group_offset(&segment, 1);
    plant(&segment, offset, &[0; 64]);
    let (_, report, records) = log.open().unwrap();
    assert_eq!((report.case, records), (TailCase::TornHeader, first_commands(2)));
    assert_eq!(report.lost_seq, None);
}

#[test]
fn interrupted_trim_goes_on_at_the_next_start() {
    // How much of the tail had been overwritten when the process died.
    for zeroed in [0, 64, 130, 4096] {
        let log = killed(SyncPolicy::Group, 2);
        let segment = log.segment(1);
        let offset = group_offset(&segment, 1);
        plant(&segment, offset + 100, &[0xFF]);
        let tail = look(&log.dir(), 1).unwrap().1.tail;
        log.control(|slot| {
            slot.flags = U16::new(CONTROL_PENDING_TRIM);
            slot.trim_segment = U64::new(1);
            slot.trim_offset = U64::new(offset);
            slot.trim_len = U64::new(tail.len);
        });
        plant(&segment, offset, &vec![0; zeroed]);
        assert!(crate::stat(&log.dir()).unwrap().trim_pending);
        let (_, report, records) = log.open().unwrap();
        assert_eq!((report.case, records), (TailCase::TrimResumed, first_commands(2)));
        assert_eq!(report.trimmed_bytes, tail.len);
        assert!(peek(&segment, offset, 4096).iter().all(|byte| *byte == 0));
        assert!(!crate::stat(&log.dir()).unwrap().trim_pending);
        assert_eq!(log.open().unwrap().1.case, TailCase::Clean);
    }
}

#[test]
fn trim_marked_elsewhere_than_at_the_end_refuses_the_log() {
    for (segment, offset, len) in [(1, 8192, 4096), (2, 16384, 4096), (1, 16384, 4)] {
        let log = killed(SyncPolicy::Group, 2);
        plant(&log.segment(1), 12288 + 100, &[0xFF]);
        log.control(|slot| {
            slot.flags = U16::new(CONTROL_PENDING_TRIM);
            slot.trim_segment = U64::new(segment);
            slot.trim_offset = U64::new(offset);
            slot.trim_len = U64::new(len);
        });
        log.refused("R7");
    }
}
