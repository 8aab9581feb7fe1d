//! Power cuts: whatever part of the unsynced sectors reached the disk, in whatever order, the log
//! opens with a prefix of what was written, and with all of what was synced.

use super::{Log, Owned, command, look, plant, store_group};
use crate::{GroupSink, SyncHandle, SyncPolicy};
use std::io;
use std::sync::{Arc, Mutex};

/// One step of the writer.
#[derive(Clone, Debug)]
enum Step {
    Put(u64, Vec<u8>),
    Sync,
}

/// Notes the steps and passes nothing on.
struct SimSink {
    steps: Arc<Mutex<Vec<Step>>>,
}

impl GroupSink for SimSink {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.steps.lock().unwrap().push(Step::Put(offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.steps.lock().unwrap().push(Step::Sync);
        Ok(())
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

const SECTOR: usize = 512;

/// What a sector holds after the power cut.
#[derive(Clone, Copy, Debug)]
enum Fate {
    New,
    Old,
    Garbage,
}

/// Small generator with a fixed seed: the same images in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The body of a segment as a disk would hold it.
struct Disk {
    bytes: Vec<u8>,
}

const DISK_BYTES: usize = 32 << 10;

impl Disk {
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let start = usize::try_from(offset).unwrap() - 8192;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }
}

/// Runs groups through a recording sink; returns the log (with an empty body) and the steps.
fn recorded(sync: SyncPolicy, pad: u32, groups: &[(u64, bool)]) -> (Log, Vec<Step>) {
    let mut log = Log::new(sync);
    log.options.pad = pad;
    let mut writer = log.writer();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&steps);
    writer.layer_sinks(move |_, _| Box::new(SimSink { steps: Arc::clone(&shared) }));
    for (count, then_sync) in groups {
        store_group(&mut writer, *count);
        if *then_sync {
            writer.sync().unwrap();
        }
    }
    drop(writer);
    log.remove_spare();
    let steps = steps.lock().unwrap().clone();
    (log, steps)
}

/// Sequenced records in a stored group.
fn count_of(group: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes(group[24..28].try_into().unwrap()))
}

/// Looks at every image of a cut after `steps[..cut]`: all fates of single sectors and of pairs,
/// and random ones. Returns how many.
fn check_cut(log: &Log, steps: &[Step], random: &mut Random) -> u32 {
    let synced = steps.iter().rposition(|step| matches!(step, Step::Sync)).map_or(0, |at| at + 1);
    let mut old = Disk { bytes: vec![0; DISK_BYTES] };
    let (mut acknowledged, mut written) = (0, 0);
    let mut new = Disk { bytes: vec![0; DISK_BYTES] };
    let mut dirty = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let Step::Put(offset, bytes) = step else { continue };
        new.put(*offset, bytes);
        written += count_of(bytes);
        if index < synced {
            old.put(*offset, bytes);
            acknowledged = written;
        } else {
            let first = (usize::try_from(*offset).unwrap() - 8192) / SECTOR;
            let last = first + bytes.len().div_ceil(SECTOR);
            dirty.extend(first..=last);
        }
    }
    dirty.sort_unstable();
    dirty.dedup();
    let mut plans: Vec<Vec<(usize, Fate)>> = vec![Vec::new()];
    for fate in [Fate::Old, Fate::Garbage] {
        for (index, sector) in dirty.iter().enumerate() {
            plans.push(vec![(*sector, fate)]);
            for other in &dirty[index + 1..] {
                plans.push(vec![(*sector, fate), (*other, Fate::Old)]);
            }
        }
    }
    for _ in 0..30 {
        let fates = [Fate::New, Fate::Old, Fate::Old, Fate::Garbage];
        let mut draw = |sector: &usize| (*sector, fates[usize::try_from(random.below(4)).unwrap()]);
        plans.push(dirty.iter().map(&mut draw).collect());
    }
    let all: Vec<Owned> = (1..=written).map(command).collect();
    for plan in &plans {
        let mut image = new.bytes.clone();
        for (sector, fate) in plan {
            let range = sector * SECTOR..(sector + 1) * SECTOR;
            match fate {
                Fate::New => {}
                Fate::Old => image[range.clone()].copy_from_slice(&old.bytes[range]),
                Fate::Garbage => {
                    // A sector under way may be destroyed, but not one that shares its place with
                    // synced bytes: the device writes sectors whole.
                    if old.bytes[range.clone()].iter().all(|byte| *byte == 0) {
                        image[range].fill_with(|| u8::try_from(random.below(256)).unwrap());
                    }
                }
            }
        }
        plant(&log.segment(1), 8192, &image);
        let (records, _) = look(&log.dir(), 1).unwrap_or_else(|error| {
            panic!("{plan:?} of a cut after {} steps: {error}", steps.len())
        });
        let count = records.len() as u64;
        assert!((acknowledged..=written).contains(&count), "{count} with {plan:?}");
        assert_eq!(records, all[..records.len()]);
    }
    u32::try_from(plans.len()).unwrap()
}

fn check_all_cuts(sync: SyncPolicy, pad: u32, groups: &[(u64, bool)]) {
    let (log, steps) = recorded(sync, pad, groups);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let images: u32 =
        (1..=steps.len()).map(|cut| check_cut(&log, &steps[..cut], &mut random)).sum();
    assert!(images > 100, "only {images} images");
}

#[test]
fn synced_groups_survive_every_power_cut() {
    check_all_cuts(SyncPolicy::Group, 512, &[(1, true), (12, true), (3, true), (20, false)]);
}

#[test]
fn whole_blocks_survive_every_power_cut() {
    check_all_cuts(SyncPolicy::Group, 4096, &[(1, true), (30, true), (2, false)]);
}

#[test]
fn unsynced_groups_persist_in_any_order() {
    let groups = [(2, false), (5, false), (1, true), (9, false), (1, false), (14, false)];
    check_all_cuts(SyncPolicy::Os, 64, &groups);
}

/// Fails at a chosen step.
struct FailingSink {
    below: Box<dyn GroupSink>,
    puts_left: u32,
    syncs_left: u32,
}

impl GroupSink for FailingSink {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.puts_left = self.puts_left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
        self.below.put(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs_left = self.syncs_left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
        self.below.sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Ok(Box::new(FailingHandle {
            below: self.below.sync_handle()?,
            fails: self.syncs_left == 0,
        }))
    }
}

struct FailingHandle {
    below: Box<dyn SyncHandle>,
    fails: bool,
}

impl SyncHandle for FailingHandle {
    fn sync(&mut self) -> io::Result<()> {
        if self.fails { Err(io::ErrorKind::Other.into()) } else { self.below.sync() }
    }
}

#[test]
fn a_sync_in_the_background_covers_what_was_stored_before_it() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    assert!(!writer.begin_sync().unwrap(), "nothing waits for a sync");
    super::append(&mut writer, &command(1));
    writer.store().unwrap();
    assert!(writer.begin_sync().unwrap());
    assert!(!writer.begin_sync().unwrap(), "one is under way");
    super::append(&mut writer, &command(2));
    writer.store().unwrap();
    while !writer.poll_sync().unwrap() {
        std::thread::yield_now();
    }
    assert_eq!((writer.synced_seq(), writer.syncs()), (1, 1));
    assert!(writer.begin_sync().unwrap(), "the second command waits for one");
    writer.sync().unwrap();
    assert_eq!((writer.synced_seq(), writer.syncs()), (2, 2), "the one under way was enough");
}

#[test]
fn a_failed_sync_in_the_background_is_the_last() {
    for wait in [false, true] {
        let log = Log::new(SyncPolicy::Os);
        let mut writer = log.writer();
        writer.layer_sinks(|_, below| -> Box<dyn GroupSink> {
            Box::new(FailingSink { below, puts_left: 9, syncs_left: 0 })
        });
        super::append(&mut writer, &command(1));
        writer.store().unwrap();
        assert!(writer.begin_sync().unwrap());
        let failed = loop {
            // A sync that has to wait for the one under way hears of its failure.
            let outcome = if wait { writer.sync().map(|()| true) } else { writer.poll_sync() };
            match outcome {
                Ok(false) => std::thread::yield_now(),
                other => break other,
            }
        };
        assert_eq!(failed.unwrap_err().exit_code(), 134);
        assert_eq!(writer.synced_seq(), 0);
        assert!(matches!(writer.begin_sync(), Err(crate::JournalError::Poisoned)));
        assert!(matches!(writer.sync(), Err(crate::JournalError::Poisoned)));
    }
}

#[test]
fn first_failure_is_the_last() {
    for (puts, syncs) in [(2, 9), (9, 1)] {
        let log = Log::new(SyncPolicy::Group);
        let mut writer = log.writer();
        let layer = move |_, below| -> Box<dyn GroupSink> {
            Box::new(FailingSink { below, puts_left: puts, syncs_left: syncs })
        };
        writer.layer_sinks(layer);
        let mut failed = None;
        for seq in 1..=3 {
            super::append(&mut writer, &command(seq));
            if let Err(error) = writer.store().and_then(|()| writer.sync()) {
                failed = Some((seq, error));
                break;
            }
        }
        let (seq, error) = failed.expect("the fault fired");
        assert_eq!(error.exit_code(), 134);
        assert_eq!(seq, u64::from(puts.min(syncs)) + 1);
        assert_eq!(writer.synced_seq(), seq - 1);
        let poisoned = |outcome| matches!(outcome, Err(crate::JournalError::Poisoned));
        assert!(poisoned(writer.sync()));
        assert!(poisoned(writer.store()));
        assert!(poisoned(writer.store_idle()));
        let next = writer.last_seq() + 1;
        assert!(poisoned(writer.append(crate::RecordKind::Command, next, u64::MAX, 0, |_| 0)));
        assert!(poisoned(writer.close()));
        let (_, report, _) = log.open().unwrap();
        assert!(report.last_seq >= seq - 1);
    }
}
