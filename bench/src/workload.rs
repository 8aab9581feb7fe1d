//! Owns the translation of a tape into engine commands, and of the engine's result back into the
//! tape's terms, so that the slow book can judge the whole engine too.
//! Invariant: the commands enter as one gap-free run, so every order id is known beforehand.

use std::collections::BTreeMap;

use engine::{
    AccountId, AmendOrder, AssetCode, AssetId, ClientOrderId, Command, Engine, Event, InstrumentId,
    InstrumentSpec, NewOrder, OrderId, Price, Quantity, Side, TimeInForce, TradingStatus,
    TransferId,
};

use crate::tape::format::{Kind, Record, Tape, TapeSide};
use crate::tape::oracle::Summary;

const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const INSTRUMENT: InstrumentId = InstrumentId(1);
/// Owners on a tape.
const OWNERS: u32 = 1_000;
/// Enough that no order is ever refused for money.
const FUNDS: u128 = 1 << 80;

/// A tape as commands for one engine.
pub(crate) struct Workload {
    pub(crate) commands: Vec<Command>,
    /// So many first commands only set the stage.
    pub(crate) setup: usize,
    tape_ids: BTreeMap<OrderId, u64>,
}

/// Commands that list one instrument, with fees, and fund every owner.
fn setup() -> Vec<Command> {
    let asset = |asset, code: &str| Command::AddAsset {
        asset,
        code: AssetCode::new(code).unwrap_or_default(),
        scale: 8,
    };
    let spec = InstrumentSpec {
        maker_fee_ppm: 1_000,
        taker_fee_ppm: 2_000,
        ..InstrumentSpec::open(INSTRUMENT, BASE, QUOTE)
    };
    let status = TradingStatus::Trading;
    let mut commands = vec![
        asset(BASE, "BASE"),
        asset(QUOTE, "QUOTE"),
        Command::AddInstrument(spec),
        Command::SetTradingStatus { instrument: INSTRUMENT, status },
    ];
    for owner in 1..=OWNERS {
        commands.push(Command::RegisterAccount { uuid: owner.into(), stp_group: 0 });
        for asset in [BASE, QUOTE] {
            let transfer_id = TransferId(u128::from(owner) << 8 | u128::from(asset.0));
            let account = AccountId(owner);
            commands.push(Command::Credit { transfer_id, account, asset, amount: FUNDS });
        }
    }
    commands
}

impl Workload {
    /// `first_sequence` is the sequence that the first command will get.
    pub(crate) fn new(tape: &Tape, first_sequence: u64) -> Self {
        let mut commands = setup();
        let setup = commands.len();
        let mut orders: BTreeMap<u64, (OrderId, u64)> = BTreeMap::new();
        for record in &tape.records {
            let sequence = OrderId(first_sequence + commands.len() as u64);
            let quantity = u64::from(record.quantity);
            if let Kind::NewGtc | Kind::NewIoc = record.kind {
                orders.insert(record.id, (sequence, quantity));
            }
            let Some((order_id, total)) = orders.get_mut(&record.id) else { continue };
            if record.kind == Kind::Reduce {
                *total -= quantity;
            }
            commands.push(command(record, *order_id, *total));
        }
        let tape_ids = orders.into_iter().map(|(id, (order_id, _))| (order_id, id)).collect();
        Self { commands, setup, tape_ids }
    }

    /// What the engine made of the tape: totals from its events, the book from its state.
    pub(crate) fn summary(&self, totals: &Totals, engine: &Engine) -> Summary {
        let mut summary = Summary::new();
        (summary.trades, summary.volume) = (totals.trades, totals.volume);
        summary.notional = totals.notional;
        for (side, tape_side) in [(Side::Buy, TapeSide::Bid), (Side::Sell, TapeSide::Ask)] {
            for order in engine.resting_orders(INSTRUMENT, side) {
                let tape_id = self.tape_ids.get(&order.order_id).copied().unwrap_or(0);
                let price = order.price.0.unsigned_abs();
                summary.rests(tape_side, price, tape_id, order.open.0);
            }
        }
        summary
    }
}

fn command(record: &Record, order_id: OrderId, total: u64) -> Command {
    let account = AccountId(record.owner);
    let price = Price(i64::from(record.price));
    let side = match record.side {
        TapeSide::Bid => Side::Buy,
        TapeSide::Ask => Side::Sell,
    };
    let amend = AmendOrder {
        account,
        order_id,
        new_price: Price(0),
        new_quantity: Quantity(0),
        new_trigger: Price(0),
    };
    let limit = NewOrder::limit(account, INSTRUMENT, side, Quantity(total), price);
    match record.kind {
        Kind::NewGtc => Command::NewOrder(limit),
        Kind::NewIoc => Command::NewOrder(NewOrder { time_in_force: TimeInForce::Ioc, ..limit }),
        Kind::Cancel => {
            let client_order_id = ClientOrderId::EMPTY;
            Command::CancelOrder { account, order_id, client_order_id }
        }
        Kind::Move => Command::AmendOrder(AmendOrder { new_price: price, ..amend }),
        Kind::Reduce => Command::AmendOrder(AmendOrder { new_quantity: Quantity(total), ..amend }),
    }
}

/// Totals over the trades of an event stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) events: u64,
    pub(crate) rejects: u64,
    pub(crate) trades: u64,
    pub(crate) volume: u64,
    pub(crate) notional: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, events: &[Event]) {
        self.events += events.len() as u64;
        for event in events {
            match event {
                Event::Trade(trade) => {
                    self.trades += 1;
                    self.volume += trade.quantity.0;
                    let value = trade.price.0.unsigned_abs().wrapping_mul(trade.quantity.0);
                    self.notional = self.notional.wrapping_add(value);
                }
                Event::CommandRejected { .. } => self.rejects += 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::{EngineOptions, EventBuffer, Frame, StateMachine};

    use super::*;
    use crate::tape::flow::{Flow, preset};
    use crate::tape::generator::generate;

    #[test]
    fn the_whole_engine_agrees_with_the_slow_book() {
        for name in ["small", "deep", "ecmix"] {
            let flow = Flow { commands: 20_000, orders: 1_000, ..preset(name).unwrap() };
            let (tape, slow) = generate(&flow);
            let workload = Workload::new(&tape, 1);
            let mut engine = Engine::new(EngineOptions::default());
            let mut totals = Totals::default();
            let mut events = EventBuffer::with_capacity(64);
            for (sequence, command) in (1..).zip(&workload.commands) {
                events.clear();
                engine.apply(&Frame { sequence, timestamp_ns: 0, command: *command }, &mut events);
                totals.add(events.as_slice());
            }
            engine.assert_invariants();
            let judge = slow.summary();
            let made = workload.summary(&totals, &engine);
            assert_eq!(totals.rejects, 0, "{name}");
            assert_eq!(Summary { trade_hash: judge.trade_hash, ..made }, judge, "{name}");
        }
    }
}
