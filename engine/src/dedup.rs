//! Owns what makes a repeated request harmless: which keys were used, for what, with what outcome.
//! Knows nothing of orders or transfers. Invariant: a key is never dropped while its order lives,
//! nor while its window lasts, except that the oldest retired one makes room when a table is full.
//!
//! Keys are chosen by clients, so the hash is seeded: see [`HashSecret`]. The secret decides only
//! where an entry lies in memory, never what the engine answers, so it is not part of the state.

use std::fmt;

use crate::hash_index::HashIndex;
use crate::limits::EXPIRED_ENTRIES_PER_COMMAND;
use crate::reject::RejectReason;
use crate::types::{AccountId, ClientOrderId, OrderId, TransferId};

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

const NO_ENTRY: u32 = u32::MAX;

/// A key of a [`DedupTable`].
pub(crate) trait DedupKey: Copy + Eq {
    fn words(&self, each: impl FnMut(u64));
}

/// Client order ids are unique per account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientOrderKey {
    pub(crate) account: AccountId,
    pub(crate) id: ClientOrderId,
}

impl DedupKey for ClientOrderKey {
    fn words(&self, mut each: impl FnMut(u64)) {
        each(u64::from(self.account.0) << 32 | self.id.as_bytes().len() as u64);
        words_of(self.id.as_bytes(), each);
    }
}

impl DedupKey for TransferId {
    fn words(&self, each: impl FnMut(u64)) {
        words_of(&self.0.to_le_bytes(), each);
    }
}

/// Bytes as little-endian 64-bit words, the last one zero-padded.
fn words_of(bytes: &[u8], mut each: impl FnMut(u64)) {
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        each(u64::from_le_bytes(word));
    }
}

/// Folded multiplication, as in wyhash: both halves of the 128-bit product of two secret-mixed
/// words.
#[expect(clippy::cast_possible_truncation, reason = "both halves of a product are wanted")]
fn hash<K: DedupKey>(secret: HashSecret, key: &K) -> u64 {
    let [seed, factor] = secret.0;
    let mut state = seed ^ 0x9E37_79B9_7F4A_7C15;
    key.words(|word| {
        let product = u128::from(state ^ word)
            * u128::from(factor ^ 0xD6E8_FEB8_6659_FD93 ^ word.rotate_left(32));
        let (high, low) = ((product >> 64) as u64, product as u64);
        state = (high ^ low).wrapping_add(seed).rotate_left(17);
    });
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

/// What is remembered of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DedupEntry<K> {
    pub(crate) key: K,
    /// The order, or the refused command; 0 for a transfer.
    pub(crate) order_id: OrderId,
    /// `None` if it was accepted.
    pub(crate) reason: Option<RejectReason>,
    pub(crate) fingerprint: u64,
    /// Engine time since which it may be forgotten after the window; 0 while its order lives.
    pub(crate) retired_at_ns: u64,
    next: u32,
}

/// Table of used keys: live ones, and a queue of retired ones, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct DedupTable<K> {
    entries: Vec<DedupEntry<K>>,
    index: HashIndex,
    secret: HashSecret,
    free: u32,
    first_retired: u32,
    last_retired: u32,
    len: u32,
}

impl<K: DedupKey> DedupTable<K> {
    pub(crate) fn new(secret: HashSecret, expected: usize) -> Self {
        Self {
            entries: Vec::with_capacity(expected),
            index: HashIndex::with_capacity(expected),
            secret,
            free: NO_ENTRY,
            first_retired: NO_ENTRY,
            last_retired: NO_ENTRY,
            len: 0,
        }
    }

    fn entry(&self, entry: u32) -> &DedupEntry<K> {
        &self.entries[entry as usize]
    }

    pub(crate) fn find(&self, key: &K) -> Option<&DedupEntry<K>> {
        let entry = self.index.find(hash(self.secret, key), |e| self.entry(e).key == *key)?;
        Some(self.entry(entry))
    }

    /// Drops retired entries older than the window: a few at a time, so that none pays for many.
    pub(crate) fn expire(&mut self, now_ns: u64, window_ns: u64) {
        for _ in 0..EXPIRED_ENTRIES_PER_COMMAND {
            match self.entries.get(self.first_retired as usize) {
                Some(entry) if now_ns - entry.retired_at_ns > window_ns => self.drop_oldest(),
                _ => return,
            }
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Whether a new key fits, if need be in the place of the oldest retired one.
    pub(crate) fn has_room(&self, capacity: u32) -> bool {
        self.len < capacity || self.first_retired != NO_ENTRY
    }

    /// Remembers a key of which the caller knows that it is new and that there is room.
    pub(crate) fn insert(
        &mut self,
        key: K,
        order_id: OrderId,
        reason: Option<RejectReason>,
        fingerprint: u64,
        capacity: u32,
    ) -> u32 {
        if self.len >= capacity {
            self.drop_oldest();
        }
        let entry =
            DedupEntry { key, order_id, reason, fingerprint, retired_at_ns: 0, next: NO_ENTRY };
        let place = match self.entries.get(self.free as usize) {
            Some(free) => {
                let place = std::mem::replace(&mut self.free, free.next);
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).unwrap_or(NO_ENTRY)
            }
        };
        self.index.insert(hash(self.secret, &key), place);
        self.len += 1;
        place
    }

    /// Starts the window of a key: its order closed, or it never had one.
    pub(crate) fn retire(&mut self, place: u32, now_ns: u64) {
        let entry = &mut self.entries[place as usize];
        (entry.retired_at_ns, entry.next) = (now_ns, NO_ENTRY);
        match self.entries.get_mut(self.last_retired as usize) {
            Some(last) => last.next = place,
            None => self.first_retired = place,
        }
        self.last_retired = place;
    }

    fn drop_oldest(&mut self) {
        let place = self.first_retired;
        let key = self.entry(place).key;
        self.index.remove(hash(self.secret, &key), place);
        let entry = &mut self.entries[place as usize];
        self.first_retired = std::mem::replace(&mut entry.next, self.free);
        self.free = place;
        if self.first_retired == NO_ENTRY {
            self.last_retired = NO_ENTRY;
        }
        self.len -= 1;
    }

    /// The entry of a live order.
    pub(crate) fn live(&self, place: u32) -> &DedupEntry<K> {
        self.entry(place)
    }

    /// Retired entries, oldest first.
    pub(crate) fn retired(&self) -> impl Iterator<Item = &DedupEntry<K>> {
        std::iter::successors(self.entries.get(self.first_retired as usize), |entry| {
            self.entries.get(entry.next as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> DedupTable<TransferId> {
        DedupTable::new(HashSecret([7, 9]), 0)
    }

    #[test]
    fn a_full_table_drops_the_oldest_retired_key_and_no_live_one() {
        let mut table = table();
        let insert = |table: &mut DedupTable<TransferId>, id| {
            table.insert(TransferId(id), OrderId(0), None, 0, 3)
        };
        let live = insert(&mut table, 1);
        for id in [2, 3] {
            let place = insert(&mut table, id);
            table.retire(place, 10);
        }
        assert!(table.has_room(3));
        insert(&mut table, 4);
        assert_eq!(table.len(), 3);
        assert!(table.find(&TransferId(1)).is_some());
        assert!(table.find(&TransferId(2)).is_none());
        insert(&mut table, 5);
        assert!(table.find(&TransferId(3)).is_none());
        assert!(!table.has_room(3), "three live keys: nothing may be dropped");
        assert!(table.has_room(4));
        table.retire(live, 11);
        assert!(table.has_room(3));
    }

    #[test]
    fn keys_outlive_their_window_by_nothing_and_expire_in_small_steps() {
        let mut table = table();
        for id in 0..10 {
            let place = table.insert(TransferId(id), OrderId(0), None, 0, 100);
            table.retire(place, 5);
        }
        table.expire(15, 10);
        assert_eq!(table.len(), 10, "exactly the window is not past it");
        table.expire(16, 10);
        assert_eq!(table.len(), 10 - EXPIRED_ENTRIES_PER_COMMAND);
        table.expire(16, 10);
        assert_eq!(table.len(), 0);
        assert_eq!(table.retired().count(), 0);
    }

    #[test]
    fn fingerprint_is_frozen() {
        assert_eq!(fingerprint(b""), 0xCBF2_9CE4_8422_2325);
        assert_ne!(fingerprint(b"abcdefgh1"), fingerprint(b"abcdefgh2"));
    }
}
