//! Owns the comparison of what is configured with what is listed, and the commands in between.
//! Knows nothing of how they are journaled. Invariant: what live money and orders depend on never
//! changes; a configuration that says otherwise is refused before anything is written.

use engine::{Command, TradingStatus};

use crate::config::ConfiguredProducts;
use crate::views::{Instrument, Products};

/// What a configuration may not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {what} differs from the journal: {detail}")]
pub struct GenesisError {
    what: String,
    detail: String,
}

/// The commands that make the exchange list what is configured.
///
/// # Errors
/// An asset or an instrument is listed with other units.
pub fn plan(
    configured: &ConfiguredProducts,
    listed: &Products,
) -> Result<Vec<Command>, GenesisError> {
    let mut commands = Vec::new();
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
            None => commands.push(Command::AddAsset {
                asset: asset.id,
                code: asset.code,
                scale: asset.scale,
            }),
        }
    }
    for instrument in &configured.instruments {
        plan_instrument(instrument, listed, &mut commands)?;
    }
    Ok(commands)
}

fn plan_instrument(
    wanted: &Instrument,
    listed: &Products,
    commands: &mut Vec<Command>,
) -> Result<(), GenesisError> {
    let id = wanted.spec.instrument;
    let known = listed.instrument(id).or_else(|| listed.by_symbol(&wanted.symbol));
    match known {
        Some(known) if !known.spec.same_units(&wanted.spec) => {
            let what = format!("instrument {}", wanted.symbol);
            return Err(GenesisError { what, detail: units_detail(known, wanted) });
        }
        Some(known) if known.spec != wanted.spec => {
            commands.push(Command::UpdateInstrument(wanted.spec));
        }
        Some(_) => {}
        None => commands.push(Command::AddInstrument(wanted.spec)),
    }
    // Listed, but the process ended before it could be opened: that is still to be done. A status
    // that an operator has set since is left alone.
    if known.is_none_or(|known| !known.opened) {
        let status = TradingStatus::Trading;
        commands.push(Command::SetTradingStatus { instrument: id, status });
    }
    Ok(())
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
        for command in plan(products, &Products::default()).unwrap() {
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
        assert_eq!(plan(&wanted, &Products::default()).unwrap().len(), 4 + 2 * 2);
        assert_eq!(plan(&wanted, &listed(&wanted, true)), Ok(Vec::new()));
    }

    #[test]
    fn an_interrupted_listing_is_finished() {
        let wanted = configured("");
        let commands = plan(&wanted, &listed(&wanted, false)).unwrap();
        assert!(commands.iter().all(|c| matches!(c, Command::SetTradingStatus { .. })));
        assert_eq!(commands.len(), 2);
    }

    #[test]
    fn bounds_and_fees_may_change() {
        let before = listed(&configured(ONE), true);
        let after = configured(&format!("{ONE}taker_fee_ppm = 3000\n"));
        let commands = plan(&after, &before).unwrap();
        assert!(matches!(commands[..], [Command::UpdateInstrument(s)] if s.taker_fee_ppm == 3000));
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
