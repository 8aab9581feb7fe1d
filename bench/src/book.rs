//! Owns `bench book`: the order book alone, one thread, a tape in memory, events made and read.
//! Knows nothing of accounts or money. It answers for its result: trades, volume, notional, and the
//! hashes of all trades and of the final book must equal the slow book's in the same run.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use engine::book_side::is_within;
use engine::order::{Order, OrderHandle, OrderSlab};
use engine::order_book::OrderBook;
use engine::order_index::OrderIndex;
use engine::{OrderId, Price, Quantity, Side};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::report::{self, Latency};
use crate::tape;
use crate::tape::format::{Kind, Record, Tape, TapeSide};
use crate::tape::oracle::{SlowBook, Summary};

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
    /// Per command, from a pass of its own; the cost of reading the clock is taken off.
    latency_ns: Latency,
    timer_ns: u64,
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
    let timer_ns = report::timer_ns();
    let latencies = latency_pass(&tape, timer_ns)?;
    let ops_per_second = report::median(&passes);
    let report = Report {
        bench: "book",
        tape: args.tape.display().to_string(),
        commands: tape.records.len() - tape.prefill,
        ops_per_second,
        passes,
        latency_ns: Latency::of(&latencies),
        timer_ns,
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

fn latency_pass(tape: &Tape, timer_ns: u64) -> Result<Histogram<u64>> {
    let mut bare = BareBook::new();
    let mut histogram = report::histogram()?;
    let (prefill, measured) = tape.records.split_at(tape.prefill);
    prefill.iter().for_each(|record| bare.step(record));
    for record in measured {
        let start = Instant::now();
        bare.step(black_box(record));
        let taken = report::nanos(start.elapsed()).saturating_sub(timer_ns);
        histogram.saturating_record(taken.max(1));
    }
    Ok(histogram)
}

/// One execution, as small as a consumer of a bare book needs it.
#[derive(Clone, Copy)]
struct Execution {
    maker: u64,
    taker: u64,
    price: i64,
    quantity: u64,
}

/// The book's structures with the thinnest policy around them: price-time, maker's price.
struct BareBook {
    book: OrderBook,
    orders: OrderSlab,
    index: OrderIndex,
    executions: Vec<Execution>,
    totals: Summary,
}

impl BareBook {
    fn new() -> Self {
        Self {
            book: OrderBook::default(),
            orders: OrderSlab::default(),
            index: OrderIndex::default(),
            executions: Vec::with_capacity(1_024),
            totals: Summary::new(),
        }
    }

    /// Applies one command, then reads what it made.
    #[inline]
    fn step(&mut self, record: &Record) {
        self.executions.clear();
        self.apply(record);
        for execution in &self.executions {
            let price = execution.price.unsigned_abs();
            self.totals.trade(execution.maker, execution.taker, price, execution.quantity);
        }
    }

    #[inline]
    fn apply(&mut self, record: &Record) {
        match record.kind {
            Kind::NewGtc => {
                let order = incoming(record);
                let left = self.take(&order);
                if left > Quantity(0) {
                    let order = Order { open: left, ..order };
                    let handle = self.orders.insert(order);
                    self.index.insert(&self.orders, handle);
                    self.book.add(&mut self.orders, handle);
                }
            }
            Kind::NewIoc => {
                self.take(&incoming(record));
            }
            Kind::Cancel => {
                let handle = self.find(record.id);
                self.book.remove(&mut self.orders, handle);
                self.forget(handle);
            }
            Kind::Move => {
                let handle = self.find(record.id);
                self.book.remove(&mut self.orders, handle);
                let moved =
                    Order { price: Price(i64::from(record.price)), ..*self.orders.get(handle) };
                let left = self.take(&moved);
                if left == Quantity(0) {
                    self.forget(handle);
                } else {
                    *self.orders.get_mut(handle) = Order { open: left, ..moved };
                    self.book.add(&mut self.orders, handle);
                }
            }
            Kind::Reduce => {
                let handle = self.find(record.id);
                let by = Quantity(u64::from(record.quantity));
                self.book.reduce(&mut self.orders, handle, by);
            }
        }
    }

    fn find(&self, id: u64) -> OrderHandle {
        self.index.get(&self.orders, OrderId(id)).expect("the tape names live orders")
    }

    fn forget(&mut self, handle: OrderHandle) {
        self.index.remove(&self.orders, handle);
        self.orders.remove(handle);
    }

    /// Matches an order that is in no level; gives what is left of it.
    #[inline]
    fn take(&mut self, taker: &Order) -> Quantity {
        let mut left = taker.open;
        while left > Quantity(0) {
            let Some(level) = self.book.best(taker.side.opposite()) else { break };
            let (price, maker) = (level.price, level.first);
            if !is_within(taker.side, taker.price, price) {
                break;
            }
            let made = self.orders.get(maker);
            let quantity = left.min(made.open);
            let filled = quantity == made.open;
            self.executions.push(Execution {
                maker: made.id.0,
                taker: taker.id.0,
                price: price.0,
                quantity: quantity.0,
            });
            left.0 -= quantity.0;
            if filled {
                self.book.remove(&mut self.orders, maker);
                self.forget(maker);
            } else {
                self.book.reduce(&mut self.orders, maker, quantity);
            }
        }
        left
    }

    fn summary(&self) -> Summary {
        let mut summary = self.totals.clone();
        for (side, tape_side) in [(Side::Buy, TapeSide::Bid), (Side::Sell, TapeSide::Ask)] {
            for level in self.book.side(side).levels() {
                for (_, order) in self.book.queue(&self.orders, level) {
                    let price = order.price.0.unsigned_abs();
                    summary.rests(tape_side, price, order.id.0, order.open.0);
                }
            }
        }
        summary
    }
}

#[inline]
fn incoming(record: &Record) -> Order {
    Order {
        id: OrderId(record.id),
        price: Price(i64::from(record.price)),
        open: Quantity(u64::from(record.quantity)),
        side: match record.side {
            TapeSide::Bid => Side::Buy,
            TapeSide::Ask => Side::Sell,
        },
        ..Order::default()
    }
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
