//! Owns the way from configured assets and instruments to specs of the engine.
//! Knows nothing of what is listed already. Invariant: every decimal is whole in its units,
//! and a tick times a lot is a whole number of quote units, so no order's value is ever rounded.

use engine::decimal::{DecimalError, parse};
use engine::limits::{ASSET_SCALE_MAX, REFERENCE_ID_MAX};
use engine::{AssetCode, AssetId, InstrumentId, InstrumentSpec, Price, Quantity};

use crate::config::ConfigError;
use crate::config::file::{AssetEntry, InstrumentEntry};
use crate::limits::{PRICE_SCALE, SYMBOL_CHARS_MAX};
use crate::views::{Asset, Instrument};

/// Everything that is to be listed.
#[derive(Clone, Debug)]
pub struct ConfiguredProducts {
    pub assets: Vec<Asset>,
    pub instruments: Vec<Instrument>,
}

pub(super) fn check(
    assets: Option<Vec<AssetEntry>>,
    instruments: Option<Vec<InstrumentEntry>>,
) -> Result<ConfiguredProducts, ConfigError> {
    let entries = assets.unwrap_or_else(AssetEntry::defaults);
    let mut assets: Vec<Asset> = Vec::with_capacity(entries.len());
    for entry in &entries {
        let asset = check_asset(entry)?;
        if assets.iter().any(|known| known.id == asset.id || known.code == asset.code) {
            return Err(refuse("assets", &entry.code, "is listed twice"));
        }
        assets.push(asset);
    }
    let entries = instruments.unwrap_or_else(InstrumentEntry::defaults);
    let mut instruments: Vec<Instrument> = Vec::with_capacity(entries.len());
    for entry in &entries {
        let instrument = check_instrument(entry, &assets)?;
        let twin = |known: &Instrument| {
            known.spec.instrument == instrument.spec.instrument || known.symbol == instrument.symbol
        };
        if instruments.iter().any(twin) {
            return Err(refuse("instruments", &instrument.symbol, "is listed twice"));
        }
        instruments.push(instrument);
    }
    Ok(ConfiguredProducts { assets, instruments })
}

fn refuse(list: &str, name: &str, problem: &str) -> ConfigError {
    ConfigError::value(list, format!("{name} {problem}"))
}

fn check_asset(entry: &AssetEntry) -> Result<Asset, ConfigError> {
    let refuse = |problem: &str| refuse("assets", &entry.code, problem);
    let code = AssetCode::new(&entry.code)
        .ok_or_else(|| refuse("must be 1 to 12 upper-case letters and digits"))?;
    if !(1..=REFERENCE_ID_MAX).contains(&entry.id) {
        return Err(refuse(&format!("has id {}, expected 1 to {REFERENCE_ID_MAX}", entry.id)));
    }
    if entry.scale > ASSET_SCALE_MAX {
        return Err(refuse(&format!("has scale {}, at most {ASSET_SCALE_MAX}", entry.scale)));
    }
    Ok(Asset { id: AssetId(entry.id), code, scale: entry.scale })
}

/// Reads the decimals of one instrument and names them in refusals.
struct Reader<'a> {
    symbol: &'a str,
}

impl Reader<'_> {
    fn refuse(&self, key: &str, problem: &str) -> ConfigError {
        ConfigError::value("instruments", format!("{}: {key} {problem}", self.symbol))
    }

    fn units(&self, key: &str, text: &str, scale: u8) -> Result<i128, ConfigError> {
        let units = parse(text, scale).map_err(|error| {
            let problem = match error {
                DecimalError::Format => "is not a decimal number".to_owned(),
                DecimalError::Precision => format!("has more than {scale} decimal places"),
                DecimalError::Range => "is too large".to_owned(),
            };
            self.refuse(key, &problem)
        })?;
        if units < 0 { Err(self.refuse(key, "is negative")) } else { Ok(units) }
    }

    /// `text` in multiples of `unit`, which is not zero.
    fn multiple(&self, key: &str, text: &str, scale: u8, unit: i128) -> Result<i128, ConfigError> {
        let units = self.units(key, text, scale)?;
        if units % unit != 0 {
            return Err(self.refuse(key, "is not a multiple of its tick or lot"));
        }
        Ok(units / unit)
    }

    fn fits<T: TryFrom<i128>>(&self, key: &str, value: i128) -> Result<T, ConfigError> {
        T::try_from(value).map_err(|_| self.refuse(key, "is too large"))
    }
}

fn check_instrument(entry: &InstrumentEntry, assets: &[Asset]) -> Result<Instrument, ConfigError> {
    let symbol = format!("{}/{}", entry.base, entry.quote);
    let reader = Reader { symbol: &symbol };
    if symbol.len() > SYMBOL_CHARS_MAX {
        let problem = format!("is longer than {SYMBOL_CHARS_MAX} characters");
        return Err(reader.refuse("symbol", &problem));
    }
    let asset = |key: &str, code: &str| {
        let found = assets.iter().find(|asset| asset.code.as_str() == code).copied();
        found.ok_or_else(|| reader.refuse(key, "is not a listed asset"))
    };
    let (base, quote) = (asset("base", &entry.base)?, asset("quote", &entry.quote)?);
    let tick = reader.units("tick", &entry.tick, PRICE_SCALE)?;
    let lot = reader.units("lot", &entry.lot, base.scale)?;
    if tick == 0 || lot == 0 {
        return Err(reader.refuse("tick and lot", "must be greater than 0"));
    }
    let spec = InstrumentSpec {
        base_per_lot: reader.fits("lot", lot)?,
        quote_per_tick_lot: quote_per_tick_lot(&reader, tick, lot, base, quote)?,
        ..bounds(&reader, entry, (tick, lot), (base, quote))?
    };
    if !spec.is_valid() {
        return Err(reader.refuse("specification", "has a value out of bounds"));
    }
    let instrument = Instrument::new(spec, base, quote);
    let exact = instrument.filter(|instrument| instrument.tick() == tick);
    exact.ok_or_else(|| reader.refuse("tick", "cannot be shown exactly"))
}

/// tick * lot in quote units: both carry decimal places that have to cancel out exactly.
fn quote_per_tick_lot(
    reader: &Reader<'_>,
    tick: i128,
    lot: i128,
    base: Asset,
    quote: Asset,
) -> Result<u64, ConfigError> {
    let places = u32::from(PRICE_SCALE) + u32::from(base.scale) - u32::from(quote.scale);
    let product = tick.checked_mul(lot);
    let unit = 10i128.checked_pow(places);
    match (product, unit) {
        (Some(product), Some(unit)) if product % unit == 0 => {
            reader.fits("tick times lot", product / unit)
        }
        _ => Err(reader.refuse("tick times lot", "is not a whole number of quote units")),
    }
}

/// Everything but the two units.
fn bounds(
    reader: &Reader<'_>,
    entry: &InstrumentEntry,
    (tick, lot): (i128, i128),
    (base, quote): (Asset, Asset),
) -> Result<InstrumentSpec, ConfigError> {
    let price = |key: &str, text: &str| {
        let ticks = reader.multiple(key, text, PRICE_SCALE, tick)?;
        reader.fits(key, ticks).map(Price)
    };
    let quantity = |key: &str, text: &str| {
        let lots = reader.multiple(key, text, base.scale, lot)?;
        reader.fits(key, lots).map(Quantity)
    };
    let notional = |key: &str, text: &Option<String>| match text {
        None => Ok(0),
        Some(text) => reader.fits(key, reader.units(key, text, quote.scale)?),
    };
    Ok(InstrumentSpec {
        max_price: price("max_price", &entry.max_price)?,
        min_quantity: match &entry.min_quantity {
            None => Quantity(1),
            Some(text) => quantity("min_quantity", text)?,
        },
        max_quantity: quantity("max_quantity", &entry.max_quantity)?,
        min_notional: notional("min_notional", &entry.min_notional)?,
        max_notional: notional("max_notional", &entry.max_notional)?,
        maker_fee_ppm: entry.maker_fee_ppm,
        taker_fee_ppm: entry.taker_fee_ppm,
        price_band_bps: entry.price_band_bps,
        market_collar_bps: entry.market_collar_bps,
        reference_price: match &entry.reference_price {
            None => Price(0),
            Some(text) => price("reference_price", text)?,
        },
        max_open_orders: entry.max_open_orders,
        max_book_orders: entry.max_book_orders,
        max_daily_volume: match &entry.max_daily_volume {
            None => 0,
            Some(text) => quantity("max_daily_volume", text)?.0,
        },
        max_iceberg_parts: entry.max_iceberg_parts,
        ..InstrumentSpec::open(InstrumentId(entry.id), base.id, quote.id)
    })
}
