//! Owns the simulated disk: which sectors of the segments in use were stored and not synced, and
//! what stands there after a power cut. Knows nothing of groups. Invariant: what a sync has covered
//! is never taken back.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::{GroupSink, JournalWriter, SyncHandle};

use crate::random::Random;

const SECTOR: usize = 512;
type Sector = [u8; SECTOR];

/// Sectors of one segment as they were when it was synced last, and whether nothing that lasts
/// stood there, not even the zeros at the end of a group.
type Unsynced = BTreeMap<u64, (Sector, bool)>;

#[derive(Debug, Default)]
struct Shared {
    unsynced: Mutex<BTreeMap<PathBuf, Unsynced>>,
    /// Stores and syncs until the process dies in one; 0 if it does not.
    left: AtomicU64,
}

/// What a process dies of in the middle of a call: carried by an unwinding stack.
#[derive(Debug)]
pub(super) struct Dies;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Unsynced>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
            let file = File::open(&path).expect("a segment in use");
            let (old, shared) = (Vec::new(), Arc::clone(&shared));
            Box::new(Recording { below, path, file, old, shared })
        });
    }

    /// The process dies in so many stores and syncs from now; never, if that is 0.
    pub(super) fn dies_in(&self, calls: u64) {
        self.shared.left.store(calls, Ordering::Relaxed);
    }

    /// Everything that was stored is on the disk.
    pub(super) fn settle(&self) {
        self.shared.lock().clear();
    }

    /// Of each sector that was not synced, the new content may have got to the disk or not, or,
    /// where nothing stood before, something else. Returns how many did not.
    pub(super) fn lose_power(&self, random: &mut Random) -> u64 {
        let mut lost = 0;
        // All of it, none, or any part.
        let percent = [0, 50, 90, 100, 100][usize::try_from(random.below(5)).expect("small")];
        for (path, sectors) in std::mem::take(&mut *self.shared.lock()) {
            let file = OpenOptions::new().write(true).open(&path).expect("a segment in use");
            for (number, (old, is_empty)) in sectors {
                if !random.chance(percent) {
                    continue;
                }
                let mut content = old;
                // A sector is written whole or not; one that held nothing may hold anything.
                if is_empty && random.chance(2) {
                    content.iter_mut().for_each(|byte| *byte = random.bits().to_le_bytes()[0]);
                }
                file.write_all_at(&content, number * SECTOR as u64).expect("a file in memory");
                lost += 1;
            }
        }
        lost
    }
}

/// Remembers what a store replaces.
struct Recording {
    below: Box<dyn GroupSink>,
    path: PathBuf,
    file: File,
    /// What was there before.
    old: Vec<u8>,
    shared: Arc<Shared>,
}

impl GroupSink for Recording {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.shared.begin();
        let mut unsynced = self.shared.lock();
        let sectors = unsynced.entry(self.path.clone()).or_default();
        let end = offset + bytes.len() as u64;
        let numbers = offset / SECTOR as u64..end.div_ceil(SECTOR as u64);
        let missing = numbers.clone().find(|number| !sectors.contains_key(number));
        if let Some(first) = missing {
            let count = usize::try_from(numbers.end - first).expect("sectors of one group");
            self.old.resize(count * SECTOR, 0);
            self.file.read_exact_at(&mut self.old, first * SECTOR as u64)?;
            for (number, old) in (first..).zip(self.old.as_chunks().0) {
                let is_empty = *old == [0; SECTOR] && number * SECTOR as u64 >= offset;
                sectors.entry(number).or_insert((*old, is_empty));
            }
        }
        drop(unsynced);
        self.below.put(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_handle()?.sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Ok(Box::new(Syncing { path: self.path.clone(), shared: Arc::clone(&self.shared) }))
    }

    fn syncs_at_once(&self) -> bool {
        true
    }
}

/// Everything in memory is durable from here on, as far as it was stored.
struct Syncing {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl SyncHandle for Syncing {
    fn sync(&mut self) -> io::Result<()> {
        self.shared.begin();
        self.shared.lock().remove(&self.path);
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

    #[test]
    fn what_was_synced_stays_and_the_rest_may_go() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("segment");
        std::fs::write(&path, vec![0; 8192]).unwrap();
        let disk = Disk::new(root.path());
        let below = OpenOptions::new().write(true).open(&path).unwrap();
        let mut sink = Recording {
            below: Box::new(Plain(below)),
            path: path.clone(),
            file: File::open(&path).unwrap(),
            old: Vec::new(),
            shared: Arc::clone(&disk.shared),
        };
        sink.put(100, &[1; 1000]).unwrap();
        sink.sync().unwrap();
        let synced = std::fs::read(&path).unwrap();
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..50 {
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
        sink.put(0, &[9; 10]).unwrap();
        disk.settle();
        assert_eq!(disk.lose_power(&mut Random::new(1)), 0);
    }
}
