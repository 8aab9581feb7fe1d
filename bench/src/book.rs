//! Owns `bench book`: the order book alone, one thread, a tape in memory, events made and read.
//! Knows nothing of accounts or money. It answers for its result: trades, volume, notional, and the
//! hashes of all trades and of the final book must equal the slow book's in the same run.

mod bare;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

use self::bare::BareBook;
use crate::report::{self, Latency};
use crate::tape;
use crate::tape::format::Tape;
use crate::tape::oracle::{SlowBook, Summary};
use crate::timer::Timer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tape to run (see `bench tape`).
    #[arg(long)]
    tape: PathBuf,
    /// Timed passes over the tape; the median is reported.
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    tape: String,
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
    /// The slow book on the same commands in the same run.
    slow_ops_per_second: u64,
    ratio_to_slow: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let tape = tape::read(&args.tape)?;
    let (expected, slow_ops_per_second) = judge(&tape);
    if let Some(contradiction) =
        tape::written_oracle(&args.tape).and_then(|text| expected.contradiction(&text))
    {
        anyhow::bail!(
            "the oracle file beside the tape disagrees with the slow book: {contradiction}"
        );
    }
    let mut passes = Vec::new();
    for _ in 0..args.passes.max(1) {
        let (rate, summary) = timed_pass(&tape);
        ensure!(
            summary == expected,
            "wrong result\n{}expected\n{}",
            summary.to_text(),
            expected.to_text()
        );
        passes.push(rate);
    }
    let timer = Timer::new();
    let latencies = latency_pass(&tape, &timer)?;
    let ops_per_second = report::median(&passes);
    let report = Report {
        bench: "book",
        tape: args.tape.display().to_string(),
        commands: tape.records.len() - tape.prefill,
        ops_per_second,
        passes,
        latency_ns: Latency::of(&latencies),
        timer: timer.name(),
        timer_ns: timer.cost_ns(),
        timer_step_ns: timer.step_ns(),
        trades: expected.trades,
        volume: expected.volume,
        notional: expected.notional,
        live_orders: expected.live_orders,
        slow_ops_per_second,
        ratio_to_slow: report::ratio(ops_per_second, slow_ops_per_second),
    };
    report::print(&report, args.json)
}

/// What the tape comes to, and how fast the slow book gets there.
fn judge(tape: &Tape) -> (Summary, u64) {
    let mut slow = SlowBook::new();
    let (prefill, measured) = tape.records.split_at(tape.prefill);
    prefill.iter().for_each(|record| slow.apply(record));
    let start = Instant::now();
    measured.iter().for_each(|record| slow.apply(record));
    (slow.summary(), report::rate(measured.len(), start.elapsed()))
}

fn timed_pass(tape: &Tape) -> (u64, Summary) {
    let mut bare = BareBook::new();
    let (prefill, measured) = tape.records.split_at(tape.prefill);
    prefill.iter().for_each(|record| bare.step(record));
    let start = Instant::now();
    for record in measured {
        bare.step(record);
    }
    let rate = report::rate(measured.len(), start.elapsed());
    (rate, bare.summary())
}

fn latency_pass(tape: &Tape, timer: &Timer) -> Result<Histogram<u64>> {
    let mut bare = BareBook::new();
    let mut histogram = report::histogram()?;
    let (prefill, measured) = tape.records.split_at(tape.prefill);
    prefill.iter().for_each(|record| bare.step(record));
    for record in measured {
        timer.record(&mut histogram, || bare.step(black_box(record)));
    }
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::generator::{Flow, generate, preset};

    #[test]
    fn the_book_agrees_with_the_slow_one_on_every_kind_of_flow() {
        for name in ["small", "deep", "ecmix"] {
            let flow = Flow { commands: 30_000, orders: 2_000, ..preset(name).unwrap() };
            let (tape, slow) = generate(&flow);
            assert_eq!(timed_pass(&tape).1, slow.summary(), "{name}");
        }
    }
}
