//! Owns counting by size: how many of something were how large. Knows nothing of what it is.
//! Invariant: one stage counts, without a lock and without memory of its own; every value is in
//! exactly one bucket and in the sum.

use crate::counters::Counter;

/// Values by size; `N` bounds, ascending, and a last bucket for what is above all of them.
#[derive(Debug)]
pub struct Distribution<const N: usize> {
    bounds: &'static [u64; N],
    buckets: [Counter; N],
    above: Counter,
    sum: Counter,
}

impl<const N: usize> Distribution<N> {
    pub(crate) fn new(bounds: &'static [u64; N]) -> Self {
        let buckets = std::array::from_fn(|_| Counter::default());
        Self { bounds, buckets, above: Counter::default(), sum: Counter::default() }
    }

    /// For the one writing stage.
    pub(crate) fn record(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets.get(bucket).unwrap_or(&self.above).add(1);
        self.sum.add(value);
    }

    /// Upper bounds of the buckets, inclusive, ascending, each with how many values are in the
    /// bucket; the last one has no bound. Readers may see it a moment late.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(self.buckets.iter().chain([&self.above]).map(Counter::get))
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets().map(|(_, count)| count).sum()
    }

    /// All values together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_bucket_that_bounds_it() {
        let distribution = Distribution::new(&[10, 100]);
        for value in [0, 10, 11, 100, 101] {
            distribution.record(value);
        }
        let buckets: Vec<_> = distribution.buckets().collect();
        assert_eq!(buckets, [(Some(10), 2), (Some(100), 2), (None, 1)]);
        assert_eq!((distribution.count(), distribution.sum()), (5, 222));
    }
}
