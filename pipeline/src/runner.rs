//! Owns the meeting of stage bodies and rings: one step of each stage, and the loop of a thread.
//! Knows nothing of how stages are composed. Invariant: a step never waits, except the core's for
//! space in the output ring, in the way its caller chooses.

use crossbeam::utils::Backoff;
use disruptor::Producer;
use engine::{Codec, StateMachine};

use crate::abort::AbortOnPanic;
use crate::bell::Bell;
use crate::limits::CORE_RING_EVERY;
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
        stage.returned();
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
        let mut applied = 0;
        let duty = input.source.drain_ahead(input.batch_max, |slot, next| {
            if let Some(next) = next {
                stage.prefetch(next);
            }
            stage.apply(slot, &mut push);
            applied += 1;
            if applied % CORE_RING_EVERY == 0 {
                shared.bells.publisher.ring();
            }
        });
        if let Duty::Worked(count) = duty {
            stage.returned();
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
    pub(crate) input: InputSource<S::Command>,
    pub(crate) output: OutputSource<S::Event>,
    pub(crate) shared: Shared,
}

impl<S: StateMachine, R: Reply<S>> PublisherRunner<S, R> {
    /// Takes what output there is, as far as there is room for it.
    fn collect(&mut self) -> Duty {
        let Self { stage, output, shared, .. } = self;
        let wanted = stage.output_wanted();
        if wanted == 0 {
            return Duty::Idle;
        }
        let duty = output.drain(wanted, |slot| stage.collect(slot));
        if let Duty::Worked(count) = duty {
            shared.cursors.move_freed(shared.cursors.freed() + count as u64);
            // The core may wait for the output slots just freed.
            shared.bells.core.ring();
        }
        duty
    }
}

impl<S: StateMachine, R: Reply<S>> Runner for PublisherRunner<S, R> {
    fn step(&mut self) -> Duty {
        let collected = self.collect();
        let Self { stage, input, .. } = self;
        let count = stage.log_batch();
        if count > 0 {
            // Applied, so published: the slots are there. Each stage reads every slot, in order, so
            // the first is that of the first command that was released.
            input.drain(count, |slot| stage.speak(slot));
            stage.returned();
            stage.end_batch(count);
            return Duty::Worked(count);
        }
        match collected {
            // What was collected before may still wait for the disk.
            Duty::Stopped if !stage.is_done() => Duty::Idle,
            collected => collected,
        }
    }

    fn ready(&self) -> bool {
        self.stage.may_release() || (self.stage.output_wanted() > 0 && self.output.ready())
    }

    fn idle(&mut self) {
        self.stage.idle();
    }
}
