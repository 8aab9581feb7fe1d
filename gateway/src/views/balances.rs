//! Owns the trading balances as the events tell them.
//! Knows nothing of the engine's own books. Invariant: after every command each balance equals the
//! engine's, because every event says what it held, spent and released.

use std::collections::{BTreeMap, HashMap};

use engine::balances::Balance;
use engine::fees::{signed, unsigned};
use engine::{
    AccountId, Amount, AssetId, Event, InstrumentId, InstrumentSpec, OrderId, Side, Trade,
    TransferKind,
};

/// What a live order holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    account: AccountId,
    asset: AssetId,
    amount: Amount,
}

/// All balances.
#[derive(Debug, Default)]
pub struct Balances {
    /// In ascending asset id within an account; an asset once owned stays listed.
    accounts: HashMap<AccountId, BTreeMap<AssetId, Balance>>,
    /// Base and quote asset by instrument.
    pairs: HashMap<InstrumentId, (AssetId, AssetId)>,
    holds: HashMap<OrderId, Held>,
    sequence: u64,
}

impl Balances {
    /// Sequence of the last command that changed anything here.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The account's balances in ascending asset id.
    pub fn of(&self, account: AccountId) -> impl Iterator<Item = (AssetId, Balance)> {
        let balances = self.accounts.get(&account);
        balances.into_iter().flatten().map(|(asset, balance)| (*asset, *balance))
    }

    pub(super) fn apply(&mut self, sequence: u64, events: &[Event]) {
        self.sequence = sequence;
        for event in events {
            self.apply_event(event);
        }
    }

    fn apply_event(&mut self, event: &Event) {
        match event {
            Event::InstrumentAdded(InstrumentSpec {
                instrument, base_asset, quote_asset, ..
            }) => {
                self.pairs.insert(*instrument, (*base_asset, *quote_asset));
            }
            Event::TransferApplied { kind, account, asset, amount, available, .. } => {
                let balance = self.balance(*account, *asset);
                match kind {
                    TransferKind::Credit | TransferKind::FundedOrder => balance.available += amount,
                    TransferKind::Debit => balance.available -= amount,
                }
                assert_eq!(balance.available, *available, "balance after a transfer");
            }
            Event::OrderAccepted(order) => {
                let (base, quote) = self.pair(order.instrument);
                let asset = if order.side == Side::Buy { quote } else { base };
                let held = Held { account: order.account, asset, amount: 0 };
                self.holds.insert(order.order_id, held);
                self.set_hold(order.order_id, order.hold);
            }
            Event::Trade(trade) => self.trade(trade),
            Event::OrderAmended { order_id, hold, .. } => self.set_hold(*order_id, *hold),
            Event::OrderTriggered { order_id, released, .. } => self.release(*order_id, *released),
            Event::SelfTradePrevented {
                maker_order_id,
                taker_order_id,
                maker_released,
                taker_released,
                ..
            } => {
                self.release(*maker_order_id, *maker_released);
                self.release(*taker_order_id, *taker_released);
            }
            Event::OrderClosed { order_id, released, .. } => {
                self.release(*order_id, *released);
                let left = self.holds.remove(order_id).map_or(0, |held| held.amount);
                assert_eq!(left, 0, "a closed order holds nothing");
            }
            _ => {}
        }
    }

    fn trade(&mut self, trade: &Trade) {
        let (base, quote) = self.pair(trade.instrument);
        let maker = (trade.maker_order_id, trade.maker_account, trade.maker_fee);
        let taker = (trade.taker_order_id, trade.taker_account, trade.taker_fee);
        let (buyer, seller) = match trade.taker_side {
            Side::Buy => (taker, maker),
            Side::Sell => (maker, taker),
        };
        let (order, account, fee) = buyer;
        self.spend(order, unsigned(signed(trade.quote) + fee));
        self.release(order, trade.buyer_released);
        self.balance(account, base).available += trade.base;
        let (order, account, fee) = seller;
        self.spend(order, trade.base);
        self.balance(account, quote).available += unsigned(signed(trade.quote) - fee);
    }

    fn pair(&self, instrument: InstrumentId) -> (AssetId, AssetId) {
        match self.pairs.get(&instrument) {
            Some(pair) => *pair,
            None => unreachable!("an instrument trades after it is listed"),
        }
    }

    fn balance(&mut self, account: AccountId, asset: AssetId) -> &mut Balance {
        self.accounts.entry(account).or_default().entry(asset).or_default()
    }

    fn hold(&mut self, order: OrderId) -> &mut Held {
        match self.holds.get_mut(&order) {
            Some(held) => held,
            None => unreachable!("a live order holds something"),
        }
    }

    /// Takes `amount` of what the order holds out of the account.
    fn spend(&mut self, order: OrderId, amount: Amount) {
        let held = self.hold(order);
        held.amount -= amount;
        let Held { account, asset, .. } = *held;
        self.balance(account, asset).held -= amount;
    }

    fn release(&mut self, order: OrderId, amount: Amount) {
        if amount > 0 {
            let left = self.hold(order).amount - amount;
            self.set_hold(order, left);
        }
    }

    fn set_hold(&mut self, order: OrderId, amount: Amount) {
        let held = self.hold(order);
        let before = std::mem::replace(&mut held.amount, amount);
        let Held { account, asset, .. } = *held;
        let balance = self.balance(account, asset);
        balance.available = balance.available + before - amount;
        balance.held = balance.held + amount - before;
    }
}
