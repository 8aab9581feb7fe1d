//! Logs that are refused: wrong files, wrong identity, wrong version, rules broken by whole groups.

use super::{Log, append, command, peek, plant, store_group, store_large};
use crate::format::{GroupHeader, SegmentHeader, close_group, crc_seed};
use crate::{JournalError, JournalReader, Options, SyncPolicy, recover};
use std::convert::Infallible;
use std::path::Path;
use zerocopy::FromBytes;
use zerocopy::byteorder::little_endian::{U16, U32, U64};

/// A log with two sealed segments, one in use and a spare.
fn three_segments() -> Log {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    while writer.segment_id() < 3 {
        store_large(&mut writer, 60_000);
    }
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
    log
}

fn rewrite_header(path: &Path, change: impl FnOnce(&mut SegmentHeader)) {
    let mut header = SegmentHeader::from_block(&peek(path, 0, 4096)).unwrap();
    change(&mut header);
    let block = header.to_block();
    plant(path, 0, &block);
    plant(path, 4096, &block);
}

#[test]
fn missing_segments() {
    for (id, rule) in [(1, "R3: segment 1"), (2, "R3: segment 2"), (3, "R3: segment 3")] {
        let log = three_segments();
        std::fs::remove_file(log.segment(id)).unwrap();
        log.refused(rule);
    }
    let log = three_segments();
    for id in [3, 4] {
        std::fs::remove_file(log.segment(id)).unwrap();
    }
    log.refused("R3: segment 3");
}

#[test]
fn swapped_copied_and_misnamed_segments() {
    let log = three_segments();
    std::fs::copy(log.segment(1), log.segment(4)).unwrap();
    log.refused("R3: segment 4");
    let log = three_segments();
    let aside = log.dir().join("aside");
    std::fs::rename(log.segment(1), &aside).unwrap();
    std::fs::rename(log.segment(2), log.segment(1)).unwrap();
    std::fs::rename(&aside, log.segment(2)).unwrap();
    log.refused("R3: segment 1");
    let log = three_segments();
    std::fs::rename(log.segment(4), log.dir().join("jrnl-4.seg")).unwrap();
    log.refused("R3");
}

#[test]
fn segment_that_lost_bytes() {
    for id in [1, 3] {
        let log = three_segments();
        let file = std::fs::OpenOptions::new().write(true).open(log.segment(id)).unwrap();
        file.set_len((1 << 20) - 4096).unwrap();
        log.refused("R3");
        file.set_len(0).unwrap();
        log.refused("R3");
    }
}

#[test]
fn segment_of_another_exchange() {
    let log = three_segments();
    rewrite_header(&log.segment(2), |header| header.exchange_uuid = [1; 16]);
    log.refused("exchange uuid is alien");
}

#[test]
fn segment_that_was_not_sealed() {
    let log = three_segments();
    // The seal is the last group; without it the segment ends where it should go on.
    let segment = log.segment(2);
    let body = peek(&segment, 8192, (1 << 20) - 8192);
    let last = body.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let seal = 8192 + last / 4096 * 4096;
    plant(&segment, seal, &[0; 4096]);
    log.refused("R8: segment 2");
}

#[test]
fn broken_links_between_segments() {
    type Change = fn(&mut SegmentHeader);
    let changes: [Change; 5] = [
        |header| header.prev_segment_id = U64::new(7),
        |header| header.prev_segment_hash[3] ^= 1,
        |header| header.first_seq = U64::new(1),
        |header| header.first_group_no = U64::new(1),
        |header| header.epoch = U64::new(0),
    ];
    for change in changes {
        let log = three_segments();
        rewrite_header(&log.segment(3), change);
        log.refused("R3: segment 3");
    }
}

#[test]
fn identity_of_the_whole_log() {
    let log = three_segments();
    for (machine_id, uuid) in [(2, Some([9; 16])), (1, Some([8; 16]))] {
        let options = Options { machine_id, exchange_uuid: uuid, ..log.options.clone() };
        let error = super::open(&log.dir(), &options).err().unwrap();
        assert!(error.to_string().contains("R1 identity"), "{error}");
        assert_eq!(error.exit_code(), 70);
    }
    rewrite_header(&log.segment(1), |header| header.machine_id = U32::new(2));
    log.refused("R3: segment 1");
}

#[test]
fn segments_without_a_control_file() {
    let log = three_segments();
    std::fs::remove_file(log.dir().join("ctl")).unwrap();
    log.refused("R1 control file");
}

#[test]
fn newer_format_and_unknown_schema() {
    let mut log = three_segments();
    rewrite_header(&log.segment(3), |header| header.format = U16::new(2));
    let error = log.refused("segment format");
    assert!(matches!(error, JournalError::VersionUnsupported { .. }));
    rewrite_header(&log.segment(3), |header| header.format = U16::new(1));
    log.options.schema_hash = [1; 32];
    let error = log.refused("payload schema");
    assert!(error.to_string().contains(&"01".repeat(32)), "{error}");
    log.options.older_schema_hashes = &[[0; 32]];
    let (mut writer, _, _) = log.open().unwrap();
    assert_eq!(writer.segment_id(), 4, "the new schema starts its own segment");
    store_group(&mut writer, 1);
    drop(writer);
    assert!(log.open().is_ok());
}

#[test]
fn spare_with_content_and_active_segment_without_header() {
    let log = three_segments();
    plant(&log.segment(4), 500_000, &[1]);
    log.refused("R3: segment 4 offset 500000");
    let log = three_segments();
    plant(&log.segment(3), 0, &[0; 8192]);
    log.refused("R3: segment 3");
    let log = three_segments();
    rewrite_header(&log.segment(3), |header| header.state = U16::new(1));
    log.refused("R3: segment 3");
}

/// A start looks at the beginning of the spare's body, where groups would stand; what prepares it
/// looks at all of it. Only an unreadable header makes the start look at all of it.
#[test]
fn spare_with_content_far_behind_its_beginning_is_not_rolled_into() {
    let mut log = Log::new(SyncPolicy::Os);
    log.options.segment_bytes = 4 << 20;
    let mut writer = log.writer();
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
    drop(writer);
    plant(&log.segment(2), 3_000_000, &[1]);
    let mut writer = log.writer();
    let error = loop {
        let next = command(writer.last_seq() + 1);
        append(&mut writer, &next);
        if writer.group_is_full(1_000)
            && let Err(error) = writer.store()
        {
            break error;
        }
    };
    assert_eq!(error.exit_code(), 70);
    assert!(error.to_string().contains("R3: segment 2 offset 3000000"), "{error}");
    assert!(matches!(writer.store(), Err(JournalError::Poisoned)));
    drop(writer);
    assert_eq!(log.open().unwrap().1.segments, 1);
    plant(&log.segment(2), 0, &[0; 8192]);
    log.refused("R3: segment 2 offset 3000000");
}

/// Changes the second group of a log and gives it a right checksum again.
fn rule_broken(change: impl FnOnce(&mut GroupHeader, &mut [u8])) {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    store_group(&mut writer, 2);
    store_group(&mut writer, 2);
    writer.sync().unwrap();
    drop(writer);
    let segment = log.segment(1);
    let salt = SegmentHeader::from_block(&peek(&segment, 0, 4096)).unwrap().salt.get();
    let mut group = peek(&segment, 12288, 4096);
    let mut header = GroupHeader::read_from_prefix(&group).unwrap().0;
    change(&mut header, &mut group[64..]);
    let seed = crc_seed(salt, 1, header.prev_crc.get());
    close_group(&mut group, &header, seed);
    plant(&segment, 12288, &group);
    log.refused("R4: segment 1 offset 12288");
    let mut reader = JournalReader::open(&log.dir(), 1, 0).unwrap();
    for seq in [1, 2] {
        assert_eq!(reader.next_record().unwrap().map(super::Owned::from), Some(command(seq)));
    }
    assert!(reader.next_record().is_err());
}

#[test]
fn whole_groups_that_break_a_rule() {
    rule_broken(|header, _| header.group_no = U64::new(3));
    rule_broken(|header, _| header.first_seq = U64::new(4));
    rule_broken(|header, _| header.seq_count = U32::new(1));
    rule_broken(|header, _| header.record_count = U32::new(3));
    rule_broken(|header, _| header.durable_seq = U64::new(1));
    rule_broken(|header, _| header.durable_seq = U64::new(3));
    rule_broken(|header, _| header.epoch = U64::new(0));
    rule_broken(|header, _| header.flags = U16::new(3));
    rule_broken(|header, _| header.flags = U16::new(2 | 1 << 4));
    rule_broken(|header, _| header.flags = U16::new(2 | 1 << 2));
    rule_broken(|header, _| header.flags = U16::new(2 | 1 << 3));
}

#[test]
fn records_that_break_a_rule() {
    rule_broken(|_, body| body[4] = 9);
    rule_broken(|_, body| body[5] = 2);
    rule_broken(|_, body| body[6] = 1);
    rule_broken(|_, body| body[8] = 4);
    rule_broken(|_, body| body[16..24].fill(0));
    rule_broken(|_, body| body[0] = 23);
    rule_broken(|_, body| body[0..4].fill(0xFF));
    // Seq 3 has 11 bytes of payload, so five bytes of padding follow it.
    rule_broken(|_, body| body[24 + 11] = 1);
}

#[test]
fn untouched_group_is_accepted_when_closed_again() {
    let log = Log::new(SyncPolicy::Group);
    store_group(&mut log.writer(), 2);
    let segment = log.segment(1);
    let salt = SegmentHeader::from_block(&peek(&segment, 0, 4096)).unwrap().salt.get();
    let mut group = peek(&segment, 8192, 4096);
    let before = group.clone();
    let header = GroupHeader::read_from_prefix(&group).unwrap().0;
    close_group(&mut group, &header, crc_seed(salt, 1, 0));
    assert_eq!(group, before);
}

#[test]
fn visitor_that_refuses_stops_the_start() {
    let log = Log::new(SyncPolicy::Group);
    store_group(&mut log.writer(), 3);
    let mut seen = 0;
    let refused = recover(&log.dir(), &log.options, |record| {
        seen += 1;
        if record.seq == 2 { Err("no") } else { Ok(()) }
    });
    assert!(matches!(refused, Err(crate::RecoverError::Visit("no"))));
    assert_eq!(seen, 2);
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn file_system_off_the_list() {
    let memory = Path::new("/dev/shm");
    let is_tmpfs = rustix::fs::statfs(memory).is_ok_and(|stat| stat.f_type == 0x0102_1994);
    let Some(root) = is_tmpfs.then(|| tempfile::tempdir_in(memory).ok()).flatten() else {
        eprintln!("skipped: no tmpfs at /dev/shm");
        return;
    };
    let options = Options { segment_bytes: 1 << 20, ..Options::default() };
    let dir = root.path().join("log");
    let refused = recover::<Infallible>(&dir, &options, |_| Ok(()));
    let Err(crate::RecoverError::Journal(error)) = refused else { panic!("accepted tmpfs") };
    assert!(matches!(error, JournalError::FileSystemRefused { .. }));
    assert_eq!(error.exit_code(), 78);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "nothing was created");
    let options = Options { allow_fs: true, ..options };
    assert!(recover::<Infallible>(&dir, &options, |_| Ok(())).is_ok());
}
