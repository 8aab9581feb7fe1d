//! Owns the comparison of what is configured with what is listed, and the commands in between.
//! Knows nothing of how they are journaled. Invariant: what is listed stays as the journal has it.
//! Units, which live money and orders depend on, must be configured as they are listed, or the
//! start is refused before anything is written; limits are an operator's to change, by command.

use engine::{Command, InstrumentSpec, TradingStatus};

use crate::config::ConfiguredProducts;
use crate::views::{Instrument, Products};

/// What a configuration may not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {what} differs from the journal: {detail}")]
pub struct GenesisError {
    what: String,
    detail: String,
}

/// What a start has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What makes the exchange list what is configured.
    pub commands: Vec<Command>,
    /// Keys of the configuration that say otherwise than the journal, by symbol: the journal's
    /// limits hold.
    pub overruled: Vec<(String, Vec<&'static str>)>,
}

/// What it takes to list what is configured.
///
/// # Errors
/// An asset or an instrument is listed with other units.
pub fn plan(configured: &ConfiguredProducts, listed: &Products) -> Result<Plan, GenesisError> {
    let mut plan = Plan::default();
    for asset in &configured.assets {
        let known = listed.asset(asset.id).or_else(|| listed.asset_by_code(asset.code.as_str()));
        match known {
            Some(known) if known == asset => {}
            Some(known) => {
                let detail = format!(
                    "journal has id {} {} with scale {}, configuration has id {} {} with scale {}",
                    known.id, known.code, known.scale, asset.id, asset.code, asset.scale
                );
                return Err(GenesisError { what: format!("asset {}", asset.code), detail });
            }
            None => plan.commands.push(Command::AddAsset {
                asset: asset.id,
                code: asset.code,
                scale: asset.scale,
            }),
        }
    }
    for instrument in &configured.instruments {
        plan_instrument(instrument, listed, &mut plan)?;
    }
    Ok(plan)
}

fn plan_instrument(
    wanted: &Instrument,
    listed: &Products,
    plan: &mut Plan,
) -> Result<(), GenesisError> {
    let id = wanted.spec.instrument;
    let known = listed.instrument(id).or_else(|| listed.by_symbol(&wanted.symbol));
    match known {
        Some(known) if !known.spec.same_units(&wanted.spec) => {
            let what = format!("instrument {}", wanted.symbol);
            return Err(GenesisError { what, detail: units_detail(known, wanted) });
        }
        Some(known) if known.spec != wanted.spec => {
            let keys = differing_keys(&known.spec, &wanted.spec);
            plan.overruled.push((wanted.symbol.clone(), keys));
        }
        Some(_) => {}
        None => plan.commands.push(Command::AddInstrument(wanted.spec)),
    }
    // Listed, but the process ended before it could be opened: that is still to be done. A status
    // that an operator has set since is left alone.
    if known.is_none_or(|known| !known.opened) {
        let status = TradingStatus::Trading;
        plan.commands.push(Command::SetTradingStatus { instrument: id, status });
    }
    Ok(())
}

/// The keys of an instrument of which two specifications with the same units say something else.
fn differing_keys(a: &InstrumentSpec, b: &InstrumentSpec) -> Vec<&'static str> {
    let keys = [
        ("min_quantity", a.min_quantity == b.min_quantity),
        ("max_quantity", a.max_quantity == b.max_quantity),
        ("max_price", a.max_price == b.max_price),
        ("min_notional", a.min_notional == b.min_notional),
        ("max_notional", a.max_notional == b.max_notional),
        ("maker_fee_ppm", a.maker_fee_ppm == b.maker_fee_ppm),
        ("taker_fee_ppm", a.taker_fee_ppm == b.taker_fee_ppm),
        ("price_band_bps", a.price_band_bps == b.price_band_bps),
        ("market_collar_bps", a.market_collar_bps == b.market_collar_bps),
        ("reference_price", a.reference_price == b.reference_price),
        ("max_open_orders", a.max_open_orders == b.max_open_orders),
        ("max_book_orders", a.max_book_orders == b.max_book_orders),
        ("max_daily_volume", a.max_daily_volume == b.max_daily_volume),
        ("max_iceberg_parts", a.max_iceberg_parts == b.max_iceberg_parts),
    ];
    keys.into_iter().filter(|(_, equal)| !equal).map(|(key, _)| key).collect()
}

fn units_detail(known: &Instrument, wanted: &Instrument) -> String {
    let say = |instrument: &Instrument| {
        format!(
            "id {} {} with tick {} and lot {}",
            instrument.spec.instrument,
            instrument.symbol,
            instrument.price(engine::Price(1)),
            instrument.quantity(engine::Quantity(1))
        )
    };
    format!("journal has {}, configuration has {}", say(known), say(wanted))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use engine::Event;

    use super::*;
    use crate::config::{Config, Overrides};

    fn configured(text: &str) -> ConfiguredProducts {
        let config = Config::from_sources(text, HashMap::new(), Overrides::default());
        config.unwrap().products
    }

    fn listed(products: &ConfiguredProducts, opened: bool) -> Products {
        let mut listed = Products::default();
        for command in plan(products, &Products::default()).unwrap().commands {
            listed.apply(&match command {
                Command::AddAsset { asset, code, scale } => {
                    Event::AssetAdded { asset, code, scale }
                }
                Command::AddInstrument(spec) => Event::InstrumentAdded(spec),
                Command::SetTradingStatus { instrument, status } if opened => {
                    Event::StatusChanged { instrument, status }
                }
                _ => continue,
            });
        }
        listed
    }

    const ONE: &str = "[[instruments]]\nid = 1\nbase = \"BTC\"\nquote = \"USDT\"\n\
        tick = \"0.01\"\nlot = \"0.000001\"\nmax_quantity = \"100\"\nmax_price = \"10000000\"\n";

    #[test]
    fn an_empty_exchange_gets_everything_and_a_listed_one_nothing() {
        let wanted = configured("");
        assert_eq!(plan(&wanted, &Products::default()).unwrap().commands.len(), 4 + 2 * 2);
        assert_eq!(plan(&wanted, &listed(&wanted, true)), Ok(Plan::default()));
    }

    #[test]
    fn an_interrupted_listing_is_finished() {
        let wanted = configured("");
        let commands = plan(&wanted, &listed(&wanted, false)).unwrap().commands;
        assert!(commands.iter().all(|c| matches!(c, Command::SetTradingStatus { .. })));
        assert_eq!(commands.len(), 2);
    }

    #[test]
    fn the_limits_of_what_is_listed_stay_and_each_that_differs_is_named() {
        let before = listed(&configured(ONE), true);
        let defaults = configured("").instruments[0].spec;
        for (line, key) in [
            ("taker_fee_ppm = 3000", "taker_fee_ppm"),
            ("maker_fee_ppm = 3", "maker_fee_ppm"),
            ("min_quantity = \"1\"", "min_quantity"),
            ("min_notional = \"1\"", "min_notional"),
            ("max_notional = \"1\"", "max_notional"),
            ("price_band_bps = 1", "price_band_bps"),
            ("market_collar_bps = 1", "market_collar_bps"),
            ("reference_price = \"1\"", "reference_price"),
            ("max_open_orders = 1", "max_open_orders"),
            ("max_book_orders = 1", "max_book_orders"),
            ("max_daily_volume = \"1\"", "max_daily_volume"),
            ("max_iceberg_parts = 1", "max_iceberg_parts"),
        ] {
            let plan = plan(&configured(&format!("{ONE}{line}\n")), &before).unwrap();
            assert_eq!(plan.commands, [], "{line}");
            assert_eq!(plan.overruled, [("BTC/USDT".to_owned(), vec![key])]);
        }
        let wider = InstrumentSpec {
            max_quantity: engine::Quantity(1),
            max_price: engine::Price(1),
            ..defaults
        };
        assert_eq!(differing_keys(&defaults, &wider), ["max_quantity", "max_price"]);
    }

    #[test]
    fn units_and_names_may_not() {
        let before = listed(&configured(""), true);
        for (text, what) in [
            (ONE.replace("0.000001", "0.0001"), "instrument BTC/USDT"),
            (ONE.replace("0.01", "0.1"), "instrument BTC/USDT"),
            (ONE.replace("id = 1", "id = 2"), "instrument BTC/USDT"),
            (ONE.replace("BTC", "ETH"), "instrument ETH/USDT"),
            ("instruments = []\n[[assets]]\nid = 1\ncode = \"BTC\"\nscale = 6".into(), "asset BTC"),
            ("instruments = []\n[[assets]]\nid = 1\ncode = \"XBT\"\nscale = 8".into(), "asset XBT"),
            ("instruments = []\n[[assets]]\nid = 9\ncode = \"BTC\"\nscale = 8".into(), "asset BTC"),
        ] {
            let error = plan(&configured(&text), &before).unwrap_err();
            assert_eq!(error.what, what, "{error}");
        }
    }
}
