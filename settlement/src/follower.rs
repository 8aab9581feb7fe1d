//! Owns the end of something that runs beside everything else. Knows nothing of what it does.
//! Invariant: every stop waits until it has ended, whoever asked first.

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// A running task that is told when to end.
#[derive(Debug)]
pub struct Follower {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Follower {
    /// Runs what `work` makes of the sign to end, which turns true once. Needs a tokio runtime.
    #[must_use]
    pub fn spawn<F>(work: impl FnOnce(watch::Receiver<bool>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: Mutex::new(Some(tokio::spawn(work(stopped)))) }
    }

    /// Tells it to end, and waits. Whoever asks again waits, too.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take() {
            // A panic has been reported by the runtime; there is nothing left to wait for.
            let _ = task.await;
        }
    }
}
