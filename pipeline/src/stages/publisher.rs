//! Owns letting results out: event log, outlets, replies, in this order.
//! Knows nothing of how a result was made. Invariant: nothing leaves before its command is both
//! applied and durable, by our own cursors and never by a ring's.
//!
//! Works in batches: collect the output of commands that may be released, append all of it to the
//! event log, then speak.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::{Frame, StateMachine};
use journal::{JournalError, fail_point};

use crate::abort::or_abort;
use crate::event_log::EventLog;
use crate::limits::{BATCH_EVENTS_MAX, EVENTS_RESERVED};
use crate::outlet::Outlet;
use crate::reply::{Outcome, Reply, ReplySlab};
use crate::sequencer::Sequencer;
use crate::slot::{InputSlot, NO_REPLY, Output, OutputSlot};
use crate::stages::Shared;

/// Name of the stage in messages.
pub(crate) const STAGE: &str = "publisher";

/// What a publisher leaves behind: its outlets, and the sequence of the last event.
pub(crate) type Published<S> = (Vec<Box<dyn Outlet<S>>>, u64);

/// A command that was read, and what is known of its results once it is of the batch.
#[derive(Debug)]
struct Staged<C> {
    frame: Frame<C>,
    reply: u32,
    /// Its events end here in the events of the batch; they begin where those before it end.
    events_end: usize,
    state_hash: Option<[u8; 32]>,
}

/// How far the output of the next command has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collected {
    Nothing,
    /// This many output slots are still to come.
    Missing(u64),
    Everything,
}

/// The body of the publisher thread.
pub(crate) struct Publisher<S: StateMachine, R> {
    sequencer: Sequencer,
    event_log: EventLog<S::Event>,
    outlets: Vec<Box<dyn Outlet<S>>>,
    replies: Arc<ReplySlab<R>>,
    shared: Shared,
    batch_max: usize,
    /// Commands that were read, in order: those of the batch, then those that come after it. A
    /// frame is copied once, from the ring to here.
    staged: VecDeque<Staged<S::Command>>,
    /// How many of them are of the batch.
    admitted: usize,
    /// Events of the admitted commands, then those of the command being collected.
    events: Vec<S::Event>,
    collected: Collected,
    state_hash: Option<[u8; 32]>,
}

impl<S: StateMachine, R: Reply<S>> Publisher<S, R> {
    /// `sequencer` stands at the last frame that was published. No more than `batch_max` slots are
    /// read at once.
    pub(crate) fn new(
        mut event_log: EventLog<S::Event>,
        outlets: Vec<Box<dyn Outlet<S>>>,
        replies: Arc<ReplySlab<R>>,
        sequencer: Sequencer,
        batch_max: usize,
        shared: Shared,
    ) -> Self {
        event_log.wait_for_room(Arc::clone(&shared.counters));
        Self {
            sequencer,
            event_log,
            outlets,
            replies,
            shared,
            batch_max,
            staged: VecDeque::with_capacity(2 * batch_max),
            admitted: 0,
            events: Vec::with_capacity(EVENTS_RESERVED),
            collected: Collected::Nothing,
            state_hash: None,
        }
    }

    /// Output slots to take next: one to learn how many a command has, then all the others. `None`
    /// when a command is complete and has to be admitted first.
    pub(crate) fn output_wanted(&self) -> Option<u64> {
        match self.collected {
            Collected::Nothing => Some(1),
            Collected::Missing(slots) => Some(slots),
            Collected::Everything => None,
        }
    }

    /// Takes one output slot of the next command.
    pub(crate) fn collect(&mut self, slot: &OutputSlot<S::Event>) {
        assert_eq!(slot.sequence, self.next_sequence(), "output of another command");
        let complete = slot.remaining == 0;
        let expected = match self.collected {
            Collected::Nothing => slot.remaining,
            Collected::Missing(slots) => slots - 1,
            Collected::Everything => panic!("output behind the end of its command"),
        };
        assert_eq!(slot.remaining, expected, "output of command {} has a gap", slot.sequence);
        match slot.output {
            Output::Nothing => assert!(complete, "an empty command has one slot"),
            Output::Event(event) => self.events.push(event),
            Output::StateHash(hash) => self.state_hash = Some(hash),
        }
        self.collected =
            if complete { Collected::Everything } else { Collected::Missing(slot.remaining) };
    }

    /// Whether the next command is complete, applied and durable; then its input slot is due.
    pub(crate) fn may_admit(&self) -> bool {
        self.collected == Collected::Everything
            && self.shared.cursors.releasable() >= self.next_sequence()
    }

    /// Whether the input slot of the next command has to be read before it is admitted.
    pub(crate) fn input_wanted(&self) -> bool {
        self.admitted == self.staged.len()
    }

    /// Takes an input slot. A look at the multi-producer ring costs time for every slot that waits
    /// in it, so slots are read many at a time, before their commands may be released.
    pub(crate) fn read(&mut self, slot: &InputSlot<S::Command>) {
        let frame = self.sequencer.frame(slot);
        self.staged.push_back(Staged { frame, reply: slot.reply, events_end: 0, state_hash: None });
    }

    /// Takes the command that was collected into the batch.
    pub(crate) fn admit(&mut self) {
        assert!(self.may_admit(), "released before its time");
        let sequence = self.next_sequence();
        let staged = self.staged.get_mut(self.admitted).expect("its input slot was read");
        assert_eq!(staged.frame.sequence, sequence, "the input slot of another command");
        staged.events_end = self.events.len();
        staged.state_hash = self.state_hash.take();
        self.admitted += 1;
        self.collected = Collected::Nothing;
        fail_point::hit("publisher-admitted");
        self.shared.cursors.move_released(sequence);
    }

    pub(crate) fn batch_is_full(&self) -> bool {
        self.admitted == self.batch_max || self.admitted_events() >= BATCH_EVENTS_MAX
    }

    /// Logs and speaks the batch; returns the number of its commands.
    pub(crate) fn publish_batch(&mut self) -> usize {
        let Some(last) = self.last_admitted() else { return 0 };
        let (acked, events_end, count) = (last.frame.sequence, last.events_end, self.admitted);
        fail_point::hit("publisher-before-log");
        or_abort(STAGE, self.log_batch());
        fail_point::hit("publisher-logged");
        self.shared.cursors.move_logged(acked);
        self.speak_batch();
        for outlet in &mut self.outlets {
            outlet.batch_end(acked);
        }
        self.staged.drain(..count);
        self.admitted = 0;
        // What is left belongs to the command being collected.
        self.events.drain(..events_end);
        let counters = &self.shared.counters.publisher;
        counters.batches.add(1);
        counters.batch_max.raise(count as u64);
        counters.events.add(events_end as u64);
        self.sync_if_due();
        count
    }

    /// Called when there is nothing to take: keeps the sync interval of the event log.
    pub(crate) fn idle(&mut self) {
        self.sync_if_due();
    }

    /// Ends the event log; gives the outlets back, and the sequence of the last event.
    pub(crate) fn close(self) -> Published<S> {
        assert!(self.staged.is_empty() && self.events.is_empty(), "results were not published");
        let last_event = self.event_log.last_sequence();
        or_abort(STAGE, self.event_log.close());
        (self.outlets, last_event)
    }

    /// Sequence of the command to be admitted next.
    fn next_sequence(&self) -> u64 {
        let read_ahead = (self.staged.len() - self.admitted) as u64;
        self.sequencer.last_sequence() - read_ahead + 1
    }

    fn last_admitted(&self) -> Option<&Staged<S::Command>> {
        self.staged.get(self.admitted.checked_sub(1)?)
    }

    fn admitted_events(&self) -> usize {
        self.last_admitted().map_or(0, |staged| staged.events_end)
    }

    fn log_batch(&mut self) -> Result<(), JournalError> {
        let mut begin = 0;
        for staged in self.staged.range(..self.admitted) {
            let events = &self.events[begin..staged.events_end];
            self.event_log.append(&staged.frame, 0, events)?;
            begin = staged.events_end;
        }
        self.event_log.store()
    }

    fn speak_batch(&mut self) {
        let mut begin = 0;
        let batch = self.staged.range(..self.admitted);
        for Staged { frame, reply, events_end, state_hash } in batch {
            let events = &self.events[begin..*events_end];
            begin = *events_end;
            for outlet in &mut self.outlets {
                outlet.publish(frame, events);
            }
            if *reply != NO_REPLY {
                fail_point::hit("publisher-before-reply");
                let outcome = state_hash.map_or(Outcome::Events(events), Outcome::StateHash);
                self.replies.remove(*reply).complete(frame, outcome);
                fail_point::hit("publisher-after-reply");
                self.shared.counters.publisher.replies.add(1);
            }
            self.shared.cursors.move_acked(frame.sequence);
            fail_point::hit("publisher-acked");
        }
    }

    fn sync_if_due(&mut self) {
        self.event_log.look_for_room(&*self.shared.clock);
        if or_abort(STAGE, self.event_log.sync_if_due(&*self.shared.clock)) {
            self.shared.counters.publisher.syncs.add(1);
        }
    }
}

impl<S: StateMachine, R> std::fmt::Debug for Publisher<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("last_sequence", &self.sequencer.last_sequence())
            .field("staged", &self.staged.len())
            .field("admitted", &self.admitted)
            .field("collected", &self.collected)
            .finish_non_exhaustive()
    }
}
