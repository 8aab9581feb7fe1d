//! The cursors: who sees a position sees all that was done before it was moved there, and nothing
//! is releasable before it is both applied and durable.

use loom::cell::Cell;
use loom::sync::Arc;
use loom::thread;

use crate::cursor::Cursors;

pub(crate) const ALL: &[(&str, fn())] = &[
    ("a position shows what was done before it", a_position_publishes),
    ("what is releasable is applied and durable", releasable_is_both),
    ("producers move the published position in any order", producers_only_raise),
];

/// Two places that Loom watches: a read that is not ordered behind the write is reported.
struct Work {
    stored: Cell<u64>,
    applied: Cell<u64>,
    cursors: Cursors,
}

fn work() -> Arc<Work> {
    Arc::new(Work { stored: Cell::new(0), applied: Cell::new(0), cursors: Cursors::new(0) })
}

fn wait_until(reached: impl Fn() -> bool) {
    while !reached() {
        thread::yield_now();
    }
}

fn a_position_publishes() {
    let work = work();
    let other = Arc::clone(&work);
    let journaler = thread::spawn(move || {
        other.stored.set(7);
        other.cursors.move_written(1);
    });
    wait_until(|| work.cursors.written() == 1);
    assert_eq!(work.stored.get(), 7);
    journaler.join().unwrap();
}

fn releasable_is_both() {
    let work = work();
    let other = Arc::clone(&work);
    let journaler = thread::spawn(move || {
        other.stored.set(7);
        other.cursors.move_written(1);
        other.cursors.move_synced(1);
        other.cursors.move_durable(1);
    });
    let other = Arc::clone(&work);
    let core = thread::spawn(move || {
        other.applied.set(9);
        other.cursors.move_matched(1);
    });
    wait_until(|| work.cursors.releasable() == 1);
    assert_eq!((work.stored.get(), work.applied.get()), (7, 9));
    work.cursors.move_released(1);
    work.cursors.move_logged(1);
    work.cursors.move_acked(1);
    journaler.join().unwrap();
    core.join().unwrap();
}

fn producers_only_raise() {
    let work = work();
    let producers = [1, 2].map(|sequence| {
        let other = Arc::clone(&work);
        thread::spawn(move || other.cursors.move_published(sequence))
    });
    let seen = work.cursors.published();
    assert!(work.cursors.published() >= seen);
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    assert_eq!(work.cursors.published(), 2);
}
