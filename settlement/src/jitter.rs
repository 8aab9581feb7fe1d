//! Owns the randomness of pauses. Knows nothing of what is paused.
//! Invariant: a pause is 50 to 100 % of what was asked for, so that many who wait for the same
//! thing do not come back together.

use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A source of jitter.
#[derive(Debug)]
pub(crate) struct Jitter(Xoshiro256PlusPlus);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Between half of `pause` and all of it.
    pub(crate) fn of(&mut self, pause: Duration) -> Duration {
        pause / 2 + pause / 2 * (self.0.next_u32() >> 16) / (1 << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_over_the_upper_half() {
        let mut jitter = Jitter::new(7);
        let pause = Duration::from_millis(100);
        let pauses: Vec<_> = (0..1_000).map(|_| jitter.of(pause)).collect();
        assert!(pauses.iter().all(|p| (pause / 2..=pause).contains(p)));
        assert!(pauses.iter().any(|p| *p < pause * 6 / 10));
        assert!(pauses.iter().any(|p| *p > pause * 9 / 10));
    }
}
