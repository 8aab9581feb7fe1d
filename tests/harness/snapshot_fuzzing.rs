//! Owns the reading of arbitrary bytes as a snapshot, for the fuzzer and for the test that stands
//! in for it. Knows nothing of the fuzzer, nor of anything but the engine. Invariant: whatever the
//! bytes, the engine refuses them, or takes them for a sound state that writes the same bytes.

use engine::{Engine, EngineOptions, StateMachine};

/// Restores an engine from the bytes; whether they were let in.
///
/// # Panics
/// If the engine is not sound then, or writes another snapshot.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let options = EngineOptions { direct_order_ids: 16, ..EngineOptions::default() };
    let Ok(engine) = Engine::new(options).restore(bytes) else { return false };
    engine.assert_invariants();
    let mut again = Vec::with_capacity(bytes.len());
    engine.snapshot(&mut again);
    assert!(again == bytes, "the snapshot of the state is another one");
    true
}
