//! Owns letting results out: event log, outlets, replies, in this order.
//! Knows nothing of how a result was made. Invariant: nothing leaves before its command is both
//! applied and durable, by our own cursors and never by a ring's.
//!
//! Works in batches: collect output as it comes, append that of all commands which may be released
//! to the event log, then speak, command by command, with their input slots at hand.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::StateMachine;
use journal::{JournalError, fail_point};

use crate::abort::or_abort;
use crate::cursor::Reader;
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

/// What is known of a command whose output is complete.
#[derive(Debug)]
struct Collected {
    sequence: u64,
    timestamp_ns: u64,
    /// It has so many of the events; those of the command before it end where its own begin.
    events: usize,
    state_hash: Option<[u8; 32]>,
}

/// The body of the publisher thread.
pub(crate) struct Publisher<S: StateMachine, R> {
    sequencer: Sequencer,
    event_log: EventLog<S::Event>,
    outlets: Vec<Box<dyn Outlet<S>>>,
    replies: Arc<ReplySlab<R>>,
    shared: Shared,
    batch_max: usize,
    /// Commands whose output is complete, in order: those of the batch, then those that may not be
    /// released yet.
    results: VecDeque<Collected>,
    /// Events of all of them, behind those that were spoken, then of the command being collected.
    events: Vec<S::Event>,
    spoken_events: usize,
    /// Of the command being collected: its events so far, and the output slots still to come.
    open_events: usize,
    missing: u64,
    state_hash: Option<[u8; 32]>,
}

impl<S: StateMachine, R: Reply<S>> Publisher<S, R> {
    /// `sequencer` stands at the last frame that was published. No more than `batch_max` commands
    /// are collected before they are released.
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
            results: VecDeque::with_capacity(batch_max),
            // Those that were spoken are no more than the others, or go; only a command with very
            // many events needs more.
            events: Vec::with_capacity(2 * EVENTS_RESERVED),
            spoken_events: 0,
            open_events: 0,
            missing: 0,
            state_hash: None,
        }
    }

    /// Output slots that there is room for: none where something has to be released first. A
    /// command that was begun is always completed.
    pub(crate) fn output_wanted(&self) -> usize {
        let commands = self.batch_max - self.results.len();
        let events = BATCH_EVENTS_MAX.saturating_sub(self.events.len() - self.spoken_events);
        // A slot completes one command at most.
        let room = commands.min(events);
        room.max(usize::try_from(self.missing).unwrap_or(usize::MAX))
    }

    /// Takes the next output slot.
    pub(crate) fn collect(&mut self, slot: &OutputSlot<S::Event>) {
        let next = self.results.back().map_or(self.sequencer.last_sequence(), |last| last.sequence);
        assert_eq!(slot.sequence, next + 1, "output of another command");
        if self.missing > 0 {
            assert_eq!(slot.remaining, self.missing - 1, "output of command {next} has a gap");
        }
        match slot.output {
            Output::Nothing => assert!(slot.remaining == 0, "an empty command has one slot"),
            Output::Event(event) => {
                self.events.push(event);
                self.open_events += 1;
            }
            Output::StateHash(hash) => self.state_hash = Some(hash),
        }
        self.missing = slot.remaining;
        if slot.remaining == 0 {
            self.results.push_back(Collected {
                sequence: slot.sequence,
                timestamp_ns: slot.timestamp_ns,
                events: std::mem::take(&mut self.open_events),
                state_hash: self.state_hash.take(),
            });
        }
    }

    /// Whether the next command is complete, applied and durable.
    pub(crate) fn may_release(&self) -> bool {
        let releasable = self.shared.cursors.releasable();
        self.results.front().is_some_and(|first| first.sequence <= releasable)
    }

    /// Whether everything that was collected was spoken, too.
    pub(crate) fn is_done(&self) -> bool {
        self.results.is_empty() && self.missing == 0
    }

    /// Releases all commands that may be, and logs what happened. Returns their number: `speak` is
    /// to be called with so many input slots, then `end_batch`.
    pub(crate) fn log_batch(&mut self) -> usize {
        let releasable = self.shared.cursors.releasable();
        let count = self.results.partition_point(|result| result.sequence <= releasable);
        let Some(last) = count.checked_sub(1) else { return 0 };
        let released = self.results[last].sequence;
        self.shared.cursors.move_released(released);
        fail_point::hit("publisher-before-log");
        or_abort(STAGE, self.log(count));
        fail_point::hit("publisher-logged");
        self.shared.cursors.move_logged(released);
        count
    }

    /// Takes the input slot of the next command of the batch, and tells everybody what it came to.
    pub(crate) fn speak(&mut self, slot: &InputSlot<S::Command>) {
        let frame = self.sequencer.frame(slot);
        let result = self.results.pop_front().expect("its output was collected");
        let same = (result.sequence, result.timestamp_ns) == (frame.sequence, frame.timestamp_ns);
        assert!(same, "the input slot of another command than {}", result.sequence);
        assert!(frame.sequence <= self.shared.cursors.logged(), "spoken before its time");
        let events_end = self.spoken_events + result.events;
        let events = &self.events[self.spoken_events..events_end];
        for outlet in &mut self.outlets {
            outlet.publish(&frame, events);
        }
        if slot.reply != NO_REPLY {
            fail_point::hit("publisher-before-reply");
            let outcome = result.state_hash.map_or(Outcome::Events(events), Outcome::StateHash);
            self.replies.remove(slot.reply).complete(&frame, outcome);
            fail_point::hit("publisher-after-reply");
            self.shared.counters.publisher.replies.add(1);
        }
        self.shared.counters.publisher.events.add(result.events as u64);
        self.spoken_events = events_end;
        self.shared.cursors.move_acked(frame.sequence);
        fail_point::hit("publisher-acked");
    }

    /// The ring has back the slots of all that was spoken.
    pub(crate) fn returned(&self) {
        self.shared.cursors.move_returned(Reader::Publisher, self.sequencer.last_sequence());
    }

    /// Ends a batch of this many commands.
    pub(crate) fn end_batch(&mut self, count: usize) {
        let acked = self.sequencer.last_sequence();
        assert_eq!(acked, self.shared.cursors.logged(), "what was logged was not spoken");
        for outlet in &mut self.outlets {
            outlet.batch_end(acked);
        }
        let counters = &self.shared.counters.publisher;
        counters.batches.add(1);
        counters.batch_max.raise(count as u64);
        self.forget_spoken();
        self.sync_if_due();
    }

    /// Called when there is nothing to take: keeps the sync interval of the event log.
    pub(crate) fn idle(&mut self) {
        self.sync_if_due();
    }

    /// Ends the event log; gives the outlets back, and the sequence of the last event.
    pub(crate) fn close(self) -> Published<S> {
        assert!(self.is_done(), "results were not published");
        let last_event = self.event_log.last_sequence();
        or_abort(STAGE, self.event_log.close());
        (self.outlets, last_event)
    }

    fn log(&mut self, count: usize) -> Result<(), JournalError> {
        let mut begin = self.spoken_events;
        for result in self.results.range(..count) {
            let end = begin + result.events;
            let (sequence, timestamp_ns) = (result.sequence, result.timestamp_ns);
            self.event_log.append(sequence, timestamp_ns, 0, &self.events[begin..end])?;
            begin = end;
        }
        self.event_log.store()
    }

    /// Takes the spoken events out of the list. Where others are left they move only when no more
    /// of them are left than go, so that an event moves once at most, on the average.
    fn forget_spoken(&mut self) {
        if 2 * self.spoken_events >= self.events.len() {
            self.events.drain(..self.spoken_events);
            self.spoken_events = 0;
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
            .field("results", &self.results.len())
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}
