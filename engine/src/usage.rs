//! Owns the word for how full something is that has a bound. Knows nothing of what it holds.
//! Invariant: the bound is the one that refuses or forgets, not a guess beside it.

/// How full something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// A word of the program.
    pub name: &'static str,
    pub used: u64,
    pub max: u64,
}

impl Usage {
    #[must_use]
    pub fn new(name: &'static str, used: usize, max: usize) -> Self {
        Self { name, used: used as u64, max: max as u64 }
    }
}
