//! Belongs here: what the publisher keeps until it may be let out, how much of it, and in which
//! order it goes.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use journal::SyncPolicy;
use pipeline::limits::{BATCH_EVENTS_MAX, WRITE_BACK_BYTES};
use pipeline::{ManualClock, Options, Stepped, recover};

use crate::harness::{
    Answer, Desk, Ticket, bare, before_syncs, logged_events, options, stepped, submit,
};
use crate::toy::{Command, Sum};

/// A pipeline under `group` whose core has applied all of these, and whose journaler only the first
/// `durable` of them.
fn applied(
    options: &Options,
    commands: &[Command],
    durable: usize,
) -> (Stepped<Sum, Ticket>, Desk, u64) {
    let mut stepped = stepped(options, &Arc::new(ManualClock::new(1)));
    let desk = Desk::new(stepped.cursors());
    let freed = stepped.cursors().freed();
    for (place, command) in commands.iter().enumerate() {
        submit(&stepped.ingress(), *command, &desk);
        if place + 1 == durable {
            assert!(stepped.step_journaler());
        }
    }
    while stepped.step_core() {}
    (stepped, desk, freed)
}

fn sizes(answers: &[Answer]) -> Vec<usize> {
    for answer in answers {
        let own = |event: &crate::toy::Event| event.sequence == answer.sequence;
        assert!(answer.events.iter().all(own), "events of another command: {answer:?}");
    }
    answers.iter().map(|answer| answer.events.len()).collect()
}

#[test]
fn what_is_durable_goes_and_the_rest_waits_with_its_events() {
    use Command::{Add, AddSilently, Burst};
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let commands = [Add(1), Burst(3), AddSilently(1), Add(1), Burst(5), Add(1), Burst(2)];
    let (mut stepped, desk, _) = applied(&options, &commands, 4);
    assert!(stepped.step_publisher());
    assert_eq!(sizes(&desk.ready()), [1, 3, 0, 1]);
    assert!(!stepped.step_publisher(), "the others are not durable");
    assert!(desk.ready().is_empty());

    assert!(stepped.step_journaler());
    assert!(stepped.step_publisher());
    assert_eq!(sizes(&desk.ready()), [5, 1, 2]);
    drop(stepped.shutdown());
    assert_eq!(logged_events(dir.path()).len(), 13);
}

#[test]
fn no_more_commands_are_collected_than_a_batch_has() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { publisher_batch_max: 4, ..options(dir.path(), SyncPolicy::Group) };
    for commands in [4, 5] {
        let all = vec![Command::Add(1); commands];
        let (mut stepped, desk, freed) = applied(&options, &all, 0);
        while stepped.step_publisher() {}
        assert_eq!(stepped.cursors().freed() - freed, 4, "of {commands}");
        stepped.step_all();
        assert_eq!(sizes(&desk.ready()), vec![1; commands]);
    }
}

#[test]
fn no_more_events_are_collected_than_a_batch_has_but_to_complete_a_command() {
    const EACH: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    // Room for all: a core that waits for some would have the journaler stepped, and a batch has
    // fewer commands in a smaller ring.
    let base = options(dir.path(), SyncPolicy::Group);
    let options = Options { input_slots: 4096, output_slots: 8192, ..base };
    let all = vec![Command::Burst(EACH as u64); 50];
    let (mut stepped, desk, freed) = applied(&options, &all, 0);
    while stepped.step_publisher() {}
    let collected = BATCH_EVENTS_MAX.next_multiple_of(EACH) as u64;
    assert_eq!(stepped.cursors().freed() - freed, collected);
    stepped.step_all();
    assert_eq!(sizes(&desk.ready()), vec![EACH; 50]);
}

/// The input has ended, and the core with it, while everything still waits for the disk.
#[test]
fn a_shutdown_waits_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let mut recovered = recover(&options, bare).unwrap();
    let taken = Arc::clone(&gate);
    before_syncs(&mut recovered, move || {
        let (open, opened) = &*taken;
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
    });
    let clock = Arc::new(ManualClock::new(1));
    let running = pipeline::start::<Sum, Ticket>(recovered, &options, clock).unwrap();
    let (desk, cursors) = (Desk::new(running.cursors()), running.cursors());
    *gate.0.lock().unwrap() = false;
    let last = (0..3).map(|_| submit(&running.ingress(), Command::Add(1), &desk)).max().unwrap();
    while cursors.matched() < last {
        thread::yield_now();
    }
    let opener = thread::spawn(move || {
        // For the publisher to meet the end of its input; what comes out does not depend on it.
        thread::sleep(Duration::from_millis(50));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
    });
    let stopped = running.shutdown();
    opener.join().unwrap();
    assert_eq!((stopped.cursors.acked(), desk.ready().len()), (last, 3));
}

#[test]
fn a_growing_event_log_is_written_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), SyncPolicy::Os);
    // No roll, whose sync would hide the one that is meant.
    options.journal.segment_bytes = 32 << 20;
    let (mut stepped, desk, _) = applied(&options, &[Command::Burst(1000)], 0);
    let counters = stepped.counters();
    stepped.step_all();
    assert_eq!(counters.publisher.syncs.get(), 0, "neither much nor old");
    // A record takes 32 bytes at least.
    submit(&stepped.ingress(), Command::Burst(WRITE_BACK_BYTES / 32), &desk);
    stepped.step_all();
    assert_eq!(counters.publisher.syncs.get(), 1);
    assert_eq!(desk.ready().len(), 2);
}
