//! Owns what a trader does, how often, and when. Knows nothing of how it is done. Invariant: a
//! request of a trader with a pace is due at its time whatever became of the ones before, and its
//! latency counts from then.

use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;

/// One thing that a trader does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Place,
    PlaceWithoutKey,
    PlaceBroken,
    /// An order on its own side of the market.
    Rest,
    /// An order on the other side.
    Cross,
    Cancel,
    Amend,
    CancelAll,
    Repeat,
    Contradict,
    Deposit,
    Look,
    /// An order with a token that nobody has signed.
    Forge,
    /// An order that is longer than any may be.
    Overfill,
}

/// So many of a thousand.
type Mix = [(u64, Action)];

/// Everything there is, orders of all kinds.
const PROOF: &Mix = &[
    (690, Action::Place),
    (10, Action::PlaceWithoutKey),
    (80, Action::Cancel),
    (70, Action::Amend),
    (6, Action::CancelAll),
    (34, Action::Repeat),
    (20, Action::Contradict),
    (25, Action::PlaceBroken),
    (15, Action::Deposit),
    (50, Action::Look),
];

/// A market maker's day: most requests change or take back an order, and some are hostile.
const MAKER: &Mix = &[
    (395, Action::Amend),
    (200, Action::Cancel),
    (5, Action::CancelAll),
    (290, Action::Rest),
    (100, Action::Cross),
    (3, Action::Forge),
    (3, Action::Contradict),
    (2, Action::Overfill),
    (2, Action::PlaceBroken),
];

/// When the requests of one trader are due.
#[derive(Clone, Debug)]
pub struct Pace {
    next: Instant,
    every: Duration,
    /// Who is told of each latency.
    taken: Sender<Duration>,
}

impl Pace {
    /// The first request is due at `first`, and one more each time that `every` has passed.
    #[must_use]
    pub fn new(first: Instant, every: Duration, taken: Sender<Duration>) -> Self {
        Self { next: first, every, taken }
    }
}

/// What a trader does.
#[derive(Clone, Debug)]
pub struct Habits {
    mix: &'static Mix,
    pace: Option<Pace>,
}

impl Default for Habits {
    /// One thing after the other, as fast as the answers come.
    fn default() -> Self {
        Self { mix: PROOF, pace: None }
    }
}

impl Habits {
    /// Makes a market at this pace.
    #[must_use]
    pub fn maker(pace: Pace) -> Self {
        Self { mix: MAKER, pace: Some(pace) }
    }

    /// What comes next.
    pub(super) fn choose(&self, random: &mut Random) -> Action {
        let mut drawn = random.below(self.mix.iter().map(|(weight, _)| weight).sum());
        for (weight, action) in self.mix {
            if drawn < *weight {
                return *action;
            }
            drawn -= weight;
        }
        unreachable!("the weights are those that were drawn from")
    }

    /// Whether each time counts, so that none may pass without a request.
    pub(super) fn is_paced(&self) -> bool {
        self.pace.is_some()
    }

    /// Waits until the next request is due.
    pub(super) fn wait(&self) {
        if let Some(pace) = &self.pace {
            thread::sleep(pace.next.saturating_duration_since(Instant::now()));
        }
    }

    /// The request that was due has been answered.
    pub(super) fn answered(&mut self) {
        if let Some(pace) = &mut self.pace {
            // Whoever does not listen any more has all that counts.
            let _ = pace.taken.send(pace.next.elapsed());
            pace.next += pace.every;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_weights_are_of_a_thousand() {
        for mix in [PROOF, MAKER] {
            assert_eq!(mix.iter().map(|(weight, _)| weight).sum::<u64>(), 1_000);
        }
        let share = |wanted: &[Action]| -> u64 {
            MAKER.iter().filter(|(_, a)| wanted.contains(a)).map(|(weight, _)| weight).sum()
        };
        assert_eq!(share(&[Action::Amend, Action::Cancel, Action::CancelAll]), 600);
        let hostile = [Action::Forge, Action::Contradict, Action::Overfill, Action::PlaceBroken];
        assert_eq!(share(&hostile), 10);
    }

    #[test]
    fn a_late_answer_delays_no_due_time() {
        let (taken, latencies) = channel();
        let begin = Instant::now();
        let every = Duration::from_millis(20);
        let mut habits = Habits::maker(Pace::new(begin, every, taken));
        for _ in 0..3 {
            habits.answered();
        }
        let pace = habits.pace.as_ref().unwrap();
        assert_eq!(pace.next, begin + 3 * every);
        // The second and the third were not even due.
        let latencies: Vec<_> = latencies.try_iter().collect();
        assert_eq!(latencies.len(), 3);
        assert!(latencies[0] >= latencies[2]);
    }
}
