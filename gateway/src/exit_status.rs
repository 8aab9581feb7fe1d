//! Owns the statuses with which the process ends when it does not end in order.
//! Knows nothing of what went wrong. Invariant: each is documented for whoever starts the process.

/// Configuration, command line values or system refuse.
pub(crate) const CONFIGURATION: i32 = 78;
/// Nothing was modified and a person has to look.
pub(crate) const HALT: i32 = 70;
/// A second signal: what a shell shows for an interrupt.
pub(crate) const INTERRUPTED: i32 = 130;
