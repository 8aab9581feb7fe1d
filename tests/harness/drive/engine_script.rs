//! Owns what the engine is asked: two accounts that bring money in, trade it, and take it out.
//! Knows nothing of files. Invariant: order and transfer keys carry the number of their command.

use engine::{
    AccountId, AssetCode, AssetId, ClientOrderId, Command, Engine, EngineOptions, Event,
    InstrumentId, InstrumentSpec, NewOrder, OrderId, Price, Quantity, RejectReason, Side,
    TradingStatus, TransferId,
};

use super::{Answer, Script, halves};
use crate::random::Random;

const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const MARKET: InstrumentId = InstrumentId(1);
const ACCOUNTS: [AccountId; 2] = [AccountId(1), AccountId(2)];
/// Enough for everything that is ever asked for.
const PLENTY: u128 = 1_000_000_000;
/// Commands at the beginning that bring in money.
const DEPOSITS: [(AccountId, AssetId); 4] =
    [(ACCOUNTS[0], BASE), (ACCOUNTS[0], QUOTE), (ACCOUNTS[1], BASE), (ACCOUNTS[1], QUOTE)];

/// A transfer id is not 0.
fn transfer(number: u64) -> TransferId {
    TransferId(u128::from(number) + 1)
}

fn order(random: &mut Random, number: u64) -> NewOrder {
    let account = random.pick(&ACCOUNTS);
    let side = random.pick(&[Side::Buy, Side::Sell]);
    let quantity = if random.chance(5) { PLENTY.try_into().expect("small") } else { 1 };
    let quantity = Quantity(quantity * (1 + random.below(20)));
    let price = Price(random.between(95, 105));
    let name = number.to_string();
    let client_order_id = ClientOrderId::new(name.as_bytes()).expect("a short name");
    if random.chance(10) {
        return NewOrder {
            client_order_id,
            ..NewOrder::market(account, MARKET, side, Quantity(1 + random.below(20)))
        };
    }
    NewOrder { client_order_id, ..NewOrder::limit(account, MARKET, side, quantity, price) }
}

impl Script for Engine {
    fn fresh() -> Self {
        let (expected_orders, expected_client_ids) = (1 << 12, 1 << 12);
        let direct_order_ids = 1 << 10;
        Self::new(EngineOptions {
            expected_orders,
            expected_client_ids,
            direct_order_ids,
            ..EngineOptions::default()
        })
    }

    fn opening() -> Vec<Command> {
        let code = |name| AssetCode::new(name).expect("a legal code");
        let (instrument, status) = (MARKET, TradingStatus::Trading);
        let spec = InstrumentSpec {
            taker_fee_ppm: 2_000,
            ..InstrumentSpec::open(instrument, BASE, QUOTE)
        };
        vec![
            Command::AddAsset { asset: BASE, code: code("BTC"), scale: 8 },
            Command::AddAsset { asset: QUOTE, code: code("USDT"), scale: 8 },
            Command::AddInstrument(spec),
            Command::SetTradingStatus { instrument, status },
            Command::RegisterAccount { uuid: 1, stp_group: 0 },
            Command::RegisterAccount { uuid: 2, stp_group: 0 },
        ]
    }

    fn command(seed: u64, number: u64) -> Command {
        let transfer_id = transfer(number);
        let deposit = usize::try_from(number).ok().and_then(|at| DEPOSITS.get(at));
        if let Some(&(account, asset)) = deposit {
            return Command::Credit { transfer_id, account, asset, amount: PLENTY };
        }
        let mut random = Random::new(seed ^ number.rotate_left(32));
        let (account, asset) = (random.pick(&ACCOUNTS), random.pick(&[BASE, QUOTE]));
        let amount = 1 + u128::from(random.below(100));
        match random.below(10) {
            0 => Command::Credit { transfer_id, account, asset, amount },
            1 => Command::Debit { transfer_id, account, asset, amount },
            _ => Command::NewOrder(order(&mut random, number)),
        }
    }

    fn number(command: &Command) -> Option<u64> {
        match command {
            Command::Credit { transfer_id, .. } | Command::Debit { transfer_id, .. } => {
                u64::try_from(transfer_id.0 - 1).ok()
            }
            Command::NewOrder(order) => {
                std::str::from_utf8(order.client_order_id.as_bytes()).ok()?.parse().ok()
            }
            _ => None,
        }
    }

    fn answer(events: &[Event]) -> Answer {
        let refused = |reason: RejectReason| Answer::of(&[1, u64::from(reason.code())]);
        let placed = |order_id: OrderId| Answer::of(&[2, order_id.0]);
        let done = |transfer_id: TransferId| {
            let [low, high] = halves(transfer_id.0);
            Answer::of(&[3, low, high])
        };
        match events.first() {
            Some(Event::CommandRejected { reason, .. }) => refused(*reason),
            Some(Event::OrderAccepted(order)) => placed(order.order_id),
            Some(Event::OrderDuplicate { order_id, reason, .. }) => {
                reason.map_or_else(|| placed(*order_id), refused)
            }
            Some(Event::TransferApplied { transfer_id, .. }) => done(*transfer_id),
            Some(Event::TransferDuplicate { transfer_id, reason }) => {
                reason.map_or_else(|| done(*transfer_id), refused)
            }
            other => panic!("not an answer: {other:?}"),
        }
    }

    fn is_repeat(events: &[Event]) -> bool {
        let first = events.first();
        matches!(first, Some(Event::OrderDuplicate { .. } | Event::TransferDuplicate { .. }))
    }

    fn assert_sound(&self) {
        self.assert_invariants();
    }
}
