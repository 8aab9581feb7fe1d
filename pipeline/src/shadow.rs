//! Owns a second machine that follows the journal of the first one, at its own pace.
//! Knows nothing of threads; only reads. Invariant: at a sequence its state is what the live
//! machine had there, or one of the two is wrong.

use std::path::Path;

use engine::{Frame, StateMachine};
use journal::JournalReader;

use crate::error::PipelineError;
use crate::options::journal_dir;
use crate::recovery::Replay;

/// A machine behind the live one.
pub struct Shadow<S: StateMachine> {
    machine: S,
    reader: JournalReader,
    replay: Replay<S>,
}

impl<S: StateMachine> Shadow<S> {
    /// Follows the journal of a data directory, from its beginning, with a fresh `machine`.
    ///
    /// # Errors
    /// The journal is missing, damaged or of another machine.
    pub fn open(data_dir: &Path, machine: S) -> Result<Self, PipelineError> {
        let reader = JournalReader::open(&journal_dir(data_dir), S::MACHINE_ID, 1)?;
        Ok(Self { machine, reader, replay: Replay::new() })
    }

    #[must_use]
    pub fn machine(&self) -> &S {
        &self.machine
    }

    /// Applies every input up to `until`, or to the end of what is stored, and shows each with its
    /// events. Returns the last sequence that was applied.
    ///
    /// # Errors
    /// The journal is damaged, or holds what this build cannot read.
    pub fn advance(
        &mut self,
        until: u64,
        mut each: impl FnMut(&Frame<S::Command>, &[S::Event]),
    ) -> Result<u64, PipelineError> {
        while self.machine.last_sequence() < until {
            let Some(record) = self.reader.next_record()? else { break };
            if let Some((frame, events)) = self.replay.apply(&mut self.machine, &record)? {
                each(&frame, events);
            }
        }
        Ok(self.machine.last_sequence())
    }
}

impl<S: StateMachine> std::fmt::Debug for Shadow<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.machine.last_sequence();
        f.debug_struct("Shadow").field("at", &at).finish_non_exhaustive()
    }
}
