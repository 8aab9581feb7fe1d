//! Owns `bench book`: the order book alone, one thread, a tape in memory, events made and read.
//! Knows nothing of accounts or money. It answers for its result: trades, volume, notional, and the
//! hashes of all trades and of the final book must equal the slow book's in the same run. So must
//! those of the prototype, the yardstick that runs beside it.

mod bare;
mod prototype;

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use self::bare::BareBooks;
use self::prototype::{PrototypeBooks, Room};
use crate::report::{self, Latency};
use crate::tape::figures::{Figures, TapeArgs};
use crate::tape::format::{Record, Tape};
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
    /// The prototype on the same commands in the same run: the median of as many passes, each right
    /// after one of the book's.
    prototype_ops_per_second: u64,
    ratio_to_prototype: f64,
    /// Taken as `latency_ns` is.
    prototype_latency_ns: Latency,
}

/// The books of a tape that trade, and add up what they trade.
trait Books {
    /// Applies one command, then reads what it made.
    fn step(&mut self, record: &Record);

    /// Of each instrument.
    fn summaries(&self) -> Vec<Summary>;
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (mut tape, mut verdict) = judge::read(&args.on.tape)?;
    if tape.instruments > 1 {
        // Ids of several instruments meet in one index.
        tape.number_across_instruments();
        verdict = Verdict::of(&tape);
    }
    let room = Room::of(&tape);
    let (mut passes, mut prototype_passes) = (Vec::new(), Vec::new());
    for _ in 0..args.on.passes.max(1) {
        passes.push(timed_pass(&tape, BareBooks::new(tape.instruments), &verdict)?);
        prototype_passes.push(timed_pass(&tape, PrototypeBooks::new(room), &verdict)?);
    }
    let timer = Timer::new();
    let latencies = latency_pass(&tape, BareBooks::new(tape.instruments), &timer)?;
    let prototype_latencies = latency_pass(&tape, PrototypeBooks::new(room), &timer)?;
    let prototype_ops_per_second = report::median(&prototype_passes);
    let report = Report {
        bench: "book",
        ratio_to_prototype: report::ratio(report::median(&passes), prototype_ops_per_second),
        figures: Figures::new(&args.on, &tape, &verdict, passes, &timer, &latencies),
        prototype_ops_per_second,
        prototype_latency_ns: Latency::of(&prototype_latencies),
    };
    report::print(&report, args.on.json)
}

/// Applies the prefill of a tape, and gives the rest.
fn prefill<'a>(tape: &'a Tape, books: &mut impl Books) -> &'a [Record] {
    let (prefill, measured) = tape.records.split_at(tape.prefill);
    prefill.iter().for_each(|record| books.step(record));
    measured
}

/// Commands per second of empty books that come to what the slow ones do.
fn timed_pass(tape: &Tape, mut books: impl Books, verdict: &Verdict) -> Result<u64> {
    let measured = prefill(tape, &mut books);
    let start = Instant::now();
    for record in measured {
        books.step(record);
    }
    let rate = report::rate(measured.len(), start.elapsed());
    verdict.check(&books.summaries())?;
    Ok(rate)
}

fn latency_pass(tape: &Tape, mut books: impl Books, timer: &Timer) -> Result<Histogram<u64>> {
    let measured = prefill(tape, &mut books);
    let mut histogram = report::histogram()?;
    for record in measured {
        timer.record(&mut histogram, || books.step(black_box(record)));
    }
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::flow::{Flow, PRESETS, preset};
    use crate::tape::generator::generate;

    /// A short tape of a preset, and what is right for it.
    fn judged(name: &str) -> (Tape, Verdict) {
        let flow = preset(name).unwrap();
        let (instruments, orders) = if flow.instruments == 1 { (1, 2_000) } else { (5, 100) };
        let (mut tape, _) = generate(&Flow { commands: 30_000, orders, instruments, ..flow });
        tape.number_across_instruments();
        let verdict = Verdict::of(&tape);
        (tape, verdict)
    }

    #[test]
    fn the_book_agrees_with_the_slow_one_on_every_kind_of_flow() {
        for name in PRESETS {
            let (tape, verdict) = judged(name);
            let made = timed_pass(&tape, BareBooks::new(tape.instruments), &verdict);
            made.unwrap_or_else(|difference| panic!("{name}: {difference}"));
        }
    }

    #[test]
    fn the_prototype_agrees_with_the_slow_book_on_every_kind_of_flow() {
        for name in PRESETS {
            let (tape, verdict) = judged(name);
            let made = timed_pass(&tape, PrototypeBooks::new(Room::of(&tape)), &verdict);
            made.unwrap_or_else(|difference| panic!("{name}: {difference}"));
        }
    }
}
