//! Owns what the clients of a simulation know: what they were answered, and what to repeat. Knows
//! nothing of disks. Invariant: whatever was answered and is not lost by the policy's leave is
//! there after every recovery.

use journal::SyncPolicy;

use crate::drive::{Ack, hex};
use crate::oracle::Heard;

#[derive(Debug, Default)]
pub(super) struct Clients {
    pub(super) heard: Heard,
    /// Last sequence that had been synced when the power went; everything, if it did not.
    pub(super) durable: u64,
    /// The lowest number that was never answered, or whose answer was lost.
    next: u64,
}

impl Clients {
    /// Number of the command that a new life begins with: everything from there on is asked again.
    pub(super) const fn first_unanswered(&self) -> u64 {
        self.next
    }

    /// Answers come in the order of their commands.
    pub(super) fn hear(&mut self, ack: Ack) -> Result<(), String> {
        if ack.number == self.next {
            self.next += 1;
        }
        match self.heard.acks.insert(ack.sequence, ack) {
            None => Ok(()),
            Some(other) => Err(format!("two answers at {}: {other:?}", other.sequence)),
        }
    }

    /// Forgets what a policy that does not wait for the disk has lost, and returns how much; an
    /// error if more is lost than that.
    pub(super) fn forget_behind(&mut self, last: u64, sync: SyncPolicy) -> Result<u64, String> {
        let lost = self.heard.acks.split_off(&(last + 1));
        let (Some((first, ack)), durable) = (lost.first_key_value(), self.durable) else {
            return Ok(0);
        };
        if sync == SyncPolicy::Group || *first <= durable {
            return Err(format!("{ack:?} is lost: the log ends at {last}, {durable} was durable"));
        }
        let lowest = lost.values().map(|ack| ack.number).min().unwrap_or(self.next);
        self.next = self.next.min(lowest);
        // States behind the end were of a time line that is gone.
        self.heard.starts.split_off(&(last + 1));
        Ok(lost.len() as u64)
    }

    /// What a recovery, or a life that ended in order, came to; the judgement compares it with a
    /// replay.
    pub(super) fn note_state(&mut self, last: u64, hash: [u8; 32]) -> Result<(), String> {
        let hash = hex(hash);
        match self.heard.starts.insert(last, hash.clone()) {
            Some(other) if other != hash => Err(format!("another state at {last} than before")),
            _ => Ok(()),
        }
    }
}
