//! Syncs on a thread of its own, for a log whose writer must not stand still meanwhile.
//!
//! Must not know: what was stored, or why it has to last. Invariant: at most one sync is under way,
//! and its outcome is taken before another begins: a failed one is never followed by one that
//! succeeds.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use crate::sink::SyncHandle;

type Outcome = (u64, io::Result<()>);

/// Handle of the thread; dropping it waits for the sync under way and ends the thread.
#[derive(Debug)]
pub(crate) struct Syncer {
    jobs: Option<SyncSender<(u64, Box<dyn SyncHandle>)>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
    under_way: bool,
    /// Of a sync that was done at once.
    held: Option<Outcome>,
}

impl Syncer {
    /// One without a thread: syncs are done when they are begun.
    pub(crate) fn at_once() -> Self {
        let (_, outcomes) = sync_channel(1);
        Self { jobs: None, outcomes, thread: None, under_way: false, held: None }
    }

    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, queue) = sync_channel::<(u64, Box<dyn SyncHandle>)>(1);
        let (sender, outcomes) = sync_channel(1);
        let thread =
            std::thread::Builder::new().name("journal-syncer".to_owned()).spawn(move || {
                while let Ok((seq, mut handle)) = queue.recv() {
                    // Nobody takes the outcome of a writer that was dropped.
                    let _ = sender.send((seq, handle.sync()));
                }
            })?;
        let thread = Some(thread);
        Ok(Self { jobs: Some(jobs), outcomes, thread, under_way: false, held: None })
    }

    pub(crate) const fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Begins a sync that will cover the records up to `seq`.
    ///
    /// # Panics
    /// If another one is under way.
    pub(crate) fn begin(&mut self, seq: u64, mut handle: Box<dyn SyncHandle>) {
        assert!(!self.under_way, "one sync at a time");
        self.under_way = true;
        let Some(jobs) = &self.jobs else {
            self.held = Some((seq, handle.sync()));
            return;
        };
        assert!(jobs.send((seq, handle)).is_ok(), "the syncing thread lives as long as its handle");
    }

    /// The outcome of the sync under way, `None` while there is none.
    pub(crate) fn poll(&mut self) -> Option<Outcome> {
        if !self.under_way {
            return None;
        }
        if let Some(outcome) = self.held.take() {
            self.under_way = false;
            return Some(outcome);
        }
        match self.outcomes.try_recv() {
            Ok(outcome) => {
                self.under_way = false;
                Some(outcome)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the syncing thread has ended"),
        }
    }

    /// Waits for the sync under way, if there is one.
    pub(crate) fn finish(&mut self) -> Option<Outcome> {
        if !self.under_way {
            return None;
        }
        self.under_way = false;
        if self.thread.is_none() {
            return self.held.take();
        }
        Some(self.outcomes.recv().expect("the syncing thread lives as long as its handle"))
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was already reported; there is nothing to add while dropping.
            let _ = thread.join();
        }
    }
}
