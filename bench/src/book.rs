//! Owns `bench book`: the order book alone, one thread, a tape in memory, events made and read.
//! Knows nothing of accounts or money. It answers for its result: trades, volume, notional, and the
//! hashes of all trades and of the final book must equal the slow book's in the same run.

mod bare;

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use self::bare::BareBooks;
use crate::report;
use crate::tape::figures::{Figures, TapeArgs};
use crate::tape::format::Tape;
use crate::tape::judge::{self, Verdict};
use crate::tape::oracle::Summary;
use crate::timer::Timer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    on: TapeArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    #[serde(flatten)]
    figures: Figures,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (mut tape, mut verdict) = judge::read(&args.on.tape)?;
    if tape.instruments > 1 {
        // Ids of several instruments meet in one index.
        tape.number_across_instruments();
        verdict = Verdict::of(&tape);
    }
    let mut passes = Vec::new();
    for _ in 0..args.on.passes.max(1) {
        let (rate, made) = timed_pass(&tape);
        verdict.check(&made)?;
        passes.push(rate);
    }
    let timer = Timer::new();
    let latencies = latency_pass(&tape, &timer)?;
    let figures = Figures::new(&args.on, &tape, &verdict, passes, &timer, &latencies);
    report::print(&Report { bench: "book", figures }, args.on.json)
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
