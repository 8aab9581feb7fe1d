//! Goes on with a log that was read and found good: repairs its end, counts the start, maps what is
//! written next.
//!
//! Must not know: how a log is judged. Invariant: nothing is stored before a torn tail is gone and
//! the start has a number that no group of the log carries.

use crate::cache::settle_file;
use crate::control::ControlFile;
use crate::error::JournalError;
use crate::fail_point;
use crate::format::{BLOCK, CONTROL_PENDING_TRIM};
use crate::keeper::Keeper;
use crate::limits::BODY_OFFSET;
use crate::options::Options;
use crate::prepare::{Reopened, Template, open_again};
use crate::probe;
use crate::recovery::RecoveryReport;
use crate::scan::Chain;
use crate::segment::{FIRST_SEGMENT, SegmentFile, remove_unfinished};
use crate::sink::{GroupSink, Storing};
use crate::survey::{LastSegment, Survey};
use crate::tail::TailCase;
use crate::trim;
use crate::writer::{ActiveSegment, JournalWriter, Start, begin_segment};
use std::path::Path;
use zerocopy::byteorder::little_endian::{U16, U64};

/// Removes a torn tail, or finishes the removal that an earlier start began.
pub(crate) fn repair(
    dir: &Path,
    control: &mut ControlFile,
    survey: &Survey,
    report: &mut RecoveryReport,
) -> Result<(), JournalError> {
    let last = survey.last.as_ref();
    if let Some((id, offset, len)) = trim::pending(&control.slot) {
        let segment = SegmentFile::open(dir, id, true)?;
        trim::finish(control, &segment, offset, len)?;
        report.case = TailCase::TrimResumed;
        report.trimmed_bytes = len;
    } else if survey.tail.len > 0 {
        let last = last.expect("a tail stands in a segment");
        let segment = SegmentFile::open(dir, last.segment.id, true)?;
        let copy = trim::trim(dir, control, &segment, last.offset, survey.tail.len)?;
        report.trimmed_bytes = survey.tail.len;
        report.quarantined = Some(copy);
    }
    if let Some(last) = last.filter(|last| last.segment.copy_damaged && last.seal.is_none()) {
        let segment = SegmentFile::open(dir, last.segment.id, true)?;
        segment.mend_header(last.header())?;
        settle_file(&segment.file, &segment.path)?;
    }
    Ok(())
}

/// Notes the start in the control file, with a number that no earlier group carries.
pub(crate) fn begin_epoch(
    control: &mut ControlFile,
    survey: &Survey,
    report: &mut RecoveryReport,
) -> Result<(), JournalError> {
    let epoch = control.slot.epoch.get().max(survey.chain.epoch) + 1;
    report.epoch = epoch;
    let last = survey.last.as_ref();
    control.update(|slot| {
        assert_eq!(slot.flags.get() & CONTROL_PENDING_TRIM, 0, "no start amid a trim");
        slot.flags = U16::new(0);
        slot.epoch = U64::new(epoch);
        slot.boot_count = U64::new(slot.boot_count.get() + 1);
        slot.durable_seq = U64::new(survey.chain.last_seq);
        if let Some(last) = last {
            let id = last.segment.id;
            slot.active_segment = U64::new(id);
            slot.last_sealed = U64::new(if last.seal.is_some() { id } else { id - 1 });
        }
    })
}

/// Builds the writer: in the segment that was being written, or in the next one.
pub(crate) fn resume(
    dir: &Path,
    options: &Options,
    mut control: ControlFile,
    survey: Survey,
    report: &mut RecoveryReport,
) -> Result<JournalWriter, JournalError> {
    remove_unfinished(dir)?;
    let template = Template::new(dir, control.slot.exchange_uuid, options);
    let mut keeper = Keeper::start(template)?;
    let chain = Chain { epoch: report.epoch, ..survey.chain };
    let in_use = survey.last.as_ref().map_or(0, |last| last.segment.id);
    let changed = chain.policy.is_some_and(|bits| bits != options.sync.bits());
    let open = survey.last.as_ref().filter(|last| last.seal.is_none());
    let other = open.is_some_and(|last| {
        last.header().pad.get() != options.pad || last.header().schema_hash != options.schema_hash
    });
    let (active, sink, pad) = match open {
        Some(last) => {
            // One that is left at once need not be made fit for many syncs.
            let storing = if changed || other { Storing::Reserved } else { options.storing };
            let reopened = reopen(dir, storing, last, &keeper, report)?;
            keeper.request(in_use + 1, survey.spare);
            reopened
        }
        None => {
            keeper.request(in_use + 1, survey.spare);
            let previous = survey
                .last
                .as_ref()
                .and_then(|last| last.seal.map(|seal| (last.segment.id, seal.segment_hash)));
            let (active, sink) =
                activate(options.storing, &mut keeper, &mut control, &chain, previous, report)?;
            (active, sink, options.pad)
        }
    };
    let is_reopened = open.is_some();
    let mut writer = JournalWriter::new(Start {
        dir: dir.to_owned(),
        policy: options.sync,
        pad,
        segment_bytes: options.segment_bytes,
        chain,
        active,
        sink,
        keeper,
        control,
    });
    // One segment has one alignment, one schema, and (so that a hole can be judged) one policy.
    if is_reopened && (changed || other) {
        writer.roll()?;
    }
    Ok(writer)
}

/// Goes on in the segment that was being written.
fn reopen(
    dir: &Path,
    storing: Storing,
    last: &LastSegment,
    keeper: &Keeper,
    report: &mut RecoveryReport,
) -> Result<(ActiveSegment, Box<dyn GroupSink>, u32), JournalError> {
    let header = last.header();
    let segment = SegmentFile::open(dir, last.segment.id, true)?;
    let (path, len) = (segment.path.clone(), segment.file_len);
    let Reopened { mut sink, file, fetched } = open_again(storing, segment, last.offset)?;
    if storing.is_filled() {
        report.sync_bytes = probe::sync_bytes(&mut *sink, &file, last.offset, fetched)
            .map_err(JournalError::io("try a sync of", &path))?;
    }
    if storing == Storing::Mapped {
        let second = file.try_clone().map_err(JournalError::io("duplicate handle of", &path))?;
        keeper.fetch(second, fetched..len);
    }
    keeper.begin_hash(file, header.to_block());
    let active = ActiveSegment {
        id: last.segment.id,
        salt: header.salt.get(),
        len: header.segment_len.get(),
        offset: last.offset,
        group_count: last.group_count,
        record_count: last.record_count,
        hash_told: BODY_OFFSET,
    };
    Ok((active, sink, header.pad.get()))
}

/// Takes the next segment into use, after a sealed one or as the first.
fn activate(
    storing: Storing,
    keeper: &mut Keeper,
    control: &mut ControlFile,
    chain: &Chain,
    previous: Option<(u64, [u8; 32])>,
    report: &mut RecoveryReport,
) -> Result<(ActiveSegment, Box<dyn GroupSink>), JournalError> {
    let id = previous.map_or(FIRST_SEGMENT, |(id, _)| id + 1);
    let spare = keeper.take(id)?;
    let (active, mut spare) = begin_segment(spare, chain, previous);
    let block = spare.header.to_block();
    let stored = spare.sink.put(0, &block).and_then(|()| spare.sink.put(BLOCK as u64, &block));
    stored.and_then(|()| spare.sink.sync()).map_err(JournalError::io("activate", &spare.path))?;
    fail_point::hit("recovery-activated");
    if storing.is_filled() {
        report.sync_bytes =
            probe::sync_bytes(&mut *spare.sink, &spare.file, active.offset, spare.fetched)
                .map_err(JournalError::io("try a sync of", &spare.path))?;
    }
    keeper.begin_hash(spare.file, block);
    control.update(|slot| slot.active_segment = U64::new(id))?;
    keeper.request(id + 1, None);
    Ok((active, spare.sink))
}
