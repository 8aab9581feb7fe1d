//! Owns the timer of single commands: the processor's time stamp counter between fences.
//! Knows nothing of what is timed. Invariant: what is timed starts after the first reading and has
//! ended before the second, for without fences the processor runs tens of instructions ahead of a
//! reading and behind it, which is as much as a command of a book has.

#![allow(unsafe_code)]

use std::sync::atomic::{Ordering, compiler_fence};

use hdrhistogram::Histogram;
use quanta::Clock;

/// Times that nothing is timed; the slowest hundredth was interrupted and does not count.
const SAMPLES: usize = 100_000;
const UNDISTURBED: usize = SAMPLES / 100 * 99;

/// Reads a counter whose rate is known.
pub(crate) struct Timer {
    clock: Clock,
    /// Counts that timing nothing takes. A mean: some processors count in steps of 10 ns, and a
    /// median would be a whole number of them.
    cost: u64,
    /// Counts by which all readings differ: their greatest common divisor.
    step: u64,
}

impl Timer {
    /// Calibrates the counter against the system's clock, which takes up to 200 ms.
    pub(crate) fn new() -> Self {
        let mut timer = Self { clock: Clock::new(), cost: 0, step: 0 };
        let mut samples: Vec<u64> = (0..SAMPLES).map(|_| timer.counts(|| ())).collect();
        samples.sort_unstable();
        timer.cost = samples[..UNDISTURBED].iter().sum::<u64>() / UNDISTURBED as u64;
        timer.step = samples.into_iter().fold(0, common_divisor);
        timer
    }

    /// Counts from before `work` to after it, the cost of reading included.
    #[inline]
    fn counts(&self, work: impl FnOnce()) -> u64 {
        fence();
        let start = self.clock.raw();
        fence();
        work();
        fence();
        self.clock.raw().saturating_sub(start)
    }

    /// Records how long `work` takes, without the cost of timing it, nanoseconds.
    #[inline]
    pub(crate) fn record(&self, histogram: &mut Histogram<u64>, work: impl FnOnce()) {
        let counts = self.counts(work).saturating_sub(self.cost);
        let taken = self.clock.delta_as_nanos(0, counts);
        histogram.saturating_record(taken.max(1));
    }

    /// What timing nothing takes, nanoseconds: it is taken off every record.
    pub(crate) fn cost_ns(&self) -> u64 {
        self.clock.delta_as_nanos(0, self.cost)
    }

    /// Two readings differ by a multiple of this, nanoseconds, rounded down.
    pub(crate) fn step_ns(&self) -> u64 {
        self.clock.delta_as_nanos(0, self.step)
    }

    /// What is read. Without a counter that runs evenly, nanoseconds of the system's clock are.
    pub(crate) fn name(&self) -> &'static str {
        const COUNTS: u64 = 1 << 40;
        match self.clock.delta_as_nanos(0, COUNTS) == COUNTS {
            true => "clock_gettime",
            false if cfg!(target_arch = "x86_64") => "rdtsc between lfence",
            false => "cycle counter",
        }
    }
}

fn common_divisor(left: u64, right: u64) -> u64 {
    if right == 0 { left } else { common_divisor(right, left % right) }
}

/// Holds everything that follows back until all before it is done.
#[inline]
fn fence() {
    // SAFETY: the instruction belongs to SSE2, which every x86-64 processor has.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_lfence();
    }
    compiler_fence(Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::report;

    #[test]
    fn the_step_of_a_counter_divides_every_difference() {
        assert_eq!([0, 72, 108, 360].into_iter().fold(0, common_divisor), 36);
        assert_eq!([72, 37].into_iter().fold(0, common_divisor), 1);
    }

    #[test]
    fn a_timer_agrees_with_the_systems_clock() {
        let (timer, mut histogram) = (Timer::new(), report::histogram().unwrap());
        let start = Instant::now();
        timer.record(&mut histogram, || while start.elapsed() < Duration::from_millis(20) {});
        let around = report::nanos(start.elapsed());
        let recorded = histogram.max();
        // Wide enough for a disturbed calibration, far from the units of a counter.
        assert!(recorded > 15_000_000, "{recorded} ns of 20 ms");
        assert!(recorded < around / 2 * 3, "{recorded} ns within {around} ns");
        assert!(!timer.name().is_empty());
    }
}
