//! Owns how a call survives a wallet that is slow, absent or overloaded:
//! retry(breaker(rate(timeout(try)))), within the deadline of the call.
//! Knows nothing of HTTP. Invariant: every try of a call carries the same request; no pause and no
//! try outlives the deadline; a call that may have had an effect in any of its tries says so.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::time::{Instant, timeout, timeout_at};

use super::CallContext;
use super::error::{CallOutcome, WalletError};
use super::limits::{CALLS_IN_FLIGHT_MAX, RETRIES_MAX};
use super::metrics::{Method, WalletClientMetrics};
use super::options::{RetrySettings, Settings};

pub(super) mod breaker;
pub(super) mod gate;
mod rate;

use breaker::Breaker;
use gate::Gate;
use rate::RateLimit;

/// One try that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TryFailure {
    pub(super) error: WalletError,
    /// Whether another try makes sense now.
    pub(super) again: bool,
}

impl TryFailure {
    /// A failure after which this call ends, whatever its outcome.
    pub(super) fn last(error: WalletError) -> Self {
        Self { error, again: false }
    }
}

impl From<WalletError> for TryFailure {
    fn from(error: WalletError) -> Self {
        let again = error.outcome() != CallOutcome::Refused;
        Self { error, again }
    }
}

/// One call as the layers see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) context: CallContext,
    /// Of each try.
    pub(super) timeout: Duration,
}

impl Call {
    fn deadline(&self) -> Instant {
        self.context.deadline
    }
}

/// The layers of one client.
#[derive(Debug)]
pub(super) struct Resilience {
    retry: RetrySettings,
    breaker: Option<Breaker>,
    rate: Option<RateLimit>,
    gate: Gate,
    metrics: Arc<WalletClientMetrics>,
}

impl Resilience {
    pub(super) fn new(settings: &Settings) -> Self {
        let metrics = Arc::new(WalletClientMetrics::default());
        let breaker = settings.breaker.map(|breaker| Breaker::new(breaker, Arc::clone(&metrics)));
        Self {
            retry: settings.retry,
            breaker,
            rate: settings.calls_per_second.map(RateLimit::new),
            gate: Gate::new(CALLS_IN_FLIGHT_MAX),
            metrics,
        }
    }

    pub(super) fn metrics(&self) -> &Arc<WalletClientMetrics> {
        &self.metrics
    }

    /// Waits for the calls under way and lets no other begin.
    pub(super) async fn close(&self) {
        self.gate.close().await;
    }

    /// Makes a call: `attempt` is one try, and may be tried several times.
    pub(super) async fn run<T, F>(
        &self,
        call: Call,
        attempt: impl Fn() -> F,
    ) -> Result<T, WalletError>
    where
        F: Future<Output = Result<T, TryFailure>>,
    {
        let begun = Instant::now();
        let result = self.run_admitted(call, attempt).await;
        let (error, elapsed) = (result.as_ref().err(), begun.elapsed());
        self.metrics.call_ended(call.method, error, elapsed);
        tracing::debug!(
            method = call.method.name(),
            status = error.map_or("ok", WalletError::name),
            error = error.map(tracing::field::display),
            elapsed_us = elapsed.as_micros(),
            trace_id = format_args!("{:032x}", call.context.trace_id),
            "wallet call ended"
        );
        result
    }

    async fn run_admitted<T, F>(
        &self,
        call: Call,
        attempt: impl Fn() -> F,
    ) -> Result<T, WalletError>
    where
        F: Future<Output = Result<T, TryFailure>>,
    {
        let _admission = self.gate.enter(call.deadline()).await?;
        let _under_way = self.metrics.call_begins();
        let mut unknown = None;
        let result = (|| self.try_once(call, &attempt))
            .retry(self.backoff(call.context.max_retries))
            .when(|failure: &TryFailure| {
                if failure.error.outcome() == CallOutcome::Unknown {
                    unknown = Some(failure.error.clone());
                }
                failure.again
            })
            .adjust(|failure, step| pause(&failure.error, step?, call.deadline()))
            .notify(|failure, pause| {
                self.metrics.retried(call.method);
                tracing::warn!(
                    method = call.method.name(),
                    error = %failure.error,
                    pause_ms = pause.as_millis(),
                    trace_id = format_args!("{:032x}", call.context.trace_id),
                    "wallet call is tried again"
                );
            })
            .await;
        result.map_err(|TryFailure { error, .. }| match (error.outcome(), unknown) {
            // The last try had no effect, but one before it may have had.
            (CallOutcome::NotExecuted, Some(unknown)) => unknown,
            _ => error,
        })
    }

    /// Pauses that double up to the longest, each between half of itself and itself.
    ///
    /// The crate adds up to as much again to each pause, so it is given the halves.
    fn backoff(&self, retries: Option<u32>) -> ExponentialBuilder {
        let retries = retries.unwrap_or(self.retry.retries).min(RETRIES_MAX);
        ExponentialBuilder::new()
            .with_factor(2.0)
            .with_min_delay(self.retry.wait / 2)
            .with_max_delay(self.retry.wait_max / 2)
            .with_max_times(retries as usize)
            .with_jitter()
    }

    async fn try_once<T, F>(&self, call: Call, attempt: &impl Fn() -> F) -> Result<T, TryFailure>
    where
        F: Future<Output = Result<T, TryFailure>>,
    {
        let permit = match &self.breaker {
            None => None,
            // Another try would come to the same: the breaker stays open longer than a call lasts.
            Some(breaker) => Some(breaker.admit().map_err(TryFailure::last)?),
        };
        if let Some(rate) = &self.rate {
            rate.wait(call.deadline()).await.map_err(TryFailure::last)?;
        }
        // Nothing was sent, but an earlier try may have had its effect.
        if call.deadline() <= Instant::now() {
            return Err(TryFailure::last(WalletError::Timeout));
        }
        let within_deadline = timeout_at(call.deadline(), timeout(call.timeout, attempt()));
        let result = match within_deadline.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(WalletError::Timeout.into()),
            Err(_) => Err(TryFailure::last(WalletError::Timeout)),
        };
        if let Some(permit) = permit {
            let failure = result.as_ref().err();
            permit.record(failure.is_some_and(|failure| is_failure_of_the_wallet(&failure.error)));
        }
        result
    }
}

/// Whether a try speaks against the wallet as a whole. A refusal does not, whatever it refuses:
/// otherwise users without money would lock out all others.
fn is_failure_of_the_wallet(error: &WalletError) -> bool {
    error.outcome() == CallOutcome::Unknown || *error == WalletError::WalletServiceDown
}

/// How long to wait before the next try; `None` if it would begin after the deadline.
fn pause(error: &WalletError, step: Duration, deadline: Instant) -> Option<Duration> {
    let pause = match error {
        WalletError::RateLimited { retry_after: Some(wish) } => step.max(*wish),
        _ => step,
    };
    (pause < deadline.saturating_duration_since(Instant::now())).then_some(pause)
}

#[cfg(test)]
mod tests;
