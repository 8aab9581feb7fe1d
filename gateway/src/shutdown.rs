//! Owns the signals that end the process. Knows nothing of what there is to finish.
//! Invariant: the first signal asks for an orderly end, the second does not wait for it.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit_status;

/// The signals, caught from the moment this exists.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// # Errors
    /// The system refuses a handler.
    pub fn catch() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// From now on a signal ends the process at once; the journal recovers from that, too.
    pub fn exit_on_next(mut self) {
        tokio::spawn(async move {
            self.next().await;
            tracing::warn!("second signal: ending at once");
            std::process::exit(exit_status::INTERRUPTED);
        });
    }
}
