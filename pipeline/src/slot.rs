//! Owns what lies in a ring slot. Knows nothing of threads or files.
//! Invariant: slots are `Copy` and own nothing, so a slot can be overwritten without dropping it.

use crate::configuration_hash::ConfigurationHash;

/// Marks a slot that nobody waits for.
pub(crate) const NO_REPLY: u32 = u32::MAX;

/// An input of the pipeline itself; the state machine sees its no-op in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// First input after a start: separates what this process writes from all before it.
    EpochStart {
        epoch: u64,
        /// Time of the state when the process started, ns: nothing from here on is earlier. 0 in
        /// records of earlier builds.
        clock_floor_ns: u64,
        /// What the process was told; zeros in records of earlier builds.
        configuration: ConfigurationHash,
    },
    /// Asks for the hash of the state right after this input.
    StateHash,
}

/// Bytes that are not a [`Control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a control record")]
pub struct ControlError;

impl Control {
    /// No encoding is longer than this many bytes.
    pub const BYTES_MAX: usize = Self::EPOCH_BYTES;

    const EPOCH_START: u8 = 1;
    const STATE_HASH: u8 = 2;
    /// Tag, epoch, clock floor, configuration.
    const EPOCH_BYTES: usize = 49;

    /// Writes the encoding (tag, then fields, little-endian) to `out`; returns its length in bytes.
    ///
    /// # Panics
    /// If `out` is shorter than [`Self::BYTES_MAX`].
    pub fn encode_into(&self, out: &mut [u8]) -> usize {
        match *self {
            Self::EpochStart { epoch, clock_floor_ns, configuration } => {
                out[0] = Self::EPOCH_START;
                out[1..9].copy_from_slice(&epoch.to_le_bytes());
                out[9..17].copy_from_slice(&clock_floor_ns.to_le_bytes());
                out[17..Self::EPOCH_BYTES].copy_from_slice(&configuration.0);
                Self::EPOCH_BYTES
            }
            Self::StateHash => {
                out[0] = Self::STATE_HASH;
                1
            }
        }
    }

    /// Reads the encoding that fills `bytes` exactly, or that of a start by an earlier build, which
    /// ends behind the epoch.
    ///
    /// # Errors
    /// [`ControlError`] for anything else.
    pub fn decode_from(bytes: &[u8]) -> Result<Self, ControlError> {
        match *bytes {
            [Self::EPOCH_START, ref fields @ ..] => {
                let (epoch, more) = fields.split_first_chunk().ok_or(ControlError)?;
                let (clock_floor_ns, configuration) = match more.split_first_chunk() {
                    None if more.is_empty() => (0, [0; 32]),
                    None => return Err(ControlError),
                    Some((floor, hash)) => {
                        let hash = hash.try_into().map_err(|_| ControlError)?;
                        (u64::from_le_bytes(*floor), hash)
                    }
                };
                let (epoch, configuration) =
                    (u64::from_le_bytes(*epoch), ConfigurationHash(configuration));
                Ok(Self::EpochStart { epoch, clock_floor_ns, configuration })
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
    /// Sequence and engine time of the command that caused it.
    pub(crate) sequence: u64,
    pub(crate) timestamp_ns: u64,
    /// Slots of this command still to come; 0 completes the command.
    pub(crate) remaining: u64,
    pub(crate) output: Output<E>,
}

/// What will lie in an output slot, while the event still lies where the core has put it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending<'a, E> {
    pub(crate) sequence: u64,
    pub(crate) timestamp_ns: u64,
    pub(crate) remaining: u64,
    pub(crate) output: Output<&'a E>,
}

impl<E> OutputSlot<E> {
    pub(crate) fn empty() -> Self {
        Self { sequence: 0, timestamp_ns: 0, remaining: 0, output: Output::Nothing }
    }
}

impl<E: Copy> OutputSlot<E> {
    /// Copies a result into its place, once.
    #[inline]
    pub(crate) fn set(&mut self, pending: &Pending<'_, E>) {
        (self.sequence, self.timestamp_ns) = (pending.sequence, pending.timestamp_ns);
        self.remaining = pending.remaining;
        self.output = match pending.output {
            Output::Nothing => Output::Nothing,
            Output::Event(event) => Output::Event(*event),
            Output::StateHash(hash) => Output::StateHash(hash),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_frozen() {
        let configuration = ConfigurationHash([0x5A; 32]);
        let start = Control::EpochStart { epoch: 0x0102, clock_floor_ns: 0x0304, configuration };
        let mut bytes = vec![1, 2, 1, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0];
        bytes.extend([0x5A; 32]);
        let golden: [(Control, &[u8]); 2] = [(start, &bytes), (Control::StateHash, &[2])];
        for (control, bytes) in golden {
            let mut out = [0xFF; Control::BYTES_MAX];
            let len = control.encode_into(&mut out);
            assert_eq!(&out[..len], bytes);
            assert_eq!(Control::decode_from(bytes), Ok(control));
        }
    }

    #[test]
    fn a_start_by_an_earlier_build_says_less() {
        let configuration = ConfigurationHash::default();
        let start = Control::EpochStart { epoch: 0x0102, clock_floor_ns: 0, configuration };
        assert_eq!(Control::decode_from(&[1, 2, 1, 0, 0, 0, 0, 0, 0]), Ok(start));
    }

    #[test]
    fn other_bytes_are_refused() {
        let starts = (0..60).filter(|len| ![9, 49].contains(len)).map(|len| vec![1; len]);
        let others = [vec![0], vec![3], vec![2, 0]];
        for bytes in starts.chain(others) {
            let bytes = bytes.as_slice();
            assert_eq!(Control::decode_from(bytes), Err(ControlError), "{bytes:?}");
        }
    }

    #[test]
    fn slots_start_on_a_cache_line() {
        assert_eq!(align_of::<InputSlot<u8>>(), 64);
        assert_eq!(align_of::<OutputSlot<u8>>(), 64);
    }
}
