//! Owns the trades that are settled: an event log in memory and the names that go with it.
//! Knows nothing of wallets. Invariant: trades are numbered from 1 without a gap, and every event
//! is a command of its own.

use std::sync::Arc;

use engine::{
    AccountId, AssetCode, AssetId, Event, InstrumentId, OrderId, Price, Quantity, Side, Trade,
    TradeId,
};
use parking_lot::Mutex;
use rust_decimal::Decimal;
use settlement::{Directory, EventSource, Pair, SourceError, SourcedEvent};
use uuid::Uuid;
use wallet::ids;

/// What every trade moves: 100 units of BTC at 50,000, both scales 8.
pub(crate) const BASE: u128 = 100;
pub(crate) const QUOTE: u128 = 5_000_000;
pub(crate) const BUYER_FEE: i128 = 10;
pub(crate) const SELLER_FEE: i128 = 5;
pub(crate) const FEES: i128 = BUYER_FEE + SELLER_FEE;

pub(crate) const BTC_USDT: InstrumentId = InstrumentId(1);
pub(crate) const DOGE_USDT: InstrumentId = InstrumentId(2);

pub(crate) fn code(text: &str) -> AssetCode {
    AssetCode::new(text).unwrap()
}

pub(crate) fn user(number: u32) -> Uuid {
    Uuid::from_u128(number.into())
}

/// The id of a trade of this market.
pub(crate) fn trade_id(number: u64) -> Uuid {
    ids::encode(ids::Kind::Trade, number, 0)
}

/// An exchange that only trades.
#[derive(Clone, Default)]
pub(crate) struct Market {
    log: Arc<Mutex<Vec<SourcedEvent>>>,
    /// Buyer and seller of each trade.
    parties: Arc<Mutex<Vec<(u32, u32)>>>,
}

impl Market {
    pub(crate) fn trade(&self, buyer: u32, seller: u32) -> TradeId {
        self.trade_in(BTC_USDT, buyer, seller)
    }

    pub(crate) fn trade_in(&self, instrument: InstrumentId, buyer: u32, seller: u32) -> TradeId {
        let mut parties = self.parties.lock();
        parties.push((buyer, seller));
        let number = TradeId(parties.len() as u64);
        self.append(Event::Trade(Trade {
            trade_id: number,
            instrument,
            price: Price(50_000),
            quantity: Quantity(1),
            maker_order_id: OrderId(2 * number.0),
            taker_order_id: OrderId(2 * number.0 + 1),
            maker_account: AccountId(seller),
            taker_account: AccountId(buyer),
            taker_side: Side::Buy,
            base: BASE,
            quote: QUOTE,
            maker_fee: SELLER_FEE,
            taker_fee: BUYER_FEE,
            buyer_released: 0,
            maker_open: Quantity(0),
            taker_open: Quantity(0),
        }));
        number
    }

    /// Trades between neighbours in a ring of users.
    pub(crate) fn trades(&self, count: u32, users: u32) {
        for number in 0..count {
            self.trade(number % users + 1, (number + 1) % users + 1);
        }
    }

    /// An event that is no trade.
    pub(crate) fn other(&self) {
        self.append(Event::SessionEnded { instrument: BTC_USDT, closed: 0 });
    }

    /// The end of an order that had a reservation of its own, in quote.
    pub(crate) fn ends(&self, order: u64, account: u32, captured: u128, returned: u128) {
        let (order_id, account) = (OrderId(order), AccountId(account));
        self.append(Event::FundsReturned {
            order_id,
            account,
            asset: AssetId(1),
            reserved: captured + returned,
            captured,
            returned,
        });
    }

    fn append(&self, event: Event) {
        let mut log = self.log.lock();
        let event_sequence = log.len() as u64 + 1;
        let sequence = event_sequence;
        log.push(SourcedEvent { event_sequence, sequence, timestamp_ns: 0, event });
    }

    pub(crate) fn len(&self) -> u64 {
        self.parties.lock().len() as u64
    }

    /// Events so far.
    pub(crate) fn head(&self) -> u64 {
        self.log.lock().len() as u64
    }

    /// What the trades that `counts` come to for a user: base and quote units.
    pub(crate) fn moved(&self, of: u32, counts: impl Fn(TradeId) -> bool) -> (i128, i128) {
        let (mut base, mut quote) = (0, 0);
        for (index, (buyer, seller)) in self.parties.lock().iter().enumerate() {
            if !counts(TradeId(index as u64 + 1)) {
                continue;
            }
            if *buyer == of {
                base += BASE.cast_signed();
                quote -= QUOTE.cast_signed() + BUYER_FEE;
            }
            if *seller == of {
                base -= BASE.cast_signed();
                quote += QUOTE.cast_signed() - SELLER_FEE;
            }
        }
        (base, quote)
    }

    /// A reader that begins with the event `from`.
    pub(crate) fn source(&self, from: u64) -> Box<dyn EventSource> {
        Box::new(Reader { log: Arc::clone(&self.log), next: usize::try_from(from).unwrap() - 1 })
    }
}

struct Reader {
    log: Arc<Mutex<Vec<SourcedEvent>>>,
    next: usize,
}

impl EventSource for Reader {
    fn read(&mut self, max: usize, into: &mut Vec<SourcedEvent>) -> Result<u64, SourceError> {
        let log = self.log.lock();
        if self.next > log.len() {
            return Err(SourceError("the log does not reach so far".to_owned()));
        }
        let page = &log[self.next..log.len().min(self.next + max)];
        into.extend_from_slice(page);
        self.next += page.len();
        Ok(log.len() as u64)
    }
}

/// The names of the market: account n is user n.
pub(crate) struct Names;

impl Directory for Names {
    fn user(&self, account: AccountId) -> Option<Uuid> {
        Some(user(account.0)).filter(|user| !user.is_nil())
    }

    fn asset(&self, asset: AssetId) -> Option<AssetCode> {
        (asset == AssetId(1)).then(|| code("USDT"))
    }

    fn pair(&self, instrument: InstrumentId) -> Option<Pair> {
        let base = match instrument {
            BTC_USDT => "BTC",
            DOGE_USDT => "DOGE",
            _ => return None,
        };
        Some(Pair { base: code(base), quote: code("USDT") })
    }

    fn price(&self, _: InstrumentId, price: Price) -> Option<Decimal> {
        Some(Decimal::from(price.0))
    }

    fn trade_id(&self, trade: TradeId, timestamp_ns: u64) -> Uuid {
        ids::encode(ids::Kind::Trade, trade.0, timestamp_ns)
    }
}
