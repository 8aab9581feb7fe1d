//! What belongs here: random commands on the fast engine and on the model, compared event by event,
//! the proof that this comparison notices mistakes, and the cases that once told the two apart.

mod late;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use engine::{
    CloseReason, Event, InstrumentId, KillSwitchScope, OrderAccepted, OrderId, OrderType,
    RejectReason, SelfTradePolicy, TimeInForce,
};
use tests::differ::{
    Difference, as_case, first_difference, first_difference_on_the_way, read_cases, shrink,
};
use tests::exchange::{Exchange, FastExchange};
use tests::model::{Defect, Model};
use tests::workload::{Step, frames, workload};

const SEEDS: u64 = 5_000;
const COMMANDS: usize = 2_000;
/// The whole state is compared after every so many commands; events after each.
const STATE_EVERY: usize = 20;
/// Books that a workload opens, at most.
const BOOKS: u32 = 3;

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
            Event::OrderAmended { kept, visible, .. } if *kept == (visible.0 != 0) => {
                format!("OrderAmended {kept}")
            }
            Event::OrderAmended { .. } => "OrderAmended asleep".to_owned(),
            Event::OrderTriggered { released: 0, .. } => "OrderTriggered".to_owned(),
            Event::OrderTriggered { .. } => "OrderTriggered and less held".to_owned(),
            Event::IcebergRefreshed { .. } => "IcebergRefreshed".to_owned(),
            Event::KillSwitchChanged { scope, on, .. } => format!("{scope:?} stopped {on}"),
            Event::SessionEnded { closed: 1.., .. } => "SessionEnded of some".to_owned(),
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
        self.count(name);
    }

    fn count(&mut self, name: String) {
        *self.0.entry(name).or_default() += 1;
    }

    fn merge(mut self, other: Self) -> Self {
        for (name, count) in other.0 {
            *self.0.entry(name).or_default() += count;
        }
        self
    }
}

/// What must be remembered of earlier events to say what a later one is.
#[derive(Debug, Default)]
struct Past {
    types: BTreeMap<OrderId, OrderType>,
    /// Orders that show a part.
    in_parts: BTreeSet<OrderId>,
    /// Orders that wait to be matched, before the command.
    waiting: BTreeSet<OrderId>,
}

impl Past {
    fn note(&mut self, events: &[Event], model: Option<&Model>, coverage: &mut Coverage) {
        let mut fired = 0;
        for event in events {
            coverage.note(event);
            match event {
                Event::OrderAccepted(order) => {
                    let OrderAccepted { order_id, order_type, time_in_force, .. } = *order;
                    coverage.count(format!("{order_type:?} {time_in_force:?}"));
                    self.types.insert(order_id, order_type);
                    if order.display.0 != 0 {
                        self.in_parts.insert(order_id);
                    }
                }
                Event::OrderTriggered { order_id, .. } => {
                    fired += 1;
                    self.waiting.remove(order_id);
                    coverage.count(format!("{:?} fired", self.types[order_id]));
                }
                Event::SelfTradePrevented { mode, maker_order_id, .. }
                    if self.in_parts.contains(maker_order_id) =>
                {
                    coverage.count(format!("SelfTradePrevented {mode:?} with a part"));
                }
                Event::OrderClosed { order_id, reason, .. } if self.waiting.contains(order_id) => {
                    coverage.count(format!("waits and ends {reason:?}"));
                }
                _ => {}
            }
        }
        if fired > 1 {
            coverage.count("cascade".to_owned());
        }
        if let Some(model) = model {
            let waiting = (1..=BOOKS).flat_map(|book| model.triggered_orders(InstrumentId(book)));
            self.waiting = waiting.collect();
        }
    }
}

fn compare(steps: &[Step], defect: Option<Defect>, state_every: usize) -> Option<Difference> {
    let (fast, model) = (FastExchange::default(), Model::new(defect));
    first_difference(fast, model, steps, state_every)
}

/// Runs seeds until none is left; returns the seeds that differ.
fn run_seeds(next: &AtomicU64) -> (Coverage, Vec<u64>) {
    let (mut coverage, mut differing) = (Coverage::default(), Vec::new());
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= SEEDS {
            return (coverage, differing);
        }
        let mut past = Past::default();
        let note = |events: &[Event], model: Option<&Model>| {
            past.note(events, model, &mut coverage);
        };
        let fast = FastExchange::default();
        if first_difference_on_the_way(fast, seed, COMMANDS, STATE_EVERY, note).is_some() {
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
    const WAITING: [CloseReason; 5] = [
        CloseReason::UserCancel,
        CloseReason::MassCancel,
        CloseReason::Expired,
        CloseReason::SessionEnd,
        CloseReason::KillSwitch,
    ];
    // No order of these workloads has a latest moment; those of `late` have.
    let reasons = R::ALL.iter().filter(|r| **r != R::RecvWindow).map(|r| r.name().to_owned());
    let closed = CloseReason::ALL.iter().map(|reason| format!("{reason:?}"));
    let waiting = WAITING.iter().map(|reason| format!("waits and ends {reason:?}"));
    let fired = OrderType::ALL[2..].iter().map(|of_type| format!("{of_type:?} fired"));
    let modes = SelfTradePolicy::ALL[1..].iter();
    let modes = modes.flat_map(|mode| {
        ["", " with a part"].map(|what| format!("SelfTradePrevented {mode:?}{what}"))
    });
    let switches = KillSwitchScope::ALL.iter();
    let switches =
        switches.flat_map(|scope| [true, false].map(|on| format!("{scope:?} stopped {on}")));
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
        "OrderAmended asleep",
        "OrderTriggered",
        "OrderTriggered and less held",
        "IcebergRefreshed",
        "SessionEnded of some",
        "cascade",
        "Trade with oneself",
        "Trade with rebate",
    ];
    let kinds = reasons.chain(closed).chain(waiting).chain(fired).chain(modes).chain(switches);
    let wanted = kinds.chain(legal_kinds()).chain(others.map(str::to_owned));
    let rare: Vec<String> =
        wanted.filter(|name| coverage.0.get(name).is_none_or(|count| *count < 100)).collect();
    assert!(rare.is_empty(), "hardly ever seen: {rare:?} in {coverage:#?}");
}

/// Every type of order with every time in force that it can have.
fn legal_kinds() -> Vec<String> {
    let mut kinds = Vec::new();
    for order_type in OrderType::ALL {
        use OrderType::{Limit, Market, StopLimit, TakeProfitLimit};
        for time_in_force in TimeInForce::ALL {
            let immediate = matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
            let legal = match order_type {
                Limit | StopLimit | TakeProfitLimit => true,
                Market => immediate,
                _ => !immediate,
            };
            if legal {
                kinds.push(format!("{order_type:?} {time_in_force:?}"));
            }
        }
    }
    kinds
}

#[test]
fn a_mistake_is_noticed_and_told_in_few_commands() {
    for (defect, most) in [
        (Defect::FeesRoundDown, 12),
        (Defect::GrowthKeepsPlace, 14),
        (Defect::RefusalsForgotten, 9),
        (Defect::ProceedsStay, 14),
        (Defect::GroupsIgnored, 13),
        (Defect::PreventedComesBack, 16),
        (Defect::StopsFireByAge, 20),
        (Defect::FallsFireFirst, 14),
        (Defect::OneStopTooMany, 14),
        (Defect::AmendedStopWaits, 17),
        (Defect::CapStays, 21),
        (Defect::TrailGoesBack, 15),
        (Defect::ExpiryAfterInstant, 11),
        (Defect::RefreshKeepsPlace, 16),
        (Defect::ReserveForgotten, 12),
        (Defect::OwnVolumeCountsOnce, 15),
        (Defect::KillSparesDormant, 9),
        (Defect::BandNotFrozen, 18),
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
