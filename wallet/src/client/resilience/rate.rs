//! Owns how many tries a second are sent. Knows nothing of what they are.
//! Invariant: at most the configured number begin within a second, after as many at once.

use std::num::NonZeroU32;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{Instant, sleep};

use crate::client::error::WalletError;

/// The runtime's clock, which tests can stop, as the time since it was made.
#[derive(Clone, Debug)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

/// A token bucket as large as a second's worth.
#[derive(Debug)]
pub(super) struct RateLimit {
    bucket: RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Nanos>>,
    clock: RuntimeClock,
}

impl RateLimit {
    /// `per_second` of 0 counts as 1; settings refuse it.
    pub(super) fn new(per_second: u32) -> Self {
        let clock = RuntimeClock(Instant::now());
        let quota = Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN));
        Self { bucket: RateLimiter::direct_with_clock(quota, clock.clone()), clock }
    }

    /// Waits for the next token.
    ///
    /// # Errors
    /// `RateLimited` at once if there is none before the deadline.
    pub(super) async fn wait(&self, deadline: Instant) -> Result<(), WalletError> {
        while let Err(refused) = self.bucket.check() {
            let wait = refused.wait_time_from(self.clock.now());
            if wait >= deadline.saturating_duration_since(Instant::now()) {
                return Err(WalletError::RateLimited { retry_after: Some(wait) });
            }
            sleep(wait).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_one_second_passes_and_the_next_waits() {
        let rate = RateLimit::new(10);
        let begun = Instant::now();
        let later = begun + Duration::from_secs(60);
        for _ in 0..10 {
            rate.wait(later).await.unwrap();
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            rate.wait(later).await.unwrap();
        }
        let second = Duration::from_secs(1);
        // The runtime's timer counts whole milliseconds and rounds up.
        let slack = Duration::from_millis(20);
        assert!((second..second + slack).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn no_token_before_the_deadline_is_said_at_once() {
        let rate = RateLimit::new(1);
        let begun = Instant::now();
        rate.wait(begun + Duration::from_millis(1)).await.unwrap();
        let refused = rate.wait(begun + Duration::from_millis(999)).await.unwrap_err();
        let WalletError::RateLimited { retry_after: Some(wait) } = refused else {
            panic!("{refused:?}")
        };
        assert!(wait > Duration::from_millis(999) && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
