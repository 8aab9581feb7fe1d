//! Owns the keys by which a repeated request is known, their hash, and the fingerprint of a body.
//! Knows nothing of where keys are kept. Invariant: the fingerprint is state, so it never changes;
//! the hash is not.
//!
//! Keys are chosen by clients, so the hash is seeded: see [`HashSecret`]. The secret decides only
//! where an entry lies in memory, never what the engine answers.

use std::fmt;

use crate::types::{AccountId, ClientOrderId, TransferId};

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

/// A key of a [`DedupTable`]: bytes, and whose share of the table they count against.
pub(crate) trait DedupKey: Copy {
    /// A small number.
    fn owner(&self) -> u32;

    /// At most [`ClientOrderId::BYTES_MAX`] bytes.
    fn read<R>(&self, with: impl FnOnce(&[u8]) -> R) -> R;

    /// The key that `owner` and `read` gave these.
    fn made_of(owner: u32, bytes: &[u8]) -> Self;
}

/// Client order ids are unique per account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientOrderKey {
    pub(crate) account: AccountId,
    pub(crate) id: ClientOrderId,
}

impl DedupKey for ClientOrderKey {
    fn owner(&self) -> u32 {
        self.account.0
    }

    fn read<R>(&self, with: impl FnOnce(&[u8]) -> R) -> R {
        with(self.id.as_bytes())
    }

    fn made_of(owner: u32, bytes: &[u8]) -> Self {
        let id = ClientOrderId::new(bytes).unwrap_or_default();
        Self { account: AccountId(owner), id }
    }
}

impl DedupKey for TransferId {
    /// Operators share one table.
    fn owner(&self) -> u32 {
        0
    }

    fn read<R>(&self, with: impl FnOnce(&[u8]) -> R) -> R {
        with(&self.0.to_le_bytes())
    }

    fn made_of(_: u32, bytes: &[u8]) -> Self {
        let bytes = bytes.try_into().unwrap_or_default();
        Self(u128::from_le_bytes(bytes))
    }
}

/// Bytes as little-endian 64-bit words, the last one zero-padded.
#[inline]
fn words_of(bytes: &[u8], mut each: impl FnMut(u64)) {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        each(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        each(last);
    }
}

/// Folded multiplication, as in wyhash: both halves of the 128-bit product of two secret-mixed
/// words.
#[expect(clippy::cast_possible_truncation, reason = "both halves of a product are wanted")]
pub(crate) fn hash(secret: HashSecret, owner: u32, bytes: &[u8]) -> u64 {
    let [seed, factor] = secret.0;
    let mut state = seed ^ 0x9E37_79B9_7F4A_7C15;
    let mut mix = |word: u64| {
        let product = u128::from(state ^ word)
            * u128::from(factor ^ 0xD6E8_FEB8_6659_FD93 ^ word.rotate_left(32));
        let (high, low) = ((product >> 64) as u64, product as u64);
        state = (high ^ low).wrapping_add(seed).rotate_left(17);
    };
    mix(u64::from(owner) << 32 | bytes.len() as u64);
    words_of(bytes, mix);
    state.wrapping_mul(0xA076_1D64_78BD_642F)
}

/// 64 bits that stand for a request's body: two bodies with one fingerprint count as identical.
///
/// h = 0xcbf29ce484222325, then for each little-endian word w of the zero-padded encoding:
/// h = rotl((h xor w) * 0x9E3779B97F4A7C15 mod 2^64, 29).
pub(crate) fn fingerprint(encoded: &[u8]) -> u64 {
    let mut state = 0xCBF2_9CE4_8422_2325u64;
    words_of(encoded, |word| {
        state = (state ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    });
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_frozen() {
        assert_eq!(fingerprint(b""), 0xCBF2_9CE4_8422_2325);
        assert_ne!(fingerprint(b"abcdefgh1"), fingerprint(b"abcdefgh2"));
    }
}
