//! Owns what the process says that the power tests kill, and what it is told: the same commands for
//! the same seed, their keys, and the lines of its output. Knows nothing of how a process dies.
//! Invariant: a command is a function of seed and number, and its answer reads the same the first
//! time and every later one.

mod engine_script;
mod ledger_script;

use std::fmt;
use std::str::FromStr;

use engine::StateMachine;

/// A machine, and what it is asked.
pub trait Script: StateMachine {
    /// One that has applied nothing.
    fn fresh() -> Self;

    /// What every life begins with; whatever is there already it leaves as it is. Has no keys.
    fn opening() -> Vec<Self::Command>;

    /// The command of this number, from 0, with the number in its key.
    fn command(seed: u64, number: u64) -> Self::Command;

    /// The number in the key of a command, `None` if it has none.
    fn number(command: &Self::Command) -> Option<u64>;

    /// What a command with a key came to.
    ///
    /// # Panics
    /// If the events answer no such command.
    fn answer(events: &[Self::Event]) -> Answer;

    /// Whether the events answer a command whose key had been used before.
    fn is_repeat(events: &[Self::Event]) -> bool;

    /// Walks the whole state.
    ///
    /// # Panics
    /// If an invariant is broken.
    fn assert_sound(&self);
}

/// All that a client was told of its command, folded into one number: millions of them are kept and
/// compared, and two that differ are looked up in the events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Answer(pub u64);

impl Answer {
    /// Folds words, of which the first says what the others are (FNV-1a over words).
    #[must_use]
    pub fn of(words: &[u64]) -> Self {
        Self(words.iter().fold(0xcbf2_9ce4_8422_2325, |folded: u64, word| {
            (folded ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(29)
        }))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// The two halves of an amount or identifier, as words.
#[must_use]
pub fn halves(number: u128) -> [u64; 2] {
    let bytes = number.to_le_bytes();
    let [low, high] = bytes.as_chunks().0 else { unreachable!("sixteen bytes") };
    [u64::from_le_bytes(*low), u64::from_le_bytes(*high)]
}

/// An answer that a client has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    pub sequence: u64,
    /// Of its command.
    pub number: u64,
    pub answer: Answer,
}

/// One line of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// What recovery came to: the last sequence, and the hash of the state there.
    Start {
        last_sequence: u64,
        hash: String,
    },
    /// The stages run, and nothing was submitted yet.
    Ready,
    Ack(Ack),
    /// Everything was answered and the pipeline was shut down.
    Done,
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { last_sequence, hash } => write!(out, "start {last_sequence} {hash}"),
            Self::Ready => out.write_str("ready"),
            Self::Ack(Ack { sequence, number, answer }) => {
                write!(out, "ack {sequence} {number} {answer}")
            }
            Self::Done => out.write_str("done"),
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = |word: &str| word.parse().map_err(|_| format!("no number in {text:?}"));
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["start", last, hash] => {
                Ok(Self::Start { last_sequence: count(last)?, hash: hash.to_owned() })
            }
            ["ready"] => Ok(Self::Ready),
            ["ack", sequence, number, answer] => Ok(Self::Ack(Ack {
                sequence: count(sequence)?,
                number: count(number)?,
                answer: u64::from_str_radix(answer, 16)
                    .map(Answer)
                    .map_err(|_| format!("no answer in {text:?}"))?,
            })),
            ["done"] => Ok(Self::Done),
            _ => Err(format!("no line of a process: {text:?}")),
        }
    }
}

/// A hash as text.
#[must_use]
pub fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Ack, Answer, Line, halves};

    #[test]
    fn lines_read_as_they_were_written() {
        let ack = Ack { sequence: 7, number: 3, answer: Answer::of(&[1, 7]) };
        let start = Line::Start { last_sequence: 4, hash: "ab".to_owned() };
        for line in [start, Line::Ready, Line::Ack(ack), Line::Done] {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
        for broken in ["", "ack 7", "ack 7 x y", "ack 7 3 y", "ack 7 3 a z", "don"] {
            assert!(broken.parse::<Line>().is_err(), "{broken:?}");
        }
    }

    #[test]
    fn answers_differ_in_every_word_and_in_their_order() {
        let all = [&[][..], &[0], &[0, 0], &[1], &[0, 1], &[1, 0], &[1 << 63], &[0, 1 << 63]];
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                assert_ne!(Answer::of(one), Answer::of(other), "{one:?} {other:?}");
            }
        }
        assert_eq!(halves((3 << 64) + 7), [7, 3]);
    }
}
