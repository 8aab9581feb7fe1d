//! Opens a log: reads all of it, judges it, and hands over a writer.
//!
//! Must not know: what records mean. Invariant: nothing in the directory is changed before the
//! whole log was read and found good or torn in a way that is allowed; a refused log stays as it
//! was, and after `examine` the owner may still refuse it.

use crate::control::ControlFile;
use crate::error::{JournalError, RecoverError};
use crate::fail_point;
use crate::file_system;
use crate::format::{CONTROL_CLEAN, ControlSlot, GROUP_POLICY_GROUP};
use crate::lock::create_directory;
use crate::options::Options;
use crate::prepare::draw_random;
use crate::record::Record;
use crate::resume::{begin_epoch, repair, resume};
use crate::segment::list;
use crate::settle::settle;
use crate::snapshot;
use crate::survey::{Begin, Expect, LastSegment, Survey, survey};
use crate::tail::TailCase;
use crate::trim;
use crate::window::View;
use crate::writer::JournalWriter;
use std::path::{Path, PathBuf};
use zerocopy::FromZeros;

/// What a recovery found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// What stood behind the last good group.
    pub case: TailCase,
    /// Groups read, seals included.
    pub groups: u64,
    /// Records handed to the visitor.
    pub records: u64,
    /// Last sequence of the log, 0 when it is empty.
    pub last_seq: u64,
    /// Time of the last record, ns.
    pub last_ts_ns: u64,
    /// Bytes of the tail that was removed.
    pub trimmed_bytes: u64,
    /// Copy of what was removed.
    pub quarantined: Option<PathBuf>,
    /// Highest sequence that was lost behind a hole; never acknowledged as durable.
    pub lost_seq: Option<u64>,
    /// Segments read.
    pub segments: u64,
    /// Segments of which one of the two header copies is damaged.
    pub header_copies_damaged: u64,
    /// The log was closed in order before this start.
    pub clean_shutdown: bool,
    /// Number of this start; one more than that of any before.
    pub epoch: u64,
    /// Bytes that the device wrote for one sync of one block in the active segment, the smallest
    /// of a few measurements; `None` where the device does not tell. More than
    /// `limits::SYNC_BYTES_MAX` means that the page cache keeps the segment in large pieces.
    pub sync_bytes: Option<u64>,
}

/// A log that was read to its end and found good, and in which nothing was changed yet. Dropping
/// it leaves everything as it was.
#[derive(Debug)]
pub struct Examined {
    dir: PathBuf,
    options: Options,
    /// `None`: there is no log yet.
    control: Option<ControlFile>,
    /// Identity of the log, or of the one that will be made.
    exchange_uuid: [u8; 16],
    survey: Survey,
    report: RecoveryReport,
}

/// Reads a log to its end, hands every record that is wanted (see [`Options::read_after`]), but no
/// seals, to `visit`, in order, and judges the end.
/// Makes the directory where it is missing; changes nothing else. What an earlier process left in
/// the page cache is synced and dropped first, so that the disk is what is judged.
///
/// The caller holds the `DirectoryLock` of the data directory; none is taken here. Records are
/// visited before the end of the log has been judged: on an error forget what was built from them.
///
/// # Errors
/// `Journal` when the log is refused, or a system call failed; `Visit` when the visitor refused a
/// record.
pub fn examine<E>(
    dir: &Path,
    options: &Options,
    visit: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<Examined, RecoverError<E>> {
    options.check()?;
    create_directory(dir)?;
    file_system::check(dir, options.allow_fs)?;
    let control = open_control(dir, options)?;
    settle(dir)?;
    let slot =
        control.as_ref().map_or_else(ControlSlot::new_zeroed, |control| control.slot.clone());
    let mut schemas = vec![options.schema_hash];
    schemas.extend_from_slice(options.older_schema_hashes);
    let expect = Expect {
        machine_id: options.machine_id,
        schemas: Some(schemas),
        witness_seq: options.witness_seq,
        begin: Begin::After(options.read_after),
        control: &slot,
        view: View::Disk { or_cache: options.allow_fs },
    };
    let survey = survey(dir, &expect, visit)?;
    check_pending(&slot, &survey)?;
    let report = report_of(&survey, slot.flags.get() & CONTROL_CLEAN != 0);
    let exchange_uuid = match (&control, options.exchange_uuid) {
        (Some(_), _) => slot.exchange_uuid,
        (None, Some(uuid)) => uuid,
        (None, None) => draw_uuid(dir)?,
    };
    let (dir, options) = (dir.to_owned(), options.clone());
    Ok(Examined { dir, options, control, exchange_uuid, survey, report })
}

impl Examined {
    /// What was found; nothing is trimmed and no start is counted yet.
    #[must_use]
    pub const fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Whether a power cut may have taken records from the end of the log that had been stored: the
    /// last good group was written under a policy that does not wait for its sync, and the log was
    /// not closed in order.
    #[must_use]
    pub fn may_lack_stored_records(&self) -> bool {
        let policy = self.survey.chain.policy;
        !self.report.clean_shutdown && policy.is_some_and(|bits| bits != GROUP_POLICY_GROUP)
    }

    /// Makes this log and another one that stands beside it belong to the same exchange: one that
    /// is yet to be made takes the identity of the other, whichever that is, for a process may have
    /// died when it had made only one of them. Two that exist must have the same.
    ///
    /// # Errors
    /// The logs belong to different exchanges.
    pub fn join(&mut self, other: &mut Self) -> Result<(), JournalError> {
        if self.control.is_none() {
            self.exchange_uuid = other.exchange_uuid;
        } else if other.control.is_none() {
            other.exchange_uuid = self.exchange_uuid;
        }
        if self.exchange_uuid == other.exchange_uuid {
            return Ok(());
        }
        let detail = format!("exchange uuid of {} is alien", self.dir.display());
        Err(JournalError::corrupt("R1 identity", 0, 0, detail))
    }

    /// Trims a torn tail and returns the writer positioned behind the last good record. Where there
    /// was nothing, a fresh log begins.
    ///
    /// # Errors
    /// A system call failed.
    pub fn open(self) -> Result<(JournalWriter, RecoveryReport), JournalError> {
        let Self { dir, options, control, exchange_uuid, survey, mut report } = self;
        let mut control = match control {
            Some(control) => control,
            None => ControlFile::create(&dir, options.machine_id, exchange_uuid)?,
        };
        fail_point::hit("recovery-judged");
        repair(&dir, &mut control, &survey, &mut report)?;
        fail_point::hit("recovery-repaired");
        begin_epoch(&mut control, &survey, &mut report)?;
        fail_point::hit("recovery-counted");
        let writer = resume(&dir, &options, control, survey, &mut report)?;
        Ok((writer, report))
    }
}

/// Recovers a log: `examine`, and `open` when nothing speaks against it. An empty directory becomes
/// a fresh log.
///
/// # Errors
/// `Journal` when the log is refused (nothing was changed), or a system call failed; `Visit` when
/// the visitor refused a record.
pub fn recover<E>(
    dir: &Path,
    options: &Options,
    visit: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(JournalWriter, RecoveryReport), RecoverError<E>> {
    Ok(examine(dir, options, visit)?.open()?)
}

fn report_of(survey: &Survey, clean_shutdown: bool) -> RecoveryReport {
    RecoveryReport {
        case: survey.tail.case,
        groups: survey.groups,
        records: survey.records,
        last_seq: survey.chain.last_seq,
        last_ts_ns: survey.chain.last_ts_ns,
        trimmed_bytes: 0,
        quarantined: None,
        lost_seq: survey.tail.lost_seq,
        segments: survey.segments,
        header_copies_damaged: survey.copies_damaged,
        clean_shutdown,
        epoch: 0,
        sync_bytes: None,
    }
}

/// The control file, with its identity checked; `None` where the directory holds no log yet.
fn open_control(dir: &Path, options: &Options) -> Result<Option<ControlFile>, JournalError> {
    let Some(control) = ControlFile::open(dir, true)? else {
        let rule = "R1 control file";
        if let Some(first) = list(dir)?.first() {
            let detail = "segments without a control file";
            return Err(JournalError::corrupt(rule, *first, 0, detail));
        }
        // Without this one would begin afresh where there was an exchange.
        if let Some(newest) = snapshot::list(dir)?.first() {
            let detail = format!("a snapshot at {newest} without a control file");
            return Err(JournalError::corrupt(rule, 0, 0, detail));
        }
        return Ok(None);
    };
    let found = control.slot.machine_id.get();
    if found != options.machine_id {
        let detail = format!("machine id {found:#x}, expected {:#x}", options.machine_id);
        return Err(JournalError::corrupt("R1 identity", 0, 0, detail));
    }
    if options.exchange_uuid.is_some_and(|uuid| uuid != control.slot.exchange_uuid) {
        return Err(JournalError::corrupt("R1 identity", 0, 0, "exchange uuid is alien"));
    }
    Ok(Some(control))
}

/// A random UUID of version 4.
fn draw_uuid(dir: &Path) -> Result<[u8; 16], JournalError> {
    let mut uuid: [u8; 16] = draw_random(dir)?;
    uuid[6] = uuid[6] & 0x0F | 0x40;
    uuid[8] = uuid[8] & 0x3F | 0x80;
    Ok(uuid)
}

/// Refuses a trim that was begun anywhere but at the end that was found.
fn check_pending(slot: &ControlSlot, survey: &Survey) -> Result<(), JournalError> {
    let Some((id, offset, len)) = trim::pending(slot) else { return Ok(()) };
    let is_here = |last: &LastSegment| last.segment.id == id && last.offset == offset;
    if survey.last.as_ref().is_some_and(is_here) && survey.tail.len <= len {
        return Ok(());
    }
    let detail = "the end of the log is not where a tail was being removed";
    Err(JournalError::corrupt("R7", id, offset, detail))
}
