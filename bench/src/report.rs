//! Owns how figures are taken and shown: rates, percentiles, the one JSON line.
//! Knows nothing of what is measured.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

/// Percentiles of a latency, nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    p9999: u64,
    max: u64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }
}

/// 1 ns to 60 s at three digits; never grows, so recording never allocates.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Operations per second.
pub(crate) fn rate(operations: usize, taken: Duration) -> u64 {
    let per_second = operations as u128 * 1_000_000_000 / taken.as_nanos().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people to read")]
pub(crate) fn ratio(value: u64, to: u64) -> f64 {
    (value as f64 / to.max(1) as f64 * 100.0).round() / 100.0
}

/// Cost of reading the clock twice, median of many, nanoseconds.
pub(crate) fn timer_ns() -> u64 {
    let samples: Vec<u64> = (0..10_001).map(|_| nanos(Instant::now().elapsed())).collect();
    median(&samples)
}

/// Prints a report: one line of JSON, or indented for reading.
#[expect(clippy::print_stdout, reason = "the report is the program's output")]
pub(crate) fn print(report: &impl Serialize, json: bool) -> Result<()> {
    let text =
        if json { serde_json::to_string(report)? } else { serde_json::to_string_pretty(report)? };
    println!("{text}");
    Ok(())
}
