//! Owns the end of the process when going on would be wrong. Knows nothing of recovery.
//! Invariant: nothing is acknowledged after a stage has failed; the restart replays the journal.

use std::fmt::Display;
use std::io::Write;
use std::process;
use std::thread;

use journal::JournalError;

/// First local of a stage thread: a panic that unwinds through it ends the process at once.
#[derive(Debug)]
pub(crate) struct AbortOnPanic {
    stage: &'static str,
}

impl AbortOnPanic {
    pub(crate) const fn new(stage: &'static str) -> Self {
        Self { stage }
    }
}

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            fatal(self.stage, &"panicked");
        }
    }
}

/// Says why on standard error and aborts. Used for panics and for failed writes, which are never
/// retried: after one failed sync a second may report success for bytes that are lost.
pub(crate) fn fatal(stage: &'static str, cause: &dyn Display) -> ! {
    // In one piece: other threads write there, too. Nothing can be done about a failure to write.
    let message = format!("fatal: stage {stage}: {cause}; aborting\n");
    let _ = std::io::stderr().write_all(message.as_bytes());
    process::abort();
}

/// What a log answered, or the end of the process: a failed write is never tried again.
pub(crate) fn or_abort<T>(stage: &'static str, outcome: Result<T, JournalError>) -> T {
    outcome.unwrap_or_else(|error| fatal(stage, &error))
}
