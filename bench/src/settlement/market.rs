//! Owns the trades that are settled: each is worked out from its number when it is asked for.
//! Knows nothing of wallets. Invariant: trade `n` is event `n` of command `n`, and it is shown as
//! soon as it is due and never before.

use std::time::{Duration, Instant};

use anyhow::Result;
use engine::{
    AccountId, AssetCode, AssetId, Event, InstrumentId, OrderId, Price, Quantity, Side, Trade,
    TradeId,
};
use rust_decimal::Decimal;
use settlement::{Directory, DueTrade, EventSource, Pair, SourceError, SourcedEvent};
use uuid::Uuid;
use wallet::client::SettleRequest;
use wallet::ids;
use wallet::ledger::types::CreditTo;

use crate::bank;

pub(crate) const USERS: u32 = 1_000;
/// What each trade moves, units.
const BASE: u128 = 100;
const QUOTE: u128 = 5_000_000;
const PRICE: i64 = 50_000;
const BUYER_FEE: i128 = 10;
const SELLER_FEE: i128 = 5;
/// What the exchange earns by a trade, quote units.
pub(crate) const FEES: i128 = BUYER_FEE + SELLER_FEE;

/// When trades happen.
#[derive(Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) count: u64,
    /// Trades a second; 0 is all at once.
    pub(crate) rate: u64,
    pub(crate) start: Instant,
    /// The same moment on the wall clock, nanoseconds since the Unix epoch.
    pub(crate) start_ns: u64,
}

impl Schedule {
    fn offset_ns(&self, number: u64) -> u64 {
        ((number - 1) * 1_000_000_000).checked_div(self.rate).unwrap_or(0)
    }

    /// When the trade with this number (from 1) happens.
    pub(crate) fn due(&self, number: u64) -> Instant {
        self.start + Duration::from_nanos(self.offset_ns(number))
    }

    /// Trades that have happened by now.
    fn happened(&self, now: Instant) -> u64 {
        let Some(passed) = now.checked_duration_since(self.start) else { return 0 };
        if self.rate == 0 {
            return self.count;
        }
        let due = passed.as_nanos() * u128::from(self.rate) / 1_000_000_000 + 1;
        u64::try_from(due).unwrap_or(u64::MAX).min(self.count)
    }

    fn event(&self, number: u64) -> SourcedEvent {
        SourcedEvent {
            event_sequence: number,
            sequence: number,
            timestamp_ns: self.start_ns + self.offset_ns(number),
            event: Event::Trade(trade(number)),
        }
    }
}

fn account(number: u64) -> AccountId {
    let place = number % u64::from(USERS);
    AccountId(u32::try_from(place).map_or(0, |place| place + 1))
}

fn trade(number: u64) -> Trade {
    Trade {
        trade_id: TradeId(number),
        instrument: InstrumentId(1),
        price: Price(PRICE),
        quantity: Quantity(1),
        maker_order_id: OrderId(2 * number),
        taker_order_id: OrderId(2 * number + 1),
        maker_account: account(number * 7 + 1),
        taker_account: account(number * 7),
        taker_side: Side::Buy,
        base: BASE,
        quote: QUOTE,
        maker_fee: SELLER_FEE,
        taker_fee: BUYER_FEE,
        buyer_released: 0,
        maker_open: Quantity(0),
        taker_open: Quantity(0),
    }
}

/// What the wallet is asked for the trade with this number.
pub(crate) fn request(number: u64, names: &Names) -> Result<SettleRequest> {
    let (start, start_ns) = (Instant::now(), 0);
    let schedule = Schedule { count: number, rate: 0, start, start_ns };
    let (event, trade) = (schedule.event(number), trade(number));
    Ok(DueTrade::new(&event, &trade, names, CreditTo::Reserved)?.request)
}

/// Shows the trades of a schedule.
pub(crate) struct Tape {
    pub(crate) schedule: Schedule,
    /// Number of the last one shown.
    pub(crate) shown: u64,
}

impl EventSource for Tape {
    fn read(&mut self, max: usize, into: &mut Vec<SourcedEvent>) -> Result<u64, SourceError> {
        let happened = self.schedule.happened(Instant::now());
        let end = happened.min(self.shown + max as u64);
        into.extend((self.shown + 1..=end).map(|number| self.schedule.event(number)));
        self.shown = end;
        Ok(self.shown)
    }
}

/// Account `n` is user `n`.
pub(crate) struct Names {
    base: AssetCode,
    quote: AssetCode,
}

impl Names {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { base: bank::code("BTC")?, quote: bank::code("USDT")? })
    }
}

impl Directory for Names {
    fn user(&self, account: AccountId) -> Option<Uuid> {
        Some(Uuid::from_u128(account.0.into()))
    }

    fn asset(&self, _: AssetId) -> Option<AssetCode> {
        Some(self.quote)
    }

    fn pair(&self, _: InstrumentId) -> Option<Pair> {
        Some(Pair { base: self.base, quote: self.quote })
    }

    fn price(&self, _: InstrumentId, price: Price) -> Option<Decimal> {
        Some(Decimal::from(price.0))
    }

    fn trade_id(&self, trade: TradeId, timestamp_ns: u64) -> Uuid {
        ids::encode(ids::Kind::Trade, trade.0, timestamp_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trade_is_shown_when_it_is_due() {
        let start = Instant::now();
        let schedule = Schedule { count: 3, rate: 10, start, start_ns: 5 };
        let at = |milliseconds| schedule.happened(start + Duration::from_millis(milliseconds));
        assert_eq!([at(0), at(99), at(100), at(199), at(200), at(9_000)], [1, 1, 2, 2, 3, 3]);
        assert_eq!(schedule.due(3), start + Duration::from_millis(200));
        assert_eq!(schedule.event(2).timestamp_ns, 100_000_005);
        assert_eq!(Schedule { rate: 0, ..schedule }.happened(start), 3);
    }

    #[test]
    fn nobody_trades_alone_and_nobody_is_unknown() {
        for number in 1..=2 * u64::from(USERS) {
            let trade = trade(number);
            assert_ne!(trade.maker_account, trade.taker_account);
            assert!((1..=USERS).contains(&trade.maker_account.0));
        }
    }
}
