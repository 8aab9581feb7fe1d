//! Owns what every handler can reach, and the looks at the ledger that several of them take.
//! Knows nothing of how it was made. Invariant: it is cloned for every request, so it holds shared
//! pointers and small values; what a caller may not see is answered like what is not there.

use std::sync::Arc;
use std::time::Duration;

use engine::{AssetCode, Usage};
use pipeline::Clock;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::caller::Caller;
use super::error::{ApiError, ErrorCode};
use super::limits::{
    BATCH_BODY_BYTES_DEFAULT, BODY_BYTES_DEFAULT, MIN_SEQ_WAIT_DEFAULT, REPORT_WAIT_DEFAULT,
    REPORTS_DEFAULT,
};
use super::reports::Reports;
use crate::bank::{Answered, Teller};
use crate::ids;
use crate::ledger::Command;
use crate::ledger::types::TransactionId;
use crate::rates::{RateOptions, Rates};
use crate::traffic::Traffic;
use crate::views::{AssetView, Kept, Read, Views, WalletView};
use crate::wire::Assets;

/// What the service can be told.
#[derive(Clone, Copy, Debug)]
pub struct ServiceOptions {
    /// Longest request body, bytes.
    pub body_bytes: usize,
    /// Longest body with several trading requests, bytes.
    pub batch_body_bytes: usize,
    /// How long a read waits for the sequence that it was asked to show.
    pub min_seq_wait: Duration,
    /// How many requests a second are taken.
    pub rates: RateOptions,
    /// Reports made at once.
    pub reports: usize,
    /// How long another one waits.
    pub report_wait: Duration,
    /// Currency of a wallet that is opened without naming one; without it, it must be named.
    pub default_currency: Option<AssetCode>,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            body_bytes: BODY_BYTES_DEFAULT,
            batch_body_bytes: BATCH_BODY_BYTES_DEFAULT,
            min_seq_wait: MIN_SEQ_WAIT_DEFAULT,
            rates: RateOptions::default(),
            reports: REPORTS_DEFAULT,
            report_wait: REPORT_WAIT_DEFAULT,
            default_currency: None,
        }
    }
}

/// Shared by all requests.
#[derive(Clone, Debug)]
pub struct ServiceState {
    teller: Teller,
    options: ServiceOptions,
    clock: Arc<dyn Clock>,
    assets: Assets,
    traffic: Arc<Traffic>,
    rates: Arc<Rates>,
    reports: Reports,
}

impl ServiceState {
    /// The state of a service for the ledger behind `teller`. The assets that the ledger knows by
    /// now are those that trading can speak of: add the configured ones before.
    #[must_use]
    pub fn new(teller: Teller, options: ServiceOptions, clock: Arc<dyn Clock>) -> Self {
        let assets = teller.views().assets();
        let assets = Assets::new(assets.iter().map(|asset| (asset.code, asset.scale)));
        // The ledger keeps one scale for each asset, within the bound.
        let (assets, traffic) = (assets.unwrap_or_default(), Arc::default());
        let rates = Arc::new(Rates::new(options.rates, Arc::clone(&clock)));
        let reports = Reports::new(options.reports, options.report_wait);
        Self { teller, options, clock, assets, traffic, rates, reports }
    }

    /// The same, counting its requests there.
    #[must_use]
    pub fn counted_by(self, traffic: Arc<Traffic>) -> Self {
        Self { traffic, ..self }
    }

    /// How full everything of the service is that has a bound.
    pub fn usage(&self) -> impl Iterator<Item = Usage> {
        self.rates.usage().into_iter().chain([self.reports.usage()])
    }

    pub(super) fn rates(&self) -> &Rates {
        &self.rates
    }

    pub(super) fn reports(&self) -> &Reports {
        &self.reports
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(super) fn teller(&self) -> &Teller {
        &self.teller
    }

    pub(super) fn views(&self) -> &Views {
        self.teller.views()
    }

    pub(super) fn options(&self) -> &ServiceOptions {
        &self.options
    }

    /// Decimal places of all assets.
    pub(super) fn assets(&self) -> &Assets {
        &self.assets
    }

    pub(super) fn wall_ns(&self) -> u64 {
        self.clock.wall_ns()
    }

    pub(super) fn monotonic_ns(&self) -> u64 {
        self.clock.monotonic_ns()
    }

    /// When a request that begins now must have its answer.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.teller.timeout()
    }

    pub(super) async fn submit(&self, command: Command) -> Result<Answered, ApiError> {
        Ok(self.teller.submit(command).await?)
    }

    /// The same for a caller who acts on the answer in another book: it comes when it can no longer
    /// be lost.
    pub(super) async fn submit_lasting(&self, command: Command) -> Result<Answered, ApiError> {
        let deadline = self.deadline();
        let receiver = self.teller.hand_over(command)?;
        self.answer_lasting(deadline, receiver).await
    }

    /// Waits for the answer to what was handed over, until it can no longer be lost.
    pub(super) async fn answer_lasting(
        &self,
        deadline: Instant,
        receiver: oneshot::Receiver<Answered>,
    ) -> Result<Answered, ApiError> {
        let answer = async {
            let answered = receiver.await.ok()?;
            self.teller.lasts(answered.sequence).await;
            Some(answered)
        };
        let answer = tokio::time::timeout_at(deadline, answer).await;
        answer.ok().flatten().ok_or_else(|| ErrorCode::OutcomeUnknown.into())
    }

    /// Waits until the views show `sequence`.
    ///
    /// # Errors
    /// `SEQUENCE_NOT_REACHED`: what could be read is older than what was asked for.
    pub(super) async fn reach(&self, sequence: Option<u64>) -> Result<(), ApiError> {
        let Some(sequence) = sequence else { return Ok(()) };
        let reached = self.views().reach(sequence);
        let reached = tokio::time::timeout(self.options.min_seq_wait, reached).await;
        reached
            .map_err(|_| ApiError::new(ErrorCode::SequenceNotReached).at(self.views().sequence()))
    }

    /// A wallet, whosever it is.
    pub(super) fn any_wallet(&self, id: Uuid) -> Result<WalletView, ApiError> {
        let parsed = ids::parse_wallet(id);
        let found = parsed.and_then(|(number, time_ms)| {
            let wallet = self.views().wallet(number).value;
            wallet.filter(|wallet| ids::is_of_time(time_ms, wallet.opened_ns))
        });
        found.ok_or_else(|| ErrorCode::WalletNotFound.into())
    }

    /// A wallet that the caller may see.
    pub(super) fn wallet(&self, caller: &Caller, id: Uuid) -> Result<WalletView, ApiError> {
        let wallet = self.any_wallet(id)?;
        if caller.may_see(wallet.user) { Ok(wallet) } else { Err(ErrorCode::WalletNotFound.into()) }
    }

    /// A wallet that the caller may see, as it is at `min_seq` or later.
    pub(super) async fn wallet_at(
        &self,
        caller: &Caller,
        id: Uuid,
        min_seq: Option<u64>,
    ) -> Result<Read<WalletView>, ApiError> {
        self.reach(min_seq).await?;
        let Read { sequence, value } = self.views().wallet(self.wallet(caller, id)?.id);
        Ok(Read { sequence, value: value.ok_or(ErrorCode::InternalError)? })
    }

    /// The asset that a wallet holds.
    pub(super) fn asset_of(&self, wallet: &WalletView) -> Result<AssetView, ApiError> {
        self.views().asset(wallet.asset).ok_or_else(|| ErrorCode::InternalError.into())
    }

    /// A known asset by its name.
    pub(super) fn listed(&self, field: &'static str, name: &str) -> Result<AssetView, ApiError> {
        let code = AssetCode::new(name);
        let asset = code.and_then(|code| self.views().asset_by_code(code));
        let text = ErrorCode::AssetNotFound.text();
        asset.ok_or_else(|| ApiError::field(ErrorCode::AssetNotFound, field, text))
    }

    /// The number of the transaction that an id names. One that is too old for its time to be
    /// looked up is named by its number alone.
    pub(super) fn transaction(&self, id: Uuid) -> Option<TransactionId> {
        let (number, time_ms) = ids::parse_transaction(id)?;
        let is_known = match self.views().begun_ns(number) {
            Some(begun_ns) => ids::is_of_time(time_ms, begun_ns),
            None => self.views().transaction(number).value == Kept::Forgotten,
        };
        is_known.then_some(number)
    }

    /// The id of a transaction that is known by its number.
    pub(super) fn id_of(&self, transaction: TransactionId) -> Option<Uuid> {
        let begun_ns = self.views().begun_ns(transaction)?;
        Some(ids::transaction(transaction, begun_ns))
    }
}
