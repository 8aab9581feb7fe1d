//! The doorbell: whoever changes something and then rings is never slept through.

use loom::sync::Arc;
use loom::thread;

use crate::bell::{Bell, Bells, WaitMode, Waiting};
use crate::sync::{AtomicU64, Ordering};

pub(crate) const ALL: &[(&str, fn())] = &[
    ("a ring after a change wakes the owner", a_ring_wakes),
    ("two ringers wake the owner", two_ringers_wake),
    ("one ring wakes both readers", one_ring_wakes_both),
    ("a ring is not kept for the next change", rings_are_not_mixed_up),
];

/// What the owner of a bell waits for.
struct Watched {
    at: AtomicU64,
    bell: Bell,
}

fn watched() -> Arc<Watched> {
    Arc::new(Watched { at: AtomicU64::new(0), bell: Bell::new(Waiting::Park) })
}

/// The loop of a stage, without the spinning before its sleep.
fn wait_for(watched: &Watched, wanted: u64) {
    let ready = || watched.at.load(Ordering::Acquire) >= wanted;
    while !ready() {
        watched.bell.park(ready);
    }
}

fn move_and_ring(watched: &Watched) {
    watched.at.fetch_add(1, Ordering::Release);
    watched.bell.ring();
}

fn a_ring_wakes() {
    let watched = watched();
    watched.bell.own();
    let other = Arc::clone(&watched);
    let ringer = thread::spawn(move || move_and_ring(&other));
    wait_for(&watched, 1);
    ringer.join().unwrap();
}

fn two_ringers_wake() {
    let watched = watched();
    watched.bell.own();
    let ringers = [0, 1].map(|_| {
        let other = Arc::clone(&watched);
        thread::spawn(move || move_and_ring(&other))
    });
    wait_for(&watched, 2);
    ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
}

fn one_ring_wakes_both() {
    let shared = Arc::new((AtomicU64::new(0), Bells::new(WaitMode::Park)));
    let read = |at: &AtomicU64, bell: &Bell| {
        bell.own();
        let ready = || at.load(Ordering::Acquire) == 1;
        while !ready() {
            bell.park(ready);
        }
    };
    let other = Arc::clone(&shared);
    let ringer = thread::spawn(move || {
        other.0.store(1, Ordering::Release);
        other.1.ring_readers();
    });
    let other = Arc::clone(&shared);
    let core = thread::spawn(move || read(&other.0, &other.1.core));
    read(&shared.0, &shared.1.journaler);
    ringer.join().unwrap();
    core.join().unwrap();
}

fn rings_are_not_mixed_up() {
    let watched = watched();
    watched.bell.own();
    let other = Arc::clone(&watched);
    let ringer = thread::spawn(move || {
        move_and_ring(&other);
        move_and_ring(&other);
    });
    wait_for(&watched, 1);
    wait_for(&watched, 2);
    ringer.join().unwrap();
}
