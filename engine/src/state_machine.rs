//! Owns the contract between a deterministic state machine and the pipeline that feeds it.
//! Knows nothing of what a command means. Invariant: `apply` is a function of (state, frame).

use std::fmt::Debug;

use crate::codec::Codec;
use crate::event_buffer::EventBuffer;
use crate::snapshot_reader::RestoreError;

/// One sequenced input: what the journal stores and what replay feeds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<C> {
    /// Position in the input log: contiguous, the first frame is 1.
    pub sequence: u64,
    /// Engine time, nanoseconds since the Unix epoch; never goes back (see [`clamp_timestamp`]).
    pub timestamp_ns: u64,
    pub command: C,
}

/// The one clamp rule: engine time never goes back, whatever the wall clock does.
///
/// The journaler and the core both call it on the same stamps in the same order, so they agree
/// without talking to each other.
#[must_use]
pub fn clamp_timestamp(previous_ns: u64, stamped_ns: u64) -> u64 {
    previous_ns.max(stamped_ns)
}

/// A deterministic state machine that a pipeline can journal, replay and publish.
pub trait StateMachine: Send + Sized + 'static {
    /// What can be asked of it. `Default` is the no-op that lets time pass and changes nothing
    /// else.
    type Command: Codec + Copy + Debug + Default + PartialEq + Send + Sync + 'static;
    /// What it says happened. `Default` only fills unused ring slots; it is never published.
    type Event: Codec + Copy + Debug + Default + PartialEq + Send + Sync + 'static;

    /// Names this machine's commands in a log header; its event log carries `0x100 | MACHINE_ID`.
    const MACHINE_ID: u32;

    /// Names of the tables that fill and have a bound.
    const TABLES: &'static [&'static str] = &[];

    /// Hash of the command and event encodings: a log written under another one is not readable.
    fn schema_hash() -> [u8; 32];

    /// Applies one frame and appends what happened to `events` (which the caller has cleared).
    ///
    /// # Panics
    /// On a gap in `frame.sequence` or a broken invariant: both are bugs, and the process must
    /// stop.
    fn apply(&mut self, frame: &Frame<Self::Command>, events: &mut EventBuffer<Self::Event>);

    /// Asks for the memory that a command will need, which is about to be applied: a hint, without
    /// any effect on what `apply` does.
    fn prefetch(&self, _command: &Self::Command) {}

    /// Shows how full each of [`Self::TABLES`] is, in their order, and its bound. Called again and
    /// again: it costs no more than reading so many numbers.
    fn tables(&self, _show: impl FnMut(u64, u64)) {}

    /// Sequence of the last frame applied, 0 before the first.
    fn last_sequence(&self) -> u64;

    /// Engine time of the last frame applied, nanoseconds since the Unix epoch.
    fn last_timestamp_ns(&self) -> u64;

    /// Appends the canonical encoding of the whole state: sorted keys, fixed widths, no padding.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Gives a machine that has applied nothing the state whose [`Self::snapshot`] these bytes are.
    /// From there on it says and becomes what the other machine does.
    ///
    /// The bytes may come from a disk: nothing in them is believed.
    ///
    /// # Errors
    /// [`RestoreError`] if the bytes are no snapshot, or one that a sound machine of these options
    /// cannot have written. The machine is gone then, so that nobody goes on with half a state.
    ///
    /// # Panics
    /// If the machine has applied a frame.
    fn restore(self, bytes: &[u8]) -> Result<Self, RestoreError>;

    /// BLAKE3 of the canonical encoding. Costs a walk over the state: not for the hot path.
    fn state_hash(&self) -> [u8; 32] {
        let mut bytes = Vec::new();
        self.snapshot(&mut bytes);
        snapshot_hash(&bytes)
    }
}

/// [`StateMachine::state_hash`] of the machine that wrote these bytes as its snapshot.
#[must_use]
pub fn snapshot_hash(snapshot: &[u8]) -> [u8; 32] {
    *blake3::hash(snapshot).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::clamp_timestamp;

    #[test]
    fn engine_time_never_goes_back() {
        assert_eq!(clamp_timestamp(5, 4), 5);
        assert_eq!(clamp_timestamp(5, 5), 5);
        assert_eq!(clamp_timestamp(5, 6), 6);
    }
}
