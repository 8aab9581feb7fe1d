//! Owns the command line of the benchmarks. Each subcommand is a file of its own, checks its own
//! answer, exits non-zero when it is wrong, and prints one JSON object as its last line.

mod book;
mod pipeline;
mod report;
mod tape;
mod tape_command;
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
    /// The whole path of a command, from the ring to the reply.
    Pipeline(pipeline::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().bench {
        Bench::Tape(args) => tape_command::run(&args),
        Bench::Book(args) => book::run(&args),
        Bench::Pipeline(args) => pipeline::run(&args),
    }
}
