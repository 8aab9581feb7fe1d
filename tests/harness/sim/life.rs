//! Owns one life of a simulated pipeline: the stages in an order that the seed chooses, the clock,
//! the load, and the moment at which it ends. Knows nothing of what a disk keeps. Invariant: one
//! thread does everything that a client could notice.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use engine::Frame;
use pipeline::{Lane, ManualClock, Options, Outcome, Recovered, Reply, Stepped, SubmitError};

use super::clients::Clients;
use super::disk::{Dies, Disk};
use crate::drive::{Ack, Script};
use crate::random::Random;

/// Most steps without an answer, before a pipeline is said to stand still.
const STEPS_MAX: u64 = 1_000_000;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    InOrder,
    /// The process dies; what it stored stays.
    Killed,
    /// What was not synced may be lost.
    PowerCut,
}

/// Sends its answer to the clients, if its command has a number.
struct Waiting(Sender<Ack>);

impl<S: Script> Reply<S> for Waiting {
    fn complete(self, frame: &Frame<S::Command>, outcome: Outcome<'_, S::Event>) {
        let Outcome::Events(events) = outcome else { panic!("nobody asked for a hash") };
        if let Some(number) = S::number(&frame.command) {
            let (sequence, answer) = (frame.sequence, S::answer(events));
            // The clients of a life that is over have gone.
            let _ = self.0.send(Ack { sequence, number, answer });
        }
    }
}

pub(super) struct Life<S: Script> {
    stages: Stepped<S, Waiting>,
    clock: Arc<ManualClock>,
    wall_ns: u64,
    seed: u64,
    answers: (Sender<Ack>, Receiver<Ack>),
    opening: std::vec::IntoIter<S::Command>,
}

impl<S: Script> Life<S> {
    pub(super) fn begin(
        mut recovered: Recovered<S>,
        options: &Options,
        disk: &Disk,
        random: &mut Random,
        seed: u64,
    ) -> Result<Self, String> {
        let (journal, events) = recovered.writers_mut();
        disk.put_below("journal", journal);
        disk.put_below("events", events);
        let wall_ns = 1_000_000_000 + random.below(1_000_000);
        let clock = Arc::new(ManualClock::new(wall_ns));
        let stages = Stepped::new(recovered, options, Arc::clone(&clock) as _)
            .map_err(|error| error.to_string())?;
        let opening = S::opening().into_iter();
        Ok(Self { stages, clock, wall_ns, seed, answers: channel(), opening })
    }

    /// Lives until the clients have all answers up to number `until`, or dies on the way there;
    /// returns the last sequence that was synced.
    pub(super) fn live(
        mut self,
        clients: &mut Clients,
        until: u64,
        end: End,
        random: &mut Random,
        outcome: &mut super::Outcome,
    ) -> Result<u64, String> {
        let mut next = clients.first_unanswered();
        let first_sequence = self.stages.cursors().acked();
        // Somewhere on the way, or behind the last answer.
        let dies_at = next + random.below((until - next.min(until)) * 11 / 10 + 2);
        let mut still = 0;
        loop {
            let before = outcome.trace;
            let step = AssertUnwindSafe(|| self.step(&mut next, until, random));
            let died = match catch_unwind(step) {
                Ok(step) => step.map(|()| false)?,
                Err(payload) if payload.is::<Dies>() => true,
                Err(payload) => resume_unwind(payload),
            };
            for ack in self.answers.1.try_iter() {
                outcome.fold(ack.sequence);
                outcome.fold(ack.number);
                outcome.fold(ack.answer.0);
                clients.hear(ack)?;
            }
            let answered = clients.first_unanswered();
            outcome.deaths_in_calls += u64::from(died);
            if died || answered >= until || end != End::InOrder && answered >= dies_at {
                break;
            }
            still = if outcome.trace == before { still + 1 } else { 0 };
            if still > STEPS_MAX {
                return Err(format!("no answer to {answered} in {STEPS_MAX} steps"));
            }
        }
        let cursors = self.stages.cursors();
        outcome.commands += cursors.matched() - first_sequence;
        outcome.fold(cursors.matched());
        if end == End::InOrder {
            let machine = self.stages.shutdown().machine;
            for ack in self.answers.1.try_iter() {
                clients.hear(ack)?;
            }
            clients.heard.is_done = true;
            // What lived is what a replay will come to.
            clients.note_state(machine.last_sequence(), machine.state_hash())?;
            return Ok(u64::MAX);
        }
        clients.heard.is_done = false;
        Ok(cursors.synced())
    }

    /// One of the things that can happen next.
    fn step(&mut self, next: &mut u64, until: u64, random: &mut Random) -> Result<(), String> {
        match random.below(8) {
            0 | 1 => {
                for _ in 0..random.below(64) {
                    if !self.submit(next, until)? {
                        break;
                    }
                }
            }
            2 | 3 => drop(self.stages.step_journaler()),
            4 | 5 => drop(self.stages.step_core()),
            6 => drop(self.stages.step_publisher()),
            _ => {
                self.clock.advance_ns(random.below(3_000_000));
                // The wall clock may step back.
                let step = random.between(-2_000_000, 5_000_000);
                self.wall_ns = self.wall_ns.saturating_add_signed(step);
                self.clock.set_wall_ns(self.wall_ns);
            }
        }
        Ok(())
    }

    /// Submits the next command; false if there is none, or no room.
    fn submit(&mut self, next: &mut u64, until: u64) -> Result<bool, String> {
        let opening = self.opening.as_slice().first().copied();
        let command = match opening {
            Some(command) => command,
            None if *next < until => S::command(self.seed, *next),
            None => return Ok(false),
        };
        let waiting = Waiting(self.answers.0.clone());
        match self.stages.ingress().try_submit(command, Some(waiting), Lane::Control) {
            Ok(_) => {
                if self.opening.next().is_none() {
                    *next += 1;
                }
                Ok(true)
            }
            Err(SubmitError::RingFull | SubmitError::RepliesExhausted) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }
}
