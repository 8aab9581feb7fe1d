//! Owns the models of this crate's own concurrency: doorbell, cursors, reply places, compiled from
//! their sources against Loom, which runs every order of events that the memory model allows.
//! Knows nothing of the ring, whose atomics it could not see. Invariant: a model sleeps without
//! end, so a wake-up that is lost in any order is a deadlock, which is reported with that order.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the sources are compiled as they are"
)]

#[path = "../../src/bell.rs"]
mod bell;
mod bell_models;
#[path = "../../src/cursor.rs"]
mod cursor;
mod cursor_models;
#[path = "../../src/limits.rs"]
mod limits;
#[path = "../../src/reply.rs"]
mod reply;
mod reply_models;

/// The names of `src/sync.rs`, as Loom has them.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use loom::thread::{Thread, current};

    /// Loom knows no time: nobody wakes by it.
    pub(crate) fn park_timeout(_: std::time::Duration) {
        loom::thread::park();
    }
}

/// Threads are switched against their will at most so often in one run. Loom's authors and others
/// before them found that bugs show with two or three.
const PREEMPTIONS: usize = 3;

#[expect(clippy::print_stdout, reason = "as any test does")]
fn explored(name: &str, model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
    println!("model {name} ... ok");
}

fn main() {
    for (name, model) in bell_models::ALL.iter().chain(cursor_models::ALL).chain(reply_models::ALL)
    {
        explored(name, *model);
    }
}
