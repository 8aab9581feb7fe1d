//! Owns reading the sealed segments of both logs again, round after round, on a thread of its own.
//! Knows nothing of commands. Invariant: what it finds is told and counted, and changes nothing:
//! an exchange in use needs none of it before its next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use journal::{Scrubbed, scrub, sealed_segments};

use crate::affinity::{give_way, spawn};
use crate::error::PipelineError;
use crate::limits::{SCRUB_BYTES_PER_SECOND, SCRUB_LOOK};
use crate::options::{Options, events_dir, journal_dir};
use crate::stages::Shared;

const THREAD: &str = "matchring-scrub";
/// What the system is told to take from this thread first.
const NICENESS: i32 = 15;
const NS_PER_S: u64 = 1_000_000_000;

/// The thread.
#[derive(Debug)]
pub(crate) struct Scrubber {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Scrubber {
    /// Starts the thread with its first round, if rounds are wanted.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(options: &Options, shared: Shared) -> Result<Option<Self>, PipelineError> {
        let Some(every) = options.scrub_every else { return Ok(None) };
        let stop = Arc::new(AtomicBool::new(false));
        let dirs = [journal_dir(&options.data_dir), events_dir(&options.data_dir)];
        let rounds = Rounds { dirs, shared, stop: Arc::clone(&stop) };
        let thread = spawn(THREAD, None, move || rounds.live(every))
            .map_err(|source| PipelineError::Thread { name: THREAD, source })?;
        Ok(Some(Self { stop, thread }))
    }

    /// Gives up the round under way and ends the thread.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        crate::running::join(self.thread);
    }
}

struct Rounds {
    dirs: [PathBuf; 2],
    shared: Shared,
    stop: Arc<AtomicBool>,
}

impl Rounds {
    fn live(&self, every: Duration) {
        give_way(NICENESS);
        while !self.stops() {
            let begun_ns = self.shared.clock.monotonic_ns();
            let mut damaged = 0;
            for dir in &self.dirs {
                damaged += self.round(dir);
            }
            if self.stops() {
                return;
            }
            let counters = &self.shared.counters.scrub;
            counters.damaged.set(damaged);
            counters.rounds.add(1);
            tracing::info!(damaged, "the sealed segments were read again");
            let elapsed = || self.shared.clock.monotonic_ns().saturating_sub(begun_ns);
            while u128::from(elapsed()) < every.as_nanos() && !self.stops() {
                thread::sleep(SCRUB_LOOK.min(every));
            }
        }
    }

    /// Reads the segments of one log; returns how many are damaged.
    fn round(&self, dir: &Path) -> u64 {
        let ids = match sealed_segments(dir) {
            Ok(ids) => ids,
            Err(error) => {
                tracing::error!(log = %dir.display(), %error, "a log cannot be read again");
                return 1;
            }
        };
        let mut damaged = 0;
        for id in ids {
            match scrub(dir, id, |bytes| self.pause(bytes)) {
                Ok(Scrubbed::Sound(bytes)) => self.shared.counters.scrub.bytes.add(bytes),
                Ok(Scrubbed::Gone) => {}
                Ok(Scrubbed::GivenUp) => return damaged,
                Err(error) => {
                    damaged += 1;
                    tracing::error!(
                        log = %dir.display(),
                        %error,
                        "a sealed segment is damaged: the next start that needs it will stop"
                    );
                }
            }
        }
        damaged
    }

    /// Leaves the disk to others; returns whether to go on.
    fn pause(&self, bytes: u64) -> bool {
        thread::sleep(Duration::from_nanos(bytes * NS_PER_S / SCRUB_BYTES_PER_SECOND));
        !self.stops()
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
