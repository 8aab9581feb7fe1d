//! Power cuts: whatever part of the unsynced sectors reached the disk, in whatever order, the log
//! opens with a prefix of what was written, and with all of what was synced.
//!
//! Must not know: why a writer stores what it stores. Invariant: every image is made of the stores
//! and syncs of a real writer, and is put to the recovery of a real start.

mod disk;
mod trace;

use super::{Log, Owned, append, command, contents, look, store_group, store_large};
use crate::limits::SEGMENT_BYTES_TAKEN_MIN;
use crate::{JournalWriter, Storing, SyncPolicy, TailCase};
use disk::{Cut, PAIRS_MAX, Part, Random, lay, parts};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
pub(crate) use trace::passed;
use trace::{Place, Step, Trace, watched};

/// Random combinations of one trace.
const RANDOM_IMAGES: usize = 1_000;
/// Images of each trace at least: five of them make 20,000.
const IMAGES_MIN: usize = 4_000;
/// The same of a start, which writes less.
const START_IMAGES_MIN: usize = 1_000;
/// Images of each kind.
const SEEN_MIN: usize = 50;
/// Of so many images, one is not only recovered and looked at, but goes on and is recovered again.
const GOES_ON_EVERY: usize = 8;
/// Says how many images of each trace are wanted at least; then all pairs are looked at, too.
const WANTED: &str = "MATCHRING_CRASH_IMAGES";

/// A directory in the middle of its life, and what is done in it next.
struct Scene {
    log: Log,
    /// What the steps touch, as it is before them.
    base: Vec<Part>,
    files: Vec<(PathBuf, Vec<u8>)>,
    steps: Vec<Step>,
    /// All records, in the end.
    records: Vec<Owned>,
    /// Whether it is a start that does them: what it removes was never synced.
    is_start: bool,
}

/// What is in a log when the power goes.
#[derive(Clone, Copy, Debug)]
struct Known {
    synced: usize,
    written: usize,
}

/// What the images of a trace came to.
#[derive(Debug, Default)]
struct Tally {
    images: usize,
    /// With a sector that holds what was stored last, something older, zeros, anything.
    holds: [usize; 4],
    /// By what was found at the end of the log.
    cases: BTreeMap<String, usize>,
    trimmed: usize,
    /// Images in which the device has destroyed synced bytes.
    beyond: usize,
    refused: usize,
}

fn file_of(log: &Log) -> impl Fn(Place) -> PathBuf {
    |place| match place {
        Place::Control => log.dir().join("ctl"),
        Place::Segment(id) => log.segment(id),
    }
}

impl Scene {
    /// Runs `before`, then `traced`.
    fn record(
        (sync, pad): (SyncPolicy, u32),
        before: impl Fn(&mut JournalWriter),
        traced: impl Fn(&mut JournalWriter),
    ) -> Self {
        let mut log = Log::new(sync);
        // By writes in any case: what a mapping needs besides the same stores is paced by a clock.
        let is_waited_for = sync == SyncPolicy::Group;
        log.options.storing = if is_waited_for { Storing::Filled } else { Storing::Reserved };
        log.options.pad = pad;
        log.options.segment_bytes = SEGMENT_BYTES_TAKEN_MIN;
        let mut writer = log.writer();
        before(&mut writer);
        while !writer.spare_ready() {
            std::thread::yield_now();
        }
        let files = contents(&log.dir());
        let trace = Trace::of(&mut writer, log.dir().join("ctl"));
        traced(&mut writer);
        drop(writer);
        let steps = trace.steps();
        let (records, _) = look(&log.dir(), 1).unwrap();
        for (path, _) in contents(&log.dir()) {
            std::fs::remove_file(path).unwrap();
        }
        for (path, bytes) in &files {
            std::fs::write(path, bytes).unwrap();
        }
        let base = parts(&steps, file_of(&log));
        Self { log, base, files, steps, records, is_start: false }
    }

    /// The start that follows where the power goes behind these steps, and the first sector that
    /// was not synced, if there is one, is as it was before.
    fn recovery(self, steps: usize) -> Self {
        let cut = self.cut_behind(steps);
        let plan = cut.plans(0, (0, &mut Random(1))).into_iter().nth(1).unwrap_or_default();
        self.plant(&cut.image(&plan, &mut Random(1)));
        let files = contents(&self.log.dir());
        let place = |(path, _): &(PathBuf, Vec<u8>)| {
            let segment = (1..=2).find(|id| self.log.segment(*id) == *path);
            (segment.map_or(Place::Control, Place::Segment), path.clone())
        };
        let mut records = Vec::new();
        let steps = watched(files.iter().map(place).collect(), || {
            records = self.log.open().unwrap().2;
        });
        self.plant(&[]);
        for (path, bytes) in &files {
            std::fs::write(path, bytes).unwrap();
        }
        let base = parts(&steps, file_of(&self.log));
        Self { log: self.log, base, files, steps, records, is_start: true }
    }

    /// What must and what may be found behind these steps.
    fn known(&self, steps: &[Step]) -> Known {
        let before = self.records.len() - self.steps.iter().map(count_of).sum::<usize>();
        let mut known = Known { synced: before, written: before };
        let mut unsynced = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(place, ..) => {
                    known.written += count_of(step);
                    unsynced.insert(*place, known.written);
                }
                Step::Sync(place) => {
                    known.synced = unsynced.remove(place).unwrap_or(0).max(known.synced);
                }
            }
        }
        known
    }

    /// Puts an image in place of what the last one has become.
    fn plant(&self, image: &[Part]) {
        let dir = self.log.dir();
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else if self.files.iter().all(|(known, _)| *known != path) {
                std::fs::remove_file(path).unwrap();
            }
        }
        lay(image, file_of(&self.log));
    }

    /// A start, and the judgement of the next one; of every so-manieth image, a start that goes on
    /// with the log and another one.
    fn check(&self, image: &[Part], known: Known, tally: &mut Tally) -> Result<(), String> {
        self.plant(image);
        let (mut writer, report, mut records) = self.log.open().map_err(said)?;
        let count = records.len();
        if !(known.synced..=known.written).contains(&count) || records != self.records[..count] {
            return Err(format!("{count} records of {known:?}: {report:?}"));
        }
        *tally.cases.entry(report.case.to_string()).or_default() += 1;
        tally.trimmed += usize::from(report.trimmed_bytes > 0);
        let goes_on = tally.images.is_multiple_of(GOES_ON_EVERY);
        if goes_on {
            let next = command(writer.last_seq() + 1);
            append(&mut writer, &next);
            writer.store().map_err(said)?;
            records.push(next);
        }
        drop(writer);
        let (found, case) = if goes_on {
            let (_, again, found) = self.log.open().map_err(said)?;
            (found, again.case)
        } else {
            let (found, again) = look(&self.log.dir(), 1).map_err(said)?;
            (found, again.tail.case)
        };
        if found != records || case != TailCase::Clean {
            return Err(format!("{report:?}, and then {} records, {case}", found.len()));
        }
        Ok(())
    }

    /// The same where synced bytes were destroyed: the log is refused as it is, or nothing is found
    /// that was not written.
    fn check_beyond(&self, image: &[Part], written: usize, tally: &mut Tally) {
        self.plant(image);
        let before = contents(&self.log.dir());
        match self.log.open() {
            Ok((_, report, records)) => {
                assert!(records.len() <= written, "{report:?}");
                assert!(records == self.records[..records.len()], "{report:?}");
            }
            Err(error) => {
                assert_eq!(error.exit_code(), 70, "{error}");
                let rules = if self.is_start { ["R6", "R7"] } else { ["R6"; 2] };
                let is_named = rules.iter().any(|rule| error.to_string().contains(rule));
                assert!(is_named, "{error}");
                assert!(before == contents(&self.log.dir()), "a refused log was changed");
                tally.refused += 1;
            }
        }
        tally.beyond += 1;
    }

    fn cut_behind(&self, steps: usize) -> Cut {
        Cut::behind(&self.steps[..steps], &self.base, self.is_start)
    }

    /// Every image of a cut behind so many steps.
    fn cut(&self, steps: usize, (pairs, random): (usize, usize), tally: &mut Tally) {
        let known = self.known(&self.steps[..steps]);
        let cut = self.cut_behind(steps);
        let mut draws = Random(0x9E37_79B9_7F4A_7C15 ^ steps as u64);
        for plan in cut.plans(pairs, (random, &mut draws)) {
            tally.images += 1;
            for (count, holds) in tally.holds.iter_mut().zip(cut.holds(&plan)) {
                *count += usize::from(holds);
            }
            let image = cut.image(&plan, &mut draws);
            if let Err(why) = self.check(&image, known, tally) {
                panic!("{plan:?} of a cut after {steps} steps: {why}");
            }
        }
        for plan in cut.beyond() {
            self.check_beyond(&cut.image(&plan, &mut draws), known.written, tally);
        }
    }

    /// Every image of every cut; each of `cases` must be met.
    fn check_all(&self, cases: &[TailCase]) -> Tally {
        let least = if self.is_start { START_IMAGES_MIN } else { IMAGES_MIN };
        let wanted = std::env::var(WANTED).map_or(0, |text| text.parse().expect("a number"));
        let (pairs, random) =
            if wanted > 0 { (usize::MAX, wanted) } else { (PAIRS_MAX, RANDOM_IMAGES) };
        let mut tally = Tally::default();
        let cut = |steps| self.cut_behind(steps);
        let mixed = (0..=self.steps.len()).filter(|steps| cut(*steps).is_mixed()).count();
        for steps in 0..=self.steps.len() {
            self.cut(steps, (pairs, random.div_ceil(mixed)), &mut tally);
        }
        self.plant(&self.base);
        assert!(contents(&self.log.dir()) == self.files, "a start has changed other parts");
        // A test that passes shows nothing else of what it has seen.
        writeln!(std::io::stderr(), "{} stores and syncs: {tally:?}", self.steps.len()).unwrap();
        assert!(tally.images >= least.max(wanted), "{tally:?}");
        for case in cases {
            assert!(tally.cases.contains_key(&case.to_string()), "{case}: {tally:?}");
        }
        let whole = tally.images - tally.trimmed;
        let classes = tally.holds.into_iter().chain([tally.trimmed, whole]);
        assert!(self.is_start || classes.min() > Some(SEEN_MIN), "{tally:?}");
        tally
    }
}

fn said(error: crate::JournalError) -> String {
    error.to_string()
}

/// Records in a stored group that are handed on.
fn count_of(step: &Step) -> usize {
    match step {
        Step::Put(Place::Segment(_), _, bytes) if bytes.starts_with(b"MGRP") => {
            u32::from_le_bytes(bytes[24..28].try_into().unwrap()) as usize
        }
        _ => 0,
    }
}

/// Groups of so many records, 0 for an idle one, each synced or not.
fn store(writer: &mut JournalWriter, groups: &[(u64, bool)]) {
    for (count, then_sync) in groups {
        if *count == 0 {
            writer.store_idle().unwrap();
        } else {
            store_group(writer, *count);
        }
        if *then_sync {
            writer.sync().unwrap();
        }
    }
}

/// Fills a segment but for so many bytes.
fn fill(writer: &mut JournalWriter, left: u64) {
    while writer.segment_room_bytes() > left {
        store_large(writer, 2_000);
    }
}

const TORN: [TailCase; 4] =
    [TailCase::Clean, TailCase::TornHeader, TailCase::TornBody, TailCase::BadChecksum];

#[test]
fn synced_groups_survive_every_power_cut() {
    let sizes = [1, 12, 0, 60, 3, 150, 290, 200];
    let groups = sizes.map(|count| (count, count != 200));
    let scene = Scene::record((SyncPolicy::Group, 512), |_| {}, |writer| store(writer, &groups));
    scene.check_all(&TORN);
}

#[test]
fn whole_blocks_survive_every_power_cut() {
    let sizes = [1, 0, 80, 100, 140, 60, 0, 200];
    let groups = sizes.map(|count| (count, count != 200));
    let scene = Scene::record((SyncPolicy::Group, 4096), |_| {}, |writer| store(writer, &groups));
    scene.check_all(&TORN);
}

#[test]
fn unsynced_groups_persist_in_any_order() {
    let sizes = [2, 5, 1, 9, 1, 14, 1, 3, 4, 30, 0, 2, 12, 40, 1, 8, 25, 60, 20];
    let groups: Vec<_> = (1..).zip(sizes).map(|(number, count)| (count, number % 4 == 3)).collect();
    let (synced, unsynced) = groups.split_at(11);
    let scene = Scene::record(
        (SyncPolicy::Os, 64),
        |_| {},
        |writer| {
            store(writer, synced);
            store(writer, &unsynced.iter().map(|(count, _)| (*count, false)).collect::<Vec<_>>());
        },
    );
    let tally = scene.check_all(&TORN);
    assert!(tally.cases.contains_key(&TailCase::Hole.to_string()), "{tally:?}");
    // Where groups share sectors, more rests on the device than under `group`.
    assert!(tally.refused > 0 && tally.refused < tally.beyond, "{tally:?}");
}

#[test]
fn a_roll_survives_every_power_cut() {
    let groups = [(110, true), (250, true), (0, true), (130, false)];
    let scene = Scene::record(
        (SyncPolicy::Group, 4096),
        |writer| fill(writer, 8 << 10),
        |writer| store(writer, &groups),
    );
    scene.check_all(&[TailCase::Clean, TailCase::Sealed, TailCase::BadChecksum]);
}

#[test]
fn a_roll_behind_unsynced_groups_survives_every_power_cut() {
    let sizes = [3, 10, 20, 9, 5, 60, 1, 120, 160];
    let groups = sizes.map(|count| (count, count == 1));
    let scene = Scene::record(
        (SyncPolicy::Interval { ms: 5 }, 512),
        |writer| fill(writer, 4 << 10),
        |writer| store(writer, &groups),
    );
    scene.check_all(&[TailCase::Clean, TailCase::Sealed, TailCase::Hole]);
}

#[test]
fn a_trim_survives_every_power_cut() {
    let sizes = [3, 20, 1, 12, 40, 2];
    let groups = sizes.map(|count| (count, count == 3));
    let scene = Scene::record((SyncPolicy::Os, 64), |_| {}, |writer| store(writer, &groups));
    let steps = scene.steps.len();
    scene.recovery(steps).check_all(&[TailCase::Clean, TailCase::Hole, TailCase::TrimResumed]);
}

#[test]
fn a_start_behind_a_seal_survives_every_power_cut() {
    let scene = Scene::record(
        (SyncPolicy::Group, 4096),
        |writer| fill(writer, 4 << 10),
        |writer| store(writer, &[(60, true), (60, true)]),
    );
    let is_next = |step: &Step| matches!(step, Step::Put(Place::Segment(2), ..));
    let steps = scene.steps.iter().position(is_next).unwrap();
    scene.recovery(steps).check_all(&[TailCase::Clean, TailCase::Sealed]);
}
