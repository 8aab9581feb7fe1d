//! Every bound of the log, with the relations between them proved at compile time.
//!
//! Must not know: where a bound is applied. Invariant: the largest record fits the largest group of
//! the smallest segment, so a record that passes its own check can always be stored.

/// Bytes of one header block; also the largest padding and the room kept for the seal.
pub const BLOCK_BYTES: u64 = 4096;
/// Offset of the first group in a segment: behind the two copies of the header.
pub const BODY_OFFSET: u64 = 2 * BLOCK_BYTES;
/// Smallest segment file.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// Smallest segment file that is taken: that, but in the tests of this crate, which have many
/// thousands of logs read from end to end, the smallest one that holds the largest record.
pub(crate) const SEGMENT_BYTES_TAKEN_MIN: u64 =
    if cfg!(test) { 20 * BLOCK_BYTES } else { SEGMENT_BYTES_MIN };
/// Largest segment file.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Segment file unless configured.
pub const SEGMENT_BYTES_DEFAULT: u64 = 128 << 20;
/// Largest group with its padding, where the segment has room for it.
pub const GROUP_BYTES_MAX: u64 = 1 << 20;
/// Most records of one group.
pub const GROUP_RECORDS_MAX: u32 = 8192;
/// Largest record: header and payload, without the padding to eight bytes.
pub const RECORD_BYTES_MAX: usize = 65_536;
/// Largest payload of one record.
pub const PAYLOAD_BYTES_MAX: usize = RECORD_BYTES_MAX - 24;
/// Allowed group alignments.
pub const PADS: [u32; 3] = [64, 512, 4096];
/// Bytes the background thread writes per second while nobody waits for the segment.
pub const PREPARE_BYTES_PER_SECOND: u64 = 256 << 20;
/// Bytes that are asked for at once when a file is brought into the page cache: the kernel takes on
/// no more than a device reads ahead at most, and passes over the rest.
pub const FETCH_BYTES: u64 = 1 << 20;
/// Bytes of the active segment that a start waits for; the background thread fetches the rest.
pub const FETCH_FIRST_BYTES: u64 = 8 << 20;
/// Syncs that a start tries, to measure what one writes to the device.
pub const PROBES: u64 = 4;
/// Bytes stored before each of them: what the smallest group takes that waits for its sync.
pub const PROBE_BYTES: usize = 4096;
/// What a sync of one block may write to the device: one page, and now and then a block of the
/// file system's own.
pub const SYNC_BYTES_MAX: u64 = 8192;
/// Stored bytes after which the background thread is told to take them into the segment's hash.
pub const HASH_STEP_BYTES: u64 = 1 << 20;
/// Bytes read back at once for the hash: what fits the cache of a core beside other things.
pub const HASH_READ_BYTES: usize = 128 << 10;
/// Calls to take stored bytes into the hash that wait for the background thread; one more is left
/// out, because the next one, or the seal, covers the same bytes.
pub const HASH_JOBS_MAX: usize = 8;
/// Jobs of all kinds that wait for it: besides those, one of each of the five others.
pub const KEEPER_JOBS_MAX: usize = HASH_JOBS_MAX + 5;

/// Part of a segment that is kept for what was accepted already, once there is no space for another
/// segment: one so-manieth.
pub const LAST_SHARE: u64 = 8;

/// Parts of one snapshot.
pub const SNAPSHOT_PARTS_MAX: u32 = 16;
/// Longest name of a part, bytes.
pub const SNAPSHOT_NAME_BYTES: usize = 16;
/// Largest snapshot, bytes: more than a state within its own bounds can need.
pub const SNAPSHOT_BYTES_MAX: u64 = 64 << 30;
/// Bytes of a snapshot after which the disk is waited for: what is written at once stands in the
/// way of the journal's next sync.
pub const SNAPSHOT_STEP_BYTES: usize = 4 << 20;
/// Snapshots that are kept at least: one may turn out to be damaged.
pub const SNAPSHOTS_KEPT_MIN: usize = 2;
/// Snapshots that are kept at most.
pub const SNAPSHOTS_KEPT_MAX: usize = 64;

/// Bytes of a sealed segment that are checked between two pauses.
pub const SCRUB_PIECE_BYTES: u64 = 1 << 20;

/// Longest body of a state file, bytes.
pub const STATE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Largest group that a segment of this size can hold, bytes.
#[must_use]
pub const fn group_bytes_max(segment_bytes: u64) -> u64 {
    let room = segment_bytes - BODY_OFFSET - BLOCK_BYTES;
    if room < GROUP_BYTES_MAX { room } else { GROUP_BYTES_MAX }
}

const _: () = assert!(SEGMENT_BYTES_TAKEN_MIN <= SEGMENT_BYTES_MIN);
const _: () = assert!(group_bytes_max(SEGMENT_BYTES_TAKEN_MIN) >= 64 + RECORD_BYTES_MAX as u64);
const _: () = assert!(group_bytes_max(SEGMENT_BYTES_MIN).is_multiple_of(BLOCK_BYTES));
const _: () = assert!(SEGMENT_BYTES_MIN.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(SEGMENT_BYTES_DEFAULT >= SEGMENT_BYTES_MIN);
const _: () = assert!(SEGMENT_BYTES_DEFAULT <= SEGMENT_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_MAX <= u32::MAX as u64);
const _: () = assert!(PADS[2] as u64 == BLOCK_BYTES);
