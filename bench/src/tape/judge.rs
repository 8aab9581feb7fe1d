//! Owns what a right book makes of a tape, and how fast the slow books make it.
//! Knows nothing of the engine. Invariant: a tape whose oracle file says something else is refused.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::format::Tape;
use super::oracle::{SlowBooks, Summary};
use crate::report;

/// What the slow books made of a tape.
pub(crate) struct Verdict {
    /// Of each instrument.
    pub(crate) summaries: Vec<Summary>,
    /// Without the prefill.
    pub(crate) ops_per_second: u64,
}

impl Verdict {
    pub(crate) fn of(tape: &Tape) -> Self {
        let mut slow = SlowBooks::new(tape.instruments);
        let (prefill, measured) = tape.records.split_at(tape.prefill);
        prefill.iter().for_each(|record| slow.apply(record));
        let start = Instant::now();
        measured.iter().for_each(|record| slow.apply(record));
        let ops_per_second = report::rate(measured.len(), start.elapsed());
        Self { summaries: slow.summaries(), ops_per_second }
    }

    /// Of the whole tape.
    pub(crate) fn summary(&self) -> Summary {
        Summary::combined(&self.summaries)
    }

    /// Refuses any other result.
    ///
    /// # Errors
    /// If `made` differs for any instrument: the first one is shown.
    pub(crate) fn check(&self, made: &[Summary]) -> Result<()> {
        ensure!(made.len() == self.summaries.len(), "results of {} instruments", made.len());
        for (instrument, (made, expected)) in made.iter().zip(&self.summaries).enumerate() {
            ensure!(
                made == expected,
                "wrong result for instrument {instrument}\n{}expected\n{}",
                made.to_text(),
                expected.to_text()
            );
        }
        Ok(())
    }
}

/// Reads a tape and judges it.
///
/// # Errors
/// If it cannot be read, or if the oracle file beside it disagrees with the slow books.
pub(crate) fn read(path: &Path) -> Result<(Tape, Verdict)> {
    let tape = super::read(path)?;
    let verdict = Verdict::of(&tape);
    let written = super::written_oracle(path);
    if let Some(contradiction) = written.and_then(|text| verdict.summary().contradiction(&text)) {
        anyhow::bail!(
            "the oracle file beside the tape disagrees with the slow book: {contradiction}"
        );
    }
    Ok((tape, verdict))
}
