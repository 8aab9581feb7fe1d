//! The binary `matchring`. Knows nothing but how to start and how to say why it ends.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use gateway::cli::Cli;

#[global_allocator]
static ALLOCATOR: pipeline::HugePages<mimalloc::MiMalloc> = pipeline::HugePages(mimalloc::MiMalloc);

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if not even this can be written.
            let _ = writeln!(io::stderr(), "matchring: {error}");
            let status = u8::try_from(error.exit_code()).unwrap_or(u8::MAX);
            ExitCode::from(status)
        }
    }
}
