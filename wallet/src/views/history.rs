//! Owns what every wallet had at every moment. Knows nothing of transactions.
//! Invariant: bounded over all wallets, the oldest balances are forgotten first; a moment that is
//! forgotten is said to be, and never answered with something else.
//!
//! Each entry points to the one before it and to one farther back, chosen as in the random-access
//! stacks of E. W. Myers (An applicative random-access stack, Information Processing Letters 17,
//! 1983), so that any moment of a wallet with n entries is found in O(log n) steps, while all
//! wallets share one ring and adding costs O(1).

mod saved;

use std::collections::VecDeque;

use bincode::{Decode, Encode};
use engine::{Amount, Usage};

use crate::ledger::types::TransactionId;

/// A wallet's balance from one moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Moment {
    /// Sequence of the command that changed it, and its engine time.
    pub sequence: u64,
    pub timestamp_ns: u64,
    pub available: Amount,
    pub reserved: Amount,
    pub transaction: TransactionId,
}

/// Place of an entry since the beginning; 0 is none.
type Place = u64;

#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Entry {
    moment: Moment,
    previous: Place,
    /// Some entry before it, or itself for a wallet's first.
    jump: Place,
    /// Entries of the wallet before this one.
    depth: u64,
}

/// What was found for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    At(Moment),
    /// The wallet had never been touched by then.
    Before,
    /// Not kept any more.
    Forgotten,
}

/// Where a question about the past points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Engine time, nanoseconds since the Unix epoch, inclusive.
    Time(u64),
    /// Sequence of a command, inclusive.
    Sequence(u64),
}

impl Until {
    fn is_before(self, moment: &Moment) -> bool {
        match self {
            Self::Time(at) => at < moment.timestamp_ns,
            Self::Sequence(at) => at < moment.sequence,
        }
    }
}

/// A wallet's newest entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Head(Place);

/// The balances of all wallets.
#[derive(Debug)]
pub struct History {
    entries: VecDeque<Entry>,
    /// Place of the oldest entry that is kept.
    first: Place,
    bound: usize,
}

impl History {
    /// Keeps `bound` entries at most.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { entries: VecDeque::new(), first: 1, bound }
    }

    /// Adds what a wallet has now. Of several changes by one command only the last counts.
    pub fn push(&mut self, head: &mut Head, moment: Moment) {
        if let Some(newest) = self.get_mut(head.0)
            && newest.moment.sequence == moment.sequence
        {
            newest.moment = moment;
            return;
        }
        let place = self.first + self.entries.len() as u64;
        let entry = match self.get(head.0) {
            None => Entry { moment, previous: head.0, jump: place, depth: 0 },
            Some(newest) => {
                Entry { moment, previous: head.0, jump: self.jump(head.0), depth: newest.depth + 1 }
            }
        };
        self.entries.push_back(entry);
        *head = Head(place);
        if self.entries.len() > self.bound {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// Where the entry behind `previous` jumps to: twice as far as the last two jumps if they were
    /// equally long, else one step.
    fn jump(&self, previous: Place) -> Place {
        let depth = |place| self.get(place).map(|entry| entry.depth);
        let target = |place| self.get(place).map(|entry| entry.jump);
        let lengths = || {
            let near = target(previous)?;
            let far = target(near)?;
            let (at, near_at, far_at) = (depth(previous)?, depth(near)?, depth(far)?);
            (near != far && at - near_at == near_at - far_at).then_some(far)
        };
        lengths().unwrap_or(previous)
    }

    /// What the wallet had at a moment.
    #[must_use]
    pub fn at(&self, head: Head, until: Until) -> Past {
        let mut place = head.0;
        loop {
            let Some(entry) = self.get(place) else {
                return if place == 0 { Past::Before } else { Past::Forgotten };
            };
            if !until.is_before(&entry.moment) {
                return Past::At(entry.moment);
            }
            // A jump to a moment that is still too late skips everything between.
            let over = self.get(entry.jump).filter(|jumped| until.is_before(&jumped.moment));
            place = match over {
                Some(_) if entry.jump != place => entry.jump,
                _ => entry.previous,
            };
        }
    }

    /// A wallet's moments, newest first; ends at what is forgotten.
    pub fn of(&self, head: Head) -> impl Iterator<Item = Moment> {
        let mut place = head.0;
        std::iter::from_fn(move || {
            let entry = self.get(place)?;
            place = entry.previous;
            Some(entry.moment)
        })
    }

    /// Balances that are kept.
    pub(super) fn usage(&self) -> Usage {
        Usage::new("past_balances", self.entries.len(), self.bound)
    }

    fn index(&self, place: Place) -> Option<usize> {
        usize::try_from(place.checked_sub(self.first)?).ok()
    }

    fn get(&self, place: Place) -> Option<&Entry> {
        self.entries.get(self.index(place)?)
    }

    fn get_mut(&mut self, place: Place) -> Option<&mut Entry> {
        let index = self.index(place)?;
        self.entries.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: u64) -> Moment {
        Moment {
            sequence: at,
            timestamp_ns: at * 10,
            available: at.into(),
            reserved: 0,
            transaction: TransactionId(at),
        }
    }

    #[test]
    fn every_moment_of_interleaved_wallets_is_found() {
        let mut history = History::new(10_000);
        let mut heads = [Head::default(); 3];
        for at in 1..=3_000u64 {
            let wallet = usize::try_from(at % 7 % 3).unwrap();
            history.push(&mut heads[wallet], moment(at));
        }
        for (wallet, head) in heads.iter().enumerate() {
            for at in 0..=3_001u64 {
                let newest = (1..=at.min(3_000)).rev().find(|at| at % 7 % 3 == wallet as u64);
                let expected = newest.map_or(Past::Before, |at| Past::At(moment(at)));
                assert_eq!(history.at(*head, Until::Sequence(at)), expected);
                assert_eq!(history.at(*head, Until::Time(at * 10)), expected, "inclusive");
            }
        }
    }

    #[test]
    fn a_search_takes_logarithmically_many_steps() {
        let mut history = History::new(1 << 20);
        let mut head = Head::default();
        for at in 1..=(1 << 18) {
            history.push(&mut head, moment(at));
        }
        let mut most = 0;
        for at in (1..(1 << 18)).step_by(997) {
            let (mut place, mut steps) = (head.0, 0);
            while history.get(place).unwrap().moment.sequence > at {
                let entry = history.get(place).unwrap();
                let jumped = history.get(entry.jump).unwrap();
                place = if jumped.moment.sequence > at { entry.jump } else { entry.previous };
                steps += 1;
            }
            most = most.max(steps);
        }
        assert!(most <= 4 * 18, "{most} steps");
    }

    #[test]
    fn what_is_forgotten_is_said_to_be() {
        let mut history = History::new(4);
        let (mut quiet, mut busy) = (Head::default(), Head::default());
        history.push(&mut quiet, moment(1));
        for at in 2..=4 {
            history.push(&mut busy, moment(at));
        }
        assert_eq!(history.at(quiet, Until::Sequence(9)), Past::At(moment(1)), "at the bound");
        history.push(&mut busy, moment(5));
        assert_eq!(history.at(quiet, Until::Sequence(9)), Past::Forgotten, "one past it");
        assert_eq!(history.at(busy, Until::Sequence(1)), Past::Before);
        history.push(&mut busy, moment(6));
        assert_eq!(history.at(busy, Until::Sequence(2)), Past::Forgotten);
        assert_eq!(history.at(busy, Until::Sequence(3)), Past::At(moment(3)));
        assert_eq!(history.of(busy).count(), 4);
    }

    #[test]
    fn one_command_leaves_one_moment() {
        let mut history = History::new(4);
        let mut head = Head::default();
        history.push(&mut head, moment(1));
        history.push(&mut head, Moment { available: 7, ..moment(1) });
        assert_eq!(history.of(head).map(|m| m.available).collect::<Vec<_>>(), [7]);
    }
}
