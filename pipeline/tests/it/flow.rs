//! Belongs here: what a submitted command goes through, with threads and step by step.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use engine::{Frame, StateMachine};
use journal::SyncPolicy;
use pipeline::limits::{IDLE_GROUP_NS, WRITE_BACK_BYTES};
use pipeline::{
    Cursors, Lane, ManualClock, Options, Outlet, Stepped, SubmitError, WaitMode, recover,
};

use crate::harness::{
    Desk, Ticket, bare, before_syncs, journal_records, logged_events, options, running,
    running_with, stepped, submit,
};
use crate::toy::{Command, Event, Sum};

/// Longest wait for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn four_producers_get_every_answer_once_and_in_order() {
    const EACH: u64 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let running = running(&options(dir.path(), SyncPolicy::Os));
    let desk = Desk::new(running.cursors());
    let mut taken = Vec::new();
    thread::scope(|scope| {
        let producers: Vec<_> = (0..4)
            .map(|_| {
                let ingress = running.ingress();
                // A desk of its own to make tickets; the answers go to the common one.
                let mut own = Desk::new(running.cursors());
                own.tickets = desk.tickets.clone();
                scope.spawn(move || -> Vec<u64> {
                    (0..EACH).map(|_| submit(&ingress, Command::Add(1), &own)).collect()
                })
            })
            .collect();
        for producer in producers {
            let sequences = producer.join().unwrap();
            assert!(sequences.is_sorted(), "a producer's own commands keep their order");
            taken.extend(sequences);
        }
    });
    let answers = desk.wait(taken.len());
    let stopped = running.shutdown();
    assert!(desk.ready().is_empty(), "no answer comes twice");

    // Sequence 1 opened the epoch.
    let expected: Vec<u64> = (2..=4 * EACH + 1).collect();
    let taken: BTreeSet<u64> = taken.into_iter().collect();
    assert!(taken.iter().eq(&expected), "sequences are unique and have no gap");
    let answered: Vec<u64> = answers.iter().map(|answer| answer.sequence).collect();
    assert_eq!(answered, expected, "answers come in the order of the log");
    for answer in &answers {
        let [event] = answer.events[..] else { panic!("one event: {answer:?}") };
        assert_eq!((event.sequence, event.value), (answer.sequence, answer.sequence - 1));
    }
    assert_eq!(stopped.machine.total, 4 * EACH);
    assert_eq!(stopped.counters.publisher.replies.get(), 4 * EACH);
    assert_eq!(stopped.counters.core.commands.get(), 4 * EACH + 1);
}

#[test]
fn every_wait_mode_carries_commands() {
    for wait in [WaitMode::Auto, WaitMode::Spin, WaitMode::Yield, WaitMode::Park] {
        let dir = tempfile::tempdir().unwrap();
        let running = running(&Options { wait, ..options(dir.path(), SyncPolicy::Os) });
        let desk = Desk::new(running.cursors());
        for value in 1..=20 {
            let sequence = submit(&running.ingress(), Command::Add(1), &desk);
            let answer = desk.wait(1).remove(0);
            assert_eq!((answer.sequence, answer.events[0].value), (sequence, value), "{wait:?}");
        }
        assert_eq!(running.shutdown().machine.total, 20);
    }
}

#[test]
fn pinned_threads_carry_commands() {
    let dir = tempfile::tempdir().unwrap();
    let running = running(&Options { pin: Some([0; 3]), ..options(dir.path(), SyncPolicy::Os) });
    let desk = Desk::new(running.cursors());
    submit(&running.ingress(), Command::Add(3), &desk);
    assert_eq!(desk.wait(1)[0].events[0].value, 3);
}

#[test]
fn under_group_no_answer_comes_before_its_sync() {
    let dir = tempfile::tempdir().unwrap();
    let running = running(&options(dir.path(), SyncPolicy::Group));
    let desk = Desk::new(running.cursors());
    for _ in 0..300 {
        submit(&running.ingress(), Command::Add(1), &desk);
    }
    for answer in desk.wait(300) {
        assert!(answer.synced >= answer.sequence, "{answer:?}");
        assert!(answer.logged >= answer.sequence, "{answer:?}");
    }
    let stopped = running.shutdown();
    assert!(stopped.counters.journaler.sync_ns.count() > 0);
}

#[test]
fn under_group_nothing_is_durable_before_its_sync_has_returned() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let (cursors, seen) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
    let mut recovered = recover(&options, bare).unwrap();
    let (told, taken) = (Arc::clone(&cursors), Arc::clone(&seen));
    before_syncs(&mut recovered, move || {
        let durable = told.get().map(|cursors: &Arc<Cursors>| cursors.durable());
        taken.lock().unwrap().extend(durable);
    });
    let clock = Arc::new(ManualClock::new(1));
    let mut stepped = Stepped::<Sum, Ticket>::new(recovered, &options, clock).unwrap();
    assert!(cursors.set(stepped.cursors()).is_ok());
    let desk = Desk::new(stepped.cursors());
    for _ in 0..3 {
        let sequence = submit(&stepped.ingress(), Command::Add(1), &desk);
        assert!(stepped.step_journaler());
        assert_eq!(stepped.cursors().durable(), sequence);
        assert_eq!(seen.lock().unwrap().pop(), Some(sequence - 1), "while it is synced");
    }
}

#[test]
fn an_applied_command_waits_for_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1));
    let mut stepped = stepped(&options(dir.path(), SyncPolicy::Group), &clock);
    let desk = Desk::new(stepped.cursors());
    let sequence = submit(&stepped.ingress(), Command::Add(1), &desk);

    assert!(stepped.step_core());
    stepped.step_publisher();
    let cursors = stepped.cursors();
    assert_eq!((cursors.matched(), cursors.released()), (sequence, sequence - 1));
    assert!(desk.ready().is_empty(), "applied, not durable");

    assert!(stepped.step_journaler());
    assert!(stepped.step_publisher());
    let answers = desk.ready();
    assert_eq!((answers.len(), answers[0].sequence), (1, sequence));
    assert_eq!((cursors.synced(), cursors.acked()), (sequence, sequence));
}

#[test]
fn a_journaled_command_waits_for_the_core() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1));
    let mut stepped = stepped(&options(dir.path(), SyncPolicy::Group), &clock);
    let desk = Desk::new(stepped.cursors());
    let sequence = submit(&stepped.ingress(), Command::AddSilently(1), &desk);
    assert!(stepped.step_journaler());
    assert!(!stepped.step_publisher());
    assert!(desk.ready().is_empty(), "durable, not applied");
    assert!(stepped.step_core());
    assert!(stepped.step_publisher());
    let answers = desk.ready();
    assert_eq!((answers.len(), answers[0].sequence), (1, sequence));
    assert!(answers[0].events.is_empty());
}

#[test]
fn os_answers_once_stored_and_syncs_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1));
    let mut stepped = stepped(&options(dir.path(), SyncPolicy::Os), &clock);
    let desk = Desk::new(stepped.cursors());
    let epoch = stepped.cursors().synced();
    assert_eq!(epoch, 1, "the epoch is synced under every policy");
    let sequence = submit(&stepped.ingress(), Command::Add(1), &desk);
    stepped.step_all();
    clock.advance_ns(1_000_000_000);
    stepped.step_all();
    let answer = desk.ready().remove(0);
    assert_eq!((answer.written, answer.synced), (sequence, epoch));
    assert_eq!(stepped.cursors().synced(), epoch);
}

#[test]
fn interval_syncs_when_the_interval_is_over_also_when_idle() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1));
    let mut stepped = stepped(&options(dir.path(), SyncPolicy::Interval { ms: 5 }), &clock);
    let desk = Desk::new(stepped.cursors());
    let cursors = stepped.cursors();
    let first = submit(&stepped.ingress(), Command::Add(1), &desk);
    stepped.step_all();
    assert_eq!((desk.ready().len(), cursors.durable(), cursors.synced()), (1, first, first - 1));
    clock.advance_ns(4_999_999);
    assert!(!stepped.step_journaler());
    assert_eq!(cursors.synced(), first - 1, "not due");
    clock.advance_ns(1);
    assert!(!stepped.step_journaler());
    assert_eq!(cursors.synced(), first, "due while idle");

    let second = submit(&stepped.ingress(), Command::Add(1), &desk);
    clock.advance_ns(5_000_000);
    assert!(stepped.step_journaler());
    assert_eq!(cursors.synced(), second, "due while working");
}

#[test]
fn under_os_a_growing_journal_is_written_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), SyncPolicy::Os);
    // No roll, whose sync would hide the one that is meant.
    options.journal.segment_bytes = 32 << 20;
    let running = running(&options);
    let (cursors, ingress) = (running.cursors(), running.ingress());
    let first = cursors.synced();
    let counters = running.counters();
    let stored = || counters.journaler.stored_bytes.get();
    while stored() < WRITE_BACK_BYTES {
        let submitted = ingress.try_submit(Command::AddSilently(1), None, Lane::Control);
        if submitted.is_err() {
            thread::yield_now();
        }
    }
    let begun = Instant::now();
    while cursors.synced() == first {
        assert!(begun.elapsed() < PATIENCE, "nothing was written back");
        thread::yield_now();
    }
    assert!(cursors.synced() <= cursors.written());
    drop(ingress);
    drop(running);
}

#[test]
fn the_event_log_is_synced_every_50_ms() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1));
    let mut stepped = stepped(&options(dir.path(), SyncPolicy::Os), &clock);
    let desk = Desk::new(stepped.cursors());
    let counters = stepped.counters();
    submit(&stepped.ingress(), Command::Add(1), &desk);
    clock.advance_ns(49_999_999);
    stepped.step_all();
    assert_eq!(counters.publisher.syncs.get(), 0, "not due");
    clock.advance_ns(1);
    stepped.step_publisher();
    assert_eq!(counters.publisher.syncs.get(), 1, "due while idle");
    clock.advance_ns(50_000_000);
    stepped.step_publisher();
    assert_eq!(counters.publisher.syncs.get(), 1, "nothing new");
}

#[test]
fn a_command_with_more_events_than_the_ring_has_slots_passes() {
    const EVENTS: u64 = 10_000;
    for output_slots in [2, 64] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { output_slots, ..options(dir.path(), SyncPolicy::Group) };
        let running = running(&options);
        let desk = Desk::new(running.cursors());
        let ingress = running.ingress();
        // Neighbours in the same batches: the core must not wait for the end of its own batch.
        for _ in 0..3 {
            submit(&ingress, Command::Add(1), &desk);
            submit(&ingress, Command::Burst(EVENTS), &desk);
            submit(&ingress, Command::AddSilently(1), &desk);
        }
        let answers = desk.wait(9);
        let counts: Vec<usize> = answers.iter().map(|answer| answer.events.len()).collect();
        assert_eq!(counts, [1, 10_000, 0, 1, 10_000, 0, 1, 10_000, 0]);
        for answer in &answers {
            assert!(answer.events.iter().all(|event| event.sequence == answer.sequence));
        }
        assert!(answers[1].events.iter().map(|event| event.value).eq(0..EVENTS));
        let stopped = running.shutdown();
        assert!(stopped.counters.core.stalls.get() > 0, "the ring was full at least once");
        assert_eq!(logged_events(dir.path()).len() as u64, 3 * (EVENTS + 1));
    }
}

#[test]
fn a_burst_passes_step_by_step_before_its_journal() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1));
    let options = Options { output_slots: 2, ..options(dir.path(), SyncPolicy::Group) };
    let mut stepped = stepped(&options, &clock);
    let desk = Desk::new(stepped.cursors());
    for _ in 0..4 {
        submit(&stepped.ingress(), Command::Burst(100), &desk);
    }
    assert!(stepped.step_core());
    stepped.step_all();
    let counts: Vec<usize> = desk.ready().iter().map(|answer| answer.events.len()).collect();
    assert_eq!(counts, [100; 4]);
}

#[test]
fn shutdown_finishes_what_was_accepted_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let running = running(&options(dir.path(), SyncPolicy::Group));
    let desk = Desk::new(running.cursors());
    let ingress = running.ingress();
    for _ in 0..700 {
        submit(&ingress, Command::Add(2), &desk);
    }
    let stopped = running.shutdown();
    assert_eq!(desk.ready().len(), 700);
    assert_eq!(stopped.machine.total, 1400);
    let cursors = stopped.cursors;
    let ends = [cursors.written(), cursors.synced(), cursors.matched(), cursors.acked()];
    assert_eq!(ends, [701; 4]);
    assert_eq!(journal_records(dir.path()).len(), 701);
    let refused = ingress.try_submit(Command::Add(1), desk.ticket(), Lane::Control);
    assert_eq!(refused, Err(SubmitError::Closed));
    assert!(desk.ready().is_empty());
}

#[test]
fn dropping_a_pipeline_shuts_it_down() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let running_once = running(&options);
    let desk = Desk::new(running_once.cursors());
    let ingress = running_once.ingress();
    submit(&ingress, Command::Add(5), &desk);
    drop(running_once);
    assert_eq!(desk.ready().len(), 1);
    assert_eq!(running(&options).shutdown().machine.total, 5, "the lock is free again");
}

/// Writes down what it is shown.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    frames: Vec<(Frame<Command>, Vec<Event>)>,
    batch_ends: Vec<(usize, u64)>,
}

impl Outlet<Sum> for Witness {
    fn section(&self) -> Option<&'static str> {
        None
    }

    fn publish(&mut self, frame: &Frame<Command>, events: &[Event]) {
        self.0.lock().unwrap().frames.push((*frame, events.to_vec()));
    }

    fn batch_end(&mut self, acked: u64) {
        let mut seen = self.0.lock().unwrap();
        let frames = seen.frames.len();
        seen.batch_ends.push((frames, acked));
    }
}

#[test]
fn outlets_see_every_command_once_live_and_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Os);
    let commands = [Command::Add(4), Command::AddSilently(1), Command::Burst(3), Command::Noop];
    let run = |commands: &[Command]| {
        let witness = Witness::default();
        let clock = Arc::new(ManualClock::new(9));
        let running = running_with(&options, vec![Box::new(witness.clone())], clock);
        let desk = Desk::new(running.cursors());
        for command in commands {
            submit(&running.ingress(), *command, &desk);
        }
        let machine = running.shutdown().machine;
        let seen = std::mem::take(&mut *witness.0.lock().unwrap());
        (machine, seen)
    };
    let (machine, live) = run(&commands);
    let shown: Vec<Command> = live.frames.iter().map(|(frame, _)| frame.command).collect();
    assert_eq!(shown[1..], commands, "behind the start of the epoch");
    assert_eq!(live.batch_ends.last(), Some(&(5, machine.last_sequence())));

    let (_, replayed) = run(&[]);
    assert_eq!(replayed.frames[..5], live.frames, "the second start shows the same again");
    assert_eq!(replayed.frames.len(), 6, "and its own start of an epoch");
    assert_eq!(replayed.batch_ends[0], (5, 5));
}

#[test]
fn a_pause_under_group_ends_with_one_idle_group() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), SyncPolicy::Group);
    let clock = Arc::new(ManualClock::new(5));
    let mut stepped = stepped(&options, &clock);
    let desk = Desk::new(stepped.cursors());
    let counters = stepped.counters();
    let stored = || {
        let counters = &counters.journaler;
        let idle = counters.idle_groups.get();
        let groups = counters.group_commands.count() + idle;
        let synced = &counters.sync_bytes;
        assert_eq!(counters.sync_ns.count(), groups, "each group is synced by itself");
        assert_eq!((synced.count(), synced.sum()), (groups, groups * 4096));
        assert_eq!(counters.stored_bytes.get(), groups * 4096);
        (groups, idle, counters.group_commands.sum())
    };
    let pause = |stepped: &mut Stepped<Sum, Ticket>, by_ns| {
        clock.advance_ns(by_ns);
        assert!(!stepped.step_journaler());
        stored()
    };
    // Behind the epoch: not before its time, and once.
    assert_eq!(pause(&mut stepped, IDLE_GROUP_NS - 1), (1, 0, 1));
    assert_eq!(pause(&mut stepped, 1), (2, 1, 1));
    assert_eq!(pause(&mut stepped, 10 * IDLE_GROUP_NS), (2, 1, 1));
    // None while commands flow, however slowly.
    for n in 1..=3 {
        submit(&stepped.ingress(), Command::Add(1), &desk);
        clock.advance_ns(IDLE_GROUP_NS);
        assert!(stepped.step_journaler());
        assert_eq!(stored(), (2 + n, 1, 1 + n));
    }
    assert_eq!(pause(&mut stepped, IDLE_GROUP_NS - 1), (5, 1, 4));
    assert_eq!(pause(&mut stepped, 1), (6, 2, 4));
    assert_eq!(pause(&mut stepped, IDLE_GROUP_NS), (6, 2, 4));
    let cursors = stepped.cursors();
    assert_eq!((cursors.written(), cursors.synced(), cursors.durable()), (4, 4, 4));
    let stopped = stepped.shutdown();
    let found = journal::verify(&dir.path().join("journal")).unwrap();
    assert_eq!((found.groups, found.records, found.last_seq), (6, 4, 4));
    assert_eq!(recover(&options, bare).unwrap().instance.machine, stopped.machine);
}

#[test]
fn no_idle_group_without_a_sync_per_group() {
    for sync in [SyncPolicy::Os, SyncPolicy::Interval { ms: 5 }] {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(5));
        let mut stepped = stepped(&options(dir.path(), sync), &clock);
        let desk = Desk::new(stepped.cursors());
        for groups in 2..5 {
            submit(&stepped.ingress(), Command::Add(1), &desk);
            while stepped.step_journaler() {}
            clock.advance_ns(10 * IDLE_GROUP_NS);
            while stepped.step_journaler() {}
            let counters = stepped.counters();
            assert_eq!(counters.journaler.group_commands.count(), groups, "{sync}");
            assert_eq!(counters.journaler.idle_groups.get(), 0, "{sync}");
        }
    }
}
