//! What belongs here: books that are full of trailing stops, on engine and model, while the price
//! goes up and down in long swings. The random commands of all kinds meet a few such orders at a
//! time; here are hundreds that entered at many prices, and groups of them are pulled together.

use std::collections::{BTreeMap, BTreeSet};

use engine::{
    AccountId, AmendOrder, AssetCode, AssetId, ClientOrderId, Command, EngineConfig, Event,
    InstrumentId, InstrumentSpec, NewOrder, OrderId, OrderType, Price, Quantity, Side,
    TradingStatus, TransferId,
};
use tests::differ::{as_case, first_difference, shrink};
use tests::exchange::{Exchange, FastExchange};
use tests::model::{Defect, Model};
use tests::random::Random;
use tests::workload::{Step, frames};

const SEEDS: u64 = 60;
const COMMANDS: usize = 2_500;
/// The whole state is compared after every so many commands; events after each.
const STATE_EVERY: usize = 25;
const INSTRUMENT: InstrumentId = InstrumentId(1);
const ACCOUNTS: u32 = 3;
const FIRST_PRICE: i64 = 10_000;

/// The commands of one seed on their way.
struct Swings {
    random: Random,
    steps: Vec<Step>,
    price: i64,
    /// Ticks that the price moves by in one step of the present swing, at most.
    slope: i64,
    /// Orders that trail, the youngest last; some may have ended.
    trailing: Vec<(OrderId, AccountId)>,
    /// Widest offset, ticks, which about are basis points.
    widest: i64,
}

impl Swings {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let widest = random.pick(&[10, 60, 400]);
        let trailing = Vec::new();
        let mut swings =
            Self { random, steps: Vec::new(), price: FIRST_PRICE, slope: 3, trailing, widest };
        swings.open_market();
        swings
    }

    fn add(&mut self, command: Command) -> OrderId {
        let label = self.steps.len() as u64 + 1;
        self.steps.push(Step { label, time_ns: label, command });
        OrderId(label)
    }

    fn open_market(&mut self) {
        let (base, quote) = (AssetId(1), AssetId(2));
        for (asset, code) in [(base, "B"), (quote, "Q")] {
            let code = AssetCode::new(code).expect("a legal code");
            self.add(Command::AddAsset { asset, code, scale: 0 });
        }
        self.add(Command::AddInstrument(InstrumentSpec::open(INSTRUMENT, base, quote)));
        let status = TradingStatus::Trading;
        self.add(Command::SetTradingStatus { instrument: INSTRUMENT, status });
        for account in (1..=ACCOUNTS).map(AccountId) {
            self.add(Command::RegisterAccount { uuid: account.0.into(), stp_group: 0 });
            for asset in [base, quote] {
                let transfer_id = TransferId((account.0 * 10 + asset.0).into());
                self.add(Command::Credit { transfer_id, account, asset, amount: 1 << 60 });
            }
        }
        let max_triggers_per_command = self.random.pick(&[1, 5, 1_000]);
        self.add(Command::Configure(EngineConfig {
            max_triggers_per_command,
            ..EngineConfig::default()
        }));
        self.trade();
    }

    fn side(&mut self) -> Side {
        self.random.pick(&[Side::Buy, Side::Sell])
    }

    fn limit(&mut self, side: Side, lots: u64, price: i64) -> NewOrder {
        let account =
            AccountId(1 + u32::try_from(self.random.below(ACCOUNTS.into())).expect("few"));
        NewOrder::limit(account, INSTRUMENT, side, Quantity(lots), Price(price))
    }

    /// A price further along the swing, at which somebody sells and somebody buys.
    fn trade(&mut self) {
        if self.random.chance(4) {
            self.slope = self.random.between(-6, 6);
        }
        let back = if self.random.chance(10) { -2 * self.slope } else { 0 };
        let moved = self.slope + back + self.random.between(-2, 2);
        self.price = (self.price + moved).clamp(FIRST_PRICE / 2, FIRST_PRICE * 2);
        for side in [Side::Sell, Side::Buy] {
            let lots = 1 + self.random.below(3);
            let order = self.limit(side, lots, self.price);
            self.add(Command::NewOrder(order));
        }
    }

    /// An order that stays near the price, for stops to trade with.
    fn quote(&mut self) {
        let (side, away) = (self.side(), self.random.between(1, 12));
        let price = self.price + if side == Side::Buy { -away } else { away };
        let lots = 1 + self.random.below(4);
        let order = self.limit(side, lots, price);
        self.add(Command::NewOrder(order));
    }

    fn trail(&mut self) {
        let side = self.side();
        let lots = 1 + self.random.below(4);
        let mut order = self.limit(side, lots, 0);
        order.order_type = OrderType::TrailingStop;
        let offset = self.random.between(1, self.widest);
        if self.random.chance(50) {
            order.trail_ticks = offset;
        } else {
            order.trail_bps = u32::try_from(offset).expect("narrow");
        }
        let account = order.account;
        let id = self.add(Command::NewOrder(order));
        self.trailing.push((id, account));
    }

    fn some_trailing(&mut self) -> Option<(OrderId, AccountId)> {
        (!self.trailing.is_empty()).then(|| self.random.pick(&self.trailing))
    }

    fn advance(&mut self) {
        match self.random.below(100) {
            0..38 => self.trail(),
            38..62 => self.trade(),
            62..80 => self.quote(),
            80..92 => {
                let Some((order_id, account)) = self.some_trailing() else { return };
                let new_quantity = Quantity(1 + self.random.below(6));
                let (new_price, new_trigger) = (Price(0), Price(0));
                let amend = AmendOrder { account, order_id, new_price, new_quantity, new_trigger };
                self.add(Command::AmendOrder(amend));
            }
            92..99 => {
                let Some((order_id, account)) = self.some_trailing() else { return };
                let client_order_id = ClientOrderId::EMPTY;
                self.add(Command::CancelOrder { account, order_id, client_order_id });
            }
            _ if self.random.chance(10) => {
                let (account, side) = (AccountId(1), Some(self.side()));
                self.add(Command::MassCancel { account, instrument: INSTRUMENT, side });
            }
            _ => {}
        }
    }
}

/// The commands of one seed.
pub(crate) fn steps(seed: u64) -> Vec<Step> {
    let mut swings = Swings::new(seed);
    while swings.steps.len() < COMMANDS {
        swings.advance();
    }
    swings.steps
}

/// The most that one seed has seen, or how often.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    dormant: usize,
    /// Different references of one side's orders by ticks.
    references: usize,
    /// Orders of one side that one command gave a new reference.
    pulled: usize,
    fired: usize,
    fired_at_once: usize,
    grown: usize,
    reduced: usize,
    cancelled: usize,
}

impl Seen {
    fn note(&mut self, events: &[Event], trailing: &BTreeMap<OrderId, (Side, i64)>) {
        let mut fired = 0;
        for event in events {
            match event {
                Event::OrderTriggered { .. } => fired += 1,
                Event::OrderAmended { kept: false, .. } => self.grown += 1,
                Event::OrderAmended { kept: true, .. } => self.reduced += 1,
                Event::OrderClosed { order_id, filled: Quantity(0), .. } => {
                    self.cancelled += usize::from(trailing.contains_key(order_id));
                }
                _ => {}
            }
        }
        self.fired += fired;
        self.fired_at_once = self.fired_at_once.max(fired);
    }
}

/// What the commands of a seed do to the engine.
fn seen(seed: u64) -> Seen {
    let (mut exchange, mut seen) = (FastExchange::default(), Seen::default());
    let mut by_ticks: BTreeMap<OrderId, (Side, i64)> = BTreeMap::new();
    let mut before: BTreeMap<OrderId, i64> = BTreeMap::new();
    for frame in frames(&steps(seed)) {
        if let Command::NewOrder(order) = frame.command
            && order.order_type == OrderType::TrailingStop
        {
            by_ticks.insert(OrderId(frame.sequence), (order.side, order.trail_ticks));
        }
        let events = exchange.apply(&frame);
        seen.note(&events, &by_ticks);
        let dormant = exchange.dormant_orders(INSTRUMENT);
        seen.dormant = seen.dormant.max(dormant.len());
        let mut references = BTreeMap::new();
        for order in &dormant {
            match by_ticks[&order.id] {
                (_, 0) => {}
                (Side::Buy, ticks) => _ = references.insert(order.id, order.trigger.0 - ticks),
                (Side::Sell, ticks) => _ = references.insert(order.id, order.trigger.0 + ticks),
            }
        }
        for side in Side::ALL {
            let ours = || references.iter().filter(|(id, _)| by_ticks[id].0 == *side);
            let different: BTreeSet<i64> = ours().map(|(_, reference)| *reference).collect();
            let is_pulled = |(id, now): &(&OrderId, &i64)| {
                before.get(id).is_some_and(|reference| reference != *now)
            };
            seen.references = seen.references.max(different.len());
            seen.pulled = seen.pulled.max(ours().filter(is_pulled).count());
        }
        before = references;
    }
    seen
}

#[test]
fn engine_and_model_agree_on_books_full_of_trailing_stops() {
    for seed in 0..SEEDS {
        let differs = |steps: &[Step]| {
            first_difference(FastExchange::default(), Model::default(), steps, STATE_EVERY)
        };
        let steps = steps(seed);
        if differs(&steps).is_some() {
            let (steps, difference) = shrink(&steps, differs);
            let case = as_case(&format!("trailing {seed}"), &steps);
            panic!("first the engine, then the model: {}\n{case}", difference.text);
        }
    }
}

#[test]
fn the_swings_pull_elect_amend_and_cancel_many() {
    let all: Vec<Seen> = (0..SEEDS).map(seen).collect();
    let most = |what: fn(&Seen) -> usize| all.iter().map(what).max().unwrap_or(0);
    let in_all = |what: fn(&Seen) -> usize| all.iter().map(what).sum::<usize>();
    let most_seen = [
        most(|seen| seen.dormant),
        most(|seen| seen.references),
        most(|seen| seen.pulled),
        most(|seen| seen.fired_at_once),
    ];
    let seen_in_all = [
        in_all(|seen| seen.fired),
        in_all(|seen| seen.grown),
        in_all(|seen| seen.reduced),
        in_all(|seen| seen.cancelled),
    ];
    let enough = |seen: [usize; 4], least: [usize; 4]| seen.iter().zip(least).all(|(s, l)| *s > l);
    assert!(enough(most_seen, [200, 20, 50, 50]), "{most_seen:?}");
    assert!(enough(seen_in_all, [10_000, 500, 300, 5_000]), "{seen_in_all:?}");
}

#[test]
fn a_trailing_stop_that_goes_back_is_noticed() {
    let model = Model::new(Some(Defect::TrailGoesBack));
    assert!(first_difference(FastExchange::default(), model, &steps(0), 1).is_some());
}
