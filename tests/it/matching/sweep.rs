//! What belongs here: one order against a book of thousands.

use engine::{
    AccountId, AssetCode, AssetId, Command, Event, Frame, InstrumentId, InstrumentSpec, NewOrder,
    Price, Quantity, Side, TimeInForce, TradingStatus, TransferId,
};
use tests::exchange::{Exchange, FastExchange};
use tests::model::Model;

const DEPTH: u64 = 5_000;
const INSTRUMENT: InstrumentId = InstrumentId(1);

fn sweep(mut exchange: impl Exchange) {
    let code = |text| AssetCode::new(text).expect("a legal code");
    let (base, quote) = (AssetId(1), AssetId(2));
    let (seller, buyer) = (AccountId(1), AccountId(2));
    let credit = |account, asset| {
        let transfer_id = TransferId(u128::from(account));
        Command::Credit { transfer_id, account: AccountId(account), asset, amount: 1 << 40 }
    };
    let mut commands = vec![
        Command::AddAsset { asset: base, code: code("B"), scale: 0 },
        Command::AddAsset { asset: quote, code: code("Q"), scale: 0 },
        Command::AddInstrument(InstrumentSpec::open(INSTRUMENT, base, quote)),
        Command::SetTradingStatus { instrument: INSTRUMENT, status: TradingStatus::Trading },
        Command::RegisterAccount { uuid: 1, stp_group: 0 },
        Command::RegisterAccount { uuid: 2, stp_group: 0 },
        credit(1, base),
        credit(2, quote),
    ];
    let first_maker = commands.len() as u64 + 1;
    let one = NewOrder::limit(seller, INSTRUMENT, Side::Sell, Quantity(1), Price(100));
    commands.extend((0..DEPTH).map(|_| Command::NewOrder(one)));
    let all = NewOrder::limit(buyer, INSTRUMENT, Side::Buy, Quantity(DEPTH), Price(100));
    let all = NewOrder { time_in_force: TimeInForce::Ioc, ..all };
    commands.push(Command::NewOrder(all));

    let mut last = Vec::new();
    for (command, sequence) in commands.into_iter().zip(1..) {
        last = exchange.apply(&Frame { sequence, timestamp_ns: 0, command });
    }
    let trades = last.iter().filter_map(|event| match event {
        Event::Trade(trade) => Some((trade.maker_order_id.0, trade.trade_id.0, trade.quantity.0)),
        _ => None,
    });
    let wanted: Vec<_> = (0..DEPTH).map(|n| (first_maker + n, n + 1, 1)).collect();
    assert_eq!(trades.collect::<Vec<_>>(), wanted);
    for side in [Side::Buy, Side::Sell] {
        assert!(exchange.resting_orders(INSTRUMENT, side).is_empty());
    }
    exchange.assert_invariants();
}

#[test]
fn engine_sweeps_a_deep_level_in_order() {
    sweep(FastExchange::default());
}

#[test]
fn model_sweeps_a_deep_level_in_order() {
    sweep(Model::default());
}
