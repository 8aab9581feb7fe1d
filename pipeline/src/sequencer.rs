//! Owns the numbering and the time of inputs. Knows nothing of where they are stored or applied.
//! Invariant: stages that see the same slots in the same order make the same frames.

use engine::{Frame, clamp_timestamp};

use crate::slot::{Input, InputSlot};

/// Turns slots into frames: the next sequence, the clamped time, the machine's view of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequencer {
    sequence: u64,
    timestamp_ns: u64,
}

impl Sequencer {
    /// Continues behind the last frame of the log (0, 0 for an empty one).
    pub(crate) const fn new(last_sequence: u64, last_timestamp_ns: u64) -> Self {
        Self { sequence: last_sequence, timestamp_ns: last_timestamp_ns }
    }

    pub(crate) const fn last_sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn frame<C: Copy + Default>(&mut self, slot: &InputSlot<C>) -> Frame<C> {
        self.sequence += 1;
        self.timestamp_ns = clamp_timestamp(self.timestamp_ns, slot.stamped_ns);
        let command = match slot.input {
            Input::Command(command) => command,
            Input::Control(_) => C::default(),
        };
        Frame { sequence: self.sequence, timestamp_ns: self.timestamp_ns, command }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::{Control, NO_REPLY};

    #[test]
    fn frames_are_contiguous_and_time_never_goes_back() {
        let mut sequencer = Sequencer::new(10, 500);
        let slot = |stamped_ns, input| InputSlot { stamped_ns, reply: NO_REPLY, input };
        let frames = [
            sequencer.frame(&slot(400, Input::Command(7u32))),
            sequencer.frame(&slot(600, Input::Control(Control::StateHash))),
            sequencer.frame(&slot(599, Input::Command(8))),
        ];
        let got = frames.map(|frame| (frame.sequence, frame.timestamp_ns, frame.command));
        assert_eq!(got, [(11, 500, 7), (12, 600, 0), (13, 600, 8)]);
        assert_eq!(sequencer.last_sequence(), 13);
    }
}
