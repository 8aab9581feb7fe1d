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

    /// What a command with a key came to, as one word.
    ///
    /// # Panics
    /// If the events answer no such command.
    fn answer(events: &[Self::Event]) -> String;

    /// Whether the events answer a command whose key had been used before.
    fn is_repeat(events: &[Self::Event]) -> bool;

    /// Walks the whole state.
    ///
    /// # Panics
    /// If an invariant is broken.
    fn assert_sound(&self);
}

/// An answer that a client has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    pub sequence: u64,
    /// Of its command.
    pub number: u64,
    pub answer: String,
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
                answer: answer.to_owned(),
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
    use super::{Ack, Line};

    #[test]
    fn lines_read_as_they_were_written() {
        let ack = Ack { sequence: 7, number: 3, answer: "order:7".to_owned() };
        let start = Line::Start { last_sequence: 4, hash: "ab".to_owned() };
        for line in [start, Line::Ready, Line::Ack(ack), Line::Done] {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
        for broken in ["", "ack 7", "ack 7 x y", "ack 7 3 order:7 z", "don"] {
            assert!(broken.parse::<Line>().is_err(), "{broken:?}");
        }
    }
}
