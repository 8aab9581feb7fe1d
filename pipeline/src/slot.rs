//! Owns what lies in a ring slot. Knows nothing of threads or files.
//! Invariant: slots are `Copy` and own nothing, so a slot can be overwritten without dropping it.

/// Marks a slot that nobody waits for.
pub(crate) const NO_REPLY: u32 = u32::MAX;

/// An input of the pipeline itself; the state machine sees its no-op in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// First input after a start: separates what this process writes from all before it.
    EpochStart { epoch: u64 },
    /// Asks for the hash of the state right after this input.
    StateHash,
}

/// Bytes that are not a [`Control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a control record")]
pub struct ControlError;

impl Control {
    /// No encoding is longer than this many bytes.
    pub const BYTES_MAX: usize = 9;

    const EPOCH_START: u8 = 1;
    const STATE_HASH: u8 = 2;

    /// Writes the encoding (tag, then fields, little-endian) to `out`; returns its length in bytes.
    ///
    /// # Panics
    /// If `out` is shorter than [`Self::BYTES_MAX`].
    pub fn encode_into(&self, out: &mut [u8]) -> usize {
        match *self {
            Self::EpochStart { epoch } => {
                out[0] = Self::EPOCH_START;
                out[1..9].copy_from_slice(&epoch.to_le_bytes());
                9
            }
            Self::StateHash => {
                out[0] = Self::STATE_HASH;
                1
            }
        }
    }

    /// Reads the encoding that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`ControlError`] for anything else.
    pub fn decode_from(bytes: &[u8]) -> Result<Self, ControlError> {
        match *bytes {
            [Self::EPOCH_START, ref epoch @ ..] => {
                let epoch = <[u8; 8]>::try_from(epoch).map_err(|_| ControlError)?;
                Ok(Self::EpochStart { epoch: u64::from_le_bytes(epoch) })
            }
            [Self::STATE_HASH] => Ok(Self::StateHash),
            _ => Err(ControlError),
        }
    }
}

/// What a producer puts into the input ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input<C> {
    Command(C),
    Control(Control),
}

/// One place of the input ring; alignment keeps two producers out of one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct InputSlot<C> {
    /// Wall clock when the producer published, nanoseconds since the Unix epoch, not yet clamped.
    pub(crate) stamped_ns: u64,
    /// Place in the reply slab, or [`NO_REPLY`].
    pub(crate) reply: u32,
    pub(crate) input: Input<C>,
}

impl<C: Default> InputSlot<C> {
    pub(crate) fn empty() -> Self {
        Self { stamped_ns: 0, reply: NO_REPLY, input: Input::Command(C::default()) }
    }
}

/// What one output slot says about its command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Output<E> {
    /// The command has no event; the slot only says that it is complete.
    Nothing,
    Event(E),
    StateHash([u8; 32]),
}

/// One place of the output ring. A command has one or more, in order, without gaps.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct OutputSlot<E> {
    /// Sequence of the command that caused it.
    pub(crate) sequence: u64,
    /// Slots of this command still to come; 0 completes the command.
    pub(crate) remaining: u64,
    pub(crate) output: Output<E>,
}

impl<E> OutputSlot<E> {
    pub(crate) fn empty() -> Self {
        Self { sequence: 0, remaining: 0, output: Output::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_frozen() {
        let golden: [(Control, &[u8]); 2] = [
            (Control::EpochStart { epoch: 0x0102 }, &[1, 2, 1, 0, 0, 0, 0, 0, 0]),
            (Control::StateHash, &[2]),
        ];
        for (control, bytes) in golden {
            let mut out = [0xFF; Control::BYTES_MAX];
            let len = control.encode_into(&mut out);
            assert_eq!(&out[..len], bytes);
            assert_eq!(Control::decode_from(bytes), Ok(control));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let bad: [&[u8]; 6] = [&[], &[0], &[3], &[2, 0], &[1; 8], &[1; 10]];
        for bytes in bad {
            assert_eq!(Control::decode_from(bytes), Err(ControlError), "{bytes:?}");
        }
    }

    #[test]
    fn slots_start_on_a_cache_line() {
        assert_eq!(align_of::<InputSlot<u8>>(), 64);
        assert_eq!(align_of::<OutputSlot<u8>>(), 64);
    }
}
