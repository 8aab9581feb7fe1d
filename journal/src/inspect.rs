//! What people ask about a log: its state, whether it is whole, its records.
//!
//! Must not know: how anything is shown. Invariant: nothing is changed and no lock is taken, so a
//! log in use may be looked at; its end is then wherever the writer was at that moment.

use crate::control::ControlFile;
use crate::error::{JournalError, RecoverError};
use crate::format::CONTROL_CLEAN;
use crate::reader::JournalReader;
use crate::record::Record;
use crate::segment::{SegmentFile, list};
use crate::survey::{Begin, Expect, survey};
use crate::tail::TailCase;
use crate::trim;
use crate::window::View;
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

/// State of a log by its control file and headers, without reading all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStat {
    pub machine_id: u32,
    pub exchange_uuid: [u8; 16],
    /// Number of the last start.
    pub epoch: u64,
    pub boot_count: u64,
    /// The last process closed the log in order.
    pub clean_shutdown: bool,
    /// A tail is being removed; the next start goes on with it.
    pub trim_pending: bool,
    /// Sequence known to be durable when the control file was last written.
    pub durable_seq: u64,
    pub active_segment: u64,
    /// Segments in use.
    pub segments: u64,
    /// Bytes of all segment files, the spare included.
    pub segment_bytes: u64,
    /// Sequence of the oldest record kept, and of the first one of the last segment, whether or not
    /// that has any.
    pub first_seq: u64,
    pub newest_segment_seq: u64,
    /// Sequence of the last stored record; 0 in an empty log.
    pub last_seq: u64,
}

/// Outcome of a full check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    pub segments: u64,
    pub groups: u64,
    pub records: u64,
    pub last_seq: u64,
    pub epoch: u64,
    /// Bytes of sealed segments, whose hashes were checked.
    pub sealed_bytes: u64,
    pub header_copies_damaged: u64,
    /// What the next start would find behind the last good group.
    pub tail: TailCase,
    /// Bytes that the next start would remove.
    pub tail_bytes: u64,
}

/// Looks at a log whose end keeps changing.
const LOOKS_MAX: u32 = 50;
/// Longer than storing a group takes.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

fn control_of(dir: &Path) -> Result<ControlFile, JournalError> {
    ControlFile::open(dir, false)?
        .ok_or_else(|| JournalError::corrupt("R1 control file", 0, 0, "no control file"))
}

/// State of the log in `dir`; reads only the control file, the headers and the last segment.
///
/// # Errors
/// `Corrupt` when there is no usable control file or a segment in use is not readable.
pub fn stat(dir: &Path) -> Result<LogStat, JournalError> {
    let control = control_of(dir)?;
    let slot = &control.slot;
    let (mut segments, mut segment_bytes, mut first_seq, mut newest) = (0, 0, 0, 0);
    for id in list(dir)? {
        let segment = SegmentFile::open(dir, id, false)?;
        segment_bytes += segment.file_len;
        if let Some(header) = segment.header.as_ref().filter(|_| segment.is_active()) {
            segments += 1;
            newest = header.first_seq.get();
            if segments == 1 {
                first_seq = newest;
            }
        }
    }
    let mut last_seq = newest.saturating_sub(1);
    let mut reader = JournalReader::open(dir, slot.machine_id.get(), newest)?;
    while let Some(record) = reader.next_record()? {
        last_seq = record.seq;
    }
    Ok(LogStat {
        machine_id: slot.machine_id.get(),
        exchange_uuid: slot.exchange_uuid,
        epoch: slot.epoch.get(),
        boot_count: slot.boot_count.get(),
        clean_shutdown: slot.flags.get() & CONTROL_CLEAN != 0,
        trim_pending: trim::pending(slot).is_some(),
        durable_seq: slot.durable_seq.get(),
        active_segment: slot.active_segment.get(),
        segments,
        segment_bytes,
        first_seq,
        newest_segment_seq: newest,
        last_seq,
    })
}

/// Reads all of a log and checks headers, checksums, the chain, records and seals.
///
/// The log may be written meanwhile: its end then looks damaged in the moment between two reads. So
/// a fault counts only when the next look finds the same one.
///
/// # Errors
/// What the next start would refuse.
pub fn verify(dir: &Path) -> Result<VerifyReport, JournalError> {
    let mut seen = None;
    for _ in 0..LOOKS_MAX {
        let verdict = look(dir);
        let fault = match &verdict {
            Ok(report) if report.tail_bytes == 0 => return verdict,
            Ok(report) => format!("{} of {} bytes", report.tail, report.tail_bytes),
            Err(error) => error.to_string(),
        };
        if seen.as_ref() == Some(&fault) {
            return verdict;
        }
        seen = Some(fault);
        std::thread::sleep(BETWEEN_LOOKS);
    }
    look(dir)
}

fn look(dir: &Path) -> Result<VerifyReport, JournalError> {
    look_from(dir, Begin::Oldest, 0)
}

/// One look, at a log that nobody writes and that somebody has seen up to `witness_seq`.
pub(crate) fn look_from(
    dir: &Path,
    begin: Begin,
    witness_seq: u64,
) -> Result<VerifyReport, JournalError> {
    let control = control_of(dir)?;
    let expect = Expect {
        machine_id: control.slot.machine_id.get(),
        schemas: None,
        witness_seq,
        begin,
        control: &control.slot,
        view: View::Cache,
    };
    let found = match survey::<Infallible>(dir, &expect, |_| Ok(())) {
        Ok(found) => found,
        Err(RecoverError::Journal(error)) => return Err(error),
    };
    Ok(VerifyReport {
        segments: found.segments,
        groups: found.groups,
        records: found.records,
        last_seq: found.chain.last_seq,
        epoch: found.chain.epoch,
        sealed_bytes: found.sealed_bytes,
        header_copies_damaged: found.copies_damaged,
        tail: found.tail.case,
        tail_bytes: found.tail.len,
    })
}

/// Hands the records with sequences `from_seq..=to_seq` to `visit`; returns how many.
///
/// # Errors
/// As `JournalReader`.
pub fn dump(
    dir: &Path,
    from_seq: u64,
    to_seq: u64,
    mut visit: impl FnMut(Record<'_>),
) -> Result<u64, JournalError> {
    let machine_id = control_of(dir)?.slot.machine_id.get();
    let mut reader = JournalReader::open(dir, machine_id, from_seq)?;
    let mut count = 0;
    while let Some(record) = reader.next_record()? {
        if record.seq > to_seq {
            break;
        }
        visit(record);
        count += 1;
    }
    Ok(count)
}
