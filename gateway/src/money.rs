//! Owns what stands behind trading money: the wallet, the settlement of trades, the funding of
//! trading accounts, and the proof that both books agree. Composes, and knows no rule.
//! Invariant: everything here follows the exchange's event log; trading goes on without it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use journal::SyncPolicy;
use pipeline::{Clock, Cursors, PipelineError};
use settlement::funding::FundingError;
use settlement::releases::ReleasesError;
use settlement::{Alarm, Desk, Parts, StartError};
use wallet::bank::{Bank, BankError, Teller};
use wallet::client::{ClientError, EmbeddedWallet, Secret, WalletClient, connect};
use wallet::wire::Assets;

use crate::config::{Config, FundingMode, WalletBackend};
use crate::exchange::Exchange;
use crate::replay_progress;
use crate::state::MoneyState;
use crate::views::Views;

mod alarm;
mod directory;
mod funded_orders;
mod funds;
mod reconciliation;
mod source;
mod trading;
mod under_way;

use alarm::HaltAndSuspend;
use directory::ListedNames;
pub use funded_orders::FundedOrders;
use funds::Clients;
pub use funds::{Funds, credit_to};
pub use reconciliation::{Reconciliation, ReconciliationStatus};
use source::EventLogSource;

/// Folder of the wallet's journal in the data directory.
pub(crate) const WALLET_DIR: &str = "wallet";
/// Folder of cursors and dead letters.
pub(crate) const SETTLEMENT_DIR: &str = "settlement";

/// Why the money side does not start.
#[derive(Debug, thiserror::Error)]
pub enum MoneyError {
    #[error(transparent)]
    Bank(#[from] BankError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Settlement(#[from] StartError),
    #[error(transparent)]
    Funding(#[from] FundingError),
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("an asset is listed twice with different decimal places")]
    Assets,
    #[error("{what} is ahead of its log, at {cursor} of {head}: what it relied on is lost")]
    CursorAhead { what: &'static str, cursor: u64, head: u64 },
    #[error("{} is missing, but money was moved: repeating that could move it twice", .0.display())]
    CursorLost(PathBuf),
    #[error("wallet.funding is not {0:?}: orders got their money the other way in this directory")]
    OtherFunding(FundingMode),
}

impl MoneyError {
    /// Status with which the process should exit.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Bank(BankError::Pipeline(error)) | Self::Pipeline(error) => error.exit_code(),
            Self::Settlement(StartError::Progress(settlement::ProgressError::File(error)))
            | Self::Funding(FundingError::File(error))
            | Self::Releases(ReleasesError::File(error)) => error.exit_code(),
            Self::CursorAhead { .. }
            | Self::CursorLost(_)
            | Self::Settlement(StartError::Progress(_) | StartError::Source(_))
            | Self::Funding(FundingError::Unreadable(_))
            | Self::Releases(_) => crate::exit_status::HALT,
            Self::Bank(_)
            | Self::Client(_)
            | Self::Settlement(_)
            | Self::Assets
            | Self::OtherFunding(_) => crate::exit_status::CONFIGURATION,
        }
    }
}

/// The exchange, as far as the money side sees it.
#[derive(Clone, Debug)]
pub struct Venue {
    pub exchange: Arc<Exchange>,
    pub views: Arc<Views>,
    pub cursors: Arc<Cursors>,
    pub sync: SyncPolicy,
    pub data_dir: PathBuf,
    pub clock: Arc<dyn Clock>,
    /// Last event that the start found.
    pub last_event: u64,
}

impl Venue {
    /// Waits until a command cannot be lost any more; false if that takes too long.
    async fn lasts(&self, sequence: u64) -> bool {
        let lasts = async {
            while self.cursors.lasting(self.sync) < sequence {
                tokio::time::sleep(settlement::limits::POLL_EVERY).await;
            }
        };
        tokio::time::timeout(crate::limits::PROBE_TIMEOUT, lasts).await.is_ok()
    }
}

/// Opens the ledger of a data directory. Blocks while it replays.
///
/// # Errors
/// See [`BankError`].
pub fn open_bank(config: &Config, clock: Arc<dyn Clock>) -> Result<Bank, BankError> {
    let mut options = config.bank_options(&config.data_dir.join(WALLET_DIR));
    options.pipeline.progress = Some(replay_progress::shown("wallet"));
    Bank::open(&options, clock)
}

/// Wallet, settlement, funding and reconciliation of a running exchange.
#[derive(Debug)]
pub struct Money {
    client: Arc<dyn WalletClient>,
    /// The same wallet, over connections of its own.
    orders: Arc<dyn WalletClient>,
    /// The wallet's ledger, if it is in this process.
    bank: Option<Bank>,
    desk: Arc<Desk>,
    funds: Arc<Funds>,
    reconciliation: Arc<Reconciliation>,
}

impl Money {
    /// Connects to the wallet and starts to follow the exchange. `bank` is that of this process;
    /// `token` is what another process is shown. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`MoneyError`]; what was started is stopped by being dropped.
    pub async fn start(
        config: &Config,
        venue: Venue,
        bank: Option<Bank>,
        token: String,
    ) -> Result<Self, MoneyError> {
        let client = connect_wallet(config, &bank, &token).await?;
        let is_remote = bank.is_none() && !config.wallet_client.use_mock;
        let orders = match config.wallet.funding {
            FundingMode::PerOrder if is_remote => connect_wallet(config, &bank, &token).await?,
            _ => Arc::clone(&client),
        };
        let (mode, directory) = (config.wallet.funding, venue.data_dir.join(SETTLEMENT_DIR));
        Funds::check_mode(mode, &venue, &directory)?;
        let alarm = Arc::new(HaltAndSuspend::new(venue.clone()));
        let desk = Arc::new(start_desk(&venue, config, Arc::clone(&client), &alarm)?);
        // A crash may have come between a letter and what follows from it.
        for letter in desk.board().progress().letters.iter() {
            alarm.raise(letter);
        }
        let (board, retry) = (desk.board(), config.settlement.retry);
        let clients = Clients { background: Arc::clone(&client), orders: Arc::clone(&orders) };
        let funds = Funds::start(mode, &venue, &directory, clients, board, retry).await?;
        let teller = bank.as_ref().map(Bank::teller);
        if let (Some(teller), Some(funding)) = (&teller, funds.funding()) {
            let (cursor, head) = (funding.cursor(), teller.views().sequence());
            if cursor > head {
                return Err(MoneyError::CursorAhead { what: "funding", cursor, head });
            }
        }
        // Beside a wallet elsewhere, the folder here may be anybody's: only on request.
        let every = if bank.is_some() { config.wallet.reconcile_every } else { Duration::ZERO };
        let reconciliation = Reconciliation::start(
            venue,
            teller,
            config.data_dir.join(WALLET_DIR),
            Arc::clone(&client),
            desk.board(),
            every,
        );
        let (funds, reconciliation) = (Arc::new(funds), Arc::new(reconciliation));
        Ok(Self { client, orders, bank, desk, funds, reconciliation })
    }

    /// What handlers reach of it.
    #[must_use]
    pub fn state(&self) -> MoneyState {
        MoneyState {
            client: Arc::clone(&self.client),
            orders: (!Arc::ptr_eq(&self.client, &self.orders)).then(|| Arc::clone(&self.orders)),
            teller: self.teller(),
            desk: Arc::clone(&self.desk),
            funds: Arc::clone(&self.funds),
            reconciliation: Arc::clone(&self.reconciliation),
        }
    }

    /// Access to the wallet's ledger, if it is in this process.
    #[must_use]
    pub fn teller(&self) -> Option<Teller> {
        self.bank.as_ref().map(Bank::teller)
    }

    /// Ends what follows the exchange, then the wallet. What is left stays behind the cursors.
    pub async fn stop(self) {
        self.reconciliation.stop().await;
        // Each has a deadline of its own.
        tokio::join!(self.funds.stop(), self.desk.stop());
        tokio::join!(self.client.close(), self.orders.close());
        if let Some(bank) = self.bank {
            // A panic there has ended the process.
            let _ = tokio::task::spawn_blocking(move || bank.close()).await;
        }
    }
}

/// The wallet of this process, or another one.
async fn connect_wallet(
    config: &Config,
    bank: &Option<Bank>,
    token: &str,
) -> Result<Arc<dyn WalletClient>, MoneyError> {
    if let (Some(bank), WalletBackend::Embedded) = (bank, config.wallet.backend) {
        bank.add_assets(&config.wallet.assets).await?;
        return Ok(Arc::new(EmbeddedWallet::new(bank.teller())));
    }
    let listed = config.products.assets.iter().map(|asset| (asset.code, asset.scale));
    let assets = Assets::new(listed).ok_or(MoneyError::Assets)?;
    let mut options = config.wallet_client.clone();
    let token = options.token.take().unwrap_or_else(|| Secret::new(token.to_owned()));
    options.token = Some(token);
    Ok(connect(&options, assets, crate::config::environment_is_production())?)
}

/// Highest sequence whose trades were settled, by what settlement has kept of it. Under `os` it
/// acts on what may still be lost, and so bears no witness.
///
/// # Errors
/// The file of settlement is damaged.
pub fn witness(config: &Config) -> Result<u64, MoneyError> {
    if config.journal.sync == SyncPolicy::Os {
        return Ok(0);
    }
    let progress = config.settlement.directory.join(settlement::STATE_FILE);
    Ok(settlement::peek(&progress).map_err(StartError::Progress)?.sequence)
}

fn start_desk(
    venue: &Venue,
    config: &Config,
    client: Arc<dyn WalletClient>,
    alarm: &Arc<HaltAndSuspend>,
) -> Result<Desk, MoneyError> {
    let (options, clock) = (&config.settlement, Arc::clone(&venue.clock));
    let (progress, head) = (options.directory.join(settlement::STATE_FILE), venue.last_event);
    let cursor = settlement::peek(&progress).map_err(StartError::Progress)?.cursor;
    if cursor > head {
        return Err(MoneyError::CursorAhead { what: "settlement", cursor, head });
    }
    let desk = Desk::start(options.clone(), |from| {
        Ok(Parts {
            source: Box::new(EventLogSource::open(venue, from)?),
            directory: Arc::new(ListedNames(Arc::clone(&venue.views))),
            client,
            alarm: Arc::clone(alarm) as Arc<dyn Alarm>,
            clock: Arc::new(move || clock.wall_ns()),
            credit_to: credit_to(config.wallet.funding),
        })
    });
    Ok(desk?)
}

/// A machine of the kind that the exchange runs, to replay its journal with.
pub(crate) fn fresh_engine() -> Engine {
    Engine::new(engine::EngineOptions::default())
}
