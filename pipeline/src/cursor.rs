//! Owns the positions that stages show each other. Knows nothing of the stages themselves.
//! Invariant: a cursor never moves back, and each move keeps the order of its neighbours:
//! `written >= synced`, `written >= durable`, and
//! `min(matched, durable) >= released >= logged >= acked`.
//!
//! All hold a command sequence, except `freed`, which counts output slots. Apart from that order
//! are the ends of the three readers' batches, see [`Cursors::vacated`]. `published` is stored
//! after its slot is visible, so a stage may be ahead of it for a moment and nothing asserts it.

use crossbeam::utils::CachePadded;
use journal::SyncPolicy;

use crate::sync::{AtomicU64, Ordering};

/// A position with one writer, alone in its cache line.
#[derive(Debug, Default)]
pub struct Cursor(CachePadded<AtomicU64>);

impl Cursor {
    fn new(at: u64) -> Self {
        Self(CachePadded::new(AtomicU64::new(at)))
    }

    /// Acquire: who sees the position also sees everything done before it was moved there.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Release: pairs with the load in [`Self::get`].
    fn set(&self, to: u64) {
        debug_assert!(to >= self.0.load(Ordering::Relaxed), "a cursor never moves back");
        self.0.store(to, Ordering::Release);
    }
}

/// Who reads the input ring.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reader {
    Journaler,
    Core,
    Publisher,
}

/// Every cursor of one pipeline.
#[derive(Debug)]
pub struct Cursors {
    published: Cursor,
    written: Cursor,
    synced: Cursor,
    durable: Cursor,
    matched: Cursor,
    released: Cursor,
    logged: Cursor,
    acked: Cursor,
    freed: Cursor,
    /// By [`Reader`].
    returned: [Cursor; 3],
}

impl Cursors {
    /// All at the last sequence that recovery found; `freed` at 0.
    pub(crate) fn new(base: u64) -> Self {
        let at = || Cursor::new(base);
        Self {
            published: at(),
            written: at(),
            synced: at(),
            durable: at(),
            matched: at(),
            released: at(),
            logged: at(),
            acked: at(),
            freed: Cursor::new(0),
            returned: [at(), at(), at()],
        }
    }

    /// Highest sequence handed to a producer; for depth only.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.get()
    }

    /// Stored in the page cache: survives the death of the process.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.get()
    }

    /// Covered by a returned sync: survives a power cut.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.synced.get()
    }

    /// What the sync policy promises.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable.get()
    }

    /// Applied by the state machine.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.matched.get()
    }

    /// May be shown to anybody.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.released.get()
    }

    /// Its events are in the event log.
    #[must_use]
    pub fn logged(&self) -> u64 {
        self.logged.get()
    }

    /// Outlets fed, reply completed.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acked.get()
    }

    /// Output slots that the publisher gave back since the start.
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.freed.get()
    }

    /// Up to where all three readers have given their input slots back, which each does at the end
    /// of a batch. A command may be acknowledged before that.
    pub(crate) fn vacated(&self) -> u64 {
        let [journaler, core, publisher] = &self.returned;
        journaler.get().min(core.get()).min(publisher.get())
    }

    /// Up to where a command is both applied and durable.
    #[must_use]
    pub fn releasable(&self) -> u64 {
        self.matched().min(self.durable())
    }

    /// Up to where others may act on what happened and keep what they did: a power cut may not lose
    /// the cause of something that lives on. Where the policy never waits for the disk, `os`, that
    /// is all that is written.
    #[must_use]
    pub fn lasting(&self, sync: SyncPolicy) -> u64 {
        let stored = if sync == SyncPolicy::Os { self.written() } else { self.synced() };
        self.logged().min(stored)
    }

    /// Inputs between producers and publisher, in slots.
    #[must_use]
    pub fn depth(&self) -> u64 {
        // `acked` first: read the other way round, a busy pipeline could seem deeper than it is.
        let acked = self.acked();
        self.published().saturating_sub(acked)
    }

    /// Several producers move it, in any order.
    pub(crate) fn move_published(&self, to: u64) {
        self.published.0.fetch_max(to, Ordering::AcqRel);
    }

    pub(crate) fn move_written(&self, to: u64) {
        assert!(to >= self.written(), "written moves back to {to}");
        self.written.set(to);
    }

    pub(crate) fn move_synced(&self, to: u64) {
        assert!(to <= self.written(), "synced {to} before it was written");
        assert!(to >= self.synced(), "synced moves back to {to}");
        self.synced.set(to);
    }

    pub(crate) fn move_durable(&self, to: u64) {
        assert!(to <= self.written(), "durable {to} before it was written");
        assert!(to >= self.durable(), "durable moves back to {to}");
        self.durable.set(to);
    }

    pub(crate) fn move_matched(&self, to: u64) {
        assert!(to == self.matched() + 1, "matched skips to {to}");
        self.matched.set(to);
    }

    pub(crate) fn move_released(&self, to: u64) {
        assert!(to <= self.releasable(), "released {to} before it was matched and durable");
        assert!(to >= self.released(), "released moves back to {to}");
        self.released.set(to);
    }

    pub(crate) fn move_logged(&self, to: u64) {
        assert!(to <= self.released(), "logged {to} before it was released");
        assert!(to >= self.logged(), "logged moves back to {to}");
        self.logged.set(to);
    }

    pub(crate) fn move_acked(&self, to: u64) {
        assert!(to <= self.logged(), "acked {to} before it was logged");
        assert!(to == self.acked() + 1, "acked skips to {to}");
        self.acked.set(to);
    }

    pub(crate) fn move_returned(&self, by: Reader, to: u64) {
        let returned = &self.returned[by as usize];
        assert!(to >= returned.get(), "{by:?} takes slots back at {to}");
        returned.set(to);
    }

    pub(crate) fn move_freed(&self, to: u64) {
        assert!(to >= self.freed(), "freed moves back to {to}");
        self.freed.set(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn refused(move_it: impl FnOnce(&Cursors)) -> bool {
        let cursors = Cursors::new(5);
        catch_unwind(AssertUnwindSafe(|| move_it(&cursors))).is_err()
    }

    #[test]
    fn a_command_passes_in_order() {
        let cursors = Cursors::new(5);
        cursors.move_published(6);
        assert_eq!(cursors.depth(), 1);
        cursors.move_matched(6);
        assert_eq!(cursors.releasable(), 5);
        cursors.move_written(6);
        cursors.move_synced(6);
        cursors.move_durable(6);
        assert_eq!(cursors.releasable(), 6);
        cursors.move_released(6);
        cursors.move_logged(6);
        cursors.move_acked(6);
        assert_eq!((cursors.acked(), cursors.depth()), (6, 0));
    }

    #[test]
    fn every_shortcut_is_refused() {
        assert!(refused(|cursors| cursors.move_synced(6)));
        assert!(refused(|cursors| cursors.move_durable(6)));
        assert!(refused(|cursors| cursors.move_matched(7)));
        assert!(refused(|cursors| cursors.move_released(6)));
        assert!(refused(|cursors| cursors.move_logged(6)));
        assert!(refused(|cursors| cursors.move_acked(6)));
        assert!(refused(|cursors| {
            cursors.move_matched(6);
            cursors.move_released(6);
        }));
        assert!(refused(|cursors| {
            cursors.move_written(6);
            cursors.move_durable(6);
            cursors.move_released(6);
        }));
    }

    #[test]
    fn nothing_moves_back() {
        assert!(refused(|cursors| cursors.move_written(4)));
        assert!(refused(|cursors| cursors.move_synced(4)));
        assert!(refused(|cursors| cursors.move_durable(4)));
        assert!(refused(|cursors| cursors.move_released(4)));
        assert!(refused(|cursors| cursors.move_logged(4)));
        let cursors = Cursors::new(5);
        cursors.move_published(4);
        assert_eq!(cursors.published(), 5, "a late producer does not undo an earlier one");
    }
}
