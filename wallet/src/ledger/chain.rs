//! Owns the hash chain over transactions. Knows nothing of state.
//! Invariant: whoever changes, drops, adds or swaps anything in an event log breaks the chain at
//! that transaction and at every later one.

use engine::Codec;

use super::event::{Committed, Event, Posted};
use crate::limits::ENCODED_BYTES_MAX;

/// The chain behind a transaction: BLAKE3 of the chain before it, the encoding of its head with a
/// zero chain, and the encodings of its movements.
#[must_use]
pub fn next(previous: &[u8; 32], head: &Committed, legs: &[Posted]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    let mut bytes = [0; ENCODED_BYTES_MAX];
    let mut add = |event: &Event| {
        let len = event.encode_into(&mut bytes);
        hasher.update(&bytes[..len]);
    };
    add(&Event::Committed(Committed { chain: [0; 32], ..*head }));
    for leg in legs {
        add(&Event::Posted(*leg));
    }
    *hasher.finalize().as_bytes()
}
