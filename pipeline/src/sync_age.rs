//! Owns for how long accepted commands have been waiting for the disk. Knows nothing of files, nor
//! of what is refused because of it. Invariant: the journaler says since when before it asks the
//! disk for anything, so the age grows while a sync hangs; whoever reads it waits for nobody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::limits::SYNC_AGE_MAX_NS;

/// Stands where a time would: nothing waits.
const NOTHING: u64 = u64::MAX;

/// Since when the journaler has been at what it does now. It alone writes; both times are of the
/// same moment.
#[derive(Debug)]
pub(crate) struct SyncAge {
    since_wall_ns: AtomicU64,
    since_ns: AtomicU64,
    /// When it last said so: what waits since then was handed over later than that.
    begun_ns: AtomicU64,
}

impl SyncAge {
    pub(crate) fn new() -> Self {
        let since_wall_ns = AtomicU64::new(NOTHING);
        Self { since_wall_ns, since_ns: AtomicU64::new(0), begun_ns: AtomicU64::new(0) }
    }

    /// From here on something waits that was handed over at this time of the wall clock.
    pub(crate) fn begin(&self, stamped_ns: u64, clock: &dyn Clock) {
        let now_ns = clock.monotonic_ns();
        // The wall clock may have been set forward since the stamp.
        let longest_ns = now_ns.saturating_sub(self.begun_ns.load(Ordering::Relaxed));
        let waited_ns = clock.wall_ns().saturating_sub(stamped_ns).min(longest_ns);
        let since_ns = now_ns - waited_ns;
        self.begun_ns.store(now_ns, Ordering::Relaxed);
        self.since_ns.store(since_ns, Ordering::Relaxed);
        // Release: who sees the one time also sees the other, or a later one.
        self.since_wall_ns.store(stamped_ns, Ordering::Release);
    }

    /// The disk has answered.
    pub(crate) fn end(&self) {
        self.since_wall_ns.store(NOTHING, Ordering::Release);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.since_wall_ns.load(Ordering::Acquire) != NOTHING
    }

    /// How long the oldest command that waits has done so; zero if none does.
    pub(crate) fn get(&self, clock: &dyn Clock) -> Duration {
        if !self.is_waiting() {
            return Duration::ZERO;
        }
        let since_ns = self.since_ns.load(Ordering::Relaxed);
        Duration::from_nanos(clock.monotonic_ns().saturating_sub(since_ns))
    }

    /// Whether that is longer than new load is accepted. The wall clock, which a submission has
    /// read anyway, nearly always says that it is not. It may step, so only the other clock is
    /// believed when it says that it is.
    pub(crate) fn is_over(&self, wall_ns: u64, clock: &dyn Clock) -> bool {
        let since_wall_ns = self.since_wall_ns.load(Ordering::Acquire);
        since_wall_ns != NOTHING
            && wall_ns.wrapping_sub(since_wall_ns) > SYNC_AGE_MAX_NS
            && self.get(clock) > Duration::from_nanos(SYNC_AGE_MAX_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const NOW_NS: u64 = 1 << 60;
    const HOUR_NS: u64 = 3_600_000_000_000;

    #[test]
    fn the_age_counts_from_the_hand_over() {
        let (age, clock) = (SyncAge::new(), ManualClock::new(NOW_NS));
        clock.advance_ns(HOUR_NS);
        assert_eq!(age.get(&clock), Duration::ZERO);
        age.begin(NOW_NS - 5, &clock);
        clock.advance_ns(7);
        assert_eq!(age.get(&clock), Duration::from_nanos(12));
        age.end();
        assert_eq!((age.get(&clock), age.is_waiting()), (Duration::ZERO, false));
    }

    #[test]
    fn it_is_over_one_past_the_bound() {
        let (age, clock) = (SyncAge::new(), ManualClock::new(NOW_NS));
        let is_over = || age.is_over(clock.wall_ns(), &clock);
        assert!(!is_over(), "nothing waits");
        age.begin(NOW_NS, &clock);
        clock.advance_ns(SYNC_AGE_MAX_NS);
        clock.set_wall_ns(NOW_NS + SYNC_AGE_MAX_NS);
        assert!(!is_over(), "at the bound");
        clock.advance_ns(1);
        clock.set_wall_ns(NOW_NS + SYNC_AGE_MAX_NS + 1);
        assert!(is_over(), "one past it");
        clock.set_wall_ns(NOW_NS - HOUR_NS);
        assert!(is_over(), "a clock that is set back hides nothing");
        age.end();
        assert!(!is_over());
    }

    #[test]
    fn a_clock_that_is_set_forward_before_it_begins_is_none_either() {
        let (age, clock) = (SyncAge::new(), ManualClock::new(NOW_NS));
        clock.advance_ns(HOUR_NS);
        age.begin(clock.wall_ns(), &clock);
        age.end();
        let stamped_ns = clock.wall_ns();
        clock.set_wall_ns(stamped_ns + HOUR_NS);
        clock.advance_ns(9);
        age.begin(stamped_ns, &clock);
        assert_eq!(age.get(&clock), Duration::from_nanos(9));
    }

    #[test]
    fn a_clock_that_is_set_forward_is_no_slow_disk() {
        let (age, clock) = (SyncAge::new(), ManualClock::new(NOW_NS));
        age.begin(NOW_NS, &clock);
        clock.advance_ns(SYNC_AGE_MAX_NS);
        clock.set_wall_ns(NOW_NS + HOUR_NS);
        assert!(!age.is_over(clock.wall_ns(), &clock));
    }
}
