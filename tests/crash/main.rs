//! Tests of the binary as its users run it: real processes, real connections, SIGKILL. Each module
//! says in its first lines what belongs there.

mod bystanders;
mod connections;
mod damage;
mod desk;
mod orderly_end;
mod promise;
mod refusals;
mod truth;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Tells whoever reads the output of a test.
#[expect(clippy::print_stderr, reason = "what a test has to say beside its verdict")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// `MATCHRING_SEED`, else another one in every run.
fn seed() -> u64 {
    match std::env::var("MATCHRING_SEED") {
        Ok(text) => text.parse().expect("MATCHRING_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}
