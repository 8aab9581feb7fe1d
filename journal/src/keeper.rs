//! The background thread of a writer: prepares the next segment, hashes the active one.
//!
//! Must not know: groups, sequences. Invariant: at most one spare is prepared ahead, and the hash
//! of a segment covers exactly its header block and the bytes up to the offset that was asked for,
//! read back from the file and not from the writer's memory. However busy the thread is, nobody
//! waits to hand it a job.

use crate::cache::fetch_pages;
use crate::error::JournalError;
use crate::format::BLOCK;
use crate::limits::{BODY_OFFSET, HASH_JOBS_MAX, HASH_READ_BYTES, KEEPER_JOBS_MAX};
use crate::prepare::{Pace, Spare, Template};
use crate::segment::SegmentFile;
use crate::sink::GroupSink;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

enum Job {
    /// The number, and what an earlier process has left under it.
    Prepare(u64, Option<Box<SegmentFile>>),
    BeginHash(File, Vec<u8>),
    /// Brings a part of a file into the page cache.
    Fetch(File, Range<u64>),
    HashTo(u64),
    FinishHash(u64),
    /// Unmapping a large file takes a while; it need not happen on the writer's thread.
    Retire(Box<dyn GroupSink>),
}

/// Handle of the background thread; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: Option<SyncSender<Job>>,
    /// Those of them that only hash a part.
    hash_jobs: Arc<AtomicUsize>,
    spares: Receiver<Result<Spare, JournalError>>,
    hashes: Receiver<io::Result<[u8; 32]>>,
    pace: Arc<Pace>,
    thread: Option<JoinHandle<()>>,
    /// Segment that is being prepared or lies ready.
    wanted: u64,
    ready: Option<Result<Spare, JournalError>>,
    /// A preparation was asked for whose outcome is not known.
    under_way: bool,
    /// The last one found no space.
    starved: bool,
}

impl Keeper {
    /// Starts the thread; nothing is prepared until asked for.
    pub(crate) fn start(template: Template) -> Result<Self, JournalError> {
        let dir = template.dir.clone();
        let (mut keeper, work, queue) = Self::without_thread(template);
        let thread = std::thread::Builder::new()
            .name("journal-keeper".to_owned())
            .spawn(move || work.run(&queue))
            .map_err(JournalError::io("start the background thread of", &dir))?;
        keeper.thread = Some(thread);
        Ok(keeper)
    }

    /// A handle, and what its thread needs.
    fn without_thread(template: Template) -> (Self, Work, Receiver<Job>) {
        let (jobs, queue) = sync_channel(KEEPER_JOBS_MAX);
        // One preparation is under way, and one hash is waited for.
        let (spare_sender, spares) = sync_channel(1);
        let (hash_sender, hashes) = sync_channel(1);
        let (pace, hash_jobs) = (Arc::new(Pace::default()), Arc::default());
        let work = Work {
            template,
            pace: Arc::clone(&pace),
            hash_jobs: Arc::clone(&hash_jobs),
            spares: spare_sender,
            hashes: hash_sender,
            hashing: None,
        };
        let keeper = Self {
            jobs: Some(jobs),
            hash_jobs,
            spares,
            hashes,
            pace,
            thread: None,
            wanted: 0,
            ready: None,
            under_way: false,
            starved: false,
        };
        (keeper, work, queue)
    }

    /// Of each kind but one there is one at a time: before another one the outcome of the first is
    /// taken, or a hash was finished, and with it all that was handed over before.
    fn send(&self, job: Job) {
        let jobs = self.jobs.as_ref().expect("the thread is running");
        assert!(jobs.try_send(job).is_ok(), "the background thread lives and has room");
    }

    /// Starts the preparation of a segment, for which `found` may do, an unused one.
    pub(crate) fn request(&mut self, id: u64, found: Option<SegmentFile>) {
        assert!(self.ready.is_none(), "one spare at a time");
        (self.wanted, self.under_way) = (id, true);
        self.pace.hurry.store(false, Ordering::Relaxed);
        self.send(Job::Prepare(id, found.map(Box::new)));
    }

    /// Looks whether the preparation that was asked for has ended.
    fn poll(&mut self) {
        if !self.under_way {
            return;
        }
        match self.spares.try_recv() {
            // Who asks for the segment hears of the want of space, after another attempt.
            Ok(outcome) => drop(self.note(outcome)),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => panic!("the background thread has ended"),
        }
    }

    /// Keeps what a preparation came to; an error only where it found no space.
    fn note(&mut self, outcome: Result<Spare, JournalError>) -> Result<(), JournalError> {
        self.under_way = false;
        self.starved = matches!(outcome, Err(JournalError::Full { .. }));
        if self.starved {
            return outcome.map(drop);
        }
        self.ready = Some(outcome);
        Ok(())
    }

    /// Whether there was no space for the next segment when that was last tried.
    pub(crate) fn is_starved(&mut self) -> bool {
        self.poll();
        self.starved
    }

    /// Whether the next segment lies ready. After a preparation that found no space, starts
    /// another.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.poll();
        if self.starved && !self.under_way {
            self.request(self.wanted, None);
        }
        matches!(self.ready, Some(Ok(_)))
    }

    /// The next segment; waits for it where it is not ready. One that failed for want of space is
    /// tried once more, because space may have been freed since.
    pub(crate) fn take(&mut self, id: u64) -> Result<Spare, JournalError> {
        assert_eq!(self.wanted, id, "segments are used in order");
        self.is_ready();
        if self.under_way {
            self.pace.hurry.store(true, Ordering::Relaxed);
            let outcome =
                self.spares.recv().expect("the background thread lives as long as its handle");
            self.note(outcome)?;
        }
        self.ready.take().expect("a preparation has ended")
    }

    /// Brings a part of a segment in use into the page cache, some time.
    pub(crate) fn fetch(&self, file: File, part: Range<u64>) {
        self.send(Job::Fetch(file, part));
    }

    /// Starts the hash of a segment that was taken into use.
    pub(crate) fn begin_hash(&self, file: File, header_block: Vec<u8>) {
        assert_eq!(header_block.len(), BLOCK);
        self.send(Job::BeginHash(file, header_block));
    }

    /// Takes the bytes up to an offset into the hash, some time. Where too many such jobs wait it
    /// is left out: the next one covers it.
    pub(crate) fn hash_to(&self, offset: u64) {
        if self.hash_jobs.load(Ordering::Relaxed) < HASH_JOBS_MAX {
            self.hash_jobs.fetch_add(1, Ordering::Relaxed);
            self.send(Job::HashTo(offset));
        }
    }

    /// Waits for the hash up to an offset.
    pub(crate) fn finish_hash(&self, offset: u64) -> io::Result<[u8; 32]> {
        self.send(Job::FinishHash(offset));
        self.hashes.recv().expect("the background thread lives as long as its handle")
    }

    /// Drops a sink on the background thread.
    pub(crate) fn retire(&self, sink: Box<dyn GroupSink>) {
        self.send(Job::Retire(sink));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.pace.stop.store(true, Ordering::Relaxed);
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was already reported; there is nothing to add while dropping.
            let _ = thread.join();
        }
    }
}

/// State of the thread itself.
struct Work {
    template: Template,
    pace: Arc<Pace>,
    hash_jobs: Arc<AtomicUsize>,
    spares: SyncSender<Result<Spare, JournalError>>,
    hashes: SyncSender<io::Result<[u8; 32]>>,
    hashing: Option<Hashing>,
}

struct Hashing {
    file: File,
    hasher: blake3::Hasher,
    offset: u64,
    /// Kept: a block of this size is otherwise mapped, faulted in and unmapped at every step.
    chunk: Vec<u8>,
}

impl Hashing {
    fn advance(&mut self, to: u64) -> io::Result<()> {
        while self.offset < to {
            let len = usize::try_from(to - self.offset).unwrap_or(usize::MAX);
            let chunk = &mut self.chunk[..len.min(HASH_READ_BYTES)];
            self.file.read_exact_at(chunk, self.offset)?;
            self.hasher.update(chunk);
            self.offset += chunk.len() as u64;
        }
        Ok(())
    }
}

impl Work {
    fn prepare(&self, id: u64, found: Option<SegmentFile>) {
        let spare = self.template.prepare(id, found, &self.pace);
        let missing = spare.as_ref().ok().and_then(|spare| {
            let part = spare.fetched..self.template.segment_bytes;
            Some((spare.file.try_clone().ok()?, part))
        });
        let _ = self.spares.send(spare);
        if let Some((file, part)) = missing {
            self.fetch(&file, part);
        }
    }

    /// Whatever is missing afterwards comes with the first store into it, later.
    fn fetch(&self, file: &File, part: Range<u64>) {
        let _ = fetch_pages(file, part.start, part.end, |bytes| self.pace.rest(bytes));
    }

    /// Ends when the handle is dropped. A reply that nobody takes any more is not an error.
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Prepare(id, found) => self.prepare(id, found.map(|found| *found)),
                Job::Fetch(file, part) => self.fetch(&file, part),
                Job::BeginHash(file, block) => {
                    let mut hasher = blake3::Hasher::new();
                    hasher.update(&block);
                    self.hashing = Some(Hashing {
                        file,
                        hasher,
                        offset: BODY_OFFSET,
                        chunk: vec![0; HASH_READ_BYTES],
                    });
                }
                Job::HashTo(offset) => {
                    // It has left the queue, so there is room where this is seen.
                    self.hash_jobs.fetch_sub(1, Ordering::Relaxed);
                    // A failure shows again when the rest is asked for, with somebody to hear it.
                    let _ = self.hashing.as_mut().expect("a hash was begun").advance(offset);
                }
                Job::FinishHash(offset) => {
                    let mut hashing = self.hashing.take().expect("a hash was begun");
                    let outcome = hashing.advance(offset);
                    let hash = outcome.map(|()| *hashing.hasher.finalize().as_bytes());
                    let _ = self.hashes.send(hash);
                }
                Job::Retire(sink) => drop(sink),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::limits::BLOCK_BYTES;
    use crate::sink::SyncHandle;
    use std::io::Write;

    struct Nowhere;

    impl GroupSink for Nowhere {
        fn put(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// While the thread is at something else, everything that may wait for it has room, and what
    /// has none is hashed all the same.
    #[test]
    fn jobs_have_a_bound_and_nobody_waits_at_it() {
        let root = crate::tests::scratch();
        let (path, body_end) = (root.path().join("segment"), BODY_OFFSET + 20 * BLOCK_BYTES);
        let bytes: Vec<u8> = (0..body_end).map(|at| (at / 7).to_le_bytes()[0]).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let open = || File::open(&path).unwrap();
        let options = Options { segment_bytes: 1 << 20, allow_fs: true, ..Options::default() };
        let template = Template::new(root.path(), [1; 16], &options);
        let (mut keeper, work, queue) = Keeper::without_thread(template);
        let waiting = |keeper: &Keeper| keeper.hash_jobs.load(Ordering::Relaxed);
        keeper.retire(Box::new(Nowhere));
        keeper.begin_hash(open(), bytes[..BLOCK].to_vec());
        keeper.request(2, None);
        keeper.fetch(open(), 0..BLOCK_BYTES);
        for part in 1..=HASH_JOBS_MAX {
            keeper.hash_to(BODY_OFFSET + part as u64 * BLOCK_BYTES);
            assert_eq!(waiting(&keeper), part);
        }
        keeper.hash_to(body_end);
        assert_eq!(waiting(&keeper), HASH_JOBS_MAX, "one past the bound is left out");
        keeper.send(Job::FinishHash(body_end));
        let jobs = keeper.jobs.as_ref().unwrap();
        let one_more = jobs.try_send(Job::HashTo(body_end));
        assert!(one_more.is_err(), "one of each other kind fills the queue");

        keeper.jobs = None;
        work.run(&queue);
        assert_eq!(waiting(&keeper), 0);
        let mut expected = blake3::Hasher::new();
        expected.update(&bytes[..BLOCK]).update(&bytes[2 * BLOCK..]);
        assert_eq!(keeper.hashes.recv().unwrap().unwrap(), *expected.finalize().as_bytes());
        assert!(keeper.spares.recv().unwrap().is_ok());
    }
}
