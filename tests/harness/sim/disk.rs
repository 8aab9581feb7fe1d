//! Owns the simulated disk: which sectors of the segments in use were stored and not synced, and
//! what stands there after a power cut. Knows nothing of groups. Invariant: what a sync has covered
//! is never taken back.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::{GroupSink, JournalWriter, SyncHandle};

use crate::random::Random;

const SECTOR: usize = 512;
/// Sectors of a segment that are read at once.
const SECTORS_READ: u64 = 256;

/// Sectors of one segment as they were when it was synced last. A log is written forwards: they are
/// all of those from the first one that a store has touched to the last.
#[derive(Debug)]
struct Unsynced {
    path: PathBuf,
    first: u64,
    old: Vec<u8>,
    /// Of each, whether nothing that lasts stood there, not even the zeros at the end of a group.
    is_empty: Vec<bool>,
}

impl Unsynced {
    /// One behind the last.
    fn end(&self) -> u64 {
        self.first + self.is_empty.len() as u64
    }

    /// Remembers what a store at `offset` replaces, as far as it is not remembered already.
    fn remember(&mut self, offset: u64, sectors: &Range<u64>, image: &Image) {
        if self.is_empty.is_empty() {
            self.first = sectors.start;
        }
        assert!((self.first..=self.end()).contains(&sectors.start), "a log is written forwards");
        for number in self.end()..sectors.end {
            let old = image.sector(number);
            self.old.extend_from_slice(old);
            self.is_empty.push(number * SECTOR as u64 >= offset && *old == [0; SECTOR]);
        }
    }

    fn clear(&mut self) {
        self.old.clear();
        self.is_empty.clear();
    }

    /// Puts back what was there, in so many of a hundred; returns how many that were.
    fn restore(&mut self, percent: u64, random: &mut Random) -> u64 {
        let file = OpenOptions::new().write(true).open(&self.path).expect("a segment in use");
        let mut lost = 0;
        let sectors = self.old.as_chunks_mut::<SECTOR>().0.iter_mut().zip(&self.is_empty);
        for (number, (content, is_empty)) in (self.first..).zip(sectors) {
            if !random.chance(percent) {
                continue;
            }
            // A sector is written whole or not; one that held nothing may hold anything.
            if *is_empty && random.chance(2) {
                content.iter_mut().for_each(|byte| *byte = random.bits().to_le_bytes()[0]);
            }
            file.write_all_at(content, number * SECTOR as u64).expect("a file in memory");
            lost += 1;
        }
        self.clear();
        lost
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Shared {
    /// One for each segment that was written to.
    segments: Mutex<Vec<Arc<Mutex<Unsynced>>>>,
    /// Stores and syncs until the process dies in one; 0 if it does not.
    left: AtomicU64,
}

/// What a process dies of in the middle of a call: carried by an unwinding stack.
#[derive(Debug)]
pub(super) struct Dies;

impl Shared {
    /// One store or sync begins.
    fn begin(&self) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            resume_unwind(Box::new(Dies));
        }
    }
}

/// The disk below both logs of a directory.
#[derive(Debug)]
pub(super) struct Disk {
    data_dir: PathBuf,
    shared: Arc<Shared>,
}

impl Disk {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), shared: Arc::default() }
    }

    /// Comes between a log and its files.
    pub(super) fn put_below(&self, log: &str, writer: &mut JournalWriter) {
        let (dir, shared) = (self.data_dir.join(log), Arc::clone(&self.shared));
        writer.layer_sinks(move |segment, below| {
            let path = dir.join(format!("jrnl-{segment:016x}.seg"));
            Box::new(Recording::new(path, below, Arc::clone(&shared)))
        });
    }

    /// The process dies in so many stores and syncs from now; never, if that is 0.
    pub(super) fn dies_in(&self, calls: u64) {
        self.shared.left.store(calls, Ordering::Relaxed);
    }

    /// Everything that was stored is on the disk; nobody stores there any more.
    pub(super) fn settle(&self) {
        lock(&self.shared.segments).clear();
    }

    /// Of each sector that was not synced, the new content may have got to the disk or not, or,
    /// where nothing stood before, something else. Returns how many did not. Nobody stores there
    /// any more.
    pub(super) fn lose_power(&self, random: &mut Random) -> u64 {
        // All of it, none, or any part.
        let percent = [0, 50, 90, 100, 100][usize::try_from(random.below(5)).expect("small")];
        let segments = std::mem::take(&mut *lock(&self.shared.segments));
        segments.iter().map(|segment| lock(segment).restore(percent, random)).sum()
    }
}

/// A part of a segment as it is: read once, and then kept up to date.
struct Image {
    file: File,
    /// Number of its first sector.
    first: u64,
    bytes: Vec<u8>,
}

impl Image {
    fn place(&self, offset: u64) -> usize {
        usize::try_from(offset - self.first * SECTOR as u64).expect("a place in a segment")
    }

    fn sector(&self, number: u64) -> &[u8; SECTOR] {
        let place = self.place(number * SECTOR as u64);
        self.bytes[place..].first_chunk().expect("a sector of the image")
    }

    /// Moves to where these sectors are.
    fn cover(&mut self, sectors: &Range<u64>) -> io::Result<()> {
        let end = self.first + (self.bytes.len() / SECTOR) as u64;
        if self.first <= sectors.start && sectors.end <= end {
            return Ok(());
        }
        let last = self.file.metadata()?.len() / SECTOR as u64;
        let end = sectors.end.max(sectors.start + SECTORS_READ).min(last);
        self.first = sectors.start;
        self.bytes.resize(self.place(end * SECTOR as u64), 0);
        self.file.read_exact_at(&mut self.bytes, self.first * SECTOR as u64)
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let place = self.place(offset);
        self.bytes[place..place + bytes.len()].copy_from_slice(bytes);
    }
}

/// Remembers what a store replaces.
struct Recording {
    below: Box<dyn GroupSink>,
    image: Image,
    unsynced: Arc<Mutex<Unsynced>>,
    shared: Arc<Shared>,
}

impl Recording {
    fn new(path: PathBuf, below: Box<dyn GroupSink>, shared: Arc<Shared>) -> Self {
        let file = File::open(&path).expect("a segment in use");
        let image = Image { file, first: 0, bytes: Vec::new() };
        let unsynced = Unsynced { path, first: 0, old: Vec::new(), is_empty: Vec::new() };
        let unsynced = Arc::new(Mutex::new(unsynced));
        lock(&shared.segments).push(Arc::clone(&unsynced));
        Self { below, image, unsynced, shared }
    }

    fn syncing(&self) -> Syncing {
        Syncing { unsynced: Arc::clone(&self.unsynced), shared: Arc::clone(&self.shared) }
    }
}

impl GroupSink for Recording {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.shared.begin();
        let end = offset + bytes.len() as u64;
        let sectors = offset / SECTOR as u64..end.div_ceil(SECTOR as u64);
        self.image.cover(&sectors)?;
        lock(&self.unsynced).remember(offset, &sectors, &self.image);
        self.image.put(offset, bytes);
        self.below.put(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncing().sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Ok(Box::new(self.syncing()))
    }

    fn syncs_at_once(&self) -> bool {
        true
    }
}

/// Everything in memory is durable from here on, as far as it was stored.
struct Syncing {
    unsynced: Arc<Mutex<Unsynced>>,
    shared: Arc<Shared>,
}

impl SyncHandle for Syncing {
    fn sync(&mut self) -> io::Result<()> {
        self.shared.begin();
        lock(&self.unsynced).clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain(File);

    impl GroupSink for Plain {
        fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.0.write_all_at(bytes, offset)
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
            unreachable!("the layer above answers")
        }
    }

    fn sink(disk: &Disk, path: &Path) -> Recording {
        let below = OpenOptions::new().write(true).open(path).unwrap();
        Recording::new(path.to_owned(), Box::new(Plain(below)), Arc::clone(&disk.shared))
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_may_go() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("segment");
        std::fs::write(&path, vec![0; 8192]).unwrap();
        let disk = Disk::new(root.path());
        let mut first = sink(&disk, &path);
        first.put(100, &[1; 1000]).unwrap();
        first.sync().unwrap();
        let synced = std::fs::read(&path).unwrap();
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..50 {
            let mut sink = sink(&disk, &path);
            sink.put(100, &[2; 3000]).unwrap();
            sink.put(200, &[3; 10]).unwrap();
            let new = std::fs::read(&path).unwrap();
            let gone = disk.lose_power(&mut Random::new(seed));
            let after = std::fs::read(&path).unwrap();
            let same = |a: &[u8], b: &[u8]| {
                a.chunks(SECTOR).zip(b.chunks(SECTOR)).filter(|(a, b)| a == b).count()
            };
            kept += same(&after[..3584], &new[..3584]);
            lost += gone;
            assert_eq!(after[3584..], synced[3584..], "what was not touched stays");
            std::fs::write(&path, &synced).unwrap();
        }
        assert!(kept > 50 && lost > 100, "{kept} kept, {lost} lost");
        sink(&disk, &path).put(0, &[9; 10]).unwrap();
        disk.settle();
        assert_eq!(disk.lose_power(&mut Random::new(1)), 0);
    }

    #[test]
    fn what_comes_back_is_what_the_last_sync_has_covered() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("segment");
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        let disk = Disk::new(root.path());
        // Some power cut takes all back.
        for seed in 0..50 {
            let mut sink = sink(&disk, &path);
            let mut offset = 64;
            let mut synced = Vec::new();
            // Stores of all sizes end in one sector and begin in the next, or in the same one.
            for number in 1..=30_u8 {
                let bytes = vec![number; 64 * usize::from(number).pow(2)];
                sink.put(offset, &bytes).unwrap();
                offset += bytes.len() as u64;
                if number == 20 {
                    sink.sync().unwrap();
                    synced = std::fs::read(&path).unwrap();
                }
            }
            let stored = std::fs::read(&path).unwrap();
            disk.lose_power(&mut Random::new(seed));
            let after = std::fs::read(&path).unwrap();
            let end = usize::try_from(offset).unwrap();
            assert_eq!(
                after[end.next_multiple_of(SECTOR)..],
                stored[end.next_multiple_of(SECTOR)..]
            );
            let shared = synced.iter().rposition(|byte| *byte != 0).unwrap() / SECTOR * SECTOR;
            assert_eq!(after[..shared], synced[..shared], "covered");
            let sectors = after.chunks(SECTOR).zip(stored.chunks(SECTOR));
            for (at, (after, stored)) in sectors.enumerate().skip(shared / SECTOR) {
                let old = &synced[at * SECTOR..][..SECTOR];
                let is_empty = old.iter().all(|byte| *byte == 0);
                assert!(after == stored || after == old || is_empty, "{at}");
            }
            std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        }
    }
}
