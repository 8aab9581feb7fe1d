//! Owns the keys by which a repeated request is known, and their hash.
//! Knows nothing of where keys are kept. Invariant: the hash is no state: it decides only where an
//! entry lies in memory, never what the engine answers.
//!
//! Keys are chosen by clients, so the hash is seeded: see [`HashSecret`].

use std::fmt;

use crate::types::{ClientOrderId, TransferId};

/// Random numbers that keep clients from choosing keys that collide. Never printed.
#[derive(Clone, Copy, Default)]
pub struct HashSecret(pub [u64; 2]);

impl fmt::Debug for HashSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashSecret(..)")
    }
}

/// Entry of a client order id; kept by the order while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKey(pub(crate) u32);

impl ClientKey {
    /// The order has no client order id.
    pub const NONE: Self = Self(NO_ENTRY);
}

/// No entry.
pub(crate) const NO_ENTRY: u32 = u32::MAX;

/// A key: whose share of its table it counts against, its text, and the hash of both, which is
/// taken once: a table of many keys asks for it to search and to file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) owner: u32,
    pub(crate) text: &'a ClientOrderId,
    pub(crate) hash: u64,
}

/// Operators share one table of transfers.
pub(crate) const OPERATORS: u32 = 0;

/// The text that a transfer id is as a key: its 16 bytes.
pub(crate) fn text_of(id: TransferId) -> ClientOrderId {
    ClientOrderId::new(&id.0.to_le_bytes()).unwrap_or_default()
}

/// The id that [`text_of`] was given.
pub(crate) fn transfer_of(text: &ClientOrderId) -> TransferId {
    TransferId(u128::from_le_bytes(text.as_bytes().try_into().unwrap_or_default()))
}

/// Both halves of a 128-bit product, folded.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "both halves of a product are wanted")]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> u64::BITS) as u64 ^ product as u64
}

/// Folded multiplications of secret-mixed pairs of words, as in wyhash (Wang Yi, 2019).
#[inline]
pub(crate) fn hash(secret: HashSecret, owner: u32, text: &ClientOrderId) -> u64 {
    let [seed, factor] = secret.0;
    let (seed, factor) = (seed ^ 0x9E37_79B9_7F4A_7C15, factor ^ 0xD6E8_FEB8_6659_FD93);
    let mut state = seed ^ u64::from(owner) << u32::BITS ^ text.len() as u64;
    let words = text.len().div_ceil(size_of::<u64>());
    for at in (0..words).step_by(2) {
        state = folded(text.word(at) ^ factor, text.word(at + 1) ^ state);
    }
    folded(state ^ factor, 0xA076_1D64_78BD_642F ^ seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_id_is_a_text_and_back() {
        for id in [TransferId(1), TransferId(u128::MAX), TransferId(1 << 120)] {
            assert_eq!(transfer_of(&text_of(id)), id);
        }
    }

    #[test]
    fn owner_length_and_each_byte_count() {
        let secret = HashSecret([3, 5]);
        let of = |owner, text: &[u8]| hash(secret, owner, &ClientOrderId::new(text).unwrap());
        let longest = [b'x'; ClientOrderId::BYTES_MAX];
        let mut seen = vec![of(1, b""), of(2, b""), of(1, b"\0"), of(1, b"\0\0"), of(2, &longest)];
        for at in 0..longest.len() {
            let mut text = longest;
            text[at] = b'y';
            seen.push(of(1, &text));
            seen.push(of(1, &longest[..=at]));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
