//! Reads a whole log from its oldest segment to its end, and changes nothing.
//!
//! Must not know: how a tail is repaired. Invariant: it ends either at a place where the log may be
//! continued, with every record before it visited once and in order, or with an error.

use crate::arrange::{Arranged, arrange};
use crate::error::{JournalError, RecoverError};
use crate::format::{ControlSlot, GROUP_HEADER, GROUP_SEAL, SealPayload, SegmentHeader};
use crate::record::{Record, RecordKind};
use crate::record_scan::{record_at, seal_of};
use crate::scan::{Chain, Fault, SegmentScan, Step};
use crate::segment::{FIRST_SEGMENT, SegmentFile};
use crate::tail::{Tail, TailCase, classify};
use crate::window::{View, Window};
use std::path::Path;

/// Bytes read at once.
const WINDOW_BYTES: usize = 1 << 20;
/// Bytes of groups that are hashed at once.
const HASH_AT_ONCE: usize = 64 << 10;

/// What the log must be for this build.
#[derive(Clone, Debug)]
pub(crate) struct Expect<'a> {
    pub(crate) machine_id: u32,
    /// Schemas that can be read; `None`: bytes are only checked, payloads not looked into.
    pub(crate) schemas: Option<Vec<[u8; 32]>>,
    /// Highest sequence known to have been durable.
    pub(crate) witness_seq: u64,
    pub(crate) begin: Begin,
    pub(crate) control: &'a ControlSlot,
    pub(crate) view: View,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At the oldest segment that is there.
    Oldest,
    /// At the segment that has the record with this sequence, which is not wanted itself; with 0 at
    /// the first segment of all.
    After(u64),
}

impl Expect<'_> {
    /// Highest sequence that somebody knows to have been durable.
    pub(crate) fn witness(&self) -> u64 {
        let begin = if let Begin::After(seq) = self.begin { seq } else { 0 };
        self.control.durable_seq.get().max(self.witness_seq).max(begin)
    }

    /// Whether a record is wanted.
    const fn wants(&self, seq: u64) -> bool {
        match self.begin {
            Begin::Oldest | Begin::After(0) => true,
            Begin::After(after) => seq > after,
        }
    }
}

/// The last segment in use.
#[derive(Debug)]
pub(crate) struct LastSegment {
    pub(crate) segment: SegmentFile,
    /// Where the next group belongs.
    pub(crate) offset: u64,
    pub(crate) group_count: u64,
    pub(crate) record_count: u64,
    /// The seal, where the segment has one.
    pub(crate) seal: Option<SealPayload>,
}

impl LastSegment {
    pub(crate) fn header(&self) -> &SegmentHeader {
        self.segment.header.as_ref().expect("a segment in use has a header")
    }
}

/// Everything that was found.
#[derive(Debug)]
pub(crate) struct Survey {
    /// `None`: no segment was ever taken into use.
    pub(crate) last: Option<LastSegment>,
    pub(crate) spare: Option<SegmentFile>,
    pub(crate) chain: Chain,
    pub(crate) tail: Tail,
    pub(crate) segments: u64,
    pub(crate) groups: u64,
    pub(crate) records: u64,
    pub(crate) sealed_bytes: u64,
    pub(crate) copies_damaged: u64,
}

/// Walks the log; `visit` gets every record but the seals.
pub(crate) fn survey<E>(
    dir: &Path,
    expect: &Expect<'_>,
    mut visit: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<Survey, RecoverError<E>> {
    let Arranged { active, spare, copies_damaged } = arrange(dir, expect)?;
    let mut walk = Walk::begin(active.first());
    let segments = active.len() as u64;
    let mut last = None;
    let mut tail = Tail::clean(TailCase::Fresh);
    for (index, mut segment) in active.into_iter().enumerate() {
        segment.set_view(expect.view)?;
        walk.enter(&segment, expect)?;
        let (found, fault) = walk.segment(segment, expect, &mut visit, |_| Ok(()))?;
        let is_last = index as u64 + 1 == segments;
        if is_last {
            tail = walk.end(&found, fault, expect)?;
        } else if found.seal.is_none() {
            let detail = format!("a segment that is not the last ends without a seal ({fault:?})");
            let error = JournalError::corrupt("R8", found.segment.id, found.offset, detail);
            return Err(error.into());
        }
        last = Some(found);
    }
    let witness = expect.witness();
    if walk.chain.last_seq < witness {
        let (id, offset) = last.as_ref().map_or((0, 0), |last| (last.segment.id, last.offset));
        let detail = format!("the log ends at {}, {witness} was durable", walk.chain.last_seq);
        return Err(JournalError::corrupt("R6", id, offset, detail).into());
    }
    let Walk { chain, groups, records, sealed_bytes, .. } = walk;
    Ok(Survey { last, spare, chain, tail, segments, groups, records, sealed_bytes, copies_damaged })
}

/// Walks one sealed segment, whatever comes before or behind it. `passed` gets the length of each
/// group.
pub(crate) fn check_segment<E>(
    segment: SegmentFile,
    expect: &Expect<'_>,
    passed: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), RecoverError<E>> {
    let mut walk = Walk::begin(Some(&segment));
    walk.enter(&segment, expect)?;
    let (found, fault) = walk.segment(segment, expect, &mut |_| Ok(()), passed)?;
    if found.seal.is_some() {
        return Ok(());
    }
    let detail = format!("a sealed segment ends without its seal ({fault:?})");
    Err(JournalError::corrupt("R8", found.segment.id, found.offset, detail).into())
}

/// The hash of a segment. Groups are small, and over many at once it is several times as fast.
struct SegmentHash {
    hasher: blake3::Hasher,
    waiting: Vec<u8>,
}

impl SegmentHash {
    fn new(block: &[u8]) -> Self {
        let mut waiting = Vec::with_capacity(2 * HASH_AT_ONCE);
        waiting.extend_from_slice(block);
        Self { hasher: blake3::Hasher::new(), waiting }
    }

    fn add(&mut self, group: &[u8]) {
        self.waiting.extend_from_slice(group);
        if self.waiting.len() >= HASH_AT_ONCE {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    fn finish(mut self) -> [u8; 32] {
        *self.hasher.update(&self.waiting).finalize().as_bytes()
    }
}

/// State while walking.
struct Walk {
    chain: Chain,
    window: Window,
    groups: u64,
    records: u64,
    sealed_bytes: u64,
    /// Number and hash of the segment before.
    previous: Option<(u64, [u8; 32])>,
}

impl Walk {
    /// Stands before a segment, the first of all or one whose predecessors are not read: what it
    /// says of them is believed then.
    fn begin(first: Option<&SegmentFile>) -> Self {
        let header = first.and_then(|segment| segment.header.as_ref());
        let header = header.filter(|header| header.segment_id.get() != FIRST_SEGMENT);
        let chain = header.map_or_else(Chain::start, Chain::before);
        let previous = header.map(|header| (header.segment_id.get() - 1, header.prev_segment_hash));
        let window = Window::new(WINDOW_BYTES);
        Self { chain, window, groups: 0, records: 0, sealed_bytes: 0, previous }
    }

    /// Checks that a segment continues the one before.
    fn enter(&mut self, segment: &SegmentFile, expect: &Expect<'_>) -> Result<(), JournalError> {
        let header = segment.header.as_ref().expect("a segment in use has a header");
        let (previous_id, previous_hash) = self.previous.unwrap_or((0, [0; 32]));
        for (good, what) in [
            (header.exchange_uuid == expect.control.exchange_uuid, "exchange uuid is alien"),
            (header.prev_segment_id.get() == previous_id, "number of the segment before"),
            (header.prev_segment_hash == previous_hash, "hash of the segment before"),
            (header.first_seq.get() == self.chain.last_seq + 1, "first sequence"),
            (header.first_group_no.get() == self.chain.next_group_no, "first group number"),
            (header.epoch.get() >= self.chain.epoch, "epoch"),
        ] {
            if !good {
                return Err(JournalError::corrupt("R3", segment.id, 0, what));
            }
        }
        if let Some(schemas) = &expect.schemas
            && !schemas.contains(&header.schema_hash)
        {
            return Err(JournalError::unknown_schema(&segment.path, &header.schema_hash, schemas));
        }
        self.chain.epoch = header.epoch.get();
        self.window.discard();
        Ok(())
    }

    /// Walks one segment up to its seal or to the first thing that is not a group.
    fn segment<E>(
        &mut self,
        segment: SegmentFile,
        expect: &Expect<'_>,
        visit: &mut impl FnMut(Record<'_>) -> Result<(), E>,
        mut passed: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(LastSegment, Fault), RecoverError<E>> {
        let header = segment.header.as_ref().expect("a segment in use has a header");
        let mut scan = SegmentScan::new(header);
        let mut hash = SegmentHash::new(&header.to_block());
        let mut found = LastSegment {
            segment,
            offset: scan.offset,
            group_count: 0,
            record_count: 0,
            seal: None,
        };
        loop {
            let at = scan.offset;
            let step = scan
                .step(found.segment.reading(), &mut self.window, &mut self.chain)
                .map_err(|error| error.at(&found.segment.path))?;
            let group_header = match step {
                Step::End(fault) => return Ok((found, fault)),
                Step::Group(header) => header,
            };
            self.groups += 1;
            let group_len = group_header.group_len.get() as usize;
            let group = self
                .window
                .load(found.segment.reading(), at, group_len, scan.segment_len)
                .map_err(JournalError::io("read", &found.segment.path))?;
            found.offset = scan.offset;
            if group_header.flags.get() & GROUP_SEAL != 0 {
                let seal = seal_of(group, expect.machine_id);
                self.check_seal(&found, at, seal, hash.finish())?;
                found.seal = seal;
                return Ok((found, Fault::SegmentEnd));
            }
            hash.add(group);
            passed(group_len as u64).map_err(RecoverError::Visit)?;
            found.group_count += 1;
            found.record_count += u64::from(group_header.record_count.get());
            let mut offset = GROUP_HEADER;
            while offset < group_header.used_len.get() as usize {
                let (record, next) = record_at(group, offset, expect.machine_id);
                assert_ne!(record.kind, RecordKind::Seal, "seals stand in groups of their own");
                if expect.wants(record.seq) {
                    self.records += 1;
                    visit(record).map_err(RecoverError::Visit)?;
                }
                offset = next;
            }
        }
    }

    /// Checks a seal against what was read, and that nothing follows it.
    fn check_seal(
        &mut self,
        found: &LastSegment,
        body_end: u64,
        seal: Option<SealPayload>,
        hash: [u8; 32],
    ) -> Result<(), JournalError> {
        let id = found.segment.id;
        let right = seal.is_some_and(|seal| {
            seal.last_seq.get() == self.chain.last_seq
                && seal.group_count.get() == found.group_count
                && seal.record_count.get() == found.record_count
                && seal.body_end.get() == body_end
                && seal.segment_hash == hash
        });
        if !right {
            let detail = "the seal does not agree with its segment";
            return Err(JournalError::corrupt("R8", id, body_end, detail));
        }
        if let Some((at, _)) = found.segment.find_non_zero(found.offset, found.segment.file_len)? {
            return Err(JournalError::corrupt("R8", id, at, "bytes behind the seal"));
        }
        self.sealed_bytes += found.segment.file_len;
        self.previous = Some((id, hash));
        Ok(())
    }

    /// Decides what the end of the last segment is.
    fn end(
        &mut self,
        found: &LastSegment,
        fault: Fault,
        expect: &Expect<'_>,
    ) -> Result<Tail, JournalError> {
        if found.seal.is_some() {
            return Ok(Tail::clean(TailCase::Sealed));
        }
        classify(&found.segment, found.offset, &self.chain, fault, expect.witness())
    }
}
