//! Owns what somebody else is still to be told, and when each of it is tried again.
//! Knows nothing of how it is told. Invariant: nothing is dropped before it was taken note of.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::options::RetryPolicy;

/// When it may be told, and how often it was in vain.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    from: Instant,
    tries: u32,
}

/// All that is owed, each once.
#[derive(Debug)]
pub(crate) struct Owed<T>(BTreeMap<T, Waiting>);

/// What is to happen with one of them now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// Looked at again at once when somebody asks.
    NotYet,
    /// Not looked at before then.
    Until(Instant),
}

impl<T: Copy + Ord> Owed<T> {
    pub(crate) fn new(items: impl IntoIterator<Item = T>) -> Self {
        let mut owed = Self(BTreeMap::new());
        items.into_iter().for_each(|item| owed.add(item));
        owed
    }

    pub(crate) fn add(&mut self, item: T) {
        self.0.insert(item, Waiting { from: Instant::now(), tries: 0 });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn store(&self) -> Vec<T> {
        self.0.keys().copied().collect()
    }

    /// When the first of them may be told, if there is any.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.0.values().map(|waiting| waiting.from).min()
    }

    /// When the next of them may be told that may not be told at `now`.
    pub(crate) fn next_look_after(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|waiting| waiting.from).filter(|from| *from > now).min()
    }

    /// Up to `max` that may be told now, in order.
    pub(crate) fn due(&mut self, max: usize, readiness: impl Fn(&T) -> Readiness) -> Vec<T> {
        let now = Instant::now();
        let mut due = Vec::new();
        for (item, waiting) in self.0.iter_mut().filter(|(_, waiting)| waiting.from <= now) {
            if due.len() == max {
                break;
            }
            match readiness(item) {
                Readiness::Ready => due.push(*item),
                Readiness::NotYet => {}
                Readiness::Until(later) => waiting.from = later,
            }
        }
        due
    }

    /// It was taken note of. False if it was not owed.
    pub(crate) fn done(&mut self, item: &T) -> bool {
        self.0.remove(item).is_some()
    }

    /// It was told in vain; returns how often by now.
    pub(crate) fn failed(&mut self, item: &T, retry: RetryPolicy) -> u32 {
        let Some(waiting) = self.0.get_mut(item) else { return 0 };
        waiting.tries = waiting.tries.saturating_add(1);
        waiting.from = Instant::now() + retry.pause(waiting.tries);
        waiting.tries
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_failed_waits_longer_each_time_and_nothing_is_dropped() {
        let retry = RetryPolicy::default();
        let mut owed = Owed::new([1, 2, 3]);
        owed.add(2);
        assert_eq!((owed.len(), owed.due(2, |_| Readiness::Ready)), (3, vec![1, 2]));
        assert_eq!((owed.failed(&1, retry), owed.failed(&9, retry)), (1, 0));
        assert_eq!(owed.due(9, |_| Readiness::Ready), [2, 3]);
        tokio::time::advance(retry.wait).await;
        assert_eq!(owed.due(9, |_| Readiness::Ready), [1, 2, 3]);
        assert_eq!(owed.failed(&1, retry), 2);
        tokio::time::advance(retry.wait).await;
        assert_eq!(owed.due(9, |_| Readiness::Ready), [2, 3], "twice as long");
        assert!(owed.done(&2) && !owed.done(&2));
        assert_eq!(owed.store(), [1, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_ready_is_asked_again_when_it_said() {
        let second = Duration::from_secs(1);
        let mut owed = Owed::new([1, 2]);
        let until = Instant::now() + second;
        let later = |item: &i32| match item {
            1 => Readiness::Until(until),
            _ => Readiness::NotYet,
        };
        assert_eq!(owed.due(9, later), [0; 0]);
        assert_eq!(owed.next_look_after(Instant::now()), Some(until));
        assert_eq!(owed.due(9, |_| Readiness::Ready), [2]);
        tokio::time::advance(second).await;
        assert_eq!(owed.due(9, |_| Readiness::Ready), [1, 2]);
    }
}
