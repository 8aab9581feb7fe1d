//! Owns the tests of whole pipelines around a toy machine: one binary, a module per promise.
//! Knows nothing of trading. Invariant: every test has a directory of its own and waits on
//! conditions, never on time.

mod admission;
mod determinism;
mod failure;
mod flow;
mod harness;
mod late_disk;
mod recovery;
mod release;
mod scrubbing;
mod snapshots;
mod toy;
