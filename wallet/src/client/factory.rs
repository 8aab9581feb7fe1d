//! Owns the choice between a wallet over HTTP and the one in memory. Knows neither from inside.
//! Invariant: production never gets the one in memory.

use std::sync::Arc;

use super::WalletClient;
use super::http::{ClientError, HttpWalletClient};
use super::mock::MockWallet;
use super::options::WalletClientOptions;
use crate::wire::Assets;

/// The wallet that the settings ask for. Nothing is connected yet.
///
/// # Errors
/// All that is wrong with the settings, also that production asks for the mock.
pub fn connect(
    options: &WalletClientOptions,
    assets: Assets,
    is_production: bool,
) -> Result<Arc<dyn WalletClient>, ClientError> {
    let checked =
        if is_production { options.validate_for_production() } else { options.validate() };
    checked.map_err(ClientError::Settings)?;
    if options.use_mock {
        tracing::warn!("the wallet is a mock in memory: its money is not real");
        return Ok(Arc::new(MockWallet::new(assets)));
    }
    Ok(Arc::new(HttpWalletClient::new(options, assets)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(options: &WalletClientOptions, is_production: bool) -> Result<String, String> {
        match connect(options, Assets::default(), is_production) {
            Ok(wallet) => Ok(format!("{wallet:?}").chars().take_while(|c| *c != ' ').collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_flag_chooses_and_production_refuses_the_mock() {
        let http = WalletClientOptions::default();
        let mock = WalletClientOptions { use_mock: true, ..WalletClientOptions::default() };
        assert_eq!(name(&http, false), Ok("HttpWalletClient".to_owned()));
        assert_eq!(name(&http, true), Ok("HttpWalletClient".to_owned()));
        assert_eq!(name(&mock, false), Ok("MockWallet".to_owned()));
        let refused = "wallet client settings: use_mock: not allowed in production";
        assert_eq!(name(&mock, true), Err(refused.to_owned()));
    }

    #[test]
    fn wrong_settings_are_named() {
        let base_url = String::new();
        let options = WalletClientOptions { base_url, max_retries: -1, ..Default::default() };
        let refused = "wallet client settings: base_url: must not be empty; \
                       max_retries: -1 is not 0 to 10";
        assert_eq!(name(&options, false), Err(refused.to_owned()));
    }
}
