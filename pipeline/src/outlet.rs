//! Owns the contract of whoever is fed with released events in this process.
//! Knows nothing of views and streams. Invariant: every command is shown once, in order; those
//! before a snapshot are shown by the section that was saved with it.

use engine::{Frame, RestoreError, StateMachine};

/// Fed by the publisher, and by recovery with what it replays, so that it can rebuild itself.
///
/// Runs on the publisher's thread: whatever takes long here delays every reply. A panic ends the
/// process.
pub trait Outlet<S: StateMachine>: Send {
    /// One released command with all its events, in order; also when it has none.
    fn publish(&mut self, frame: &Frame<S::Command>, events: &[S::Event]);

    /// After the last command of a batch: the moment to swap views and wake readers. `acked` is the
    /// sequence up to which everything was shown.
    fn batch_end(&mut self, acked: u64) {
        let _ = acked;
    }

    /// Name of what it keeps in a snapshot, no other outlet's of its pipeline; `None` if a start
    /// that shows it nothing before the snapshot leaves out nothing that anybody would miss.
    fn section(&self) -> Option<&'static str>;

    /// Appends all that it keeps: after the same commands the same bytes, wherever the process
    /// began, and enough for [`Self::restore`].
    fn save(&self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// Takes what [`Self::save`] wrote; called once, before anything is shown.
    ///
    /// # Errors
    /// The bytes are not what `save` writes; the outlet may be dropped, and nothing else.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let _ = bytes;
        Ok(())
    }
}
