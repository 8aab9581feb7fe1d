//! Owns taking snapshots of an exchange that is not running, and of the wallet beside it.
//! Knows nothing of servers. Invariant: as of any start, a log that is refused stays as it is.

use std::path::PathBuf;

use clap::Args;
use pipeline::SnapshotTaken;
use serde_json::{Value, json};

use crate::app;
use crate::config::{Config, Overrides};
use crate::money::WALLET_DIR;
use crate::offline::OfflineError;
use crate::replay_progress;
use crate::routes::admin::hex;

#[derive(Debug, Args)]
pub(crate) struct SnapshotArguments {
    /// Configuration file, TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of an exchange, or of a wallet, that is not running.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Prints one line of JSON.
pub(crate) fn snapshot(arguments: &SnapshotArguments) -> Result<String, OfflineError> {
    let data_dir = arguments.data_dir.clone();
    let overrides = Overrides { data_dir, ..Overrides::default() };
    let config = Config::load(arguments.config.as_deref(), overrides)?;
    let has_log = |dir: &std::path::Path| dir.join("journal").is_dir();
    let wallet = config.data_dir.join(WALLET_DIR);
    let mut body = json!({});
    if has_log(&config.data_dir) {
        body["exchange"] = shown(&app::take_snapshot(&config)?);
    }
    if has_log(&wallet) {
        let mut options = config.bank_options(&wallet).pipeline;
        options.progress = Some(replay_progress::shown("wallet"));
        body["wallet"] = shown(&wallet::bank::take_snapshot(&options, &config.snapshots)?);
    }
    match body.as_object().is_some_and(|parts| !parts.is_empty()) {
        true => Ok(body.to_string()),
        false => Err(OfflineError::NoJournal(config.data_dir)),
    }
}

fn shown(taken: &SnapshotTaken) -> Value {
    let SnapshotTaken { sequence, bytes, state_hash } = taken;
    json!({"sequence": sequence, "bytes": bytes, "state_hash": hex(state_hash)})
}
