//! Owns how a start tells how far it has come. Knows nothing of who is told, or how it is shown.
//! Invariant: being listened to changes nothing of what is replayed.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use journal::JournalError;

use crate::limits::PROGRESS_EVERY;

/// How far a replay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Last input replayed.
    pub sequence: u64,
    /// About where the journal ends. Equal to `sequence` once, when it is over.
    pub until: u64,
    /// Inputs replayed by this start: what a snapshot holds is none.
    pub replayed: u64,
}

/// Whoever wants to be told.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(Progress) + Send + Sync>);

impl Listener {
    pub fn new(listen: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// Counts inputs, and tells now and then.
#[derive(Debug)]
pub(crate) struct Telling<'a> {
    listener: Option<&'a Listener>,
    until: u64,
    replayed: u64,
}

impl<'a> Telling<'a> {
    /// Of a replay of the log in `dir`, which is looked at only for somebody who listens.
    pub(crate) fn new(listener: Option<&'a Listener>, dir: &Path) -> Result<Self, JournalError> {
        let until = listener.map_or(Ok(0), |_| journal::newest_sequence(dir))?;
        Ok(Self { listener, until, replayed: 0 })
    }

    /// One more input was replayed.
    pub(crate) fn replayed(&mut self, sequence: u64) {
        self.replayed += 1;
        if self.replayed.is_multiple_of(PROGRESS_EVERY) {
            // What is known of the end is not verified; the end itself is told only once.
            self.tell(sequence, self.until.max(sequence + 1));
        }
    }

    pub(crate) fn over(&self, sequence: u64) {
        self.tell(sequence, sequence);
    }

    fn tell(&self, sequence: u64, until: u64) {
        if let Some(Listener(listen)) = self.listener {
            listen(Progress { sequence, until, replayed: self.replayed });
        }
    }
}
