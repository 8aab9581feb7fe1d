//! Owns the configuration: where it comes from, what it may say, what it comes to.
//! Knows nothing of who uses it. Invariant: the only reader of the environment, and nothing passes
//! that was not checked: an unknown key, a value out of bounds or an inexact tick ends the start.
//!
//! Later sources win: defaults, file, environment (`MATCHRING__SECTION__KEY`), command line.

mod file;
mod limits;
mod money;
mod products;
mod snapshot;

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::{Environment, File, FileFormat};
use journal::SyncPolicy;
use pipeline::{ConfigurationHash, SnapshotPolicy, WaitMode};
use settlement::SettlementOptions;
use wallet::client::WalletClientOptions;

use crate::auth::TokenOptions;
use crate::limits::{
    BODY_BYTES_MAX, CONNECTIONS_MAX, SCRUB_EVERY_MAX_S, TIMEOUT_MAX, TOKEN_CLOCK_SKEW_S,
    WALLET_INPUT_SLOTS, WALLET_OUTPUT_SLOTS, WORKER_THREADS_MAX,
};
pub use file::{ConfigFile, FundingMode, Profile, WalletBackend};
pub use limits::LimitsConfig;
pub use money::WalletConfig;
pub use products::ConfiguredProducts;
use wallet::bank::BankOptions;

/// What the names of our variables begin with, in upper or lower case.
const VARIABLE_PREFIX: &str = "MATCHRING__";
/// A setting of `wallet_client` under the name that other trade engines use for it.
const WALLET_CLIENT_PREFIX: &str = "TRADE_ENGINE_WALLET_CLIENT_";
const WALLET_CLIENT_SECTION: &str = "MATCHRING_WALLET_CLIENT__";

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("configuration: {0}")]
    Source(#[from] config::ConfigError),
    #[error("configuration: {key}: {problem}")]
    Value { key: String, problem: String },
}

impl ConfigError {
    pub(crate) fn value(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Value { key: key.into(), problem: problem.into() }
    }
}

/// What the command line may set.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub data_dir: Option<PathBuf>,
    pub listen: Option<String>,
    pub admin_listen: Option<String>,
    pub wallet_listen: Option<String>,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub profile: Profile,
    pub data_dir: PathBuf,
    pub server: ServerConfig,
    pub journal: JournalConfig,
    pub snapshots: SnapshotPolicy,
    pub pipeline: PipelineConfig,
    pub auth: TokenOptions,
    pub wallet: WalletConfig,
    pub wallet_client: WalletClientOptions,
    pub settlement: SettlementOptions,
    pub limits: LimitsConfig,
    pub log: LogConfig,
    pub products: ConfiguredProducts,
}

#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// How long a request waits for the outcome of its command, or for its own body.
    pub request_timeout: Duration,
    pub header_read_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Duration,
    /// How long a client may take none of its answer.
    pub write_timeout: Duration,
    pub drain_timeout: Duration,
    pub connections_max: usize,
    pub body_bytes_max: usize,
    pub worker_threads: usize,
}

#[derive(Clone, Debug)]
pub struct JournalConfig {
    pub sync: SyncPolicy,
    pub segment_bytes: u64,
    /// Time from one reading of all sealed segments to the next; `None`: nobody reads them.
    pub scrub_every: Option<Duration>,
    /// Take any file system. For tests.
    pub allow_fs: bool,
}

#[derive(Clone, Debug)]
pub struct PipelineConfig {
    pub wait: WaitMode,
    /// Cores of core, journaler, publisher.
    pub pin: Option<[usize; 3]>,
    pub input_slots: usize,
    pub output_slots: usize,
}

#[derive(Clone, Debug)]
pub struct LogConfig {
    pub json: bool,
    pub filter: String,
}

/// Whether the process says of itself that it runs in production.
#[must_use]
pub fn environment_is_production() -> bool {
    std::env::var("ENVIRONMENT").is_ok_and(|value| value.eq_ignore_ascii_case("production"))
}

impl Config {
    /// Reads file, environment and command line.
    ///
    /// # Errors
    /// The file cannot be read, a key is unknown, or a value is refused.
    pub fn load(file: Option<&std::path::Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                ConfigError::value(path.display().to_string(), error.to_string())
            })?,
        };
        Self::from_sources(&text, own_variables(std::env::vars_os())?, overrides)
    }

    /// As [`Self::load`], from the text of a file and given variables.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_sources(
        text: &str,
        variables: HashMap<String, String>,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let environment =
            Environment::with_prefix("MATCHRING").prefix_separator("__").separator("__");
        let data_dir = overrides.data_dir.map(|dir| dir.display().to_string());
        let built = config::Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(environment.source(Some(variables)))
            .set_override_option("data_dir", data_dir)?
            .set_override_option("server.listen", overrides.listen)?
            .set_override_option("server.admin_listen", overrides.admin_listen)?
            .set_override_option("wallet.listen", overrides.wallet_listen)?
            .build()?;
        Self::check(built.try_deserialize::<ConfigFile>()?)
    }

    fn check(file: ConfigFile) -> Result<Self, ConfigError> {
        let settlement_dir = file.data_dir.join(crate::money::SETTLEMENT_DIR);
        let config = Self {
            profile: file.profile,
            snapshots: snapshot::check_snapshots(&file.snapshot, &file.wallet)?,
            wallet: money::check_wallet(&file.wallet, file.assets.as_deref())?,
            wallet_client: money::check_client(file.wallet_client, file.wallet.backend)?,
            settlement: money::check_settlement(&file.settlement, settlement_dir)?,
            data_dir: file.data_dir,
            server: check_server(&file.server)?,
            journal: check_journal(&file.journal, file.profile)?,
            pipeline: check_pipeline(&file.pipeline)?,
            auth: check_auth(file.auth)?,
            limits: limits::check_limits(&file.limits, file.profile)?,
            log: LogConfig { json: file.log.json, filter: file.log.filter },
            products: products::check(file.assets, file.instruments)?,
        };
        Ok(config)
    }

    fn journal_options(&self) -> pipeline::JournalOptions {
        pipeline::JournalOptions {
            segment_bytes: self.journal.segment_bytes,
            sync: self.journal.sync,
            allow_fs: self.journal.allow_fs,
            ..pipeline::JournalOptions::default()
        }
    }

    /// Names what decides which requests are taken and what their answers promise. Not where
    /// things lie, how long they may take and how many threads do them. It is of what the start
    /// logs, so another build may have another name for the same.
    #[must_use]
    pub fn hash(&self) -> ConfigurationHash {
        let Self { profile, journal, auth, wallet, limits, products, .. } = self;
        let WalletConfig { backend, assets, read_only, funding, .. } = wallet;
        let wallet = (backend, assets, read_only, funding);
        let told = format!("{:?}", (profile, journal.sync, auth, wallet, limits, products));
        ConfigurationHash(*blake3::hash(told.as_bytes()).as_bytes())
    }

    /// What the exchange's pipeline is told.
    #[must_use]
    pub fn pipeline_options(&self) -> pipeline::Options {
        pipeline::Options {
            journal: self.journal_options(),
            configuration: self.hash(),
            input_slots: self.pipeline.input_slots,
            output_slots: self.pipeline.output_slots,
            wait: self.pipeline.wait,
            pin: self.pipeline.pin,
            producers: self.server.worker_threads.max(1),
            replies_max: self.pipeline.input_slots,
            scrub_every: self.journal.scrub_every,
            ..pipeline::Options::new(&self.data_dir)
        }
    }

    /// What the wallet's ledger in `directory` is opened with.
    #[must_use]
    pub fn bank_options(&self, directory: &std::path::Path) -> BankOptions {
        let pipeline = pipeline::Options {
            journal: self.journal_options(),
            configuration: self.hash(),
            input_slots: self.pipeline.input_slots.min(WALLET_INPUT_SLOTS),
            output_slots: self.pipeline.output_slots.min(WALLET_OUTPUT_SLOTS),
            wait: self.pipeline.wait,
            producers: self.server.worker_threads.max(1),
            replies_max: self.pipeline.input_slots.min(WALLET_INPUT_SLOTS),
            scrub_every: self.journal.scrub_every,
            ..pipeline::Options::new(directory)
        };
        BankOptions {
            pipeline,
            assets: self.wallet.assets.clone(),
            timeout: self.server.request_timeout,
            fund: self.wallet.funding == FundingMode::Prefunded,
            read_only: self.wallet.read_only,
            snapshots: Some(self.snapshots),
        }
    }
}

/// The variables with one of our prefixes, under our own names; what the environment holds besides
/// may be of any form.
fn own_variables(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<HashMap<String, String>, ConfigError> {
    let text = |text: OsString, name: &str| {
        text.into_string().map_err(|_| ConfigError::value(name, "is not UTF-8"))
    };
    let own = variables.filter_map(|(name, value)| {
        let shown = name.to_string_lossy().into_owned();
        let own = own_name(&shown)?;
        Some(text(name, &shown).and_then(|_| Ok((own, text(value, &shown)?))))
    });
    own.collect()
}

/// The name of a variable of ours as the configuration reads it.
fn own_name(name: &str) -> Option<String> {
    let after = |prefix: &str| {
        let start = name.get(..prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then(|| &name[prefix.len()..])
    };
    if after(VARIABLE_PREFIX).is_some() {
        return Some(name.to_owned());
    }
    let key = after(WALLET_CLIENT_PREFIX).or_else(|| after(WALLET_CLIENT_SECTION))?;
    Some(format!("{VARIABLE_PREFIX}WALLET_CLIENT__{key}"))
}

fn bounded<T: PartialOrd + std::fmt::Display>(
    key: &str,
    value: T,
    low: T,
    high: T,
) -> Result<T, ConfigError> {
    if value < low || value > high {
        return Err(ConfigError::value(key, format!("{value} is not {low} to {high}")));
    }
    Ok(value)
}

fn milliseconds(key: &str, value: u64) -> Result<Duration, ConfigError> {
    let most = u64::try_from(TIMEOUT_MAX.as_millis()).unwrap_or(u64::MAX);
    bounded(key, value, 1, most).map(Duration::from_millis)
}

fn address(key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    let problem = || format!("{text:?} is not an address like 127.0.0.1:8080");
    text.parse().map_err(|_| ConfigError::value(key, problem()))
}

fn check_server(file: &file::ServerSection) -> Result<ServerConfig, ConfigError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = file.worker_threads.unwrap_or_else(|| worker_threads(cores));
    Ok(ServerConfig {
        listen: address("server.listen", &file.listen)?,
        admin_listen: address("server.admin_listen", &file.admin_listen)?,
        request_timeout: milliseconds("server.request_timeout_ms", file.request_timeout_ms)?,
        header_read_timeout: milliseconds(
            "server.header_read_timeout_ms",
            file.header_read_timeout_ms,
        )?,
        idle_timeout: milliseconds("server.idle_timeout_ms", file.idle_timeout_ms)?,
        write_timeout: milliseconds("server.write_timeout_ms", file.write_timeout_ms)?,
        drain_timeout: milliseconds("server.drain_timeout_ms", file.drain_timeout_ms)?,
        connections_max: bounded(
            "server.connections_max",
            file.connections_max,
            1,
            CONNECTIONS_MAX,
        )?,
        body_bytes_max: bounded("server.body_bytes_max", file.body_bytes_max, 1, BODY_BYTES_MAX)?,
        worker_threads: bounded("server.worker_threads", threads, 1, WORKER_THREADS_MAX)?,
    })
}

/// One thread where the stages need the other core, up to four where there are plenty.
fn worker_threads(cores: usize) -> usize {
    (cores / 2).clamp(1, 4)
}

fn check_journal(
    file: &file::JournalSection,
    profile: Profile,
) -> Result<JournalConfig, ConfigError> {
    let sync: SyncPolicy = file
        .sync
        .parse()
        .map_err(|error| ConfigError::value("journal.sync", format!("{error}")))?;
    let sync = match sync {
        SyncPolicy::Os if profile == Profile::Production => {
            let problem = "os loses orders when the machine fails; not allowed in production";
            return Err(ConfigError::value("journal.sync", problem));
        }
        SyncPolicy::Interval { .. } => {
            SyncPolicy::Interval { ms: bounded("journal.interval_ms", file.interval_ms, 1, 1000)? }
        }
        other => other,
    };
    let mib = 1 << 20;
    let low = journal::limits::SEGMENT_BYTES_MIN / mib;
    let high = journal::limits::SEGMENT_BYTES_MAX / mib;
    let segment_bytes = bounded("journal.segment_mib", file.segment_mib, low, high)? * mib;
    let every_s = bounded("journal.scrub_every_s", file.scrub_every_s, 0, SCRUB_EVERY_MAX_S)?;
    let scrub_every = (every_s > 0).then(|| Duration::from_secs(every_s));
    Ok(JournalConfig { sync, segment_bytes, scrub_every, allow_fs: file.allow_fs })
}

fn check_pipeline(file: &file::PipelineSection) -> Result<PipelineConfig, ConfigError> {
    let wait = match file.wait.as_str() {
        "auto" => WaitMode::Auto,
        "spin" => WaitMode::Spin,
        "yield" => WaitMode::Yield,
        "park" => WaitMode::Park,
        other => {
            let problem = format!("{other:?} is not auto, spin, yield or park");
            return Err(ConfigError::value("pipeline.wait", problem));
        }
    };
    let (input_slots, output_slots) = (file.input_slots, file.output_slots);
    Ok(PipelineConfig { wait, pin: file.pin, input_slots, output_slots })
}

fn check_auth(file: file::AuthSection) -> Result<TokenOptions, ConfigError> {
    for (key, text) in [("auth.issuer", &file.issuer), ("auth.audience", &file.audience)] {
        if text.is_empty() {
            return Err(ConfigError::value(key, "must not be empty"));
        }
    }
    let leeway_s = bounded("auth.leeway_s", file.leeway_s, 0, TOKEN_CLOCK_SKEW_S)?;
    Ok(TokenOptions { issuer: file.issuer, audience: file.audience, leeway_s })
}

#[cfg(test)]
mod tests;
