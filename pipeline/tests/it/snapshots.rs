//! Snapshots beside a running pipeline, and starts that begin with one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use engine::{Frame, RestoreError, RestoreFault, SnapshotReader, StateMachine};
use journal::{Retention, SyncPolicy};
use pipeline::{
    ConfigurationHash, Instance, Options, Outlet, PipelineError, Recovered, Running, SnapshotDesk,
    SnapshotError, SnapshotPolicy, SnapshotTaken, SystemClock, recover, start, take_snapshot,
};

use crate::harness::{Desk, Ticket, bytes_below, options, submit};
use crate::toy::{Command, Event, Sum};

const AT_SHUTDOWN: SnapshotPolicy =
    SnapshotPolicy { at_shutdown: true, ..SnapshotPolicy::ON_DEMAND };

/// Counts the commands that it was shown; keeps that in snapshots.
#[derive(Default)]
struct Counted {
    shown: Arc<AtomicU64>,
    refuses: bool,
}

impl Outlet<Sum> for Counted {
    fn publish(&mut self, frame: &Frame<Command>, _: &[Event]) {
        let before = self.shown.fetch_add(1, Ordering::Relaxed);
        assert_eq!(before + 1, frame.sequence, "every command once, in order");
    }

    fn section(&self) -> Option<&'static str> {
        Some("counted")
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.extend(self.shown.load(Ordering::Relaxed).to_le_bytes());
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        if self.refuses {
            let (field, offset, fault) = ("counted", 0, RestoreFault::Illegal);
            return Err(RestoreError { field, offset, fault });
        }
        let mut from = SnapshotReader::new(bytes);
        self.shown.store(from.read("shown")?, Ordering::Relaxed);
        from.finish()
    }
}

fn watched() -> Instance<Sum> {
    let counted: Box<dyn Outlet<Sum>> = Box::new(Counted::default());
    Instance { machine: Sum::default(), outlets: vec![counted] }
}

fn recovered(options: &Options) -> Recovered<Sum> {
    recover(options, watched).unwrap()
}

struct Life {
    running: Running<Sum, Ticket>,
    snapshots: SnapshotDesk,
    desk: Desk,
    options: Options,
}

impl Life {
    fn begin(options: &Options, policy: SnapshotPolicy) -> Self {
        Self::begin_with(options, policy, watched)
    }

    fn begin_with(
        options: &Options,
        policy: SnapshotPolicy,
        fresh: impl Fn() -> Instance<Sum> + Send + 'static,
    ) -> Self {
        let recovered = recovered(options);
        let mut running = start(recovered, options, Arc::new(SystemClock::new())).unwrap();
        let snapshots = running.take_snapshots(policy, fresh).unwrap();
        let desk = Desk::new(running.cursors());
        Self { running, snapshots, desk, options: options.clone() }
    }

    fn add(&self, count: u64) {
        for value in 0..count {
            submit(&self.running.ingress(), Command::Add(value), &self.desk);
        }
        self.desk.wait(usize::try_from(count).unwrap());
    }

    fn ask(&self) -> Result<SnapshotTaken, SnapshotError> {
        self.snapshots.ask().unwrap().recv().unwrap()
    }

    /// What a power cut at this moment leaves at most: a copy, to start from.
    fn copy(&self) -> (tempfile::TempDir, Options) {
        let place = tempfile::tempdir().unwrap();
        copy_dir(&self.options.data_dir, place.path());
        let options = Options { data_dir: place.path().to_owned(), ..self.options.clone() };
        (place, options)
    }

    fn end(self) -> Sum {
        self.running.shutdown().machine
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &place);
        } else if let Err(error) = std::fs::copy(entry.path(), place) {
            // A segment that is being prepared gets its name meanwhile.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{entry:?}");
        }
    }
}

/// Files of the journal with this ending, in the order of their names.
fn files(options: &Options, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(options.data_dir.join("journal")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
    paths.sort();
    paths
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn after_an_orderly_end_there_is_nothing_to_replay() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    for round in 1..=4 {
        let life = Life::begin(&options, AT_SHUTDOWN);
        life.add(10);
        let last = life.end();
        let recovered = recovered(&options);
        assert_eq!(recovered.instance.machine, last, "round {round}");
        let report = &recovered.report;
        assert_eq!((report.snapshot, report.commands, report.controls), (11 * round, 0, 0));
        assert_eq!((report.events_compared, report.events_appended), (0, 0));
        assert_eq!((report.last_sequence, report.last_event_sequence), (11 * round, 10 * round));
        drop(recovered);
        assert_eq!(files(&options, "snp").len(), usize::try_from(round.min(2)).unwrap());
    }
}

/// Whether or not the record of the start is among what is replayed.
#[test]
fn what_the_last_start_was_told_is_known() {
    for policy in [SnapshotPolicy::ON_DEMAND, AT_SHUTDOWN] {
        let dir = tempfile::tempdir().unwrap();
        let told = |n| Options {
            configuration: ConfigurationHash([n; 32]),
            ..options(dir.path(), SyncPolicy::Group)
        };
        assert_eq!(recovered(&told(9)).report.configuration, ConfigurationHash::default());
        for n in 1..=3 {
            let life = Life::begin(&told(n), policy);
            life.add(1);
            life.end();
            let last = recovered(&told(9));
            assert_eq!(last.report.configuration, ConfigurationHash([n; 32]));
            let is_behind = last.report.controls == 0;
            assert_eq!(is_behind, policy.at_shutdown);
        }
        // A snapshot that is taken beside no pipeline is no start.
        take_snapshot(recovered(&told(9)), &told(9), &AT_SHUTDOWN, watched()).unwrap();
        let last = recovered(&told(9)).report;
        assert_eq!((last.controls, last.configuration), (0, ConfigurationHash([3; 32])));
    }
}

#[test]
fn a_snapshot_of_the_live_pipeline_is_what_a_replay_comes_to() {
    for sync in [SyncPolicy::Os, SyncPolicy::Interval { ms: 5 }, SyncPolicy::Group] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), sync);
        let life = Life::begin(&options, SnapshotPolicy::ON_DEMAND);
        let first = life.ask().unwrap();
        assert_eq!(first.sequence, 1, "the start itself is a command");
        life.add(1_000);
        let taken = life.ask().unwrap();
        assert_eq!(taken.sequence, 1_001);
        assert_eq!(taken.bytes, std::fs::metadata(&files(&options, "snp")[1]).unwrap().len());
        life.add(500);
        let (_place, copied) = life.copy();
        let counters = life.running.counters();
        assert_eq!((counters.snapshots.taken.get(), counters.snapshots.failures.get()), (2, 0));
        assert_eq!(counters.snapshots.sequence.get(), 1_001);
        let last = life.end();

        let from_snapshot = recovered(&copied);
        let report = &from_snapshot.report;
        assert_eq!((report.snapshot, report.commands), (1_001, 500), "{sync:?}");
        assert_eq!(report.events_compared + report.events_appended, 500);
        assert_eq!(from_snapshot.instance.machine, last);
        drop(from_snapshot);
        for file in files(&copied, "snp") {
            std::fs::remove_file(file).unwrap();
        }
        let from_the_beginning = recovered(&copied);
        assert_eq!(from_the_beginning.report.snapshot, 0);
        assert_eq!(from_the_beginning.instance.machine, last);
        assert_eq!(from_the_beginning.instance.machine.state_hash(), last.state_hash());
    }
}

#[test]
fn a_damaged_snapshot_costs_a_longer_replay() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let life = Life::begin(&options, AT_SHUTDOWN);
    life.add(10);
    assert_eq!(life.ask().unwrap().sequence, 11);
    life.add(5);
    let last = life.end();
    flip(&files(&options, "snp")[1]);
    let older = recovered(&options);
    assert_eq!((older.report.snapshot, older.report.commands), (11, 5));
    assert_eq!(older.instance.machine, last);
    drop(older);
    assert_eq!((files(&options, "snp").len(), files(&options, "bad").len()), (1, 1));
    flip(&files(&options, "snp")[0]);
    let whole = recovered(&options);
    assert_eq!((whole.report.snapshot, whole.report.commands), (0, 15));
    assert_eq!(whole.instance.machine, last);
    drop(whole);
    assert_eq!((files(&options, "snp").len(), files(&options, "bad").len()), (0, 2));
}

/// Whoever makes instances keeps a way to the outlets of the last one.
#[test]
fn the_last_instance_that_was_made_is_the_one_that_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let life = Life::begin(&options, AT_SHUTDOWN);
    life.add(10);
    life.ask().unwrap();
    life.add(5);
    life.end();
    for usable in (0..=2).rev() {
        let (mut made, mut shown) = (0, Arc::default());
        let recovered = recover(&options, || {
            let counted = Counted::default();
            (made, shown) = (made + 1, Arc::clone(&counted.shown));
            Instance { machine: Sum::default(), outlets: vec![Box::new(counted)] }
        });
        assert_eq!(recovered.unwrap().report.last_sequence, 16);
        assert_eq!(shown.load(Ordering::Relaxed), 16, "{usable} snapshots can be used");
        assert_eq!(made, if usable == 2 { 1 } else { 2 }, "none is made that is not tried");
        if let Some(newest) = files(&options, "snp").last() {
            flip(newest);
        }
    }
}

#[test]
fn segments_go_and_without_them_a_damaged_snapshot_is_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    // None at the end: the two that stay are more than a segment apart.
    let policy = SnapshotPolicy {
        every_commands: 300,
        retention: Retention::Delete,
        ..SnapshotPolicy::ON_DEMAND
    };
    let life = Life::begin(&options, policy);
    // Under this policy one command takes one block, and a segment has 253 of them.
    while files(&options, "seg").iter().any(|path| path.ends_with("jrnl-0000000000000001.seg")) {
        submit(&life.running.ingress(), Command::Add(1), &life.desk);
        life.desk.wait(1);
    }
    assert_eq!(files(&options, "snp").len(), 2, "segments go behind the older of two");
    let last = life.end();
    let restarted = recovered(&options);
    assert_eq!(restarted.instance.machine, last);
    drop(restarted);
    let snapshots = files(&options, "snp");
    assert_eq!(snapshots.len(), 2);
    flip(&snapshots[1]);
    assert_eq!(recovered(&options).instance.machine, last, "the older one will do");
    flip(&snapshots[0]);
    let before = bytes_below(&options.data_dir);
    let error = recover(&options, watched).expect_err("nothing to begin with");
    assert_eq!(error.exit_code(), 70);
    assert!(error.to_string().contains("R3"), "{error}");
    assert!(bytes_below(&options.data_dir) == before, "a refused start changes nothing");
}

#[test]
fn a_snapshot_is_a_witness_of_the_journal() {
    for has_events in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), SyncPolicy::Os);
        let life = Life::begin(&options, SnapshotPolicy::ON_DEMAND);
        life.add(10);
        let (_place, earlier) = life.copy();
        life.ask().unwrap();
        life.end();
        for file in files(&options, "snp") {
            std::fs::copy(&file, earlier.data_dir.join("journal").join(file.file_name().unwrap()))
                .unwrap();
        }
        // As the page cache had it, the copy has all of it; the disk may have had less.
        let segment = &files(&earlier, "seg")[0];
        let mut bytes = std::fs::read(segment).unwrap();
        bytes[8_192..].fill(0);
        std::fs::write(segment, bytes).unwrap();
        if !has_events {
            // Nothing can begin with the snapshot then, and yet it tells what there was.
            std::fs::remove_dir_all(earlier.data_dir.join("events")).unwrap();
        }
        let before = bytes_below(&earlier.data_dir);
        let error = recover(&earlier, watched).expect_err("what a snapshot holds is lost");
        assert!(error.to_string().contains("R6"), "{error}");
        assert!(bytes_below(&earlier.data_dir) == before);
    }
}

#[test]
fn events_that_are_lost_are_said_again_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let life = Life::begin(&options, AT_SHUTDOWN);
    life.add(10);
    let last = life.end();
    std::fs::remove_dir_all(dir.path().join("events")).unwrap();
    let recovered = recovered(&options);
    let report = &recovered.report;
    assert_eq!((report.snapshot, report.commands, report.events_appended), (0, 10, 10));
    assert_eq!(recovered.instance.machine, last);
    drop(recovered);
    assert_eq!(files(&options, "snp").len(), 1, "nothing is wrong with the snapshot");
}

#[test]
fn what_does_not_read_back_is_not_put_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let refuses = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&refuses);
    let fresh = move || {
        let refuses = seen.load(Ordering::Relaxed);
        let counted: Box<dyn Outlet<Sum>> = Box::new(Counted { refuses, ..Counted::default() });
        Instance { machine: Sum::default(), outlets: vec![counted] }
    };
    let life = Life::begin_with(&options, SnapshotPolicy::ON_DEMAND, fresh);
    life.add(3);
    let error = life.ask().unwrap_err();
    let restore = PipelineError::SnapshotRestore {
        sequence: 4,
        part: "counted",
        source: RestoreError { field: "counted", offset: 0, fault: RestoreFault::Illegal },
    };
    assert_eq!(error.to_string(), restore.to_string());
    assert_eq!((files(&options, "snp").len(), files(&options, "bad").len()), (0, 1));
    assert_eq!(life.running.counters().snapshots.failures.get(), 1);
    refuses.store(false, Ordering::Relaxed);
    life.add(3);
    assert_eq!(life.ask().unwrap().sequence, 7, "the next one is taken");
    assert_eq!(life.end().total, 6);
}

#[test]
fn an_event_that_is_not_said_again_is_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let life = Life::begin(&options, SnapshotPolicy::ON_DEMAND);
    life.add(5);
    life.ask().unwrap();
    life.add(5);
    let events = dir.path().join("events").join("jrnl-0000000000000001.seg");
    let mut bytes = std::fs::read(&events).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last] ^= 1;
    std::fs::write(&events, bytes).unwrap();
    let error = life.ask().unwrap_err();
    assert!(
        matches!(error, SnapshotError::Pipeline(PipelineError::EventMissing { .. })),
        "{error}"
    );
    let counters = life.running.counters();
    assert_eq!((counters.snapshots.taken.get(), counters.snapshots.failures.get()), (1, 1));
    life.add(5);
    assert_eq!(life.end().total, 30, "trading goes on");
}

#[test]
fn policy_and_requests_have_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    for (kept, good) in [(1, false), (2, true), (64, true), (65, false)] {
        let mut running =
            start::<Sum, Ticket>(recovered(&options), &options, Arc::new(SystemClock::new()))
                .unwrap();
        let outcome =
            running.take_snapshots(SnapshotPolicy { kept, ..SnapshotPolicy::ON_DEMAND }, watched);
        assert_eq!(outcome.is_ok(), good, "{kept}");
    }
    let gate = Arc::new(Mutex::new(()));
    let (held, seen) = (gate.lock().unwrap(), Arc::clone(&gate));
    let life = Life::begin_with(&options, SnapshotPolicy::ON_DEMAND, move || {
        drop(seen.lock());
        watched()
    });
    let first = life.snapshots.ask().unwrap();
    let mut waiting = Vec::new();
    // The first one is being taken once there is room for four more.
    while waiting.len() < 4 {
        waiting.extend(life.snapshots.ask().ok());
    }
    loop {
        match life.snapshots.ask() {
            Ok(answer) => waiting.push(answer),
            Err(SnapshotError::Busy) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(waiting.len() <= 5);
    drop(held);
    assert!(first.recv().unwrap().is_ok());
    for answer in waiting {
        assert!(answer.recv().unwrap().is_ok());
    }
    let desk = life.snapshots.clone();
    life.end();
    assert!(matches!(desk.ask(), Err(SnapshotError::Closed)));
}

#[test]
fn whoever_asked_is_answered_also_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let gate = Arc::new(Mutex::new(()));
    let (held, seen) = (gate.lock().unwrap(), Arc::clone(&gate));
    let life = Life::begin_with(&options, SnapshotPolicy::ON_DEMAND, move || {
        drop(seen.lock());
        watched()
    });
    let asked: Vec<_> = (0..3).map(|_| life.snapshots.ask().unwrap()).collect();
    let desk = life.snapshots.clone();
    let end = std::thread::spawn(move || life.end());
    while desk.ask().is_ok() {}
    drop(held);
    end.join().unwrap();
    for answer in asked {
        let answer = answer.recv().expect("an answer");
        assert!(matches!(answer, Ok(_) | Err(SnapshotError::Closed)), "{answer:?}");
    }
}

#[test]
fn damaged_snapshots_do_not_count_among_those_that_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let life = Life::begin(&options, SnapshotPolicy::ON_DEMAND);
    for _ in 0..2 {
        life.add(3);
        life.ask().unwrap();
    }
    flip(&files(&options, "snp")[1]);
    life.add(3);
    assert_eq!(life.ask().unwrap().sequence, 10);
    let kept = files(&options, "snp");
    assert_eq!((kept.len(), files(&options, "bad").len()), (2, 1));
    assert!(kept[0].to_string_lossy().contains("004.snp"), "the good one stays: {kept:?}");
    let last = life.end();
    assert_eq!(recovered(&options).instance.machine, last);
}

#[test]
fn a_damaged_snapshot_is_still_a_witness() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let life = Life::begin(&options, SnapshotPolicy::ON_DEMAND);
    life.add(3);
    life.ask().unwrap();
    life.add(6);
    life.ask().unwrap();
    life.end();
    flip(&files(&options, "snp")[1]);
    // The journal loses what the newest one holds.
    let segment = &files(&options, "seg")[0];
    let mut bytes = std::fs::read(segment).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last - 150..=last].fill(0);
    std::fs::write(segment, bytes).unwrap();
    let error = recover(&options, watched).expect_err("what was on the disk is lost");
    assert!(error.to_string().contains("R6"), "{error}");
}

#[test]
fn an_event_log_that_was_being_replaced_is_put_right() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let life = Life::begin(&options, SnapshotPolicy::ON_DEMAND);
    life.add(10);
    let last = life.end();
    let (events, draft) = (dir.path().join("events"), dir.path().join("events.new"));
    // Died before the old one went: what was begun is not needed.
    std::fs::create_dir(&draft).unwrap();
    std::fs::write(draft.join("jrnl-0000000000000001.seg"), b"half").unwrap();
    assert_eq!(recovered(&options).report.events_compared, 10);
    assert!(!draft.exists());
    // Died when it had gone: the new one is whole.
    std::fs::rename(&events, &draft).unwrap();
    let again = recovered(&options);
    assert_eq!((again.report.events_compared, again.report.events_appended), (10, 0));
    assert_eq!(again.instance.machine, last);
    assert!(!draft.exists() && events.exists());
}
