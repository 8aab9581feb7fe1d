//! Owns the fuzzer's entry: arbitrary bytes as commands to the engine.
//! Knows nothing itself: how bytes are read is shared with the tests, which run without a fuzzer.
//! Invariant: no input makes it panic.
//!
//! Run it with `cargo fuzz run --sanitizer none commands` from the top folder; what it finds is kept
//! in `corpus/commands` as a `.seed`, which the tests then run for ever.
#![no_main]

#[path = "../../tests/harness/fuzzing.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::run(bytes);
});
