//! Owns a trade on its way to the wallet: its parties, its amounts, its key.
//! Knows nothing of calls. Invariant: a trade that does not add up is refused here, before anybody
//! is asked to move money.

use bincode::{Decode, Encode};
use engine::{Amount, AssetCode, InstrumentId, Side, Trade, TradeId};
use rust_decimal::Decimal;
use uuid::Uuid;
use wallet::client::SettleRequest;
use wallet::ids;
use wallet::ledger::types::CreditTo;

use crate::source::{Directory, SourcedEvent};

/// Why a trade cannot be settled at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TradeError {
    #[error("invalid trade: {0}")]
    InvalidTrade(&'static str),
    #[error("symbol {0:?} is not BASE/QUOTE")]
    SymbolParsing(String),
}

/// A trade to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueTrade {
    /// Where it stands in the event log.
    pub event_sequence: u64,
    pub number: TradeId,
    pub instrument: InstrumentId,
    pub traded_ns: u64,
    pub request: SettleRequest,
}

/// What the parties of a trade pay and receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Quote units.
    pub buyer_pays: u128,
    pub seller_receives: u128,
    /// To the exchange; negative where rebates exceed fees.
    pub fees: i128,
    /// Base units.
    pub base: u128,
}

/// The amounts that a trade moves.
///
/// # Errors
/// `InvalidTrade` if a fee is larger than what it is taken from.
pub fn amounts(request: &SettleRequest) -> Result<Amounts, TradeError> {
    let invalid = || TradeError::InvalidTrade("fees do not fit the amounts");
    let quote = i128::try_from(request.quote_amount).map_err(|_| invalid())?;
    let unsigned =
        |sum: Option<i128>| sum.and_then(|sum| u128::try_from(sum).ok()).ok_or_else(invalid);
    let fees = request.buyer_fee.checked_add(request.seller_fee);
    Ok(Amounts {
        buyer_pays: unsigned(quote.checked_add(request.buyer_fee))?,
        seller_receives: unsigned(quote.checked_sub(request.seller_fee))?,
        fees: fees.ok_or_else(invalid)?,
        base: request.base_amount,
    })
}

/// Whether a trade that came from outside is complete.
///
/// # Errors
/// `InvalidTrade`, with what is missing.
pub fn validate(request: &SettleRequest) -> Result<(), TradeError> {
    let checks = [
        (request.trade_id.is_nil(), "no trade id"),
        (request.buyer_id.is_nil(), "no buyer"),
        (request.seller_id.is_nil(), "no seller"),
        (request.base_amount == 0, "quantity is 0"),
        (request.quote_amount == 0, "value is 0"),
        (request.price <= Decimal::ZERO, "price is not above 0"),
        (!request.base.is_valid() || !request.quote.is_valid(), "no symbol"),
        (request.base == request.quote, "base and quote are the same asset"),
    ];
    match checks.into_iter().find(|(broken, _)| *broken) {
        Some((_, what)) => Err(TradeError::InvalidTrade(what)),
        None => amounts(request).map(drop),
    }
}

/// The two assets of a symbol: `BTC/USDT`, `BTC-USDT` or `BTC_USDT`.
///
/// # Errors
/// `SymbolParsing` for anything without exactly one separator between two assets.
pub fn parse_symbol(text: &str) -> Result<(AssetCode, AssetCode), TradeError> {
    let error = || TradeError::SymbolParsing(text.chars().take(32).collect());
    let mut parts = text.split(['/', '-', '_']);
    let mut asset = || parts.next().and_then(AssetCode::new).ok_or_else(error);
    let pair = (asset()?, asset()?);
    if parts.next().is_some() { Err(error()) } else { Ok(pair) }
}

/// The id by which the wallet knows an order: its number, without the time that others show it
/// with, so that it can be told from the number alone.
#[must_use]
pub fn order_key(order: engine::OrderId) -> Uuid {
    ids::encode(ids::Kind::Order, order.0, 0)
}

impl DueTrade {
    /// What it takes from the reservations of its orders, by their keys; nothing where orders are
    /// paid from one pool.
    pub(crate) fn shares(&self) -> [(u128, Amount); 2] {
        let request = &self.request;
        if request.credit_to == CreditTo::Reserved {
            return Default::default();
        }
        // A trade whose amounts do not add up never became due.
        let pays = amounts(request).map_or(0, |amounts| amounts.buyer_pays);
        let orders = [request.buyer_order_id, request.seller_order_id].map(|id| id.as_u128());
        [(orders[0], pays), (orders[1], request.base_amount)]
    }

    /// The trade of an event.
    ///
    /// # Errors
    /// `InvalidTrade` if something that it names is not known.
    pub fn new(
        event: &SourcedEvent,
        trade: &Trade,
        directory: &dyn Directory,
        credit_to: CreditTo,
    ) -> Result<Self, TradeError> {
        let maker = (trade.maker_account, trade.maker_order_id, trade.maker_fee);
        let taker = (trade.taker_account, trade.taker_order_id, trade.taker_fee);
        let (buyer, seller) = match trade.taker_side {
            Side::Buy => (taker, maker),
            Side::Sell => (maker, taker),
        };
        let user = |account, who| directory.user(account).ok_or(TradeError::InvalidTrade(who));
        let no_symbol = TradeError::InvalidTrade("no symbol");
        let pair = directory.pair(trade.instrument).ok_or(no_symbol)?;
        let price = directory.price(trade.instrument, trade.price);
        let request = SettleRequest {
            trade_id: directory.trade_id(trade.trade_id, event.timestamp_ns),
            buyer_id: user(buyer.0, "no buyer")?,
            seller_id: user(seller.0, "no seller")?,
            buyer_order_id: order_key(buyer.1),
            seller_order_id: order_key(seller.1),
            base: pair.base,
            quote: pair.quote,
            base_amount: trade.base,
            quote_amount: trade.quote,
            price: price.ok_or(TradeError::InvalidTrade("no price"))?,
            buyer_fee: buyer.2,
            seller_fee: seller.2,
            credit_to,
        };
        validate(&request)?;
        Ok(Self {
            event_sequence: event.event_sequence,
            number: trade.trade_id,
            instrument: trade.instrument,
            traded_ns: event.timestamp_ns,
            request,
        })
    }
}

/// A trade as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredTrade {
    event_sequence: u64,
    number: TradeId,
    instrument: InstrumentId,
    traded_ns: u64,
    ids: [u128; 5],
    base: AssetCode,
    quote: AssetCode,
    base_amount: u128,
    quote_amount: u128,
    price: (i128, u32),
    fees: (i128, i128),
    credit_to: CreditTo,
}

impl From<&DueTrade> for StoredTrade {
    fn from(trade: &DueTrade) -> Self {
        let request = &trade.request;
        let ids = [
            request.trade_id,
            request.buyer_id,
            request.seller_id,
            request.buyer_order_id,
            request.seller_order_id,
        ];
        Self {
            event_sequence: trade.event_sequence,
            number: trade.number,
            instrument: trade.instrument,
            traded_ns: trade.traded_ns,
            ids: ids.map(|id| id.as_u128()),
            base: request.base,
            quote: request.quote,
            base_amount: request.base_amount,
            quote_amount: request.quote_amount,
            price: (request.price.mantissa(), request.price.scale()),
            fees: (request.buyer_fee, request.seller_fee),
            credit_to: request.credit_to,
        }
    }
}

impl StoredTrade {
    /// `None` if the price is not one that [`Self::from`] stores.
    pub(crate) fn restore(&self) -> Option<DueTrade> {
        let [trade_id, buyer_id, seller_id, buyer_order_id, seller_order_id] =
            self.ids.map(Uuid::from_u128);
        let request = SettleRequest {
            trade_id,
            buyer_id,
            seller_id,
            buyer_order_id,
            seller_order_id,
            base: self.base,
            quote: self.quote,
            base_amount: self.base_amount,
            quote_amount: self.quote_amount,
            price: Decimal::try_from_i128_with_scale(self.price.0, self.price.1).ok()?,
            buyer_fee: self.fees.0,
            seller_fee: self.fees.1,
            credit_to: self.credit_to,
        };
        Some(DueTrade {
            event_sequence: self.event_sequence,
            number: self.number,
            instrument: self.instrument,
            traded_ns: self.traded_ns,
            request,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    #[test]
    fn amounts_of_the_worked_example() {
        const ONE: u128 = 100_000_000;
        let fees = (5 * ONE.cast_signed(), 250_000_000);
        let due = SettleRequest {
            base_amount: ONE / 10,
            quote_amount: 5_000 * ONE,
            buyer_fee: fees.0,
            seller_fee: fees.1,
            ..request(1)
        };
        let expected = Amounts {
            buyer_pays: 5_005 * ONE,
            seller_receives: 499_750_000_000,
            fees: 750_000_000,
            base: ONE / 10,
        };
        assert_eq!(amounts(&due), Ok(expected));
        let all = SettleRequest { seller_fee: due.quote_amount.cast_signed() + 1, ..due };
        assert!(amounts(&all).is_err(), "a fee above the value");
    }

    #[test]
    fn symbols_have_one_separator() {
        let pair = (AssetCode::new("BTC").unwrap(), AssetCode::new("USDT").unwrap());
        for text in ["BTC/USDT", "BTC-USDT", "BTC_USDT"] {
            assert_eq!(parse_symbol(text), Ok(pair), "{text}");
        }
        for text in ["BTCUSDT", "/BTCUSDT", "BTCUSDT/", "", "BTC/USDT/EUR", "BTC//USDT", "btc/usdt"]
        {
            assert_eq!(parse_symbol(text), Err(TradeError::SymbolParsing(text.to_owned())));
        }
    }

    #[test]
    fn incomplete_trades_are_refused() {
        let good = request(1);
        assert_eq!(validate(&good), Ok(()));
        for (bad, what) in [
            (SettleRequest { trade_id: Uuid::nil(), ..good }, "no trade id"),
            (SettleRequest { buyer_id: Uuid::nil(), ..good }, "no buyer"),
            (SettleRequest { seller_id: Uuid::nil(), ..good }, "no seller"),
            (SettleRequest { base_amount: 0, ..good }, "quantity is 0"),
            (SettleRequest { quote_amount: 0, ..good }, "value is 0"),
            (SettleRequest { base: AssetCode::default(), ..good }, "no symbol"),
            (SettleRequest { quote: good.base, ..good }, "base and quote are the same asset"),
            (SettleRequest { price: Decimal::ZERO, ..good }, "price is not above 0"),
        ] {
            assert_eq!(validate(&bad), Err(TradeError::InvalidTrade(what)));
        }
    }

    #[test]
    fn a_stored_trade_comes_back() {
        let trade = crate::testing::due(7);
        assert_eq!(StoredTrade::from(&trade).restore(), Some(trade));
    }
}
