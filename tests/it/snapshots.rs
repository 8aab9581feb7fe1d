//! What belongs here: a snapshot gives back the whole state. A restored engine says and becomes
//! what the one that was never restored does, whatever comes; and bytes that are no snapshot are
//! refused.

mod bytes;
mod floor;

use engine::{Command, EngineOptions, Event, Frame, StateMachine};
use tests::exchange::{Exchange, FastExchange};
use tests::workload::{frames, workload};

use crate::trailing;
use floor::{Floor, everything, orders_in};

/// Commands that a restored engine is followed for.
const FOLLOWED: usize = 50;
/// So few orders are found directly that most have outlived the window.
const OPTIONS: EngineOptions = EngineOptions {
    hash_secret: engine::HashSecret([3, 5]),
    expected_orders: 0,
    expected_client_ids: 0,
    direct_order_ids: 16,
};

fn fresh() -> FastExchange {
    FastExchange::new(OPTIONS)
}

fn snapshot(exchange: &FastExchange) -> Vec<u8> {
    let mut bytes = Vec::new();
    exchange.engine.snapshot(&mut bytes);
    bytes
}

/// The exchange that a snapshot gives, which has that snapshot itself and is sound.
fn restored(bytes: &[u8]) -> FastExchange {
    let engine = fresh().engine.restore(bytes).unwrap_or_else(|error| panic!("{error}"));
    let exchange = FastExchange::with(engine);
    exchange.engine.assert_invariants();
    assert!(snapshot(&exchange) == bytes, "another state than the one that was written");
    exchange
}

/// What an engine says to each frame, and its state hash before the first and after each.
fn told(frames: &[Frame<Command>]) -> (Vec<Vec<Event>>, Vec<[u8; 32]>) {
    let mut exchange = fresh();
    let mut hashes = vec![exchange.engine.state_hash()];
    let mut said = Vec::new();
    for frame in frames {
        said.push(exchange.apply(frame));
        hashes.push(exchange.engine.state_hash());
    }
    (said, hashes)
}

/// Restores the engine after every so many commands, and follows each that comes of it.
fn follow_from_every(every: usize, name: &str, frames: &[Frame<Command>]) {
    let (said, hashes) = told(frames);
    let mut straight = fresh();
    for at in 0..frames.len() {
        if at.is_multiple_of(every) {
            let mut exchange = restored(&snapshot(&straight));
            assert_eq!(exchange.engine.state_hash(), hashes[at], "{name}, before frame {at}");
            let end = frames.len().min(at + FOLLOWED);
            for next in at..end {
                let events = exchange.apply(&frames[next]);
                assert_eq!(events, said[next], "{name}, restored before {at}, frame {next}");
            }
            assert_eq!(exchange.engine.state_hash(), hashes[end], "{name}, {at} to {end}");
        }
        straight.apply(&frames[at]);
    }
}

/// Goes on with the restored engine only, so that whatever is lost stays lost.
fn live_from_snapshots(every: usize, name: &str, frames: &[Frame<Command>]) {
    let (said, hashes) = told(frames);
    let mut exchange = fresh();
    for (at, frame) in frames.iter().enumerate() {
        if at.is_multiple_of(every) {
            exchange = restored(&snapshot(&exchange));
        }
        assert_eq!(exchange.apply(frame), said[at], "{name}, restored every {every}, frame {at}");
    }
    assert_eq!(Some(&exchange.engine.state_hash()), hashes.last(), "{name}");
}

#[test]
fn an_engine_restored_at_any_moment_goes_on_like_the_other() {
    for seed in 100..110 {
        let frames = frames(&workload(seed, 1_000));
        follow_from_every(1, &format!("workload {seed}"), &frames);
    }
    for seed in 110..150 {
        let frames = frames(&workload(seed, 2_000));
        follow_from_every(61, &format!("workload {seed}"), &frames);
    }
}

#[test]
fn an_engine_full_of_trailing_stops_goes_on_like_the_other() {
    for seed in 0..10 {
        let frames = frames(&trailing::steps(seed));
        let every = if seed == 0 { 3 } else { 37 };
        follow_from_every(every, &format!("trailing {seed}"), &frames);
    }
}

#[test]
fn an_engine_that_lives_from_snapshots_misses_nothing() {
    for seed in 0..20 {
        let frames = frames(&workload(seed, 1_500));
        for every in [1, 7] {
            live_from_snapshots(every, &format!("workload {seed}"), &frames);
        }
    }
    for seed in 20..25 {
        let frames = frames(&trailing::steps(seed));
        live_from_snapshots(11, &format!("trailing {seed}"), &frames);
    }
}

#[test]
fn other_options_give_the_same_state() {
    let bytes = everything().snapshot();
    for options in [EngineOptions::default(), OPTIONS] {
        let engine = FastExchange::new(options).engine.restore(&bytes).expect("a snapshot");
        let mut again = Vec::new();
        engine.snapshot(&mut again);
        assert!(again == bytes, "{options:?}");
    }
}

#[test]
fn every_kind_of_order_key_and_switch_comes_back() {
    let straight = everything();
    let restored = straight.restored();
    assert_eq!(orders_in(&restored.exchange), orders_in(&straight.exchange));
    for end in floor::ENDS {
        let (mut straight, mut restored) = (straight.clone(), restored.clone());
        for command in end(&straight) {
            let (said, again) = (straight.send(command), restored.send(command));
            assert_eq!(said, again, "{command:?}");
            restored.exchange.engine.assert_invariants();
        }
        assert_eq!(straight.exchange.engine.state_hash(), restored.exchange.engine.state_hash());
    }
}

#[test]
fn the_switch_of_the_venue_comes_back() {
    let mut floor = everything();
    floor.stop_venue();
    let restored = floor.restored();
    assert!(restored.exchange.is_killed(engine::KillSwitchScope::Venue, 0));
    assert_eq!(orders_in(&restored.exchange), orders_in(&floor.exchange));
}

#[test]
fn an_engine_without_a_past_comes_back() {
    let floor = Floor::default();
    let restored = floor.restored();
    assert_eq!(restored.exchange.engine.last_sequence(), 0);
}

#[test]
#[should_panic(expected = "only a fresh engine")]
fn an_engine_with_a_past_takes_no_other() {
    let floor = everything();
    let _ = floor.exchange.engine.clone().restore(&floor.snapshot());
}
