//! The exchange, as a process that ends in the place that its environment names. Knows nothing but
//! that: everything else is the gateway's. Invariant: without that name it is the binary
//! `matchring`, but for how it is built.

use std::process::ExitCode;

use clap::Parser;
use gateway::cli::Cli;
use journal::fail_point;
use tests::app::PLACE_VARIABLE;
use tests::report::say;

fn main() -> ExitCode {
    if let Ok(place) = std::env::var(PLACE_VARIABLE) {
        let (name, nth) = place.split_once(':').expect("a name and a number");
        fail_point::arm(name, nth.parse().expect("a number"));
    }
    let Err(error) = Cli::parse().run() else { return ExitCode::SUCCESS };
    say(&format!("matchring: {error}"));
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX))
}
