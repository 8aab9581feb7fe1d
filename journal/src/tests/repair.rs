//! Repair from a copy: what it puts back, and what it leaves alone.

use super::{Log, command, contents, group_offset, open, peek, plant, store_group, store_large};
use crate::control::FILE_NAME;
use crate::format::BLOCK;
use crate::segment::file_name;
use crate::{Damage, JournalError, RepairOptions, RepairReport, SyncPolicy, repair};
use std::fs;
use std::path::{Path, PathBuf};

/// A log of three segments and some groups more than its copy has.
struct Scene {
    log: Log,
    copy: tempfile::TempDir,
    /// What the log was before anybody damaged it.
    good: Vec<(PathBuf, Vec<u8>)>,
}

const APPLY: RepairOptions = RepairOptions { apply: true, accept_end: false, witness_seq: 0 };

/// Groups of the last segment that the copy has, and that only the log has.
const COPIED: u64 = 3;
const LATER: u64 = 2;

impl Scene {
    fn new() -> Self {
        let log = Log::new(SyncPolicy::Group);
        let mut writer = log.writer();
        while writer.segment_id() < 3 {
            store_large(&mut writer, 60_000);
        }
        (0..COPIED).for_each(|_| store_group(&mut writer, 2));
        writer.sync().unwrap();
        let copy = super::scratch();
        copy_files(&log.dir(), copy.path());
        (0..LATER).for_each(|_| store_group(&mut writer, 1));
        writer.close().unwrap();
        let good = contents(&log.dir());
        Self { log, copy, good }
    }

    fn repair(&self, apply: bool) -> Result<RepairReport, JournalError> {
        let options = RepairOptions { apply, ..RepairOptions::default() };
        repair(&self.log.dir(), self.copy.path(), &options)
    }

    /// Damages the log, sees that nothing happens unless it is wanted, has it repaired, and sees
    /// that it is what it was.
    fn mends(&self, damage: impl Fn(&Path)) -> Vec<(Damage, u64)> {
        damage(&self.log.dir());
        let damaged = contents(&self.log.dir());
        assert!(damaged != self.good, "nothing was damaged");
        let planned = self.repair(false).unwrap();
        assert!(contents(&self.log.dir()) == damaged, "it was only asked");
        assert!(planned.quarantined.is_empty());
        let done = self.repair(true).unwrap();
        assert_eq!(done.mended, planned.mended);
        assert!(contents(&self.log.dir()) == self.good, "{:?}", done.mended);
        let kept = done.quarantined.iter().map(|path| fs::read(path).unwrap());
        assert!(kept.into_iter().all(|bytes| damaged.iter().any(|(_, was)| *was == bytes)));
        assert_eq!(self.repair(true).unwrap().mended, [], "nothing is left to do");
        done.mended.iter().map(|mended| (mended.damage, mended.segment)).collect()
    }

    /// Damages the log so that it cannot be repaired, and sees that nothing is touched.
    fn refuses(&self, damage: impl Fn(&Path)) -> String {
        damage(&self.log.dir());
        let damaged = contents(&self.log.dir());
        let error = self.repair(true).unwrap_err();
        assert_eq!(error.exit_code(), 70, "{error}");
        assert!(contents(&self.log.dir()) == damaged, "a refused repair changed something");
        error.to_string()
    }
}

fn copy_files(from: &Path, to: &Path) {
    for (path, bytes) in contents(from) {
        fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

fn flip(path: &Path, at: u64) {
    plant(path, at, &[peek(path, at, 1)[0] ^ 0x20]);
}

fn segment(dir: &Path, id: u64) -> PathBuf {
    dir.join(file_name(id))
}

#[test]
fn each_kind_of_damage_is_mended() {
    let scene = Scene::new();
    let groups = |dir: &Path, id, index| group_offset(&segment(dir, id), index);
    let (group, header) = (Damage::Group, Damage::Header);
    assert_eq!(
        scene.mends(|dir| {
            flip(&segment(dir, 1), groups(dir, 1, 1) + 100);
            flip(&segment(dir, 1), groups(dir, 1, 4) + 8);
            flip(&segment(dir, 2), groups(dir, 2, 0));
            flip(&segment(dir, 3), groups(dir, 3, 1) + 70);
        }),
        [(group, 1), (group, 1), (group, 2), (group, 3)]
    );
    let both_headers = |dir: &Path| {
        flip(&segment(dir, 2), 30);
        flip(&segment(dir, 2), BLOCK as u64 + 30);
    };
    assert_eq!(scene.mends(both_headers), [(header, 2)]);
    for id in 1..=2 {
        let missing = |dir: &Path| fs::remove_file(segment(dir, id)).unwrap();
        assert_eq!(scene.mends(missing), [(Damage::Missing, id)]);
    }
    // The cut takes groups away as well; one that is too long loses nothing.
    assert_eq!(
        scene.mends(|dir| cut(&segment(dir, 1), 500_000)),
        [(Damage::Length, 1), (group, 1)]
    );
    assert_eq!(scene.mends(|dir| cut(&segment(dir, 3), (1 << 20) + 1)), [(Damage::Length, 3)]);
    let behind = |dir: &Path| plant(&segment(dir, 1), (1 << 20) - 10, &[1, 0, 2]);
    assert_eq!(scene.mends(behind), [(Damage::BehindSeal, 1)]);
}

#[test]
fn a_control_file_is_made_anew_and_the_log_goes_on() {
    let scene = Scene::new();
    let records = u64::try_from(open_records(&scene.log)).unwrap();
    for slot in [100, BLOCK as u64 + 100] {
        flip(&scene.log.dir().join(FILE_NAME), slot);
    }
    scene.log.refused("R1");
    let report = scene.repair(true).unwrap();
    assert_eq!(report.mended.last().map(|mended| mended.damage), Some(Damage::Control));
    assert_eq!(report.verified.last_seq, records);
    assert_eq!(open_records(&scene.log) as u64, records);
}

/// Opens the log and closes it; how many records it has.
fn open_records(log: &Log) -> usize {
    let (writer, _, records) = log.open().unwrap();
    writer.close().unwrap();
    records.len()
}

#[test]
fn what_the_copy_does_not_have_is_refused_untouched() {
    let later = |dir: &Path| {
        let path = segment(dir, 3);
        // The first group of the segment came before those.
        let index = usize::try_from(COPIED).unwrap() + 1;
        flip(&path, group_offset(&path, index) + 70);
    };
    let error = Scene::new().refuses(later);
    assert!(error.starts_with("R6: segment 3"), "{error}");

    let scene = Scene::new();
    let at = group_offset(&scene.log.segment(1), 2) + 500;
    flip(&segment(scene.copy.path(), 1), at);
    let error = scene.refuses(|dir| flip(&segment(dir, 1), at));
    assert!(error.starts_with("R8: segment 1"), "{error}");

    let scene = Scene::new();
    let error = scene.refuses(|dir| {
        fs::remove_file(segment(dir, 2)).unwrap();
        fs::remove_file(segment(scene.copy.path(), 2)).unwrap();
    });
    assert!(error.starts_with("R3: segment 2"), "{error}");
}

#[test]
fn a_copy_of_another_log_is_refused() {
    let scene = Scene::new();
    let mut other = Log::new(SyncPolicy::Group);
    other.options.exchange_uuid = Some([8; 16]);
    store_group(&mut other.writer(), 3);
    copy_files(&other.dir(), scene.copy.path());
    let error = scene.refuses(|dir| flip(&segment(dir, 1), 9000));
    assert!(error.contains("another log"), "{error}");
}

/// Same exchange, same sequences, but other bytes: nothing of it continues the log.
#[test]
fn groups_of_another_history_are_not_taken() {
    let write = |first: u64| {
        let log = Log::new(SyncPolicy::Group);
        let mut writer = log.writer();
        for seq in 1..=4 {
            let mut record = command(seq);
            record.payload.fill(u8::try_from(first + seq).unwrap());
            super::append(&mut writer, &record);
            writer.store().unwrap();
            writer.sync().unwrap();
        }
        drop(writer);
        log
    };
    let (log, other) = (write(10), write(20));
    let path = log.segment(1);
    flip(&path, group_offset(&path, 1) + 70);
    let damaged = contents(&log.dir());
    let error = repair(&log.dir(), &other.dir(), &APPLY).unwrap_err();
    assert!(error.to_string().starts_with("R6: segment 1"), "{error}");
    assert!(contents(&log.dir()) == damaged);
}

/// The end that only the copy has is put back too: the log had lost it.
#[test]
fn a_copy_that_goes_further_completes_the_log() {
    let scene = Scene::new();
    let older = super::scratch();
    copy_files(scene.copy.path(), older.path());
    let report = repair(older.path(), &scene.log.dir(), &APPLY).unwrap();
    assert_eq!(report.mended.len(), 1, "{:?}", report.mended);
    let records = open(older.path(), &scene.log.options).unwrap().2;
    assert_eq!(records.len(), open_records(&scene.log));
}

/// A repair that was interrupted left a folder; it is in nobody's way.
#[test]
fn what_an_interrupted_repair_left_is_removed() {
    let scene = Scene::new();
    let left = scene.log.dir().join("repair");
    fs::create_dir(&left).unwrap();
    fs::write(left.join(file_name(1)), b"half a segment").unwrap();
    assert_eq!(open_records(&scene.log) as u64, scene.repair(false).unwrap().verified.last_seq);
    assert!(!left.exists());
}

fn cut(path: &Path, len: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// What followed the cut, or was in the segment that is gone, was acknowledged, and the copy does
/// not have it. Only who says that this is known gets a log without it.
#[test]
fn an_end_that_is_not_known_is_taken_only_on_request() {
    type Harm = fn(&Path);
    let cases: [(&str, Harm); 3] = [
        ("cut at a group", |dir| {
            let path = segment(dir, 3);
            cut(&path, group_offset(&path, 2));
        }),
        ("cut within a group", |dir| {
            let path = segment(dir, 3);
            cut(&path, group_offset(&path, 2) + 80);
        }),
        ("gone", |dir| fs::remove_file(segment(dir, 3)).unwrap()),
    ];
    for (what, harm) in cases {
        let scene = Scene::new();
        // As after a start: the control file knows of nothing that came since.
        scene.log.control(|slot| slot.durable_seq = 0.into());
        fs::copy(scene.log.dir().join(FILE_NAME), scene.copy.path().join(FILE_NAME)).unwrap();
        if what != "gone" {
            fs::remove_file(segment(scene.copy.path(), 3)).unwrap();
        }
        let error = scene.refuses(harm);
        assert!(error.starts_with("R6: segment 3"), "{what}: {error}");
        let accept_end = RepairOptions { accept_end: true, ..APPLY };
        let report = repair(&scene.log.dir(), scene.copy.path(), &accept_end).unwrap();
        assert!(report.verified.last_seq > 0 && !report.mended.is_empty(), "{what}");
        let witness_seq = report.verified.last_seq + 1;
        let error = repair(
            &scene.log.dir(),
            scene.copy.path(),
            &RepairOptions { witness_seq, ..accept_end },
        );
        assert_eq!(error.unwrap_err().exit_code(), 70, "{what}: somebody has seen more");
    }
}

/// The control file is gone, and the copy is of somebody else: the segments say so.
#[test]
fn a_copy_of_another_log_is_refused_without_a_control_file() {
    let scene = Scene::new();
    let mut other = Log::new(SyncPolicy::Group);
    other.options.exchange_uuid = Some([8; 16]);
    let mut writer = other.writer();
    while writer.segment_id() < 4 {
        store_large(&mut writer, 60_000);
    }
    drop(writer);
    copy_files(&other.dir(), scene.copy.path());
    let error = scene.refuses(|dir| fs::write(dir.join(FILE_NAME), [0; 2 * BLOCK]).unwrap());
    assert!(error.contains("another log"), "{error}");
}

/// A snapshot allows the segments before it to be gone, and no others.
#[test]
fn segments_that_a_snapshot_does_not_make_up_for_are_put_back() {
    for (held, put_back) in [(1, 1), (30, 0)] {
        let scene = Scene::new();
        let snapshot = scene.log.dir().join(format!("snap-{held:020}.snp"));
        fs::write(snapshot, b"never opened here").unwrap();
        fs::remove_file(segment(&scene.log.dir(), 1)).unwrap();
        let report = scene.repair(true).unwrap();
        assert_eq!(report.mended.len(), put_back, "{held}: {:?}", report.mended);
        assert_eq!(segment(&scene.log.dir(), 1).exists(), put_back > 0);
    }
}

/// A copy from before the last start must not take the place of what that start has written.
#[test]
fn records_of_the_last_start_are_not_traded_for_older_ones() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    store_group(&mut writer, 1);
    writer.sync().unwrap();
    let copy = super::scratch();
    store_group(&mut writer, 1);
    writer.sync().unwrap();
    drop(writer);
    copy_files(&log.dir(), copy.path());
    // As if the second group had been torn: the next start goes on in its place.
    let path = log.segment(1);
    let at = group_offset(&path, 1);
    plant(&path, at, &[0; BLOCK]);
    let mut writer = log.writer();
    store_group(&mut writer, 1);
    writer.sync().unwrap();
    drop(writer);
    log.control(|slot| slot.durable_seq = 0.into());
    flip(&path, at + 70);
    let error = repair(&log.dir(), copy.path(), &APPLY).unwrap_err();
    assert!(error.to_string().starts_with("R6: segment 1"), "{error}");
}
