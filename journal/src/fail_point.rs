//! Owns the places in which a test can end the process: one between every two steps that something
//! else relies on, in this crate and in those above it.
//!
//! Must not know: what a place stands for. Invariant: without the feature `failpoints` a place is
//! nothing at all; with it, nothing happens in any but the one that was armed.

/// One of the places, by its name.
#[inline]
pub fn hit(name: &'static str) {
    #[cfg(test)]
    crate::tests::passed(name);
    #[cfg(feature = "failpoints")]
    armed::hit(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

#[cfg(feature = "failpoints")]
pub use armed::{BEHIND_A_SEAL, NAMES, OF_MONEY, arm};

#[cfg(feature = "failpoints")]
mod armed {
    use std::io::Write;
    use std::sync::{Mutex, PoisonError};

    /// Every place of a pipeline: a test arms one after the other.
    pub const NAMES: [&str; 48] = [
        "core-before-matched",
        "core-after-matched",
        "ctl-written",
        "ctl-synced",
        "epoch-started",
        "event-log-sync",
        "event-log-whole",
        "group-before-store",
        "group-stored",
        "close-synced",
        "journaler-stored",
        "journaler-written",
        "journaler-before-durable",
        "journaler-after-durable",
        "journaler-before-idle",
        "journaler-after-idle",
        "prepare-reserved",
        "prepare-filled",
        "prepare-synced",
        "prepare-renamed",
        "prepare-done",
        "publisher-before-log",
        "publisher-logged",
        "publisher-before-reply",
        "publisher-after-reply",
        "publisher-acked",
        "recovery-judged",
        "recovery-repaired",
        "recovery-counted",
        "replay-done",
        "roll-sealed",
        "roll-seal-synced",
        "roll-header-1",
        "roll-header-2",
        "roll-header-synced",
        "roll-done",
        "snapshot-begun",
        "snapshot-synced",
        "snapshot-renamed",
        "snapshot-in-force",
        "snapshot-loaded",
        "snapshots-pruned",
        "sync-before",
        "sync-after",
        "trim-copied",
        "trim-marked",
        "trim-zeroed",
        "trim-settled",
    ];

    /// One that only a start comes to whose last segment was sealed.
    pub const BEHIND_A_SEAL: [&str; 1] = ["recovery-activated"];

    /// Every place of what follows an event log and moves money: likewise.
    pub const OF_MONEY: [&str; 25] = [
        "conclusion-before-call",
        "conclusion-called",
        "credit-before",
        "credit-made",
        "cursor-before-save",
        "cursor-saved",
        "debit-before",
        "debit-made",
        "funding-noted",
        "order-announced",
        "order-ended",
        "order-given-up",
        "release-before-call",
        "release-called",
        "release-noted",
        "reserve-before-call",
        "reserve-called",
        "settlement-before-call",
        "settlement-called",
        "settlement-noted",
        "settlement-before-save",
        "settlement-saved",
        "state-drafted",
        "state-renamed",
        "transfer-answered",
    ];

    static ARMED: Mutex<Option<(&'static str, u64)>> = Mutex::new(None);

    /// Has the process end when it comes to this place for the `nth` time, from 1.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn arm(name: &str, nth: u64) {
        let mut all = NAMES.into_iter().chain(BEHIND_A_SEAL).chain(OF_MONEY);
        let known = all.find(|known| *known == name);
        let known = known.unwrap_or_else(|| panic!("no fail point {name}"));
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Some((known, nth));
    }

    pub(super) fn hit(name: &'static str) {
        let mut all = NAMES.iter().chain(&BEHIND_A_SEAL).chain(&OF_MONEY);
        debug_assert!(all.any(|known| *known == name), "{name} is not among the names");
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, left)) = armed.as_mut().filter(|(armed, _)| *armed == name) else { return };
        *left -= 1;
        if *left == 0 {
            // Whoever reads it knows why the process ended.
            let _ = std::io::stderr().write_all(format!("fail point {name} fired\n").as_bytes());
            std::process::abort();
        }
    }
}
