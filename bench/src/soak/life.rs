//! Owns what each life of the exchange used: how long it took to start, how its memory grew. Knows
//! nothing of why it ended. Invariant: growth is that of one process, never a difference between
//! two. A snapshot, like a comparison of the books, holds a second machine for a moment, and the
//! allocator keeps some of what that needed; so growth is what lies above the peak of the first
//! few.

use std::time::{Duration, Instant};

/// Snapshots after which a life has settled.
const SNAPSHOTS: u64 = 3;
/// Looks, a second apart, of which the lowest counts.
const WINDOW: usize = 5;

/// One look at a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) resident_kib: u64,
    /// The most that there ever was.
    pub(super) peak_kib: u64,
    /// Taken by this process.
    pub(super) snapshots: u64,
    /// Last command that it has done.
    pub(super) sequence: u64,
}

/// How a life grew once it had settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    /// From the peak until then to the last low.
    pub(super) kib: u64,
    /// From the first low to the last one.
    pub(super) between_lows_kib: u64,
    /// Commands between those.
    pub(super) commands: u64,
    pub(super) seconds: u64,
}

pub(super) struct Lives {
    /// The warm-up of the run is over then.
    warm: Instant,
    settled: Vec<Sample>,
    grown: Vec<Growth>,
    pub(super) count: u64,
    pub(super) longest_start: Duration,
}

impl Lives {
    /// The first one has begun.
    pub(super) fn new(warm: Instant) -> Self {
        let (settled, grown) = (Vec::new(), Vec::new());
        Self { warm, settled, grown, count: 1, longest_start: Duration::ZERO }
    }

    /// The next one begins, after a start that took so long.
    pub(super) fn begin(&mut self, took: Duration) {
        self.end();
        self.count += 1;
        self.longest_start = self.longest_start.max(took);
    }

    /// What the process uses now.
    pub(super) fn note(&mut self, sample: Sample) {
        if Instant::now() >= self.warm && sample.snapshots >= SNAPSHOTS {
            self.settled.push(sample);
        }
    }

    /// Judges the life that ends.
    fn end(&mut self) {
        let samples = std::mem::take(&mut self.settled);
        if samples.len() < 2 * WINDOW {
            return;
        }
        let lowest = |part: &[Sample]| part.iter().copied().min_by_key(|s| s.resident_kib);
        let (first, last) = (&samples[..WINDOW], &samples[samples.len() - WINDOW..]);
        if let (Some(first), Some(last)) = (lowest(first), lowest(last)) {
            self.grown.push(Growth {
                kib: last.resident_kib.saturating_sub(samples[0].peak_kib),
                between_lows_kib: last.resident_kib.saturating_sub(first.resident_kib),
                commands: last.sequence - first.sequence,
                seconds: (samples.len() - WINDOW) as u64,
            });
        }
    }

    /// Every life that was long enough, the present one included.
    pub(super) fn growth(&mut self) -> &[Growth] {
        self.end();
        &self.grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Until a life has settled.
    const PEAK: u64 = 1_100;

    fn sample(resident_kib: u64, snapshots: u64) -> Sample {
        let peak_kib = PEAK;
        Sample { resident_kib, peak_kib, snapshots, sequence: resident_kib * 10 }
    }

    /// So many looks; every other one meets a second machine.
    fn live(lives: &mut Lives, looks: usize, from: u64, step: u64) {
        for number in 0..looks as u64 {
            let second = 50_000 * (number % 2);
            lives.note(sample(from + number * step + second, SNAPSHOTS));
        }
    }

    #[test]
    fn growth_is_the_last_low_above_the_peak_of_one_life() {
        let mut lives = Lives::new(Instant::now());
        live(&mut lives, 20, 1_000, 10);
        lives.begin(Duration::from_secs(2));
        live(&mut lives, 2 * WINDOW, 1_000, 0);
        let growth = lives.growth();
        assert_eq!(growth.len(), 2);
        assert_eq!((growth[0].kib, growth[0].seconds), (1_160 - PEAK, 15));
        assert_eq!(growth[0].between_lows_kib, 160);
        assert_eq!(growth[0].commands, 1_600);
        assert_eq!(growth[1].kib, 0);
        assert_eq!((lives.count, lives.longest_start), (2, Duration::from_secs(2)));
    }

    #[test]
    fn what_is_short_cold_or_new_is_not_measured() {
        let mut short = Lives::new(Instant::now());
        live(&mut short, 2 * WINDOW - 1, 1, 1);
        assert!(short.growth().is_empty());
        let mut cold = Lives::new(Instant::now() + Duration::from_secs(60));
        live(&mut cold, 20, 1, 1);
        assert!(cold.growth().is_empty());
        let mut new = Lives::new(Instant::now());
        (0..20).for_each(|number| new.note(sample(number, SNAPSHOTS - 1)));
        assert!(new.growth().is_empty());
    }
}
