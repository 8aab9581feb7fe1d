//! Owns applying inputs: the one place, live and in replay, where the state machine is called.
//! Knows nothing of files. Invariant: `matched` moves before the events are handed on, so a command
//! with more events than the output ring has slots can drain while it is pushed.

use engine::{EventBuffer, Frame, StateMachine};
use journal::fail_point;

use crate::cursor::Reader;
use crate::limits::EVENTS_RESERVED;
use crate::sequencer::Sequencer;
use crate::slot::{Control, Input, InputSlot, Output, Pending};
use crate::stages::Shared;

/// Name of the stage in messages.
pub(crate) const STAGE: &str = "core";

/// Applies one frame; afterwards `events` holds what happened.
pub(crate) fn apply_frame<S: StateMachine>(
    machine: &mut S,
    frame: &Frame<S::Command>,
    events: &mut EventBuffer<S::Event>,
) {
    events.clear();
    machine.apply(frame, events);
    assert_eq!(machine.last_sequence(), frame.sequence, "the machine lost count");
}

/// The body of the core thread.
#[derive(Debug)]
pub(crate) struct Core<S: StateMachine> {
    machine: S,
    events: EventBuffer<S::Event>,
    sequencer: Sequencer,
    shared: Shared,
}

impl<S: StateMachine> Core<S> {
    /// `sequencer` stands at the last frame that the machine has applied.
    pub(crate) fn new(machine: S, sequencer: Sequencer, shared: Shared) -> Self {
        assert_eq!(machine.last_sequence(), sequencer.last_sequence(), "the machine is elsewhere");
        let events = EventBuffer::with_capacity(EVENTS_RESERVED);
        Self { machine, events, sequencer, shared }
    }

    /// Asks for the memory that a slot will need, which comes next.
    pub(crate) fn prefetch(&self, slot: &InputSlot<S::Command>) {
        if let Input::Command(command) = &slot.input {
            self.machine.prefetch(command);
        }
    }

    /// Applies one slot and hands what goes into its output slots to `push`, which may take its
    /// time.
    pub(crate) fn apply(
        &mut self,
        slot: &InputSlot<S::Command>,
        mut push: impl FnMut(Pending<'_, S::Event>),
    ) {
        let frame = self.sequencer.frame(slot);
        apply_frame(&mut self.machine, &frame, &mut self.events);
        let wants_hash = slot.input == Input::Control(Control::StateHash);
        let state_hash = wants_hash.then(|| self.machine.state_hash());
        let counters = &self.shared.counters.core;
        counters.commands.add(1);
        counters.events.add(self.events.len() as u64);

        let (sequence, timestamp_ns) = (frame.sequence, frame.timestamp_ns);
        fail_point::hit("core-before-matched");
        self.shared.cursors.move_matched(sequence);
        fail_point::hit("core-after-matched");
        let mut remaining = self.events.len() as u64 + u64::from(wants_hash);
        let mut push = |remaining, output| {
            push(Pending { sequence, timestamp_ns, remaining, output });
        };
        if remaining == 0 {
            push(remaining, Output::Nothing);
        }
        for event in self.events.as_slice() {
            remaining -= 1;
            push(remaining, Output::Event(event));
        }
        if let Some(state_hash) = state_hash {
            push(0, Output::StateHash(state_hash));
        }
    }

    /// The ring has back the slots of all that was applied.
    pub(crate) fn returned(&self) {
        self.shared.cursors.move_returned(Reader::Core, self.sequencer.last_sequence());
    }

    /// Shows how full the machine is.
    pub(crate) fn show_tables(&self) {
        self.shared.tables.note(&self.machine);
    }

    pub(crate) fn into_machine(self) -> S {
        self.machine
    }
}
