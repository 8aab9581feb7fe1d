//! Owns `bench book`: the order book alone, one thread, a tape in memory, events made and read.
//! Knows nothing of accounts or money. It answers for its result: trades, volume, notional, and the
//! hashes of all trades and of the final book must equal the slow book's in the same run.

mod bare;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use self::bare::BareBooks;
use crate::report::{self, Latency};
use crate::tape::format::Tape;
use crate::tape::judge::{self, Verdict};
use crate::tape::oracle::Summary;
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
    /// The slow book on the same commands in the same run.
    slow_ops_per_second: u64,
    ratio_to_slow: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (mut tape, mut verdict) = judge::read(&args.tape)?;
    if tape.instruments > 1 {
        // Ids of several instruments meet in one index.
        tape.number_across_instruments();
        verdict = Verdict::of(&tape);
    }
    let mut passes = Vec::new();
    for _ in 0..args.passes.max(1) {
        let (rate, made) = timed_pass(&tape);
        verdict.check(&made)?;
        passes.push(rate);
    }
    let timer = Timer::new();
    let latencies = latency_pass(&tape, &timer)?;
    let ops_per_second = report::median(&passes);
    let expected = verdict.summary();
    let report = Report {
        bench: "book",
        tape: args.tape.display().to_string(),
        instruments: tape.instruments,
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
        slow_ops_per_second: verdict.ops_per_second,
        ratio_to_slow: report::ratio(ops_per_second, verdict.ops_per_second),
    };
    report::print(&report, args.json)
}

/// Bare books that the prefill of a tape has built.
fn prefilled(tape: &Tape) -> BareBooks {
    let mut books = BareBooks::new(tape.instruments);
    tape.records[..tape.prefill].iter().for_each(|record| books.step(record));
    books
}

fn timed_pass(tape: &Tape) -> (u64, Vec<Summary>) {
    let mut books = prefilled(tape);
    let measured = &tape.records[tape.prefill..];
    let start = Instant::now();
    for record in measured {
        books.step(record);
    }
    let rate = report::rate(measured.len(), start.elapsed());
    (rate, books.summaries())
}

fn latency_pass(tape: &Tape, timer: &Timer) -> Result<Histogram<u64>> {
    let mut books = prefilled(tape);
    let mut histogram = report::histogram()?;
    for record in &tape.records[tape.prefill..] {
        timer.record(&mut histogram, || books.step(black_box(record)));
    }
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::flow::{Flow, PRESETS, preset};
    use crate::tape::generator::generate;

    #[test]
    fn the_book_agrees_with_the_slow_one_on_every_kind_of_flow() {
        for name in PRESETS {
            let flow = preset(name).unwrap();
            let (instruments, orders) = if flow.instruments == 1 { (1, 2_000) } else { (5, 100) };
            let flow = Flow { commands: 30_000, orders, instruments, ..flow };
            let (mut tape, _) = generate(&flow);
            tape.number_across_instruments();
            assert_eq!(timed_pass(&tape).1, Verdict::of(&tape).summaries, "{name}");
        }
    }
}
