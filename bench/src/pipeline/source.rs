//! Owns the load of `bench pipeline`: commands at their times, and when each was replied to.
//! Knows nothing of what they come to. Invariant: a latency counts from the moment at which a
//! command was due, so a stall counts for every command that it delayed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use engine::{Command, Engine, Event, Frame};
use hdrhistogram::Histogram;
use pipeline::{Lane, Outcome, Reply, SubmitError};
use quanta::Instant;

use crate::feed::FULL_PAUSE;
use crate::report;

/// Records when a command was replied to. All replies come from one thread.
///
/// The recorder is a plain reference: a counted one would have source and publisher fight over its
/// count at every command.
pub(crate) struct Timed {
    due: Instant,
    recorder: &'static Mutex<Recorder>,
}

pub(crate) struct Recorder {
    pub(crate) histogram: Histogram<u64>,
    /// Of commands that were due while snapshots were taken.
    pub(crate) beside: Histogram<u64>,
    pub(crate) snapshots_from: Option<Instant>,
    pub(crate) replied: u64,
    pub(crate) last: Instant,
}

impl Recorder {
    /// One that lives as long as the process.
    pub(crate) fn leaked() -> Result<&'static Mutex<Self>> {
        let recorder = Self {
            histogram: report::histogram()?,
            beside: report::histogram()?,
            snapshots_from: None,
            replied: 0,
            last: Instant::now(),
        };
        Ok(Box::leak(Box::new(Mutex::new(recorder))))
    }
}

impl Reply<Engine> for Timed {
    fn complete(self, _: &Frame<Command>, _: Outcome<'_, Event>) {
        let now = Instant::now();
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = report::nanos(now.saturating_duration_since(self.due));
        let is_beside = recorder.snapshots_from.is_some_and(|from| self.due >= from);
        let Recorder { histogram, beside, .. } = &mut *recorder;
        let histogram = if is_beside { beside } else { histogram };
        histogram.saturating_record(taken.max(1));
        recorder.replied += 1;
        recorder.last = now;
    }
}

/// The end of the load.
pub(crate) struct Source {
    pub(crate) ingress: pipeline::Ingress<Engine, Timed>,
    pub(crate) recorder: &'static Mutex<Recorder>,
}

impl Source {
    /// Submits every command when it is due; gives how often the ring was full.
    pub(crate) fn send(&self, frames: &[Frame<Command>], rate: u64, start: Instant) -> Result<u64> {
        let mut ring_full = 0;
        for (place, frame) in (0u64..).zip(frames) {
            let due = due(start, place, rate);
            if rate > 0 {
                wait_for(due);
            }
            loop {
                let reply = Timed { due, recorder: self.recorder };
                match self.ingress.try_submit(frame.command, Some(reply), Lane::Control) {
                    Err(SubmitError::RingFull | SubmitError::RepliesExhausted) => {
                        ring_full += 1;
                        std::thread::sleep(FULL_PAUSE);
                    }
                    other => {
                        other?;
                        break;
                    }
                }
            }
        }
        Ok(ring_full)
    }
}

/// When a command is due: at its place in a run at this rate, or at once where the rate is 0.
pub(crate) fn due(start: Instant, place: u64, rate: u64) -> Instant {
    match rate {
        0 => Instant::now(),
        rate => start + Duration::from_nanos(place * 1_000_000_000 / rate),
    }
}

/// Gives the core away while there is time, so that the stages can have it.
pub(crate) fn wait_for(due: Instant) {
    while Instant::now() < due {
        std::thread::yield_now();
    }
}
