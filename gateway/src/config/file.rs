//! Owns the shape of the configuration file and every default. Checks nothing.
//! Invariant: no key that is not listed here is accepted.

use std::path::PathBuf;

use serde::Deserialize;
use settlement::SettlementOptions;
use wallet::client::WalletClientOptions;

use crate::limits;

/// What the deployment is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    #[default]
    Development,
    /// Refuses settings that may lose orders.
    Production,
}

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    #[serde(default)]
    pub profile: Profile,
    #[serde(default = "data_dir")]
    pub data_dir: PathBuf,
    #[serde(default)]
    pub server: ServerSection,
    #[serde(default)]
    pub journal: JournalSection,
    #[serde(default)]
    pub snapshot: SnapshotSection,
    #[serde(default)]
    pub pipeline: PipelineSection,
    #[serde(default)]
    pub auth: AuthSection,
    #[serde(default)]
    pub wallet: WalletSection,
    #[serde(default)]
    pub wallet_client: WalletClientOptions,
    #[serde(default)]
    pub settlement: SettlementSection,
    #[serde(default)]
    pub limits: LimitsSection,
    #[serde(default)]
    pub log: LogSection,
    pub assets: Option<Vec<AssetEntry>>,
    pub instruments: Option<Vec<InstrumentEntry>>,
}

fn data_dir() -> PathBuf {
    PathBuf::from("./data")
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    pub listen: String,
    pub admin_listen: String,
    pub request_timeout_ms: u64,
    pub header_read_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub write_timeout_ms: u64,
    pub drain_timeout_ms: u64,
    pub connections_max: usize,
    pub body_bytes_max: usize,
    pub worker_threads: Option<usize>,
}

impl Default for ServerSection {
    fn default() -> Self {
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            admin_listen: "127.0.0.1:9090".to_owned(),
            request_timeout_ms: ms(limits::REQUEST_TIMEOUT_DEFAULT),
            header_read_timeout_ms: ms(limits::HEADER_TIMEOUT_DEFAULT),
            idle_timeout_ms: ms(limits::IDLE_TIMEOUT_DEFAULT),
            write_timeout_ms: ms(limits::WRITE_TIMEOUT_DEFAULT),
            drain_timeout_ms: ms(limits::DRAIN_TIMEOUT_DEFAULT),
            connections_max: limits::CONNECTIONS_DEFAULT,
            body_bytes_max: limits::BODY_BYTES_DEFAULT,
            worker_threads: None,
        }
    }
}

/// A rate that is not given is that of the profile.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    pub requests_per_second: Option<u32>,
    pub requests_per_second_per_caller: Option<u32>,
    pub reports: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let reports = wallet::service::limits::REPORTS_DEFAULT;
        Self { requests_per_second: None, requests_per_second_per_caller: None, reports }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSection {
    pub sync: String,
    pub interval_ms: u32,
    pub segment_mib: u64,
    /// 0: never.
    pub scrub_every_s: u64,
    pub allow_fs: bool,
}

impl Default for JournalSection {
    fn default() -> Self {
        Self {
            sync: "group".to_owned(),
            interval_ms: 5,
            segment_mib: journal::limits::SEGMENT_BYTES_DEFAULT >> 20,
            scrub_every_s: limits::SCRUB_EVERY_DEFAULT_S,
            allow_fs: false,
        }
    }
}

/// Holds for the exchange's journal and for the wallet's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotSection {
    /// 0: only when asked.
    pub every_commands: u64,
    pub min_interval_s: u64,
    pub at_shutdown: bool,
    pub kept: usize,
    pub retention: String,
}

impl Default for SnapshotSection {
    fn default() -> Self {
        Self {
            every_commands: limits::SNAPSHOT_EVERY_DEFAULT,
            min_interval_s: limits::SNAPSHOT_INTERVAL_DEFAULT_S,
            at_shutdown: true,
            kept: journal::limits::SNAPSHOTS_KEPT_MIN,
            retention: "keep".to_owned(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineSection {
    pub wait: String,
    pub pin: Option<[usize; 3]>,
    pub input_slots: usize,
    pub output_slots: usize,
}

impl Default for PipelineSection {
    fn default() -> Self {
        Self {
            wait: "auto".to_owned(),
            pin: None,
            input_slots: pipeline::limits::INPUT_SLOTS_DEFAULT,
            output_slots: pipeline::limits::OUTPUT_SLOTS_DEFAULT,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSection {
    pub issuer: String,
    pub audience: String,
    pub leeway_s: u64,
}

impl Default for AuthSection {
    fn default() -> Self {
        Self { issuer: "matchring".to_owned(), audience: "matchring".to_owned(), leeway_s: 0 }
    }
}

/// Where the wallet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WalletBackend {
    /// In this process.
    #[default]
    Embedded,
    /// Another process; see `wallet_client`.
    Http,
}

/// How orders come to their money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FundingMode {
    /// What comes into a wallet is lent to the trading account, and recalled from there.
    #[default]
    Prefunded,
    /// Each order's funds are reserved at the wallet before it trades.
    PerOrder,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WalletSection {
    pub backend: WalletBackend,
    pub listen: String,
    /// What one movement that a user asks for may be worth, in each asset.
    pub amount_min: String,
    pub amount_max: String,
    pub read_only: bool,
    pub funding: FundingMode,
    /// 0 is never.
    pub reconcile_every_ms: u64,
}

impl Default for WalletSection {
    fn default() -> Self {
        Self {
            backend: WalletBackend::default(),
            listen: "127.0.0.1:3002".to_owned(),
            amount_min: "0.01".to_owned(),
            amount_max: "1000000.00".to_owned(),
            read_only: false,
            funding: FundingMode::default(),
            reconcile_every_ms: limits::RECONCILE_EVERY_MS_DEFAULT,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettlementSection {
    pub workers: usize,
    pub window: usize,
    pub batch: usize,
    pub retry_attempts: u32,
    pub retry_wait_ms: u64,
    pub retry_wait_max_ms: u64,
    pub call_timeout_ms: u64,
    pub stop_timeout_ms: u64,
    /// `backpressure` or `dlq`.
    pub overflow: String,
    pub dead_letters_max: usize,
}

impl Default for SettlementSection {
    fn default() -> Self {
        let defaults = SettlementOptions::new("");
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            workers: defaults.workers,
            window: defaults.window,
            batch: defaults.batch,
            retry_attempts: defaults.retry.attempts,
            retry_wait_ms: ms(defaults.retry.wait),
            retry_wait_max_ms: ms(defaults.retry.wait_max),
            call_timeout_ms: ms(defaults.call_timeout),
            stop_timeout_ms: ms(defaults.stop_timeout),
            overflow: "backpressure".to_owned(),
            dead_letters_max: defaults.dead_letters_max,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    pub json: bool,
    pub filter: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { json: false, filter: "info".to_owned() }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetEntry {
    pub id: u32,
    pub code: String,
    pub scale: u8,
    /// What one movement at the wallet may be worth; that of the wallet section if absent.
    pub amount_min: Option<String>,
    pub amount_max: Option<String>,
}

impl AssetEntry {
    /// The assets of an exchange that is told nothing.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        [(1, "BTC", 8), (2, "ETH", 8), (3, "USD", 2), (4, "USDT", 8)]
            .map(|(id, code, scale)| Self {
                id,
                code: code.to_owned(),
                scale,
                amount_min: None,
                amount_max: None,
            })
            .into()
    }
}

/// Decimals are strings, so that none is ever a float.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentEntry {
    pub id: u32,
    pub base: String,
    pub quote: String,
    /// Quote asset per whole base asset.
    pub tick: String,
    /// Base asset.
    pub lot: String,
    /// One lot if absent.
    pub min_quantity: Option<String>,
    pub max_quantity: String,
    pub max_price: String,
    /// Quote asset; off if absent.
    pub min_notional: Option<String>,
    pub max_notional: Option<String>,
    #[serde(default = "maker_fee_ppm")]
    pub maker_fee_ppm: i32,
    #[serde(default = "taker_fee_ppm")]
    pub taker_fee_ppm: i32,
    #[serde(default = "price_band_bps")]
    pub price_band_bps: u32,
    #[serde(default = "market_collar_bps")]
    pub market_collar_bps: u32,
    pub reference_price: Option<String>,
    #[serde(default = "max_open_orders")]
    pub max_open_orders: u32,
    #[serde(default = "max_book_orders")]
    pub max_book_orders: u32,
    /// Base asset; off if absent.
    pub max_daily_volume: Option<String>,
    #[serde(default = "max_iceberg_parts")]
    pub max_iceberg_parts: u32,
}

fn maker_fee_ppm() -> i32 {
    1_000
}

fn taker_fee_ppm() -> i32 {
    2_000
}

fn price_band_bps() -> u32 {
    1_000
}

fn market_collar_bps() -> u32 {
    500
}

fn max_open_orders() -> u32 {
    200
}

fn max_book_orders() -> u32 {
    1_000_000
}

fn max_iceberg_parts() -> u32 {
    100
}

impl InstrumentEntry {
    /// The instruments of an exchange that is told nothing.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        [(1, "BTC", "100"), (2, "ETH", "1000")]
            .map(|(id, base, most)| Self {
                id,
                base: base.to_owned(),
                quote: "USDT".to_owned(),
                tick: "0.01".to_owned(),
                lot: "0.000001".to_owned(),
                min_quantity: None,
                max_quantity: most.to_owned(),
                max_price: "10000000".to_owned(),
                min_notional: None,
                max_notional: None,
                maker_fee_ppm: maker_fee_ppm(),
                taker_fee_ppm: taker_fee_ppm(),
                price_band_bps: price_band_bps(),
                market_collar_bps: market_collar_bps(),
                reference_price: None,
                max_open_orders: max_open_orders(),
                max_book_orders: max_book_orders(),
                max_daily_volume: None,
                max_iceberg_parts: max_iceberg_parts(),
            })
            .into()
    }
}
