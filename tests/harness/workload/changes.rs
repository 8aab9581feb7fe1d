//! Owns the random commands that concern orders which live already, or wait for their funds.
//! Knows nothing of how orders are made. Invariant: most name an order that is there; some do not.

use engine::command::AmendOrder;
use engine::{
    AccountId, ClientOrderId, Command, InstrumentId, KillSwitchScope, OrderId, Price, Quantity,
    RejectReason, Side, TradingStatus,
};

use super::Workload;

impl Workload {
    /// What would rarely come at its moment: a switch is let go soon, and while stops wait to be
    /// matched their book is halted and they are ended in every way.
    pub(super) fn provoke(&mut self) -> Option<Command> {
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

    /// A live order and its account, or the latest command as if it had created one.
    pub(super) fn some_order(&mut self) -> (OrderId, AccountId) {
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
    pub(super) fn waiting(&self) -> impl Iterator<Item = (InstrumentId, OrderId)> {
        let books = self.market.specs.iter().map(|spec| spec.instrument);
        books.flat_map(|book| {
            self.model.triggered_orders(book).into_iter().map(move |id| (book, id))
        })
    }

    /// What the wallet's answer leads to, for an order that waits for it or, rarely, for another.
    pub(super) fn settle_intent(&mut self) -> Command {
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

    pub(super) fn amend(&mut self) -> Command {
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

    pub(super) fn cancel(&mut self) -> Command {
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

    pub(super) fn mass_cancel(&mut self) -> Command {
        let account = self.account();
        let instrument = if self.random.chance(50) { self.instrument() } else { InstrumentId(0) };
        let side = self.random.pick(&[None, Some(Side::Buy), Some(Side::Sell)]);
        Command::MassCancel { account, instrument, side }
    }
}
