//! What belongs here: how much the device writes for a sync of a few bytes. A page cache that holds
//! the segment in large pieces makes it a MiB, and nothing else shows that.

use std::convert::Infallible;
use std::path::Path;

use journal::limits::SYNC_BYTES_MAX;
use journal::{JournalWriter, Options, RecordKind, Storing, SyncPolicy, recover};
use tests::loop_disk::LoopDisk;
use tests::report::say;

/// Room for two segments and the next one.
const DISK_BYTES: u64 = 256 << 20;
/// Many of the largest pieces that a cache keeps.
const SEGMENT_BYTES: u64 = 16 << 20;
const SYNCS: u64 = 200;

fn open(dir: &Path, storing: Storing) -> JournalWriter {
    let options =
        Options { segment_bytes: SEGMENT_BYTES, storing, ..Options::new(1, SyncPolicy::Group) };
    let (mut writer, report) =
        recover::<Infallible>(dir, &options, |_| Ok(())).expect("a sound log");
    let told = report.sync_bytes.expect("a loop device counts");
    assert!(told <= SYNC_BYTES_MAX, "the start measured {told} bytes");
    wait_for_spare(&mut writer);
    writer
}

/// Its preparation writes, too.
fn wait_for_spare(writer: &mut JournalWriter) {
    while !writer.spare_ready() {
        std::thread::yield_now();
    }
}

fn append(writer: &mut JournalWriter, bytes: usize) {
    let seq = writer.last_seq() + 1;
    writer
        .append(RecordKind::Command, seq, seq, bytes, |place| {
            place.fill(7);
            bytes
        })
        .expect("a writer that works");
    writer.store().expect("room");
    writer.sync().expect("a disk that works");
}

/// Bytes that the device writes for one small group, on average.
fn bytes_per_sync(disk: &LoopDisk, writer: &mut JournalWriter) -> u64 {
    let before = disk.written_bytes();
    for _ in 0..SYNCS {
        append(writer, 200);
    }
    (disk.written_bytes() - before) / SYNCS
}

#[test]
fn a_sync_writes_little_fresh_after_a_restart_and_after_a_roll() {
    for storing in [Storing::Filled, Storing::Mapped] {
        let Some(disk) = LoopDisk::mount(DISK_BYTES) else { return };
        a_sync_writes_little(&disk, storing);
    }
}

fn a_sync_writes_little(disk: &LoopDisk, storing: Storing) {
    let dir = disk.path().join("log");
    let open = |dir| open(dir, storing);
    let mut writer = open(&dir);
    let fresh = bytes_per_sync(disk, &mut writer);
    drop(writer);

    let mut writer = open(&dir);
    let restarted = bytes_per_sync(disk, &mut writer);
    while writer.segment_id() == 1 {
        append(&mut writer, 60_000);
    }
    wait_for_spare(&mut writer);
    let rolled = bytes_per_sync(disk, &mut writer);
    drop(writer);

    // The spare that an earlier process has left.
    let mut writer = open(&dir);
    while writer.segment_id() == 2 {
        append(&mut writer, 60_000);
    }
    wait_for_spare(&mut writer);
    let reused = bytes_per_sync(disk, &mut writer);
    let all = [fresh, restarted, rolled, reused];
    say(&format!(
        "{storing:?}, bytes per sync: fresh, restarted, rolled, from a spare found: {all:?}"
    ));
    assert!(all.iter().all(|bytes| *bytes <= SYNC_BYTES_MAX), "{all:?}");
    assert!(all.iter().all(|bytes| *bytes >= 4096), "a sync writes a block at least: {all:?}");
}
