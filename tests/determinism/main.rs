//! What belongs here: the same commands twice give the same bytes, however an engine was built. A
//! test program of its own, because it is compiled once more with optimisation.

use engine::engine::EngineOptions;
use engine::{Codec, Event, HashSecret, StateMachine};
use tests::exchange::{Exchange, FastExchange};
use tests::workload::{Step, frames, with_latest_moments, workload};

const COMMANDS: usize = 2_000;
/// The state is hashed after every so many commands; a hash walks all of it.
const HASH_EVERY: usize = 50;

/// BLAKE3 over the event bytes and the last state of the first seeds, in hexadecimal. It changes
/// only with the rules, the codec or the random commands, never with the build.
const STREAMS: &str = include_str!("streams.txt");
const STREAM_SEEDS: u64 = 20;

/// Everything that an engine says and becomes.
#[derive(PartialEq, Eq)]
struct Trace {
    event_bytes: Vec<u8>,
    state_hashes: Vec<[u8; 32]>,
    state: Vec<u8>,
}

fn trace(seed: u64, options: EngineOptions) -> Trace {
    trace_of(&workload(seed, COMMANDS), options)
}

fn trace_of(steps: &[Step], options: EngineOptions) -> Trace {
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

#[test]
fn the_same_commands_give_the_same_events_and_states() {
    let other = EngineOptions {
        hash_secret: HashSecret([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]),
        expected_orders: 10_000,
        expected_client_ids: 10_000,
        direct_order_ids: 64,
    };
    for seed in 0..40 {
        let first = trace(seed, EngineOptions::default());
        assert!(first.event_bytes.len() > COMMANDS, "seed {seed} says too little");
        assert!(first == trace(seed, EngineOptions::default()), "seed {seed}, run twice");
        assert!(first == trace(seed, other), "seed {seed}, built with other options");
    }
}

#[test]
fn orders_with_a_latest_moment_are_the_same_twice() {
    let other = EngineOptions { hash_secret: HashSecret([1, 2]), ..EngineOptions::default() };
    for seed in 0..10 {
        let steps = with_latest_moments(&workload(seed, COMMANDS), seed);
        let first = trace_of(&steps, EngineOptions::default());
        assert!(first == trace_of(&steps, other), "seed {seed}");
        assert!(first != trace(seed, other), "seed {seed}: no order is late");
    }
}

/// Run in a debug and in a release build, this is one build against the other.
#[test]
fn every_build_gives_the_streams_of_the_others() {
    let mut hasher = blake3::Hasher::new();
    for seed in 0..STREAM_SEEDS {
        let Trace { event_bytes, state, .. } = trace(seed, EngineOptions::default());
        for bytes in [event_bytes, state] {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(&bytes);
        }
    }
    let found = hasher.finalize().to_hex();
    assert_eq!(found.as_str(), STREAMS.trim(), "the value on the left is this build's");
}

#[test]
fn different_commands_give_different_states() {
    let hashes = |seed| trace(seed, EngineOptions::default()).state_hashes;
    let (one, other) = (hashes(1), hashes(2));
    assert_ne!(one.last(), other.last());
    let mut distinct = one.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), one.len(), "every command moves at least the sequence");
}
