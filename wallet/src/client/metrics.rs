//! Owns what the wallet client counts. Knows nothing of how it is shown.
//! Invariant: counting takes no lock and allocates nothing; reading takes a consistent enough copy
//! and changes nothing.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::error::WalletError;
use super::limits::CALLS_IN_FLIGHT_MAX;

macro_rules! methods {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// A call of the wallet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method { $($variant),+ }

        impl Method {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Stable lower-case word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

methods! {
    GetBalance = "get_balance",
    Reserve = "reserve",
    Release = "release",
    Settle = "settle",
    ReserveBatch = "reserve_batch",
    ReleaseBatch = "release_batch",
    SettleBatch = "settle_batch",
    ReservationOfOrder = "reservation_of_order",
    SettlementOfTrade = "settlement_of_trade",
    FundingEvents = "funding_events",
    ConcludeFunding = "conclude_funding",
    FreezeWithdrawals = "freeze_withdrawals",
    HealthCheck = "health_check",
}

/// How a call ended: `ok`, or the name of its error.
const STATUSES: [&str; 13] = [
    "ok",
    "insufficient_balance",
    "user_not_found",
    "reservation_not_found",
    "service_down",
    "invalid_request",
    "circuit_open",
    "timeout",
    "invalid_response",
    "conflict",
    "rate_limited",
    "read_only",
    "closed",
];

/// Upper bounds of the buckets of call durations, microseconds; the last bucket has none.
pub const DURATION_BOUNDS_US: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000,
];

/// Whether calls are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BreakerState {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

impl BreakerState {
    /// Stable lower-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[derive(Debug, Default)]
struct MethodCounters {
    by_status: [AtomicU64; STATUSES.len()],
    retries: AtomicU64,
    buckets: [AtomicU64; DURATION_BOUNDS_US.len() + 1],
    duration_us_sum: AtomicU64,
}

/// The counters of one client.
#[derive(Debug)]
pub struct WalletClientMetrics {
    methods: [MethodCounters; Method::ALL.len()],
    in_flight: AtomicUsize,
    connections_active: AtomicUsize,
    breaker: AtomicU8,
    breaker_openings: AtomicU64,
}

impl Default for WalletClientMetrics {
    fn default() -> Self {
        Self {
            methods: std::array::from_fn(|_| MethodCounters::default()),
            in_flight: AtomicUsize::new(0),
            connections_active: AtomicUsize::new(0),
            breaker: AtomicU8::new(BreakerState::Closed as u8),
            breaker_openings: AtomicU64::new(0),
        }
    }
}

/// Counts one thing under way for as long as it lives.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(gauge: &'a AtomicUsize) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WalletClientMetrics {
    pub(super) fn call_begins(&self) -> UnderWay<'_> {
        UnderWay::new(&self.in_flight)
    }

    /// A try takes one connection until it has its answer.
    pub(super) fn connection_taken(&self) -> UnderWay<'_> {
        UnderWay::new(&self.connections_active)
    }

    pub(super) fn call_ended(
        &self,
        method: Method,
        error: Option<&WalletError>,
        duration: Duration,
    ) {
        let name = error.map_or("ok", WalletError::name);
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = DURATION_BOUNDS_US.partition_point(|bound| *bound < us);
        let counters = &self.methods[method as usize];
        for (counter, status) in counters.by_status.iter().zip(STATUSES) {
            if status == name {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
        counters.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        counters.duration_us_sum.fetch_add(us, Ordering::Relaxed);
    }

    pub(super) fn retried(&self, method: Method) {
        self.methods[method as usize].retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn breaker_changed(&self, state: BreakerState) {
        self.breaker.store(state as u8, Ordering::Relaxed);
        if state == BreakerState::Open {
            self.breaker_openings.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted up to now.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let methods = Method::ALL.iter().zip(&self.methods).map(|(method, counters)| {
            let buckets: Vec<u64> = counters.buckets.iter().map(read).collect();
            MethodSnapshot {
                method: *method,
                requests: STATUSES.into_iter().zip(counters.by_status.iter().map(read)).collect(),
                retries: read(&counters.retries),
                duration_count: buckets.iter().sum(),
                duration_buckets: buckets,
                duration_us_sum: read(&counters.duration_us_sum),
            }
        });
        MetricsSnapshot {
            methods: methods.collect(),
            breaker_state: match self.breaker.load(Ordering::Relaxed) {
                0 => BreakerState::Closed,
                1 => BreakerState::Open,
                _ => BreakerState::HalfOpen,
            },
            breaker_openings: read(&self.breaker_openings),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            in_flight_max: CALLS_IN_FLIGHT_MAX,
            connections_active: self.connections_active.load(Ordering::Relaxed),
        }
    }
}

/// A copy of all counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// One for each of [`Method::ALL`], in that order.
    pub methods: Vec<MethodSnapshot>,
    pub breaker_state: BreakerState,
    pub breaker_openings: u64,
    /// Calls under way, their pauses between tries included.
    pub in_flight: usize,
    /// At this many further calls wait.
    pub in_flight_max: u32,
    /// Connections that carry a request right now.
    pub connections_active: usize,
}

impl MetricsSnapshot {
    #[must_use]
    pub fn method(&self, method: Method) -> &MethodSnapshot {
        &self.methods[method as usize]
    }
}

/// A copy of the counters of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodSnapshot {
    pub method: Method,
    /// Calls by how they ended, `ok` or an error's name.
    pub requests: Vec<(&'static str, u64)>,
    /// Tries after the first.
    pub retries: u64,
    /// Calls by duration: each of [`DURATION_BOUNDS_US`], then all above. Not cumulative.
    pub duration_buckets: Vec<u64>,
    pub duration_us_sum: u64,
    pub duration_count: u64,
}

impl MethodSnapshot {
    /// Calls that ended so.
    #[must_use]
    pub fn ended(&self, status: &str) -> u64 {
        self.requests.iter().filter(|(name, _)| *name == status).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_status() {
        let text = String::new;
        for error in [
            WalletError::InsufficientBalance,
            WalletError::UserNotFound,
            WalletError::ReservationNotFound,
            WalletError::WalletServiceDown,
            WalletError::InvalidRequest(text()),
            WalletError::CircuitOpen,
            WalletError::Timeout,
            WalletError::InvalidResponse(text()),
            WalletError::Conflict(text()),
            WalletError::RateLimited { retry_after: None },
            WalletError::ReadOnly,
            WalletError::Closed,
        ] {
            let metrics = WalletClientMetrics::default();
            metrics.call_ended(Method::Settle, Some(&error), Duration::ZERO);
            let snapshot = metrics.snapshot();
            assert_eq!(snapshot.method(Method::Settle).ended(error.name()), 1, "{error}");
            let all: u64 = snapshot.method(Method::Settle).requests.iter().map(|(_, n)| n).sum();
            assert_eq!(all, 1);
        }
    }

    #[test]
    fn a_duration_falls_into_the_bucket_that_bounds_it() {
        let metrics = WalletClientMetrics::default();
        for us in [0, 500, 501, 1_000, 5_000_000, 5_000_001, 60_000_000] {
            metrics.call_ended(Method::Reserve, None, Duration::from_micros(us));
        }
        let snapshot = metrics.snapshot();
        let reserve = snapshot.method(Method::Reserve);
        assert_eq!(reserve.duration_buckets[..2], [2, 2]);
        assert_eq!(reserve.duration_buckets[12..], [1, 2]);
        assert_eq!((reserve.duration_count, reserve.ended("ok")), (7, 7));
        assert_eq!(reserve.duration_us_sum, 70_002_002);
        assert_eq!(snapshot.method(Method::Release).duration_count, 0);
    }

    #[test]
    fn gauges_fall_when_what_they_count_ends() {
        let metrics = WalletClientMetrics::default();
        let call = metrics.call_begins();
        let connection = metrics.connection_taken();
        let snapshot = metrics.snapshot();
        assert_eq!((snapshot.in_flight, snapshot.connections_active), (1, 1));
        drop((call, connection));
        let snapshot = metrics.snapshot();
        assert_eq!((snapshot.in_flight, snapshot.connections_active), (0, 0));
    }

    #[test]
    fn the_last_state_of_the_breaker_is_kept() {
        let metrics = WalletClientMetrics::default();
        assert_eq!(metrics.snapshot().breaker_state, BreakerState::Closed);
        for state in [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed] {
            metrics.breaker_changed(state);
            assert_eq!(metrics.snapshot().breaker_state, state);
        }
        assert_eq!(metrics.snapshot().breaker_openings, 1);
    }
}
