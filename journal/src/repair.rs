//! Puts back what is damaged in a log from a copy of it.
//!
//! Must not know: how the two are walked, or how files are replaced. Invariant: the outcome is put
//! in place only when a start would take it, and when it is shown that nothing followed its end.

use crate::error::JournalError;
use crate::inspect::{VerifyReport, look_from};
use crate::repair_draft::Draft;
use crate::repair_walk::{End, RepairWalk};
use crate::settle::settle;
use crate::snapshot;
use crate::survey::Begin;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a repair may do, and what it must come to.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepairOptions {
    /// Replace the damaged files; otherwise only say what would be done.
    pub apply: bool,
    /// Take an end of the log behind which more may have stood.
    pub accept_end: bool,
    /// Highest sequence that somebody else has seen as durable; 0: nobody.
    pub witness_seq: u64,
}

/// What stood at a place that was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The control file cannot be read: it is made anew from the segments.
    Control,
    /// The segment is not there.
    Missing,
    /// The file is shorter or longer than its header says.
    Length,
    /// Neither copy of the header is one of a segment in use.
    Header,
    /// The next group is not there.
    Group,
    /// There are bytes behind the seal.
    BehindSeal,
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Control => "control file",
            Self::Missing => "missing segment",
            Self::Length => "length of the file",
            Self::Header => "segment header",
            Self::Group => "group",
            Self::BehindSeal => "bytes behind the seal",
        })
    }
}

/// A place that was damaged, and how many bytes were put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mended {
    pub damage: Damage,
    pub segment: u64,
    pub offset: u64,
    pub bytes: u64,
}

/// Outcome of a repair.
#[derive(Clone, Debug)]
pub struct RepairReport {
    /// In the order of the log; empty: nothing was damaged.
    pub mended: Vec<Mended>,
    /// The log as it is with all of that.
    pub verified: VerifyReport,
    /// Where the damaged files are kept; empty: nothing was replaced.
    pub quarantined: Vec<PathBuf>,
}

/// Mends the log in `dir` with the bytes of `copy`, an older or newer copy of the same log. The
/// damaged files are kept in `quarantine`. The caller holds the lock of the directory that the log
/// is in.
///
/// # Errors
/// `Corrupt` when the copy is of another log or does not have what is damaged: the place is named
/// and nothing was changed. Otherwise a system call failed.
pub fn repair(
    dir: &Path,
    copy: &Path,
    options: &RepairOptions,
) -> Result<RepairReport, JournalError> {
    settle(dir)?;
    let mut draft = Draft::begin(dir)?;
    let mut walk = RepairWalk::begin(dir, copy)?;
    let end = walk.all(&mut draft)?;
    let epoch = walk.started_epoch();
    let mended = walk.finish(&mut draft)?;
    let verified = judge(dir, &draft, options.witness_seq)?;
    if !mended.is_empty() && !options.accept_end {
        check_end(&end, &mended, &verified, epoch)?;
    }
    let replace = options.apply && !mended.is_empty();
    let quarantined = if replace { draft.put_in_place()? } else { Vec::new() };
    Ok(RepairReport { mended, verified, quarantined })
}

/// Whether the outcome is whole, and is what the next start needs: all that its oldest snapshot
/// does not hold, and at least what its newest one does.
fn judge(dir: &Path, draft: &Draft, witness_seq: u64) -> Result<VerifyReport, JournalError> {
    let snapshots = snapshot::list(dir)?;
    let (newest, oldest) = (snapshots.first().copied(), snapshots.last().copied());
    let witness_seq = witness_seq.max(newest.unwrap_or(0));
    look_from(draft.dir(), Begin::After(oldest.unwrap_or(0)), witness_seq)?;
    look_from(draft.dir(), Begin::Oldest, witness_seq)
}

/// Refuses an end behind which acknowledged records may have stood: where the last segment was cut
/// off there or is the copy's alone, or where the records of the last start are missing.
fn check_end(
    end: &End,
    mended: &[Mended],
    verified: &VerifyReport,
    epoch: u64,
) -> Result<(), JournalError> {
    let touched = mended.iter().any(|mended| mended.segment == end.segment);
    let unknown = !end.is_sealed && end.is_cut(verified.tail_bytes);
    let older = touched && verified.epoch < epoch;
    if !unknown && !older {
        return Ok(());
    }
    let detail = "what followed is neither in the log nor in the copy, unless nothing did";
    Err(JournalError::corrupt("R6", end.segment, end.offset, detail))
}
