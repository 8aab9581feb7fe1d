//! Owns what makes a repeated request harmless: which keys were used, for what, with what outcome.
//! Knows nothing of orders or transfers. Invariant: a key is never dropped while its order lives,
//! nor while its window lasts, except that the oldest retired one makes room: an owner's own when
//! the owner has its share, so that nobody can push out another's, anybody's when the table is
//! full.
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
    /// Whose share of the table the key counts against: a small number.
    fn owner(&self) -> usize;

    fn words(&self, each: impl FnMut(u64));
}

/// Client order ids are unique per account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientOrderKey {
    pub(crate) account: AccountId,
    pub(crate) id: ClientOrderId,
}

impl DedupKey for ClientOrderKey {
    fn owner(&self) -> usize {
        self.account.0 as usize
    }

    fn words(&self, mut each: impl FnMut(u64)) {
        each(u64::from(self.account.0) << 32 | self.id.as_bytes().len() as u64);
        words_of(self.id.as_bytes(), each);
    }
}

impl DedupKey for TransferId {
    /// Operators share one table.
    fn owner(&self) -> usize {
        0
    }

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
    /// Neighbours in the queue of all retired entries; also the list of free ones.
    next: u32,
    previous: u32,
    /// The entry of the same owner that retired next.
    owner_next: u32,
}

/// What the table holds of one owner.
#[derive(Clone, Copy, Debug)]
struct Owner {
    first_retired: u32,
    last_retired: u32,
    len: u32,
}

impl Owner {
    const NONE: Self = Self { first_retired: NO_ENTRY, last_retired: NO_ENTRY, len: 0 };
}

/// How many entries there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) table: u32,
    pub(crate) owner: u32,
}

/// Table of used keys: live ones, and a queue of retired ones, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct DedupTable<K> {
    entries: Vec<DedupEntry<K>>,
    owners: Vec<Owner>,
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
            owners: Vec::new(),
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
                Some(entry) if now_ns - entry.retired_at_ns > window_ns => {
                    self.drop_oldest_of(entry.key.owner());
                }
                _ => return,
            }
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    fn owner(&self, owner: usize) -> Owner {
        self.owners.get(owner).copied().unwrap_or(Owner::NONE)
    }

    fn owner_mut(&mut self, owner: usize) -> &mut Owner {
        if owner >= self.owners.len() {
            self.owners.resize(owner + 1, Owner::NONE);
        }
        &mut self.owners[owner]
    }

    /// Whether a new key fits, if need be in the place of a retired one.
    pub(crate) fn has_room(&self, key: &K, capacity: Capacity) -> bool {
        let owner = self.owner(key.owner());
        if owner.len >= capacity.owner {
            owner.first_retired != NO_ENTRY
        } else {
            self.len < capacity.table || self.first_retired != NO_ENTRY
        }
    }

    /// Remembers a key of which the caller knows that it is new and that there is room.
    pub(crate) fn insert(
        &mut self,
        key: K,
        order_id: OrderId,
        reason: Option<RejectReason>,
        fingerprint: u64,
        capacity: Capacity,
    ) -> u32 {
        if self.owner(key.owner()).len >= capacity.owner {
            self.drop_oldest_of(key.owner());
        } else if self.len >= capacity.table {
            self.drop_oldest_of(self.entry(self.first_retired).key.owner());
        }
        let entry = DedupEntry {
            key,
            order_id,
            reason,
            fingerprint,
            retired_at_ns: 0,
            next: NO_ENTRY,
            previous: NO_ENTRY,
            owner_next: NO_ENTRY,
        };
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
        self.owner_mut(key.owner()).len += 1;
        self.len += 1;
        place
    }

    /// Starts the window of a key: its order closed, or it never had one.
    pub(crate) fn retire(&mut self, place: u32, now_ns: u64) {
        let last = std::mem::replace(&mut self.last_retired, place);
        let entry = &mut self.entries[place as usize];
        (entry.retired_at_ns, entry.previous) = (now_ns, last);
        let owner = self.owner_mut(self.entry(place).key.owner());
        let owner_last = std::mem::replace(&mut owner.last_retired, place);
        if owner_last == NO_ENTRY {
            owner.first_retired = place;
        } else {
            self.entries[owner_last as usize].owner_next = place;
        }
        match self.entries.get_mut(last as usize) {
            Some(last) => last.next = place,
            None => self.first_retired = place,
        }
    }

    /// Changes the outcome of a key whose order was announced and then not placed.
    pub(crate) fn refuse(&mut self, place: u32, reason: RejectReason) {
        self.entries[place as usize].reason = Some(reason);
    }

    /// Forgets an entry that was never retired, as if its key had never been used.
    pub(crate) fn forget(&mut self, place: u32) {
        let key = self.entry(place).key;
        self.index.remove(hash(self.secret, &key), place);
        self.owners[key.owner()].len -= 1;
        self.entries[place as usize].next = std::mem::replace(&mut self.free, place);
        self.len -= 1;
    }

    /// Forgets the retired entry of an owner that the caller knows to have one.
    fn drop_oldest_of(&mut self, owner: usize) {
        let place = self.owners[owner].first_retired;
        let DedupEntry { next, previous, owner_next, .. } = *self.entry(place);
        match self.entries.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.first_retired = next,
        }
        match self.entries.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.last_retired = previous,
        }
        let owner = &mut self.owners[owner];
        owner.first_retired = owner_next;
        if owner_next == NO_ENTRY {
            owner.last_retired = NO_ENTRY;
        }
        self.forget(place);
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
            table.insert(TransferId(id), OrderId(0), None, 0, of(3))
        };
        let key = TransferId(9);
        let live = insert(&mut table, 1);
        for id in [2, 3] {
            let place = insert(&mut table, id);
            table.retire(place, 10);
        }
        assert!(table.has_room(&key, of(3)));
        insert(&mut table, 4);
        assert_eq!(table.len(), 3);
        assert!(table.find(&TransferId(1)).is_some());
        assert!(table.find(&TransferId(2)).is_none());
        insert(&mut table, 5);
        assert!(table.find(&TransferId(3)).is_none());
        assert!(!table.has_room(&key, of(3)), "three live keys: nothing may be dropped");
        assert!(table.has_room(&key, of(4)));
        table.retire(live, 11);
        assert!(table.has_room(&key, of(3)));
    }

    #[test]
    fn keys_outlive_their_window_by_nothing_and_expire_in_small_steps() {
        let mut table = table();
        for id in 0..10 {
            let place = table.insert(TransferId(id), OrderId(0), None, 0, of(100));
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
    fn a_forgotten_key_is_as_new_and_makes_room() {
        let mut table = table();
        let insert = |table: &mut DedupTable<TransferId>, id| {
            table.insert(TransferId(id), OrderId(0), None, 0, of(2))
        };
        let first = insert(&mut table, 1);
        let second = insert(&mut table, 2);
        assert!(!table.has_room(&TransferId(3), of(2)));
        table.forget(first);
        assert!(table.find(&TransferId(1)).is_none() && table.has_room(&TransferId(1), of(2)));
        assert_eq!(insert(&mut table, 1), first, "its place is used again");
        table.retire(second, 5);
        assert_eq!((table.len(), table.retired().count()), (2, 1));
    }

    /// A table of so many entries, and no shares.
    fn of(table: u32) -> Capacity {
        Capacity { table, owner: u32::MAX }
    }

    #[test]
    fn an_owner_with_its_share_pushes_out_its_own_keys_only() {
        let mut table = DedupTable::new(HashSecret([7, 9]), 0);
        let capacity = Capacity { table: 100, owner: 2 };
        let key = |account, id: &[u8]| ClientOrderKey {
            account: AccountId(account),
            id: ClientOrderId::new(id).unwrap(),
        };
        let mut refuse = |key| {
            let place = table.insert(key, OrderId(1), None, 0, capacity);
            table.retire(place, 5);
        };
        refuse(key(1, b"mine"));
        for id in 0..50u8 {
            refuse(key(2, &[b'a' + id]));
        }
        refuse(key(1, b"mine too"));
        assert_eq!(table.len(), 4);
        for kept in [key(1, b"mine"), key(2, &[b'a' + 48]), key(2, &[b'a' + 49])] {
            assert!(table.find(&kept).is_some(), "{kept:?}");
        }
        let queue: Vec<u8> = table.retired().map(|e| e.key.id.as_bytes()[0]).collect();
        assert_eq!(queue, [b'm', b'a' + 48, b'a' + 49, b'm']);
    }

    #[test]
    fn an_owner_whose_share_is_all_live_has_no_room() {
        let mut table = DedupTable::new(HashSecret([7, 9]), 0);
        let capacity = Capacity { table: 100, owner: 1 };
        let key = |id: &[u8]| ClientOrderKey {
            account: AccountId(1),
            id: ClientOrderId::new(id).unwrap(),
        };
        let place = table.insert(key(b"a"), OrderId(1), None, 0, capacity);
        assert!(!table.has_room(&key(b"b"), capacity));
        table.retire(place, 5);
        assert!(table.has_room(&key(b"b"), capacity));
    }

    #[test]
    fn fingerprint_is_frozen() {
        assert_eq!(fingerprint(b""), 0xCBF2_9CE4_8422_2325);
        assert_ne!(fingerprint(b"abcdefgh1"), fingerprint(b"abcdefgh2"));
    }
}
