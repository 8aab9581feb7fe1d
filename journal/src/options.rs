//! What a log is told when it is opened.
//!
//! Must not know: where the values come from. Invariant: `check` passes before any file is touched.

use crate::error::JournalError;
use crate::limits::{PADS, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_TAKEN_MIN};
use crate::sink::Storing;
use std::fmt;
use std::str::FromStr;

/// When the owner of the log may call a record durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Once stored: survives the process, not the machine.
    Os,
    /// Once stored, and synced at least every `ms` milliseconds.
    Interval { ms: u32 },
    /// Once its group is synced.
    #[default]
    Group,
}

/// Milliseconds between syncs when `interval` is named without a number.
const INTERVAL_MS_DEFAULT: u32 = 5;

impl SyncPolicy {
    /// Group alignment that suits the policy, bytes: a whole block where an acknowledged block must
    /// never be written again, a cache line otherwise.
    #[must_use]
    pub const fn default_pad(self) -> u32 {
        match self {
            Self::Group => 4096,
            Self::Os | Self::Interval { .. } => 64,
        }
    }

    /// Policy bits of a group header.
    pub(crate) const fn bits(self) -> u16 {
        match self {
            Self::Os => 0,
            Self::Interval { .. } => 1,
            Self::Group => 2,
        }
    }
}

impl fmt::Display for SyncPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Os => "os",
            Self::Interval { .. } => "interval",
            Self::Group => "group",
        })
    }
}

/// A policy name that is none of `os`, `interval`, `group`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown sync policy {0:?}: expected os, interval or group")]
pub struct ParseSyncPolicyError(pub String);

impl FromStr for SyncPolicy {
    type Err = ParseSyncPolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "os" => Ok(Self::Os),
            "interval" => Ok(Self::Interval { ms: INTERVAL_MS_DEFAULT }),
            "group" => Ok(Self::Group),
            other => Err(ParseSyncPolicyError(other.to_owned())),
        }
    }
}

/// Everything a log is told when it is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of a new segment file, bytes: a multiple of 4096 from 1 MiB to 1 GiB.
    pub segment_bytes: u64,
    /// Policy of the groups that will be written.
    pub sync: SyncPolicy,
    /// Alignment of groups, bytes: 64, 512 or 4096.
    pub pad: u32,
    /// How groups get into the file.
    pub storing: Storing,
    /// Accept a file system that is not on the allow-list. For tests only.
    pub allow_fs: bool,
    /// What the log holds: 1 engine commands, 2 wallet commands, 0x101 and 0x102 their events.
    pub machine_id: u32,
    /// Hash of the payload schema that this build writes.
    pub schema_hash: [u8; 32],
    /// Schemas of earlier builds that this build still reads.
    pub older_schema_hashes: &'static [[u8; 32]],
    /// Commit of the build, kept in headers for people.
    pub build_id: [u8; 20],
    /// Identity the log must have; a fresh log takes it. `None`: a fresh log draws one.
    pub exchange_uuid: Option<[u8; 16]>,
    /// Highest sequence that somebody else has seen as durable (a snapshot, a consumer's cursor). A
    /// log that ends before it has lost durable records and is refused. 0: nobody.
    pub witness_seq: u64,
    /// Last sequence of which the caller has no need: what a snapshot holds. Segments that end
    /// before it are not read, and need not be there; a log that ends before it is refused. 0: all
    /// of the log is read, from its first segment on.
    pub read_after: u64,
    /// Wall clock at start, ns since 1970, kept in headers for people. 0: not known.
    pub wall_ns: u64,
}

impl Options {
    /// Defaults for one kind of log under one policy.
    #[must_use]
    pub const fn new(machine_id: u32, sync: SyncPolicy) -> Self {
        let pad = sync.default_pad();
        Self {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            sync,
            pad,
            storing: Storing::suited(sync, pad),
            allow_fs: false,
            machine_id,
            schema_hash: [0; 32],
            older_schema_hashes: &[],
            build_id: [0; 20],
            exchange_uuid: None,
            witness_seq: 0,
            read_after: 0,
            wall_ns: 0,
        }
    }

    /// Refuses values outside their bounds.
    pub(crate) fn check(&self) -> Result<(), JournalError> {
        let refuse = |what: String| Err(JournalError::Configuration { what });
        if !(SEGMENT_BYTES_TAKEN_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return refuse(format!("segment size {} is not 1 MiB to 1 GiB", self.segment_bytes));
        }
        if !self.segment_bytes.is_multiple_of(crate::limits::BLOCK_BYTES) {
            return refuse(format!("segment size {} is not whole blocks", self.segment_bytes));
        }
        if !PADS.contains(&self.pad) {
            return refuse(format!("group alignment {} is not 64, 512 or 4096", self.pad));
        }
        if self.machine_id == 0 {
            return refuse("machine id 0 names no log".to_owned());
        }
        if self.sync == (SyncPolicy::Interval { ms: 0 }) {
            return refuse("sync interval of 0 ms".to_owned());
        }
        Ok(())
    }
}

impl Default for Options {
    /// Engine commands under the strictest policy.
    fn default() -> Self {
        Self::new(1, SyncPolicy::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_names_round_trip() {
        for name in ["os", "interval", "group"] {
            assert_eq!(name.parse::<SyncPolicy>().unwrap().to_string(), name);
        }
        for name in ["", "Group", "fsync"] {
            assert_eq!(name.parse::<SyncPolicy>(), Err(ParseSyncPolicyError(name.to_owned())));
        }
        assert_eq!(SyncPolicy::default(), SyncPolicy::Group);
    }

    #[test]
    fn options_are_checked_at_their_bounds() {
        let ok = Options::default();
        assert!(ok.check().is_ok());
        for (bytes, good) in [
            (SEGMENT_BYTES_TAKEN_MIN, true),
            (SEGMENT_BYTES_TAKEN_MIN - 4096, false),
            (SEGMENT_BYTES_TAKEN_MIN + 4095, false),
            (SEGMENT_BYTES_MAX, true),
            (SEGMENT_BYTES_MAX + 4096, false),
        ] {
            let options = Options { segment_bytes: bytes, ..ok.clone() };
            assert_eq!(options.check().is_ok(), good, "{bytes}");
        }
        for (pad, good) in [(64, true), (512, true), (4096, true), (0, false), (128, false)] {
            assert_eq!(Options { pad, ..ok.clone() }.check().is_ok(), good, "{pad}");
        }
        assert!(Options { machine_id: 0, ..ok.clone() }.check().is_err());
        let interval = Options { sync: SyncPolicy::Interval { ms: 0 }, ..ok };
        assert_eq!(interval.check().unwrap_err().exit_code(), 78);
    }
}
