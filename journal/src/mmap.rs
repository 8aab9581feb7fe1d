//! The writable mapping of one segment file.
//!
//! The only unsafe code of the crate. Must not know: what is stored, or where. Invariant: the
//! mapping covers the whole file, whose length is fixed before it is mapped and never changed while
//! it is; nothing ever reads through it, readers use plain reads of the file.
#![allow(unsafe_code)]

use memmap2::{Advice, MmapMut};
use std::fs::File;
use std::io;
use std::ops::Range;

/// A mapped segment, to be stored into.
#[derive(Debug)]
pub(crate) struct SegmentMap {
    map: MmapMut,
}

impl SegmentMap {
    /// Maps the file and takes in the pages of `first`, so that no store there meets a missing one.
    ///
    /// The pages are read, not written: writing them would make all of the segment dirty again. A
    /// hole in the file, which would be a signal on a store, is an error here.
    pub(crate) fn new(file: &File, first: Range<usize>) -> io::Result<Self> {
        // SAFETY: the file was filled to its fixed length and is never truncated by this crate; the
        // directory is private (0700) and locked, so no other process of ours truncates it. No
        // reference into the mapping outlives `store`, and no other mapping of the file exists.
        let map = unsafe { MmapMut::map_mut(file)? };
        map.advise(Advice::Random)?;
        map.advise_range(Advice::PopulateRead, first.start, first.len())?;
        Ok(Self { map })
    }

    /// Copies bytes to an offset. Both must lie within the file.
    pub(crate) fn store(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len()).expect("an offset within a file");
        assert!(end <= self.map.len(), "a store stays within its segment");
        self.map[offset..end].copy_from_slice(bytes);
    }
}
