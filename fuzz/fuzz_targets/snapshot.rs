//! Owns the fuzzer's entry: arbitrary bytes as a snapshot of the engine.
//! Knows nothing itself: how bytes are read is shared with the tests, which run without a fuzzer.
//! Invariant: no input makes it panic.
//!
//! Run it with `cargo fuzz run --sanitizer none snapshot` from the top folder. It begins with the
//! snapshots in `corpus/snapshot`; what it finds is kept there as a `.seed`, which the tests then
//! run for ever.
#![no_main]

#[path = "../../tests/harness/snapshot_fuzzing.rs"]
mod snapshot_fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = snapshot_fuzzing::run(bytes);
});
