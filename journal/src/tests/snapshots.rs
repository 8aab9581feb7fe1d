//! Snapshot files, and logs that are read from one on.

use super::{Log, Owned, contents, open, store_large};
use crate::limits::SNAPSHOT_PARTS_MAX;
use crate::{
    JournalError, JournalReader, Options, Retention, SnapshotMeta, SnapshotStore, SyncPolicy,
    retire_segments, verify,
};
use std::path::PathBuf;

const SCHEMA: [u8; 32] = [0; 32];

fn store(log: &Log) -> SnapshotStore {
    SnapshotStore::open(&log.dir(), 1, SCHEMA, true).unwrap().expect("a log")
}

fn meta(seq: u64) -> SnapshotMeta {
    SnapshotMeta {
        seq,
        event_seq: seq * 2,
        epoch: 3,
        ts_ns: seq * 10,
        state_hash: [7; 32],
        previous_seq: seq / 2,
    }
}

fn snapshot(store: &SnapshotStore, seq: u64) {
    let parts: [(&str, &[u8]); 2] = [("machine", &[5; 9000]), ("views", b"seen")];
    let draft = store.write(&meta(seq), &parts, 0).unwrap();
    draft.load().unwrap();
    draft.put_in_force().unwrap();
}

/// A log of six segments; returns the first sequence of each.
fn six_segments(log: &Log) -> Vec<u64> {
    let mut writer = log.writer();
    let mut firsts = vec![1];
    while writer.segment_id() < 6 {
        let before = writer.segment_id();
        store_large(&mut writer, 30_000);
        if writer.segment_id() > before {
            firsts.push(writer.last_seq());
        }
    }
    writer.close().unwrap();
    firsts
}

#[test]
fn what_was_written_comes_back() {
    let log = Log::on_disk(SyncPolicy::Group);
    drop(log.writer());
    let store = store(&log);
    assert_eq!(store.list().unwrap(), [0; 0]);
    let draft = store.write(&meta(4), &[("machine", b"abc"), ("views", b"")], 0).unwrap();
    assert_eq!(store.list().unwrap(), [0; 0], "a draft is no snapshot");
    let read = draft.load().unwrap();
    assert_eq!(*read.meta(), meta(4));
    assert_eq!(read.part("machine"), Some(&b"abc"[..]));
    assert_eq!((read.part("views"), read.part("other")), (Some(&b""[..]), None));
    draft.put_in_force().unwrap();
    assert_eq!(store.list().unwrap(), [4]);
    let read = store.load(4).unwrap();
    assert_eq!((read.meta(), read.part("machine")), (&meta(4), Some(&b"abc"[..])));
    assert_eq!(read.file_bytes(), std::fs::metadata(store.path(4)).unwrap().len());
    drop(store.write(&meta(5), &[], 0).unwrap());
    assert_eq!(store.list().unwrap(), [4]);
    assert!(!contents(&log.dir()).iter().any(|(path, _)| path.ends_with(".tmp")), "a draft stays");
}

#[test]
fn the_room_of_others_is_left_alone() {
    let log = Log::new(SyncPolicy::Group);
    drop(log.writer());
    let before = contents(&log.dir());
    let refused = store(&log).write(&meta(1), &[], u64::MAX).unwrap_err();
    assert!(matches!(refused, JournalError::Full { .. }), "{refused}");
    assert!(contents(&log.dir()) == before, "nothing of it stays");
}

#[test]
fn bounds_of_parts_are_met_and_not_passed() {
    let log = Log::new(SyncPolicy::Group);
    drop(log.writer());
    let names: Vec<String> = (0..=SNAPSHOT_PARTS_MAX).map(|number| number.to_string()).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let store = store(&log);
    let most = SNAPSHOT_PARTS_MAX as usize;
    store.write(&meta(1), &parts[..most], 0).unwrap().load().unwrap();
    let refused = store.write(&meta(1), &parts, 0).unwrap_err();
    assert!(matches!(refused, JournalError::Configuration { .. }), "{refused}");
}

#[test]
fn every_flipped_bit_and_every_length_is_found() {
    let log = Log::new(SyncPolicy::Group);
    drop(log.writer());
    let store = store(&log);
    let draft = store.write(&meta(4), &[("machine", b"abc"), ("views", b"z")], 0).unwrap();
    draft.put_in_force().unwrap();
    let path = store.path(4);
    let good = std::fs::read(&path).unwrap();
    for bit in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bad).unwrap();
        assert!(store.load(4).is_err(), "bit {bit}");
    }
    for len in [0, 1, 4095, 4096].into_iter().chain(4097..good.len()) {
        std::fs::write(&path, &good[..len]).unwrap();
        assert!(store.load(4).is_err(), "{len} bytes");
    }
    let mut longer = good.clone();
    longer.push(0);
    std::fs::write(&path, &longer).unwrap();
    assert!(store.load(4).is_err());
    std::fs::write(&path, &good).unwrap();
    store.load(4).unwrap();
}

#[test]
fn what_belongs_elsewhere_is_refused() {
    let log = Log::new(SyncPolicy::Group);
    drop(log.writer());
    let here = store(&log);
    snapshot(&here, 4);
    let dir = log.dir();
    let of = |machine, schema| SnapshotStore::open(&dir, machine, schema, true).unwrap().unwrap();
    let error = of(2, SCHEMA).load(4).unwrap_err();
    assert!(error.to_string().contains("another machine"), "{error}");
    let error = of(1, [1; 32]).load(4).unwrap_err();
    assert!(matches!(error, JournalError::VersionUnsupported { .. }), "{error}");
    std::fs::rename(here.path(4), here.path(5)).unwrap();
    let error = here.load(5).unwrap_err();
    assert!(error.to_string().contains("of sequence 4"), "{error}");
    let mut other = Log::new(SyncPolicy::Group);
    other.options.exchange_uuid = Some([8; 16]);
    drop(other.writer());
    let there = store(&other);
    std::fs::copy(here.path(5), there.path(4)).unwrap();
    let error = there.load(4).unwrap_err();
    assert!(error.to_string().contains("alien"), "{error}");
}

#[test]
fn the_newest_are_kept_and_one_that_is_bad() {
    let log = Log::new(SyncPolicy::Group);
    drop(log.writer());
    let store = store(&log);
    for seq in 1..=6 {
        snapshot(&store, seq);
    }
    store.set_bad(1).unwrap();
    store.set_bad(2).unwrap();
    assert_eq!(store.list().unwrap(), [6, 5, 4, 3]);
    store.prune(4).unwrap();
    assert_eq!(store.list().unwrap(), [6, 5, 4]);
    store.prune(5).unwrap();
    assert_eq!(store.list().unwrap(), [6, 5]);
    let bad = |(path, _): &(PathBuf, Vec<u8>)| path.extension().is_some_and(|end| end == "bad");
    let files = contents(&log.dir());
    let left: Vec<_> = files.iter().filter(|file| bad(file)).collect();
    assert!(left.len() == 1 && left[0].0.to_string_lossy().contains("002"), "{left:?}");
    assert!(log.open().is_ok(), "none of these files is in the way of a start");
}

#[test]
fn a_log_is_read_from_the_segment_that_is_needed() {
    let log = Log::new(SyncPolicy::Group);
    let firsts = six_segments(&log);
    let (_, whole, all) = log.open().unwrap();
    let last = whole.last_seq;
    let after = |read_after| Options { read_after, ..log.options.clone() };
    let third = firsts[2];
    for (read_after, segments) in
        [(1, 6), (third - 1, 5), (third, 4), (third + 1, 4), (firsts[5], 1), (last, 1)]
    {
        let (_, report, records) = open(&log.dir(), &after(read_after)).unwrap();
        assert_eq!((report.segments, report.last_seq), (segments, last), "after {read_after}");
        let wanted: Vec<&Owned> = all.iter().filter(|record| record.seq > read_after).collect();
        assert_eq!(records.iter().collect::<Vec<_>>(), wanted);
        assert_eq!(report.records, wanted.len() as u64);
    }
    let error = open(&log.dir(), &after(last + 1)).unwrap_err();
    assert!(error.to_string().contains("R6"), "a snapshot is a witness: {error}");
}

#[test]
fn the_chain_goes_on_wherever_reading_began() {
    let log = Log::new(SyncPolicy::Group);
    six_segments(&log);
    let last = log.open().unwrap().1.last_seq;
    let after = Options { read_after: last, ..log.options.clone() };
    let (mut writer, _, _) = open(&log.dir(), &after).unwrap();
    while writer.segment_id() < 8 {
        store_large(&mut writer, 30_000);
    }
    drop(writer);
    let (_, report, records) = log.open().unwrap();
    assert_eq!(records.len() as u64, report.last_seq);
    assert_eq!(verify(&log.dir()).unwrap().segments, 8);
}

#[test]
fn segments_that_nobody_needs_go_and_the_rest_is_a_log() {
    for retention in [Retention::Archive, Retention::Delete] {
        let log = Log::new(SyncPolicy::Group);
        let firsts = six_segments(&log);
        let fourth = firsts[3];
        assert_eq!(retire_segments(&log.dir(), fourth, Retention::Keep).unwrap(), 0);
        assert_eq!(retire_segments(&log.dir(), firsts[1] - 1, retention).unwrap(), 0);
        assert_eq!(retire_segments(&log.dir(), fourth, retention).unwrap(), 3);
        assert_eq!(retire_segments(&log.dir(), fourth, retention).unwrap(), 0);
        let archived = log.dir().join("archive");
        let kept = std::fs::read_dir(archived).map_or(0, Iterator::count);
        assert_eq!(kept, if retention == Retention::Archive { 3 } else { 0 });
        log.refused("R3");
        let after = |read_after| Options { read_after, ..log.options.clone() };
        let error = open(&log.dir(), &after(fourth - 1)).unwrap_err();
        assert!(error.to_string().contains("R3"), "{error}");
        assert_eq!(verify(&log.dir()).unwrap().segments, 3);
        let (_, report, records) = open(&log.dir(), &after(fourth)).unwrap();
        assert_eq!(records.first().unwrap().seq, fourth + 1);
        assert_eq!(report.segments, 3);
        let from_the_beginning = JournalReader::open(&log.dir(), 1, 1);
        match retention {
            Retention::Archive => {
                let (mut reader, mut read) = (from_the_beginning.unwrap(), 0);
                while let Some(record) = reader.next_record().unwrap() {
                    read += 1;
                    assert_eq!(record.seq, read);
                }
                assert_eq!(read, report.last_seq, "what is archived is read in its place");
            }
            _ => assert!(from_the_beginning.is_err(), "not kept any more"),
        }
        let mut reader = JournalReader::open(&log.dir(), 1, fourth).unwrap();
        assert_eq!(reader.next_record().unwrap().unwrap().seq, fourth);
        assert_eq!(retire_segments(&log.dir(), u64::MAX, retention).unwrap(), 2, "not the last");
    }
}

#[test]
fn snapshots_without_a_log_are_no_fresh_start() {
    let log = Log::new(SyncPolicy::Group);
    drop(log.writer());
    snapshot(&store(&log), 4);
    for id in 1..=2 {
        let _ = std::fs::remove_file(log.segment(id));
    }
    std::fs::remove_file(log.dir().join("ctl")).unwrap();
    log.refused("R1");
}

#[test]
fn a_gap_is_no_end() {
    let log = Log::new(SyncPolicy::Group);
    let firsts = six_segments(&log);
    assert_eq!(retire_segments(&log.dir(), firsts[3], Retention::Archive).unwrap(), 3);
    std::fs::remove_file(log.segment(4)).unwrap();
    let mut reader = JournalReader::open(&log.dir(), 1, 1).unwrap();
    let error = loop {
        match reader.next_record() {
            Ok(record) => assert!(record.is_some(), "there is more behind the gap"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("segment 4 is missing"), "{error}");
}
