//! Owns order tapes: the file format, the generator of order flow, and the oracle that knows what a
//! right book makes of it. Knows nothing of the engine, so that it can judge it.

pub(crate) mod figures;
pub(crate) mod flow;
pub(crate) mod format;
pub(crate) mod generator;
pub(crate) mod judge;
pub(crate) mod numbers;
pub(crate) mod oracle;

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::Path;

use anyhow::{Context, Result};

use flow::Flow;
use format::Tape;
use oracle::Summary;

/// Writes `NAME.tape` and `NAME.oracle.txt` (one `key value` a line) for one kind of flow.
pub(crate) fn write(flow: &Flow, folder: &Path, name: &str) -> Result<Summary> {
    let (tape, books) = generator::generate(flow);
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let path = folder.join(format!("{name}.tape"));
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    tape.write(&mut BufWriter::new(file))?;
    let summary = books.summary();
    fs::write(path.with_extension("oracle.txt"), summary.to_text())?;
    Ok(summary)
}

/// Reads a tape file.
fn read(path: &Path) -> Result<Tape> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    Tape::read(&mut BufReader::new(file)).with_context(|| format!("reading {}", path.display()))
}

/// The oracle that was written beside a tape, if there is one: `trades 123` and so on.
fn written_oracle(path: &Path) -> Option<String> {
    fs::read_to_string(path.with_extension("oracle.txt")).ok()
}
