//! The traders that load an exchange while a test does something to it, and the proof that nothing
//! of what they were told was lost or done twice. Nothing here knows which faults there are.
//! Invariant: everything is compared, and a check that fails panics.

pub mod books;
pub mod desk;
pub mod drafts;
pub mod habits;
pub mod ledger;
pub mod load;
pub mod pair;
pub mod payer;
pub mod shown;
pub mod trader;
pub mod truth;
pub mod venue;
pub mod verdict;
