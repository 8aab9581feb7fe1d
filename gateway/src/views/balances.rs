//! Owns the trading balances as the events tell them.
//! Knows nothing of the engine's own books. Invariant: after every command each balance equals the
//! engine's, because every event says what it held, spent and released.

mod saved;

use std::collections::{BTreeMap, HashMap};

use bincode::{Decode, Encode};
use engine::balances::Balance;
use engine::fees::{signed, unsigned};
use engine::{
    AccountId, Amount, AssetId, Event, InstrumentId, InstrumentSpec, OrderId, Side, Trade,
};

/// What a live order holds.
#[derive(Clone, Copy, Debug, Encode, Decode)]
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
                if kind.brings_in() {
                    balance.available += amount;
                } else {
                    balance.available -= amount;
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

#[cfg(test)]
mod tests {
    use engine::{
        AssetCode, Command, Engine, EngineOptions, EventBuffer, Frame, NewOrder, Price, Quantity,
        StateMachine, TradingStatus, TransferId,
    };

    use super::*;

    /// An order whose funds are reserved elsewhere, resting, traded against a plain one, and ended.
    #[test]
    fn money_that_comes_and_goes_with_orders_is_counted() {
        let (base, quote, instrument) = (AssetId(1), AssetId(2), InstrumentId(1));
        let (plain, funded) = (AccountId(1), AccountId(2));
        let order = |account, side, price| {
            NewOrder::limit(account, instrument, side, Quantity(10), Price(price))
        };
        let asset = |id, code| {
            let code = AssetCode::new(code).unwrap();
            Command::AddAsset { asset: id, code, scale: 0 }
        };
        let spec = InstrumentSpec {
            maker_fee_ppm: 1_000,
            taker_fee_ppm: 20_000,
            ..InstrumentSpec::open(instrument, base, quote)
        };
        let transfer_id = TransferId(1 << 100);
        let commands = [
            asset(base, "B"),
            asset(quote, "Q"),
            Command::AddInstrument(spec),
            Command::SetTradingStatus { instrument, status: TradingStatus::Trading },
            Command::RegisterAccount { uuid: 1, stp_group: 0 },
            Command::RegisterAccount { uuid: 2, stp_group: 0 },
            Command::Credit { transfer_id, account: plain, asset: base, amount: 15 },
            Command::NewOrder(order(plain, Side::Sell, 90)),
            Command::ReserveOrder(NewOrder {
                quantity: Quantity(20),
                ..order(funded, Side::Buy, 100)
            }),
            Command::PlaceReserved { order_id: OrderId(9) },
            Command::MassCancel { account: funded, instrument, side: None },
        ];
        let mut engine = Engine::new(EngineOptions::default());
        let (mut events, mut balances) = (EventBuffer::default(), Balances::default());
        let mut most_held = 0;
        for (command, sequence) in commands.into_iter().zip(1..) {
            events.clear();
            engine.apply(&Frame { sequence, timestamp_ns: 0, command }, &mut events);
            balances.apply(sequence, events.as_slice());
            for account in [plain, funded] {
                for (asset, balance) in balances.of(account) {
                    assert_eq!(balance, engine.balance(account, asset), "{asset} at {sequence}");
                }
            }
            most_held = most_held.max(engine.balance(funded, quote).held);
        }
        assert_eq!(most_held, 2_040 - 918, "given, less 900 and its fee");
        assert_eq!(balances.of(funded).map(|(_, b)| b.available + b.held).sum::<Amount>(), 0);
    }
}
