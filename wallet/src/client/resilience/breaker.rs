//! Owns when calls are kept from a wallet that fails. Knows nothing of what a failure is.
//! Invariant: a result counts only in the state in which its call was admitted, and a half-open
//! breaker never has more probes under way or done than it may.
//!
//! ```text
//!           too many failures in the window
//!   CLOSED ---------------------------------> OPEN
//!     ^                                       |  ^
//!     | all probes succeed      pause is over |  | a probe fails
//!     |                                       v  |
//!     +------------------------------------ HALF-OPEN
//! ```
//!
//! Written here, not taken from a crate: counting takes the same time however many calls are in
//! the window, time is the runtime's so that tests can stop it, and a call that ends after the
//! state has changed is not taken for a probe.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::client::error::WalletError;
use crate::client::metrics::{BreakerState, WalletClientMetrics};
use crate::client::options::BreakerSettings;

/// Parts of the window: it moves on by one of them at a time.
const PARTS: usize = 10;

/// Calls that ended in one part of the window.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    calls: u32,
    failures: u32,
}

/// Calls of the last while.
#[derive(Debug)]
struct Window {
    parts: [Part; PARTS],
    /// Begin of the first part, and how many parts have begun since.
    begun: Instant,
    newest: u128,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { parts: [Part::default(); PARTS], begun: now, newest: 0 }
    }

    /// Counts a call and returns the sum over the window.
    fn count(&mut self, failed: bool, now: Instant, length: Duration) -> Part {
        let part_ns = (length.as_nanos() / PARTS as u128).max(1);
        let current = (now - self.begun).as_nanos() / part_ns;
        let passed = current.saturating_sub(self.newest).min(PARTS as u128);
        for step in 1..=passed {
            self.parts[place(self.newest + step)] = Part::default();
        }
        self.newest = self.newest.max(current);
        let part = &mut self.parts[place(self.newest)];
        part.calls = part.calls.saturating_add(1);
        part.failures = part.failures.saturating_add(failed.into());
        self.parts.iter().fold(Part::default(), |sum, part| Part {
            calls: sum.calls.saturating_add(part.calls),
            failures: sum.failures.saturating_add(part.failures),
        })
    }
}

fn place(part: u128) -> usize {
    usize::try_from(part % PARTS as u128).expect("below the number of parts")
}

#[derive(Debug)]
enum Phase {
    Closed { window: Window, consecutive: u32 },
    Open { until: Instant },
    HalfOpen { admitted: u32, succeeded: u32 },
}

impl Phase {
    fn state(&self) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

#[derive(Debug)]
struct Current {
    phase: Phase,
    /// Grows with each change of the phase.
    generation: u64,
}

/// A circuit breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    current: Mutex<Current>,
    metrics: Arc<WalletClientMetrics>,
}

/// Allows one try. Dropped without a result it gives its place back: then nothing is known.
#[derive(Debug)]
pub(super) struct Admission<'a> {
    breaker: &'a Breaker,
    generation: u64,
    recorded: bool,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings, metrics: Arc<WalletClientMetrics>) -> Self {
        let window = Window::new(Instant::now());
        let phase = Phase::Closed { window, consecutive: 0 };
        Self { settings, current: Mutex::new(Current { phase, generation: 0 }), metrics }
    }

    /// Whether a try may begin.
    ///
    /// # Errors
    /// `CircuitOpen` at once if not.
    pub(super) fn admit(&self) -> Result<Admission<'_>, WalletError> {
        let mut current = self.current.lock();
        if let Phase::Open { until } = current.phase
            && until <= Instant::now()
        {
            self.change(&mut current, Phase::HalfOpen { admitted: 0, succeeded: 0 });
        }
        match &mut current.phase {
            Phase::Closed { .. } => {}
            Phase::HalfOpen { admitted, .. } if *admitted < self.settings.probes => *admitted += 1,
            Phase::Open { .. } | Phase::HalfOpen { .. } => return Err(WalletError::CircuitOpen),
        }
        Ok(Admission { breaker: self, generation: current.generation, recorded: false })
    }

    fn record(&self, generation: u64, failed: bool) {
        let mut current = self.current.lock();
        if current.generation != generation {
            return;
        }
        let now = Instant::now();
        let next = match &mut current.phase {
            Phase::Closed { window, consecutive } => {
                *consecutive = if failed { consecutive.saturating_add(1) } else { 0 };
                let sum = window.count(failed, now, self.settings.window);
                let opens = failed && self.is_too_much(sum, *consecutive);
                opens.then(|| self.open(now))
            }
            Phase::HalfOpen { .. } if failed => Some(self.open(now)),
            Phase::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                (*succeeded >= self.settings.probes)
                    .then(|| Phase::Closed { window: Window::new(now), consecutive: 0 })
            }
            Phase::Open { .. } => None,
        };
        if let Some(next) = next {
            self.change(&mut current, next);
        }
    }

    fn open(&self, now: Instant) -> Phase {
        Phase::Open { until: now + self.settings.open_for }
    }

    fn is_too_much(&self, sum: Part, consecutive: u32) -> bool {
        let by_ratio = sum.calls >= self.settings.calls_min
            && f64::from(sum.failures) >= self.settings.ratio * f64::from(sum.calls);
        let in_a_row = self.settings.consecutive;
        by_ratio || (in_a_row > 0 && consecutive >= in_a_row)
    }

    /// A probe that came to nothing makes room for another.
    fn give_back(&self, generation: u64) {
        let mut current = self.current.lock();
        if current.generation == generation
            && let Phase::HalfOpen { admitted, .. } = &mut current.phase
        {
            *admitted -= 1;
        }
    }

    fn change(&self, current: &mut Current, next: Phase) {
        let (from, to) = (current.phase.state(), next.state());
        current.phase = next;
        current.generation += 1;
        self.metrics.breaker_changed(to);
        tracing::warn!(
            breaker = "wallet-service",
            from = from.name(),
            to = to.name(),
            "circuit breaker changed"
        );
    }
}

impl Admission<'_> {
    /// Counts the result of the try.
    pub(super) fn record(mut self, failed: bool) {
        self.recorded = true;
        self.breaker.record(self.generation, failed);
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if !self.recorded {
            self.breaker.give_back(self.generation);
        }
    }
}

#[cfg(test)]
mod tests;
