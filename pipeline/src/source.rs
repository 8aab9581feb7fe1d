//! Owns reading from a ring. Knows nothing of what a stage does with a slot.
//! Invariant: a batch is given back only when the body has returned for every slot of it; a panic
//! in the body leaves the ring cursor where it was.

use std::mem::ManuallyDrop;

use disruptor::{
    EventPoller, MultiConsumerBarrier, MultiProducer, MultiProducerBarrier, Polling,
    SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
};

use crate::slot::{InputSlot, OutputSlot};

/// A handle that publishes into the input ring; three stages gate it.
pub(crate) type InputProducer<C> = MultiProducer<InputSlot<C>, MultiConsumerBarrier>;
/// One stage's view of the input ring.
pub(crate) type InputSource<C> = EventPoller<InputSlot<C>, MultiProducerBarrier>;
/// The core's end of the output ring; the publisher gates it.
pub(crate) type OutputProducer<E> = SingleProducer<OutputSlot<E>, SingleConsumerBarrier>;
/// The publisher's end of the output ring.
pub(crate) type OutputSource<E> = EventPoller<OutputSlot<E>, SingleProducerBarrier>;

/// What a stage found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// This many slots.
    Worked(usize),
    /// Nothing now.
    Idle,
    /// Nothing any more: every producer is gone and every slot was read.
    Stopped,
}

/// Where a stage reads from.
pub(crate) trait Source<T> {
    /// Calls `body` for at most `max` slots in order, each with the one behind it if that one is of
    /// the same batch, then gives them back to the ring.
    fn drain_ahead(&mut self, max: usize, body: impl FnMut(&T, Option<&T>)) -> Duty;

    /// The same without a look ahead.
    fn drain(&mut self, max: usize, mut body: impl FnMut(&T)) -> Duty {
        self.drain_ahead(max, |slot, _| body(slot))
    }

    /// Whether `drain` would find a slot. Does not see the end of the ring.
    fn ready(&self) -> bool;
}

/// The barrier trait of the ring crate is private, so there is one implementation per poller type.
macro_rules! source {
    ($($barrier:ty),+) => { $(
        impl<T> Source<T> for EventPoller<T, $barrier> {
            fn drain_ahead(
                &mut self,
                max: usize,
                mut body: impl FnMut(&T, Option<&T>),
            ) -> Duty {
                match self.take(max as u64) {
                    Ok(guard) => {
                        // Dropping the guard gives the whole batch back, on unwind as well; so it
                        // is dropped by hand, behind the last call of the body.
                        let mut guard = ManuallyDrop::new(guard);
                        let mut count = 0;
                        let mut slots = (&mut *guard).peekable();
                        while let Some(slot) = slots.next() {
                            body(slot, slots.peek().copied());
                            count += 1;
                        }
                        drop(ManuallyDrop::into_inner(guard));
                        if count == 0 { Duty::Idle } else { Duty::Worked(count) }
                    }
                    Err(Polling::NoEvents) => Duty::Idle,
                    Err(Polling::Shutdown) => Duty::Stopped,
                }
            }

            fn ready(&self) -> bool {
                self.has_available()
            }
        }
    )+ };
}
source!(MultiProducerBarrier, SingleProducerBarrier);

#[cfg(test)]
mod tests {
    use super::*;
    use disruptor::{BusySpin, Producer, build_single_producer};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn batches_are_bounded_and_the_end_comes_last() {
        let (mut source, ring) = build_single_producer(8, || 0u32, BusySpin).new_event_poller();
        let mut producer = ring.build();
        assert_eq!(source.drain(4, |_| ()), Duty::Idle);
        assert!(!source.ready());
        for value in 1..=5 {
            producer.try_publish(|slot| *slot = value).unwrap();
        }
        drop(producer);
        let mut seen = Vec::new();
        assert!(source.ready());
        assert_eq!(source.drain(4, |value| seen.push(*value)), Duty::Worked(4));
        assert_eq!(source.drain(4, |value| seen.push(*value)), Duty::Worked(1));
        assert_eq!(source.drain(4, |value| seen.push(*value)), Duty::Stopped);
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_panic_gives_nothing_back() {
        let (mut source, ring) = build_single_producer(2, || 0u32, BusySpin).new_event_poller();
        let mut producer = ring.build();
        for value in 1..=2 {
            producer.try_publish(|slot| *slot = value).unwrap();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            source.drain(2, |value| assert!(*value < 2, "second slot"));
        }));
        assert!(outcome.is_err());
        assert!(producer.try_publish(|slot| *slot = 3).is_err(), "the ring is still full");
        let mut seen = Vec::new();
        assert_eq!(source.drain(2, |value| seen.push(*value)), Duty::Worked(2));
        assert_eq!(seen, [1, 2], "the batch is seen again");
    }
}
