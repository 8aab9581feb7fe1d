//! What belongs here: orders with a latest moment, on the fast engine and on the model.

use engine::{Event, RejectReason};
use tests::differ::{as_case, shrink};
use tests::exchange::{Exchange, FastExchange};
use tests::model::Defect;
use tests::workload::{Step, frames, with_latest_moments, workload};

use super::{STATE_EVERY, compare};

const SEEDS: u64 = 200;
const COMMANDS: usize = 500;

fn steps(seed: u64) -> Vec<Step> {
    with_latest_moments(&workload(seed, COMMANDS), seed)
}

#[test]
fn engine_and_model_agree_on_which_orders_are_late() {
    let (mut late, mut accepted, mut repeated) = (0, 0, 0);
    for seed in 0..SEEDS {
        let steps = steps(seed);
        if compare(&steps, None, STATE_EVERY).is_some() {
            let (steps, difference) = shrink(&steps, |steps| compare(steps, None, 1));
            let case = as_case(&format!("late, seed {seed}"), &steps);
            panic!("{}\nAdd to it/vectors/agreement.txt:\n{case}", difference.text);
        }
        let mut fast = FastExchange::default();
        for event in frames(&steps).iter().flat_map(|frame| fast.apply(frame)) {
            match event {
                Event::CommandRejected { reason: RejectReason::RecvWindow, .. } => late += 1,
                Event::OrderAccepted(_) => accepted += 1,
                Event::OrderDuplicate { .. } => repeated += 1,
                _ => {}
            }
        }
    }
    let counts = [late, accepted, repeated];
    assert!(counts.iter().all(|count| *count > 100), "hardly ever seen: {counts:?}");
}

#[test]
fn a_mistake_about_late_orders_is_noticed_and_told_in_few_commands() {
    for (defect, most) in [(Defect::LateAtTheMoment, 12), (Defect::LateTakesKey, 14)] {
        let wrong = |steps: &[Step]| compare(steps, Some(defect), 1);
        let found = (0..SEEDS).map(steps).find(|steps| wrong(steps).is_some());
        let found = found.unwrap_or_else(|| panic!("{defect:?} is never noticed"));
        let (steps, difference) = shrink(&found, wrong);
        assert_eq!(difference.step + 1, steps.len(), "{defect:?}");
        assert!(steps.len() <= most, "{defect:?}:\n{}", as_case("too long", &steps));
        assert!(compare(&steps, None, 1).is_none(), "{defect:?} is not what differs");
    }
}
