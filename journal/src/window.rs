//! Parts of a file in memory, read past the page cache or through it.
//!
//! Must not know: what the bytes mean. Invariant: bytes are given out only as they were read; every
//! read begins at a block and goes into memory that is aligned like one, so that it can bypass the
//! cache.

use crate::format::BLOCK;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Whose view of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// What every process sees; a writer's stores are there before they are on the disk.
    Cache,
    /// What is on the disk. Where the file system has no such reads, the cache will do if
    /// `or_cache`.
    Disk { or_cache: bool },
}

/// Opens a file for reads that bypass the page cache; `None` where the view is that of the cache.
pub(crate) fn open_direct(path: &Path, view: View) -> io::Result<Option<File>> {
    let View::Disk { or_cache } = view else { return Ok(None) };
    let flag = rustix::fs::OFlags::DIRECT.bits();
    let flag = i32::try_from(flag).map_err(io::Error::other)?;
    match OpenOptions::new().read(true).custom_flags(flag).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if or_cache && error.kind() == io::ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(error),
    }
}

/// Memory that begins at a multiple of the block size.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// Sets the length. The content is then any.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.bytes.len() < len + BLOCK {
            self.bytes = vec![0; len + BLOCK];
            self.start = self.bytes.as_ptr().align_offset(BLOCK);
            assert!(self.start < BLOCK, "a byte can be found for every alignment");
        }
        self.len = len;
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    /// Reads from an offset, both it and the length multiples of a block; the buffer ends up
    /// shorter where the file ends before.
    pub(crate) fn fill_from(&mut self, file: &File, offset: u64) -> io::Result<()> {
        assert!(self.len.is_multiple_of(BLOCK) && offset.is_multiple_of(BLOCK as u64));
        let place = &mut self.bytes[self.start..self.start + self.len];
        let mut filled = 0;
        // A part of a block is the end of the file.
        while filled < place.len() && filled.is_multiple_of(BLOCK) {
            match file.read_at(&mut place[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.len = 0;
                    return Err(error);
                }
            }
        }
        self.len = filled;
        Ok(())
    }
}

/// A part of a file, read in large pieces.
#[derive(Debug)]
pub(crate) struct Window {
    buffer: AlignedBuffer,
    start: u64,
    piece: usize,
}

impl Window {
    /// `piece`: bytes read at once, a multiple of a block.
    pub(crate) fn new(piece: usize) -> Self {
        assert!(piece.is_multiple_of(BLOCK));
        Self { buffer: AlignedBuffer::default(), start: 0, piece }
    }

    /// Forgets what was read: the file may have changed.
    pub(crate) fn discard(&mut self) {
        self.buffer.resize(0);
    }

    /// Changes one bit of what was read, as if the file had it so.
    #[cfg(test)]
    pub(crate) fn flip(&mut self, offset: u64, bit: u32) {
        let at = usize::try_from(offset - self.start).unwrap() + self.buffer.start;
        self.buffer.bytes[at] ^= 1 << bit;
    }

    /// Bytes `offset..offset + len` of a file of which `limit` bytes may be read.
    pub(crate) fn load(
        &mut self,
        file: &File,
        offset: u64,
        len: usize,
        limit: u64,
    ) -> io::Result<&[u8]> {
        assert!(offset + len as u64 <= limit);
        let end = self.start + self.buffer.as_slice().len() as u64;
        if offset < self.start || offset + len as u64 > end {
            let start = offset - offset % BLOCK as u64;
            let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
            let wanted = size(offset - start + len as u64).next_multiple_of(BLOCK);
            let rest = size((limit - start).next_multiple_of(BLOCK as u64));
            self.buffer.resize(wanted.max(self.piece).min(rest));
            self.start = start;
            self.buffer.fill_from(file, start)?;
        }
        let from = usize::try_from(offset - self.start).map_err(io::Error::other)?;
        let part = self.buffer.as_slice().get(from..from + len);
        part.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of `len` bytes, each telling its place, opened both ways where that is possible.
    fn sample(len: usize) -> (tempfile::TempDir, Vec<u8>, Vec<File>) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sample");
        let bytes: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
        std::fs::write(&path, &bytes).unwrap();
        let direct = open_direct(&path, View::Disk { or_cache: true }).unwrap();
        let files = std::iter::once(File::open(&path).unwrap()).chain(direct).collect();
        (root, bytes, files)
    }

    #[test]
    fn any_part_is_read_through_the_cache_and_past_it() {
        let (_root, bytes, files) = sample(5 * BLOCK);
        for file in &files {
            let mut window = Window::new(2 * BLOCK);
            for (offset, len) in
                [(0, 1), (4095, 2), (100, 3 * BLOCK), (5 * BLOCK - 1, 1), (64, 64), (0, 5 * BLOCK)]
            {
                let read = window.load(file, offset as u64, len, 5 * BLOCK as u64).unwrap();
                assert!(*read == bytes[offset..offset + len], "{offset} {len}");
            }
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error_only_behind_its_end() {
        let (_root, bytes, files) = sample(BLOCK + 100);
        for file in &files {
            let mut window = Window::new(4 * BLOCK);
            let limit = 4 * BLOCK as u64;
            let read = window.load(file, BLOCK as u64, 100, limit).unwrap();
            assert!(*read == bytes[BLOCK..]);
            for (offset, len) in [(BLOCK, 101), (2 * BLOCK, 1), (BLOCK + 100, 1)] {
                let error = window.load(file, offset as u64, len, limit).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }

    #[test]
    fn memory_is_aligned_however_long() {
        let mut buffer = AlignedBuffer::default();
        for len in [1, BLOCK - 1, BLOCK, 1 << 20, 10] {
            buffer.resize(len);
            assert_eq!(buffer.as_slice().len(), len);
            assert_eq!(buffer.as_slice().as_ptr().align_offset(BLOCK), 0);
        }
    }

    #[test]
    fn the_cache_is_read_only_where_it_will_do() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("missing");
        assert!(open_direct(&missing, View::Cache).unwrap().is_none());
        let error = open_direct(&missing, View::Disk { or_cache: true }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
