//! What belongs here: random commands on the fast engine and on the model, compared event by event,
//! the proof that this comparison notices mistakes, and the cases that once told the two apart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use engine::{CloseReason, Command, Event, RejectReason};
use tests::differ::{Difference, as_case, first_difference, read_cases, shrink};
use tests::exchange::{Exchange, FastExchange};
use tests::model::{Defect, Model};
use tests::workload::{Step, frames, workload};

const SEEDS: u64 = 1_000;
const COMMANDS: usize = 2_000;
/// The whole state is compared after every so many commands; events after each.
const STATE_EVERY: usize = 20;

/// How often each kind of answer was seen.
#[derive(Debug, Default)]
struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    fn note(&mut self, event: &Event) {
        let name = match event {
            Event::CommandRejected { reason, .. } => reason.name().to_owned(),
            Event::OrderDuplicate { reason, .. } => format!("OrderDuplicate {}", reason.is_some()),
            Event::TransferDuplicate { reason, .. } => {
                format!("TransferDuplicate {}", reason.is_some())
            }
            Event::OrderClosed { reason, .. } => format!("{reason:?}"),
            Event::OrderAmended { kept, .. } => format!("OrderAmended {kept}"),
            Event::TransferApplied { kind, .. } => format!("TransferApplied {kind:?}"),
            Event::OrderReserving { .. } => "OrderReserving".to_owned(),
            Event::OrderAbandoned { reason, .. } => reason.name().to_owned(),
            Event::FundsReturned { captured: 0, .. } => "FundsReturned whole".to_owned(),
            Event::FundsReturned { returned: 0, .. } => "FundsReturned nothing".to_owned(),
            Event::FundsReturned { .. } => "FundsReturned rest".to_owned(),
            Event::SelfTradePrevented { mode, .. } => format!("SelfTradePrevented {mode:?}"),
            Event::Trade(trade) if trade.maker_account == trade.taker_account => {
                "Trade with oneself".to_owned()
            }
            Event::Trade(trade) if trade.maker_fee < 0 => "Trade with rebate".to_owned(),
            _ => return,
        };
        *self.0.entry(name).or_default() += 1;
    }

    fn merge(mut self, other: Self) -> Self {
        for (name, count) in other.0 {
            *self.0.entry(name).or_default() += count;
        }
        self
    }
}

fn compare(steps: &[Step], defect: Option<Defect>, state_every: usize) -> Option<Difference> {
    let (fast, model) = (FastExchange::default(), Model::new(defect));
    first_difference(fast, model, steps, state_every, |_, _| {})
}

/// Runs seeds until none is left; returns the seeds that differ.
fn run_seeds(next: &AtomicU64) -> (Coverage, Vec<u64>) {
    let (mut coverage, mut differing) = (Coverage::default(), Vec::new());
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= SEEDS {
            return (coverage, differing);
        }
        let (fast, model) = (FastExchange::default(), Model::default());
        let steps = workload(seed, COMMANDS);
        let note = |_: &Command, events: &[Event]| events.iter().for_each(|e| coverage.note(e));
        if first_difference(fast, model, &steps, STATE_EVERY, note).is_some() {
            differing.push(seed);
        }
    }
}

#[test]
fn engine_and_model_agree_on_random_commands() {
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (mut coverage, mut differing) = (Coverage::default(), Vec::new());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| run_seeds(&next))).collect();
        for worker in workers {
            let (seen, seeds) = worker.join().expect("a worker does not panic");
            coverage = std::mem::take(&mut coverage).merge(seen);
            differing.extend(seeds);
        }
    });
    if let Some(seed) = differing.iter().min() {
        let (steps, difference) =
            shrink(&workload(*seed, COMMANDS), |steps| compare(steps, None, 1));
        let case = as_case(&format!("seed {seed}"), &steps);
        let (count, text) = (differing.len(), difference.text);
        panic!(
            "{count} seeds differ; first the engine, then the model: {text}\n\
            Add to it/vectors/agreement.txt:\n{case}"
        );
    }
    assert_coverage(&coverage);
}

/// The workload is worth its time only if it reaches every answer that this version can give.
fn assert_coverage(coverage: &Coverage) {
    use RejectReason as R;
    const ABSENT: &[R] = &[
        R::NotAmendable,
        R::InvalidStop,
        R::KillSwitch,
        R::NoReferencePrice,
        R::TriggerOutOfRange,
        R::DailyVolume,
    ];
    const CLOSED: &[CloseReason] = &[
        CloseReason::Filled,
        CloseReason::BudgetSpent,
        CloseReason::IocRemainder,
        CloseReason::NoLiquidity,
        CloseReason::PriceCollar,
        CloseReason::SelfTrade,
        CloseReason::UserCancel,
        CloseReason::MassCancel,
        CloseReason::AmendedAway,
        CloseReason::MatchLimit,
    ];
    let reasons = R::ALL.iter().filter(|r| !ABSENT.contains(r)).map(|r| r.name().to_owned());
    let closed = CLOSED.iter().map(|reason| format!("{reason:?}"));
    let others = [
        "OrderDuplicate false",
        "OrderDuplicate true",
        "TransferDuplicate false",
        "TransferDuplicate true",
        "OrderAmended false",
        "OrderAmended true",
        "TransferApplied Credit",
        "TransferApplied Debit",
        "TransferApplied FundedOrder",
        "TransferApplied Proceeds",
        "TransferApplied FundsReturned",
        "OrderReserving",
        "FundsReturned whole",
        "FundsReturned nothing",
        "FundsReturned rest",
        "SelfTradePrevented CancelTaker",
        "SelfTradePrevented CancelMaker",
        "SelfTradePrevented CancelBoth",
        "SelfTradePrevented Decrement",
        "Trade with oneself",
        "Trade with rebate",
    ];
    let wanted = reasons.chain(closed).chain(others.map(str::to_owned));
    let rare: Vec<String> =
        wanted.filter(|name| coverage.0.get(name).is_none_or(|count| *count < 100)).collect();
    assert!(rare.is_empty(), "hardly ever seen: {rare:?} in {coverage:#?}");
}

#[test]
fn a_mistake_is_noticed_and_told_in_few_commands() {
    for (defect, most) in [
        (Defect::FeesRoundDown, 12),
        (Defect::GrowthKeepsPlace, 14),
        (Defect::RefusalsForgotten, 9),
        (Defect::ProceedsStay, 12),
        (Defect::GroupsIgnored, 12),
        (Defect::PreventedComesBack, 12),
    ] {
        let wrong = |steps: &[Step]| compare(steps, Some(defect), 1);
        let found = (0..SEEDS).map(|seed| workload(seed, 500)).find(|s| wrong(s).is_some());
        let steps = found.unwrap_or_else(|| panic!("{defect:?} is never noticed"));
        let (steps, difference) = shrink(&steps, wrong);
        assert_eq!(difference.step + 1, steps.len(), "{defect:?}");
        assert!(steps.len() <= most, "{defect:?}:\n{}", as_case("too long", &steps));
        assert!(compare(&steps, None, 1).is_none(), "{defect:?} is not what differs");
    }
}

#[test]
fn cases_that_once_differed_agree() {
    let cases = read_cases(include_str!("vectors/agreement.txt"));
    assert!(!cases.is_empty());
    for (name, frames) in cases {
        let (mut fast, mut model) = (FastExchange::default(), Model::default());
        for frame in &frames {
            assert_eq!(fast.apply(frame), model.apply(frame), "{name}: {frame:?}");
            fast.assert_invariants();
        }
    }
}

#[test]
fn a_printed_case_reads_back_as_the_same_frames() {
    let steps = workload(3, 300);
    let text = [as_case("first", &steps), as_case("second one", &steps[..5])].concat();
    let cases = read_cases(&text);
    assert_eq!(cases[0], ("first".to_owned(), frames(&steps)));
    assert_eq!(cases[1], ("second one".to_owned(), frames(&steps[..5])));
}
