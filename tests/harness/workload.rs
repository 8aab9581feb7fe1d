//! Owns the random commands that the exchanges are compared on: a function of a seed.
//! Knows of the exchange only what a client sees: live orders and balances, asked of the model.
//! Invariant: every weight is chosen so that what is rare in a market (refusals, ends, full tables)
//! is common here.

mod market;
mod orders;

use std::collections::BTreeMap;

use engine::command::AmendOrder;
use engine::{
    AccountId, AccountStatus, Amount, AssetCode, AssetId, ClientOrderId, Command, Event, Frame,
    InstrumentId, KillSwitchScope, OrderId, Price, Quantity, RejectReason, Side, TradingStatus,
    TransferId,
};

use crate::model::Model;
use crate::random::Random;
use market::Market;

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

    /// What would rarely come at its moment: a switch is let go soon, and while stops wait to be
    /// matched their book is halted and they are ended in every way.
    fn provoke(&mut self) -> Option<Command> {
        let on = self.switches_on();
        if !on.is_empty() && self.random.chance(10) {
            let (scope, id) = self.random.pick(&on);
            return Some(Command::SetKillSwitch { scope, id, on: false });
        }
        let waiting: Vec<(InstrumentId, OrderId)> = self.waiting().collect();
        if waiting.is_empty() || !self.random.chance(25) {
            return None;
        }
        let (instrument, order_id) = self.random.pick(&waiting);
        let live = self.model.live_orders();
        let account = live.iter().find(|(id, _)| *id == order_id).expect("what waits lives").1;
        let client_order_id = ClientOrderId::EMPTY;
        Some(match self.random.below(20) {
            0..7 => {
                let status = self.random.pick(&[TradingStatus::Halted, TradingStatus::CancelOnly]);
                Command::SetTradingStatus { instrument, status }
            }
            7 => Command::CancelOrder { account, order_id, client_order_id },
            8 => Command::MassCancel { account, instrument: InstrumentId(0), side: None },
            9..13 => Command::EndSession { instrument },
            13 => {
                Command::SetKillSwitch { scope: KillSwitchScope::Account, id: account.0, on: true }
            }
            _ => {
                self.now_ns += self.random.below(60);
                Command::Tick
            }
        })
    }

    fn switches_on(&self) -> Vec<(KillSwitchScope, u32)> {
        let scopes = KillSwitchScope::ALL.iter();
        let all = scopes.flat_map(|scope| (0..5).map(|id| (*scope, id)));
        all.filter(|(scope, id)| self.model.is_killed(*scope, *id)).collect()
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

    /// A live order and its account, or the latest command as if it had created one.
    fn some_order(&mut self) -> (OrderId, AccountId) {
        let live = self.model.live_orders();
        let waiting: Vec<OrderId> = self.waiting().map(|(_, id)| id).collect();
        if !waiting.is_empty() && self.random.chance(40) {
            let id = self.random.pick(&waiting);
            let owner = live.iter().find(|(live, _)| *live == id);
            return *owner.expect("what waits lives");
        }
        if live.is_empty() || self.random.chance(8) {
            return (OrderId(self.steps.len() as u64), self.account());
        }
        self.random.pick(&live)
    }

    /// Stops of all books that were met and wait to be matched.
    fn waiting(&self) -> impl Iterator<Item = (InstrumentId, OrderId)> {
        let books = self.market.specs.iter().map(|spec| spec.instrument);
        books.flat_map(|book| {
            self.model.triggered_orders(book).into_iter().map(move |id| (book, id))
        })
    }

    /// What the wallet's answer leads to, for an order that waits for it or, rarely, for another.
    fn settle_intent(&mut self) -> Command {
        let waiting = self.model.intents();
        let order_id = if waiting.is_empty() || self.random.chance(8) {
            self.some_order().0
        } else {
            self.random.pick(&waiting)
        };
        if self.random.chance(85) {
            return Command::PlaceReserved { order_id };
        }
        let reasons = [
            RejectReason::InsufficientBalance,
            RejectReason::FundsOwnerUnknown,
            RejectReason::FundsUnavailable,
            RejectReason::FundsDegraded,
            RejectReason::FundsRefused,
        ];
        Command::AbandonReserved { order_id, reason: self.random.pick(&reasons) }
    }

    fn amend(&mut self) -> Command {
        let (order_id, owner) = self.some_order();
        let account = if self.random.chance(5) { self.account() } else { owner };
        let mut amend = AmendOrder {
            account,
            order_id,
            new_price: Price(0),
            new_quantity: Quantity(0),
            new_trigger: Price(0),
        };
        // One thing alone is what most kinds of orders can have amended.
        let only = self.random.below(6);
        if only == 0 || (only > 2 && self.random.chance(55)) {
            amend.new_price = self.market.price(&mut self.random);
        }
        if only == 1 || (only > 2 && self.random.chance(65)) {
            amend.new_quantity = self.market.quantity(&mut self.random);
        }
        if only == 2 || (only > 2 && self.random.chance(20)) {
            amend.new_trigger = self.market.price(&mut self.random);
        }
        match self.random.below(200) {
            0 => amend.new_trigger = Price(self.random.pick(&[-1, 1, i64::MAX])),
            1 => amend.new_price = Price(-1),
            2 => amend.new_price = Price(i64::MAX),
            _ => {}
        }
        Command::AmendOrder(amend)
    }

    fn cancel(&mut self) -> Command {
        let (order_id, owner) = self.some_order();
        let account = if self.random.chance(5) { self.account() } else { owner };
        match self.random.below(100) {
            0..60 => {
                Command::CancelOrder { account, order_id, client_order_id: ClientOrderId::EMPTY }
            }
            60..95 => {
                let client_order_id = self.client_order_id();
                Command::CancelOrder { account, order_id: OrderId(0), client_order_id }
            }
            _ => {
                let client_order_id = ClientOrderId::EMPTY;
                Command::CancelOrder { account, order_id: OrderId(0), client_order_id }
            }
        }
    }

    fn mass_cancel(&mut self) -> Command {
        let account = self.account();
        let instrument = if self.random.chance(50) { self.instrument() } else { InstrumentId(0) };
        let side = self.random.pick(&[None, Some(Side::Buy), Some(Side::Sell)]);
        Command::MassCancel { account, instrument, side }
    }

    fn transfer_amount(&mut self, asset: AssetId) -> Amount {
        match self.random.below(100) {
            0..3 => 0,
            3..5 => 1 << 120,
            5 => Amount::MAX,
            _ => self.market.amount(&mut self.random, asset),
        }
    }

    fn credit(&mut self) -> Command {
        let (transfer_id, account, asset) = (self.transfer_id(), self.account(), self.asset());
        let amount = self.transfer_amount(asset);
        Command::Credit { transfer_id, account, asset, amount }
    }

    fn debit(&mut self) -> Command {
        let (transfer_id, account, asset) = (self.transfer_id(), self.account(), self.asset());
        let available = self.model.balance(account, asset).0;
        let amount = match self.random.below(10) {
            0..3 => available,
            3 => available + 1,
            _ => self.transfer_amount(asset),
        };
        Command::Debit { transfer_id, account, asset, amount }
    }

    fn trading_status(&mut self) -> Command {
        let instrument = self.instrument();
        let status = match self.random.below(100) {
            0..89 => TradingStatus::Trading,
            89..93 => TradingStatus::CancelOnly,
            93..98 => TradingStatus::Halted,
            _ => TradingStatus::Auction,
        };
        Command::SetTradingStatus { instrument, status }
    }

    fn account_status(&mut self) -> Command {
        let account = self.account();
        let active = self.random.chance(92);
        let status = if active { AccountStatus::Active } else { AccountStatus::Suspended };
        Command::SetAccountStatus { account, status }
    }

    /// Listings, most of them refused.
    fn reference_command(&mut self) -> Command {
        match self.random.below(4) {
            0 => {
                let asset = AssetId(u32::try_from(self.random.below(7)).expect("small"));
                let code = AssetCode::new(&format!("A{}", self.random.below(9)));
                let code = code.expect("a legal code");
                let code = if self.random.chance(20) { AssetCode::default() } else { code };
                let scale = self.random.pick(&[8, 18, 19]);
                Command::AddAsset { asset, code, scale }
            }
            1 => {
                let uuid = u128::from(self.random.below(12));
                let stp_group = self.random.pick(&[0, 1]);
                Command::RegisterAccount { uuid, stp_group }
            }
            _ => {
                let mut spec = self.changed_spec();
                spec.instrument.0 = u32::try_from(self.random.below(9)).expect("small");
                Command::AddInstrument(spec)
            }
        }
    }

    fn kill_switch(&mut self) -> Command {
        let scope = self.random.pick(KillSwitchScope::ALL);
        let id = match scope {
            KillSwitchScope::Account => self.account().0,
            KillSwitchScope::Instrument => self.instrument().0,
            KillSwitchScope::Venue => u32::from(self.random.chance(10)),
        };
        Command::SetKillSwitch { scope, id, on: self.random.chance(90) }
    }

    /// The same command once more, as a client does that saw no answer.
    fn repeat(&mut self) -> Command {
        let back = usize::try_from(self.random.below(40)).expect("small") + 1;
        self.steps.len().checked_sub(back).map_or(Command::Tick, |at| self.steps[at].command)
    }
}
