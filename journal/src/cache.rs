//! What the page cache holds of a file, and in which pieces.
//!
//! The cache keeps what it got in one call together, and a sync writes all of such a piece back for
//! one byte that was changed through a mapping: after a write or a read of a MiB, a sync of 256
//! bytes costs a MiB. A segment that will be mapped is therefore dropped from the cache and fetched
//! again by a call that brings single pages.
//!
//! Must not know: what a segment is. Invariant: nothing is dropped that is not on the disk.

use crate::error::JournalError;
use crate::limits::FETCH_BYTES;
use rustix::fs::Advice;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::path::Path;

/// The calls that decide in which pieces a file lies in the cache; a seam for a test of their
/// order.
pub(crate) trait Cached {
    /// Writes back what the disk has not got.
    fn write_back(&self) -> io::Result<()>;
    /// Gives up all pages that nobody has mapped or changed.
    fn forget(&self) -> io::Result<()>;
    /// Begins to read a part, page by page. The kernel takes on no more than it reads ahead at
    /// most, so the part is small.
    fn fetch(&self, offset: u64, len: u64) -> io::Result<()>;
}

impl Cached for File {
    fn write_back(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn forget(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(self, 0, None, Advice::DontNeed)?)
    }

    fn fetch(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fadvise(self, offset, NonZeroU64::new(len), Advice::WillNeed)?)
    }
}

/// Writes back what an earlier process left in the page cache and drops the cache, so that what is
/// read next comes from the disk: after a failed sync the cache shows bytes that never got there.
pub(crate) fn settle_file(file: &File, path: &Path) -> Result<(), JournalError> {
    file.write_back().map_err(JournalError::io("sync", path))?;
    file.forget().map_err(JournalError::io("drop cache of", path))
}

/// Brings `from..to` of a file into the cache in single pages, however they came there before.
/// `pause` is called behind every piece; its error ends the work.
pub(crate) fn lay_in_pages(
    file: &impl Cached,
    from: u64,
    to: u64,
    pause: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<()> {
    file.write_back()?;
    file.forget()?;
    fetch_pages(file, from, to, pause)
}

/// Brings what is missing of `from..to` into the cache, in single pages. `pause` as above.
pub(crate) fn fetch_pages(
    file: &impl Cached,
    from: u64,
    to: u64,
    mut pause: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut offset = from;
    while offset < to {
        let len = FETCH_BYTES.min(to - offset);
        file.fetch(offset, len)?;
        pause(len)?;
        offset += len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(Debug, PartialEq, Eq)]
    enum Call {
        WriteBack,
        Forget,
        Fetch(u64, u64),
    }

    #[derive(Default)]
    struct Recorder(RefCell<Vec<Call>>);

    impl Recorder {
        fn note(&self, call: Call) -> io::Result<()> {
            self.0.borrow_mut().push(call);
            Ok(())
        }
    }

    impl Cached for Recorder {
        fn write_back(&self) -> io::Result<()> {
            self.note(Call::WriteBack)
        }

        fn forget(&self) -> io::Result<()> {
            self.note(Call::Forget)
        }

        fn fetch(&self, offset: u64, len: u64) -> io::Result<()> {
            self.note(Call::Fetch(offset, len))
        }
    }

    #[test]
    fn pages_are_dropped_before_they_are_fetched_in_small_parts() {
        use Call::{Fetch, Forget, WriteBack};
        let file = Recorder::default();
        let mut paused = Vec::new();
        let to = 3 * FETCH_BYTES + 4096;
        lay_in_pages(&file, FETCH_BYTES, to, |len| {
            paused.push(len);
            Ok(())
        })
        .unwrap();
        let expected = [
            WriteBack,
            Forget,
            Fetch(FETCH_BYTES, FETCH_BYTES),
            Fetch(2 * FETCH_BYTES, FETCH_BYTES),
            Fetch(3 * FETCH_BYTES, 4096),
        ];
        assert_eq!(file.0.into_inner(), expected);
        assert_eq!(paused, [FETCH_BYTES, FETCH_BYTES, 4096]);
    }

    #[test]
    fn nothing_more_is_fetched_when_the_pause_says_no() {
        let file = Recorder::default();
        let stop = |_| Err(io::ErrorKind::Interrupted.into());
        assert!(lay_in_pages(&file, 0, 10 * FETCH_BYTES, stop).is_err());
        assert_eq!(file.0.into_inner().len(), 3);
    }
}
