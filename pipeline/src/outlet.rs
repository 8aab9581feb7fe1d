//! Owns the contract of whoever is fed with released events in this process.
//! Knows nothing of views and streams. Invariant: every command is shown once, in order.

use engine::{Frame, StateMachine};

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
}
