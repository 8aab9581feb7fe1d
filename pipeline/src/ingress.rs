//! Owns the way in: admission by lane, the stamp, the reply place, the publish.
//! Knows nothing of what is submitted. Invariant: a refused submission leaves nothing behind, and
//! no call waits for a stage: a full ring is an answer.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crossbeam::utils::CachePadded;
use disruptor::Producer;
use engine::{StateMachine, Usage};
use journal::Space;

use crate::limits::{CANCEL_SHARE_PERCENT, ORDER_SHARE_PERCENT};
use crate::reply::ReplySlab;
use crate::slot::{Control, Input, InputSlot, NO_REPLY};
use crate::source::InputProducer;
use crate::stages::Shared;

/// What share of the input ring a submission may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Brings new load: up to 80 %.
    Order,
    /// Takes load away: up to 95 %.
    Cancel,
    /// Must get through: the whole ring.
    Control,
}

impl Lane {
    /// Slots of a ring that it may fill.
    #[must_use]
    pub fn slots(self, ring_slots: u64) -> u64 {
        match self {
            Self::Order => ring_slots * ORDER_SHARE_PERCENT / 100,
            Self::Cancel => ring_slots * CANCEL_SHARE_PERCENT / 100,
            Self::Control => ring_slots,
        }
    }

    /// Whether a command is accepted with this room: an order only where there is room for all that
    /// follows from it, the others as long as there is any.
    fn fits(self, space: Space) -> bool {
        match self {
            Self::Order => space == Space::Ample,
            Self::Cancel | Self::Control => space < Space::Last,
        }
    }
}

/// Why a submission was refused. Nothing was journaled, and the reply was dropped uncompleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The input ring, or the share of the lane, is full: try again later.
    #[error("input ring full")]
    RingFull,
    /// As many replies wait as may: try again later.
    #[error("every reply place is taken")]
    RepliesExhausted,
    /// The disk has no room for what a log will need: try again when somebody has made some.
    #[error("no space left on the disk")]
    NoSpace,
    /// Accepted commands have waited too long for the disk: try again when it answers.
    #[error("the disk is late")]
    SyncDelayed,
    /// The pipeline is shutting down.
    #[error("pipeline closed")]
    Closed,
}

type ProducerCell<S> = Mutex<Option<InputProducer<<S as StateMachine>::Command>>>;

struct Gate<S: StateMachine, R> {
    /// Each is emptied by `close`; the ring ends when all are gone.
    producers: Box<[ProducerCell<S>]>,
    rotation: AtomicUsize,
    ring_slots: u64,
    output_slots: u64,
    /// Sequence of the first ring slot.
    first_sequence: u64,
    /// A value that `vacated` has had, for those who submit.
    vacated_seen: CachePadded<AtomicU64>,
    replies: Arc<ReplySlab<R>>,
    shared: Shared,
}

impl<S: StateMachine, R> Gate<S, R> {
    /// Whether the share of the lane has a place. Two threads may pass here together and overshoot
    /// the share by one each; the ring itself is the bound that holds.
    ///
    /// Where the ring was not full by what was last seen of `vacated`, it is not full now: only
    /// then the cursors of the stages, which they write all the time, are looked at.
    fn has_place(&self, lane: Lane) -> bool {
        let slots = lane.slots(self.ring_slots);
        let cursors = &self.shared.cursors;
        let seen = self.vacated_seen.load(Ordering::Relaxed);
        if cursors.published().saturating_sub(seen) < slots {
            return true;
        }
        // Before `published`: read the other way round, the ring could seem emptier than it is.
        let vacated = cursors.vacated();
        self.vacated_seen.fetch_max(vacated, Ordering::Relaxed);
        cursors.published().saturating_sub(vacated) < slots
    }
}

/// Handle to submit with; clones are cheap and any thread may use one.
pub struct Ingress<S: StateMachine, R> {
    gate: Arc<Gate<S, R>>,
}

impl<S: StateMachine, R> Clone for Ingress<S, R> {
    fn clone(&self) -> Self {
        Self { gate: Arc::clone(&self.gate) }
    }
}

impl<S: StateMachine, R> fmt::Debug for Ingress<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress")
            .field("cursors", &self.gate.shared.cursors)
            .finish_non_exhaustive()
    }
}

impl<S: StateMachine, R> Ingress<S, R> {
    pub(crate) fn new(
        producer: InputProducer<S::Command>,
        producers: usize,
        [ring_slots, output_slots]: [usize; 2],
        first_sequence: u64,
        replies: Arc<ReplySlab<R>>,
        shared: Shared,
    ) -> Self {
        // Cloning takes a lock in the ring, so it happens here and never per submission.
        let mut handles: Vec<_> =
            (1..producers).map(|_| Mutex::new(Some(producer.clone()))).collect();
        handles.push(Mutex::new(Some(producer)));
        let gate = Gate {
            producers: handles.into_boxed_slice(),
            rotation: AtomicUsize::new(0),
            ring_slots: ring_slots as u64,
            output_slots: output_slots as u64,
            first_sequence,
            vacated_seen: CachePadded::new(AtomicU64::new(first_sequence - 1)),
            replies,
            shared,
        };
        Self { gate: Arc::new(gate) }
    }

    /// Submits a command; returns its sequence. The reply, if any, is completed once the command is
    /// released. Never waits for a stage.
    ///
    /// # Errors
    /// [`SubmitError`]; the command was then not accepted and the reply is dropped.
    pub fn try_submit(
        &self,
        command: S::Command,
        reply: Option<R>,
        lane: Lane,
    ) -> Result<u64, SubmitError> {
        self.submit(Input::Command(command), reply, lane)
    }

    /// Asks for the hash of the state at the returned sequence.
    ///
    /// # Errors
    /// As [`Self::try_submit`].
    pub fn try_state_hash(&self, reply: R) -> Result<u64, SubmitError> {
        self.submit(Input::Control(Control::StateHash), Some(reply), Lane::Control)
    }

    /// Inputs between producers and publisher, and the slots there are for them.
    #[must_use]
    pub fn depth(&self) -> (u64, u64) {
        (self.gate.shared.cursors.depth(), self.gate.ring_slots)
    }

    /// How full everything is that has a bound: both rings, the places for replies, and the tables
    /// of the machine.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        let Shared { cursors, counters, tables, .. } = &self.gate.shared;
        let (used, max) = self.depth();
        let input = Usage { name: "input_slots", used, max };
        // `freed` first: read the other way round, the ring could seem fuller than it is.
        let freed = cursors.freed();
        let used = counters.core.sent.get().saturating_sub(freed);
        let output = Usage { name: "output_slots", used, max: self.gate.output_slots };
        let (used, max) = self.gate.replies.fill();
        let replies = Usage::new("reply_places", used, max);
        [input, output, replies].into_iter().chain(tables.usage()).collect()
    }

    /// How long the oldest accepted command that waits for the disk has done so. Under the policy
    /// that never waits for it always zero; under the one that syncs every so often, how long a
    /// sync that is under way has taken, because what is handed over now waits for its end.
    #[must_use]
    pub fn sync_age(&self) -> Duration {
        self.gate.shared.sync_age.get(&*self.gate.shared.clock)
    }

    /// Refuses everything from now on and lets the stages see the end of the input.
    pub(crate) fn close(&self) {
        for cell in &self.gate.producers {
            drop(lock(cell).take());
        }
        self.gate.shared.bells.ring_all();
    }

    fn submit(
        &self,
        input: Input<S::Command>,
        reply: Option<R>,
        lane: Lane,
    ) -> Result<u64, SubmitError> {
        let gate = &*self.gate;
        if !gate.has_place(lane) {
            return Err(self.ring_full());
        }
        let place = match reply {
            None => NO_REPLY,
            Some(reply) => gate.replies.insert(reply).ok_or_else(|| {
                gate.shared.counters.ingress.replies_exhausted.add_shared(1);
                SubmitError::RepliesExhausted
            })?,
        };
        let outcome = self.hand_over(input, place, lane);
        match outcome {
            Ok(_) => gate.shared.bells.ring_readers(),
            Err(_) if place != NO_REPLY => drop(gate.replies.remove(place)),
            Err(_) => {}
        }
        outcome
    }

    fn hand_over(
        &self,
        input: Input<S::Command>,
        reply: u32,
        lane: Lane,
    ) -> Result<u64, SubmitError> {
        let gate = &*self.gate;
        let mut cell = self.any_producer();
        // First of all: whoever tries again for want of space must hear of the end.
        let producer = cell.as_mut().ok_or(SubmitError::Closed)?;
        if !lane.fits(gate.shared.counters.room.space()) {
            gate.shared.counters.ingress.no_space.add_shared(1);
            return Err(SubmitError::NoSpace);
        }
        let stamped_ns = gate.shared.clock.wall_ns();
        if lane == Lane::Order && gate.shared.sync_age.is_over(stamped_ns, &*gate.shared.clock) {
            gate.shared.counters.ingress.sync_delayed.add_shared(1);
            return Err(SubmitError::SyncDelayed);
        }
        // The slot is ready before the ring claims a place for it: whatever happens between claim
        // and publish would hold up every stage.
        let slot = InputSlot { stamped_ns, reply, input };
        let claimed = producer.try_publish(|place| *place = slot).map_err(|_| self.ring_full())?;
        let offset = u64::try_from(claimed).expect("ring positions start at 0");
        let sequence = gate.first_sequence + offset;
        gate.shared.cursors.move_published(sequence);
        Ok(sequence)
    }

    /// A producer that nobody uses, or else the wait for one.
    fn any_producer(&self) -> MutexGuard<'_, Option<InputProducer<S::Command>>> {
        let cells = &self.gate.producers;
        let start = self.gate.rotation.fetch_add(1, Ordering::Relaxed) % cells.len();
        for cell in cells[start..].iter().chain(&cells[..start]) {
            match cell.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        lock(&cells[start])
    }

    fn ring_full(&self) -> SubmitError {
        self.gate.shared.counters.ingress.ring_full.add_shared(1);
        SubmitError::RingFull
    }
}

/// A thread that died holding the lock left the producer whole: it panics before the claim or not
/// at all.
fn lock<T>(cell: &Mutex<T>) -> MutexGuard<'_, T> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_ring() {
        let shares = [Lane::Order, Lane::Cancel, Lane::Control].map(|lane| lane.slots(64));
        assert_eq!(shares, [51, 60, 64]);
    }

    #[test]
    fn what_a_full_disk_leaves() {
        let fits = |space| [Lane::Order, Lane::Cancel, Lane::Control].map(|lane| lane.fits(space));
        assert_eq!(fits(Space::Ample), [true, true, true]);
        assert_eq!(fits(Space::Tight), [false, true, true]);
        assert_eq!(fits(Space::Last), [false, false, false]);
    }
}
