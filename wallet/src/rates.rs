//! Owns how many requests a second a listener takes, from one caller and from all. Knows nothing of
//! HTTP and of who a caller is. Invariant: nobody can use up what others have: a caller past their
//! own share takes nothing of what is everybody's, whoever names no caller shares nothing with
//! those who do, and the table of callers is bounded.

use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::Usage;
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::{HashMapStateStore, ShrinkableKeyedStateStore};
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use pipeline::Clock;
use uuid::Uuid;

use crate::limits::RATED_CALLERS_MAX;

/// Requests a second, after as many at once; 0 is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateOptions {
    /// Of all callers together; of all without a caller once more as many.
    pub per_second: u32,
    /// Of each caller.
    pub per_second_per_caller: u32,
}

/// There is no token for this request: one comes within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// The machine's clock as the buckets read it.
#[derive(Clone, Debug)]
struct Monotonic(Arc<dyn Clock>);

impl GovernorClock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.monotonic_ns().into()
    }
}

type Unlimited = NoOpMiddleware<Nanos>;
type Bucket = RateLimiter<NotKeyed, InMemoryState, Monotonic, Unlimited>;
type Buckets = RateLimiter<Uuid, Table, Monotonic, Unlimited>;

/// Buckets by caller; those who find no room share one.
#[derive(Debug)]
struct Table {
    own: HashMapStateStore<Uuid>,
    shared: InMemoryState,
    bound: usize,
}

impl StateStore for Table {
    type Key = Uuid;

    fn measure_and_replace<T, F, E>(&self, caller: &Uuid, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut own = self.own.lock();
        let has_room = own.len() < self.bound;
        let state = match own.entry(*caller) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if has_room => place.insert(InMemoryState::default()),
            Entry::Vacant(_) => return self.shared.measure_and_replace(&NotKeyed::NonKey, measure),
        };
        state.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

impl ShrinkableKeyedStateStore<Uuid> for Table {
    fn retain_recent(&self, drop_below: Nanos) {
        self.own.retain_recent(drop_below);
    }

    fn len(&self) -> usize {
        self.own.len()
    }

    fn is_empty(&self) -> bool {
        self.own.is_empty()
    }
}

/// The token buckets of one listener.
#[derive(Debug)]
pub struct Rates {
    known: Option<Bucket>,
    unknown: Option<Bucket>,
    callers: Option<Callers>,
}

#[derive(Debug)]
struct Callers {
    buckets: Buckets,
    bound: usize,
    clock: Monotonic,
    /// When the table was last found full and gone through, nanoseconds.
    cleared_ns: AtomicU64,
}

const NS_PER_S: u64 = 1_000_000_000;

fn bucket(per_second: u32, clock: &Monotonic) -> Option<Bucket> {
    let quota = Quota::per_second(NonZeroU32::new(per_second)?);
    Some(RateLimiter::direct_with_clock(quota, clock.clone()))
}

impl Rates {
    #[must_use]
    pub fn new(options: RateOptions, clock: Arc<dyn Clock>) -> Self {
        Self::bounded(options, clock, RATED_CALLERS_MAX)
    }

    fn bounded(options: RateOptions, clock: Arc<dyn Clock>, bound: usize) -> Self {
        let clock = Monotonic(clock);
        let callers = NonZeroU32::new(options.per_second_per_caller).map(|each| {
            let quota = Quota::per_second(each);
            let table = Table {
                own: HashMapStateStore::default(),
                shared: InMemoryState::default(),
                bound,
            };
            let buckets = RateLimiter::new(quota, table, clock.clone());
            Callers { buckets, bound, clock: clock.clone(), cleared_ns: AtomicU64::new(0) }
        });
        let [known, unknown] = [options.per_second; 2].map(|rate| bucket(rate, &clock));
        Self { known, unknown, callers }
    }

    /// Callers that have a bucket of their own, if each is limited.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let callers = self.callers.as_ref()?;
        Some(Usage::new("rated_callers", callers.buckets.len(), callers.bound))
    }

    /// Whether anything is limited at all.
    #[must_use]
    pub fn limit_anything(&self) -> bool {
        self.known.is_some() || self.callers.is_some()
    }

    /// Takes a token for a request of this caller, if one is known.
    ///
    /// # Errors
    /// [`TooMany`]; what was taken is only the caller's own.
    pub fn admit(&self, caller: Option<Uuid>) -> Result<(), TooMany> {
        if let (Some(callers), Some(caller)) = (&self.callers, caller) {
            callers.admit(caller)?;
        }
        let all = if caller.is_some() { &self.known } else { &self.unknown };
        all.as_ref().map_or(Ok(()), |bucket| bucket.check().map_err(|_| TooMany))
    }
}

impl Callers {
    fn admit(&self, caller: Uuid) -> Result<(), TooMany> {
        if self.buckets.len() >= self.bound {
            self.make_room();
        }
        self.buckets.check_key(&caller).map_err(|_| TooMany)
    }

    /// Buckets that are full again are as good as new ones and need not be kept. Looks at all of
    /// them, so not more than once a second.
    fn make_room(&self) {
        let now_ns = self.clock.0.monotonic_ns();
        let cleared_ns = self.cleared_ns.load(Ordering::Relaxed);
        if now_ns.saturating_sub(cleared_ns) >= NS_PER_S {
            self.cleared_ns.store(now_ns, Ordering::Relaxed);
            self.buckets.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that stands until it is set.
    #[derive(Debug, Default)]
    struct Standing(AtomicU64);

    impl Standing {
        fn advance_ms(&self, ms: u64) {
            self.0.fetch_add(ms * 1_000_000, Ordering::SeqCst);
        }
    }

    impl Clock for Standing {
        fn wall_ns(&self) -> u64 {
            self.monotonic_ns()
        }

        fn monotonic_ns(&self) -> u64 {
            NS_PER_S + self.0.load(Ordering::SeqCst)
        }
    }

    fn rates(per_second: u32, per_second_per_caller: u32, bound: usize) -> (Rates, Arc<Standing>) {
        let clock = Arc::new(Standing::default());
        let options = RateOptions { per_second, per_second_per_caller };
        (Rates::bounded(options, Arc::clone(&clock) as _, bound), clock)
    }

    fn user(number: u128) -> Option<Uuid> {
        Some(Uuid::from_u128(number))
    }

    /// Requests that pass out of `of`.
    fn passed(rates: &Rates, caller: Option<Uuid>, of: usize) -> usize {
        (0..of).filter(|_| rates.admit(caller).is_ok()).count()
    }

    #[test]
    fn a_caller_has_a_second_of_requests_and_then_one_at_a_time() {
        let (rates, clock) = rates(0, 10, 8);
        assert_eq!(passed(&rates, user(1), 10), 10, "at the bound");
        assert_eq!(rates.admit(user(1)), Err(TooMany), "one past it");
        assert_eq!(passed(&rates, user(2), 11), 10, "another caller has as many");
        assert_eq!(passed(&rates, None, 100), 100, "only callers are limited");
        clock.advance_ms(99);
        assert_eq!(rates.admit(user(1)), Err(TooMany));
        clock.advance_ms(1);
        assert_eq!(passed(&rates, user(1), 2), 1);
        clock.advance_ms(60_000);
        assert_eq!(passed(&rates, user(1), 11), 10, "no more than a second is saved up");
    }

    #[test]
    fn all_together_have_a_bound_of_their_own() {
        let (rates, clock) = rates(5, 4, 8);
        assert_eq!(passed(&rates, user(1), 4), 4);
        assert_eq!(passed(&rates, user(1), 100), 0, "and takes nothing of what is everybody's");
        assert_eq!(passed(&rates, user(2), 2), 1);
        assert_eq!(passed(&rates, None, 6), 5, "whoever is unknown shares nothing with them");
        clock.advance_ms(1_000);
        assert_eq!(passed(&rates, user(2), 5) + passed(&rates, user(3), 5), 5);
    }

    #[test]
    fn nothing_is_limited_by_default() {
        let (rates, _) = rates(0, 0, 1);
        assert!(!rates.limit_anything());
        assert_eq!(passed(&rates, user(1), 1_000) + passed(&rates, None, 1_000), 2_000);
    }

    #[test]
    fn the_table_of_callers_is_bounded() {
        let (rates, clock) = rates(0, 2, 3);
        for number in 1..=3 {
            assert_eq!(passed(&rates, user(number), 3), 2, "at the bound");
        }
        let callers = rates.callers.as_ref().unwrap();
        assert_eq!(callers.buckets.len(), 3);
        let late = passed(&rates, user(4), 3) + passed(&rates, user(5), 3);
        assert_eq!(late, 2, "past it callers share a bucket");
        assert_eq!(callers.buckets.len(), 3);
        clock.advance_ms(500);
        assert_eq!(passed(&rates, user(1), 2), 1, "who has a bucket keeps it");
        clock.advance_ms(2_000);
        assert_eq!(passed(&rates, user(6), 3), 2, "who was away makes room");
        assert_eq!(callers.buckets.len(), 1);
    }
}
