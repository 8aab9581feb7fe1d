//! Owns the trades that tests settle. Knows nothing of tests.
//! Invariant: trade `n` of the example is worth 1.5 of base at 49,900, from user 1 to user 2.

use engine::{AssetCode, InstrumentId, TradeId};
use rust_decimal::Decimal;
use uuid::Uuid;
use wallet::client::SettleRequest;
use wallet::ids;
use wallet::ledger::types::CreditTo;

use crate::trade::DueTrade;

const ONE: u128 = 100_000_000;

pub(crate) fn request(number: u64) -> SettleRequest {
    let asset = |code| AssetCode::new(code).expect("a code");
    SettleRequest {
        trade_id: ids::encode(ids::Kind::Trade, number, 0),
        buyer_id: Uuid::from_u128(1),
        seller_id: Uuid::from_u128(2),
        buyer_order_id: ids::encode(ids::Kind::Order, 2 * number, 0),
        seller_order_id: ids::encode(ids::Kind::Order, 2 * number + 1, 0),
        base: asset("BTC"),
        quote: asset("USDT"),
        base_amount: ONE * 3 / 2,
        quote_amount: 74_850 * ONE,
        price: Decimal::from(49_900),
        buyer_fee: 14_970 * (ONE / 100).cast_signed(),
        seller_fee: 7_485 * (ONE / 100).cast_signed(),
        credit_to: CreditTo::Reserved,
    }
}

pub(crate) fn due(number: u64) -> DueTrade {
    DueTrade {
        event_sequence: number,
        number: TradeId(number),
        instrument: InstrumentId(1),
        traded_ns: number,
        request: request(number),
    }
}
