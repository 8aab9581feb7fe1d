//! Owns what makes a repeated request harmless: which keys were used, for what, with what outcome.
//! Knows nothing of orders or transfers. Invariant: a key is never dropped while its order lives,
//! nor while its window lasts, except that the oldest retired one makes room: an owner's own when
//! the owner has its share, so that nobody can push out another's, anybody's when the table is
//! full.
//!
//! A table of a million keys lies outside of every cache, so what counts is how many lines a key
//! touches: the common one, of at most 40 bytes, one for itself, half a line for its
//! place in the queues, and one of the index.

use crate::dedup::{HashSecret, Key, NO_ENTRY, hash};
use crate::hash_index::HashIndex;
use crate::limits::EXPIRED_ENTRIES_PER_COMMAND;
use crate::prefetch::line_of;
use crate::reject::RejectReason;
use crate::types::{ClientOrderId, OrderId};

/// 64-bit words of a key that stand in its entry.
const HEAD: usize = 5;
const HEAD_BYTES: usize = HEAD * size_of::<u64>();
/// Words of a longer key that stand apart.
const TAIL: usize = ClientOrderId::WORDS_MAX - HEAD;

/// What is remembered of a key.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct DedupEntry {
    /// The order, or the refused command; 0 for a transfer.
    pub(crate) order_id: OrderId,
    pub(crate) fingerprint: u64,
    /// `None` if it was accepted.
    pub(crate) reason: Option<RejectReason>,
    len: u8,
    head: [u64; HEAD],
}

const _: () = assert!(size_of::<DedupEntry>() == 64);

/// Where an entry stands. Apart from the entry itself, because making room for a new key needs
/// nothing else of an old one: half a line instead of all of it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
struct Place {
    /// Of the key.
    hash: u64,
    /// Engine time since which it may be forgotten after the window; 0 while its order lives.
    retired_at_ns: u64,
    /// Neighbours in the queue of all retired entries; also the list of free ones.
    next: u32,
    previous: u32,
    /// The entry of the same owner that retired next.
    owner_next: u32,
    owner: u32,
}

const _: () = assert!(size_of::<Place>() == 32);

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
pub(crate) struct DedupTable {
    entries: Vec<DedupEntry>,
    /// Of each entry what its key has behind the head; shorter where no later key was so long.
    tails: Vec<[u64; TAIL]>,
    /// Of each entry.
    places: Vec<Place>,
    owners: Vec<Owner>,
    index: HashIndex,
    secret: HashSecret,
    free: u32,
    first_retired: u32,
    last_retired: u32,
    len: u32,
}

impl DedupTable {
    pub(crate) fn new(secret: HashSecret, expected: usize) -> Self {
        Self {
            entries: Vec::with_capacity(expected),
            tails: Vec::new(),
            places: Vec::with_capacity(expected),
            owners: Vec::new(),
            index: HashIndex::with_capacity(expected),
            secret,
            free: NO_ENTRY,
            first_retired: NO_ENTRY,
            last_retired: NO_ENTRY,
            len: 0,
        }
    }

    pub(crate) fn entry(&self, at: u32) -> &DedupEntry {
        &self.entries[at as usize]
    }

    /// What a key is known by here.
    #[inline]
    pub(crate) fn key<'a>(&self, owner: u32, text: &'a ClientOrderId) -> Key<'a> {
        Key { owner, text, hash: hash(self.secret, owner, text) }
    }

    #[inline]
    pub(crate) fn find(&self, key: &Key<'_>) -> Option<&DedupEntry> {
        self.index.find(key.hash, |at| self.is(at, key)).map(|at| self.entry(at))
    }

    fn is(&self, at: u32, key: &Key<'_>) -> bool {
        let entry = self.entry(at);
        let tail = || self.tails[at as usize] == tail_of(key.text);
        usize::from(entry.len) == key.text.len()
            && entry.head == head_of(key.text)
            && self.places[at as usize].owner == key.owner
            && (!has_tail(key.text) || tail())
    }

    /// Asks for the line that a search for a key begins in.
    #[inline]
    pub(crate) fn prefetch(&self, owner: u32, text: &ClientOrderId) {
        self.index.prefetch(hash(self.secret, owner, text));
    }

    /// Asks for what the next drop of the oldest entry will touch. Its place was asked for one drop
    /// before.
    fn prefetch_oldest(&self) {
        if let Some(oldest) = self.places.get(self.first_retired as usize) {
            self.index.prefetch(oldest.hash);
            line_of(&self.entries, self.first_retired as usize);
            line_of(&self.places, oldest.next as usize);
        }
    }

    /// The owner and the text of an entry's key.
    pub(crate) fn key_of(&self, at: u32) -> (u32, ClientOrderId) {
        let entry = self.entry(at);
        let tail = self.tails.get(at as usize).filter(|_| usize::from(entry.len) > HEAD_BYTES);
        let words = entry.head.iter().chain(tail.into_iter().flatten());
        let text = ClientOrderId::of_words(words.copied(), entry.len);
        (self.places[at as usize].owner, text)
    }

    /// Drops retired entries older than the window: a few at a time, so that none pays for many.
    pub(crate) fn expire(&mut self, now_ns: u64, window_ns: u64) {
        for _ in 0..EXPIRED_ENTRIES_PER_COMMAND {
            match self.places.get(self.first_retired as usize) {
                Some(place) if now_ns - place.retired_at_ns > window_ns => {
                    self.drop_oldest_of(place.owner);
                }
                _ => return,
            }
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    fn owner(&self, owner: u32) -> Owner {
        self.owners.get(owner as usize).copied().unwrap_or(Owner::NONE)
    }

    fn owner_mut(&mut self, owner: u32) -> &mut Owner {
        let owner = owner as usize;
        if owner >= self.owners.len() {
            self.owners.resize(owner + 1, Owner::NONE);
        }
        &mut self.owners[owner]
    }

    /// Whether a new key of an owner fits, if need be in the place of a retired one.
    pub(crate) fn has_room(&self, owner: u32, capacity: Capacity) -> bool {
        let owner = self.owner(owner);
        if owner.len >= capacity.owner {
            owner.first_retired != NO_ENTRY
        } else {
            self.len < capacity.table || self.first_retired != NO_ENTRY
        }
    }

    /// Remembers a key of which the caller knows that it is new and that there is room.
    pub(crate) fn insert(
        &mut self,
        key: &Key<'_>,
        order_id: OrderId,
        reason: Option<RejectReason>,
        fingerprint: u64,
        capacity: Capacity,
    ) -> u32 {
        let Key { owner, text, hash } = *key;
        if self.owner(owner).len >= capacity.owner {
            self.drop_oldest_of(owner);
        } else if self.len >= capacity.table {
            self.drop_oldest_of(self.places[self.first_retired as usize].owner);
            self.prefetch_oldest();
        }
        let at = self.next_free();
        self.keep_tail(at, text);
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        let entry = DedupEntry { order_id, fingerprint, reason, len, head: head_of(text) };
        let place = Place {
            hash,
            retired_at_ns: 0,
            next: NO_ENTRY,
            previous: NO_ENTRY,
            owner_next: NO_ENTRY,
            owner,
        };
        match self.places.get_mut(at) {
            Some(free) => {
                self.free = std::mem::replace(free, place).next;
                self.entries[at] = entry;
            }
            None => {
                self.places.push(place);
                self.entries.push(entry);
            }
        }
        let at = u32::try_from(at).unwrap_or(NO_ENTRY);
        self.index.insert(hash, at);
        self.owner_mut(owner).len += 1;
        self.len += 1;
        at
    }

    /// Remembers a key of an earlier time, however many there may be now; `None` if it is known.
    pub(crate) fn restore(
        &mut self,
        (owner, text): (u32, &ClientOrderId),
        order_id: OrderId,
        reason: Option<RejectReason>,
        fingerprint: u64,
    ) -> Option<u32> {
        const ANY: Capacity = Capacity { table: u32::MAX, owner: u32::MAX };
        let key = self.key(owner, text);
        let is_new = self.find(&key).is_none();
        is_new.then(|| self.insert(&key, order_id, reason, fingerprint, ANY))
    }

    /// Where the next entry will stand.
    fn next_free(&self) -> usize {
        if self.free == NO_ENTRY { self.entries.len() } else { self.free as usize }
    }

    fn keep_tail(&mut self, at: usize, text: &ClientOrderId) {
        if has_tail(text) {
            if self.tails.len() <= at {
                self.tails.resize(at + 1, [0; TAIL]);
            }
            self.tails[at] = tail_of(text);
        }
    }

    /// Starts the window of a key: its order closed, or it never had one.
    pub(crate) fn retire(&mut self, at: u32, now_ns: u64) {
        let last = std::mem::replace(&mut self.last_retired, at);
        let place = &mut self.places[at as usize];
        (place.retired_at_ns, place.previous) = (now_ns, last);
        let owner = place.owner;
        let owner = self.owner_mut(owner);
        let owner_last = std::mem::replace(&mut owner.last_retired, at);
        if owner_last == NO_ENTRY {
            owner.first_retired = at;
        } else {
            self.places[owner_last as usize].owner_next = at;
        }
        match self.places.get_mut(last as usize) {
            Some(last) => last.next = at,
            None => self.first_retired = at,
        }
    }

    /// Changes the outcome of a key whose order was announced and then not placed.
    pub(crate) fn refuse(&mut self, at: u32, reason: RejectReason) {
        self.entries[at as usize].reason = Some(reason);
    }

    /// Forgets an entry that was never retired, as if its key had never been used.
    pub(crate) fn forget(&mut self, at: u32) {
        let place = &mut self.places[at as usize];
        let (hash, owner) = (place.hash, place.owner);
        place.next = std::mem::replace(&mut self.free, at);
        self.index.remove(hash, at);
        self.owner_mut(owner).len -= 1;
        self.len -= 1;
    }

    /// Forgets the retired entry of an owner that the caller knows to have one.
    fn drop_oldest_of(&mut self, owner: u32) {
        let at = self.owner(owner).first_retired;
        let Place { next, previous, owner_next, .. } = self.places[at as usize];
        match self.places.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.first_retired = next,
        }
        match self.places.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.last_retired = previous,
        }
        let owner = self.owner_mut(owner);
        owner.first_retired = owner_next;
        if owner_next == NO_ENTRY {
            owner.last_retired = NO_ENTRY;
        }
        self.forget(at);
    }

    /// Retired entries, oldest first: where each stands, and the time of its retirement.
    pub(crate) fn retired(&self) -> impl Iterator<Item = (u32, u64)> {
        let some = |at: u32| (at != NO_ENTRY).then_some(at);
        let next = move |at: &u32| some(self.places[*at as usize].next);
        std::iter::successors(some(self.first_retired), next)
            .map(|at| (at, self.places[at as usize].retired_at_ns))
    }
}

#[inline]
fn head_of(text: &ClientOrderId) -> [u64; HEAD] {
    std::array::from_fn(|at| text.word(at))
}

fn tail_of(text: &ClientOrderId) -> [u64; TAIL] {
    std::array::from_fn(|at| text.word(HEAD + at))
}

fn has_tail(text: &ClientOrderId) -> bool {
    text.len() > HEAD_BYTES
}

#[cfg(test)]
mod tests;
