//! Rolling from segment to segment, and a process that dies at any step of it.

use super::{Log, command, open, peek, plant, store_group, store_large};
use crate::format::SegmentHeader;
use crate::{GroupSink, Options, Storing, SyncHandle, SyncPolicy, TailCase, verify};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

#[test]
fn many_small_segments() {
    for sync in [SyncPolicy::Group, SyncPolicy::Os] {
        let log = Log::new(sync);
        let mut writer = log.writer();
        while writer.segment_id() < 6 {
            store_large(&mut writer, 30_000);
        }
        let last = writer.last_seq();
        writer.close().unwrap();
        let whole = verify(&log.dir()).unwrap();
        assert_eq!((whole.segments, whole.last_seq), (6, last));
        assert_eq!(whole.sealed_bytes, 5 << 20);
        let (mut writer, report, records) = log.open().unwrap();
        assert_eq!((report.segments, report.last_seq), (6, last));
        assert_eq!(records.len() as u64, last);
        assert_eq!(report.groups, last + 5, "one group each and five seals");
        while writer.segment_id() < 7 {
            store_large(&mut writer, 30_000);
        }
        drop(writer);
        assert_eq!(log.open().unwrap().1.segments, 7);
    }
}

#[test]
fn segment_is_filled_to_the_last_group_that_fits() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    // 1 MiB less headers and seal is 253 blocks; a group of one small record takes one.
    for _ in 0..253 {
        store_group(&mut writer, 1);
    }
    assert_eq!((writer.segment_id(), writer.segment_room_bytes()), (1, 0));
    drop(writer);
    let mut writer = log.writer();
    store_group(&mut writer, 1);
    assert_eq!((writer.segment_id(), writer.segment_room_bytes()), (2, 252 * 4096));
    drop(writer);
    let (_, report, records) = log.open().unwrap();
    assert_eq!(records, (1..=254).map(command).collect::<Vec<_>>());
    assert_eq!(report.groups, 255);
}

#[test]
fn other_alignment_or_policy_starts_another_segment() {
    let mut log = Log::new(SyncPolicy::Os);
    store_group(&mut log.writer(), 2);
    log.options.sync = SyncPolicy::Group;
    log.options.pad = 4096;
    let (mut writer, _, _) = log.open().unwrap();
    assert_eq!(writer.segment_id(), 2);
    store_group(&mut writer, 2);
    assert_eq!(writer.segment_room_bytes(), 252 * 4096);
    drop(writer);
    log.options.sync = SyncPolicy::Os;
    let (mut writer, _, _) = log.open().unwrap();
    assert_eq!(writer.segment_id(), 3, "the same alignment, another policy");
    store_group(&mut writer, 1);
    drop(writer);
    let (writer, report, records) = log.open().unwrap();
    assert_eq!((writer.segment_id(), report.segments, records.len()), (3, 3, 5));
}

/// Opens the log, waits for the spare and gives up; returns the number of the spare's file.
fn ready_spare(log: &Log) -> u64 {
    let mut writer = log.writer();
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
    let metadata = std::fs::metadata(log.segment(2)).unwrap();
    assert_eq!(metadata.len(), log.options.segment_bytes);
    assert!(metadata.blocks() * 512 >= metadata.len(), "every block is there");
    metadata.ino()
}

#[test]
fn spare_of_an_earlier_start_is_used_again() {
    let log = Log::new(SyncPolicy::Os);
    let first = ready_spare(&log);
    let prepared = peek(&log.segment(2), 72, 8);
    assert_eq!(ready_spare(&log), first);
    let mut writer = log.writer();
    while writer.segment_id() == 1 {
        store_large(&mut writer, 30_000);
    }
    drop(writer);
    assert_eq!(std::fs::metadata(log.segment(2)).unwrap().ino(), first);
    assert!(
        peek(&log.segment(2), 72, 8) != prepared,
        "the salt is drawn when it is taken into use"
    );
    assert_eq!(log.open().unwrap().1.segments, 2);
}

#[test]
fn spare_that_will_not_do_is_made_again() {
    let mut log = Log::new(SyncPolicy::Os);
    ready_spare(&log);
    // A second name keeps the number of the file from being given to another one.
    let damaged = |log: &Log, what: &str, damage: &dyn Fn(&Path)| {
        let (spare, kept) = (log.segment(2), log.dir().join("kept"));
        let before = ready_spare(log);
        std::fs::hard_link(&spare, &kept).unwrap();
        damage(&spare);
        assert!(ready_spare(log) != before, "{what}");
        std::fs::remove_file(kept).unwrap();
    };
    damaged(&log, "one damaged copy", &|spare| plant(spare, 30, &[0xFF]));
    damaged(&log, "no header", &|spare| plant(spare, 0, &[0; 8192]));
    damaged(&log, "short", &|spare| std::fs::write(spare, [0; 100]).unwrap());
    damaged(&log, "holes", &|spare| {
        let headers = peek(spare, 0, 8192);
        std::fs::write(spare, headers).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(spare).unwrap();
        file.set_len(1 << 20).unwrap();
    });
    damaged(&log, "of another exchange", &|spare| {
        let mut header = SegmentHeader::from_block(&peek(spare, 0, 4096)).unwrap();
        header.exchange_uuid = [8; 16];
        let block = header.to_block();
        plant(spare, 0, &[block.clone(), block].concat());
    });
    log.options.segment_bytes = 2 << 20;
    ready_spare(&log);
    std::fs::write(log.dir().join("jrnl-0000000000000003.seg.tmp"), [1; 100]).unwrap();
    drop(log.writer());
    assert!(!log.dir().join("jrnl-0000000000000003.seg.tmp").exists());
}

#[test]
fn holes_of_a_copied_segment_are_filled_before_it_is_written_again() {
    let log = Log::new(SyncPolicy::Group);
    store_group(&mut log.writer(), 3);
    let path = log.segment(1);
    let used = peek(&path, 0, 3 * 4096);
    std::fs::write(&path, used).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 < 1 << 20, "there are holes");
    let mut writer = log.writer();
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
    store_group(&mut writer, 1);
    drop(writer);
    assert_eq!(log.open().unwrap().2, (1..=4).map(command).collect::<Vec<_>>());
}

/// Copies the files of a directory as they are at this moment; one may vanish meanwhile.
fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        match std::fs::copy(&path, to.join(path.file_name().unwrap())) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => panic!("copy {}: {error}", path.display()),
        }
    }
}

/// Copies the log before every step of its writer.
struct CopyingSink {
    below: Box<dyn GroupSink>,
    dir: PathBuf,
    images: Arc<Mutex<Vec<PathBuf>>>,
    out: PathBuf,
}

impl CopyingSink {
    fn copy(&self) {
        let mut images = self.images.lock().unwrap();
        let image = self.out.join(images.len().to_string());
        copy_files(&self.dir, &image);
        images.push(image);
    }
}

impl GroupSink for CopyingSink {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.copy();
        self.below.put(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.copy();
        self.below.sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        self.below.sync_handle()
    }
}

#[test]
fn process_that_dies_before_any_step_of_a_roll() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    while writer.segment_room_bytes() > 200_000 {
        store_large(&mut writer, 60_000);
    }
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
    let out = super::scratch();
    let images = Arc::new(Mutex::new(Vec::new()));
    let (dir, path, list) = (log.dir(), out.path().to_owned(), Arc::clone(&images));
    writer.layer_sinks(move |_, below| {
        let (dir, out, images) = (dir.clone(), path.clone(), Arc::clone(&list));
        Box::new(CopyingSink { below, dir, images, out })
    });
    let mut stored = Vec::new();
    let mut seen = Vec::new();
    while writer.segment_id() == 1 {
        store_large(&mut writer, 60_000);
        stored.resize(images.lock().unwrap().len(), writer.stored_seq());
    }
    let images = images.lock().unwrap().clone();
    assert!(images.len() >= 10, "groups, seal, sync, two headers, sync");
    for (image, at_most) in images.iter().zip(stored) {
        let (mut writer, report, records) = open(image, &log.options).unwrap();
        let last = report.last_seq;
        assert!(last == at_most || last + 1 == at_most, "{last} of {at_most}");
        assert_eq!(records.len() as u64, last);
        seen.push((report.case, report.segments));
        // Life goes on from there, into the next segment and beyond.
        while writer.segment_id() < 3 {
            store_large(&mut writer, 60_000);
        }
        let last = writer.last_seq();
        drop(writer);
        assert_eq!(open(image, &log.options).unwrap().1.last_seq, last);
    }
    for case in [(TailCase::Clean, 1), (TailCase::Sealed, 1), (TailCase::Clean, 2)] {
        assert!(seen.contains(&case), "{case:?} was not met in {seen:?}");
    }
}

#[test]
fn power_cut_between_seal_and_header_of_the_next_segment() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    let out = super::scratch();
    let (dir, image) = (log.dir(), out.path().join("image"));
    let copy_to = image.clone();
    writer.layer_sinks(move |id, below| {
        if id == 2 && !copy_to.exists() {
            copy_files(&dir, &copy_to);
        }
        below
    });
    while writer.segment_id() == 1 {
        store_large(&mut writer, 60_000);
    }
    let before = writer.last_seq() - 1;
    let spare = image.join(crate::segment::file_name(2));
    let prepared = std::fs::read(&spare).unwrap();
    // Both copies of the header were on their way: each old, torn, or not there.
    let torn: [&[u8]; 3] = [&prepared[..4096], &[0; 4096], &[0xEE; 4096]];
    for first in torn {
        for second in torn {
            let trial = out.path().join("trial");
            copy_files(&image, &trial);
            plant(&trial.join(crate::segment::file_name(2)), 0, &[first, second].concat());
            let (mut writer, report, _) = open(&trial, &log.options).unwrap();
            assert_eq!((report.case, report.last_seq), (TailCase::Sealed, before));
            store_large(&mut writer, 100);
            drop(writer);
            assert_eq!(open(&trial, &log.options).unwrap().1.last_seq, before + 1);
            std::fs::remove_dir_all(&trial).unwrap();
        }
    }
    // The first copy is new, the second one old, torn, or not there: the segment is in use, and the
    // next start makes both copies equal.
    let active = peek(&log.segment(2), 0, 4096);
    for second in torn {
        let trial = out.path().join("trial");
        copy_files(&image, &trial);
        let segment = trial.join(crate::segment::file_name(2));
        plant(&segment, 0, &[&active[..], second].concat());
        let (mut writer, report, _) = open(&trial, &log.options).unwrap();
        assert_eq!((report.case, report.last_seq), (TailCase::Clean, before));
        assert_eq!(report.header_copies_damaged, 1);
        assert_eq!(peek(&segment, 0, 4096), active);
        assert_eq!(peek(&segment, 4096, 4096), active);
        store_large(&mut writer, 100);
        drop(writer);
        let report = open(&trial, &log.options).unwrap().1;
        assert_eq!((report.last_seq, report.header_copies_damaged), (before + 1, 0));
        std::fs::remove_dir_all(&trial).unwrap();
    }
    // Without any spare the next segment is made on the spot.
    std::fs::remove_file(&spare).unwrap();
    assert_eq!(open(&image, &log.options).unwrap().1.case, TailCase::Sealed);
}

/// What a process has only reserved is filled before a sync of it is waited for.
#[test]
fn a_log_in_reserved_space_goes_on_in_filled_segments() {
    let mut log = Log::on_disk(SyncPolicy::Os);
    assert_eq!(log.options.storing, Storing::Reserved);
    let hole = |path: &Path| {
        let file = std::fs::File::open(path).unwrap();
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(0)).unwrap()
    };
    let mut writer = log.writer();
    while writer.segment_id() < 2 {
        store_large(&mut writer, 30_000);
    }
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
    writer.close().unwrap();
    assert!(hole(&log.segment(3)) < 1 << 20, "the spare was only reserved");

    for sync in [SyncPolicy::Group, SyncPolicy::Interval { ms: 5 }, SyncPolicy::Os] {
        let first = writer_goes_on(&mut log, sync);
        // What was filled is good enough for a log that would only reserve.
        let made_here = if sync == SyncPolicy::Os { first + 2 } else { first };
        for id in made_here..=first + 2 {
            let whole = hole(&log.segment(id)) == 1 << 20;
            assert_eq!(whole, sync != SyncPolicy::Os, "segment {id} under {sync}");
        }
    }
}

/// Opens the log under another policy, rolls, and closes it again with a spare. Returns the first
/// segment that has this policy.
fn writer_goes_on(log: &mut Log, sync: SyncPolicy) -> u64 {
    let pad = sync.default_pad();
    log.options = Options { sync, pad, storing: Storing::suited(sync, pad), ..log.options.clone() };
    let (mut writer, _, records) = log.open().unwrap();
    let first = writer.segment_id();
    assert_eq!(records.len() as u64, writer.last_seq());
    while writer.segment_id() == first {
        store_large(&mut writer, 30_000);
    }
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
    writer.close().unwrap();
    first
}
