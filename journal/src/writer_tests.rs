//! A writer that finds no space for its next segment.
//!
//! Must not know: other failures, which are final. Invariant: this one heals.

use super::*;
use crate::prepare::Template;
use crate::segment::{SegmentFile, file_name};
use crate::{Options, recover};
use std::convert::Infallible;

/// More than any disk here has, and less than a file may have: reserving it reports a full disk.
const TOO_MUCH: u64 = 8 << 40;

/// Gives the writer a background thread that prepares segments of another size.
fn with_keeper(writer: &mut JournalWriter, options: &Options, segment_bytes: u64) {
    let mut template = Template::new(&writer.dir, writer.exchange_uuid(), options);
    template.segment_bytes = segment_bytes;
    // The thread before it has ended when this one gets its first job: both use one file name.
    writer.keeper = Keeper::start(template).unwrap();
    let leftover = writer.dir.join(format!("{}.tmp", file_name(2)));
    assert!(!leftover.exists(), "what had been reserved was given back");
    writer.keeper.request(writer.active.id + 1, None);
    let segment = SegmentFile::open(&writer.dir, writer.active.id, false).unwrap();
    writer.keeper.begin_hash(segment.file, segment.header.unwrap().to_block());
}

#[test]
fn full_disk_is_reported_and_heals() {
    let root = crate::tests::scratch();
    let dir = root.path().join("log");
    let options = Options { segment_bytes: 1 << 20, allow_fs: true, ..Options::default() };
    let mut writer = recover::<Infallible>(&dir, &options, |_| Ok(())).unwrap().0;
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
    assert_eq!(writer.space(), Space::Ample);
    with_keeper(&mut writer, &options, TOO_MUCH);
    while writer.space() == Space::Ample {
        std::thread::yield_now();
    }
    assert_eq!(writer.space(), Space::Tight);
    let append = |writer: &mut JournalWriter| {
        let seq = writer.last_seq() + 1;
        writer.append(RecordKind::Command, seq, seq, 60_000, |_| 60_000).unwrap();
    };
    while writer.segment_room_bytes() >= 65_536 {
        append(&mut writer);
        writer.store().unwrap();
    }
    append(&mut writer);
    for _ in 0..3 {
        let error = writer.store().unwrap_err();
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
        assert!(!writer.spare_ready());
        assert_eq!(writer.space(), Space::Last);
    }
    assert_eq!((writer.segment_id(), writer.stored_seq() + 1), (1, writer.last_seq()));
    with_keeper(&mut writer, &options, 1 << 20);
    writer.store().unwrap();
    assert_eq!((writer.segment_id(), writer.stored_seq()), (2, writer.last_seq()));
    assert_eq!(writer.space(), Space::Ample);
    let last_seq = writer.last_seq();
    writer.close().unwrap();
    let (_, report) = recover::<Infallible>(&dir, &options, |_| Ok(())).unwrap();
    assert_eq!((report.segments, report.last_seq), (2, last_seq));
}
