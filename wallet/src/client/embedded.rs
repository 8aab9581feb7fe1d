//! Owns the backend that speaks to a ledger in this process.
//! Knows nothing of HTTP. Invariant: a batch enters the ledger in the order of its list, before
//! anything is waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::AssetCode;
use tokio::sync::{RwLock, oneshot};
use uuid::Uuid;

use super::metrics::MetricsSnapshot;
use super::{
    CallContext, Concluded, FundingEvent, ReleaseRequest, Released, Reservation, ReserveRequest,
    Reserved, SettleRequest, Settlement, WalletBalance, WalletClient, WalletError,
};
use crate::bank::{Answer, Answered, HandOverError, Teller};
use crate::ids;
use crate::ledger::types::{TransactionId, TransactionStatus, UserId};
use crate::ledger::{Command, Outcome, Release, Reserve, Settle};
use crate::views::{AssetView, Settled};
use crate::wire::{error_of_rejection, quote_of};

/// The wallet in this process.
#[derive(Debug)]
pub struct EmbeddedWallet {
    teller: Teller,
    closed: AtomicBool,
    /// Read by every call, written by `close`, which so waits for all of them.
    calls: RwLock<()>,
}

type Handed = Result<oneshot::Receiver<Answered>, WalletError>;

impl EmbeddedWallet {
    #[must_use]
    pub fn new(teller: Teller) -> Self {
        Self { teller, closed: AtomicBool::new(false), calls: RwLock::new(()) }
    }

    async fn enter(&self) -> Result<tokio::sync::RwLockReadGuard<'_, ()>, WalletError> {
        let guard = self.calls.read().await;
        if self.closed.load(Ordering::Acquire) { Err(WalletError::Closed) } else { Ok(guard) }
    }

    fn hand_over(&self, command: Command) -> Handed {
        self.teller.hand_over(command).map_err(error_of_hand_over)
    }

    /// The ledger's answer, once whoever asked may act on it.
    async fn answer(&self, context: CallContext, handed: Handed) -> Result<Answered, WalletError> {
        let handed = handed?;
        let answer = async {
            let answered = handed.await.map_err(|_| WalletError::Timeout)?;
            self.teller.lasts(answered.sequence).await;
            Ok(answered)
        };
        let answer = tokio::time::timeout(context.remaining(), answer).await;
        answer.unwrap_or(Err(WalletError::Timeout))
    }

    async fn answers<T>(
        &self,
        context: CallContext,
        handed: Vec<Handed>,
        read: fn(Answered) -> Result<T, WalletError>,
    ) -> Vec<Result<T, WalletError>> {
        let mut results = Vec::with_capacity(handed.len());
        for item in handed {
            results.push(self.answer(context, item).await.and_then(read));
        }
        results
    }

    fn asset(&self, code: AssetCode) -> Result<AssetView, WalletError> {
        let known = self.teller.views().asset_by_code(code);
        known.ok_or_else(|| WalletError::InvalidRequest(format!("unknown asset {code}")))
    }

    fn hand_over_reserve(&self, request: &ReserveRequest) -> Handed {
        self.hand_over(Command::Reserve(Reserve {
            user: user(request.user_id),
            asset: self.asset(request.asset)?.id,
            amount: request.amount,
            order: request.order_id.as_u128(),
            reason: request.reason,
        }))
    }

    fn hand_over_release(&self, request: &ReleaseRequest) -> Handed {
        let reservation = match request.reservation_id {
            None => TransactionId(0),
            Some(id) => self.transaction(id).ok_or(WalletError::ReservationNotFound)?,
        };
        self.hand_over(Command::Release(Release {
            reservation,
            order: request.order_id.map_or(0, |id| id.as_u128()),
            reason: request.reason,
            captured_total: request.captured_total,
        }))
    }

    fn hand_over_settle(&self, request: &SettleRequest) -> Handed {
        let (base, quote) = (self.asset(request.base)?, self.asset(request.quote)?);
        let value = quote_of(request.base_amount, base.scale, request.price, quote.scale);
        if value != Some(request.quote_amount) {
            let what = "quote amount is not base amount times price".to_owned();
            return Err(WalletError::InvalidRequest(what));
        }
        self.hand_over(Command::Settle(Settle {
            trade: request.trade_id.as_u128(),
            buyer: user(request.buyer_id),
            seller: user(request.seller_id),
            buyer_order: request.buyer_order_id.as_u128(),
            seller_order: request.seller_order_id.as_u128(),
            base: base.id,
            quote: quote.id,
            base_amount: request.base_amount,
            quote_amount: request.quote_amount,
            buyer_fee: request.buyer_fee,
            seller_fee: request.seller_fee,
            credit_to: request.credit_to,
        }))
    }

    /// The transaction that an id names, if it began when the id says.
    fn transaction(&self, id: Uuid) -> Option<TransactionId> {
        let (transaction, time_ms) = ids::parse_transaction(id)?;
        match self.teller.views().begun_ns(transaction) {
            Some(begun_ns) => ids::is_of_time(time_ms, begun_ns).then_some(transaction),
            // Too old to be looked up; the ledger itself knows it by its number.
            None => Some(transaction),
        }
    }
}

#[async_trait]
impl WalletClient for EmbeddedWallet {
    async fn get_balance(
        &self,
        _: CallContext,
        user_id: Uuid,
        asset: AssetCode,
    ) -> Result<WalletBalance, WalletError> {
        let _call = self.enter().await?;
        let (asset, owner) = (self.asset(asset)?, user(user_id));
        match self.teller.views().wallet_of(owner, asset.id).value {
            Some(wallet) => {
                Ok(WalletBalance { available: wallet.available, reserved: wallet.reserved })
            }
            None if self.teller.views().knows(owner) => {
                Ok(WalletBalance { available: 0, reserved: 0 })
            }
            None => Err(WalletError::UserNotFound),
        }
    }

    async fn reserve(
        &self,
        context: CallContext,
        request: &ReserveRequest,
    ) -> Result<Reserved, WalletError> {
        let _call = self.enter().await?;
        reserved(self.answer(context, self.hand_over_reserve(request)).await?)
    }

    async fn release(
        &self,
        context: CallContext,
        request: &ReleaseRequest,
    ) -> Result<Released, WalletError> {
        let _call = self.enter().await?;
        released(self.answer(context, self.hand_over_release(request)).await?)
    }

    async fn settle(
        &self,
        context: CallContext,
        request: &SettleRequest,
    ) -> Result<Settlement, WalletError> {
        let _call = self.enter().await?;
        settled(self.answer(context, self.hand_over_settle(request)).await?)
    }

    async fn reserve_batch(
        &self,
        context: CallContext,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, WalletError>>, WalletError> {
        let _call = self.enter().await?;
        let handed: Vec<_> = requests.iter().map(|item| self.hand_over_reserve(item)).collect();
        Ok(self.answers(context, handed, reserved).await)
    }

    async fn release_batch(
        &self,
        context: CallContext,
        requests: &[ReleaseRequest],
    ) -> Result<Vec<Result<Released, WalletError>>, WalletError> {
        let _call = self.enter().await?;
        let handed: Vec<_> = requests.iter().map(|item| self.hand_over_release(item)).collect();
        Ok(self.answers(context, handed, released).await)
    }

    async fn settle_batch(
        &self,
        context: CallContext,
        requests: &[SettleRequest],
    ) -> Result<Vec<Result<Settlement, WalletError>>, WalletError> {
        let _call = self.enter().await?;
        let handed: Vec<_> = requests.iter().map(|item| self.hand_over_settle(item)).collect();
        Ok(self.answers(context, handed, settled).await)
    }

    async fn reservation_of_order(
        &self,
        _: CallContext,
        order_id: Uuid,
    ) -> Result<Option<Reservation>, WalletError> {
        let _call = self.enter().await?;
        let views = self.teller.views();
        let Some((state, wallet)) = views.reservation_of_order(order_id.as_u128()) else {
            return Ok(None);
        };
        let asset = views.asset(wallet.asset);
        let asset = asset.ok_or_else(|| WalletError::InvalidResponse("no asset".to_owned()))?;
        let begun_ns = views.begun_ns(state.reservation).unwrap_or(0);
        let id = ids::transaction(state.reservation, begun_ns);
        Ok(Some(Reservation::of(&state, &wallet, asset.code, id)))
    }

    async fn settlement_of_trade(
        &self,
        _: CallContext,
        trade_id: Uuid,
    ) -> Result<Option<Settlement>, WalletError> {
        let _call = self.enter().await?;
        match self.teller.views().settlement(trade_id.as_u128()) {
            Settled::No => Ok(None),
            Settled::Yes(view) => Ok(Some(Settlement::from(&view))),
            Settled::Forgotten => {
                Err(WalletError::InvalidResponse("too old to be looked up".to_owned()))
            }
        }
    }

    async fn funding_events(
        &self,
        context: CallContext,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<FundingEvent>, WalletError> {
        let _call = self.enter().await?;
        let wait = wait.min(context.remaining());
        let events = self.teller.funding_events(after, max, wait).await;
        events.map_err(|error| WalletError::InvalidResponse(error.to_string()))
    }

    async fn conclude_funding(
        &self,
        context: CallContext,
        transaction_id: Uuid,
        granted: bool,
    ) -> Result<Concluded, WalletError> {
        let _call = self.enter().await?;
        let transaction = self.transaction(transaction_id);
        let transaction = transaction
            .ok_or_else(|| WalletError::InvalidRequest("no such transaction".to_owned()))?;
        let handed = self.hand_over(Command::ConcludeFunding { transaction, granted });
        let answered = self.answer(context, handed).await?;
        match answered.answer {
            Answer::Transaction { outcome, .. } => {
                let completed = outcome.status == TransactionStatus::Completed;
                Ok(Concluded { completed: granted && completed })
            }
            Answer::Rejected(reason) => Err(error_of_rejection(reason)),
            _ => Err(unexpected()),
        }
    }

    async fn freeze_withdrawals(
        &self,
        context: CallContext,
        asset: AssetCode,
        frozen: bool,
    ) -> Result<(), WalletError> {
        let _call = self.enter().await?;
        let asset = self.asset(asset)?.id;
        let handed = self.hand_over(Command::FreezeWithdrawals { asset, frozen });
        match self.answer(context, handed).await?.answer {
            Answer::Rejected(reason) => Err(error_of_rejection(reason)),
            _ => Ok(()),
        }
    }

    async fn health_check(&self, _: CallContext) -> Result<(), WalletError> {
        let _call = self.enter().await?;
        if self.teller.is_read_only() { Err(WalletError::ReadOnly) } else { Ok(()) }
    }

    fn counted(&self) -> Option<MetricsSnapshot> {
        None
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(self.calls.write().await);
    }
}

fn user(id: Uuid) -> UserId {
    UserId(id.as_u128())
}

fn error_of_hand_over(error: HandOverError) -> WalletError {
    match error {
        HandOverError::Overloaded | HandOverError::NoSpace | HandOverError::SyncDelayed => {
            WalletError::RateLimited { retry_after: None }
        }
        HandOverError::Closed => WalletError::WalletServiceDown,
        HandOverError::ReadOnly => WalletError::ReadOnly,
        HandOverError::OutcomeUnknown => WalletError::Timeout,
    }
}

fn unexpected() -> WalletError {
    WalletError::InvalidResponse("the ledger answered something else".to_owned())
}

/// The transaction that was recorded, unless it failed.
fn outcome(answered: &Answered) -> Result<Outcome, WalletError> {
    match answered.answer {
        Answer::Transaction { outcome, .. } => match outcome.reason {
            Some(reason) => Err(error_of_rejection(reason)),
            None => Ok(outcome),
        },
        Answer::Rejected(reason) => Err(error_of_rejection(reason)),
        _ => Err(unexpected()),
    }
}

fn reserved(answered: Answered) -> Result<Reserved, WalletError> {
    Ok(Reserved::from(&outcome(&answered)?))
}

fn released(answered: Answered) -> Result<Released, WalletError> {
    Ok(Released::from(&outcome(&answered)?))
}

fn settled(answered: Answered) -> Result<Settlement, WalletError> {
    Ok(Settlement::from(&outcome(&answered)?))
}
