//! Where finished bytes go: a seam under the writer, so that crashes and failures can be staged.
//!
//! Must not know: what a group is. Invariant: bytes that were put are read back by anybody who
//! reads the file; after `sync` returned they survive a power cut.

use crate::format::BLOCK;
use crate::mmap::SegmentMap;
use crate::options::SyncPolicy;
use rustix::fs::SeekFrom;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Receiver of the bytes of one segment.
pub trait GroupSink: Send {
    /// Places bytes at an offset of the segment.
    ///
    /// # Errors
    /// Any error is final for the writer.
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything put before durable.
    ///
    /// # Errors
    /// Any error is final for the writer; the call is never repeated.
    fn sync(&mut self) -> io::Result<()>;

    /// What another thread needs to do the same. Takes no descriptor: there may be none left.
    ///
    /// # Errors
    /// A sink that cannot be synced.
    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>>;

    /// Whether a sync that nobody waits for is done at once, on the thread that asks for it: where
    /// it takes no time, and the order of everything must be the same in every run.
    fn syncs_at_once(&self) -> bool {
        false
    }
}

/// Makes durable, on whatever thread, what was put into a sink before.
pub trait SyncHandle: Send {
    /// As [`GroupSink::sync`].
    ///
    /// # Errors
    /// Any error is final for the writer; the call is never repeated.
    fn sync(&mut self) -> io::Result<()>;
}

/// A segment file whose length is known. A write behind the end of one that somebody has cut would
/// make it longer again, with a hole in place of what was there.
#[derive(Debug)]
struct WholeFile {
    file: File,
    len: u64,
}

impl WholeFile {
    fn new(file: File) -> io::Result<Arc<Self>> {
        let len = file.metadata()?.len();
        Ok(Arc::new(Self { file, len }))
    }

    /// Writes within the length.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(offset + bytes.len() as u64 <= self.len, "a store stays within its segment");
        self.file.write_all_at(bytes, offset)
    }

    /// Syncs; an error also where the file was cut since: what is behind the cut may have been
    /// promised.
    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        // Not by asking for the file's metadata: whoever has seen its times makes the next write
        // note a new one, which takes half as long as a sync, and a block more on the device.
        let len = rustix::fs::seek(&self.file, SeekFrom::End(0))?;
        if len == self.len { Ok(()) } else { Err(io::Error::other("the file was cut")) }
    }
}

impl SyncHandle for Arc<WholeFile> {
    fn sync(&mut self) -> io::Result<()> {
        WholeFile::sync(self)
    }
}

/// How a log gets its bytes into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storing {
    /// Into a mapping of a file that was filled with zeros: a store costs a copy and no system
    /// call, and a sync changes nothing but the bytes. For small groups that are promised as soon
    /// as they are stored, and synced soon.
    Mapped,
    /// By writes over the zeros of a file: a group costs a system call, but no page has to be
    /// fetched, made writable and taken out of a mapping again, which for a large group costs more
    /// than the disk. For groups of whole blocks that are promised when they are synced.
    Filled,
    /// By writes into space that is only reserved: nothing is written twice, but a sync has to
    /// change how the space is kept, too. For a log whose syncs nobody waits for.
    Reserved,
}

impl Storing {
    /// What suits a journal of this policy with groups of this alignment.
    #[must_use]
    pub const fn suited(sync: SyncPolicy, pad: u32) -> Self {
        match sync {
            SyncPolicy::Os => Self::Reserved,
            // A part of a block would be read from the disk first.
            SyncPolicy::Group if pad as usize == BLOCK => Self::Filled,
            SyncPolicy::Group | SyncPolicy::Interval { .. } => Self::Mapped,
        }
    }

    /// Whether the file is filled with zeros before it is used.
    pub(crate) fn is_filled(self) -> bool {
        self != Self::Reserved
    }
}

/// Writes to the segment file and syncs it.
#[derive(Debug)]
struct FileSink(Arc<WholeFile>);

impl GroupSink for FileSink {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Ok(Box::new(Arc::clone(&self.0)))
    }
}

/// Stores into a mapping of the segment file and syncs the file.
#[derive(Debug)]
pub struct MapSink {
    map: SegmentMap,
    file: Arc<WholeFile>,
}

impl MapSink {
    /// Maps a file of a fixed length that was filled beforehand, with the pages of `first` at hand
    /// for the next stores. Nobody may cut the file while it is mapped.
    ///
    /// # Errors
    /// A system call failed, or the file has holes where `first` is.
    pub fn new(file: File, first: Range<u64>) -> io::Result<Self> {
        let place = |offset| usize::try_from(offset).map_err(io::Error::other);
        let first = place(first.start)?..place(first.end)?;
        Ok(Self { map: SegmentMap::new(&file, first)?, file: WholeFile::new(file)? })
    }
}

impl GroupSink for MapSink {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.map.store(usize::try_from(offset).map_err(io::Error::other)?, bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Ok(Box::new(Arc::clone(&self.file)))
    }
}

/// The sink of a segment file, where it is mapped with the pages of `first` at hand.
pub(crate) fn open_sink(
    storing: Storing,
    file: File,
    first: Range<u64>,
) -> io::Result<Box<dyn GroupSink>> {
    Ok(match storing {
        Storing::Mapped => Box::new(MapSink::new(file, first)?),
        Storing::Filled | Storing::Reserved => Box::new(FileSink(WholeFile::new(file)?)),
    })
}

/// A layer that is put over the sink of every segment: `(segment_id, sink below) -> sink`.
pub(crate) type SinkLayer = Box<dyn FnMut(u64, Box<dyn GroupSink>) -> Box<dyn GroupSink> + Send>;

/// The sink of the active segment with the layer that new ones get.
pub(crate) struct Sinks {
    pub(crate) current: Box<dyn GroupSink>,
    layer: Option<SinkLayer>,
}

impl Sinks {
    pub(crate) fn new(current: Box<dyn GroupSink>) -> Self {
        Self { current, layer: None }
    }

    /// Puts a layer over the current sink and over every later one.
    pub(crate) fn set_layer(&mut self, segment_id: u64, mut layer: SinkLayer) {
        let below = std::mem::replace(&mut self.current, Box::new(NoSink));
        self.current = layer(segment_id, below);
        self.layer = Some(layer);
    }

    /// Changes to the sink of the next segment; returns the one before.
    pub(crate) fn replace(
        &mut self,
        segment_id: u64,
        next: Box<dyn GroupSink>,
    ) -> Box<dyn GroupSink> {
        let next = match &mut self.layer {
            Some(layer) => layer(segment_id, next),
            None => next,
        };
        std::mem::replace(&mut self.current, next)
    }
}

impl fmt::Debug for Sinks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sinks").field("layered", &self.layer.is_some()).finish_non_exhaustive()
    }
}

/// Stands in for the moment in which a layer takes over; refuses everything.
struct NoSink;

impl GroupSink for NoSink {
    fn put(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
