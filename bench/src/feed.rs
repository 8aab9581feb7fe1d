//! Owns commands that go through a pipeline before or behind what is measured: nobody waits for
//! one of them, and all are through at the end. Knows nothing of what they come to.
//! Invariant: every command gets the sequence that was computed for it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use engine::{Command, Engine, EngineOptions, Frame};
use pipeline::{Cursors, Ingress, Lane, Reply, SubmitError};

/// How long a full ring is left alone: the stages need the cores to empty it.
pub(crate) const FULL_PAUSE: Duration = Duration::from_micros(50);
/// How long the pipeline may take to get somewhere.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_micros(200);

/// An engine that has seen nothing, with room for what the tapes leave in the book.
pub(crate) fn fresh() -> Engine {
    Engine::new(EngineOptions { expected_orders: 4_096, ..EngineOptions::default() })
}

/// Submits without replies, and waits until the last one is through.
pub(crate) fn feed<R: Reply<Engine>>(
    ingress: &Ingress<Engine, R>,
    frames: &[Frame<Command>],
    cursors: &Cursors,
) -> Result<()> {
    for frame in frames {
        let sequence = loop {
            match ingress.try_submit(frame.command, None, Lane::Control) {
                Err(SubmitError::RingFull) => thread::sleep(FULL_PAUSE),
                other => break other?,
            }
        };
        ensure!(sequence == frame.sequence, "another producer is in the ring");
    }
    let last = frames.last().map_or(0, |frame| frame.sequence);
    wait_until(|| cursors.acked() >= last)
}

pub(crate) fn wait_until(reached: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        ensure!(Instant::now() < deadline, "the pipeline did not get there within two minutes");
        thread::sleep(LOOK);
    }
    Ok(())
}
