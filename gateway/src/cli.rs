//! Owns the command line: its words, its answers on standard output, its exit statuses.
//! Knows nothing of how anything is done. Invariant: standard output carries answers only, and each
//! failure is one sentence on standard error.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::app::{App, AppError};
use crate::config::{Config, ConfigError, Overrides};
use crate::exit_status;
use crate::offline::{self, OfflineError};
use crate::shutdown::Signals;
use crate::wallet_server::WalletApp;

/// An exchange in one process.
#[derive(Debug, Parser)]
#[command(name = "matchring", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run the exchange (the default).
    Serve(ServeArguments),
    /// Run the wallet as a process of its own, or audit its logs.
    Wallet(WalletArguments),
    /// Look at the settlement of trades.
    #[command(subcommand)]
    Settlement(offline::SettlementCommand),
    /// Sign a bearer token and print it.
    Token(offline::TokenArguments),
    /// Take a snapshot of an exchange that is not running; a running one is asked over HTTP.
    Snapshot(offline::SnapshotArguments),
    /// Replay a journal and print the hash of its state.
    Replay(offline::ReplayArguments),
    /// Look at a journal without changing it.
    #[command(subcommand)]
    Journal(offline::JournalCommand),
}

#[derive(Args, Debug)]
struct ServeArguments {
    /// Configuration file, TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where journal, event log and token key are kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address for clients.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address for operators.
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,
    /// Address of the wallet.
    #[arg(long, value_name = "ADDR")]
    wallet_listen: Option<String>,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
struct WalletArguments {
    #[command(subcommand)]
    command: Option<WalletCommand>,
    /// Configuration file, TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Holds the folder `wallet` and the token key.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Check the wallet's logs and its hash chain, and replay them.
    Verify(offline::VerifyArguments),
}

/// Why the process ends with another status than 0.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Offline(#[from] OfflineError),
    #[error("configuration: log.filter: {0}")]
    LogFilter(tracing_subscriber::filter::ParseError),
    #[error("starting the runtime: {0}")]
    Runtime(io::Error),
    #[error("writing to standard output: {0}")]
    Output(io::Error),
}

impl CliError {
    /// Status with which the process should exit.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::App(error) => error.exit_code(),
            Self::Offline(error) => error.exit_code(),
            Self::Config(_) | Self::LogFilter(_) | Self::Runtime(_) | Self::Output(_) => {
                exit_status::CONFIGURATION
            }
        }
    }
}

impl Cli {
    /// Does what the command line asks.
    ///
    /// # Errors
    /// [`CliError`], with the status to exit with.
    pub fn run(self) -> Result<(), CliError> {
        let mut output = io::stdout();
        match self.command {
            None => serve(self.serve),
            Some(Subcommands::Serve(arguments)) => serve(arguments),
            Some(Subcommands::Wallet(arguments)) => match &arguments.command {
                None => serve_wallet(arguments),
                Some(WalletCommand::Verify(arguments)) => {
                    print(&mut output, &offline::verify(arguments)?)
                }
            },
            Some(Subcommands::Settlement(command)) => {
                print(&mut output, &offline::settlement(&command)?)
            }
            Some(Subcommands::Token(arguments)) => print(&mut output, &offline::token(&arguments)?),
            Some(Subcommands::Snapshot(arguments)) => {
                print(&mut output, &offline::snapshot(&arguments)?)
            }
            Some(Subcommands::Replay(arguments)) => {
                print(&mut output, &offline::replay(&arguments)?)
            }
            Some(Subcommands::Journal(command)) => Ok(offline::journal(&command, &mut output)?),
        }
    }
}

/// Nothing is printed for an empty list.
fn print(output: &mut impl Write, text: &str) -> Result<(), CliError> {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(output, "{text}").map_err(CliError::Output)
}

fn serve(arguments: ServeArguments) -> Result<(), CliError> {
    let ServeArguments { config, data_dir, listen, admin_listen, wallet_listen } = arguments;
    let overrides = Overrides { data_dir, listen, admin_listen, wallet_listen };
    let config = Config::load(config.as_deref(), overrides)?;
    run_in_runtime(config, |config| {
        until_told(App::start(config), async |app| app.shutdown().await.map(drop))
    })
}

fn serve_wallet(arguments: WalletArguments) -> Result<(), CliError> {
    let WalletArguments { config, data_dir, listen, .. } = arguments;
    let overrides = Overrides { data_dir, wallet_listen: listen, ..Overrides::default() };
    let config = Config::load(config.as_deref(), overrides)?;
    run_in_runtime(config, |config| {
        until_told(WalletApp::start(config), async |app| app.shutdown().await.map(drop))
    })
}

fn run_in_runtime<F: Future<Output = Result<(), CliError>>>(
    config: Config,
    run: impl FnOnce(Config) -> F,
) -> Result<(), CliError> {
    start_log(&config)?;
    tracing::info!(?config, "effective configuration");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.worker_threads)
        .max_blocking_threads(crate::limits::BLOCKING_THREADS_MAX)
        .thread_name("matchring-http")
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let outcome = runtime.block_on(run(config));
    // Nothing that is left behind may hold up the end.
    runtime.shutdown_timeout(Duration::ZERO);
    outcome
}

/// Runs an app until a signal comes, and then ends it in order.
async fn until_told<A>(
    start: impl Future<Output = Result<A, AppError>>,
    shutdown: impl AsyncFnOnce(A) -> Result<(), AppError>,
) -> Result<(), CliError> {
    let mut signals = Signals::catch().map_err(CliError::Runtime)?;
    let app = tokio::select! {
        app = start => app?,
        // What was appended so far is whole; the next start goes on from there.
        () = signals.next() => return Ok(()),
    };
    signals.next().await;
    signals.exit_on_next();
    Ok(shutdown(app).await?)
}

fn start_log(config: &Config) -> Result<(), CliError> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.filter);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter.map_err(CliError::LogFilter)?)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // A log that somebody else has started stays theirs.
    let _ = if config.log.json { log.json().try_init() } else { log.try_init() };
    Ok(())
}
