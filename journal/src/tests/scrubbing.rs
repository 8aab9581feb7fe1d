//! Sealed segments that are read again: each flipped bit is found, in a log in use, and nothing
//! else is.

use super::{Log, contents, peek, plant, store_large};
use crate::{Retention, Scrubbed, SyncPolicy, retire_segments, scrub, sealed_segments};
use std::fs;

/// A log with three sealed segments, in use.
fn in_use() -> (Log, crate::JournalWriter) {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    while writer.segment_id() < 4 {
        store_large(&mut writer, 60_000);
    }
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
    (log, writer)
}

#[test]
fn sound_segments_are_sound_wherever_they_are() {
    let (log, writer) = in_use();
    let before = contents(&log.dir());
    for archived in [0, 1] {
        assert_eq!(sealed_segments(&log.dir()).unwrap(), [1, 2, 3]);
        for id in 1..=3 {
            assert_eq!(scrub(&log.dir(), id, |_| true).unwrap(), Scrubbed::Sound(1 << 20));
        }
        if archived == 0 {
            assert!(contents(&log.dir()) == before);
            assert_eq!(retire_segments(&log.dir(), 30, Retention::Archive).unwrap(), 1);
        }
    }
    fs::remove_file(log.segment(2)).unwrap();
    assert_eq!(scrub(&log.dir(), 2, |_| true).unwrap(), Scrubbed::Gone);
    drop(writer);
    assert_eq!(sealed_segments(&log.dir().join("nothing")).unwrap(), [0; 0]);
}

#[test]
fn a_flipped_bit_is_found_and_named() {
    let (log, _writer) = in_use();
    let segment = log.segment(2);
    for at in (8192..1 << 20).step_by(7919).chain([(1 << 20) - 1]) {
        let byte = peek(&segment, at, 1)[0];
        plant(&segment, at, &[byte ^ 4]);
        let error = scrub(&log.dir(), 2, |_| true).unwrap_err();
        assert_eq!(error.exit_code(), 70, "byte {at}: {error}");
        assert!(error.to_string().contains("segment 2"), "byte {at}: {error}");
        plant(&segment, at, &[byte]);
    }
    for copy in [100, 4096 + 100] {
        plant(&segment, copy, &[0xEE]);
    }
    assert!(scrub(&log.dir(), 2, |_| true).is_err(), "both headers are gone");
    assert!(scrub(&log.dir(), 1, |_| true).is_ok());
    assert!(scrub(&log.dir(), 3, |_| true).is_ok());
}

#[test]
fn it_pauses_behind_each_piece_and_can_be_ended_there() {
    let mut log = Log::new(SyncPolicy::Group);
    log.options.segment_bytes = 4 << 20;
    let mut writer = log.writer();
    while writer.segment_id() < 2 {
        store_large(&mut writer, 60_000);
    }
    let mut pieces = Vec::new();
    let all = scrub(&log.dir(), 1, |bytes| {
        pieces.push(bytes);
        true
    });
    assert_eq!(all.unwrap(), Scrubbed::Sound(4 << 20));
    assert_eq!(pieces.len(), 3, "{pieces:?}");
    assert!(pieces.iter().all(|bytes| (1 << 20..1 << 21).contains(bytes)), "{pieces:?}");
    assert_eq!(scrub(&log.dir(), 1, |_| false).unwrap(), Scrubbed::GivenUp);
}
