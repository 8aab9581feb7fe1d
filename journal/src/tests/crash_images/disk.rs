//! The files of a log at the moment of a power cut: what of them lasts, which sectors may hold one
//! thing or another, and the images that follow from it.
//!
//! Must not know: how an image is judged. Invariant: what a sync has covered is in every image that
//! the disk model allows; of what is enumerated, no two images of one cut are equal.
//!
//! The model: a sector of 512 bytes that was stored and not synced holds what it held at the last
//! sync or after any store since, or, where the device was at work on it, zeros or anything. A
//! sector of the body that holds synced bytes is not destroyed: a device writes sectors whole.

use super::trace::{Place, Step};
use crate::limits::BODY_OFFSET;
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const SECTOR: usize = 512;
/// What of a file is put back before its first store and behind its last one, for what a start
/// appends, bytes.
const BEFORE: usize = 4 << 10;
const BEHIND: usize = 32 << 10;
/// Pairs of sectors that are looked at for one cut; where there are more, they are taken evenly.
pub(super) const PAIRS_MAX: usize = 1_500;

/// Small generator with a fixed seed: the same images in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.below(256).to_le_bytes()[0]);
    }
}

/// What a sector holds after the power cut, if not what was stored last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// What it held after so many of the stores that came since the last sync.
    Old(usize),
    Zero,
    Garbage,
}

/// The part of a file that a trace touches.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) place: Place,
    pub(super) start: usize,
    pub(super) bytes: Vec<u8>,
}

impl Part {
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let at = usize::try_from(offset).unwrap() - self.start;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn sectors(&self, offset: u64, len: usize) -> std::ops::Range<usize> {
        let at = usize::try_from(offset).unwrap() - self.start;
        at / SECTOR..(at + len).div_ceil(SECTOR)
    }
}

/// The parts of all files that the steps touch, as they are in the directory now.
pub(super) fn parts(steps: &[Step], file_of: impl Fn(Place) -> std::path::PathBuf) -> Vec<Part> {
    let mut ranges = BTreeMap::new();
    for step in steps {
        let Step::Put(place, offset, bytes) = step else { continue };
        let from = usize::try_from(*offset).unwrap();
        let (first, last): &mut (usize, usize) = ranges.entry(*place).or_insert((from, from));
        *first = from.min(*first);
        *last = (from + bytes.len()).max(*last);
    }
    // A start writes both slots.
    ranges.insert(Place::Control, (0, 0));
    let load = |(place, (first, last)): (Place, (usize, usize))| {
        let bytes = std::fs::read(file_of(place)).unwrap();
        let start = first.saturating_sub(BEFORE) / SECTOR * SECTOR;
        let end = (last + BEHIND).next_multiple_of(SECTOR).min(bytes.len());
        Part { place, start, bytes: bytes[start..end].to_vec() }
    };
    ranges.into_iter().map(load).collect()
}

/// A sector that was stored and not synced.
struct Dirty {
    part: usize,
    at: usize,
    /// What it held at the last sync, and after each store since but the last.
    older: Vec<[u8; SECTOR]>,
    /// What it may hold instead of the newest.
    fates: Vec<Fate>,
    /// And what no disk makes of it that writes sectors whole.
    beyond: Vec<Fate>,
}

/// Which sectors do not hold what was stored last.
pub(super) type Plan = Vec<(usize, Fate)>;

/// A power cut.
pub(super) struct Cut {
    /// With everything that was stored.
    newest: Vec<Part>,
    dirty: Vec<Dirty>,
}

impl Cut {
    /// One behind these steps, which began with these parts. `is_start`: what is overwritten was
    /// never synced.
    pub(super) fn behind(steps: &[Step], base: &[Part], is_start: bool) -> Self {
        let mut newest = base.to_vec();
        let mut dirty = BTreeMap::<(usize, usize), Vec<[u8; SECTOR]>>::new();
        for step in steps {
            match step {
                Step::Sync(place) => dirty.retain(|(part, _), _| base[*part].place != *place),
                Step::Put(place, offset, bytes) => {
                    let part = base.iter().position(|part| part.place == *place).unwrap();
                    for at in newest[part].sectors(*offset, bytes.len()) {
                        let older = dirty.entry((part, at)).or_default();
                        older.push(sector(&newest[part].bytes, at));
                    }
                    newest[part].put(*offset, bytes);
                }
            }
        }
        let dirty = dirty.into_iter().map(|((part, at), older)| {
            let is_body = newest[part].start + at * SECTOR >= usize::try_from(BODY_OFFSET).unwrap();
            let now = sector(&newest[part].bytes, at);
            // A start puts zeros over what it removes, and nothing over the rest.
            let kept = if is_start { &now } else { &older[0] };
            let is_kept = is_body && *kept != [0; SECTOR];
            Dirty::new((part, at), older, &now, is_kept)
        });
        let dirty = dirty.collect();
        Self { newest, dirty }
    }

    /// All that was stored; nothing of it; each sector by itself; each two; then `random` ones.
    pub(super) fn plans(&self, pairs_max: usize, random: (usize, &mut Random)) -> Vec<Plan> {
        let each: Vec<(usize, Fate)> =
            (0..).zip(&self.dirty).flat_map(with(|d| &d.fates)).collect();
        let pairs: Vec<Plan> = (0..each.len())
            .flat_map(|first| (first + 1..each.len()).map(move |second| (first, second)))
            .map(|(first, second)| vec![each[first], each[second]])
            .filter(|pair| pair[0].0 != pair[1].0)
            .collect();
        let mut plans = vec![Vec::new()];
        plans.extend(each.iter().map(|one| vec![*one]));
        let taken = pairs.len().min(pairs_max);
        plans.extend((0..taken).map(|number| pairs[number * pairs.len() / taken].clone()));
        if self.is_mixed() {
            let is_old = |(_, fate): &(usize, Fate)| *fate == Fate::Old(0);
            plans.push(each.iter().copied().filter(is_old).collect());
            let (count, random) = random;
            plans.extend((0..count).map(|_| self.draw(random)));
        }
        plans
    }

    /// Whether more than two sectors are in doubt, so that there is more than each and each two.
    pub(super) fn is_mixed(&self) -> bool {
        self.dirty.len() > 2
    }

    fn draw(&self, random: &mut Random) -> Plan {
        let percent = [5, 50, 95][random.below(3)];
        let mut draw = |(index, sector): (usize, &Dirty)| {
            // A sector of which the last store changed nothing may have no other fate.
            let count = sector.fates.len().max(1);
            let fate = sector.fates.get(random.below(count)).copied();
            fate.filter(|_| random.below(100) < percent).map(|fate| (index, fate))
        };
        self.dirty.iter().enumerate().filter_map(&mut draw).collect()
    }

    /// What the model leaves out: sectors that hold synced bytes and are destroyed, one at a time.
    pub(super) fn beyond(&self) -> Vec<Plan> {
        (0..).zip(&self.dirty).flat_map(with(|d| &d.beyond)).map(|one| vec![one]).collect()
    }

    /// Whether sectors hold what was stored last, something older, zeros, anything: older bytes may
    /// be zeros.
    pub(super) fn holds(&self, plan: &Plan) -> [bool; 4] {
        let is_zero = |(index, fate): &(usize, Fate)| match fate {
            Fate::Old(version) => self.dirty[*index].older[*version] == [0; SECTOR],
            fate => *fate == Fate::Zero,
        };
        let is_old = |(_, fate): &(usize, Fate)| matches!(fate, Fate::Old(_));
        let is_garbage = |(_, fate): &(usize, Fate)| *fate == Fate::Garbage;
        let any = |is: &dyn Fn(&(usize, Fate)) -> bool| plan.iter().any(is);
        [plan.len() < self.dirty.len(), any(&is_old), any(&is_zero), any(&is_garbage)]
    }

    /// The files after the power cut.
    pub(super) fn image(&self, plan: &Plan, random: &mut Random) -> Vec<Part> {
        let mut image = self.newest.clone();
        for (index, fate) in plan {
            let dirty = &self.dirty[*index];
            let place = &mut image[dirty.part].bytes[dirty.at * SECTOR..][..SECTOR];
            match fate {
                Fate::Old(version) => place.copy_from_slice(&dirty.older[*version]),
                Fate::Zero => place.fill(0),
                Fate::Garbage => random.fill(place),
            }
        }
        image
    }
}

fn sector(bytes: &[u8], at: usize) -> [u8; SECTOR] {
    bytes[at * SECTOR..][..SECTOR].try_into().unwrap()
}

/// Each fate of a sector with its number.
fn with<'a>(
    fates: impl Fn(&'a Dirty) -> &'a Vec<Fate>,
) -> impl Fn((usize, &'a Dirty)) -> Vec<(usize, Fate)> {
    move |(index, dirty)| fates(dirty).iter().map(|fate| (index, *fate)).collect()
}

impl Dirty {
    fn new(
        (part, at): (usize, usize),
        older: Vec<[u8; SECTOR]>,
        newest: &[u8; SECTOR],
        is_kept: bool,
    ) -> Self {
        let zero = [0; SECTOR];
        let is_other = |version: &usize| {
            older[*version] != *newest && !older[..*version].contains(&older[*version])
        };
        let mut fates: Vec<Fate> = (0..older.len()).filter(is_other).map(Fate::Old).collect();
        let mut destroyed = Vec::new();
        if *newest != zero && !older.contains(&zero) {
            destroyed.push(Fate::Zero);
        }
        destroyed.push(Fate::Garbage);
        let mut beyond = Vec::new();
        if is_kept {
            beyond = destroyed
        } else {
            fates.extend(destroyed)
        }
        Self { part, at, older, fates, beyond }
    }
}

/// Writes the parts into their files.
pub(super) fn lay(parts: &[Part], file_of: impl Fn(Place) -> std::path::PathBuf) {
    for part in parts {
        write(&file_of(part.place), part);
    }
}

fn write(path: &Path, part: &Part) {
    super::super::plant(path, part.start as u64, &part.bytes);
}
