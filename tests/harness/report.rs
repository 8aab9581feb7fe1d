//! Owns what a test says beside its verdict, and the seed that it begins with. Knows nothing of
//! any test. Invariant: a run that was told its seed is told it by its environment alone.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Tells whoever reads the output of a test.
#[expect(clippy::print_stderr, reason = "what a test has to say beside its verdict")]
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// `MATCHRING_SEED`, else another one in every run.
///
/// # Panics
/// If it is no number.
#[must_use]
pub fn seed() -> u64 {
    match std::env::var("MATCHRING_SEED") {
        Ok(text) => text.parse().expect("MATCHRING_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}
