//! Owns the translation of a tape into frames for one engine, and of the engine's result back into
//! what the slow books say, so that they can judge the whole engine too.
//! Invariant: the frames are one gap-free run, so every order id is known beforehand.

use engine::{
    AccountId, AmendOrder, AssetCode, AssetId, ClientOrderId, Command, Engine, Event, Frame,
    InstrumentId, InstrumentSpec, NewOrder, OrderId, Price, Quantity, Side, TimeInForce,
    TradingStatus, TransferId,
};

use crate::tape::format::{Kind, Record, Tape, TapeSide};
use crate::tape::judge::Verdict;
use crate::tape::oracle::Summary;

/// Live orders that no tape and no measurement reaches.
const ORDERS_MAX: u32 = 1 << 24;
const QUOTE: AssetId = AssetId(1);
/// Enough that no order is ever refused for money.
const FUNDS: u128 = 1 << 80;
/// Engine time between two commands.
const STEP_NS: u64 = 1_000;

/// On which terms the tape's orders are placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The owners of the tape share them.
    pub(crate) accounts: u32,
    /// Whether every order has a client order id.
    pub(crate) client_order_ids: bool,
    /// Client order ids of the past that the engine still remembers.
    pub(crate) remembered: u32,
}

/// Every owner of the tape has an account of its own.
pub(crate) const ONE_EACH: Terms =
    Terms { accounts: 1_000, client_order_ids: false, remembered: 0 };

/// A tape as frames for one engine.
pub(crate) struct Workload {
    pub(crate) frames: Vec<Frame<Command>>,
    /// So many first frames only set the stage: they are not of the tape.
    pub(crate) setup: usize,
    /// What the slow books make of the tape when its orders go by the engine's ids.
    pub(crate) expected: Verdict,
}

/// Frames with the sequences that follow one another.
struct Run {
    first_sequence: u64,
    frames: Vec<Frame<Command>>,
}

impl Run {
    fn next_sequence(&self) -> u64 {
        self.first_sequence + self.frames.len() as u64
    }

    fn push(&mut self, command: Command) {
        let sequence = self.next_sequence();
        self.frames.push(Frame { sequence, timestamp_ns: sequence * STEP_NS, command });
    }
}

/// The engine's name of an instrument of a tape.
fn instrument_id(instrument: u16) -> InstrumentId {
    InstrumentId(1 + u32::from(instrument))
}

fn base_asset(instrument: u16) -> AssetId {
    AssetId(2 + u32::from(instrument))
}

/// Lists the instruments, with fees of 10 and 20 basis points, and funds every account.
pub(crate) fn stage(instruments: u16, accounts: u32) -> Vec<Command> {
    let asset = |asset, code: String| {
        let code = AssetCode::new(&code).unwrap_or_default();
        Command::AddAsset { asset, code, scale: 8 }
    };
    let mut commands = vec![asset(QUOTE, "QUOTE".to_owned())];
    for number in 0..instruments {
        let (instrument, base) = (instrument_id(number), base_asset(number));
        let spec = InstrumentSpec {
            maker_fee_ppm: 1_000,
            taker_fee_ppm: 2_000,
            max_open_orders: ORDERS_MAX,
            max_book_orders: ORDERS_MAX,
            ..InstrumentSpec::open(instrument, base, QUOTE)
        };
        commands.push(asset(base, format!("BASE{number}")));
        commands.push(Command::AddInstrument(spec));
        let status = TradingStatus::Trading;
        commands.push(Command::SetTradingStatus { instrument, status });
    }
    for account in 1..=accounts {
        commands.push(Command::RegisterAccount { uuid: account.into(), stp_group: 0 });
        for asset in std::iter::once(QUOTE).chain((0..instruments).map(base_asset)) {
            let transfer_id = TransferId(u128::from(account) << 32 | u128::from(asset.0));
            let account = AccountId(account);
            commands.push(Command::Credit { transfer_id, account, asset, amount: FUNDS });
        }
    }
    commands
}

/// Twenty characters, as a client that counts its orders may write them.
pub(crate) fn client_order_id(series: &str, number: u64) -> ClientOrderId {
    ClientOrderId::new(format!("{series:>5}-{number:014}").as_bytes()).unwrap_or_default()
}

/// Orders that found nobody and are gone: all that is left of them is their client order ids.
fn past_orders(terms: &Terms) -> impl Iterator<Item = Command> {
    let accounts = terms.accounts;
    (0..terms.remembered).map(move |number| {
        let account = AccountId(1 + number % accounts);
        let bid = NewOrder::limit(account, instrument_id(0), Side::Buy, Quantity(1), Price(1));
        Command::NewOrder(NewOrder {
            time_in_force: TimeInForce::Ioc,
            client_order_id: client_order_id("past", number.into()),
            ..bid
        })
    })
}

/// An order of the tape, under the engine's id.
#[derive(Clone, Copy)]
struct Known {
    id: OrderId,
    /// Total quantity: what was filled counts, what was taken off does not.
    total: u64,
}

impl Workload {
    /// `first_sequence` is the sequence that the first frame will get.
    pub(crate) fn new(tape: &Tape, first_sequence: u64, terms: &Terms) -> Self {
        let mut run = Run { first_sequence, frames: Vec::new() };
        stage(tape.instruments, terms.accounts).into_iter().for_each(|command| run.push(command));
        past_orders(terms).for_each(|command| run.push(command));
        let setup = run.frames.len();
        run.frames.reserve_exact(tape.records.len());
        // By place: a tape's ids count from 1 in each instrument.
        let mut orders: Vec<Vec<Known>> = vec![Vec::new(); tape.instruments.into()];
        let mut renamed = tape.clone();
        for record in &mut renamed.records {
            let orders = &mut orders[usize::from(record.instrument)];
            let quantity = u64::from(record.quantity);
            if let Kind::NewGtc | Kind::NewIoc = record.kind {
                orders.push(Known { id: OrderId(run.next_sequence()), total: quantity });
            }
            let place = usize::try_from(record.id).expect("a tape fits memory") - 1;
            let known = &mut orders[place];
            if record.kind == Kind::Reduce {
                known.total -= quantity;
            }
            run.push(command(record, *known, terms));
            record.id = known.id.0;
        }
        Self { frames: run.frames, setup, expected: Verdict::of(&renamed) }
    }
}

fn command(record: &Record, known: Known, terms: &Terms) -> Command {
    let Known { id: order_id, total } = known;
    let account = AccountId(1 + (record.owner - 1) % terms.accounts);
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
    let new_order = |time_in_force| {
        let instrument = instrument_id(record.instrument);
        let client_order_id = if terms.client_order_ids {
            client_order_id("tape", order_id.0)
        } else {
            ClientOrderId::EMPTY
        };
        let limit = NewOrder::limit(account, instrument, side, Quantity(total), price);
        Command::NewOrder(NewOrder { time_in_force, client_order_id, ..limit })
    };
    match record.kind {
        Kind::NewGtc => new_order(TimeInForce::Gtc),
        Kind::NewIoc => new_order(TimeInForce::Ioc),
        Kind::Cancel => {
            let client_order_id = ClientOrderId::EMPTY;
            Command::CancelOrder { account, order_id, client_order_id }
        }
        Kind::Move => Command::AmendOrder(AmendOrder { new_price: price, ..amend }),
        Kind::Reduce => Command::AmendOrder(AmendOrder { new_quantity: Quantity(total), ..amend }),
    }
}

/// What an event stream comes to.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) events: u64,
    /// Commands that were refused, or taken for ones that were there before.
    pub(crate) rejects: u64,
    /// Trades of each instrument.
    traded: Vec<Summary>,
}

impl Totals {
    pub(crate) fn new(instruments: u16) -> Self {
        Self { events: 0, rejects: 0, traded: vec![Summary::new(); instruments.into()] }
    }

    pub(crate) fn add(&mut self, events: &[Event]) {
        self.events += events.len() as u64;
        for event in events {
            match event {
                Event::Trade(trade) => {
                    let place = trade.instrument.0 as usize - 1;
                    let (maker, taker) = (trade.maker_order_id.0, trade.taker_order_id.0);
                    let price = trade.price.0.unsigned_abs();
                    self.traded[place].trade(maker, taker, price, trade.quantity.0);
                }
                Event::CommandRejected { .. } | Event::OrderDuplicate { .. } => self.rejects += 1,
                _ => {}
            }
        }
    }

    /// What the engine made of each instrument: trades from its events, the book from its state.
    pub(crate) fn summaries(&self, engine: &Engine) -> Vec<Summary> {
        let mut summaries = self.traded.clone();
        for (number, summary) in (0..).zip(&mut summaries) {
            for (side, tape_side) in [(Side::Buy, TapeSide::Bid), (Side::Sell, TapeSide::Ask)] {
                for order in engine.resting_orders(instrument_id(number), side) {
                    let price = order.price.0.unsigned_abs();
                    summary.rests(tape_side, price, order.order_id.0, order.open.0);
                }
            }
        }
        summaries
    }
}

#[cfg(test)]
mod tests {
    use engine::{EngineOptions, EventBuffer, StateMachine};

    use super::*;
    use crate::tape::flow::{Flow, PRESETS, preset};
    use crate::tape::generator::generate;

    #[test]
    fn the_whole_engine_agrees_with_the_slow_book() {
        for (name, client_order_ids) in PRESETS.into_iter().zip([true, false].into_iter().cycle()) {
            let flow = preset(name).unwrap();
            let (instruments, orders) = if flow.instruments == 1 { (1, 1_000) } else { (5, 100) };
            let flow = Flow { commands: 20_000, orders, instruments, ..flow };
            let (tape, slow) = generate(&flow);
            let terms = Terms { accounts: 10, client_order_ids, remembered: 100 };
            let workload = Workload::new(&tape, 1, &terms);
            let mut engine = Engine::new(EngineOptions::default());
            let mut totals = Totals::new(tape.instruments);
            let mut events = EventBuffer::with_capacity(64);
            for frame in &workload.frames {
                events.clear();
                engine.apply(frame, &mut events);
                totals.add(events.as_slice());
            }
            engine.assert_invariants();
            assert_eq!(totals.rejects, 0, "{name}");
            workload.expected.check(&totals.summaries(&engine)).unwrap();
            // Other ids, the same trades.
            let (expected, slow) = (workload.expected.summary(), slow.summary());
            assert_eq!((expected.trades, expected.volume), (slow.trades, slow.volume));
            assert_eq!(expected.notional, slow.notional);
        }
    }

    #[test]
    fn another_result_is_not_taken_for_the_right_one() {
        let flow = Flow { commands: 5_000, orders: 100, ..preset("small").unwrap() };
        let (tape, _) = generate(&flow);
        let terms = Terms { accounts: 10, client_order_ids: false, remembered: 0 };
        let expected = Workload::new(&tape, 1, &terms).expected;
        let mut made = expected.summaries.clone();
        assert!(expected.check(&made).is_ok());
        made[0].state_hash ^= 1;
        assert!(expected.check(&made).is_err());
        assert!(expected.check(&[]).is_err());
    }
}
