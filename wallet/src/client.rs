//! Owns the contract of every wallet that the exchange can work with.
//! Knows nothing of transports: `embedded`, `http` and `mock` are the three backends, and one
//! contract suite runs against all of them. Invariant: an error says whether the call may have had
//! an effect, and whoever retries reads only that.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Amount, AssetCode, SignedAmount};
use rust_decimal::Decimal;
use tokio::time::Instant;
use uuid::Uuid;

use self::metrics::MetricsSnapshot;
use crate::ledger::types::{CreditTo, FundingDirection, ReleaseReason, ReserveReason};

#[cfg(test)]
pub(crate) mod contract;
mod embedded;
mod error;
mod factory;
mod http;
pub mod limits;
pub mod metrics;
mod mock;
mod options;
mod outcomes;
mod resilience;

pub use embedded::EmbeddedWallet;
pub use error::{CallOutcome, WalletError};
pub use factory::connect;
pub use http::{ClientError, HttpWalletClient};
pub use mock::{Fault, MockWallet};
pub use options::{Secret, WalletClientOptions};

/// What accompanies a call.
#[derive(Clone, Copy, Debug)]
pub struct CallContext {
    /// The call ends by then, tries and pauses included.
    pub deadline: Instant,
    /// W3C trace id, all zero if there is none.
    pub trace_id: u128,
    /// Tries after the first; `None` takes the client's own setting. Whoever has a retry policy of
    /// its own passes 0, so that there is one layer.
    pub max_retries: Option<u32>,
}

impl CallContext {
    /// A call that ends within `timeout`.
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, trace_id: 0, max_retries: None }
    }

    /// The same without tries after the first.
    #[must_use]
    pub fn once(self) -> Self {
        Self { max_retries: Some(0), ..self }
    }

    #[must_use]
    pub fn traced(self, trace_id: u128) -> Self {
        Self { trace_id, ..self }
    }

    /// What is left of the call's time.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// One user's money in one asset, units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletBalance {
    pub available: Amount,
    pub reserved: Amount,
}

impl WalletBalance {
    #[must_use]
    pub fn total(&self) -> Amount {
        self.available.saturating_add(self.reserved)
    }
}

/// Sets money aside; the key is (`order_id`, `asset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveRequest {
    pub user_id: Uuid,
    pub asset: AssetCode,
    pub amount: Amount,
    /// Never nil. For [`ReserveReason::TradingFunding`] the transaction that brought the money.
    pub order_id: Uuid,
    pub reason: ReserveReason,
}

/// What a reserve came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub reservation_id: Uuid,
    /// Of the user right afterwards.
    pub balance: WalletBalance,
}

/// Gives the rest of a reservation back, by reservation, by order, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseRequest {
    pub reservation_id: Option<Uuid>,
    pub order_id: Option<Uuid>,
    /// Asset of the reservation.
    pub asset: AssetCode,
    pub reason: ReleaseReason,
    /// What the order's trades have taken: while captures are missing the release is refused with
    /// [`WalletError::CapturePending`], so that it cannot overtake a settlement.
    pub captured_total: Option<Amount>,
}

/// What a release came to; a second one, for any reason, repeats the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    pub released: Amount,
}

/// One trade to settle; the key is `trade_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleRequest {
    pub trade_id: Uuid,
    pub buyer_id: Uuid,
    pub seller_id: Uuid,
    pub buyer_order_id: Uuid,
    pub seller_order_id: Uuid,
    pub base: AssetCode,
    pub quote: AssetCode,
    /// Units of the base asset.
    pub base_amount: Amount,
    /// Units of the quote asset; always base amount times price, exactly.
    pub quote_amount: Amount,
    /// Quote asset for one base asset.
    pub price: Decimal,
    /// Quote units; negative for a rebate.
    pub buyer_fee: SignedAmount,
    pub seller_fee: SignedAmount,
    pub credit_to: CreditTo,
}

/// A settled trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub settlement_id: Uuid,
    /// Engine time of the ledger when it was settled, nanoseconds since the Unix epoch.
    pub settled_at_ns: u64,
    /// Whether the party's reservation is used up (always false where the pool pays).
    pub buyer_reservation_released: bool,
    pub seller_reservation_released: bool,
}

/// A reservation as it is now, units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub reservation_id: Uuid,
    pub order_id: Uuid,
    pub user_id: Uuid,
    pub asset: AssetCode,
    pub original: Amount,
    pub remaining: Amount,
    pub captured: Amount,
    pub released: Amount,
    pub ended: bool,
}

/// Money that is to move between a wallet and its trading account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundingEvent {
    /// Where to go on from: the next call passes it as `after`.
    pub cursor: u64,
    pub transaction_id: Uuid,
    pub direction: FundingDirection,
    pub user_id: Uuid,
    pub asset: AssetCode,
    pub amount: Amount,
}

/// How a recall, or a funding that was refused, ended in the wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concluded {
    /// Whether the money has moved as asked (false: the transaction failed, or was undone).
    pub completed: bool,
}

/// A wallet, as the exchange sees it. Every call is idempotent by the key of its request.
///
/// # Errors
/// All calls: see [`WalletError`]; `outcome()` says whether the call had an effect.
#[async_trait]
pub trait WalletClient: Send + Sync + fmt::Debug {
    async fn get_balance(
        &self,
        context: CallContext,
        user_id: Uuid,
        asset: AssetCode,
    ) -> Result<WalletBalance, WalletError>;

    async fn reserve(
        &self,
        context: CallContext,
        request: &ReserveRequest,
    ) -> Result<Reserved, WalletError>;

    async fn release(
        &self,
        context: CallContext,
        request: &ReleaseRequest,
    ) -> Result<Released, WalletError>;

    async fn settle(
        &self,
        context: CallContext,
        request: &SettleRequest,
    ) -> Result<Settlement, WalletError>;

    /// Each item on its own: one refusal does not stop the others. The outer error is that of the
    /// call as a whole.
    async fn reserve_batch(
        &self,
        context: CallContext,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, WalletError>>, WalletError>;

    /// As [`Self::reserve_batch`].
    async fn release_batch(
        &self,
        context: CallContext,
        requests: &[ReleaseRequest],
    ) -> Result<Vec<Result<Released, WalletError>>, WalletError>;

    /// As [`Self::reserve_batch`]; the trades are applied in the order of the list.
    async fn settle_batch(
        &self,
        context: CallContext,
        requests: &[SettleRequest],
    ) -> Result<Vec<Result<Settlement, WalletError>>, WalletError>;

    /// The reservation of an order; `None` if there is none.
    async fn reservation_of_order(
        &self,
        context: CallContext,
        order_id: Uuid,
    ) -> Result<Option<Reservation>, WalletError>;

    /// How a trade was settled; `None` if it is not.
    async fn settlement_of_trade(
        &self,
        context: CallContext,
        trade_id: Uuid,
    ) -> Result<Option<Settlement>, WalletError>;

    /// Up to `max` funding events behind `after`, oldest first; waits up to `wait` for the first.
    async fn funding_events(
        &self,
        context: CallContext,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<FundingEvent>, WalletError>;

    /// Tells the wallet how its trading account answered a [`FundingEvent`].
    async fn conclude_funding(
        &self,
        context: CallContext,
        transaction_id: Uuid,
        granted: bool,
    ) -> Result<Concluded, WalletError>;

    /// Stops, or allows again, that money of an asset leaves the wallet.
    async fn freeze_withdrawals(
        &self,
        context: CallContext,
        asset: AssetCode,
        frozen: bool,
    ) -> Result<(), WalletError>;

    /// Whether the wallet can serve.
    async fn health_check(&self, context: CallContext) -> Result<(), WalletError>;

    /// What was counted, where calls can fail on their way.
    fn counted(&self) -> Option<MetricsSnapshot>;

    /// Waits for the calls in flight; every later call is refused with [`WalletError::Closed`].
    async fn close(&self);
}
