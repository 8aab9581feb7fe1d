//! Owns the writing of progress: when, what waits for it, and what a failure means.
//! Knows nothing of trades. Invariant: one save is under way at a time, work goes on meanwhile, and
//! whoever waits for the file is told after a save that began later than the change.

use journal::{JournalError, fail_point};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use super::{Halt, Worker};
use crate::dead_letters::bounded;
use crate::desk::DeskError;
use crate::limits::{REASON_BYTES_MAX, SAVE_EVERY};
use crate::progress::ProgressFile;

/// Who waits for a change to be in the file.
pub(super) type Owed = oneshot::Sender<Result<(), DeskError>>;

type Saved = (ProgressFile, Result<(), JournalError>);

/// A save under way.
pub(super) struct Saving {
    writer: JoinHandle<Saved>,
    owed: Vec<Owed>,
}

/// The end of a save; never, if none is under way.
pub(super) async fn ended(saving: &mut Option<Saving>) -> Result<Saved, JoinError> {
    match saving {
        Some(saving) => (&mut saving.writer).await,
        None => std::future::pending().await,
    }
}

impl Worker {
    /// Begins a save if something has changed, and it is time or somebody waits for it.
    pub(super) fn save_if_due(&mut self) {
        let is_urgent = !self.owed.is_empty() && !self.lacks_space;
        let is_due = is_urgent || self.saved_at.elapsed() >= SAVE_EVERY;
        if self.unsaved && is_due {
            self.begin_save();
        }
    }

    fn begin_save(&mut self) {
        let Some(mut file) = self.file.take() else { return };
        self.unsaved = false;
        let progress = self.board.progress();
        let writer = tokio::task::spawn_blocking(move || {
            fail_point::hit("settlement-before-save");
            let saved = file.save(&progress);
            fail_point::hit("settlement-saved");
            (file, saved)
        });
        self.saving = Some(Saving { writer, owed: std::mem::take(&mut self.owed) });
    }

    pub(super) fn end_save(&mut self, ended: Result<Saved, JoinError>) -> Result<(), Halt> {
        let owed = self.saving.take().map(|saving| saving.owed).unwrap_or_default();
        self.saved_at = tokio::time::Instant::now();
        let (file, saved) = ended.map_err(|error| Halt(error.to_string()))?;
        self.file = Some(file);
        self.lacks_space = matches!(saved, Err(JournalError::Full { .. }));
        if self.lacks_space {
            // That heals. What is not in the file is done again after a start, and does nothing.
            tracing::error!("no space for the progress of settlement");
            self.unsaved = true;
            self.owed.splice(..0, owed);
            return Ok(());
        }
        // Nobody who waits is answered: that the change is lost is what a stop means.
        saved.map_err(|error| Halt(bounded(&error.to_string(), REASON_BYTES_MAX)))?;
        for reply in owed {
            // Whoever asked may have gone.
            let _ = reply.send(Ok(()));
        }
        Ok(())
    }

    /// Saves what is known, after the save that is under way.
    pub(super) async fn save_now(&mut self) -> Result<(), Halt> {
        if self.saving.is_some() {
            let ended = ended(&mut self.saving).await;
            self.end_save(ended)?;
        }
        self.begin_save();
        if self.saving.is_some() {
            let ended = ended(&mut self.saving).await;
            self.end_save(ended)?;
        }
        Ok(())
    }
}
