//! Owns the only reads of a clock below the gateway. Knows nothing of engine time and its clamp.
//! Invariant: a state machine never sees a clock, only the stamp of its frame.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Two times: one for stamps, which may step, one for intervals, which never goes back.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Nanoseconds since the Unix epoch.
    fn wall_ns(&self) -> u64;

    /// Nanoseconds since some fixed moment; never goes back.
    fn monotonic_ns(&self) -> u64;
}

/// The clocks of the machine.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall_ns(&self) -> u64 {
        // A clock set before 1970 reads as 0: engine time then stands still until it is put right.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Clocks that stand still until they are set.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_ns: AtomicU64,
    monotonic_ns: AtomicU64,
}

impl ManualClock {
    #[must_use]
    pub fn new(wall_ns: u64) -> Self {
        Self { wall_ns: AtomicU64::new(wall_ns), monotonic_ns: AtomicU64::new(0) }
    }

    /// Sets the wall clock; it may step back.
    pub fn set_wall_ns(&self, wall_ns: u64) {
        self.wall_ns.store(wall_ns, Ordering::Release);
    }

    /// Moves the monotonic clock on by `by_ns`.
    pub fn advance_ns(&self, by_ns: u64) {
        self.monotonic_ns.fetch_add(by_ns, Ordering::AcqRel);
    }
}

impl Clock for ManualClock {
    fn wall_ns(&self) -> u64 {
        self.wall_ns.load(Ordering::Acquire)
    }

    fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_runs_in_this_century() {
        let clock = SystemClock::new();
        assert!(clock.wall_ns() > 1_600_000_000_000_000_000);
        let before = clock.monotonic_ns();
        assert!(clock.monotonic_ns() >= before);
    }

    #[test]
    fn the_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(5);
        assert_eq!((clock.wall_ns(), clock.monotonic_ns()), (5, 0));
        clock.set_wall_ns(3);
        clock.advance_ns(7);
        assert_eq!((clock.wall_ns(), clock.monotonic_ns()), (3, 7));
    }
}
