//! Owns the answers that wait for their command. Knows nothing of how an answer travels.
//! Invariant: a reply is in the slab from before its slot is published until it is completed, once.

use std::sync::PoisonError;

use crossbeam::queue::ArrayQueue;
use engine::{Frame, StateMachine};

use crate::sync::{Mutex, MutexGuard};

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome<'a, E> {
    /// Everything that happened, in order.
    Events(&'a [E]),
    /// The hash of the state right after the request for it.
    StateHash([u8; 32]),
}

/// The waiting end of a request.
pub trait Reply<S: StateMachine>: Send + 'static {
    /// Called once, on the publisher's thread, when the command is released and logged. Must not
    /// block; a panic ends the process.
    fn complete(self, frame: &Frame<S::Command>, outcome: Outcome<'_, S::Event>);
}

/// A fixed number of places for replies; a ring slot carries the number of a place.
#[derive(Debug)]
pub(crate) struct ReplySlab<R> {
    free: ArrayQueue<u32>,
    cells: Box<[Mutex<Option<R>>]>,
}

impl<R> ReplySlab<R> {
    pub(crate) fn new(places: usize) -> Self {
        let free = ArrayQueue::new(places);
        for place in 0..places {
            let place = u32::try_from(place).expect("options bound the number of replies");
            free.push(place).expect("as many places as numbers");
        }
        Self { free, cells: (0..places).map(|_| Mutex::new(None)).collect() }
    }

    /// Keeps a reply and returns its place; `None` when every place is taken.
    pub(crate) fn insert(&self, reply: R) -> Option<u32> {
        let place = self.free.pop()?;
        let previous = self.cell(place).replace(reply);
        assert!(previous.is_none(), "reply place {place} was handed out twice");
        Some(place)
    }

    /// Places that are taken, and all there are.
    pub(crate) fn fill(&self) -> (usize, usize) {
        (self.cells.len() - self.free.len(), self.cells.len())
    }

    /// Takes the reply back and frees its place.
    ///
    /// # Panics
    /// If nobody is there: the place would be answered twice.
    pub(crate) fn remove(&self, place: u32) -> R {
        let reply = self.cell(place).take().expect("a reply is taken once");
        self.free.push(place).expect("a place is freed once");
        reply
    }

    /// A cell has one user at a time, so the lock is never contended and never a system call.
    fn cell(&self, place: u32) -> MutexGuard<'_, Option<R>> {
        self.cells[place as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let slab = ReplySlab::new(2);
        let first = slab.insert('a').unwrap();
        let second = slab.insert('b').unwrap();
        assert_eq!(slab.insert('c'), None, "one past the bound");
        assert_eq!(slab.remove(first), 'a');
        let third = slab.insert('c').unwrap();
        assert_eq!((slab.remove(second), slab.remove(third)), ('b', 'c'));
    }
}
