//! What belongs here: what the fuzzer does, with random bytes in the place of clever ones, and
//! every input that once broke the engine.

use tests::fuzzing::run;
use tests::random::Random;

const INPUTS: u64 = 600;
const BYTES: usize = 6_000;

#[test]
fn random_bytes_never_break_the_engine() {
    let mut commands = 0;
    for seed in 0..INPUTS {
        let mut random = Random::new(seed);
        let words = (0..BYTES / 8).flat_map(|_| random.bits().to_le_bytes());
        commands += run(&words.collect::<Vec<u8>>());
    }
    assert!(commands > 120_000, "{commands} commands");
}

#[test]
fn inputs_that_broke_the_engine_no_longer_do() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/commands");
    for entry in std::fs::read_dir(corpus).expect("the corpus is part of the project") {
        let path = entry.expect("a file").path();
        run(&std::fs::read(&path).expect("readable"));
    }
}
