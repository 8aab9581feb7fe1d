//! Owns storing inputs: clamp, encode, group, store, sync by policy.
//! Knows nothing of what the core makes of them, and waits for nobody, so no cycle of waits exists.
//! Invariant: `durable` never passes what the sync policy promises; a failed write ends the
//! process.

use std::marker::PhantomData;

use engine::Codec;
use journal::{JournalError, JournalWriter, RecordKind, SyncPolicy, fail_point};

use crate::abort::or_abort;
use crate::cursor::Reader;
use crate::limits::{IDLE_GROUP_NS, WRITE_BACK_BYTES};
use crate::options::input_bytes_max;
use crate::room::{Log, RoomWatch};
use crate::sequencer::Sequencer;
use crate::slot::{Input, InputSlot};
use crate::stages::Shared;

/// Name of the stage in messages.
pub(crate) const STAGE: &str = "journaler";

/// The body of the journaler thread.
#[derive(Debug)]
pub(crate) struct Journaler<C> {
    writer: JournalWriter,
    sequencer: Sequencer,
    shared: Shared,
    /// Monotonic time of the last sync, for the interval policy.
    synced_ns: u64,
    /// Under the group policy: when the last group was synced, while that group had records and no
    /// idle group proves its sync.
    unproven_since_ns: Option<u64>,
    /// Records in the group being built.
    group_records: u64,
    /// Bytes stored when the last sync in the background began.
    written_back_bytes: u64,
    /// Bytes stored that a sync which has ended was counted for.
    synced_bytes: u64,
    room: RoomWatch,
    command: PhantomData<fn(C)>,
}

impl<C: Codec + Copy + Default> Journaler<C> {
    /// `sequencer` stands at the last record of the log.
    pub(crate) fn new(writer: JournalWriter, sequencer: Sequencer, shared: Shared) -> Self {
        assert_eq!(writer.last_seq(), sequencer.last_sequence(), "the journal ends elsewhere");
        let synced_ns = shared.clock.monotonic_ns();
        Self {
            writer,
            sequencer,
            shared,
            synced_ns,
            unproven_since_ns: None,
            group_records: 0,
            written_back_bytes: 0,
            synced_bytes: 0,
            room: RoomWatch::new(Log::Journal),
            command: PhantomData,
        }
    }

    /// Takes one slot into the group. A group that is full is committed first.
    pub(crate) fn append(&mut self, slot: &InputSlot<C>) {
        let bytes_max = const { input_bytes_max::<C>() };
        if self.writer.group_is_full(bytes_max) {
            self.commit();
        }
        if self.group_records == 0 && self.writer.sync_policy() == SyncPolicy::Group {
            self.shared.sync_age.begin(slot.stamped_ns, &*self.shared.clock);
        }
        let frame = self.sequencer.frame(slot);
        let (sequence, time) = (frame.sequence, frame.timestamp_ns);
        let outcome = match &slot.input {
            Input::Command(command) => {
                self.writer.append(RecordKind::Command, sequence, time, bytes_max, |out| {
                    command.encode_into(out)
                })
            }
            Input::Control(control) => {
                self.writer.append(RecordKind::Control, sequence, time, bytes_max, |out| {
                    control.encode_into(out)
                })
            }
        };
        or_abort(STAGE, outcome);
        self.group_records += 1;
    }

    /// The ring has back the slots of all that was appended.
    pub(crate) fn returned(&self) {
        self.shared.cursors.move_returned(Reader::Journaler, self.sequencer.last_sequence());
    }

    /// Ends the group: stores it and makes it as durable as the policy says.
    pub(crate) fn commit(&mut self) {
        if !self.store() {
            return;
        }
        self.look_for_room();
        match self.writer.sync_policy() {
            SyncPolicy::Group => self.sync_group(),
            SyncPolicy::Os => {
                self.release(self.shared.cursors.written());
                self.write_back();
            }
            SyncPolicy::Interval { .. } => {
                // First let the replies go: the promise is the store, the sync only bounds the
                // loss.
                self.release(self.shared.cursors.written());
                self.sync_if_due();
            }
        }
    }

    /// Ends the group with a sync under every policy.
    pub(crate) fn commit_synced(&mut self) {
        self.store();
        self.sync_group();
    }

    /// Called when there is nothing to take: keeps the interval of the interval policy, and ends a
    /// busy time under the group policy.
    pub(crate) fn idle(&mut self) {
        self.look_for_room();
        if self.writer.sync_policy() == SyncPolicy::Os {
            // A sync that failed is heard of, whether or not another command comes.
            self.write_back();
        }
        if self.shared.cursors.synced() < self.shared.cursors.written() {
            self.sync_if_due();
        }
        if let Some(since_ns) = self.unproven_since_ns
            && self.shared.clock.monotonic_ns().saturating_sub(since_ns) >= IDLE_GROUP_NS
        {
            self.prove_last_group();
        }
    }

    /// Syncs what is left and marks the log as shut down cleanly.
    pub(crate) fn close(mut self) {
        self.commit_synced();
        or_abort(STAGE, self.writer.close());
    }

    /// Stores the group; returns whether there was one.
    fn store(&mut self) -> bool {
        if self.group_records == 0 {
            return false;
        }
        // A store may take the next segment into use, which is several syncs.
        self.begin_wait();
        or_abort(STAGE, self.room.store(&mut self.writer, &self.shared.counters.room));
        if self.writer.sync_policy() != SyncPolicy::Group {
            self.shared.sync_age.end();
        }
        let counters = &self.shared.counters.journaler;
        counters.group_commands.record(self.group_records);
        counters.stored_bytes.set(self.writer.stored_bytes());
        self.group_records = 0;
        fail_point::hit("journaler-stored");
        self.shared.cursors.move_written(self.sequencer.last_sequence());
        fail_point::hit("journaler-written");
        true
    }

    /// Stores and syncs one idle group. Damage to the last group with records, which has been
    /// acknowledged, could otherwise be taken for a torn write.
    fn prove_last_group(&mut self) {
        fail_point::hit("journaler-before-idle");
        self.begin_wait();
        match self.writer.store_idle() {
            Err(JournalError::Full { .. }) => {
                // It proves nothing that anybody waits for: the next pause will do.
                self.shared.sync_age.end();
                self.unproven_since_ns = Some(self.shared.clock.monotonic_ns());
                return;
            }
            outcome => or_abort(STAGE, outcome),
        }
        fail_point::hit("journaler-after-idle");
        self.unproven_since_ns = None;
        let counters = &self.shared.counters.journaler;
        counters.idle_groups.add(1);
        counters.stored_bytes.set(self.writer.stored_bytes());
        self.sync();
    }

    /// Makes the group that was stored durable and lets its commands go.
    fn sync_group(&mut self) {
        self.sync();
        if self.writer.sync_policy() == SyncPolicy::Group {
            self.unproven_since_ns = Some(self.synced_ns);
        }
        self.release(self.shared.cursors.synced());
    }

    /// Under the policy that never waits for the disk, keeps it at work all the same: the seal of a
    /// segment must be synced with everything before it, and all of a segment at once would hold up
    /// every command for as long as the disk takes for it.
    fn write_back(&mut self) {
        // Nobody waited for it, so it does not count among those that took somebody's time.
        if or_abort(STAGE, self.writer.poll_sync()) {
            self.count_synced(self.written_back_bytes);
            self.shared.cursors.move_synced(self.writer.synced_seq());
        }
        let stored_bytes = self.writer.stored_bytes();
        if stored_bytes - self.written_back_bytes >= WRITE_BACK_BYTES
            && or_abort(STAGE, self.writer.begin_sync())
        {
            self.written_back_bytes = stored_bytes;
        }
    }

    fn sync_if_due(&mut self) {
        if let SyncPolicy::Interval { ms } = self.writer.sync_policy() {
            let interval_ns = u64::from(ms) * 1_000_000;
            if self.shared.clock.monotonic_ns().saturating_sub(self.synced_ns) >= interval_ns {
                self.sync();
            }
        }
    }

    /// What is handed over from now on waits for the disk, even if nothing did before. The policy
    /// that never waits for the disk does not look at how late it is.
    fn begin_wait(&self) {
        let Shared { clock, sync_age, .. } = &self.shared;
        if !sync_age.is_waiting() && self.writer.sync_policy() != SyncPolicy::Os {
            sync_age.begin(clock.wall_ns(), &**clock);
        }
    }

    fn sync(&mut self) {
        self.begin_wait();
        let Shared { clock, sync_age, .. } = &self.shared;
        let begun_ns = clock.monotonic_ns();
        or_abort(STAGE, self.writer.sync());
        self.synced_ns = clock.monotonic_ns();
        sync_age.end();
        let taken_ns = self.synced_ns.saturating_sub(begun_ns);
        if self.count_synced(self.writer.stored_bytes()) {
            let counters = &self.shared.counters.journaler;
            counters.sync_ns.record(taken_ns);
            counters.sync_ns_max.raise(taken_ns);
        }
        self.shared.cursors.move_synced(self.writer.synced_seq());
    }

    /// Counts a sync of what was stored up to here; returns whether there was anything to sync.
    fn count_synced(&mut self, stored_bytes: u64) -> bool {
        let bytes = stored_bytes - self.synced_bytes;
        if bytes > 0 {
            self.synced_bytes = stored_bytes;
            self.shared.counters.journaler.sync_bytes.record(bytes);
        }
        bytes > 0
    }

    fn look_for_room(&mut self) {
        let Shared { counters, clock, .. } = &self.shared;
        self.room.look(&mut self.writer, &counters.room, &**clock);
    }

    fn release(&self, to: u64) {
        fail_point::hit("journaler-before-durable");
        self.shared.cursors.move_durable(to);
        fail_point::hit("journaler-after-durable");
        self.shared.bells.publisher.ring();
    }
}
