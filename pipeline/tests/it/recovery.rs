//! Belongs here: restarts, and what recovery says to logs that do not fit each other.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use engine::StateMachine;
use journal::{RecordKind, SyncPolicy};
use pipeline::limits::PROGRESS_EVERY;
use pipeline::{
    ConfigurationHash, Control, Listener, LoggedEvent, ManualClock, Options, PipelineError,
    Progress, recover, replay,
};

use crate::harness::{
    Desk, bare, bytes_below, journal_records, logged_events, options, refused, running,
    running_with, submit, write_event_log,
};
use crate::toy::{Command, Event, Sum};

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

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for (path, bytes) in bytes_below(from) {
        fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

/// Of an empty log, and of one that is replayed.
#[test]
fn whoever_listens_hears_how_far_a_start_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let heard = Arc::clone(&heard);
        Listener::new(move |progress| heard.lock().unwrap().push(progress))
    };
    let options = Options { progress: Some(listener), ..options(dir.path(), SyncPolicy::Os) };
    let commands = vec![Command::AddSilently(1); usize::try_from(PROGRESS_EVERY).unwrap() * 2];
    run(&options, &commands);
    let at = |sequence, until| Progress { sequence, until, replayed: sequence };
    assert_eq!(std::mem::take(&mut *heard.lock().unwrap()), [at(0, 0)]);
    // The hash at the end of a run is an input, too.
    let last = 2 * PROGRESS_EVERY + 1;
    let expected = [at(PROGRESS_EVERY, last), at(2 * PROGRESS_EVERY, last), at(last, last)];
    assert_eq!(journal::newest_sequence(&dir.path().join("journal")).unwrap(), last);
    drop(recover(&options, bare).unwrap());
    assert_eq!(*heard.lock().unwrap(), expected);
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

        let recovered = recover(&options, bare).unwrap();
        assert_eq!(recovered.instance.machine, stopped);
        assert_eq!(recovered.instance.machine.state_hash(), stopped.state_hash());
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
            Control::EpochStart { epoch, .. } => epoch,
            Control::StateHash => panic!("nobody asked"),
        })
        .collect();
    assert_eq!(epochs, [1, 2, 3]);
}

/// Each start of a journal, with the time of its record.
fn starts(dir: &Path) -> Vec<(u64, Control)> {
    let records = journal_records(dir);
    let controls = records.iter().filter(|record| record.0 == RecordKind::Control);
    controls.map(|record| (record.2, Control::decode_from(&record.3).unwrap())).collect()
}

#[test]
fn a_start_records_its_clock_floor_and_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000));
    let configuration = ConfigurationHash([7; 32]);
    let options = Options { configuration, ..options(dir.path(), SyncPolicy::Group) };
    let live = |wall_ns| {
        clock.set_wall_ns(wall_ns);
        let running = running_with(&options, Vec::new(), Arc::clone(&clock) as _);
        let desk = Desk::new(running.cursors());
        submit(&running.ingress(), Command::Add(1), &desk);
        let answered = desk.wait(1)[0].events[0].timestamp_ns;
        drop(running.shutdown());
        answered
    };
    // The second and the third time the clock is behind what the log ends with.
    assert_eq!([5_000, 4_000, 4_999, 6_000].map(live), [5_000, 5_000, 5_000, 6_000]);
    let start =
        |epoch, clock_floor_ns| Control::EpochStart { epoch, clock_floor_ns, configuration };
    let expected = [
        (5_000, start(1, 0)),
        (5_000, start(2, 5_000)),
        (5_000, start(3, 5_000)),
        (6_000, start(4, 5_000)),
    ];
    assert_eq!(starts(dir.path()), expected);
}

#[test]
fn a_long_log_over_several_segments_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let stopped = run(&options, &[Command::Burst(20_000); 2]);
    let recovered = recover(&options, bare).unwrap();
    assert_eq!(recovered.instance.machine, stopped);
    assert_eq!(recovered.report.events_compared, 40_000);
    let log = journal::stat(&dir.path().join("events")).unwrap();
    assert!(log.segments > 1, "the test is about several segments");
}

#[test]
fn a_lost_event_log_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let stopped = run(&options, &SOME);
    let events = logged_events(dir.path());
    fs::remove_dir_all(dir.path().join("events")).unwrap();
    let recovered = recover(&options, bare).unwrap();
    assert_eq!(recovered.instance.machine, stopped);
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
        let recovered = recover(&options, bare).unwrap();
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
    let recovered = recover(&options, bare).unwrap();
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
    }
    write_event_log(dir.path(), &events);
    assert!(recover(&options, bare).is_ok(), "the original passes");
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

    // A sequence that the journal has never seen, although it was closed in order.
    extra.input_sequence += 1;
    write_event_log(dir.path(), &[&events[..], &[extra]].concat());
    assert_eq!(refused(&options).exit_code(), 70);
}

/// Runs the commands twice over and comes back with the journal of the middle, as a power cut may
/// leave it, beside an event log that has kept everything. Returns all events.
fn lose_the_journals_end(options: &Options) -> Vec<LoggedEvent<Event>> {
    let dir = &options.data_dir;
    let running = running(options);
    let desk = Desk::new(running.cursors());
    let both = SOME.iter().chain(&SOME).enumerate();
    for (n, command) in both {
        if n == SOME.len() {
            desk.wait(n);
            // Without the spare, which may be in the making.
            fs::create_dir(dir.join("copy")).unwrap();
            for name in ["ctl", "jrnl-0000000000000001.seg"] {
                fs::copy(dir.join("journal").join(name), dir.join("copy").join(name)).unwrap();
            }
        }
        submit(&running.ingress(), *command, &desk);
    }
    drop(running.shutdown());
    fs::remove_dir_all(dir.join("journal")).unwrap();
    fs::rename(dir.join("copy"), dir.join("journal")).unwrap();
    logged_events(dir)
}

#[test]
fn a_journal_that_lost_what_was_never_synced_starts_again() {
    for sync in [SyncPolicy::Os, SyncPolicy::Interval { ms: 60_000 }] {
        // What the configuration says now does not count, but what the groups were written under.
        for now in [sync, SyncPolicy::Group] {
            let dir = tempfile::tempdir().unwrap();
            let events = lose_the_journals_end(&options(dir.path(), sync));
            assert_eq!(events.len(), 10);
            let before = bytes_below(&dir.path().join("events"));
            let options = options(dir.path(), now);
            let recovered = recover(&options, bare).unwrap();
            let report = &recovered.report;
            assert_eq!((report.last_sequence, report.last_event_sequence), (6, 5), "{sync}");
            assert_eq!((report.events_compared, report.events_appended), (5, 0), "{sync}");
            let place = dir.path().join("quarantine/events-1");
            assert_eq!(report.event_log_set_aside.as_ref(), Some(&place));
            let after = bytes_below(&place);
            assert!(before.values().eq(after.values()), "moved as it was");
            drop(recovered);
            assert_eq!(logged_events(dir.path()), events[..5], "{sync}");

            // It goes on, and the next starts have nothing to object to.
            let stopped = run(&options, &SOME);
            let recovered = recover(&options, bare).unwrap();
            assert_eq!(recovered.instance.machine, stopped);
            assert_eq!(recovered.report.events_compared, 10);
            assert_eq!(recovered.report.event_log_set_aside, None);
        }
    }
}

#[test]
fn a_journal_that_lost_what_was_synced_stops_the_start() {
    for now in [SyncPolicy::Group, SyncPolicy::Os] {
        let dir = tempfile::tempdir().unwrap();
        lose_the_journals_end(&options(dir.path(), SyncPolicy::Group));
        let error = refused(&options(dir.path(), now));
        assert!(
            matches!(
                error,
                PipelineError::EventLogAhead { event_sequence: 6, sequence: 7, replayed: 6 }
            ),
            "{error}"
        );
        assert_eq!(error.exit_code(), 70);
    }
}

/// Under a policy by which the journal may lose its end, only a witness can tell that too much of
/// it is gone; it is asked before anything is cut off.
#[test]
fn a_journal_that_ends_before_its_witness_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), SyncPolicy::Interval { ms: 5 });
    lose_the_journals_end(&options);
    options.witness_sequence = 7;
    assert_eq!(refused(&options).exit_code(), 70);
    options.witness_sequence = 6;
    let recovered = recover(&options, bare).unwrap();
    assert_eq!(recovered.instance.machine.last_sequence(), 6);
}

#[test]
fn a_lost_journal_is_never_begun_again_beside_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    run(&options, &SOME);
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    assert_eq!(refused(&options).exit_code(), 70);
}

#[test]
fn a_difference_before_the_end_of_a_shortened_journal_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let mut events = lose_the_journals_end(&options);
    events[2].event.value += 1;
    write_event_log(dir.path(), &events);
    let error = refused(&options);
    assert!(matches!(error, PipelineError::EventMismatch { event_sequence: 3, .. }), "{error}");
}

#[test]
fn a_damaged_journal_leaves_a_short_event_log_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    run(&options, &SOME);
    run(&options, &SOME);
    let events = logged_events(dir.path());
    write_event_log(dir.path(), &events[..2]);
    // The last command: by then three events would have been appended.
    let segment = dir.path().join("journal/jrnl-0000000000000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end] ^= 1;
    fs::write(&segment, bytes).unwrap();
    assert_eq!(refused(&options).exit_code(), 70);
}

#[test]
fn both_logs_belong_to_one_exchange() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let uuids = |dir: &Path| {
        ["journal", "events"].map(|log| journal::stat(&dir.join(log)).unwrap().exchange_uuid)
    };
    // At the same time, so that nothing but the identity differs.
    let run = |dir: &Path, commands: &[Command]| {
        let clock = Arc::new(ManualClock::new(5));
        let running = running_with(&options(dir, SyncPolicy::Os), Vec::new(), clock);
        let desk = Desk::new(running.cursors());
        for command in commands {
            submit(&running.ingress(), *command, &desk);
        }
    };
    for dir in [one.path(), other.path()] {
        run(dir, &SOME);
        let [journal, events] = uuids(dir);
        assert_eq!(journal, events);
    }
    assert_ne!(uuids(one.path()), uuids(other.path()));
    // The same events in the same order, of another exchange, whole or to be completed.
    for more in [&[][..], &SOME] {
        run(one.path(), more);
        fs::remove_dir_all(one.path().join("events")).unwrap();
        copy_dir(&other.path().join("events"), &one.path().join("events"));
        let error = refused(&options(one.path(), SyncPolicy::Os));
        assert!(error.to_string().contains("alien"), "{error}");
        assert_eq!(error.exit_code(), 70);
        fs::remove_dir_all(one.path().join("events")).unwrap();
    }
    // Lost and written again, it belongs to the same one.
    drop(recover(&options(one.path(), SyncPolicy::Os), bare).unwrap());
    let [journal, events] = uuids(one.path());
    assert_eq!(journal, events);
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
    let starts = || {
        let read = |log| fs::read(dir.path().join(log).join("ctl")).unwrap();
        ["journal", "events"].map(read)
    };
    let before = starts();
    let error = recover(&options, bare).expect_err("the first one is there");
    assert_eq!(error.exit_code(), 75);
    assert!(starts() == before, "what is refused is no start");
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

/// The least that a segment may be is looked at here: tests of the journal may have smaller ones.
#[test]
fn a_segment_below_the_bound_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), SyncPolicy::Os);
    options.journal.segment_bytes = journal::limits::SEGMENT_BYTES_MIN - 4096;
    let error = recover(&options, bare).expect_err("too small");
    assert_eq!(error.exit_code(), 78, "{error}");
    options.journal.segment_bytes += 4096;
    drop(recover(&options, bare).unwrap());
}

/// A first start that died when it had made one of the two logs: the next one makes the other.
#[test]
fn a_first_start_cut_short_between_the_logs_is_taken_up() {
    for unmade in ["journal", "events"] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), SyncPolicy::Group);
        drop(recover(&options, bare).unwrap());
        let uuid = |log| journal::stat(&dir.path().join(log)).unwrap().exchange_uuid;
        let kept = if unmade == "journal" { "events" } else { "journal" };
        let identity = uuid(kept);
        fs::remove_dir_all(dir.path().join(unmade)).unwrap();
        run(&options, &SOME);
        assert_eq!([uuid("journal"), uuid("events")], [identity; 2], "{unmade} was not made yet");
    }
}
