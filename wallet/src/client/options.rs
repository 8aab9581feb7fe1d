//! Owns the settings of the wallet client: their names, their defaults, what they may be.
//! Knows nothing of files and environments. Invariant: a client is only made from settings that
//! passed every check, and all that is wrong is said at once.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::limits::{COUNT_MAX, RATE_RPS_MAX, RETRIES_MAX, TIME_MAX};

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever has to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The settings as they are written, signed so that what is below zero can be named. Durations
/// are texts like `5s`, `100ms` or `1m 30s`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WalletClientOptions {
    /// Where the wallet is, `http://host:port`, with or without a path.
    pub base_url: String,
    /// Sent as bearer token.
    pub token: Option<Secret>,
    /// Of one try, the answer included.
    #[serde(deserialize_with = "duration")]
    pub timeout: SignedDuration,
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: SignedDuration,
    /// Tries after the first.
    pub max_retries: i64,
    /// Before the first of them; doubles from one to the next.
    #[serde(deserialize_with = "duration")]
    pub retry_wait_time: SignedDuration,
    #[serde(deserialize_with = "duration")]
    pub retry_max_wait_time: SignedDuration,
    pub circuit_breaker_enabled: bool,
    /// Calls that may probe a wallet that was down.
    pub circuit_breaker_max_requests: i64,
    /// Window over which failures are counted.
    #[serde(deserialize_with = "duration")]
    pub circuit_breaker_interval: SignedDuration,
    /// How long no call is let through.
    #[serde(deserialize_with = "duration")]
    pub circuit_breaker_timeout: SignedDuration,
    /// Part of the calls in the window, above 0 and at most 1.
    pub circuit_breaker_failure_ratio: f64,
    /// Calls in the window below which the ratio says nothing.
    pub circuit_breaker_min_requests: i64,
    /// Failures one after the other that are enough whatever the ratio; 0 is off.
    pub circuit_breaker_consecutive_failures: i64,
    /// Idle connections kept in all; the client speaks to one host, so the lower of this and the
    /// next one holds.
    pub max_idle_conns: i64,
    pub max_idle_conns_per_host: i64,
    #[serde(deserialize_with = "duration")]
    pub idle_conn_timeout: SignedDuration,
    pub rate_limit_enabled: bool,
    /// Calls per second, and as many at once.
    pub rate_limit_rps: i64,
    /// Works on a wallet in memory, which knows no money but what tests give it.
    pub use_mock: bool,
}

impl Default for WalletClientOptions {
    fn default() -> Self {
        Self {
            base_url: "http://localhost:3002".to_owned(),
            token: None,
            timeout: SignedDuration::from_secs(5),
            connect_timeout: SignedDuration::from_secs(1),
            max_retries: 3,
            retry_wait_time: SignedDuration::from_millis(100),
            retry_max_wait_time: SignedDuration::from_secs(2),
            circuit_breaker_enabled: true,
            circuit_breaker_max_requests: 3,
            circuit_breaker_interval: SignedDuration::from_secs(10),
            circuit_breaker_timeout: SignedDuration::from_secs(30),
            circuit_breaker_failure_ratio: 0.6,
            circuit_breaker_min_requests: 3,
            circuit_breaker_consecutive_failures: 0,
            max_idle_conns: 100,
            max_idle_conns_per_host: 10,
            idle_conn_timeout: SignedDuration::from_secs(90),
            rate_limit_enabled: false,
            rate_limit_rps: 100,
            use_mock: false,
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom(format!("{text:?} is not a duration like \"5s\" or \"100ms\""))
    })
}

/// The settings of a client, checked.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Without a slash at its end.
    pub(super) base_url: String,
    pub(super) token: Option<Secret>,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) retry: RetrySettings,
    pub(super) breaker: Option<BreakerSettings>,
    pub(super) idle_connections: usize,
    pub(super) idle_timeout: Duration,
    pub(super) calls_per_second: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetrySettings {
    pub(super) retries: u32,
    pub(super) wait: Duration,
    pub(super) wait_max: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BreakerSettings {
    pub(super) window: Duration,
    pub(super) open_for: Duration,
    pub(super) probes: u32,
    pub(super) calls_min: u32,
    pub(super) ratio: f64,
    /// 0 is off.
    pub(super) consecutive: u32,
}

impl WalletClientOptions {
    /// Checks everything but where it runs.
    ///
    /// # Errors
    /// All that is wrong, each named by its key.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        self.checked().map(drop)
    }

    /// Checks everything; production must not trade on a wallet in memory.
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub fn validate_for_production(&self) -> Result<(), Vec<String>> {
        let mut errors = self.validate().err().unwrap_or_default();
        if self.use_mock {
            errors.push("use_mock: not allowed in production".to_owned());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The settings in the types that the client works with.
    pub(super) fn checked(&self) -> Result<Settings, Vec<String>> {
        let mut check = Check::default();
        let zero = SignedDuration::ZERO;
        let base_url = check.base_url(&self.base_url);
        check.token(self.token.as_ref());
        let timeout = check.time("timeout", self.timeout);
        let connect_timeout = check.time("connect_timeout", self.connect_timeout);
        let retries = check.count("max_retries", self.max_retries, 0, RETRIES_MAX);
        let wait = check.time_from("retry_wait_time", self.retry_wait_time, zero);
        let wait_max = check.time_from("retry_max_wait_time", self.retry_max_wait_time, zero);
        if self.retry_max_wait_time < self.retry_wait_time {
            check.errors.push("retry_max_wait_time: below retry_wait_time".to_owned());
        }
        let breaker = self.checked_breaker(&mut check);
        let idle = check.count("max_idle_conns", self.max_idle_conns, 0, COUNT_MAX);
        let idle_per_host =
            check.count("max_idle_conns_per_host", self.max_idle_conns_per_host, 0, COUNT_MAX);
        let idle_timeout = check.time("idle_conn_timeout", self.idle_conn_timeout);
        let calls_per_second = self
            .rate_limit_enabled
            .then(|| check.count("rate_limit_rps", self.rate_limit_rps, 1, RATE_RPS_MAX));
        if !check.errors.is_empty() {
            return Err(check.errors);
        }
        Ok(Settings {
            base_url,
            token: self.token.clone(),
            timeout,
            connect_timeout,
            retry: RetrySettings { retries, wait, wait_max },
            breaker: self.circuit_breaker_enabled.then_some(breaker),
            idle_connections: idle.min(idle_per_host) as usize,
            idle_timeout,
            calls_per_second,
        })
    }

    fn checked_breaker(&self, check: &mut Check) -> BreakerSettings {
        let ratio = self.circuit_breaker_failure_ratio;
        // A ratio that is no number is not within the range either.
        if !(ratio > 0.0 && ratio <= 1.0) {
            let text = format!("circuit_breaker_failure_ratio: {ratio} is not above 0 and up to 1");
            check.errors.push(text);
        }
        let (probes, calls) =
            (self.circuit_breaker_max_requests, self.circuit_breaker_min_requests);
        let consecutive = self.circuit_breaker_consecutive_failures;
        BreakerSettings {
            window: check.time("circuit_breaker_interval", self.circuit_breaker_interval),
            open_for: check.time("circuit_breaker_timeout", self.circuit_breaker_timeout),
            probes: check.count("circuit_breaker_max_requests", probes, 1, COUNT_MAX),
            calls_min: check.count("circuit_breaker_min_requests", calls, 1, COUNT_MAX),
            ratio,
            consecutive: check.count(
                "circuit_breaker_consecutive_failures",
                consecutive,
                0,
                COUNT_MAX,
            ),
        }
    }
}

/// Collects what is wrong; what it hands on is used only if nothing is.
#[derive(Default)]
struct Check {
    errors: Vec<String>,
}

impl Check {
    fn count(&mut self, key: &str, value: i64, low: u32, high: u32) -> u32 {
        match u32::try_from(value) {
            Ok(count) if (low..=high).contains(&count) => count,
            _ => {
                self.errors.push(format!("{key}: {value} is not {low} to {high}"));
                low
            }
        }
    }

    /// A time above zero.
    fn time(&mut self, key: &str, value: SignedDuration) -> Duration {
        self.time_from(key, value, SignedDuration::from_nanos(1))
    }

    fn time_from(&mut self, key: &str, value: SignedDuration, low: SignedDuration) -> Duration {
        match Duration::try_from(value) {
            Ok(time) if value >= low && time <= TIME_MAX => time,
            _ if value > low => {
                self.errors.push(format!("{key}: more than {} s", TIME_MAX.as_secs()));
                Duration::ZERO
            }
            _ => {
                let bound = if low.is_zero() { "must not be negative" } else { "must be above 0" };
                self.errors.push(format!("{key}: {bound}"));
                Duration::ZERO
            }
        }
    }

    fn base_url(&mut self, text: &str) -> String {
        let problem = match Url::parse(text) {
            _ if text.is_empty() => "must not be empty",
            Err(_) => "is not a URL",
            Ok(url) if url.scheme() != "http" => "must begin with http://",
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "must hold no credentials"
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                "must hold no query and no fragment"
            }
            Ok(_) => return text.trim_end_matches('/').to_owned(),
        };
        self.errors.push(format!("base_url: {problem}"));
        String::new()
    }

    fn token(&mut self, token: Option<&Secret>) {
        let legal = |secret: &Secret| {
            !secret.0.is_empty() && secret.0.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if token.is_some_and(|secret| !legal(secret)) {
            self.errors.push("token: must be printable characters without spaces".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
