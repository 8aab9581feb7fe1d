//! What belongs here: the same commands twice give the same bytes, however an engine was built.

use engine::HashSecret;
use engine::engine::EngineOptions;
use tests::streams::{COMMANDS, Trace, check, trace_of};
use tests::workload::{with_latest_moments, workload};

fn trace(seed: u64, options: EngineOptions) -> Trace {
    trace_of(&workload(seed, COMMANDS), options)
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

/// Asked here of a debug build, and of an optimised one by `streams`, this is one build against the
/// other.
#[test]
fn every_build_gives_the_streams_of_the_others() {
    check().unwrap();
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
