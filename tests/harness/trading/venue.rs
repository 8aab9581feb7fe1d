//! Owns the door between the traders and an exchange that dies and comes back: where it is now, who
//! waits outside, how many requests are inside. Knows nothing of what they ask. Invariant: whoever
//! waits here is woken by progress or by failure, so nothing waits for a thread that is gone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Nothing here takes longer; what does hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// One life of the exchange, as the traders see it.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    pub generation: u64,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    /// Nobody will be killed any more: finish what is unresolved and leave.
    pub last: bool,
}

#[derive(Clone, Copy, Debug)]
enum Door {
    Closed,
    Open(Opening),
    /// Somebody failed; there is nothing left to prove.
    Over,
}

/// How exchanges of requests and answers ended so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub answered: u64,
    /// Sent, but no complete answer came.
    pub unknown: u64,
    /// Refused by a closed port: not sent at all.
    pub not_sent: u64,
}

#[derive(Debug)]
struct State {
    door: Door,
    outside: usize,
    inside: usize,
    tally: Tally,
}

/// Shared by the traders and the killer.
#[derive(Debug)]
pub struct Venue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Venue {
    fn default() -> Self {
        let state = State { door: Door::Closed, outside: 0, inside: 0, tally: Tally::default() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl Venue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// Waits until `done`, or until somebody failed.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        what: &str,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waits = |state: &mut State| !done(state) && !matches!(state.door, Door::Over);
        let (state, timeout) =
            self.changed.wait_timeout_while(state, PATIENCE, waits).expect("no panic inside");
        if timeout.timed_out() {
            drop(state);
            panic!("waited too long for {what}");
        }
        state
    }

    /// [`Self::wait`] of the killer, for whom a failure is the end.
    fn expect(&self, what: &str, done: impl Fn(&State) -> bool) {
        let state = self.wait(self.lock(), what, done);
        let failed = matches!(state.door, Door::Over);
        drop(state);
        assert!(!failed, "a trader failed");
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Where the exchange is, once it is anywhere in another life than `dead`, whose connections
    /// broke; `None` if the test has failed.
    pub fn enter(&self, dead: u64) -> Option<Opening> {
        let is_open =
            |state: &State| matches!(state.door, Door::Open(life) if life.generation != dead);
        let mut state = self.lock();
        if !is_open(&state) {
            state.outside += 1;
            self.changed.notify_all();
            state = self.wait(state, "the exchange", is_open);
            state.outside -= 1;
        }
        match state.door {
            Door::Open(opening) => Some(opening),
            Door::Closed | Door::Over => None,
        }
    }

    /// A request is about to be sent.
    pub fn begin(&self) {
        self.change(|state| state.inside += 1);
    }

    /// The exchange of a request and its answer has ended.
    pub fn end(&self, count: impl FnOnce(&mut Tally)) {
        self.change(|state| {
            state.inside -= 1;
            count(&mut state.tally);
        });
    }

    pub fn open(&self, opening: Opening) {
        self.turn(Door::Open(opening));
    }

    pub fn close(&self) {
        self.turn(Door::Closed);
    }

    /// A failure is final.
    fn turn(&self, door: Door) {
        self.change(|state| {
            if !matches!(state.door, Door::Over) {
                state.door = door;
            }
        });
    }

    /// Whether somebody failed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.lock().door, Door::Over)
    }

    pub fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// Waits until `count` requests have been answered since the beginning.
    pub fn wait_for_answers(&self, count: u64) {
        self.expect("answers", |state| state.tally.answered >= count);
    }

    /// Waits until `count` requests are under way at once.
    pub fn wait_for_load(&self, count: usize) {
        self.expect("load", |state| state.inside >= count);
    }

    /// Waits until `count` traders stand outside and no request is under way.
    pub fn wait_for_silence(&self, count: usize) {
        self.expect("silence", |state| state.outside == count && state.inside == 0);
    }

    /// Ends the waits of all others if the thread that holds this panics.
    pub fn alarm(&self) -> Alarm<'_> {
        Alarm(self)
    }
}

#[derive(Debug)]
pub struct Alarm<'a>(&'a Venue);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.change(|state| state.door = Door::Over);
        }
    }
}

/// Says that it is over, also when the test fails.
#[derive(Debug)]
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
