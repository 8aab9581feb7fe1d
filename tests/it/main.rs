//! The integration tests, one binary. Each module says in its first lines what belongs there.

mod allocation;
mod determinism;
mod differential;
mod examples;
mod exhaustive;
mod fixture;
mod fuzzing;
mod matching;
mod readme;
mod snapshots;
mod sync_bytes;
mod tidy;
mod trailing;

#[global_allocator]
static ALLOCATOR: tests::alloc::CountingAllocator = tests::alloc::CountingAllocator;
