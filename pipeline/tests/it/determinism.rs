//! Belongs here: that the same inputs give the same logs, however they are driven.

use std::path::Path;
use std::sync::Arc;

use engine::StateMachine;
use journal::SyncPolicy;
use pipeline::{Ingress, LoggedEvent, ManualClock, Options, SubmitError, WaitMode, replay};

use crate::harness::{
    Desk, JournalRecord, Ticket, journal_records, logged_events, options, running_with, stepped,
    submit,
};
use crate::toy::{Command, Event, Sum};

/// Some of everything, with stamps that step back now and then.
fn workload() -> Vec<(u64, Command)> {
    (0..400u64)
        .map(|n| {
            let command = match n % 7 {
                0 => Command::Burst(n % 50),
                1 | 2 => Command::AddSilently(n),
                3 => Command::Noop,
                _ => Command::Add(n),
            };
            (1_000 + n * 10 - (n % 5) * 17, command)
        })
        .collect()
}

fn ask_state_hash(ingress: &Ingress<Sum, Ticket>, desk: &Desk) {
    while let Err(error) = ingress.try_state_hash(desk.ticket().unwrap()) {
        assert_eq!(error, SubmitError::RingFull);
        std::thread::yield_now();
    }
}

/// Runs the workload with threads; returns the state hash asked for at its end.
fn run_threads(options: &Options) -> [u8; 32] {
    let clock = Arc::new(ManualClock::new(1_000));
    let running = running_with(options, Vec::new(), Arc::clone(&clock) as _);
    let desk = Desk::new(running.cursors());
    for (stamp, command) in workload() {
        clock.set_wall_ns(stamp);
        submit(&running.ingress(), command, &desk);
    }
    ask_state_hash(&running.ingress(), &desk);
    let machine = running.shutdown().machine;
    let hash = desk.ready().pop().unwrap().state_hash.unwrap();
    assert_eq!(machine.state_hash(), hash);
    hash
}

fn run_stepped(options: &Options) -> [u8; 32] {
    let clock = Arc::new(ManualClock::new(1_000));
    let mut stepped = stepped(options, &clock);
    let desk = Desk::new(stepped.cursors());
    for (n, (stamp, command)) in workload().into_iter().enumerate() {
        clock.set_wall_ns(stamp);
        submit(&stepped.ingress(), command, &desk);
        if n % 40 == 0 {
            stepped.step_all();
        }
    }
    ask_state_hash(&stepped.ingress(), &desk);
    let machine = stepped.shutdown().machine;
    let hash = desk.ready().pop().unwrap().state_hash.unwrap();
    assert_eq!(machine.state_hash(), hash);
    hash
}

/// Journal records, events, and the hash that replay comes to.
type Contents = (Vec<JournalRecord>, Vec<LoggedEvent<Event>>, [u8; 32]);

fn contents(dir: &Path) -> Contents {
    let replayed = replay(dir, Sum::default()).unwrap();
    (journal_records(dir), logged_events(dir), replayed.machine.state_hash())
}

#[test]
fn threads_and_steps_batches_rings_and_waits_make_the_same_logs() {
    let reference = tempfile::tempdir().unwrap();
    let hash = run_stepped(&options(reference.path(), SyncPolicy::Group));
    let expected = contents(reference.path());
    assert_eq!(hash, expected.2, "live hash = replayed hash");
    assert_eq!(expected.0.len(), 402);
    assert!(expected.1.len() > 1000);

    let (os, group) = (SyncPolicy::Os, SyncPolicy::Group);
    let interval = SyncPolicy::Interval { ms: 5 };
    let table = [
        (group, 64, 2, [1, 1, 1], WaitMode::Park, true),
        (group, 1024, 1024, [64, 8192, 256], WaitMode::Auto, true),
        (os, 64, 8, [3, 5, 7], WaitMode::Yield, true),
        (interval, 128, 16, [128, 2, 1], WaitMode::Park, true),
        (os, 512, 2, [2, 3, 2], WaitMode::Park, false),
    ];
    for (sync, input_slots, output_slots, [core, journaler, publisher], wait, threads) in table {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            input_slots,
            output_slots,
            core_batch_max: core,
            journaler_batch_max: journaler,
            publisher_batch_max: publisher,
            wait,
            ..options(dir.path(), sync)
        };
        let got = if threads { run_threads(&options) } else { run_stepped(&options) };
        assert_eq!(got, hash, "{options:?}");
        assert!(contents(dir.path()) == expected, "{options:?}");
    }
}

#[test]
fn engine_time_is_the_same_live_journaled_and_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let clock = Arc::new(ManualClock::new(100));
    let running = running_with(&options, Vec::new(), Arc::clone(&clock) as _);
    let desk = Desk::new(running.cursors());
    for stamp in [90, 200, 150, 199, 201, 0, 300] {
        clock.set_wall_ns(stamp);
        submit(&running.ingress(), Command::Add(1), &desk);
    }
    let live: Vec<u64> = desk.wait(7).iter().map(|answer| answer.events[0].timestamp_ns).collect();
    drop(running.shutdown());
    assert_eq!(live, [100, 200, 200, 200, 201, 201, 300]);
    let journaled: Vec<u64> = journal_records(dir.path())[1..].iter().map(|r| r.2).collect();
    assert_eq!(journaled, live);

    // A restart with the clock set back goes on from the journal's time.
    clock.set_wall_ns(50);
    let running = running_with(&options, Vec::new(), Arc::clone(&clock) as _);
    let desk = Desk::new(running.cursors());
    submit(&running.ingress(), Command::Add(1), &desk);
    assert_eq!(desk.wait(1)[0].events[0].timestamp_ns, 300);
}

/// A clock that somebody sets forward by an hour and back again: time goes along, then stands until
/// the clock has come there by itself, over a restart, too.
#[test]
fn engine_time_follows_a_clock_that_jumps_forward_and_waits_for_it() {
    const NOW: u64 = 1 << 60;
    const HOUR: u64 = 3_600_000_000_000;
    const AHEAD: u64 = NOW + HOUR;
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let clock = Arc::new(ManualClock::new(NOW));
    let live = |stamps: &[u64]| -> Vec<u64> {
        clock.set_wall_ns(stamps[0]);
        let running = running_with(&options, Vec::new(), Arc::clone(&clock) as _);
        let desk = Desk::new(running.cursors());
        for stamp in stamps {
            clock.set_wall_ns(*stamp);
            submit(&running.ingress(), Command::Add(1), &desk);
        }
        let answers = desk.wait(stamps.len());
        drop(running.shutdown());
        answers.iter().map(|answer| answer.events[0].timestamp_ns).collect()
    };
    let first = live(&[NOW, NOW + 1, AHEAD, NOW + 2, NOW + 3]);
    assert_eq!(first, [NOW, NOW + 1, AHEAD, AHEAD, AHEAD]);
    let second = live(&[NOW + 4, AHEAD - 1, AHEAD, AHEAD + 1, AHEAD + 2]);
    assert_eq!(second, [AHEAD, AHEAD, AHEAD, AHEAD + 1, AHEAD + 2]);

    let journaled: Vec<u64> = journal_records(dir.path()).iter().map(|record| record.2).collect();
    let starts = [[NOW].as_slice(), &first, &[AHEAD], &second].concat();
    assert_eq!(journaled, starts, "each life begins with a record of its own");
    let logged: Vec<u64> =
        logged_events(dir.path()).iter().map(|logged| logged.event.timestamp_ns).collect();
    assert_eq!(logged, [first, second].concat());
    assert_eq!(replay(dir.path(), Sum::default()).unwrap().machine.last_timestamp_ns(), AHEAD + 2);
}

#[test]
fn a_state_hash_belongs_to_its_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(5));
    let mut stepped = stepped(&options(dir.path(), SyncPolicy::Os), &clock);
    let desk = Desk::new(stepped.cursors());
    let ingress = stepped.ingress();
    submit(&ingress, Command::Add(1), &desk);
    let asked = ingress.try_state_hash(desk.ticket().unwrap()).unwrap();
    submit(&ingress, Command::Add(1), &desk);
    stepped.step_all();
    let answers = desk.ready();
    assert_eq!(answers[1].sequence, asked);
    assert!(answers[0].state_hash.is_none() && answers[2].state_hash.is_none());

    // The same prefix, applied by hand.
    let mut machine = Sum::default();
    let mut events = engine::EventBuffer::with_capacity(4);
    let commands = [Command::Noop, Command::Add(1), Command::Noop];
    for (sequence, command) in (1..).zip(commands) {
        machine.apply(&engine::Frame { sequence, timestamp_ns: 5, command }, &mut events);
    }
    assert_eq!(answers[1].state_hash, Some(machine.state_hash()));
}
