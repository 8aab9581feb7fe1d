//! Owns how a workload comes by orders with a latest moment: some of its new orders are given one.
//! Knows nothing of what they lead to. Invariant: the workload itself is not touched, so the
//! streams that are made from it stay what they are.

use engine::Command;

use super::Step;
use crate::random::Random;

/// The same steps, but most new orders must not be later than about the time of their own step.
#[must_use]
pub fn with_latest_moments(steps: &[Step], seed: u64) -> Vec<Step> {
    let mut random = Random::new(!seed);
    let with_moment = |step: &Step| match step.command {
        Command::NewOrder(order) if random.chance(80) => {
            let latest_ns = match random.below(10) {
                0 => step.time_ns.saturating_sub(1),
                1 => step.time_ns + random.below(20),
                2..5 => u64::MAX,
                // Late only where time has gone back.
                _ => step.time_ns,
            };
            Step { command: Command::NewOrderBy { order, latest_ns }, ..*step }
        }
        _ => *step,
    };
    steps.iter().map(with_moment).collect()
}
