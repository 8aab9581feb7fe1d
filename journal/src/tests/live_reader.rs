//! Readers beside a writer: nothing missed, nothing twice, across segments.

use super::{Log, Owned, append, command, plant, store_group, store_large};
use crate::{JournalReader, RecordKind, SyncPolicy};
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn reader_follows_the_live_end() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    let mut reader = JournalReader::open(&log.dir(), 1, 0).unwrap();
    assert!(reader.next_record().unwrap().is_none());
    for round in 0..5 {
        append(&mut writer, &command(round * 2 + 1));
        assert!(reader.next_record().unwrap().is_none(), "not stored yet");
        append(&mut writer, &command(round * 2 + 2));
        writer.store().unwrap();
        for seq in [round * 2 + 1, round * 2 + 2] {
            assert_eq!(reader.next_record().unwrap().map(Owned::from), Some(command(seq)));
        }
        assert!(reader.next_record().unwrap().is_none());
        assert!(reader.next_record().unwrap().is_none());
        writer.sync().unwrap();
        writer.store_idle().unwrap();
        assert!(reader.next_record().unwrap().is_none());
    }
    assert_eq!(reader.position().last_seq, 10);
    assert_eq!(reader.position().segment, 1);
}

#[test]
fn reader_in_another_thread_crosses_segments() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    let dir = log.dir();
    let target = AtomicU64::new(u64::MAX);
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let mut reader = JournalReader::open(&dir, 1, 0).unwrap();
            let mut next = 1;
            while next <= target.load(Ordering::Acquire) {
                match reader.next_record().unwrap() {
                    Some(record) => {
                        assert_eq!((record.seq, record.kind), (next, RecordKind::Command));
                        let fill = u8::try_from(next % 251).unwrap();
                        assert!(record.payload.iter().all(|byte| *byte == fill));
                        next += 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
            reader.position()
        });
        while writer.segment_id() < 5 {
            let bytes = 3000 + usize::try_from(writer.last_seq() % 7).unwrap() * 1000;
            store_large(&mut writer, bytes);
        }
        target.store(writer.last_seq(), Ordering::Release);
        let position = follower.join().unwrap();
        assert_eq!((position.segment, position.last_seq), (5, writer.last_seq()));
    });
}

#[test]
fn reader_starts_at_any_sequence() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    while writer.segment_id() < 4 {
        store_large(&mut writer, 50_000);
    }
    let last = writer.last_seq();
    for from in 0..=last + 2 {
        let mut reader = JournalReader::open(&log.dir(), 1, from).unwrap();
        let mut expected = from.max(1);
        while let Some(record) = reader.next_record().unwrap() {
            assert_eq!(record.seq, expected);
            expected += 1;
        }
        assert_eq!(expected, from.max(last + 1));
    }
    let mut ahead = JournalReader::open(&log.dir(), 1, last + 2).unwrap();
    assert!(ahead.next_record().unwrap().is_none());
    store_large(&mut writer, 100);
    assert!(ahead.next_record().unwrap().is_none());
    store_large(&mut writer, 100);
    assert_eq!(ahead.next_record().unwrap().unwrap().seq, last + 2);
}

#[test]
fn reader_opened_before_the_log_waits_for_it() {
    let log = Log::new(SyncPolicy::Os);
    std::fs::create_dir(log.dir()).unwrap();
    let mut reader = JournalReader::open(&log.dir(), 1, 1).unwrap();
    assert!(reader.next_record().unwrap().is_none());
    let mut writer = log.writer();
    assert!(reader.next_record().unwrap().is_none());
    store_group(&mut writer, 1);
    assert_eq!(reader.next_record().unwrap().map(Owned::from), Some(command(1)));
}

#[test]
fn reader_refuses_damage_in_a_segment_that_was_left() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    while writer.segment_id() < 2 {
        store_large(&mut writer, 50_000);
    }
    plant(&log.segment(1), 8192 + 60_000, &[0xAA]);
    let mut reader = JournalReader::open(&log.dir(), 1, 0).unwrap();
    assert_eq!(reader.next_record().unwrap().unwrap().seq, 1);
    let error = reader.next_record().unwrap_err();
    assert!(error.to_string().contains("R8: segment 1"), "{error}");
    plant(&log.segment(1), 8192, &vec![0; 900_000]);
    let mut reader = JournalReader::open(&log.dir(), 1, 0).unwrap();
    assert!(reader.next_record().is_err(), "zeros in a segment that was left");
}

#[test]
fn reader_of_another_machine_is_refused() {
    let log = Log::new(SyncPolicy::Os);
    drop(log.writer());
    assert_eq!(JournalReader::open(&log.dir(), 2, 0).unwrap_err().exit_code(), 70);
}
