//! Owns the random commands that the exchanges are compared on: a function of a seed.
//! Knows of the exchange only what a client sees: live orders and balances, asked of the model.
//! Invariant: every weight is chosen so that what is rare in a market (refusals, ends, full tables)
//! is common here.

mod market;
mod orders;

use std::collections::BTreeMap;

use engine::command::AmendOrder;
use engine::{
    AccountId, AccountStatus, Amount, AssetCode, AssetId, ClientOrderId, Command, Frame,
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
    let mut random = Random::new(seed);
    let market = Market::new(&mut random);
    let mut workload = Workload {
        random,
        market,
        model: Model::default(),
        now_ns: 0,
        steps: Vec::with_capacity(count),
        next_transfer: 1,
    };
    workload.open_market();
    while workload.steps.len() < count {
        workload.add_random();
    }
    workload.steps.truncate(count);
    workload.steps
}

struct Workload {
    random: Random,
    market: Market,
    /// Has applied every step so far.
    model: Model,
    now_ns: u64,
    steps: Vec<Step>,
    next_transfer: u128,
}

impl Workload {
    fn add(&mut self, command: Command) {
        let label = self.steps.len() as u64 + 1;
        self.steps.push(Step { label, time_ns: self.now_ns, command });
        self.model.apply(&Frame { sequence: label, timestamp_ns: self.now_ns, command });
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
    }

    fn add_random(&mut self) {
        self.pass_time();
        let command = match self.random.below(1_000) {
            0..480 => Command::NewOrder(self.new_order()),
            480..560 => Command::ReserveOrder(self.order_to_fund()),
            560..600 => self.settle_intent(),
            600..730 => self.amend(),
            730..780 => self.cancel(),
            780..787 => self.mass_cancel(),
            787..850 => self.credit(),
            850..890 => self.debit(),
            890..920 => self.trading_status(),
            920..935 => self.account_status(),
            935..955 => Command::UpdateInstrument(self.changed_spec()),
            955..960 => Command::Configure(self.market.config(&mut self.random)),
            960..970 => self.reference_command(),
            970..978 => self.reserved_command(),
            978..990 => self.repeat(),
            _ => Command::Tick,
        };
        self.add(command);
    }

    /// Mostly forward by little, sometimes back, sometimes past every window.
    fn pass_time(&mut self) {
        match self.random.below(100) {
            0..8 => self.now_ns = self.now_ns.saturating_sub(self.random.below(20)),
            8..10 => self.now_ns += self.random.below(200),
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
        if live.is_empty() || self.random.chance(8) {
            return (OrderId(self.steps.len() as u64), self.account());
        }
        self.random.pick(&live)
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
        if self.random.chance(55) {
            amend.new_price = self.market.price(&mut self.random);
        }
        if self.random.chance(65) {
            amend.new_quantity = self.market.quantity(&mut self.random);
        }
        match self.random.below(100) {
            0 => amend.new_trigger = Price(1),
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
            0..88 => TradingStatus::Trading,
            88..93 => TradingStatus::CancelOnly,
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

    /// What this version refuses as a whole.
    fn reserved_command(&mut self) -> Command {
        let instrument = self.instrument();
        match self.random.below(3) {
            0 => Command::EndSession { instrument },
            1 => Command::Uncross { instrument },
            _ => {
                let scope = self.random.pick(KillSwitchScope::ALL);
                let id = u32::try_from(self.random.below(9)).expect("small");
                Command::SetKillSwitch { scope, id, on: true }
            }
        }
    }

    /// The same command once more, as a client does that saw no answer.
    fn repeat(&mut self) -> Command {
        let back = usize::try_from(self.random.below(40)).expect("small") + 1;
        self.steps.len().checked_sub(back).map_or(Command::Tick, |at| self.steps[at].command)
    }
}
