//! Owns what is listed: assets, instruments, and how their units read as decimal text.
//! Knows nothing of orders. Invariant: built from events alone, so it says what the engine knows,
//! not what a configuration file hopes for.

use std::sync::Arc;

use bincode::{Decode, Encode};
use engine::codec::append as put;
use engine::decimal::Decimal;
use engine::limits::{ASSET_SCALE_MAX, ASSETS_MAX, INSTRUMENTS_MAX};
use engine::{
    AssetCode, AssetId, Event, InstrumentId, InstrumentSpec, Price, Quantity, RestoreError,
    SnapshotReader, TradingStatus,
};

use crate::limits::PRICE_SCALE;

/// A listed asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Asset {
    pub id: AssetId,
    pub code: AssetCode,
    /// Decimal places of its smallest unit.
    pub scale: u8,
}

impl Asset {
    /// An amount of it as decimal text.
    #[must_use]
    pub fn amount(&self, units: i128) -> Decimal {
        Decimal { units, scale: self.scale }
    }
}

/// A listed instrument, with everything that text and units need.
#[derive(Clone, Debug)]
pub struct Instrument {
    pub spec: InstrumentSpec,
    pub status: TradingStatus,
    /// Whether it has ever left the status in which it was listed.
    pub opened: bool,
    /// `BASE/QUOTE`.
    pub symbol: String,
    pub base: Asset,
    pub quote: Asset,
    /// One tick in units of 10^-[`PRICE_SCALE`] of the quote asset per whole base asset.
    tick: i128,
}

impl Instrument {
    /// `None` if one tick is no decimal number of at most [`PRICE_SCALE`] places.
    #[must_use]
    pub fn new(spec: InstrumentSpec, base: Asset, quote: Asset) -> Option<Self> {
        let tick = tick_of(&spec, base.scale, quote.scale)?;
        let symbol = format!("{}/{}", base.code, quote.code);
        let status = TradingStatus::Halted;
        Some(Self { spec, status, opened: false, symbol, base, quote, tick })
    }

    #[must_use]
    pub fn tick(&self) -> i128 {
        self.tick
    }

    #[must_use]
    pub fn price(&self, price: Price) -> Decimal {
        Decimal { units: i128::from(price.0) * self.tick, scale: PRICE_SCALE }
    }

    #[must_use]
    pub fn quantity(&self, quantity: Quantity) -> Decimal {
        self.base.amount(engine::fees::signed(self.spec.base_value(quantity)))
    }

    /// Lots of any number of orders; what no amount can hold is shown as the largest one.
    #[must_use]
    pub fn volume(&self, lots: u128) -> Decimal {
        let units = lots.saturating_mul(self.spec.base_per_lot.into());
        self.base.amount(i128::try_from(units).unwrap_or(i128::MAX))
    }
}

/// tick = (quote units of tick times lot / lot in base units) * 10^(base scale - quote scale),
/// here times 10^[`PRICE_SCALE`], which keeps the exponent from going below zero.
fn tick_of(spec: &InstrumentSpec, base_scale: u8, quote_scale: u8) -> Option<i128> {
    let exponent = u32::from(base_scale + PRICE_SCALE).checked_sub(u32::from(quote_scale))?;
    let scaled = i128::from(spec.quote_per_tick_lot).checked_mul(10i128.checked_pow(exponent)?)?;
    let lot = i128::from(spec.base_per_lot);
    let exact = lot > 0 && scaled % lot == 0;
    exact.then(|| scaled / lot)
}

/// Everything that is listed. Cheap to hand out: a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Products {
    assets: Vec<Asset>,
    instruments: Vec<Arc<Instrument>>,
}

impl Products {
    #[must_use]
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    #[must_use]
    pub fn instruments(&self) -> &[Arc<Instrument>] {
        &self.instruments
    }

    #[must_use]
    pub fn asset(&self, id: AssetId) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.id == id)
    }

    #[must_use]
    pub fn asset_by_code(&self, code: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.code.as_str() == code)
    }

    #[must_use]
    pub fn instrument(&self, id: InstrumentId) -> Option<&Arc<Instrument>> {
        self.instruments.iter().find(|instrument| instrument.spec.instrument == id)
    }

    /// The instrument with this symbol, written `BASE/QUOTE`.
    #[must_use]
    pub fn by_symbol(&self, symbol: &str) -> Option<&Arc<Instrument>> {
        self.instruments.iter().find(|instrument| instrument.symbol == symbol)
    }

    /// Whether this event changes what is listed.
    pub(super) fn concerns(event: &Event) -> bool {
        matches!(
            event,
            Event::AssetAdded { .. }
                | Event::InstrumentAdded(_)
                | Event::InstrumentUpdated(_)
                | Event::StatusChanged { .. }
        )
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::AssetAdded { asset, code, scale } => {
                self.assets.push(Asset { id: *asset, code: *code, scale: *scale });
            }
            Event::InstrumentAdded(spec) => self.list(*spec),
            Event::InstrumentUpdated(spec) => {
                self.change(spec.instrument, |instrument| instrument.spec = *spec);
            }
            Event::StatusChanged { instrument, status } => {
                self.change(*instrument, |instrument| {
                    (instrument.status, instrument.opened) = (*status, true);
                });
            }
            _ => {}
        }
    }

    fn list(&mut self, spec: InstrumentSpec) {
        let assets = (self.asset(spec.base_asset), self.asset(spec.quote_asset));
        let (Some(&base), Some(&quote)) = assets else {
            unreachable!("an instrument is listed after its assets");
        };
        match Instrument::new(spec, base, quote) {
            Some(instrument) => self.instruments.push(Arc::new(instrument)),
            None => tracing::error!(id = spec.instrument.0, "instrument without a decimal tick"),
        }
    }

    fn change(&mut self, id: InstrumentId, change: impl FnOnce(&mut Instrument)) {
        if let Some(place) = self.instruments.iter_mut().find(|i| i.spec.instrument == id) {
            change(Arc::make_mut(place));
        }
    }

    /// In the order in which everything was listed.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let Self { assets, instruments } = self;
        put(assets, out);
        put(&(instruments.len() as u64), out);
        for instrument in instruments {
            let Instrument { spec, status, opened, symbol: _, base: _, quote: _, tick: _ } =
                &**instrument;
            put(&(spec, status, opened), out);
        }
    }

    pub(super) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut products = Self::default();
        for asset in from.list::<Asset>("assets", ASSETS_MAX)? {
            let is_new = products.asset(asset.id).is_none();
            let is_legal = asset.code.is_valid() && asset.scale <= ASSET_SCALE_MAX;
            from.check(is_new && is_legal, "asset")?;
            products.assets.push(asset);
        }
        for _ in 0..from.count("number of instruments", INSTRUMENTS_MAX)? {
            let (spec, status, opened): (InstrumentSpec, _, _) = from.read("instrument")?;
            let is_new = products.instrument(spec.instrument).is_none();
            from.check(is_new && spec.is_valid(), "instrument")?;
            let pair = products.asset(spec.base_asset).zip(products.asset(spec.quote_asset));
            let listed = pair.and_then(|(base, quote)| Instrument::new(spec, *base, *quote));
            let listed = listed.ok_or_else(|| from.illegal("assets of an instrument"))?;
            products.instruments.push(Arc::new(Instrument { status, opened, ..listed }));
        }
        Ok(products)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::tests::btc_usdt;

    #[test]
    fn units_read_as_decimals() {
        let btc = btc_usdt();
        assert_eq!(btc.symbol, "BTC/USDT");
        assert_eq!(btc.price(Price(5_000_000)).to_string(), "50000");
        assert_eq!(btc.price(Price(1)).to_string(), "0.01");
        assert_eq!(btc.quantity(Quantity(1_500_000)).to_string(), "1.5");
        assert_eq!(btc.quantity(Quantity(1)).to_string(), "0.000001");
        assert_eq!(btc.volume(1 << 64).to_string(), "18446744073709.551616");
        let largest = btc.base.amount(i128::MAX).to_string();
        assert_eq!(btc.volume(u128::MAX).to_string(), largest);
        assert_eq!(btc.quote.amount(7_515_000_000_000).to_string(), "75150");
    }

    #[test]
    fn a_tick_may_be_finer_than_the_quote_asset() {
        let spec = InstrumentSpec {
            base_per_lot: 1_000,
            ..InstrumentSpec::open(InstrumentId(1), AssetId(1), AssetId(2))
        };
        assert_eq!(tick_of(&spec, 0, 2), Some(10_000_000_000_000), "0.00001");
        assert_eq!(tick_of(&InstrumentSpec { base_per_lot: 3, ..spec }, 0, 2), None);
    }
}
