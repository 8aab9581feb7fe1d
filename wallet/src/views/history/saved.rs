//! Owns how the balances of the past are saved and restored. Knows nothing of what a wallet is.
//! Invariant: what is restored leads back only, so that every search in it ends.

use engine::codec::append as put;
use engine::{RestoreError, SnapshotReader};

use super::{Entry, Head, History, Place};

/// Of an entry.
const ENTRY_BYTES: usize = 8 + 8 + 16 + 16 + 8 + 3 * 8;
/// Far beyond all that a ledger comes to, and far below where adding to it would overflow.
const PLACE_MAX: Place = 1 << 62;

impl History {
    pub(in crate::views) fn save(&self, out: &mut Vec<u8>) {
        let Self { entries, first, bound: _ } = self;
        out.reserve(entries.len() * ENTRY_BYTES);
        put(&(first, entries), out);
    }

    /// A fresh history, with what was saved of one that kept no more; no command was later than
    /// `sequence`.
    pub(in crate::views) fn filled(
        mut self,
        from: &mut SnapshotReader<'_>,
        sequence: u64,
    ) -> Result<Self, RestoreError> {
        self.first = from.read("first place")?;
        from.check((1..=PLACE_MAX).contains(&self.first), "first place")?;
        let count = from.count_of("balances of the past", self.bound, ENTRY_BYTES)?;
        self.entries.reserve(count);
        let mut last = 0;
        for place in (self.first..).take(count) {
            let entry: Entry = from.read("balance of the past")?;
            let in_turn = (last..=sequence).contains(&entry.moment.sequence);
            from.check(in_turn, "order of balances of the past")?;
            from.check(self.leads_back(place, &entry), "way to earlier balances")?;
            last = entry.moment.sequence;
            self.entries.push_back(entry);
        }
        Ok(self)
    }

    /// Whether an entry points to earlier ones of fewer entries before them, as far as they are
    /// kept.
    fn leads_back(&self, place: Place, entry: &Entry) -> bool {
        let Entry { moment: _, previous, jump, depth } = *entry;
        let earlier = |place| self.get(place).map(|entry| entry.depth);
        let follows = earlier(previous).is_none_or(|before| before + 1 == depth);
        let skips = earlier(jump).is_none_or(|before| before < depth);
        let is_first = depth == 0;
        previous < place
            && jump <= place
            && (jump == place) == is_first
            && depth < place
            && follows
            && skips
    }

    /// Whether a wallet can have this newest entry.
    pub(in crate::views) fn has(&self, head: Head) -> bool {
        head.0 < self.first + self.entries.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::types::TransactionId;
    use crate::views::history::{Moment, Past, Until};

    fn moment(at: u64) -> Moment {
        let (available, reserved) = (at.into(), 0);
        Moment {
            sequence: at,
            timestamp_ns: at,
            available,
            reserved,
            transaction: TransactionId(1),
        }
    }

    /// Two wallets, and more moments than are kept.
    fn history() -> (History, [Head; 2]) {
        let (mut history, mut heads) = (History::new(40), [Head::default(); 2]);
        for at in 1..=60 {
            history.push(&mut heads[usize::from(at % 3 == 0)], moment(at));
        }
        (history, heads)
    }

    fn restored(history: &History, bound: usize) -> Result<History, RestoreError> {
        let mut bytes = Vec::new();
        history.save(&mut bytes);
        History::new(bound).filled(&mut SnapshotReader::new(&bytes), 60)
    }

    #[test]
    fn every_moment_is_found_again_and_later_ones_are_added_alike() {
        let (mut history, heads) = history();
        let mut same = restored(&history, 40).unwrap();
        let mut twins = heads;
        for at in 61..=200 {
            history.push(&mut twins[usize::from(at % 3 == 0)], moment(at));
        }
        let mut others = heads;
        for at in 61..=200 {
            same.push(&mut others[usize::from(at % 3 == 0)], moment(at));
        }
        assert_eq!(twins, others);
        for head in twins {
            for at in 0..=201 {
                let until = Until::Sequence(at);
                assert_eq!(same.at(head, until), history.at(head, until), "{at}");
            }
            assert!(matches!(same.at(head, Until::Sequence(200)), Past::At(_)));
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (history, _) = history();
        assert!(restored(&history, 40).is_ok(), "at the bound");
        assert!(restored(&history, 39).is_err(), "one past it");
        let at = |first| restored(&History { first, ..History::new(1) }, 1);
        assert!(at(PLACE_MAX).is_ok() && at(1).is_ok(), "at the bounds of a place");
        assert!(at(PLACE_MAX + 1).is_err() && at(0).is_err(), "one past them");
    }

    #[test]
    fn what_does_not_lead_back_is_refused() {
        let broken = |change: fn(&mut Entry)| {
            let (mut history, _) = history();
            change(&mut history.entries[30]);
            restored(&history, 40).is_err()
        };
        let (history, [head, _]) = history();
        assert!(history.has(head) && !history.has(Head(61)), "60 entries were ever made");
        // The entry stands at place 21 + 30.
        assert!(broken(|entry| entry.previous = 51), "to itself");
        assert!(broken(|entry| entry.jump = 52), "forward");
        assert!(broken(|entry| entry.jump = 51), "nowhere, though it is not the first");
        assert!(broken(|entry| entry.depth += 1), "not one more than before");
        assert!(broken(|entry| entry.moment.sequence = 1), "out of order");
        assert!(broken(|entry| entry.moment.sequence = 61), "later than the last command");
    }
}
