//! Owns `bench tape`: writes `NAME.tape` and `NAME.oracle.txt`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::tape;
use crate::tape::flow::{Flow, PRESETS, preset};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kind of flow: small (1,000 resting orders), deep (100,000), ecmix (82 % moves), flash (a mid
    /// that crashes over 60,000 ticks and is back), many (200 instruments).
    preset: String,
    /// Folder to write to.
    #[arg(long, default_value = "bench/tapes")]
    out: PathBuf,
    /// Name of the files; the preset's name unless given.
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    seed: Option<u64>,
    /// Commands after the prefill.
    #[arg(long)]
    commands: Option<usize>,
    /// Resting orders aimed at, of each instrument.
    #[arg(long)]
    orders: Option<usize>,
}

#[expect(clippy::print_stdout, reason = "the oracle is the program's output")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let base = preset(&args.preset)
        .with_context(|| format!("unknown preset {}: {}", args.preset, PRESETS.join(", ")))?;
    let flow = Flow {
        seed: args.seed.unwrap_or(base.seed),
        commands: args.commands.unwrap_or(base.commands),
        orders: args.orders.unwrap_or(base.orders),
        ..base
    };
    let name = args.name.as_ref().unwrap_or(&args.preset);
    let summary = tape::write(&flow, &args.out, name)?;
    print!("{}", summary.to_text());
    Ok(())
}
