//! Owns the trades that could not be settled: why, since when, and when they are tried again.
//! Knows nothing of calls. Invariant: bounded, and nothing leaves but by being settled or by an
//! operator who says why and names the transaction that corrects it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bincode::{Decode, Encode};
use engine::{Amount, AssetCode, TradeId};
use uuid::Uuid;
use wallet::client::SettleRequest;

use crate::limits::{
    DEAD_LETTER_WAIT, DEAD_LETTER_WAIT_MAX, DISCARDED_MAX, HISTORY_MAX, PAST_REASON_BYTES_MAX,
    REASON_BYTES_MAX,
};
use crate::outcome::Class;
use crate::trade::{DueTrade, StoredTrade};

/// One try that failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Attempt {
    /// Wall clock, nanoseconds since the Unix epoch.
    pub at_ns: u64,
    pub reason: String,
}

/// One trade that could not be settled. All times are of the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub trade: DueTrade,
    pub class: Class,
    pub reason: String,
    pub first_ns: u64,
    pub last_ns: u64,
    pub attempts: u32,
    /// When it is tried again by itself; `None` if only an operator can say so.
    pub next_retry_ns: Option<u64>,
    /// The latest tries, oldest first.
    pub history: VecDeque<Attempt>,
}

/// One letter that an operator took out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Discarded {
    pub trade: TradeId,
    pub trade_id: u128,
    pub at_ns: u64,
    pub operator: u128,
    pub reason: String,
    /// The transaction that moved the money instead.
    pub correction: u128,
    /// What the trade would have taken from reservations of its orders, if they have any: the key
    /// of each order, and units of what it pays with.
    pub shares: [(u128, Amount); 2],
}

/// All dead letters, by the number of their trade. Cheap to clone: the letters are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    letters: BTreeMap<TradeId, Arc<DeadLetter>>,
    /// Every letter that is tried by itself, by the time of it.
    schedule: BTreeSet<(u64, TradeId)>,
    discarded: BTreeMap<TradeId, Arc<Discarded>>,
}

impl DeadLetters {
    #[must_use]
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    #[must_use]
    pub fn get(&self, trade: TradeId) -> Option<&DeadLetter> {
        self.letters.get(&trade).map(|letter| &**letter)
    }

    /// All letters, oldest trade first.
    pub fn iter(&self) -> impl Iterator<Item = &DeadLetter> {
        self.letters.values().map(|letter| &**letter)
    }

    /// Letters that were taken out, oldest trade first.
    pub fn discarded(&self) -> impl Iterator<Item = &Discarded> {
        self.discarded.values().map(|discarded| &**discarded)
    }

    /// The letter of this trade that was taken out.
    #[must_use]
    pub fn discarded_of(&self, trade: TradeId) -> Option<&Discarded> {
        self.discarded.get(&trade).map(|discarded| &**discarded)
    }

    /// What trades that were taken out would have taken from the reservation of each order. The
    /// wallet will never know of them.
    #[must_use]
    pub fn discarded_shares(&self) -> BTreeMap<u128, Amount> {
        let mut shares = BTreeMap::new();
        for (order, amount) in self.discarded().flat_map(|discarded| discarded.shares) {
            if amount > 0 {
                *shares.entry(order).or_default() += amount;
            }
        }
        shares
    }

    /// Whether the trade is, or was, a letter: it is nobody else's business then.
    #[must_use]
    pub fn has_taken(&self, trade: TradeId) -> bool {
        self.letters.contains_key(&trade) || self.discarded.contains_key(&trade)
    }

    /// Whether there is room for a trade that is no letter yet, if at most `max` are allowed.
    #[must_use]
    pub fn has_room(&self, max: usize) -> bool {
        let len = self.letters.len();
        len < max && len + self.discarded.len() < max + DISCARDED_MAX
    }

    /// Whether an earlier trade that is a letter would bring what this trade takes: then it may be
    /// short for no fault of the books.
    #[must_use]
    pub fn may_bring(&self, trade: TradeId, request: &SettleRequest) -> bool {
        let needs = [(request.buyer_id, request.quote), (request.seller_id, request.base)];
        let mut earlier = self.letters.range(..trade).map(|(_, letter)| &letter.trade.request);
        earlier.any(|letter| {
            let brings = [(letter.buyer_id, letter.base), (letter.seller_id, letter.quote)];
            brings.iter().any(|brought| needs.contains(brought))
        })
    }

    /// Whether a letter moves money of this user in this asset.
    #[must_use]
    pub fn concern(&self, user: Uuid, asset: AssetCode) -> bool {
        self.iter().any(|letter| {
            let SettleRequest { buyer_id, seller_id, base, quote, .. } = letter.trade.request;
            [buyer_id, seller_id].contains(&user) && [base, quote].contains(&asset)
        })
    }

    /// Adds a trade after its last try, or counts another try of one that is here.
    pub(crate) fn add(&mut self, trade: DueTrade, class: Class, reason: &str, now_ns: u64) {
        let letter = self.letters.entry(trade.number).or_insert_with(|| {
            Arc::new(DeadLetter {
                trade,
                class,
                reason: String::new(),
                first_ns: now_ns,
                last_ns: now_ns,
                attempts: 0,
                next_retry_ns: None,
                history: VecDeque::new(),
            })
        });
        let letter = Arc::make_mut(letter);
        letter.class = class;
        letter.reason = bounded(reason, REASON_BYTES_MAX);
        letter.last_ns = now_ns;
        letter.attempts = letter.attempts.saturating_add(1);
        let reason = bounded(reason, PAST_REASON_BYTES_MAX);
        letter.history.push_back(Attempt { at_ns: now_ns, reason });
        if letter.history.len() > HISTORY_MAX {
            letter.history.pop_front();
        }
        let next = now_ns.saturating_add(nanoseconds(pause(letter.attempts)));
        self.set_retry(trade.number, (class == Class::Unknown).then_some(next));
    }

    /// The trade was settled.
    pub(crate) fn remove(&mut self, trade: TradeId) {
        self.set_retry(trade, None);
        self.letters.remove(&trade);
    }

    pub(crate) fn discard(&mut self, discarded: Discarded) {
        self.remove(discarded.trade);
        self.discarded.insert(discarded.trade, Arc::new(discarded));
    }

    /// Has a letter tried at that time, whatever its class. Whether there is such a letter.
    pub(crate) fn try_at(&mut self, trade: TradeId, at_ns: u64) -> bool {
        self.set_retry(trade, Some(at_ns))
    }

    fn set_retry(&mut self, trade: TradeId, at_ns: Option<u64>) -> bool {
        let Some(letter) = self.letters.get_mut(&trade) else { return false };
        if let Some(before) = letter.next_retry_ns {
            self.schedule.remove(&(before, trade));
        }
        self.schedule.extend(at_ns.map(|at| (at, trade)));
        Arc::make_mut(letter).next_retry_ns = at_ns;
        true
    }

    /// Trades whose time has come, the one that waits longest first.
    pub(crate) fn due(&self, now_ns: u64) -> impl Iterator<Item = TradeId> {
        let until = (now_ns, TradeId(u64::MAX));
        self.schedule.range(..=until).map(|(_, trade)| *trade)
    }

    pub(crate) fn store(&self) -> StoredLetters {
        let letter = |letter: &DeadLetter| StoredLetter {
            trade: StoredTrade::from(&letter.trade),
            class: letter.class,
            reason: letter.reason.clone(),
            times_ns: (letter.first_ns, letter.last_ns),
            attempts: letter.attempts,
            next_retry_ns: letter.next_retry_ns,
            history: letter.history.iter().cloned().collect(),
        };
        StoredLetters {
            letters: self.iter().map(letter).collect(),
            discarded: self.discarded().cloned().collect(),
        }
    }

    /// `None` if a letter is not one that [`Self::store`] wrote.
    pub(crate) fn restore(stored: StoredLetters) -> Option<Self> {
        let mut restored = Self::default();
        for letter in stored.letters {
            let trade = letter.trade.restore()?;
            let letter = DeadLetter {
                trade,
                class: letter.class,
                reason: letter.reason,
                first_ns: letter.times_ns.0,
                last_ns: letter.times_ns.1,
                attempts: letter.attempts,
                next_retry_ns: letter.next_retry_ns,
                history: letter.history.into(),
            };
            restored.schedule.extend(letter.next_retry_ns.map(|at| (at, trade.number)));
            restored.letters.insert(trade.number, Arc::new(letter));
        }
        let discarded = stored.discarded.into_iter();
        restored.discarded = discarded.map(|one| (one.trade, Arc::new(one))).collect();
        Some(restored)
    }
}

/// Pause after a letter's try with this number (from 1).
fn pause(attempt: u32) -> Duration {
    let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    DEAD_LETTER_WAIT.saturating_mul(factor).min(DEAD_LETTER_WAIT_MAX)
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Text of at most so many bytes, whole characters.
pub(crate) fn bounded(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredLetters {
    letters: Vec<StoredLetter>,
    discarded: Vec<Discarded>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct StoredLetter {
    trade: StoredTrade,
    class: Class,
    reason: String,
    times_ns: (u64, u64),
    attempts: u32,
    next_retry_ns: Option<u64>,
    history: Vec<Attempt>,
}

#[cfg(test)]
mod tests;
