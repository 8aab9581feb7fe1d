//! Belongs here: restarts, and what recovery says to logs that do not fit each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::StateMachine;
use journal::{RecordKind, SyncPolicy};
use pipeline::{Control, Options, PipelineError, recover, replay};

use crate::harness::{
    Desk, journal_records, logged_events, options, refused, running, submit, write_event_log,
};
use crate::toy::{Command, Sum};

/// Runs the commands and shuts down; returns the state.
fn run(options: &Options, commands: &[Command]) -> Sum {
    let running = running(options);
    let desk = Desk::new(running.cursors());
    for command in commands {
        submit(&running.ingress(), *command, &desk);
    }
    running.shutdown().machine
}

const SOME: [Command; 5] = [
    Command::Add(1),
    Command::Burst(3),
    Command::AddSilently(7),
    Command::Burst(0),
    Command::Add(2),
];

fn bytes_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for (path, bytes) in bytes_below(from) {
        fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

#[test]
fn a_restart_comes_to_the_same_state_and_events() {
    for sync in [SyncPolicy::Os, SyncPolicy::Interval { ms: 5 }, SyncPolicy::Group] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), sync);
        let stopped = run(&options, &SOME);
        let events = logged_events(dir.path());
        assert_eq!(events.len(), 5);
        assert!(events.iter().map(|event| event.event_sequence).eq(1..=5));

        let recovered = recover(&options, Sum::default(), &mut []).unwrap();
        assert_eq!(recovered.machine, stopped);
        assert_eq!(recovered.machine.state_hash(), stopped.state_hash());
        let report = &recovered.report;
        assert_eq!((report.commands, report.controls), (5, 1));
        assert_eq!((report.events_compared, report.events_appended), (5, 0));
        assert_eq!((report.last_sequence, report.last_event_sequence), (6, 5));
        drop(recovered);
        assert_eq!(logged_events(dir.path()), events, "a recovery without loss adds nothing");

        // Go on, twice, and look at the whole again.
        run(&options, &SOME);
        let last = run(&options, &SOME);
        let summary = replay(dir.path(), Sum::default()).unwrap();
        assert_eq!(summary.machine, last);
        assert_eq!((summary.commands, summary.controls, summary.events), (15, 3, 15));
        assert_eq!(summary.last_sequence, 18);
    }
}

#[test]
fn every_start_opens_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    for _ in 0..3 {
        run(&options, &[Command::Add(1)]);
    }
    let epochs: Vec<u64> = journal_records(dir.path())
        .iter()
        .filter(|record| record.0 == RecordKind::Control)
        .map(|record| match Control::decode_from(&record.3).unwrap() {
            Control::EpochStart { epoch } => epoch,
            Control::StateHash => panic!("nobody asked"),
        })
        .collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn a_long_log_over_several_segments_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let stopped = run(&options, &[Command::Burst(20_000); 2]);
    let recovered = recover(&options, Sum::default(), &mut []).unwrap();
    assert_eq!(recovered.machine, stopped);
    assert_eq!(recovered.report.events_compared, 40_000);
    assert!(recovered.report.event_log.segments > 1, "the test is about several segments");
}

#[test]
fn a_lost_event_log_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let stopped = run(&options, &SOME);
    let events = logged_events(dir.path());
    fs::remove_dir_all(dir.path().join("events")).unwrap();
    let recovered = recover(&options, Sum::default(), &mut []).unwrap();
    assert_eq!(recovered.machine, stopped);
    let report = &recovered.report;
    assert_eq!((report.events_compared, report.events_appended), (0, 5));
    drop(recovered);
    assert_eq!(logged_events(dir.path()), events);
}

#[test]
fn an_event_log_cut_short_is_completed_wherever_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    run(&options, &SOME);
    let events = logged_events(dir.path());
    // Also inside the three events of one command.
    for kept in 0..events.len() {
        write_event_log(dir.path(), &events[..kept]);
        let recovered = recover(&options, Sum::default(), &mut []).unwrap();
        let report = &recovered.report;
        let counts = (report.events_compared, report.events_appended);
        assert_eq!(counts, (kept as u64, (events.len() - kept) as u64));
        drop(recovered);
        assert_eq!(logged_events(dir.path()), events, "{kept} kept");
    }
}

#[test]
fn an_older_copy_of_the_event_log_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    run(&options, &SOME);
    let (live, copy) = (dir.path().join("events"), dir.path().join("copy"));
    copy_dir(&live, &copy);
    run(&options, &SOME);
    let events = logged_events(dir.path());
    fs::remove_dir_all(&live).unwrap();
    fs::rename(&copy, &live).unwrap();
    let recovered = recover(&options, Sum::default(), &mut []).unwrap();
    let report = &recovered.report;
    assert_eq!((report.events_compared, report.events_appended), (5, 5));
    drop(recovered);
    assert_eq!(logged_events(dir.path()), events);
}

#[test]
fn an_event_that_differs_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    run(&options, &SOME);
    let events = logged_events(dir.path());
    let journal = bytes_below(&dir.path().join("journal"));
    // The third event is the second of sequence 3.
    for change in 0..4 {
        let mut changed = events.clone();
        match change {
            0 => changed[2].event.value += 1,
            1 => changed[2].index += 1,
            2 => changed[2].input_sequence -= 1,
            _ => {
                changed.remove(2);
                (1..).zip(&mut changed).for_each(|(n, event)| event.event_sequence = n);
            }
        }
        write_event_log(dir.path(), &changed);
        let error = refused(&options);
        let place = match error {
            PipelineError::EventMismatch { sequence, index, event_sequence } => {
                (sequence, index, event_sequence)
            }
            ref other => panic!("{other}"),
        };
        assert_eq!(place, (3, 1, 3), "change {change}");
        assert_eq!(error.exit_code(), 70);
        assert!(error.to_string().contains("event 1 of sequence 3"), "{error}");
        assert_eq!(bytes_below(&dir.path().join("journal")), journal, "nothing was modified");
    }
    write_event_log(dir.path(), &events);
    assert!(recover(&options, Sum::default(), &mut []).is_ok(), "the original passes");
}

#[test]
fn an_event_log_that_goes_on_behind_the_journal_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    run(&options, &SOME);
    let events = logged_events(dir.path());
    let mut extra = *events.last().unwrap();
    extra.event_sequence += 1;
    extra.index += 1;
    write_event_log(dir.path(), &[&events[..], &[extra]].concat());
    let error = refused(&options);
    assert!(
        matches!(
            error,
            PipelineError::EventLogAhead { event_sequence: 6, sequence: 6, replayed: 6 }
        ),
        "{error}"
    );
    assert_eq!(error.exit_code(), 70);

    // A sequence that the journal has never seen: released once, so the journal has lost it.
    extra.input_sequence += 1;
    write_event_log(dir.path(), &[&events[..], &[extra]].concat());
    assert_eq!(refused(&options).exit_code(), 70);
}

#[test]
fn a_flipped_byte_in_a_closed_log_stops_the_start() {
    for log in ["journal", "events"] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), SyncPolicy::Os);
        run(&options, &SOME);
        let segment = dir.path().join(log).join("jrnl-0000000000000001.seg");
        let mut bytes = fs::read(&segment).unwrap();
        // Inside the records of the first group, behind two header blocks and the group header.
        bytes[8192 + 64 + 24] ^= 1;
        fs::write(&segment, bytes).unwrap();
        assert_eq!(refused(&options).exit_code(), 70, "{log}");
    }
}

#[test]
fn one_process_holds_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let running = running(&options);
    assert_eq!(refused(&options).exit_code(), 75);
    let desk = Desk::new(running.cursors());
    submit(&running.ingress(), Command::Add(1), &desk);
    assert_eq!(desk.wait(1).len(), 1, "the first one goes on");
    // Reading needs no lock.
    assert!(replay(dir.path(), Sum::default()).unwrap().last_sequence >= 2);
}

#[test]
fn options_out_of_bounds_touch_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let options = Options { producers: 0, ..options(&data, SyncPolicy::Os) };
    assert_eq!(refused(&options).exit_code(), 78);
    assert!(!data.exists());
}
