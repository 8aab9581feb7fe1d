//! What is done to the files of a log, in its order: by a writer through its sinks, with the writes
//! of the control file, which are seen from outside; by a start, all of it seen from outside, in
//! each of its named places.
//!
//! Must not know: what becomes of it. Invariant: a step is noted before the one that follows it
//! begins, so any beginning of the trace is a moment at which the power may go.

use super::disk::SECTOR;
use crate::format::BLOCK;
use crate::{GroupSink, JournalWriter, SyncHandle};
use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Control,
    Segment(u64),
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Put(Place, u64, Vec<u8>),
    Sync(Place),
}

struct Noted {
    steps: Vec<Step>,
    control: PathBuf,
    /// The control file as it was at the last step.
    seen: Vec<u8>,
}

impl Noted {
    /// A slot of the control file is stored and synced before the writer does anything else.
    fn look(&mut self) {
        let now = std::fs::read(&self.control).unwrap();
        let slots = self.seen.chunks(BLOCK).zip(now.chunks(BLOCK));
        for ((before, after), offset) in slots.zip((0..).step_by(BLOCK)) {
            if before != after {
                self.steps.push(Step::Put(Place::Control, offset, after.to_vec()));
                self.steps.push(Step::Sync(Place::Control));
            }
        }
        self.seen = now;
    }

    fn note(&mut self, step: Step) {
        self.look();
        self.steps.push(step);
    }
}

/// Notes what a writer does from now on.
#[derive(Clone)]
pub(super) struct Trace(Arc<Mutex<Noted>>);

impl Trace {
    pub(super) fn of(writer: &mut JournalWriter, control: PathBuf) -> Self {
        let seen = std::fs::read(&control).unwrap();
        let trace = Self(Arc::new(Mutex::new(Noted { steps: Vec::new(), control, seen })));
        let noting = trace.clone();
        writer.layer_sinks(move |segment, below| {
            Box::new(Noting { place: Place::Segment(segment), below, trace: noting.clone() })
        });
        trace
    }

    /// All that was done, when nothing is done any more.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut noted = self.0.lock().unwrap();
        noted.look();
        noted.steps.clone()
    }
}

/// Passes stores on: a segment is read back for its seal. The file lies in memory, so that a sync
/// has nothing to do.
struct Noting {
    place: Place,
    below: Box<dyn GroupSink>,
    trace: Trace,
}

impl GroupSink for Noting {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.trace.0.lock().unwrap().note(Step::Put(self.place, offset, bytes.to_vec()));
        self.below.put(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.trace.0.lock().unwrap().note(Step::Sync(self.place));
        Ok(())
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The files of a log, looked at in each place that a start comes to.
struct Watch {
    files: Vec<(Place, PathBuf, Vec<u8>)>,
    steps: Vec<Step>,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// This thread comes to one of the named places.
pub(crate) fn passed(name: &'static str) {
    WATCH.with_borrow_mut(|watch| {
        if let Some(watch) = watch {
            watch.look(name);
        }
    });
}

/// What `start` does to these files.
pub(super) fn watched(files: Vec<(Place, PathBuf)>, start: impl FnOnce()) -> Vec<Step> {
    let files = files.into_iter().map(|(place, path)| {
        let bytes = std::fs::read(&path).unwrap();
        (place, path, bytes)
    });
    let watch = Watch { files: files.collect(), steps: Vec::new() };
    WATCH.set(Some(watch));
    start();
    WATCH.take().unwrap().steps
}

impl Watch {
    /// What was written since the last place, and what is synced here.
    fn look(&mut self, name: &str) {
        for (place, path, seen) in &mut self.files {
            let now = std::fs::read(path).unwrap();
            let sectors = seen.chunks(SECTOR).zip(now.chunks(SECTOR));
            for ((before, after), offset) in sectors.zip((0..).step_by(SECTOR)) {
                if before != after {
                    self.steps.push(Step::Put(*place, offset, after.to_vec()));
                }
            }
            *seen = now;
        }
        let is_synced = |place: &Place| match name {
            "ctl-synced" => *place == Place::Control,
            "trim-settled" | "recovery-activated" => *place != Place::Control,
            _ => false,
        };
        let synced = self.files.iter().map(|(place, ..)| *place).filter(is_synced);
        self.steps.extend(synced.map(Step::Sync));
    }
}
