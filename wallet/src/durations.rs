//! Owns the counting of how long things take. Knows nothing of what they are.
//! Invariant: counting takes no lock and allocates nothing; every duration is in exactly one bucket
//! and in the sum.

use std::sync::atomic::{AtomicU64, Ordering};

/// Durations by size.
#[derive(Debug)]
pub struct Durations {
    bounds_us: &'static [u64],
    /// One for each bound, then one for all above.
    buckets: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

/// A copy of [`Durations`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationsSnapshot {
    /// Upper bounds of the buckets, inclusive, microseconds, ascending.
    pub bounds_us: &'static [u64],
    /// One more than bounds; not cumulative.
    pub buckets: Vec<u64>,
    pub sum_us: u64,
}

impl Durations {
    /// With these upper bounds: microseconds, ascending.
    #[must_use]
    pub fn new(bounds_us: &'static [u64]) -> Self {
        let buckets = (0..=bounds_us.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds_us, buckets, sum_us: AtomicU64::new(0) }
    }

    /// Counts one duration, microseconds.
    pub fn record(&self, us: u64) {
        let bucket = self.bounds_us.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// What was counted up to now.
    #[must_use]
    pub fn snapshot(&self) -> DurationsSnapshot {
        DurationsSnapshot {
            bounds_us: self.bounds_us,
            buckets: self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum_us: self.sum_us.load(Ordering::Relaxed),
        }
    }
}

impl DurationsSnapshot {
    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds what was counted elsewhere with the same bounds.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.sum_us += other.sum_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_that_bounds_it() {
        let durations = Durations::new(&[10, 100]);
        for us in [0, 10, 11, 100, 101] {
            durations.record(us);
        }
        let mut snapshot = durations.snapshot();
        assert_eq!((&*snapshot.buckets, snapshot.sum_us), (&[2, 2, 1][..], 222));
        snapshot.add(&durations.snapshot());
        assert_eq!((snapshot.count(), snapshot.sum_us), (10, 444));
    }
}
