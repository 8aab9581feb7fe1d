//! Owns the meeting of stage bodies and rings: one step of each stage, and the loop of a thread.
//! Knows nothing of how stages are composed. Invariant: a step never waits, except the core's for
//! space in the output ring, in the way its caller chooses.

use crossbeam::utils::Backoff;
use disruptor::Producer;
use engine::{Codec, StateMachine};

use crate::abort::AbortOnPanic;
use crate::bell::Bell;
use crate::reply::Reply;
use crate::slot::Pending;
use crate::source::{Duty, InputSource, OutputProducer, OutputSource, Source};
use crate::stages::Shared;
use crate::stages::apply::Core;
use crate::stages::journaler::Journaler;
use crate::stages::publisher::Publisher;

/// One stage together with the ends of the rings that it uses.
pub(crate) trait Runner {
    /// Does what there is to do, up to one batch.
    fn step(&mut self) -> Duty;

    /// Whether a step would find work; looked at before sleeping.
    fn ready(&self) -> bool;

    /// What has to be done on time although there is no work.
    fn idle(&mut self) {}
}

/// The whole life of a stage thread: step until the end of the input, then `finish`.
pub(crate) fn live<T: Runner, O>(
    stage: &'static str,
    bell: &Bell,
    mut runner: T,
    finish: impl FnOnce(T) -> O,
) -> O {
    // A local is dropped before the parameters: a panic aborts before anything of the runner is
    // dropped, so no half-done batch is ever stored or answered.
    let _abort = AbortOnPanic::new(stage);
    bell.own();
    let backoff = Backoff::new();
    loop {
        match runner.step() {
            Duty::Worked(_) => backoff.reset(),
            Duty::Idle => {
                runner.idle();
                bell.pause(&backoff, || runner.ready());
            }
            Duty::Stopped => return finish(runner),
        }
    }
}

#[derive(Debug)]
pub(crate) struct JournalerRunner<C> {
    pub(crate) stage: Journaler<C>,
    pub(crate) input: Input<C>,
}

impl<C: Codec + Copy + Default> Runner for JournalerRunner<C> {
    fn step(&mut self) -> Duty {
        let Self { stage, input } = self;
        let duty = input.source.drain(input.batch_max, |slot| stage.append(slot));
        // The ring has the slots back from this stage before their commands are stored. The group
        // holds their bytes, and core and publisher move cursors of their own.
        stage.commit();
        duty
    }

    fn ready(&self) -> bool {
        self.input.source.ready()
    }

    fn idle(&mut self) {
        self.stage.idle();
    }
}

/// A stage's end of the input ring.
pub(crate) struct Input<C> {
    pub(crate) source: InputSource<C>,
    pub(crate) batch_max: usize,
}

impl<C> std::fmt::Debug for Input<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("batch_max", &self.batch_max).finish_non_exhaustive()
    }
}

pub(crate) struct CoreRunner<S: StateMachine> {
    pub(crate) stage: Core<S>,
    pub(crate) input: Input<S::Command>,
    pub(crate) output: OutputProducer<S::Event>,
    pub(crate) output_slots: u64,
    /// Output slots filled since the start; `freed` follows.
    pub(crate) sent: u64,
    pub(crate) shared: Shared,
}

impl<S: StateMachine> CoreRunner<S> {
    /// One batch. While the output ring is full, `on_full` is called; when it returns there may be
    /// space. Nothing is ever dropped for want of space: the core stops taking input instead.
    pub(crate) fn step_with(&mut self, mut on_full: impl FnMut(&Shared, u64)) -> Duty {
        let Self { stage, input, output, sent, shared, .. } = self;
        let mut push = |pending: Pending<'_, S::Event>| {
            let mut stalled = false;
            while output.try_publish(|place| place.set(&pending)).is_err() {
                stalled = true;
                on_full(shared, *sent);
            }
            *sent += 1;
            shared.counters.core.sent.set(*sent);
            shared.counters.core.stalls.add(u64::from(stalled));
        };
        let duty = input.source.drain_ahead(input.batch_max, |slot, next| {
            if let Some(next) = next {
                stage.prefetch(next);
            }
            stage.apply(slot, &mut push);
        });
        if let Duty::Worked(count) = duty {
            shared.counters.core.batch_max.raise(count as u64);
            stage.show_tables();
            shared.bells.publisher.ring();
        }
        duty
    }

    /// Ends the output ring and gives the machine back.
    pub(crate) fn finish(self) -> S {
        let Self { stage, output, shared, .. } = self;
        drop(output);
        shared.bells.publisher.ring();
        stage.into_machine()
    }
}

impl<S: StateMachine> Runner for CoreRunner<S> {
    fn step(&mut self) -> Duty {
        let slots = self.output_slots;
        self.step_with(|shared, sent| {
            shared.bells.publisher.ring();
            shared.bells.core.wait_until(|| sent - shared.cursors.freed() < slots);
        })
    }

    fn ready(&self) -> bool {
        self.input.source.ready()
    }
}

pub(crate) struct PublisherRunner<S: StateMachine, R> {
    pub(crate) stage: Publisher<S, R>,
    pub(crate) input: Input<S::Command>,
    pub(crate) output: OutputSource<S::Event>,
    pub(crate) shared: Shared,
}

impl<S: StateMachine, R: Reply<S>> PublisherRunner<S, R> {
    /// Fills a batch with commands that may be released; says how the output ring was left.
    fn fill_batch(&mut self) -> Duty {
        let Self { stage, input, output, shared } = self;
        let mut collected = 0;
        while !stage.batch_is_full() {
            if let Some(slots) = stage.output_wanted() {
                let slots = usize::try_from(slots).unwrap_or(usize::MAX);
                match output.drain(slots, |slot| stage.collect(slot)) {
                    Duty::Worked(count) => {
                        collected += count;
                        shared.cursors.move_freed(shared.cursors.freed() + count as u64);
                        continue;
                    }
                    Duty::Idle => break,
                    Duty::Stopped => return Duty::Stopped,
                }
            }
            if !stage.may_admit() {
                break;
            }
            if stage.input_wanted() {
                // Applied, so published: the slot is there. Each stage reads every slot, in order,
                // so the first is the slot of the command that was collected.
                input.source.drain(input.batch_max, |slot| stage.read(slot));
            }
            stage.admit();
        }
        if collected == 0 { Duty::Idle } else { Duty::Worked(collected) }
    }
}

impl<S: StateMachine, R: Reply<S>> Runner for PublisherRunner<S, R> {
    fn step(&mut self) -> Duty {
        let filled = self.fill_batch();
        if filled != Duty::Idle {
            // The core may wait for the output slots just freed.
            self.shared.bells.core.ring();
        }
        match self.stage.publish_batch() {
            0 => filled,
            count => Duty::Worked(count),
        }
    }

    fn ready(&self) -> bool {
        match self.stage.output_wanted() {
            Some(_) => self.output.ready(),
            None => self.stage.may_admit(),
        }
    }

    fn idle(&mut self) {
        self.stage.idle();
    }
}
