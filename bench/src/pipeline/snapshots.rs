//! Owns what `bench pipeline --snapshots` adds: one snapshot after the other beside the load, and
//! what that does to it. Knows nothing of commands. Invariant: at least one was taken, and none was
//! refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use engine::Engine;
use hdrhistogram::Histogram;
use pipeline::{Instance, Running, SnapshotPolicy, SnapshotTaken};
use quanta::Instant;
use serde::Serialize;

use super::source::{Recorder, Timed};
use crate::report::{self, Latency};

/// Pause before another look whether it is time.
const LOOK: Duration = Duration::from_millis(1);

/// What snapshots did to the commands beside them.
#[derive(Debug, Serialize)]
pub(crate) struct Beside {
    taken: usize,
    bytes: u64,
    latency_ns: Latency,
    p99_to_alone: f64,
    p999_to_alone: f64,
}

impl Beside {
    pub(crate) fn of(taken: &[SnapshotTaken], beside: &Histogram<u64>, alone: Latency) -> Self {
        let beside = Latency::of(beside);
        Self {
            taken: taken.len(),
            bytes: taken.last().map_or(0, |taken| taken.bytes),
            latency_ns: beside,
            p99_to_alone: report::ratio(beside.p99, alone.p99),
            p999_to_alone: report::ratio(beside.p999, alone.p999),
        }
    }
}

/// Asks for a snapshot as soon as it has the one before.
pub(crate) struct Taker {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<SnapshotTaken>>>,
}

impl Taker {
    /// Begins at `from`; the recorder tells what is due before and after it apart.
    pub(crate) fn start(
        running: &mut Running<Engine, Timed>,
        recorder: &Mutex<Recorder>,
        from: Instant,
        fresh: impl Fn() -> Instance<Engine> + Send + 'static,
    ) -> Result<Self> {
        let desk = running.take_snapshots(SnapshotPolicy::ON_DEMAND, fresh)?;
        recorder.lock().unwrap_or_else(PoisonError::into_inner).snapshots_from = Some(from);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while Instant::now() < from {
                thread::sleep(LOOK);
            }
            let mut taken = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                taken.push(desk.ask()?.recv().context("the answer of the snapshots")??);
            }
            Ok(taken)
        });
        Ok(Self { over, thread })
    }

    /// What was taken until now; waits for the one under way.
    pub(crate) fn stop(self) -> Result<Vec<SnapshotTaken>> {
        self.over.store(true, Ordering::Relaxed);
        let taken = self.thread.join().map_err(|_| anyhow!("taking snapshots panicked"))??;
        ensure!(!taken.is_empty(), "no snapshot was taken");
        Ok(taken)
    }
}
