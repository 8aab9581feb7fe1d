//! Owns what an instrument is: its units, its bounds and its trading status.
//! Knows nothing of books. Invariant: a valid spec makes overflow of any order's value impossible.

use bincode::{Decode, Encode};

use crate::codec::wire_enum;
use crate::limits::{
    BPS, FEE_PPM_MAX, MARKET_COLLAR_BPS_MAX, ORDER_VALUE_MAX, PRICE_BAND_BPS_MAX, PRICE_TICKS_MAX,
    QUANTITY_LOTS_MAX,
};
use crate::types::{Amount, AssetId, InstrumentId, Price, Quantity, Side};

wire_enum! {
    /// What may happen in an instrument.
    pub enum TradingStatus {
        /// Orders are taken and matched.
        Trading = 1,
        /// Nothing but cancels.
        Halted = 2,
        /// Cancels, and amends that only reduce.
        CancelOnly = 3,
        /// Reserved: refused as UNSUPPORTED.
        Auction = 4,
    }
}

/// Everything that defines an instrument. The first five fields never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InstrumentSpec {
    pub instrument: InstrumentId,
    pub base_asset: AssetId,
    pub quote_asset: AssetId,
    /// Base units in one lot.
    pub base_per_lot: u64,
    /// Quote units of one tick times one lot, so that price times quantity is exact.
    pub quote_per_tick_lot: u64,
    pub max_price: Price,
    /// Bounds of an order's total quantity.
    pub min_quantity: Quantity,
    pub max_quantity: Quantity,
    /// Bounds of an order's notional, quote units; a maximum of 0 is off.
    pub min_notional: Amount,
    pub max_notional: Amount,
    /// Parts per million of the quote value; negative is a rebate.
    pub maker_fee_ppm: i32,
    pub taker_fee_ppm: i32,
    /// How far a limit price may lie from the reference, basis points; 0 is off.
    pub price_band_bps: u32,
    /// How far an order without a price may trade from the best opposite price, or from its
    /// trigger, basis points.
    pub market_collar_bps: u32,
    /// Reference of the band until the first trade; 0 for none.
    pub reference_price: Price,
    /// Live orders that one account may have in this instrument.
    pub max_open_orders: u32,
    /// Live orders in this instrument.
    pub max_book_orders: u32,
    /// Lots that an account may trade in a UTC day; 0 is off.
    pub max_daily_volume: u64,
    pub max_iceberg_parts: u32,
}

impl InstrumentSpec {
    /// A spec with every bound wide open: price up to 2^47 ticks, quantity up to 10^12 lots, no
    /// fee.
    ///
    /// One tick times one lot is one quote unit, one lot is one base unit.
    #[must_use]
    pub fn open(instrument: InstrumentId, base_asset: AssetId, quote_asset: AssetId) -> Self {
        Self {
            instrument,
            base_asset,
            quote_asset,
            base_per_lot: 1,
            quote_per_tick_lot: 1,
            max_price: Price(PRICE_TICKS_MAX),
            min_quantity: Quantity(1),
            max_quantity: Quantity(1_000_000_000_000),
            min_notional: 0,
            max_notional: 0,
            maker_fee_ppm: 0,
            taker_fee_ppm: 0,
            price_band_bps: 0,
            market_collar_bps: 10_000,
            reference_price: Price(0),
            max_open_orders: 1_000_000,
            max_book_orders: 1_000_000,
            max_daily_volume: 0,
            max_iceberg_parts: 100,
        }
    }

    /// Whether the spec satisfies every rule that later arithmetic relies on.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.units_are_valid() && self.bounds_are_valid() && self.rates_are_valid()
    }

    fn units_are_valid(&self) -> bool {
        let most_lots = u128::from(self.max_quantity.0);
        let most_base = most_lots * u128::from(self.base_per_lot);
        let most_quote = self.checked_quote_value(self.max_price, self.max_quantity);
        self.instrument.0 != 0
            && self.base_asset != self.quote_asset
            && self.base_per_lot >= 1
            && self.quote_per_tick_lot >= 1
            && most_base <= ORDER_VALUE_MAX
            && most_quote.is_some_and(|value| value <= ORDER_VALUE_MAX)
    }

    fn bounds_are_valid(&self) -> bool {
        (1..=PRICE_TICKS_MAX).contains(&self.max_price.0)
            && (1..=QUANTITY_LOTS_MAX).contains(&self.max_quantity.0)
            && (1..=self.max_quantity.0).contains(&self.min_quantity.0)
            && (self.max_notional == 0 || self.min_notional <= self.max_notional)
            && (0..=self.max_price.0).contains(&self.reference_price.0)
            && self.max_open_orders >= 1
            && self.max_book_orders >= 1
            && self.max_iceberg_parts >= 1
    }

    fn rates_are_valid(&self) -> bool {
        fees_are_valid(self.maker_fee_ppm, self.taker_fee_ppm)
            && self.price_band_bps <= PRICE_BAND_BPS_MAX
            && (1..=MARKET_COLLAR_BPS_MAX).contains(&self.market_collar_bps)
    }

    /// Whether `other` may replace this spec: what live orders were valued with stays as it is.
    #[must_use]
    pub fn same_units(&self, other: &Self) -> bool {
        let units = |s: &Self| {
            (s.instrument, s.base_asset, s.quote_asset, s.base_per_lot, s.quote_per_tick_lot)
        };
        units(self) == units(other)
    }

    /// Value of `quantity` in base units.
    #[must_use]
    pub fn base_value(&self, quantity: Quantity) -> Amount {
        Amount::from(quantity.0) * Amount::from(self.base_per_lot)
    }

    /// Value of `quantity` at `price` in quote units, for a pair that was checked to be small
    /// enough.
    #[must_use]
    pub fn quote_value(&self, price: Price, quantity: Quantity) -> Amount {
        let ticks = Amount::from(price.0.unsigned_abs());
        ticks * Amount::from(quantity.0) * Amount::from(self.quote_per_tick_lot)
    }

    /// Value of `quantity` at `price` in quote units; `None` if it does not fit 128 bits.
    #[must_use]
    pub fn checked_quote_value(&self, price: Price, quantity: Quantity) -> Option<Amount> {
        let ticks = Amount::from(price.0.unsigned_abs());
        (ticks * Amount::from(quantity.0)).checked_mul(self.quote_per_tick_lot.into())
    }

    /// Lowest and highest price of the band around `reference`; `None` if there is no band.
    #[must_use]
    pub fn band(&self, reference: Price) -> Option<(Price, Price)> {
        if self.price_band_bps == 0 || reference.0 == 0 {
            return None;
        }
        let low = scale_up(reference, BPS - i128::from(self.price_band_bps));
        let high = scale_down(reference, BPS + i128::from(self.price_band_bps));
        Some((low.max(Price(1)), high))
    }

    /// Worst price at which an order without a price may trade when the best opposite price, or its
    /// trigger, is `best`.
    #[must_use]
    pub fn collar(&self, side: Side, best: Price) -> Price {
        let bps = i128::from(self.market_collar_bps);
        match side {
            Side::Buy => scale_down(best, BPS + bps).min(self.max_price),
            Side::Sell if bps >= BPS => Price(1),
            Side::Sell => scale_up(best, BPS - bps).max(Price(1)),
        }
    }
}

/// Whether an instrument, and so an order in it, may have these rates, parts per million.
pub(crate) fn fees_are_valid(maker_ppm: i32, taker_ppm: i32) -> bool {
    (0..=FEE_PPM_MAX).contains(&taker_ppm) && (-taker_ppm..=FEE_PPM_MAX).contains(&maker_ppm)
}

impl Price {
    /// The price `bps` basis points above this one for a buy, rounded up, or below it for a sell,
    /// rounded down: how far a trailing order lets the market come back.
    pub(crate) fn offset_by_bps(self, side: Side, bps: u32) -> Self {
        match side {
            Side::Buy => scale_up(self, BPS + i128::from(bps)),
            Side::Sell => scale_down(self, BPS - i128::from(bps)),
        }
    }
}

/// floor(price * bps / 10,000).
fn scale_down(price: Price, bps: i128) -> Price {
    ticks((i128::from(price.0) * bps).div_euclid(BPS))
}

/// ceil(price * bps / 10,000).
fn scale_up(price: Price, bps: i128) -> Price {
    ticks((i128::from(price.0) * bps + BPS - 1).div_euclid(BPS))
}

fn ticks(value: i128) -> Price {
    match i64::try_from(value) {
        Ok(ticks) => Price(ticks),
        Err(_) => unreachable!("a scaled price fits: limits.rs bounds both factors"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> InstrumentSpec {
        InstrumentSpec::open(InstrumentId(1), AssetId(1), AssetId(2))
    }

    #[test]
    fn band_edges_round_inwards() {
        let spec = InstrumentSpec { price_band_bps: 1_000, ..spec() };
        assert_eq!(spec.band(Price(100)), Some((Price(90), Price(110))));
        assert_eq!(spec.band(Price(101)), Some((Price(91), Price(111))));
        assert_eq!(spec.band(Price(0)), None);
    }

    #[test]
    fn collar_rounds_against_the_order_and_stays_legal() {
        let spec = InstrumentSpec { market_collar_bps: 500, max_price: Price(104), ..spec() };
        assert_eq!(spec.collar(Side::Buy, Price(99)), Price(103));
        assert_eq!(spec.collar(Side::Buy, Price(101)), Price(104));
        assert_eq!(spec.collar(Side::Sell, Price(101)), Price(96));
        let all = InstrumentSpec { market_collar_bps: 10_000, ..spec };
        assert_eq!(all.collar(Side::Sell, Price(101)), Price(1));
    }

    #[test]
    fn every_bound_holds_at_the_limit_and_fails_past_it() {
        assert!(spec().is_valid());
        type Change = fn(&mut InstrumentSpec);
        let fine: [Change; 4] = [
            |s| s.maker_fee_ppm = FEE_PPM_MAX,
            |s| (s.taker_fee_ppm, s.maker_fee_ppm) = (200, -200),
            |s| s.price_band_bps = PRICE_BAND_BPS_MAX,
            |s| s.market_collar_bps = MARKET_COLLAR_BPS_MAX,
        ];
        for change in fine {
            let mut changed = spec();
            change(&mut changed);
            assert!(changed.is_valid(), "{changed:?}");
        }
        let broken: [Change; 16] = [
            |s| s.instrument = InstrumentId(0),
            |s| s.quote_asset = s.base_asset,
            |s| s.base_per_lot = 0,
            |s| s.quote_per_tick_lot = 0,
            |s| s.max_price = Price(0),
            |s| s.max_price = Price(PRICE_TICKS_MAX + 1),
            |s| s.max_quantity = Quantity(QUANTITY_LOTS_MAX + 1),
            |s| s.min_quantity = Quantity(0),
            |s| s.min_quantity = Quantity(s.max_quantity.0 + 1),
            |s| (s.min_notional, s.max_notional) = (2, 1),
            |s| s.taker_fee_ppm = -1,
            |s| s.maker_fee_ppm = -1,
            |s| s.maker_fee_ppm = FEE_PPM_MAX + 1,
            |s| s.price_band_bps = PRICE_BAND_BPS_MAX + 1,
            |s| s.market_collar_bps = MARKET_COLLAR_BPS_MAX + 1,
            |s| s.quote_per_tick_lot = u64::MAX,
        ];
        for change in broken {
            let mut changed = spec();
            change(&mut changed);
            assert!(!changed.is_valid(), "{changed:?}");
        }
    }
}
