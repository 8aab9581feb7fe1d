//! Owns the saving of a follower's state while it works: when, and what a failure means.
//! Knows nothing of what is in it. Invariant: the file is behind what was done and never ahead of
//! it, and whoever has lost it to somebody else never writes it again.

use journal::{JournalError, StateFile, fail_point};
use tokio::time::Instant;

use crate::limits::SAVE_EVERY;

/// A state file, and whether it is behind.
#[derive(Debug)]
pub(crate) struct Saved {
    /// What it is called in the log.
    what: &'static str,
    /// Gone when somebody else has taken it over.
    file: Option<StateFile>,
    behind: bool,
    at: Instant,
}

impl Saved {
    pub(crate) fn new(what: &'static str, file: StateFile) -> Self {
        Self { what, file: Some(file), behind: false, at: Instant::now() }
    }

    /// Whether it is still this process's.
    pub(crate) fn is_ours(&self) -> bool {
        self.file.is_some()
    }

    /// Something has changed.
    pub(crate) fn changed(&mut self) {
        self.behind = true;
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    pub(crate) fn is_due(&self) -> bool {
        self.behind && self.at.elapsed() >= SAVE_EVERY
    }

    /// Replaces the file's body. What is not saved is done again after the next start.
    pub(crate) async fn save(&mut self, body: Vec<u8>) {
        let Some(mut file) = self.file.take() else { return };
        let saved = tokio::task::spawn_blocking(move || {
            fail_point::hit("cursor-before-save");
            let saved = file.save(&body);
            fail_point::hit("cursor-saved");
            (file, saved)
        });
        let (saved, what) = (saved.await, self.what);
        self.at = Instant::now();
        match saved {
            Ok((file, Ok(()))) => {
                self.file = Some(file);
                self.behind = false;
            }
            Ok((_, Err(error @ JournalError::Locked { .. }))) => {
                tracing::error!(%error, what, "ends: somebody else has taken it over");
            }
            Ok((file, Err(error))) => {
                tracing::error!(%error, what, "the cursor is not saved");
                self.file = Some(file);
            }
            Err(error) => tracing::error!(%error, what, "ends: its cursor cannot be saved"),
        }
    }
}
