//! Owns everything that an engine says and becomes under random commands, and what that has to be
//! in every build. Knows nothing of tests. Invariant: the hash below changes only with the rules,
//! the codec or the random commands, never with the build.

use engine::engine::EngineOptions;
use engine::{Codec, Event, StateMachine};

use crate::exchange::{Exchange, FastExchange};
use crate::workload::{Step, frames, workload};

/// Commands of a trace.
pub const COMMANDS: usize = 2_000;
/// The state is hashed after every so many commands; a hash walks all of it.
const HASH_EVERY: usize = 50;

/// BLAKE3 over the event bytes and the last state of the first seeds, in hexadecimal.
const STREAMS: &str = include_str!("streams.txt");
const STREAM_SEEDS: u64 = 20;

/// Everything that an engine says and becomes.
#[derive(PartialEq, Eq)]
pub struct Trace {
    pub event_bytes: Vec<u8>,
    pub state_hashes: Vec<[u8; 32]>,
    pub state: Vec<u8>,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace")
            .field("event_bytes", &self.event_bytes.len())
            .finish_non_exhaustive()
    }
}

/// Has a new engine take these steps.
#[must_use]
pub fn trace_of(steps: &[Step], options: EngineOptions) -> Trace {
    let mut exchange = FastExchange::new(options);
    let mut trace = Trace { event_bytes: Vec::new(), state_hashes: Vec::new(), state: Vec::new() };
    for (index, frame) in frames(steps).iter().enumerate() {
        for event in exchange.apply(frame) {
            let mut bytes = [0; Event::BYTES_MAX];
            let length = event.encode_into(&mut bytes);
            trace.event_bytes.extend(&bytes[..length]);
        }
        if index % HASH_EVERY == 0 {
            trace.state_hashes.push(exchange.engine.state_hash());
        }
    }
    trace.state_hashes.push(exchange.engine.state_hash());
    exchange.engine.snapshot(&mut trace.state);
    trace
}

/// Compares what this build says with what every build has to say.
///
/// # Errors
/// Both hashes, where they differ.
pub fn check() -> Result<(), String> {
    let mut hasher = blake3::Hasher::new();
    for seed in 0..STREAM_SEEDS {
        let steps = workload(seed, COMMANDS);
        let Trace { event_bytes, state, .. } = trace_of(&steps, EngineOptions::default());
        for bytes in [event_bytes, state] {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(&bytes);
        }
    }
    let (found, expected) = (hasher.finalize().to_hex(), STREAMS.trim());
    if found.as_str() == expected {
        return Ok(());
    }
    Err(format!("this build gives {found}, every build has to give {expected}"))
}
