//! Owns what a benchmark on a tape is asked, and what all of them report.
//! Knows nothing of what runs the tape. Invariant: the yardstick is the slow books of the same run.

use std::path::PathBuf;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::format::Tape;
use super::judge::Verdict;
use crate::report::{self, Latency};
use crate::timer::Timer;

#[derive(Debug, clap::Args)]
pub(crate) struct TapeArgs {
    /// Tape to run (see `bench tape`).
    #[arg(long)]
    pub(crate) tape: PathBuf,
    /// Timed passes over the tape; the median is reported.
    #[arg(long, default_value_t = 5)]
    pub(crate) passes: usize,
    /// Print one JSON object as the last line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What was measured on a tape.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    tape: String,
    instruments: u16,
    commands: usize,
    /// Of the median pass; prefill not counted.
    ops_per_second: u64,
    /// All passes, in order.
    passes: Vec<u64>,
    /// Per command, from a pass of its own; the cost of timing is taken off.
    latency_ns: Latency,
    /// What was read around each command, what that costs, and how finely it counts.
    timer: &'static str,
    timer_ns: u64,
    timer_step_ns: u64,
    trades: u64,
    volume: u64,
    notional: u64,
    live_orders: u64,
    /// The slow books, which know no money, on the same commands in the same run.
    slow_ops_per_second: u64,
    ratio_to_slow: f64,
}

impl Figures {
    pub(crate) fn new(
        args: &TapeArgs,
        tape: &Tape,
        verdict: &Verdict,
        passes: Vec<u64>,
        timer: &Timer,
        latencies: &Histogram<u64>,
    ) -> Self {
        let ops_per_second = report::median(&passes);
        let expected = verdict.summary();
        Self {
            tape: args.tape.display().to_string(),
            instruments: tape.instruments,
            commands: tape.records.len() - tape.prefill,
            ops_per_second,
            passes,
            latency_ns: Latency::of(latencies),
            timer: timer.name(),
            timer_ns: timer.cost_ns(),
            timer_step_ns: timer.step_ns(),
            trades: expected.trades,
            volume: expected.volume,
            notional: expected.notional,
            live_orders: expected.live_orders,
            slow_ops_per_second: verdict.ops_per_second,
            ratio_to_slow: report::ratio(ops_per_second, verdict.ops_per_second),
        }
    }
}
