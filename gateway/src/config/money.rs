//! Owns the checks of the wallet's, its client's and settlement's sections.
//! Knows nothing of what they are for. Invariant: an amount is whole in its asset's units.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use engine::decimal::parse;
use engine::{Amount, AssetCode, AssetId};
use settlement::{Overflow, RetryPolicy, SettlementOptions};
use wallet::bank::AssetTerms;
use wallet::client::WalletClientOptions;

use super::file::{AssetEntry, FundingMode, SettlementSection, WalletBackend, WalletSection};
use super::{ConfigError, address, bounded, milliseconds};
use crate::limits::RECONCILE_EVERY_MS_MAX;

/// Where the wallet is and what it allows.
#[derive(Clone, Debug)]
pub struct WalletConfig {
    pub backend: WalletBackend,
    pub listen: SocketAddr,
    pub assets: Vec<AssetTerms>,
    pub read_only: bool,
    pub funding: FundingMode,
    /// Zero is never.
    pub reconcile_every: Duration,
}

pub(super) fn check_wallet(
    file: &WalletSection,
    assets: Option<&[AssetEntry]>,
) -> Result<WalletConfig, ConfigError> {
    let defaults;
    let entries = match assets {
        Some(assets) => assets,
        None => {
            defaults = AssetEntry::defaults();
            &defaults
        }
    };
    let every = file.reconcile_every_ms;
    let every = bounded("wallet.reconcile_every_ms", every, 0, RECONCILE_EVERY_MS_MAX)?;
    Ok(WalletConfig {
        backend: file.backend,
        listen: address("wallet.listen", &file.listen)?,
        assets: entries.iter().map(|entry| terms(file, entry)).collect::<Result<_, _>>()?,
        read_only: file.read_only,
        funding: file.funding,
        reconcile_every: Duration::from_millis(every),
    })
}

fn terms(file: &WalletSection, entry: &AssetEntry) -> Result<AssetTerms, ConfigError> {
    let key = |name| format!("assets: {}: {name}", entry.code);
    let code = AssetCode::new(&entry.code).ok_or_else(|| {
        ConfigError::value(key("code"), "must be 1 to 12 upper-case letters and digits")
    })?;
    let least =
        units(&key("amount_min"), entry.amount_min.as_ref(), &file.amount_min, entry.scale)?;
    let most = units(&key("amount_max"), entry.amount_max.as_ref(), &file.amount_max, entry.scale)?;
    if least > most {
        return Err(ConfigError::value(key("amount_min"), "is above amount_max"));
    }
    let (id, scale) = (AssetId(entry.id), entry.scale);
    Ok(AssetTerms { id, code, scale, amount_min: least, amount_max: most })
}

/// The asset's own amount, which must be whole units; that for all assets is at least one unit.
fn units(key: &str, own: Option<&String>, general: &str, scale: u8) -> Result<Amount, ConfigError> {
    const MOST_DECIMALS: u8 = 18;
    let refuse = |problem: &str| ConfigError::value(key, problem);
    if let Some(text) = own {
        let units = parse(text, scale.min(MOST_DECIMALS));
        let units = units.map_err(|_| refuse("is not a decimal number of the asset's units"))?;
        return Amount::try_from(units)
            .ok()
            .filter(|units| *units > 0)
            .ok_or_else(|| refuse("must be greater than 0"));
    }
    let fine = parse(general, MOST_DECIMALS).map_err(|_| refuse("is not a decimal number"))?;
    let fine = Amount::try_from(fine).map_err(|_| refuse("must be greater than 0"))?;
    let one = 10u128.pow(u32::from(MOST_DECIMALS.saturating_sub(scale)));
    Ok((fine / one).max(1))
}

pub(super) fn check_client(
    options: WalletClientOptions,
    backend: WalletBackend,
) -> Result<WalletClientOptions, ConfigError> {
    let checked = if super::environment_is_production() {
        options.validate_for_production()
    } else {
        options.validate()
    };
    checked.map_err(|wrong| ConfigError::value("wallet_client", wrong.join("; ")))?;
    if options.use_mock && backend == WalletBackend::Embedded {
        let problem = "has no effect on the embedded wallet: set wallet.backend = \"http\"";
        return Err(ConfigError::value("wallet_client.use_mock", problem));
    }
    Ok(options)
}

pub(super) fn check_settlement(
    file: &SettlementSection,
    directory: PathBuf,
) -> Result<SettlementOptions, ConfigError> {
    let overflow = match file.overflow.as_str() {
        "backpressure" => Overflow::Backpressure,
        "dlq" => Overflow::DeadLetter,
        other => {
            let problem = format!("{other:?} is not backpressure or dlq");
            return Err(ConfigError::value("settlement.overflow", problem));
        }
    };
    let options = SettlementOptions {
        workers: file.workers,
        window: file.window,
        batch: file.batch,
        retry: RetryPolicy {
            attempts: file.retry_attempts,
            wait: milliseconds("settlement.retry_wait_ms", file.retry_wait_ms)?,
            wait_max: milliseconds("settlement.retry_wait_max_ms", file.retry_wait_max_ms)?,
        },
        call_timeout: milliseconds("settlement.call_timeout_ms", file.call_timeout_ms)?,
        stop_timeout: milliseconds("settlement.stop_timeout_ms", file.stop_timeout_ms)?,
        overflow,
        dead_letters_max: file.dead_letters_max,
        ..SettlementOptions::new(directory)
    };
    options.check().map_err(|wrong| ConfigError::value("settlement", wrong.join("; ")))?;
    Ok(options)
}
