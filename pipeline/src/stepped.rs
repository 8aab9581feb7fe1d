//! Owns a pipeline without threads: the same rings and stage bodies, moved by hand.
//! Knows nothing of time. Invariant: the order of steps is the caller's, so a run can be repeated.

use std::fmt;
use std::sync::Arc;

use engine::StateMachine;

use crate::clock::Clock;
use crate::counters::Counters;
use crate::cursor::Cursors;
use crate::error::PipelineError;
use crate::graph::{Graph, build};
use crate::ingress::Ingress;
use crate::options::Options;
use crate::recovery::Recovered;
use crate::reply::Reply;
use crate::runner::Runner;
use crate::running::Stopped;
use crate::source::Duty;

/// A pipeline that does something only when it is told. For simulation and tests.
pub struct Stepped<S: StateMachine, R> {
    graph: Graph<S, R>,
}

impl<S: StateMachine, R: Reply<S>> Stepped<S, R> {
    /// As [`crate::start`], without threads.
    ///
    /// # Errors
    /// An option is out of bounds.
    pub fn new(
        recovered: Recovered<S>,
        options: &Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PipelineError> {
        Ok(Self { graph: build(recovered, options, clock)? })
    }

    #[must_use]
    pub fn ingress(&self) -> Ingress<S, R> {
        self.graph.ingress.clone()
    }

    #[must_use]
    pub fn cursors(&self) -> Arc<Cursors> {
        Arc::clone(&self.graph.shared.cursors)
    }

    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.graph.shared.counters)
    }

    /// One batch of the journaler, or its idle duty. Returns whether there was a batch.
    pub fn step_journaler(&mut self) -> bool {
        worked(step(&mut self.graph.journaler))
    }

    /// One batch of the core. Where the output ring is full, the other two stages are stepped to
    /// make space, as their threads would. Returns whether there was a batch.
    pub fn step_core(&mut self) -> bool {
        worked(self.core_duty())
    }

    /// One batch of the publisher, or its idle duty. Returns whether there was a batch.
    pub fn step_publisher(&mut self) -> bool {
        worked(step(&mut self.graph.publisher))
    }

    /// Steps journaler, core and publisher, in this order, until none of them finds work.
    pub fn step_all(&mut self) {
        loop {
            let worked = [self.step_journaler(), self.step_core(), self.step_publisher()];
            if worked == [false; 3] {
                return;
            }
        }
    }

    /// As [`crate::Running::shutdown`].
    #[must_use]
    pub fn shutdown(mut self) -> Stopped<S> {
        self.graph.ingress.close();
        while step(&mut self.graph.journaler) != Duty::Stopped {}
        while self.core_duty() != Duty::Stopped {}
        let (cursors, counters) = (self.cursors(), self.counters());
        let Graph { journaler, core, mut publisher, lock, .. } = self.graph;
        let machine = core.finish();
        while step(&mut publisher) != Duty::Stopped {}
        publisher.stage.close();
        journaler.stage.close();
        drop(lock);
        Stopped { machine, cursors, counters }
    }

    fn core_duty(&mut self) -> Duty {
        let Graph { journaler, core, publisher, .. } = &mut self.graph;
        core.step_with(|_, _| {
            journaler.step();
            publisher.step();
        })
    }
}

fn step(runner: &mut impl Runner) -> Duty {
    let duty = runner.step();
    if duty == Duty::Idle {
        runner.idle();
    }
    duty
}

fn worked(duty: Duty) -> bool {
    matches!(duty, Duty::Worked(_))
}

impl<S: StateMachine, R> fmt::Debug for Stepped<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stepped")
            .field("cursors", &self.graph.shared.cursors)
            .finish_non_exhaustive()
    }
}
