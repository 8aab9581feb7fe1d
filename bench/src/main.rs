//! Owns the command line of the benchmarks. Each subcommand is a file of its own, checks its own
//! answer, exits non-zero when it is wrong, and prints one JSON object as its last line.

mod bank;
mod book;
mod engine;
mod feed;
mod funding;
mod heap;
mod journal;
mod load;
mod pipeline;
mod place;
mod postgres;
mod process;
mod replay;
mod report;
mod settlement;
mod soak;
mod tape;
mod tape_command;
mod timer;
mod wallet;
mod workload;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about = "Benchmarks of the Matchring exchange")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Make an order tape with its oracle.
    Tape(tape_command::Args),
    /// The order book alone on a tape.
    Book(book::Args),
    /// The whole engine on a tape: checks, holds, fees, events.
    Engine(engine::Args),
    /// The whole path of a command, from the ring to the reply.
    Pipeline(pipeline::Args),
    /// The log alone: records appended, and groups made durable.
    Journal(journal::Args),
    /// A journal back to a state, and starts with and without a snapshot.
    Replay(replay::Args),
    /// From trades to settled trades, with a durable wallet in this process.
    Settlement(settlement::Args),
    /// From a deposit to money that can trade, and what reserving for each order costs.
    Funding(funding::Args),
    /// The wallet process over HTTP, and the same money moved by PostgreSQL.
    Wallet(wallet::Args),
    /// The real processes under load while they are killed and started, and what must hold.
    Soak(soak::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().bench {
        Bench::Tape(args) => tape_command::run(&args),
        Bench::Book(args) => book::run(&args),
        Bench::Engine(args) => engine::run(&args),
        Bench::Pipeline(args) => pipeline::run(&args),
        Bench::Journal(args) => journal::run(&args),
        Bench::Replay(args) => replay::run(&args),
        Bench::Settlement(args) => settlement::run(&args),
        Bench::Funding(args) => funding::run(&args),
        Bench::Wallet(args) => wallet::run(&args),
        Bench::Soak(args) => soak::run(&args),
    }
}
