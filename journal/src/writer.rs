//! Builds groups, stores them, rolls to the next segment.
//!
//! ```text
//! append*  ->  store       ->  sync
//! buffer       page cache      disk
//! ```
//!
//! Must not know: when a sync is due. Invariant: groups are chained without a gap; under the
//! `group` policy a group is stored only when the one before it is synced; after the first failure
//! nothing is accepted any more.

mod group;
mod roll;

use crate::control::ControlFile;
use crate::error::JournalError;
use crate::fail_point;
use crate::format::{BLOCK, CONTROL_CLEAN, GROUP_HEADER, GROUP_IDLE, RECORD_HEADER, record_room};
use crate::keeper::Keeper;
use crate::limits::{GROUP_RECORDS_MAX, LAST_SHARE, PAYLOAD_BYTES_MAX, group_bytes_max};
use crate::options::SyncPolicy;
use crate::record::RecordKind;
use crate::record_scan::close_record;
use crate::scan::Chain;
use crate::sink::{GroupSink, Sinks};
use crate::syncer::Syncer;
use std::path::PathBuf;
use zerocopy::byteorder::little_endian::{U16, U64};

pub(crate) use roll::begin_segment;

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(crate) id: u64,
    pub(crate) salt: u64,
    pub(crate) len: u64,
    /// Where the next group goes.
    pub(crate) offset: u64,
    pub(crate) group_count: u64,
    pub(crate) record_count: u64,
    /// Up to where the background thread was told to hash.
    pub(crate) hash_told: u64,
}

/// How much room a log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// The next segment lies ready, or is being prepared.
    Ample,
    /// There is no space for the next segment: what is left of this one is all there is.
    Tight,
    /// And of this one only the last share is left.
    Last,
}

/// The one writer of a log.
#[derive(Debug)]
pub struct JournalWriter {
    dir: PathBuf,
    policy: SyncPolicy,
    pad: u64,
    /// The group being built: header, records, and behind them bytes of earlier groups.
    buffer: Vec<u8>,
    used: usize,
    seq_count: u32,
    record_count: u32,
    /// Sequence and time with the records of the group being built; the chain lags behind.
    last_seq: u64,
    last_ts_ns: u64,
    chain: Chain,
    synced_seq: u64,
    unsynced: bool,
    active: ActiveSegment,
    sinks: Sinks,
    keeper: Keeper,
    /// From the first sync in the background on.
    syncer: Option<Syncer>,
    control: ControlFile,
    poisoned: bool,
    stored_bytes: u64,
    groups: u64,
    syncs: u64,
}

/// What recovery hands over.
pub(crate) struct Start {
    pub(crate) dir: PathBuf,
    pub(crate) policy: SyncPolicy,
    pub(crate) pad: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) chain: Chain,
    pub(crate) active: ActiveSegment,
    pub(crate) sink: Box<dyn GroupSink>,
    pub(crate) keeper: Keeper,
    pub(crate) control: ControlFile,
}

impl JournalWriter {
    /// Everything in the chain is synced and `control` is up to date.
    pub(crate) fn new(start: Start) -> Self {
        let group_max = usize::try_from(group_bytes_max(start.segment_bytes)).expect("one MiB");
        Self {
            dir: start.dir,
            policy: start.policy,
            pad: u64::from(start.pad),
            buffer: vec![0; group_max],
            used: GROUP_HEADER,
            seq_count: 0,
            record_count: 0,
            last_seq: start.chain.last_seq,
            last_ts_ns: start.chain.last_ts_ns,
            synced_seq: start.chain.last_seq,
            chain: start.chain,
            unsynced: false,
            active: start.active,
            sinks: Sinks::new(start.sink),
            keeper: start.keeper,
            syncer: None,
            control: start.control,
            poisoned: false,
            stored_bytes: 0,
            groups: 0,
            syncs: 0,
        }
    }

    /// Whether a record with a payload of up to `payload_max` bytes has no place in the group being
    /// built: store first.
    #[must_use]
    pub fn group_is_full(&self, payload_max: usize) -> bool {
        self.record_count == GROUP_RECORDS_MAX
            || self.used + record_room(RECORD_HEADER + payload_max) > self.buffer.len()
    }

    /// Adds a record to the group being built. `encode` writes the payload into the place given to
    /// it, of `payload_max` bytes and any content, and returns its length.
    ///
    /// `seq` must be the one after the last for sequenced kinds, starting at 1, and the last one
    /// for others. `ts_ns` must not decrease.
    ///
    /// # Panics
    /// On a sequence or time out of order, a payload over its bound, a full group, or a seal.
    ///
    /// # Errors
    /// `Poisoned` after an earlier failure.
    pub fn append(
        &mut self,
        kind: RecordKind,
        seq: u64,
        ts_ns: u64,
        payload_max: usize,
        encode: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), JournalError> {
        self.check_alive()?;
        assert!(payload_max <= PAYLOAD_BYTES_MAX, "a payload of {payload_max} bytes");
        assert!(!self.group_is_full(payload_max), "the group is full: store it first");
        assert_ne!(kind, RecordKind::Seal, "the log seals itself");
        assert_eq!(seq, self.last_seq + u64::from(kind.is_sequenced()), "sequence out of order");
        assert!(ts_ns >= self.last_ts_ns, "time runs backwards");
        let start = self.used + RECORD_HEADER;
        let payload_len = encode(&mut self.buffer[start..start + payload_max]);
        assert!(payload_len <= payload_max, "a payload longer than announced");
        self.used = close_record(&mut self.buffer, self.used, kind, seq, ts_ns, payload_len);
        self.record_count += 1;
        self.seq_count += u32::from(kind.is_sequenced());
        self.last_seq = seq;
        self.last_ts_ns = ts_ns;
        Ok(())
    }

    /// Closes the group and stores it in the page cache: from here on it survives the death of the
    /// process. Rolls to the next segment where needed. Nothing happens on an empty group.
    ///
    /// # Errors
    /// `Full` when a new segment was needed and there was no space for it: nothing has changed and
    /// the call may be repeated. Any other error is final.
    pub fn store(&mut self) -> Result<(), JournalError> {
        self.check_alive()?;
        if self.record_count == 0 { Ok(()) } else { self.store_group(0) }
    }

    /// Stores an empty group. Once it is synced, it shows that the group before it was
    /// acknowledged, so damage to that one can no longer be taken for a torn end.
    ///
    /// # Panics
    /// When records wait to be stored.
    ///
    /// # Errors
    /// As `store`.
    pub fn store_idle(&mut self) -> Result<(), JournalError> {
        self.check_alive()?;
        assert_eq!(self.record_count, 0, "an idle group has no records");
        self.store_group(GROUP_IDLE)
    }

    /// Makes everything stored survive a power cut.
    ///
    /// # Errors
    /// Any error is final: what was stored since the last sync may or may not be on the disk, and a
    /// second sync would not tell.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.check_alive()?;
        let outcome = self
            .finish_sync()
            .and_then(|()| if self.unsynced { self.sync_segment() } else { Ok(()) });
        self.poison_on_error(outcome)
    }

    /// Begins a sync of what was stored on a thread of its own and returns whether it did: not
    /// where nothing waits for one or one is under way. [`Self::poll_sync`] takes its outcome.
    ///
    /// # Errors
    /// As `sync`.
    pub fn begin_sync(&mut self) -> Result<bool, JournalError> {
        self.check_alive()?;
        if !self.unsynced || self.syncer.as_ref().is_some_and(Syncer::is_under_way) {
            return Ok(false);
        }
        let failed = JournalError::io("begin a sync in", &self.dir);
        let at_once = self.sinks.current.syncs_at_once();
        let begun = self.sinks.current.sync_handle().and_then(|handle| {
            let syncer = match &mut self.syncer {
                Some(syncer) => syncer,
                none if at_once => none.insert(Syncer::at_once()),
                none => none.insert(Syncer::start()?),
            };
            syncer.begin(self.chain.last_seq, handle);
            Ok(true)
        });
        let begun = begun.map_err(failed);
        // What is stored from here on needs another one.
        self.unsynced = begun.is_err();
        self.poison_on_error(begun)
    }

    /// Takes the outcome of a sync in the background; true if one has ended.
    ///
    /// # Errors
    /// As `sync`.
    pub fn poll_sync(&mut self) -> Result<bool, JournalError> {
        self.check_alive()?;
        let ended = self.syncer.as_mut().and_then(Syncer::poll);
        let outcome = self.note_synced(ended);
        self.poison_on_error(outcome)
    }

    /// Waits for a sync in the background. Two handles of one file share its error, of which only
    /// one is told: so no other sync begins before this one's outcome is known.
    fn finish_sync(&mut self) -> Result<(), JournalError> {
        let ended = self.syncer.as_mut().and_then(Syncer::finish);
        self.note_synced(ended).map(drop)
    }

    fn note_synced(
        &mut self,
        ended: Option<(u64, std::io::Result<()>)>,
    ) -> Result<bool, JournalError> {
        let Some((seq, outcome)) = ended else { return Ok(false) };
        outcome.map_err(JournalError::io("sync segment in", &self.dir))?;
        self.syncs += 1;
        self.synced_seq = self.synced_seq.max(seq);
        Ok(true)
    }

    /// Stores and syncs what is left and marks the log as shut down cleanly.
    ///
    /// # Errors
    /// Any error is final; the log is then recovered at the next start like after a crash.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.store()?;
        self.sync()?;
        fail_point::hit("close-synced");
        let (last_seq, segment) = (self.last_seq, self.active.id);
        self.control.update(|slot| {
            slot.flags = U16::new(slot.flags.get() | CONTROL_CLEAN);
            slot.durable_seq = U64::new(last_seq);
            slot.active_segment = U64::new(segment);
        })
    }

    /// Puts a layer over the sink of this and of every later segment, to record what is written or
    /// to make it fail. The layer gets the number of the segment and the sink below.
    pub fn layer_sinks(
        &mut self,
        layer: impl FnMut(u64, Box<dyn GroupSink>) -> Box<dyn GroupSink> + Send + 'static,
    ) {
        self.sinks.set_layer(self.active.id, Box::new(layer));
    }

    /// Whether the next segment lies ready, so that a roll will not wait. Where its preparation
    /// found no space, asking starts another attempt.
    pub fn spare_ready(&mut self) -> bool {
        self.keeper.is_ready()
    }

    /// How much room there is to go on.
    pub fn space(&mut self) -> Space {
        if !self.keeper.is_starved() {
            Space::Ample
        } else if self.segment_room_bytes() > self.active.len / LAST_SHARE {
            Space::Tight
        } else {
            Space::Last
        }
    }

    /// Sequence of the last appended record, 0 in an empty log.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Time of the last appended record, ns.
    #[must_use]
    pub const fn last_ts_ns(&self) -> u64 {
        self.last_ts_ns
    }

    /// Highest stored sequence.
    #[must_use]
    pub const fn stored_seq(&self) -> u64 {
        self.chain.last_seq
    }

    /// Highest sequence covered by a returned sync.
    #[must_use]
    pub const fn synced_seq(&self) -> u64 {
        self.synced_seq
    }

    /// Number of the start that this writer belongs to.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.chain.epoch
    }

    /// Identity of the exchange that the log belongs to.
    #[must_use]
    pub const fn exchange_uuid(&self) -> [u8; 16] {
        self.control.slot.exchange_uuid
    }

    /// Policy whose bits the groups carry.
    #[must_use]
    pub const fn sync_policy(&self) -> SyncPolicy {
        self.policy
    }

    /// Number of the segment being written.
    #[must_use]
    pub const fn segment_id(&self) -> u64 {
        self.active.id
    }

    /// Bytes stored by this writer, with headers and padding.
    #[must_use]
    pub const fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Groups stored by this writer, seals included.
    #[must_use]
    pub const fn groups(&self) -> u64 {
        self.groups
    }

    /// Syncs of segments by this writer.
    #[must_use]
    pub const fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Bytes that still fit the active segment.
    #[must_use]
    pub const fn segment_room_bytes(&self) -> u64 {
        self.active.len - BLOCK as u64 - self.active.offset
    }

    const fn check_alive(&self) -> Result<(), JournalError> {
        if self.poisoned { Err(JournalError::Poisoned) } else { Ok(()) }
    }

    fn poison_on_error<T>(&mut self, outcome: Result<T, JournalError>) -> Result<T, JournalError> {
        self.poisoned |= outcome.is_err();
        outcome
    }

    fn sync_segment(&mut self) -> Result<(), JournalError> {
        self.finish_sync()?;
        fail_point::hit("sync-before");
        let path = &self.dir;
        self.sinks.current.sync().map_err(JournalError::io("sync segment in", path))?;
        self.syncs += 1;
        self.unsynced = false;
        self.synced_seq = self.chain.last_seq;
        fail_point::hit("sync-after");
        Ok(())
    }

    /// Rolls where the group does not fit, then stores it.
    fn store_group(&mut self, flags: u16) -> Result<(), JournalError> {
        let group_len = (self.used as u64).next_multiple_of(self.pad);
        if group_len > self.segment_room_bytes() {
            match self.roll() {
                Err(error @ JournalError::Full { .. }) => return Err(error),
                outcome => self.poison_on_error(outcome)?,
            }
        }
        fail_point::hit("group-before-store");
        let outcome = self.put_group(group_len, flags);
        fail_point::hit("group-stored");
        self.poison_on_error(outcome)
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
