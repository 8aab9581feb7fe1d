//! Owns the list of events of one command. Knows nothing of what they mean.
//! Invariant: its memory is reused, so a steady state allocates nothing.

/// Events of the command being applied, in order; cleared by the caller before each command.
#[derive(Clone, Debug, Default)]
pub struct EventBuffer<E> {
    events: Vec<E>,
}

impl<E: Copy> EventBuffer<E> {
    /// Reserves room for `capacity` events. A command that makes more (a long walk, a cascade, the
    /// end of many orders at once) makes the buffer grow; the steps of an order, the orders that a
    /// command may start and the number of live orders bound that.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { events: Vec::with_capacity(capacity) }
    }

    #[inline]
    pub fn push(&mut self, event: E) {
        self.events.push(event);
    }

    #[inline]
    pub fn clear(&mut self) {
        self.events.clear();
    }

    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        &self.events
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
