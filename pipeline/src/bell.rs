//! Owns waiting: how a stage with nothing to do passes the time, and how others end it.
//! Knows nothing of what is waited for. Invariant: a ring that follows a change of the condition is
//! never lost, and even if it were, no sleep is longer than [`NAP_MAX`].

use std::hint;
use std::sync::OnceLock;
use std::time::Duration;

use crossbeam::utils::{Backoff, CachePadded};

use crate::limits::NAP_MAX;
use crate::sync::{AtomicBool, Ordering, Thread, current, fence, park_timeout};

/// Fewest cores on which `Auto` lets the core thread spin.
const SPIN_CORES_MIN: usize = 4;

/// How stages wait; `Auto` picks from the number of cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitMode {
    /// The core spins where there are at least four cores; everything else parks.
    #[default]
    Auto,
    /// All stages burn a core each: the lowest latency, only with cores to spare.
    Spin,
    /// All stages spin shortly, then offer the core to others, without ever sleeping.
    Yield,
    /// All stages spin shortly, yield shortly, then sleep until rung.
    Park,
}

/// How one stage waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Spin,
    Yield,
    Park,
}

impl WaitMode {
    /// Resolves the mode for one stage on a machine with this many cores.
    fn resolve(self, is_core: bool, cores: usize) -> Waiting {
        match self {
            Self::Auto if is_core && cores >= SPIN_CORES_MIN => Waiting::Spin,
            Self::Auto | Self::Park => Waiting::Park,
            Self::Spin => Waiting::Spin,
            Self::Yield => Waiting::Yield,
        }
    }
}

/// Doorbell of one thread. The owner parks on it, anybody rings it.
#[derive(Debug)]
pub(crate) struct Bell {
    waiting: Waiting,
    /// Longest sleep.
    nap: Duration,
    parked: CachePadded<AtomicBool>,
    owner: OnceLock<Thread>,
}

impl Bell {
    pub(crate) fn new(waiting: Waiting) -> Self {
        Self { waiting, nap: NAP_MAX, parked: CachePadded::default(), owner: OnceLock::new() }
    }

    /// Makes the calling thread the one that a ring wakes.
    pub(crate) fn own(&self) {
        let fresh = self.owner.set(current()).is_ok();
        assert!(fresh, "a bell has one owner");
    }

    /// Wakes the owner if it sleeps. Call after the change that it waits for; costs no system call
    /// while the owner is awake.
    pub(crate) fn ring(&self) {
        // Pairs with the fence in `park`: either this thread sees `parked`, or the owner, which
        // looks again behind its fence, sees the change that was made before this one.
        fence(Ordering::SeqCst);
        self.ring_fenced();
    }

    /// As `ring`, behind the fence.
    fn ring_fenced(&self) {
        if self.parked.load(Ordering::Relaxed)
            && self.parked.swap(false, Ordering::AcqRel)
            && let Some(owner) = self.owner.get()
        {
            owner.unpark();
        }
    }

    /// Passes a moment: the longer nothing comes, the cheaper. `backoff` is reset by the caller
    /// whenever there was work.
    pub(crate) fn pause(&self, backoff: &Backoff, ready: impl Fn() -> bool) {
        match self.waiting {
            Waiting::Spin => hint::spin_loop(),
            Waiting::Park if backoff.is_completed() => self.park(ready),
            Waiting::Yield | Waiting::Park => backoff.snooze(),
        }
    }

    /// Returns when `ready` holds.
    pub(crate) fn wait_until(&self, ready: impl Fn() -> bool) {
        let backoff = Backoff::new();
        while !ready() {
            self.pause(&backoff, &ready);
        }
    }

    /// Sleeps until rung, or until something else ends the sleep, unless `ready` holds.
    pub(crate) fn park(&self, ready: impl Fn() -> bool) {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !ready() {
            park_timeout(self.nap);
        }
        self.parked.store(false, Ordering::Relaxed);
    }
}

/// The bells of the three stages.
#[derive(Debug)]
pub(crate) struct Bells {
    pub(crate) journaler: Bell,
    pub(crate) core: Bell,
    pub(crate) publisher: Bell,
}

impl Bells {
    pub(crate) fn new(mode: WaitMode) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let stage = || Bell::new(mode.resolve(false, cores));
        Self { journaler: stage(), core: Bell::new(mode.resolve(true, cores)), publisher: stage() }
    }

    /// Rings for those who wait for input, behind one fence.
    pub(crate) fn ring_readers(&self) {
        fence(Ordering::SeqCst);
        self.journaler.ring_fenced();
        self.core.ring_fenced();
    }

    pub(crate) fn ring_all(&self) {
        self.journaler.ring();
        self.core.ring();
        self.publisher.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;
    use std::sync::{Arc, mpsc};
    use std::thread;

    #[test]
    fn auto_spins_only_the_core_and_only_with_cores_to_spare() {
        assert_eq!(WaitMode::Auto.resolve(true, 4), Waiting::Spin);
        assert_eq!(WaitMode::Auto.resolve(true, 3), Waiting::Park);
        assert_eq!(WaitMode::Auto.resolve(false, 64), Waiting::Park);
        assert_eq!(WaitMode::Spin.resolve(false, 1), Waiting::Spin);
        assert_eq!(WaitMode::Yield.resolve(true, 64), Waiting::Yield);
        assert_eq!(WaitMode::Park.resolve(true, 64), Waiting::Park);
    }

    /// Longest wait for the test below, which takes milliseconds.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Two threads hand a number back and forth. They sleep for an hour unless they are rung, so a
    /// lost ring is a hang.
    #[test]
    fn a_ring_wakes_in_every_mode() {
        for waiting in [Waiting::Yield, Waiting::Park] {
            let bell = || Bell { nap: Duration::from_secs(3600), ..Bell::new(waiting) };
            let turns = Arc::new((AtomicU64::new(0), bell(), bell()));
            let (done, ended) = mpsc::channel();
            for parity in [0, 1] {
                let (turns, done) = (Arc::clone(&turns), done.clone());
                thread::spawn(move || {
                    let (turn, even, odd) = &*turns;
                    let (mine, other) = if parity == 0 { (even, odd) } else { (odd, even) };
                    mine.own();
                    for _ in 0..500 {
                        mine.wait_until(|| turn.load(Ordering::Acquire) % 2 == parity);
                        turn.fetch_add(1, Ordering::Release);
                        other.ring();
                    }
                    done.send(()).unwrap();
                });
            }
            for _ in 0..2 {
                ended.recv_timeout(PATIENCE).expect("no ring is lost");
            }
            assert_eq!(turns.0.load(Ordering::Acquire), 1000);
        }
    }
}
