//! Turns the buffer into a group of the chain and stores it.
//!
//! Must not know: records, and whether the group fits. Invariant: every group names the one before
//! it, and under the `group` policy that one is synced.

use super::JournalWriter;
use crate::error::JournalError;
use crate::format::{GROUP_HEADER, GROUP_MAGIC, GroupHeader, close_group, crc_seed};
use crate::limits::HASH_STEP_BYTES;
use crate::options::SyncPolicy;
use zerocopy::byteorder::little_endian::{U16, U32, U64};

impl JournalWriter {
    pub(super) fn put_group(&mut self, group_len: u64, flags: u16) -> Result<(), JournalError> {
        self.sync_predecessor()?;
        let len = usize::try_from(group_len).expect("a group is at most one MiB");
        let header = self.group_header(len, self.used, self.seq_count, self.record_count, flags);
        let seed = self.seed();
        let crc = close_group(&mut self.buffer[..len], &header, seed);
        self.sinks
            .current
            .put(self.active.offset, &self.buffer[..len])
            .map_err(JournalError::io("store group in", &self.dir))?;
        self.active.record_count += u64::from(self.record_count);
        self.active.group_count += 1;
        self.chain.last_seq = self.last_seq;
        self.chain.last_ts_ns = self.last_ts_ns;
        self.used = GROUP_HEADER;
        self.seq_count = 0;
        self.record_count = 0;
        self.link(crc, group_len);
        if self.active.offset - self.active.hash_told >= HASH_STEP_BYTES {
            self.keeper.hash_to(self.active.offset);
            self.active.hash_told = self.active.offset;
        }
        Ok(())
    }

    /// Under `group` the next group goes out only when the one before it is known to be on disk.
    pub(super) fn sync_predecessor(&mut self) -> Result<(), JournalError> {
        if self.unsynced && self.policy == SyncPolicy::Group { self.sync_segment() } else { Ok(()) }
    }

    pub(super) fn seed(&self) -> u32 {
        let prev = self.chain.prev_crc.expect("a writer knows its chain from the beginning");
        crc_seed(self.active.salt, self.active.id, prev)
    }

    pub(super) fn group_header(
        &self,
        group_len: usize,
        used_len: usize,
        seq_count: u32,
        record_count: u32,
        flags: u16,
    ) -> GroupHeader {
        let bounded = |len| U32::new(u32::try_from(len).expect("a group is at most one MiB"));
        GroupHeader {
            magic: GROUP_MAGIC,
            group_len: bounded(group_len),
            group_no: U64::new(self.chain.next_group_no),
            first_seq: U64::new(self.chain.last_seq + 1),
            seq_count: U32::new(seq_count),
            record_count: U32::new(record_count),
            durable_seq: U64::new(self.synced_seq),
            epoch: U64::new(self.chain.epoch),
            used_len: bounded(used_len),
            flags: U16::new(flags | self.policy.bits()),
            reserved: U16::new(0),
            prev_crc: U32::new(self.chain.prev_crc.expect("as in seed")),
            crc: U32::new(0),
        }
    }

    /// Moves the chain behind a group that was stored.
    pub(super) fn link(&mut self, crc: u32, group_len: u64) {
        self.chain.prev_crc = Some(crc);
        self.chain.next_group_no += 1;
        self.chain.durable_seq = self.synced_seq;
        self.active.offset += group_len;
        self.unsynced = true;
        self.groups += 1;
        self.stored_bytes += group_len;
    }
}
