//! Bytes of the write-ahead log: segment files, recovery and readers.
//!
//! A log is a directory of fixed-size segment files, whose space is there before they are used, and
//! which are stored into through a shared mapping or by writes. Records are collected into groups;
//! a group carries a checksum that is chained to its predecessor and seeded with a salt of its
//! segment, so stale or forged bytes never pass. `store` makes a group survive the death of the
//! process, `sync` a power cut.
//!
//! Assumed of the system: the device honours flushes, `fdatasync` covers stores through a mapping
//! (true of the allowed file systems), the directory is on a local ext4 or xfs. The caller holds
//! the `DirectoryLock` of the data directory; nothing here takes it a second time.
//!
//! Must not know: what a command or an event is, what time it is, when a sync is due.
//!
//! Invariant: a record handed to a caller was written by this log, at this place, whole. Where that
//! cannot be shown the log refuses to open and changes nothing. Byte map: `docs/journal-format.md`.

mod arrange;
mod cache;
mod control;
mod error;
mod extent;
pub mod fail_point;
mod file_system;
mod format;
mod inspect;
mod keeper;
pub mod limits;
mod lock;
mod mmap;
mod options;
mod prepare;
mod probe;
mod reader;
mod record;
mod record_scan;
mod recovery;
mod repair;
mod repair_draft;
mod repair_walk;
mod resume;
mod retention;
mod scan;
mod scrub;
mod segment;
mod set_aside;
mod settle;
mod sink;
mod snapshot;
mod snapshot_file;
mod snapshot_format;
mod state_file;
mod survey;
mod syncer;
mod tail;
mod trim;
mod window;
mod writer;

pub use error::{JournalError, RecoverError};
pub use extent::newest_sequence;
pub use inspect::{LogStat, VerifyReport, dump, stat, verify};
pub use lock::DirectoryLock;
pub use options::{Options, ParseSyncPolicyError, SyncPolicy};
pub use reader::{JournalReader, Position};
pub use record::{Record, RecordKind};
pub use recovery::{Examined, RecoveryReport, examine, recover};
pub use repair::{Damage, Mended, RepairOptions, RepairReport, repair};
pub use retention::{ParseRetentionError, Retention, retire_segments};
pub use scrub::{Scrubbed, scrub, sealed_segments};
pub use set_aside::{put_in_place, remove_draft, set_aside};
pub use settle::{settle, sync_stored};
pub use sink::{GroupSink, MapSink, Storing, SyncHandle};
pub use snapshot::{Draft, Snapshot, SnapshotMeta, SnapshotStore};
pub use state_file::StateFile;
pub use tail::TailCase;
pub use writer::{JournalWriter, Space};

#[cfg(test)]
mod tests;
