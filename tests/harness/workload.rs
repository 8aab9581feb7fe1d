//! Owns the random commands that the exchanges are compared on: a function of a seed.
//! Knows of the exchange only what a client sees: live orders and balances, asked of the model.
//! Invariant: every weight is chosen so that what is rare in a market (refusals, ends, full tables)
//! is common here.

mod changes;
mod market;
mod orders;
mod upkeep;
mod windows;

use std::collections::BTreeMap;

use engine::command::AmendOrder;
use engine::{
    AccountId, AssetCode, AssetId, Command, Event, Frame, InstrumentId, OrderId, TradingStatus,
    TransferId,
};

use crate::model::Model;
use crate::random::Random;
use market::Market;
pub use windows::with_latest_moments;

/// One command of a workload. The orders that it names are named by label.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The sequence that the command has in the whole workload.
    pub label: u64,
    pub time_ns: u64,
    pub command: Command,
}

/// The frames of these steps, numbered from 1: orders are renamed to their new sequences, and an
/// order whose step is gone becomes one that never was.
#[must_use]
pub fn frames(steps: &[Step]) -> Vec<Frame<Command>> {
    let sequences: BTreeMap<u64, u64> = steps.iter().map(|s| s.label).zip(1..).collect();
    let renamed = |id: OrderId| match id.0 {
        0 => id,
        label => OrderId(sequences.get(&label).copied().unwrap_or(u64::MAX)),
    };
    let mut frames = Vec::with_capacity(steps.len());
    for (step, sequence) in steps.iter().zip(1..) {
        let command = match step.command {
            Command::CancelOrder { account, order_id, client_order_id } => {
                Command::CancelOrder { account, order_id: renamed(order_id), client_order_id }
            }
            Command::AmendOrder(amend) => {
                Command::AmendOrder(AmendOrder { order_id: renamed(amend.order_id), ..amend })
            }
            Command::PlaceReserved { order_id } => {
                Command::PlaceReserved { order_id: renamed(order_id) }
            }
            Command::AbandonReserved { order_id, reason } => {
                Command::AbandonReserved { order_id: renamed(order_id), reason }
            }
            other => other,
        };
        frames.push(Frame { sequence, timestamp_ns: step.time_ns, command });
    }
    frames
}

/// The first `count` commands of the workload of this seed.
#[must_use]
pub fn workload(seed: u64, count: usize) -> Vec<Step> {
    let mut workload = Workload::new(seed);
    (0..count).map(|_| workload.advance().0).collect()
}

/// A workload on its way: what comes next depends on what the model made of all before.
#[derive(Debug)]
pub struct Workload {
    random: Random,
    market: Market,
    /// Has applied every step so far.
    model: Model,
    now_ns: u64,
    steps: Vec<Step>,
    /// What the model answered to each step.
    answers: Vec<Vec<Event>>,
    /// How many steps were handed out.
    given: usize,
    next_transfer: u128,
}

impl Workload {
    /// The workload of this seed, of which nothing was handed out yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let market = Market::new(&mut random);
        let mut workload = Self {
            random,
            market,
            model: Model::default(),
            now_ns: 0,
            steps: Vec::new(),
            answers: Vec::new(),
            given: 0,
            next_transfer: 1,
        };
        workload.open_market();
        workload
    }

    /// The next step, and what the model answers to it.
    pub fn advance(&mut self) -> (Step, Vec<Event>) {
        if self.given == self.steps.len() {
            self.add_random();
        }
        self.given += 1;
        (self.steps[self.given - 1], std::mem::take(&mut self.answers[self.given - 1]))
    }

    /// The model after the steps handed out, unless it is ahead of them, as at the beginning.
    #[must_use]
    pub fn model(&self) -> Option<&Model> {
        (self.given == self.steps.len()).then_some(&self.model)
    }

    fn add(&mut self, command: Command) {
        let label = self.steps.len() as u64 + 1;
        self.steps.push(Step { label, time_ns: self.now_ns, command });
        let frame = Frame { sequence: label, timestamp_ns: self.now_ns, command };
        self.answers.push(self.model.apply(&frame));
    }

    /// Assets, instruments, accounts and money; the settings last, for they may be narrow.
    fn open_market(&mut self) {
        for id in 1..=self.market.assets {
            let code = AssetCode::new(&format!("A{id}")).expect("a legal code");
            self.add(Command::AddAsset { asset: AssetId(id), code, scale: 8 });
        }
        for spec in self.market.specs.clone() {
            let instrument = spec.instrument;
            self.add(Command::AddInstrument(spec));
            self.add(Command::SetTradingStatus { instrument, status: TradingStatus::Trading });
        }
        let groups = self.market.groups.clone();
        for (account, stp_group) in (1..=self.market.accounts).zip(groups) {
            self.add(Command::RegisterAccount { uuid: account.into(), stp_group });
            for asset in 1..=self.market.assets {
                let transfer_id = self.fresh_transfer();
                let (account, asset) = (AccountId(account), AssetId(asset));
                let amount = self.market.amount(&mut self.random, asset);
                self.add(Command::Credit { transfer_id, account, asset, amount });
            }
        }
        let config = self.market.config(&mut self.random);
        self.add(Command::Configure(config));
        self.now_ns = self.market.opens_at_ns;
    }

    fn add_random(&mut self) {
        self.pass_time();
        let command = self.provoke().unwrap_or_else(|| self.random_command());
        self.add(command);
    }

    fn random_command(&mut self) -> Command {
        match self.random.below(1_000) {
            0..480 => Command::NewOrder(self.new_order()),
            480..550 => Command::ReserveOrder(self.order_to_fund()),
            550..590 => self.settle_intent(),
            590..725 => self.amend(),
            725..770 => self.cancel(),
            770..777 => self.mass_cancel(),
            777..830 => self.credit(),
            830..865 => self.debit(),
            865..905 => self.trading_status(),
            905..917 => self.account_status(),
            917..927 if self.random.below(10) < self.market.stoppers => self.kill_switch(),
            927..936 => Command::EndSession { instrument: self.instrument() },
            936..952 => Command::UpdateInstrument(self.changed_spec()),
            952..960 => Command::Configure(self.market.config(&mut self.random)),
            960..970 => self.reference_command(),
            970..972 => Command::Uncross { instrument: self.instrument() },
            972..984 => self.repeat(),
            _ => Command::Tick,
        }
    }

    /// Mostly forward by little, sometimes back, sometimes past every window, rarely into another
    /// day.
    fn pass_time(&mut self) {
        const DAY_NS: u64 = 86_400_000_000_000;
        match self.random.below(1_000) {
            0..80 => self.now_ns = self.now_ns.saturating_sub(self.random.below(20)),
            80..100 => self.now_ns += self.random.below(200),
            100..103 => self.now_ns = (self.now_ns / DAY_NS + 1) * DAY_NS - self.random.below(3),
            103..105 => self.now_ns += DAY_NS,
            _ => self.now_ns += self.random.below(3),
        }
    }

    fn fresh_transfer(&mut self) -> TransferId {
        self.next_transfer += 1;
        TransferId(self.next_transfer)
    }

    /// A fresh key, one used before, or none.
    fn transfer_id(&mut self) -> TransferId {
        match self.random.below(100) {
            0..3 => TransferId(0),
            3..10 => TransferId(1 + u128::from(self.random.bits()) % self.next_transfer),
            _ => self.fresh_transfer(),
        }
    }

    /// One of the accounts, rarely one that does not exist.
    fn account(&mut self) -> AccountId {
        let known = self.market.accounts;
        let bound = if self.random.chance(2) { known + 2 } else { known };
        let ordinal = u32::try_from(self.random.below(bound.into())).expect("few accounts");
        AccountId(if bound == known { ordinal + 1 } else { ordinal })
    }

    fn asset(&mut self) -> AssetId {
        let known = u64::from(self.market.assets);
        let bound = if self.random.chance(3) { known + 2 } else { known };
        AssetId(1 + u32::try_from(self.random.below(bound)).expect("few assets"))
    }

    fn instrument(&mut self) -> InstrumentId {
        let spec = self.random.below(self.market.specs.len() as u64);
        let id = self.market.specs[usize::try_from(spec).expect("few")].instrument;
        if self.random.chance(1) { InstrumentId(77) } else { id }
    }

    /// The same command once more, as a client does that saw no answer.
    fn repeat(&mut self) -> Command {
        let back = usize::try_from(self.random.below(40)).expect("small") + 1;
        self.steps.len().checked_sub(back).map_or(Command::Tick, |at| self.steps[at].command)
    }
}
