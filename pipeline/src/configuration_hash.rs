//! Owns the name of a configuration, as a start records it. Knows nothing of what is configured.
//! Invariant: it is for people and for comparison; nothing that is replayed depends on it.

use std::fmt;

/// BLAKE3 of whatever its owner counts as the configuration; zeros where nobody told.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ConfigurationHash(pub [u8; 32]);

impl ConfigurationHash {
    /// Whether both are told and are not the same.
    pub(crate) fn differs(self, before: Self) -> bool {
        let untold = Self::default();
        self != before && self != untold && before != untold
    }
}

impl fmt::Display for ConfigurationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ConfigurationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_told_differs() {
        let [one, other, untold] = [[1; 32], [2; 32], [0; 32]].map(ConfigurationHash);
        assert!(one.differs(other) && other.differs(one));
        assert!(!one.differs(one) && !one.differs(untold) && !untold.differs(one));
        assert_eq!(format!("{one} {one:?}"), [&"01".repeat(32)[..]; 2].join(" "));
    }
}
