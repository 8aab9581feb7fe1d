//! Owns every bound of the pipeline. Knows nothing of who sets them.
//! Invariant: nothing in this crate grows past one of these while commands flow, except the event
//! buffer of a single command, which the state machine bounds.

use std::time::Duration;

/// Fewest slots of the input ring: the multi-producer ring tracks them in words of 64.
pub const INPUT_SLOTS_MIN: usize = 64;
pub const INPUT_SLOTS_MAX: usize = 1 << 20;
pub const INPUT_SLOTS_DEFAULT: usize = 16_384;

pub const OUTPUT_SLOTS_MIN: usize = 2;
pub const OUTPUT_SLOTS_MAX: usize = 1 << 22;
pub const OUTPUT_SLOTS_DEFAULT: usize = 65_536;

/// Most producers, that is, most threads that publish at the same moment without waiting.
pub const PRODUCERS_MAX: usize = 64;
pub const PRODUCERS_DEFAULT: usize = 4;

/// Most replies that wait at the same time.
pub const REPLIES_MAX: usize = INPUT_SLOTS_MAX;
pub const REPLIES_DEFAULT: usize = INPUT_SLOTS_DEFAULT;

/// Most commands that one stage takes before it moves its ring cursor.
pub const BATCH_MAX: usize = 8192;
/// Large enough to spread the cost of one look at the input ring, which tests a bit for every slot
/// that is published and not yet taken.
pub const CORE_BATCH_DEFAULT: usize = 2048;
pub const JOURNALER_BATCH_DEFAULT: usize = BATCH_MAX;
/// The same, and the cost of a write to the event log, against what fits the cache of a core.
pub const PUBLISHER_BATCH_DEFAULT: usize = 1024;
/// Commands after which the core rings for the publisher, within a batch.
pub const CORE_RING_EVERY: u64 = 256;

/// Share of the input ring, in percent, that new orders may fill.
pub const ORDER_SHARE_PERCENT: u64 = 80;
/// Share of the input ring, in percent, that cancels may fill.
pub const CANCEL_SHARE_PERCENT: u64 = 95;

/// Events for which the core reserves memory at start; the publisher for twice as many.
pub const EVENTS_RESERVED: usize = 4096;
/// Events after which the publisher collects no more before it has let some out, but for the rest
/// of the command that it has begun.
pub const BATCH_EVENTS_MAX: usize = EVENTS_RESERVED;

/// Longest time between syncs of an event log that has unsynced records, nanoseconds.
pub const EVENT_LOG_SYNC_NS: u64 = 50_000_000;

/// Bytes after which a log whose syncs nobody waits for is written in the background, looked at
/// once a batch: the next change of segments waits for all that the disk has not got.
pub const WRITE_BACK_BYTES: u64 = 4 << 20;

/// Bounds of the buckets that syncs of a journal are counted in: what they take, nanoseconds.
pub const SYNC_BOUNDS_NS: [u64; 15] = [
    50_000,
    100_000,
    150_000,
    200_000,
    300_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    SYNC_AGE_MAX_NS,
    1_000_000_000,
    5_000_000_000,
];
/// The same: the bytes stored since the one before.
pub const SYNC_BOUNDS_BYTES: [u64; 10] =
    [256, 1 << 10, 1 << 12, 1 << 13, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24];
/// Bounds of the buckets that groups are counted in: their commands.
pub const GROUP_BOUNDS_COMMANDS: [u64; 9] = [1, 2, 4, 8, 16, 64, 256, 1024, 4096];

/// Longest time for which accepted commands may have waited for the disk while new orders are still
/// taken, nanoseconds.
pub const SYNC_AGE_MAX_NS: u64 = 250_000_000;

/// How far the wall clock may be behind the time of the state when a process starts, without
/// anybody being told, nanoseconds.
pub const CLOCK_BEHIND_MAX_NS: u64 = 1_000_000_000;

/// How often space for a segment is looked for after there was none, nanoseconds.
pub const ROOM_RETRY_NS: u64 = 1_000_000_000;
/// Pause before a command that was accepted, and for which there is no room, is tried again.
pub const ROOM_RETRY: Duration = Duration::from_millis(100);

/// Pause after which the journaler stores an idle group under the group policy, nanoseconds.
pub const IDLE_GROUP_NS: u64 = 1_000_000;

/// Longest sleep of a stage that has nothing to do; bounds every timed duty and any lost wake-up.
pub const NAP_MAX: Duration = Duration::from_millis(1);

/// How fast sealed segments are read again, bytes a second.
pub const SCRUB_BYTES_PER_SECOND: u64 = 16 << 20;
/// How often it is looked whether the next round is due, or the pipeline is shut down.
pub const SCRUB_LOOK: Duration = Duration::from_millis(50);

/// How often it is looked whether a snapshot is due.
pub const SNAPSHOT_LOOK: Duration = Duration::from_millis(100);
/// Snapshots that may be asked for while one is taken.
pub const SNAPSHOT_REQUESTS_MAX: usize = 4;
/// Commands between two looks whether the snapshot that is being taken is to be given up.
pub const SNAPSHOT_STOP_EVERY: u64 = 1024;

/// Inputs between two words about how far a replay has come.
pub const PROGRESS_EVERY: u64 = 1 << 14;

/// How long a start waits for the lock of a process that was killed and is still going away.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Linux cuts thread names at this many bytes.
pub const THREAD_NAME_BYTES_MAX: usize = 15;

const _: () = assert!(INPUT_SLOTS_MIN.is_power_of_two() && INPUT_SLOTS_DEFAULT.is_power_of_two());
const _: () = assert!(OUTPUT_SLOTS_MIN.is_power_of_two() && OUTPUT_SLOTS_DEFAULT.is_power_of_two());
const _: () = assert!(BATCH_MAX == journal::limits::GROUP_RECORDS_MAX as usize);
const _: () = assert!(ORDER_SHARE_PERCENT < CANCEL_SHARE_PERCENT && CANCEL_SHARE_PERCENT < 100);
const _: () = assert!(REPLIES_MAX < u32::MAX as usize, "the last index means: no reply");
