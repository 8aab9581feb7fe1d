//! Owns the names by which this crate reaches atomics, locks and threads where its own code decides
//! who sees what first.
//! Knows nothing of what they guard. Invariant: the files that use it are compiled a second time by
//! `tests/models`, against an implementation of these names that tries every order of events.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::thread::{Thread, current, park_timeout};
